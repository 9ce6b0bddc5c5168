//! What is too old goes, with all that stands beside it, and nothing else.

use bytes::Bytes;
use tachograph_record::{Body, LogRecord, OrgId, Timestamp};
use tachograph_store::{Expired, Expiry, Filter, Mark, MarkKind, Marked, Store};

use crate::backend::{Place, with_each};
use crate::sample::{Dice, plain};

const DAY: i64 = 86_400_000_000;

fn call(dice: &mut Dice, org: OrgId, at: i64) -> LogRecord {
    let mut record = plain(org, at);
    let noise: Vec<u8> = (0..6_000).map(|_| dice.roll() as u8).collect();
    record.asked.body = Body::capture(&Bytes::from(noise), usize::MAX);
    record.response = Body::capture(&Bytes::from_static(b"an answer"), usize::MAX);
    record
}

async fn sweep(store: &dyn Store, expiry: Expiry) -> Expired {
    let mut all = Expired::default();
    for _ in 0..1_000 {
        let gone = store.expire(&expiry).await.unwrap();
        if gone.is_nothing() {
            return all;
        }
        all.rows += gone.rows;
        all.bodies += gone.bodies;
    }
    panic!("there is no end to it");
}

#[tokio::test]
async fn rows_and_bodies_go_when_their_time_is_over() {
    with_each(async |backend, store| {
        let (mut dice, one, other) = (Dice(8), OrgId::generate(), OrgId::generate());
        let records: Vec<_> =
            (0..1_200).map(|at| call(&mut dice, if at % 3 == 0 { other } else { one }, at * DAY / 100)).collect();
        store.append(&records).await.unwrap();
        let mark = |record: &LogRecord| Mark {
            on: Marked::Request(record.id),
            kind: MarkKind::Tag,
            name: "kept".into(),
            text: None,
            micro: None,
            at: Timestamp::from_micros(1),
            key: None,
        };
        for record in [&records[1], &records[1_001]] {
            store.put_marks(one, &[mark(record)]).await.unwrap();
        }
        let size = || match &backend.place {
            Place::Directory(directory) => std::fs::metadata(directory.join("tachograph.db")).unwrap().len(),
            Place::Memory | Place::Database { .. } => 0,
        };

        assert_eq!(sweep(&*store, Expiry::default()).await, Expired::default(), "nothing has an end");
        let moment = |day: i64| Some(Timestamp::from_micros(day * DAY));
        let gone = sweep(&*store, Expiry { rows: moment(3), bodies: moment(9) }).await;
        assert_eq!(gone, Expired { rows: 300, bodies: 1_200, chunks: 0 }, "{}", backend.name);
        for (at, record) in records.iter().enumerate() {
            let held = store.fetch(record.asked.org, record.id).await.unwrap();
            assert_eq!(held.is_some(), at >= 300);
            if let Some(held) = held {
                assert_eq!(held.request.is_empty(), at < 900);
                assert_eq!(held.response.is_empty(), at < 900);
                assert_eq!(held.row.request_body.len, 6_000, "how long it was stays known");
            }
        }
        let counted = [one, other].map(async |org| store.totals(org, &Filter::default()).await.unwrap().requests);
        let [ours, theirs] = counted;
        assert_eq!(ours.await + theirs.await, 900);
        let marks = store.marks(one, &[records[1].id, records[1_001].id]).await.unwrap();
        assert_eq!(marks.keys().collect::<Vec<_>>(), [&records[1_001].id]);

        // A row that comes late is let go of by the next sweep.
        store.append(std::slice::from_ref(&records[5])).await.unwrap();
        let full = size();
        let gone = sweep(&*store, Expiry { rows: moment(400), bodies: moment(400) }).await;
        assert_eq!(gone.rows, 901);
        // Disk goes back to the system at the next checkpoint, which closing makes.
        store.close().await.unwrap();
        assert!(full == 0 || size() < full / 4, "{full} bytes became {}", size());
    })
    .await;
}
