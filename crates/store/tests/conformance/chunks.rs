//! Bodies of conversations: kept in parts, given back whole, let go of with their day.

use bytes::Bytes;
use tachograph_record::{Body, LogRecord, OrgId, RecordId, Timestamp};
use tachograph_store::{Expiry, StoredRecord};

use crate::backend::with_each;
use crate::sample::plain;

const DAY: i64 = 86_400_000_000;
const START: i64 = 20_300 * DAY;

/// The requests of a conversation, a minute apart.
fn conversation(org: OrgId, turns: usize, from: i64) -> Vec<LogRecord> {
    let mut messages = vec![format!(r#"{{"role":"system","content":"{}"}}"#, "Be brief, be exact. ".repeat(300))];
    (0..turns)
        .map(|turn| {
            messages
                .push(format!(r#"{{"role":"user","content":"{}"}}"#, format!("question {turn} \\u0000 🦀").repeat(40)));
            let body = format!(r#"{{"model":"gpt-4o","messages":[{}],"stream":true}}"#, messages.join(", "));
            messages.push(format!(r#"{{"role":"assistant","content":"{}"}}"#, format!("answer {turn} ").repeat(90)));
            let mut record = plain(org, from + turn as i64 * 60_000_000);
            record.asked.body = Body::capture(&Bytes::from(body), 4 << 20);
            record.response = Body::capture(&Bytes::from(format!("answer {turn}")), 4 << 20);
            record
        })
        .collect()
}

#[tokio::test]
async fn bodies_of_conversations_come_back_byte_by_byte() {
    with_each(async |backend, store| {
        let org = OrgId::generate();
        // Over midnight, too.
        let records = conversation(org, 25, START + DAY - 12 * 60_000_000);
        for batch in records.chunks(4) {
            assert_eq!(store.append(batch).await.unwrap(), batch.len());
            assert_eq!(store.append(batch).await.unwrap(), 0);
        }
        // Another tenant's alike.
        let theirs = conversation(OrgId::generate(), 3, START + DAY);
        store.append(&theirs).await.unwrap();
        for record in records.iter().chain(&theirs) {
            let fetched = store.fetch(record.asked.org, record.id).await.unwrap().unwrap();
            assert_eq!(fetched, StoredRecord::from(record), "{}", backend.name);
        }
        let ids: Vec<RecordId> = records.iter().map(|record| record.id).collect();
        let bodies = store.bodies(org, &ids).await.unwrap();
        assert_eq!(bodies.len(), records.len());
        for (id, request, _) in bodies {
            let record = records.iter().find(|record| record.id == id).unwrap();
            assert_eq!(request, record.asked.body.bytes());
        }
    })
    .await;
}

#[tokio::test]
async fn parts_of_bodies_go_when_their_day_has_gone() {
    with_each(async |backend, store| {
        let org = OrgId::generate();
        let (old, new) = (conversation(org, 6, START), conversation(org, 6, START + 2 * DAY));
        store.append(&old).await.unwrap();
        store.append(&new).await.unwrap();
        let expiry = Expiry { rows: None, bodies: Some(Timestamp::from_micros(START + DAY + 1)) };
        let (mut bodies, mut chunks) = (0, 0);
        loop {
            let gone = store.expire(&expiry).await.unwrap();
            (bodies, chunks) = (bodies + gone.bodies, chunks + gone.chunks);
            if gone.is_nothing() {
                break;
            }
        }
        assert_eq!(bodies, 12, "{}", backend.name);
        assert!(chunks > 3, "{}: {chunks}", backend.name);
        assert!(store.fetch(org, old[5].id).await.unwrap().unwrap().request.is_empty());
        assert_eq!(store.fetch(org, new[5].id).await.unwrap(), Some(StoredRecord::from(&new[5])));
        // What comes late of a day that has gone is kept whole, with its parts.
        let late = conversation(org, 3, START);
        store.append(&late).await.unwrap();
        assert_eq!(store.fetch(org, late[2].id).await.unwrap(), Some(StoredRecord::from(&late[2])));
    })
    .await;
}
