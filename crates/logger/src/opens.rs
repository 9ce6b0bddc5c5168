//! Calls under way, so that one that is under way when the process dies is on record all the same.
//!
//! A call that is over within [`YOUNG`] costs a place in a queue and nothing else. One that lasts longer, as calls of
//! models do, is written to the spool with what is known of it; the entry of its end takes that one's place later.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tachograph_spool::Spool;
use tachograph_telemetry::Trip;
use tokio::sync::Notify;

use crate::entry;

/// A call younger than this is not written yet: if the process dies now, nothing tells of it.
const YOUNG: Duration = Duration::from_millis(10);
/// A call whose request is still being read is written with what its head says after so long.
const UNREAD: Duration = Duration::from_secs(2);
/// Calls that can wait to be written. Beyond these a call is not written before its end.
const MOST: usize = 65_536;

#[derive(Default)]
pub(crate) struct Opens {
    young: Mutex<VecDeque<Trip>>,
    begun: Notify,
}

impl Opens {
    pub(crate) fn push(&self, trip: &Trip) {
        let mut young = self.young.lock().unwrap_or_else(PoisonError::into_inner);
        let first = young.is_empty();
        if young.len() < MOST {
            young.push_back(trip.clone());
        }
        drop(young);
        if first {
            self.begun.notify_one();
        }
    }

    /// Writes calls as they grow old enough, for ever.
    pub(crate) async fn run(&self, spool: &Spool) {
        let mut unread = Vec::new();
        loop {
            if unread.is_empty() {
                self.begun.notified().await;
            }
            tokio::time::sleep(YOUNG).await;
            let mut rest = Vec::new();
            for trip in unread.drain(..).chain(self.grown()) {
                if let Some(waiting) = write(trip, spool) {
                    rest.push(waiting);
                }
            }
            unread = rest;
            if !self.young.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                self.begun.notify_one();
            }
        }
    }

    /// The calls that are old enough and not over.
    fn grown(&self) -> Vec<Trip> {
        let young_us = u64::try_from(YOUNG.as_micros()).unwrap_or(u64::MAX);
        let mut young = self.young.lock().unwrap_or_else(PoisonError::into_inner);
        let old = young.iter().take_while(|trip| trip.elapsed_us() >= young_us).count();
        young.drain(..old).filter(|trip| !trip.is_closed()).collect()
    }
}

/// Writes a call under way, or gives it back where its request is still being read.
fn write(trip: Trip, spool: &Spool) -> Option<Trip> {
    let old = Duration::from_micros(trip.elapsed_us()) >= UNREAD;
    if !trip.was_asked() && !old && !trip.is_closed() {
        return Some(trip);
    }
    // Under the trip's own lock: the entry of its end can only come behind this one.
    trip.while_open(|record| {
        if let Some(entry) = entry::opened(&record) {
            drop(spool.append(entry));
        }
    });
    None
}
