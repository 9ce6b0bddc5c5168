//! The writer against a store that is slow, gone, or will not take a row.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic; helpers of a test are the test")]

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tachograph_logger::{Limits, Logger};
use tachograph_record::{
    Asked, Body, Control, CostState, KeyId, LogRecord, OrgId, Outcome, Reading, RecordId, Timestamp, Timing,
};
use tachograph_store::{Filter, KeyRow, Page, Search, Store, StoreError, StoreFuture, StoredRecord, Totals};
use tachograph_telemetry::RecordSink;

#[derive(Default)]
struct Fickle {
    rows: Mutex<Vec<RecordId>>,
    batches: Mutex<Vec<usize>>,
    gone: AtomicBool,
    refuses: Mutex<HashSet<RecordId>>,
}

impl Store for Fickle {
    fn append<'a>(&'a self, batch: &'a [LogRecord]) -> StoreFuture<'a, usize> {
        Box::pin(async move {
            if self.gone.load(Ordering::Relaxed) {
                return Err(StoreError::Unreachable("gone".to_owned()));
            }
            if batch.iter().any(|record| self.refuses.lock().unwrap().contains(&record.id)) {
                return Err(StoreError::Failed("this row I will not take".to_owned()));
            }
            self.batches.lock().unwrap().push(batch.len());
            self.rows.lock().unwrap().extend(batch.iter().map(|record| record.id));
            Ok(batch.len())
        })
    }

    fn migrate(&self) -> StoreFuture<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn search<'a>(&'a self, _search: &'a Search) -> StoreFuture<'a, Page> {
        Box::pin(async { Ok(Page { rows: Vec::new(), next: None }) })
    }

    fn fetch(&self, _org: OrgId, _id: RecordId) -> StoreFuture<'_, Option<StoredRecord>> {
        Box::pin(async { Ok(None) })
    }

    fn totals<'a>(&'a self, _org: OrgId, _filter: &'a Filter) -> StoreFuture<'a, Totals> {
        Box::pin(async { Ok(Totals::default()) })
    }

    fn insert_key<'a>(&'a self, _key: &'a KeyRow) -> StoreFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn keys(&self) -> StoreFuture<'_, Vec<KeyRow>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn revoke_key(&self, _key: KeyId, _at: Timestamp) -> StoreFuture<'_, bool> {
        Box::pin(async { Ok(false) })
    }

    fn close(&self) -> StoreFuture<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

fn record() -> LogRecord {
    LogRecord {
        id: RecordId::generate(),
        asked: Asked { path: "/".to_owned(), ..Asked::default() },
        provider: None,
        provider_model: None,
        attempts: Vec::new(),
        status: Some(200),
        outcome: Outcome::Complete,
        error: None,
        timing: Timing {
            received_at: Timestamp::now(),
            upstream_sent_us: None,
            first_byte_us: None,
            first_token_us: None,
            end_us: 1,
        },
        reading: Reading::default(),
        cost: CostState::NoUsage,
        control: Control::default(),
        response: Body::default(),
    }
}

#[tokio::test(start_paused = true)]
async fn records_arrive_once_each_and_in_batches() {
    let store = Arc::new(Fickle::default());
    let mut logger = Logger::start(store.clone(), Limits { batch: 100, ..Limits::default() });
    let sent: Vec<RecordId> =
        (0..1_000).map(|_| record()).map(|record| (record.id, logger.intake().accept(record)).0).collect();
    assert_eq!(logger.finish(Duration::from_secs(10)).await, 0);
    assert_eq!(*store.rows.lock().unwrap(), sent);
    assert!(store.batches.lock().unwrap().iter().all(|&batch| batch <= 100));
    assert_eq!((logger.intake().gauges().stored(), logger.intake().gauges().queued()), (1_000, 0));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_gone_for_an_hour_costs_no_record() {
    let store = Arc::new(Fickle::default());
    store.gone.store(true, Ordering::Relaxed);
    let mut logger = Logger::start(store.clone(), Limits::default());
    (0..50).for_each(|_| drop(logger.intake().accept(record())));
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert!(logger.intake().gauges().failures_in_a_row() > 100, "it keeps trying");
    assert_eq!((store.rows.lock().unwrap().len(), logger.intake().gauges().dropped()), (0, 0));
    store.gone.store(false, Ordering::Relaxed);
    assert_eq!(logger.finish(Duration::from_secs(60)).await, 0);
    assert_eq!(store.rows.lock().unwrap().len(), 50);
    assert_eq!(logger.intake().gauges().failures_in_a_row(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_row_that_is_refused_takes_no_other_with_it() {
    let store = Arc::new(Fickle::default());
    let poison = record();
    store.refuses.lock().unwrap().insert(poison.id);
    let mut logger = Logger::start(store.clone(), Limits::default());
    (0..20).for_each(|_| drop(logger.intake().accept(record())));
    logger.intake().accept(poison);
    (0..20).for_each(|_| drop(logger.intake().accept(record())));
    assert_eq!(logger.finish(Duration::from_secs(3_600)).await, 0);
    assert_eq!((store.rows.lock().unwrap().len(), logger.intake().gauges().dropped()), (40, 1));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_the_newest_and_counts_it_and_nobody_waits() {
    let store = Arc::new(Fickle::default());
    store.gone.store(true, Ordering::Relaxed);
    let mut logger = Logger::start(store.clone(), Limits { records: 10, ..Limits::default() });
    (0..25).for_each(|_| drop(logger.intake().accept(record())));
    assert_eq!((logger.intake().gauges().queued(), logger.intake().gauges().dropped()), (10, 15));
    assert_eq!(logger.finish(Duration::from_secs(30)).await, 10, "what could not be stored is said");
    assert!(store.rows.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn bodies_count_against_the_bound_too() {
    let logger = Logger::start(Arc::new(Fickle::default()), Limits { bytes: 10_000, ..Limits::default() });
    let mut large = record();
    large.response = Body::capture(&vec![0; 20_000].into(), usize::MAX);
    logger.intake().accept(large);
    assert_eq!((logger.intake().gauges().queued(), logger.intake().gauges().dropped()), (0, 1));
}
