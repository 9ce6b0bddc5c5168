//! What is reserved for calls under way, until their records tell how they ended.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tachograph_ratelimit::Reservation;
use tachograph_record::{OrgId, RecordId};

const SHARDS: usize = 32;

type Shard = Mutex<HashMap<(OrgId, RecordId), Vec<Reservation>>>;

/// Reservations by call. An id is a caller's to choose, so two calls may have the same at a time.
pub(super) struct OpenCalls([Shard; SHARDS]);

impl Default for OpenCalls {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl OpenCalls {
    fn shard(&self, id: RecordId) -> &Shard {
        let last = id.uuid().as_bytes()[15];
        &self.0[usize::from(last) % SHARDS]
    }

    pub(super) fn put(&self, org: OrgId, id: RecordId, reservation: Reservation) {
        if !reservation.is_nothing() {
            let mut shard = self.shard(id).lock().unwrap_or_else(PoisonError::into_inner);
            shard.entry((org, id)).or_default().push(reservation);
        }
    }

    pub(super) fn take(&self, org: OrgId, id: RecordId) -> Option<Reservation> {
        let mut shard = self.shard(id).lock().unwrap_or_else(PoisonError::into_inner);
        let held = shard.get_mut(&(org, id))?;
        let one = held.pop();
        if held.is_empty() {
            shard.remove(&(org, id));
        }
        one
    }
}
