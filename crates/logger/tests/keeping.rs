//! The logger against a store that is slow, gone, or will not take a row, and against its own death.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic; helpers of a test are the test")]

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tachograph_logger::{Logger, ToStore};
use tachograph_record::{
    Asked, Body, Control, CostState, KeyId, LogRecord, OrgId, Outcome, Reading, RecordId, Timestamp, Timing,
};
use tachograph_spool::{Options, WhenFull};
use tachograph_store::{Filter, KeyRow, Page, Search, Store, StoreError, StoreFuture, StoredRecord, Totals};
use tachograph_telemetry::{RecordSink, Trip};

#[derive(Default)]
struct Fickle {
    rows: Mutex<Vec<RecordId>>,
    records: Mutex<Vec<LogRecord>>,
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
            self.records.lock().unwrap().extend(batch.iter().cloned());
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

/// A directory for a spool, cleared away when it is dropped.
struct Dir(std::path::PathBuf);

impl Dir {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("tachograph-logger-{}", RecordId::generate())))
    }

    fn options(&self) -> Options {
        Options::new(self.0.join("spool"))
    }

    fn start(&self, store: &Arc<Fickle>) -> Logger {
        Logger::start(self.options(), Arc::new(ToStore::new(store.clone()))).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn accept(logger: &Logger, records: usize) {
    (0..records).for_each(|_| assert!(logger.intake().accept(record()).is_kept()));
}

#[tokio::test]
async fn records_arrive_once_each_in_order_and_in_batches() {
    let (store, dir) = (Arc::new(Fickle::default()), Dir::new());
    let mut logger = dir.start(&store);
    let sent: Vec<RecordId> =
        (0..2_500).map(|_| record()).map(|record| (record.id, logger.intake().accept(record)).0).collect();
    assert_eq!(logger.finish(Duration::from_secs(10)).await, 0);
    assert_eq!(*store.rows.lock().unwrap(), sent);
    assert!(store.batches.lock().unwrap().iter().all(|&batch| batch <= 1_000));
    let health = logger.intake().gauges().health();
    assert_eq!((health.stored, health.queue_depth, health.complete_to_number), (2_500, 0, 2_500));
    assert_eq!((health.dropped, health.quarantined, health.lag_seconds), (0, 0, 0));
}

#[tokio::test]
async fn a_store_that_is_gone_costs_no_record_and_a_dead_logger_neither() {
    let (store, dir) = (Arc::new(Fickle::default()), Dir::new());
    store.gone.store(true, Ordering::Relaxed);
    let mut logger = dir.start(&store);
    accept(&logger, 50);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(logger.intake().gauges().failures_in_a_row() > 0, "it keeps trying");
    assert_eq!(logger.finish(Duration::from_millis(100)).await, 50, "what could not be stored is said");
    assert!(store.rows.lock().unwrap().is_empty());

    // As after a crash: another process finds what the first left.
    let mut logger = dir.start(&store);
    accept(&logger, 5);
    store.gone.store(false, Ordering::Relaxed);
    assert_eq!(logger.finish(Duration::from_secs(20)).await, 0);
    assert_eq!(store.rows.lock().unwrap().len(), 55);
    assert_eq!(logger.intake().gauges().failures_in_a_row(), 0);
}

#[tokio::test]
async fn one_row_that_is_refused_takes_no_other_with_it_and_is_put_aside() {
    let (store, dir) = (Arc::new(Fickle::default()), Dir::new());
    let poison = record();
    let id = poison.id;
    store.refuses.lock().unwrap().insert(id);
    let mut logger = dir.start(&store);
    accept(&logger, 20);
    drop(logger.intake().accept(poison));
    accept(&logger, 20);
    assert_eq!(logger.finish(Duration::from_secs(60)).await, 0);
    let health = logger.intake().gauges().health();
    assert_eq!((store.rows.lock().unwrap().len(), health.quarantined, health.dropped), (40, 1, 0));
    let aside = std::fs::read(dir.0.join(format!("spool/quarantine/{id}.record"))).unwrap();
    assert_eq!(LogRecord::decode(&aside.into()).unwrap().id, id);
}

#[tokio::test]
async fn a_call_under_way_at_the_death_of_the_process_is_found_as_interrupted() {
    let (store, dir) = (Arc::new(Fickle::default()), Dir::new());
    let trip = |path: &str| {
        let (id, method) = (RecordId::generate(), http::Method::POST);
        let trip = Trip::begin(id, Timestamp::now(), method, path.parse().unwrap());
        let body = Body::capture(&bytes::Bytes::from(vec![b'q'; 100_000]), usize::MAX);
        trip.asked(Asked { path: path.to_owned(), body, ..Asked::default() });
        trip
    };
    let lost = trip("/under-way");
    {
        let logger = dir.start(&store);
        logger.intake().begun(&lost);
        let gauges = logger.intake().gauges().clone();
        while gauges.spool().next < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Others come and go meanwhile, and what was read is acknowledged.
        accept(&logger, 10);
        while gauges.stored() < 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        accept(&logger, 1);
        // Dropped, not finished: as by `kill -9`. The lock goes with the process, here with the directory's copy.
        let copy = dir.0.join("copy");
        std::fs::create_dir_all(&copy).unwrap();
        for file in std::fs::read_dir(dir.0.join("spool")).unwrap().map(|file| file.unwrap()) {
            if file.file_type().unwrap().is_file() && file.file_name() != "lock" {
                std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
            }
        }
    }
    let after = Arc::new(Fickle::default());
    let destination = Arc::new(ToStore::new(after.clone()));
    let mut logger = Logger::start(Options::new(dir.0.join("copy")), destination).unwrap();
    assert_eq!(logger.finish(Duration::from_secs(20)).await, 0);
    let found = after.records.lock().unwrap().iter().find(|record| record.id == lost.id()).cloned().unwrap();
    assert_eq!((found.outcome, found.asked.path.as_str()), (Outcome::Interrupted, "/under-way"));
    assert_eq!(found.asked.body.bytes().len(), 100_000);
    assert!(found.timing.end_us > 0);
    assert_eq!(logger.intake().gauges().health().interrupted, 1);
    // And only once.
    let again = Arc::new(Fickle::default());
    let destination = Arc::new(ToStore::new(again.clone()));
    let mut logger = Logger::start(Options::new(dir.0.join("copy")), destination).unwrap();
    assert_eq!(logger.finish(Duration::from_secs(20)).await, 0);
    assert!(again.rows.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_full_spool_holds_up_the_receipt_and_loses_nothing() {
    let (store, dir) = (Arc::new(Fickle::default()), Dir::new());
    store.gone.store(true, Ordering::Relaxed);
    let options = Options { max_bytes: 256 << 10, when_full: WhenFull::Block, ..dir.options() };
    let mut logger = Logger::start(options, Arc::new(ToStore::new(store.clone()))).unwrap();
    let (mut waiting, mut sent) = (Vec::new(), 0);
    while waiting.len() < 20 {
        let receipt = logger.intake().accept(record());
        sent += 1;
        if !receipt.is_kept() {
            waiting.push(receipt);
        }
    }
    assert!(logger.intake().gauges().health().spool_full);
    store.gone.store(false, Ordering::Relaxed);
    for receipt in waiting {
        tokio::time::timeout(Duration::from_secs(20), receipt).await.unwrap();
    }
    assert_eq!(logger.finish(Duration::from_secs(20)).await, 0);
    let health = logger.intake().gauges().health();
    assert_eq!((store.rows.lock().unwrap().len(), health.dropped, health.spool_full), (sent, 0, false));
}
