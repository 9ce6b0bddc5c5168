//! A tap that the meter and the layer that feeds it hold together.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tachograph_record::{Reading, Tap};

/// A [`Tap`] held by two: the meter asks it whether content was seen and what was read, and either the meter or a layer
/// below feeds it. A layer below does so where it alters the answer (translates it, hides a frame): the tap then reads
/// what the provider sent, while the clocks and the capture follow what the client gets.
///
/// Both sides live in one task, so the lock is never contended.
#[derive(Clone)]
pub struct SharedTap {
    state: Arc<Mutex<State>>,
    fed_below: bool,
}

struct State {
    tap: Box<dyn Tap>,
    seen: Seen,
    read: Option<Reading>,
}

/// What was seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Content: text, a tool call, reasoning.
    pub content: bool,
    /// The terminal event.
    pub settled: bool,
}

impl SharedTap {
    /// A tap that a layer below the meter feeds, with [`feed`](Self::feed).
    #[must_use]
    pub fn new(tap: Box<dyn Tap>) -> Self {
        Self { state: Arc::new(Mutex::new(State { tap, seen: Seen::default(), read: None })), fed_below: true }
    }

    pub(crate) fn fed_by_the_meter(tap: Box<dyn Tap>) -> Self {
        Self { fed_below: false, ..Self::new(tap) }
    }

    /// Looks at a piece of the provider's answer. Call it before the bytes made from the piece are handed on.
    pub fn feed(&self, piece: &Bytes) {
        let mut state = self.lock();
        let content = state.tap.see(piece);
        let settled = state.tap.settled();
        state.seen.content |= content;
        state.seen.settled |= settled;
    }

    /// A look at a piece the client gets: the meter's, or that of a layer which keeps what was seen beside the piece.
    #[must_use]
    pub fn see(&self, piece: &Bytes) -> Seen {
        if !self.fed_below {
            self.feed(piece);
        }
        self.lock().seen
    }

    /// Whether content was seen in what came so far.
    #[must_use]
    pub fn has_content(&self) -> bool {
        // A tap that is fed elsewhere, as a translator's, says it whatever it is shown.
        self.feed(&Bytes::new());
        self.lock().seen.content
    }

    /// Whether the answer, of which no more will come, got to its end or told of an error itself.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let mut state = self.lock();
        let read = state.tap.finish();
        let ended = read.ended || read.error.is_some();
        state.read = Some(read);
        ended
    }

    /// What was read, once no more bytes will come; it may be asked again.
    #[must_use]
    pub fn reading(&self) -> Reading {
        let mut state = self.lock();
        let State { tap, read, .. } = &mut *state;
        read.get_or_insert_with(|| tap.finish()).clone()
    }

    /// What was read, once no more bytes will come.
    #[must_use]
    pub fn finish(&self) -> Reading {
        let mut state = self.lock();
        state.read.take().unwrap_or_else(|| state.tap.finish())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A tap that panicked has read what it has read; the record is still wanted.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
