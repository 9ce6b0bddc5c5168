//! What becomes of records.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use serde::Serialize;
use tachograph_record::Timestamp;
use tachograph_spool::{Spool, SpoolState};
use tachograph_telemetry::Figure;

/// What becomes of records, for health.
pub struct Gauges {
    spool: Spool,
    stored: AtomicU64,
    refused: AtomicU64,
    unreadable: AtomicU64,
    lost: AtomicU64,
    interrupted: AtomicU64,
    failing: AtomicU64,
    complete_to: AtomicI64,
}

/// The state of the record keeping of one gateway.
#[derive(Clone, Debug, Serialize)]
pub struct LogHealth {
    /// The gateway, by its spool's id.
    pub gateway: String,
    /// The store has every record of this gateway up to this moment (µs since the epoch).
    pub complete_to: i64,
    /// The number up to which there is no gap.
    pub complete_to_number: u64,
    /// How far the store is behind, in seconds.
    pub lag_seconds: u64,
    /// Entries on disk that the store does not have yet.
    pub queue_depth: u64,
    /// Bytes of the spool on disk.
    pub spool_bytes: u64,
    /// Whether the spool takes no more: it is at its limit, or the disk is full or failing.
    pub spool_full: bool,
    /// Records that wait in memory because it is full.
    pub waiting: usize,
    /// Records that were lost because it was full. 0 when all is well.
    pub dropped: u64,
    /// Damaged blocks and refused records that were put aside. 0 when all is well.
    pub quarantined: u64,
    /// Records stored by this process.
    pub stored: u64,
    /// Calls that were under way when a process before this one died.
    pub interrupted: u64,
    /// How often in a row the store has not taken the batch that is being written; 0 when all is well.
    pub store_failures_in_a_row: u64,
}

impl Gauges {
    pub(crate) fn new(spool: Spool) -> Self {
        let zero = AtomicU64::default;
        Self {
            spool,
            stored: zero(),
            refused: zero(),
            unreadable: zero(),
            lost: zero(),
            interrupted: zero(),
            failing: zero(),
            complete_to: AtomicI64::new(0),
        }
    }

    /// Entries that are not stored yet.
    #[must_use]
    pub fn queued(&self) -> u64 {
        let state = self.spool.state();
        state.next.saturating_sub(state.acknowledged) + state.waiting as u64
    }

    /// Records stored by this process.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// Records lost because the spool was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.spool.state().dropped + self.lost.load(Ordering::Relaxed)
    }

    /// How often in a row the store has not taken the batch that is being written; 0 when all is well.
    #[must_use]
    pub fn failures_in_a_row(&self) -> u64 {
        self.failing.load(Ordering::Relaxed)
    }

    /// The state of the spool.
    #[must_use]
    pub fn spool(&self) -> SpoolState {
        self.spool.state()
    }

    /// All of it.
    #[must_use]
    pub fn health(&self) -> LogHealth {
        let (state, now) = (self.spool.state(), Timestamp::now().micros());
        let queue_depth = self.queued();
        // With nothing left to store it is complete up to now.
        let complete_to = if queue_depth == 0 { now } else { self.complete_to.load(Ordering::Relaxed) };
        let aside = self.refused.load(Ordering::Relaxed) + self.unreadable.load(Ordering::Relaxed);
        LogHealth {
            gateway: self.spool.id().to_string(),
            complete_to,
            complete_to_number: state.acknowledged.saturating_sub(1),
            lag_seconds: u64::try_from((now - complete_to) / 1_000_000).unwrap_or(0),
            queue_depth,
            spool_bytes: state.bytes,
            spool_full: state.full,
            waiting: state.waiting,
            dropped: self.dropped(),
            quarantined: state.quarantined + aside,
            stored: self.stored(),
            interrupted: self.interrupted.load(Ordering::Relaxed),
            store_failures_in_a_row: self.failures_in_a_row(),
        }
    }

    /// Whether this process can serve, with the state of its record keeping. One that can serve is ready, whatever the state
    /// of its store: to take it out of service would make an outage of the store one of the calls.
    #[must_use]
    pub fn readiness(&self) -> serde_json::Value {
        let health = self.health();
        let store = if health.store_failures_in_a_row == 0 { "ok" } else { "not_taking_records" };
        let spool = if health.spool_full { "full" } else { "ok" };
        serde_json::json!({ "ready": true, "store": store, "spool": spool, "records": health })
    }

    /// The same for Prometheus.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        let health = self.health();
        let figure = |name, help, counts, value| Figure { name, help, counts, value };
        vec![
            figure("queue_records", "Entries on disk that the store does not have yet", false, health.queue_depth),
            figure("queue_waiting_records", "Records that wait in memory for the disk", false, health.waiting as u64),
            figure("queue_lag_seconds", "How far the store is behind", false, health.lag_seconds),
            figure("queue_full", "1 while the spool takes no more", false, health.spool_full.into()),
            figure("spool_bytes", "Bytes of the spool on disk", false, health.spool_bytes),
            figure("records_stored", "Records stored by this process", true, health.stored),
            figure("records_dropped", "Records lost because the spool was full", true, health.dropped),
            figure("records_quarantined", "Damaged and refused records that were put aside", true, health.quarantined),
            figure("records_interrupted", "Calls that a dead process left under way", true, health.interrupted),
            figure("store_failures", "How often in a row the store refused", false, health.store_failures_in_a_row),
        ]
    }

    pub(crate) fn wrote(&self, records: usize) {
        self.stored.fetch_add(records as u64, Ordering::Relaxed);
        self.failing.store(0, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failing.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn cannot_read(&self) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn interrupt(&self, calls: usize) {
        self.interrupted.fetch_add(calls as u64, Ordering::Relaxed);
    }

    pub(crate) fn complete(&self, to: i64) {
        self.complete_to.fetch_max(to, Ordering::Relaxed);
    }
}
