//! Appending: idempotent, all or nothing, from many at once.

use std::sync::Arc;

use bytes::Bytes;
use tachograph_record::{Body, LogRecord, OrgId, RecordId};
use tachograph_store::{Filter, Row, Search, Store, StoreError, StoredRecord};

use crate::backend::with_each;
use crate::oracle;
use crate::sample::{Dice, full, plain};

async fn everything(store: &Arc<dyn Store>, org: OrgId) -> Vec<Row> {
    let search = Search::new(org, Filter::default());
    store.search(&search).await.unwrap().rows
}

fn some(org: OrgId, count: i64) -> Vec<LogRecord> {
    (0..count).map(|at| plain(org, at)).collect()
}

#[tokio::test]
async fn a_batch_may_be_sent_again() {
    with_each(async |_, store| {
        let org = OrgId::generate();
        let batch = some(org, 10);
        assert_eq!(store.append(&batch[..6]).await.unwrap(), 6);
        assert_eq!(store.append(&batch[..6]).await.unwrap(), 0);
        assert_eq!(store.append(&batch[3..]).await.unwrap(), 4);
        assert_eq!(store.append(&[]).await.unwrap(), 0);
        let expected: Vec<Row> = batch.iter().rev().map(Row::from).collect();
        assert_eq!(everything(&store, org).await, expected);
    })
    .await;
}

#[tokio::test]
async fn the_first_record_of_an_id_stays() {
    with_each(async |_, store| {
        let org = OrgId::generate();
        let mut first = plain(org, 1);
        first.response = Body::capture(&Bytes::from_static(b"first"), 100);
        let mut second = plain(org, 2);
        second.id = first.id;
        second.asked.body = Body::capture(&Bytes::from_static(b"second"), 100);
        second.response = Body::capture(&Bytes::from_static(b"another"), 100);

        assert_eq!(store.append(&[first.clone(), second.clone(), first.clone()]).await.unwrap(), 1);
        assert_eq!(store.append(&[second]).await.unwrap(), 0);
        assert_eq!(store.fetch(org, first.id).await.unwrap(), Some(StoredRecord::from(&first)));
        assert_eq!(everything(&store, org).await, [Row::from(&first)]);
    })
    .await;
}

#[tokio::test]
async fn one_id_in_two_organisations_is_two_rows() {
    with_each(async |_, store| {
        let (mine, theirs) = (plain(OrgId::generate(), 1), plain(OrgId::generate(), 2));
        let theirs = LogRecord { id: mine.id, ..theirs };
        assert_eq!(store.append(&[mine.clone(), theirs.clone()]).await.unwrap(), 2);
        for record in [mine, theirs] {
            let fetched = store.fetch(record.asked.org, record.id).await.unwrap();
            assert_eq!(fetched, Some(StoredRecord::from(&record)));
        }
    })
    .await;
}

#[tokio::test]
async fn all_of_a_batch_or_none() {
    with_each(async |backend, store| {
        if !backend.lasts() {
            return;
        }
        let org = OrgId::generate();
        let mut batch = some(org, 50);
        batch[49].asked.path = "/refused".into();
        batch[20].response = Body::capture(&Bytes::from_static(b"seven b"), 100);
        backend
            .tamper(
                "CREATE TRIGGER refuse BEFORE INSERT ON requests WHEN NEW.path = '/refused' \
                 BEGIN SELECT RAISE(ABORT, 'refused'); END",
                "ALTER TABLE requests ADD CONSTRAINT refuse CHECK (path <> '/refused')",
            )
            .await;
        assert!(matches!(store.append(&batch).await, Err(StoreError::Failed(_))), "{}", backend.name);
        assert_eq!(everything(&store, org).await, []);

        let swap = ("DROP TRIGGER refuse", "ALTER TABLE requests DROP CONSTRAINT refuse");
        backend.tamper(swap.0, swap.1).await;
        // The rows of this batch are written, and then a body is refused.
        backend
            .tamper(
                "CREATE TRIGGER refuse BEFORE INSERT ON bodies WHEN NEW.raw_len = 7 \
                 BEGIN SELECT RAISE(ABORT, 'refused'); END",
                "ALTER TABLE bodies ADD CONSTRAINT refuse CHECK (raw_len <> 7)",
            )
            .await;
        assert!(matches!(store.append(&batch).await, Err(StoreError::Failed(_))), "{}", backend.name);
        assert_eq!(everything(&store, org).await, []);
        assert_eq!(store.fetch(org, batch[0].id).await.unwrap(), None);

        backend.tamper("DROP TRIGGER refuse", "ALTER TABLE bodies DROP CONSTRAINT refuse").await;
        assert_eq!(store.append(&batch).await.unwrap(), 50);
    })
    .await;
}

/// Rows that several write at once, in opposite orders: none fails, none waits for ever, each row is new exactly once.
#[tokio::test(flavor = "multi_thread")]
async fn many_may_append_the_same_at_once() {
    with_each(async |backend, store| {
        let other = if backend.lasts() { backend.open().await } else { Arc::clone(&store) };
        for round in 0..5 {
            let org = OrgId::generate();
            let mut dice = Dice(round);
            let records: Vec<LogRecord> = (0..500).map(|_| full(&mut dice, org)).collect();
            let mut writers = tokio::task::JoinSet::new();
            for writer in 0..6 {
                let store = Arc::clone(if writer % 2 == 0 { &store } else { &other });
                let mut batch = records[writer * 20..400 + writer * 20].to_vec();
                if writer % 3 == 0 {
                    batch.reverse();
                }
                writers.spawn(async move { store.append(&batch).await.unwrap() });
            }
            assert_eq!(writers.join_all().await.into_iter().sum::<usize>(), 500);
            let mut expected: Vec<Row> = records.iter().map(Row::from).collect();
            expected.sort_by_key(|row| std::cmp::Reverse(oracle::cursor(row)));
            assert_eq!(everything(&store, org).await, expected);
        }
        if backend.lasts() {
            other.close().await.unwrap();
        }
    })
    .await;
}

/// On a slow server two batches surely overlap; in opposite orders each would hold what the other waits for.
#[tokio::test]
async fn batches_in_opposite_orders_do_not_deadlock() {
    with_each(async |backend, store| {
        if backend.lasts() {
            let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
                        'BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END'; \
                        CREATE TRIGGER slow BEFORE INSERT ON requests FOR EACH ROW EXECUTE FUNCTION slow()";
            backend.tamper("SELECT 'its one writer cannot overlap with itself'", slow).await;
        }
        let org = OrgId::generate();
        let forth = some(org, 20);
        let back: Vec<LogRecord> = forth.iter().rev().cloned().collect();
        let (first, second) = tokio::join!(store.append(&forth), store.append(&back));
        assert_eq!(first.unwrap() + second.unwrap(), 20);
    })
    .await;
}

#[tokio::test]
async fn a_batch_may_be_larger_than_one_statement() {
    with_each(async |_, store| {
        let org = OrgId::generate();
        let mut batch = some(org, 5_000);
        for record in batch.iter_mut().take(40) {
            let incompressible: Vec<u8> = (0..1 << 20).scan(Dice(1), |dice, _| Some(dice.roll() as u8)).collect();
            record.response = Body::capture(&incompressible.into(), usize::MAX);
        }
        assert_eq!(store.append(&batch).await.unwrap(), 5_000);
        let last: RecordId = batch[39].id;
        assert_eq!(store.fetch(org, last).await.unwrap(), Some(StoredRecord::from(&batch[39])));
        assert_eq!(store.totals(org, &Filter::default()).await.unwrap().requests, 5_000);
    })
    .await;
}
