//! A stored answer as a body.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::Answer;

/// Hands out a stored answer piece by piece, at once or as it once came.
pub struct Replay {
    answer: Arc<Answer>,
    next: usize,
    pace: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Replay {
    /// All of it as soon as it is asked for.
    #[must_use]
    pub const fn at_once(answer: Arc<Answer>) -> Self {
        Self { answer, next: 0, pace: None }
    }

    /// Each piece as long after now as it came after its request.
    #[must_use]
    pub fn paced(answer: Arc<Answer>) -> Self {
        let now = Instant::now();
        Self { answer, next: 0, pace: Some((now, Box::pin(sleep_until(now)))) }
    }
}

impl Body for Replay {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let Some(piece) = this.answer.pieces.get(this.next) else { return Poll::Ready(None) };
        if let Some((began, sleep)) = &mut this.pace {
            let due = *began + Duration::from_micros(piece.at_us);
            if sleep.deadline() != due {
                sleep.as_mut().reset(due);
            }
            ready!(sleep.as_mut().poll(cx));
        }
        this.next += 1;
        Poll::Ready(Some(Ok(Frame::data(piece.data.clone()))))
    }

    fn is_end_stream(&self) -> bool {
        self.next >= self.answer.pieces.len()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.answer.pieces.iter().skip(self.next).map(|piece| piece.data.len() as u64);
        SizeHint::with_exact(left.sum())
    }
}
