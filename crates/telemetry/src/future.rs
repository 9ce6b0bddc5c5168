//! The time before the answer's head.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::open::{Ending, OpenRecord};
use crate::{MeteredBody, RecordSink, Served};

pin_project! {
    /// Waits for the answer's head. Dropped before that, the client has gone, and the record says so.
    pub struct MeterFuture<F, S: RecordSink> {
        #[pin]
        inner: F,
        open: Option<OpenRecord<S>>,
    }
}

impl<F, S: RecordSink> MeterFuture<F, S> {
    pub(crate) const fn new(inner: F, open: OpenRecord<S>) -> Self {
        Self { inner, open: Some(open) }
    }

    /// The client has left, and whoever holds the future will wait on for the record alone. Returns whether there is
    /// anything to wait for, an attempt under way; else drop it.
    pub fn leave(self: Pin<&mut Self>) -> bool {
        self.project().open.as_mut().is_some_and(OpenRecord::leave)
    }
}

impl<F, S, B, E> Future for MeterFuture<F, S>
where
    F: Future<Output = Result<Response<B>, E>>,
    S: RecordSink,
    B: Body<Data = bytes::Bytes>,
{
    type Output = Result<Response<MeteredBody<B, S>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        let open = this.open.take();
        match result {
            Ok(mut response) => {
                let served = response.extensions_mut().remove::<Served>();
                let status = response.status();
                let open = open.map(|open| open.answered(status, served));
                Poll::Ready(Ok(response.map(|body| MeteredBody::new(body, open))))
            }
            Err(error) => {
                if let Some(open) = open {
                    // There is no answer whose end could wait.
                    let _nobody_waits = open.close(Ending::NoAnswer);
                }
                Poll::Ready(Err(error))
            }
        }
    }
}
