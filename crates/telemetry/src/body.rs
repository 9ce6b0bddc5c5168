//! The answer's body as it passes.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::open::{Ending, OpenRecord};
use crate::{Receipt, RecordSink};

/// Frames that are held at an answer's end, at most: those that were ready when its terminal event passed.
const MOST_HELD: usize = 16;

pin_project! {
    /// Lets every frame pass as it comes and closes the record exactly once: at the end, at the terminal event of a stream,
    /// at the last frame of a body that knows its end, at an error, or when it is dropped before any of these.
    ///
    /// Frames are never held but for the end: what tells the client that the answer is over (the terminal event, the last
    /// bytes of a document, the end of the body) is handed over once the record is kept.
    pub struct MeteredBody<B: Body, S: RecordSink> {
        #[pin]
        inner: B,
        open: Option<OpenRecord<S>>,
        receipt: Receipt,
        // What is handed over once the record is kept.
        held: VecDeque<Result<Frame<B::Data>, B::Error>>,
        over: bool,
    }

    impl<B: Body, S: RecordSink> PinnedDrop for MeteredBody<B, S> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // A server need not poll a body that says it is over: the answer to a HEAD request, or an empty one.
            if this.inner.is_end_stream() && let Some(open) = this.open.take() {
                let _nobody_waits = open.close(Ending::End);
            }
        }
    }
}

impl<B: Body, S: RecordSink> MeteredBody<B, S> {
    /// The client has left, and whoever holds the body will read it on for the record alone. Returns whether there is
    /// anything to read on for; else drop it.
    pub fn leave(self: Pin<&mut Self>) -> bool {
        let this = self.project();
        !this.inner.is_end_stream() && this.open.as_mut().is_some_and(OpenRecord::leave)
    }

    /// Adds a note to the record, where it is not closed yet.
    pub fn note(&self, note: impl Into<String>) {
        if let Some(open) = &self.open {
            open.note(note.into());
        }
    }

    pub(crate) fn new(inner: B, open: Option<OpenRecord<S>>) -> Self {
        Self { inner, open, receipt: Receipt::kept(), held: VecDeque::new(), over: false }
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
        loop {
            if this.open.is_none() {
                ready!(Pin::new(&mut *this.receipt).poll(cx));
                if let Some(frame) = this.held.pop_front() {
                    return Poll::Ready(Some(frame));
                }
                if *this.over {
                    return Poll::Ready(None);
                }
                // Behind a terminal event: nothing that the record wants.
                return this.inner.poll_frame(cx);
            }
            let frame = match this.inner.as_mut().poll_frame(cx) {
                Poll::Ready(frame) => frame,
                // The terminal event has passed and nothing is ready behind it: that was the end.
                Poll::Pending if !this.held.is_empty() => {
                    close(this.open, this.receipt, Ending::End);
                    continue;
                }
                Poll::Pending => return Poll::Pending,
            };
            let mut settled = false;
            if let (Some(open), Some(Ok(frame))) = (this.open.as_mut(), &frame)
                && let Some(piece) = frame.data_ref()
            {
                settled = open.see(piece);
            }
            let ending = match &frame {
                Some(Ok(_)) => this.inner.is_end_stream().then_some(Ending::End),
                Some(Err(_)) => Some(Ending::Broken),
                None => Some(Ending::End),
            };
            *this.over |= !matches!(frame, Some(Ok(_)));
            match (ending, frame) {
                (None, Some(frame)) if !settled && this.held.is_empty() => return Poll::Ready(Some(frame)),
                (ending, frame) => {
                    this.held.extend(frame);
                    if let Some(ending) = ending {
                        close(this.open, this.receipt, ending);
                    } else if this.held.len() >= MOST_HELD {
                        close(this.open, this.receipt, Ending::End);
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.open.is_none() && self.held.is_empty() && (self.over || self.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn close<S: RecordSink>(open: &mut Option<OpenRecord<S>>, receipt: &mut Receipt, ending: Ending) {
    if let Some(open) = open.take() {
        *receipt = open.close(ending);
    }
}
