//! The answer's body as it passes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::RecordSink;
use crate::open::{Ending, OpenRecord};

pin_project! {
    /// Lets every frame pass as it comes and closes the record exactly once: at the end, at the last frame of a body that
    /// knows its end, at an error, or when it is dropped before any of these.
    pub struct MeteredBody<B: Body, S: RecordSink> {
        #[pin]
        inner: B,
        open: Option<OpenRecord<S>>,
    }

    impl<B: Body, S: RecordSink> PinnedDrop for MeteredBody<B, S> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // A server need not poll a body that says it is over: the answer to a HEAD request, or an empty one.
            if this.inner.is_end_stream() && let Some(open) = this.open.take() {
                open.close(Ending::End);
            }
        }
    }
}

impl<B: Body, S: RecordSink> MeteredBody<B, S> {
    pub(crate) const fn new(inner: B, open: Option<OpenRecord<S>>) -> Self {
        Self { inner, open }
    }
}

impl<B, S> Body for MeteredBody<B, S>
where
    B: Body<Data = Bytes>,
    S: RecordSink,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        let ending = match &frame {
            Some(Ok(frame)) => {
                if let (Some(open), Some(piece)) = (this.open.as_mut(), frame.data_ref()) {
                    open.see(piece);
                }
                this.inner.is_end_stream().then_some(Ending::End)
            }
            Some(Err(_)) => Some(Ending::Broken),
            None => Some(Ending::End),
        };
        if let Some(ending) = ending
            && let Some(open) = this.open.take()
        {
            open.close(ending);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
