//! Whether a record is safe.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// What a [`RecordSink`](crate::RecordSink) gives for a record: the end of the call's answer is handed to the client only
/// once the record is kept, so that a client that saw the end can rely on the row.
pub struct Receipt(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Receipt {
    /// The record is kept, or the sink promises nothing: no end waits for it.
    #[must_use]
    pub const fn kept() -> Self {
        Self(None)
    }

    /// The record is kept once this is done. It must end in any case: an answer's end waits for it.
    #[must_use]
    pub fn when(kept: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(Box::pin(kept)))
    }

    /// Kept once both are.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self.0, other.0) {
            (None, one) | (one, None) => Self(one),
            (Some(first), Some(second)) => Self::when(async move {
                first.await;
                second.await;
            }),
        }
    }

    /// Whether the record is kept already.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        self.0.is_none()
    }
}

impl Future for Receipt {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(kept) = &mut self.0 {
            ready!(kept.as_mut().poll(cx));
            self.0 = None;
        }
        Poll::Ready(())
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_kept() { "Receipt(kept)" } else { "Receipt(pending)" })
    }
}
