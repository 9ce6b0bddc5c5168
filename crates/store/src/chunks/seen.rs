//! What a writer remembers of chunks.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

/// Chunks that are remembered; the oldest are forgotten first. (Some 10 MB.)
const MOST: usize = 100_000;

/// Where a chunk is kept: organisation, day, hash.
pub(crate) type ChunkKey = (Uuid, i64, Uuid);

/// The chunks that were seen lately, and which of them are known to be in the store.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Held>);

#[derive(Default)]
struct Held {
    chunks: HashMap<ChunkKey, bool>,
    order: VecDeque<ChunkKey>,
}

impl Seen {
    /// Remembers a chunk. Returns whether it was remembered already.
    pub(crate) fn see(&self, key: ChunkKey) -> bool {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.chunks.contains_key(&key) {
            return true;
        }
        if held.order.len() >= MOST
            && let Some(oldest) = held.order.pop_front()
        {
            held.chunks.remove(&oldest);
        }
        held.chunks.insert(key, false);
        held.order.push_back(key);
        false
    }

    /// Whether a chunk is known to be in the store.
    pub(crate) fn is_stored(&self, key: &ChunkKey) -> bool {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.chunks.get(key).copied().unwrap_or(false)
    }

    /// Remembers that chunks are in the store: once the transaction that wrote them is over, and not before.
    pub(crate) fn stored(&self, keys: &[ChunkKey]) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            if let Some(stored) = held.chunks.get_mut(key) {
                *stored = true;
            }
        }
    }

    /// Forgets the chunks of days before this.
    pub(crate) fn forget_before(&self, day: i64) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Held { chunks, order } = &mut *held;
        order.retain(|key| {
            let kept = key.1 >= day;
            if !kept {
                chunks.remove(key);
            }
            kept
        });
    }
}
