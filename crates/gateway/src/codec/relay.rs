//! The provider's frames as they come, to a client of the same dialect.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tachograph_providers::HideUsage;
use tachograph_reply::{ApiError, ErrorKind, ErrorShape};
use tachograph_telemetry::SharedTap;

use crate::upstream::{UpstreamBody, UpstreamBroken};

pin_project! {
    /// Hands on each frame as it comes. A usage frame that only we asked for is taken out, and an event stream that breaks
    /// off ends with an error event, so that no client takes it for finished.
    pub struct Relay {
        #[pin]
        upstream: UpstreamBody,
        tap: SharedTap,
        hide: Option<HideUsage>,
        // What hiding left of one frame.
        ready: VecDeque<Bytes>,
        on_break: Option<ErrorShape>,
        // Whether a stream of this API says that it is over.
        says_its_end: bool,
        done: bool,
    }
}

impl Relay {
    /// Hands on `upstream`, fed to `tap` first. `events`: it is an event stream, and its client reads errors in this shape.
    /// `says_its_end`: its last event tells that it is over; without that it was cut, in however good order.
    pub(super) fn new(
        upstream: UpstreamBody,
        tap: SharedTap,
        hide: Option<HideUsage>,
        events: Option<ErrorShape>,
        says_its_end: bool,
    ) -> Self {
        Self { upstream, tap, hide, ready: VecDeque::new(), on_break: events, says_its_end, done: false }
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = UpstreamBroken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamBroken>>> {
        let mut this = self.project();
        loop {
            if let Some(piece) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            if *this.done {
                return Poll::Ready(None);
            }
            match ready!(this.upstream.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let Some(piece) = frame.data_ref() else { return Poll::Ready(Some(Ok(frame))) };
                    this.tap.feed(piece);
                    let Some(hide) = this.hide else { return Poll::Ready(Some(Ok(frame))) };
                    hide.push(piece, |piece| this.ready.push_back(piece));
                    join(this.ready);
                }
                None => {
                    *this.done = true;
                    if let Some(hide) = this.hide {
                        hide.finish(|piece| this.ready.push_back(piece));
                        join(this.ready);
                    }
                    if let (Some(shape), true) = (*this.on_break, *this.says_its_end)
                        && !this.tap.has_ended()
                    {
                        this.ready.push_back(shape.event(&broken_off(UpstreamBroken::Connection)));
                    }
                }
                Some(Err(broken)) => {
                    *this.done = true;
                    let Some(shape) = this.on_break else { return Poll::Ready(Some(Err(broken))) };
                    this.ready.push_back(shape.event(&broken_off(broken)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        if self.hide.is_some() || self.on_break.is_some() {
            return self.done && self.ready.is_empty();
        }
        self.done || self.upstream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.hide.is_some() { SizeHint::default() } else { self.upstream.size_hint() }
    }
}

/// What is left of one frame goes on as one frame: the tap has seen all of it, and what says that the answer is over must
/// not be followed by a long row of pieces, which the meter would have to hold back.
fn join(ready: &mut VecDeque<Bytes>) {
    if ready.len() > 1 {
        let mut joined = BytesMut::with_capacity(ready.iter().map(Bytes::len).sum());
        ready.drain(..).for_each(|piece| joined.extend_from_slice(&piece));
        ready.push_back(joined.freeze());
    }
}

/// What a client is told when its stream breaks off.
pub(crate) fn broken_off(broken: UpstreamBroken) -> ApiError {
    let message = match broken {
        UpstreamBroken::Connection => {
            "The provider's connection broke off in the middle of the answer; the text so far is not complete."
        }
        UpstreamBroken::Silent => {
            "The provider went silent in the middle of the answer; the text so far is not complete."
        }
    };
    ApiError::new(ErrorKind::Upstream, "stream_broken", message)
}
