//! How a shared or stored answer is read for the record.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tachograph_cache::{Answer, Watch};
use tachograph_record::{CacheStatus, CacheVerdict, Money, Reading, RecordId, Tap, UsageReading};
use tachograph_telemetry::{Seen, SharedTap, Trip};

use crate::answer::AnswerBody;

const CONTENT: u8 = 1;
const SETTLED: u8 = 2;

/// What was seen when a piece came, to be kept beside it.
pub(super) const fn mark(seen: Seen) -> u8 {
    (if seen.content { CONTENT } else { 0 }) | (if seen.settled { SETTLED } else { 0 })
}

/// What is kept of a call beside its answer.
#[derive(Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) source: RecordId,
    pub(super) saved: Option<Money>,
    pub(super) provider: Option<Arc<str>>,
    pub(super) provider_model: Option<String>,
    pub(super) reading: Reading,
}

/// A verdict with nothing to tell beside.
pub(super) const fn verdict(status: CacheStatus) -> CacheVerdict {
    CacheVerdict { status, source: None, saved: None, saved_us: None, bucket: None }
}

/// What was used was counted where the answer came from.
pub(super) fn without_usage(reading: Reading) -> Reading {
    Reading { usage: UsageReading::Absent, provider_cost: None, ..reading }
}

/// Reads a stored answer by the marks of its pieces.
pub(super) struct StoredTap {
    pub(super) answer: Arc<Answer>,
    pub(super) reading: Reading,
    pub(super) next: usize,
    pub(super) mark: u8,
}

impl Tap for StoredTap {
    fn see(&mut self, _piece: &Bytes) -> bool {
        if let Some(next) = self.answer.pieces.get(self.next) {
            self.mark |= next.mark;
            self.next += 1;
        }
        self.mark & CONTENT != 0
    }

    fn settled(&self) -> bool {
        self.mark & SETTLED != 0
    }

    fn finish(&mut self) -> Reading {
        let ended = self.next >= self.answer.pieces.len() || self.settled();
        Reading { ended, ..self.reading.clone() }
    }
}

/// Reads a call that others may share: for the one who answers for it as it is, for others without what was used.
pub(super) struct CallTap {
    pub(super) watch: Watch<AnswerBody>,
    pub(super) tap: Option<SharedTap>,
    pub(super) trip: Trip,
    /// The call that began it, where that is another.
    pub(super) joined: Option<RecordId>,
    pub(super) next: usize,
    pub(super) mark: u8,
}

impl Tap for CallTap {
    fn see(&mut self, _piece: &Bytes) -> bool {
        self.mark |= self.watch.mark(self.next);
        self.next += 1;
        self.mark & CONTENT != 0
    }

    fn settled(&self) -> bool {
        self.mark & SETTLED != 0
    }

    fn finish(&mut self) -> Reading {
        let reading = || match &self.tap {
            Some(tap) => tap.reading(),
            None => Reading { ended: self.watch.is_over(), ..Reading::default() },
        };
        if self.watch.pays() {
            self.watch.settle();
            if let Some(first) = self.joined {
                self.trip.cache(verdict(CacheStatus::Miss));
                self.trip.note(format!("took over the call of {first}, whose client had left"));
            }
            return reading();
        }
        if self.joined.is_none() {
            // Whoever stayed answers for the call now.
            self.trip.cache(verdict(CacheStatus::Joined));
        }
        let over = self.settled() || self.watch.is_over();
        without_usage(if over { reading() } else { Reading::default() })
    }
}
