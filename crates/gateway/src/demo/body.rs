//! A body that comes at a model's pace.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::upstream::UpstreamBroken;

/// One document, or events at a model's pace.
pub struct DemoBody {
    frames: VecDeque<Bytes>,
    pace: Option<Pace>,
    breaks_off: bool,
}

struct Pace {
    next: Pin<Box<Sleep>>,
    each: Duration,
}

impl DemoBody {
    pub(super) fn whole(document: Bytes) -> Self {
        Self { frames: VecDeque::from([document]), pace: None, breaks_off: false }
    }

    /// Events at a pace; `breaks_off`: the connection is lost half way through.
    pub(super) fn paced(events: Vec<Bytes>, first: Duration, each: Duration, breaks_off: bool) -> Self {
        let mut frames = VecDeque::from(events);
        if breaks_off {
            frames.truncate(frames.len() / 2 + 1);
        }
        let next = Box::pin(tokio::time::sleep(first));
        Self { frames, pace: Some(Pace { next, each }), breaks_off }
    }
}

impl Body for DemoBody {
    type Data = Bytes;
    type Error = UpstreamBroken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamBroken>>> {
        let this = self.get_mut();
        if let Some(pace) = &mut this.pace {
            ready!(pace.next.as_mut().poll(cx));
            let due: Instant = pace.next.deadline() + pace.each;
            pace.next.as_mut().reset(due);
        }
        match this.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(Frame::data(frame)))),
            None if this.breaks_off => {
                this.breaks_off = false;
                Poll::Ready(Some(Err(UpstreamBroken::Connection)))
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && !self.breaks_off
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.pace, self.frames.front()) {
            (None, Some(document)) => SizeHint::with_exact(document.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
