//! Whether an entry is kept.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Tells when an entry is kept: written, and on the disk where the spool forces every entry there.
#[derive(Debug)]
pub struct Ticket(Option<Arc<Slot>>);

#[derive(Debug, Default)]
pub(crate) struct Slot(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    done: bool,
    waker: Option<Waker>,
}

impl Ticket {
    pub(crate) const KEPT: Self = Self(None);

    pub(crate) fn waiting() -> (Self, Arc<Slot>) {
        let slot = Arc::<Slot>::default();
        (Self(Some(slot.clone())), slot)
    }

    /// Whether the entry is kept already.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.0.as_ref().is_none_or(|slot| slot.lock().done)
    }
}

impl Future for Ticket {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(slot) = &self.0 else { return Poll::Ready(()) };
        let mut state = slot.lock();
        if state.done {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Slot {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn done(&self) {
        let mut state = self.lock();
        state.done = true;
        if let Some(waker) = state.waker.take() {
            drop(state);
            waker.wake();
        }
    }
}
