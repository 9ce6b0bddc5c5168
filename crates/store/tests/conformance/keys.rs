//! API keys: made, listed, revoked.

use tachograph_record::{KeyId, OrgId, Timestamp};
use tachograph_store::{KeyRow, StoreError};

use crate::backend::with_each;
use crate::sample::ODD;

fn key(created_at: i64, seed: u8) -> KeyRow {
    KeyRow {
        id: KeyId::generate(),
        org: OrgId::HOME,
        name: ODD[usize::from(seed) % ODD.len()].into(),
        hash: [seed; 32],
        hint: format!("…{seed:03}"),
        created_at: Timestamp::from_micros(created_at),
        revoked_at: None,
    }
}

#[tokio::test]
async fn keys_are_listed_oldest_first_as_they_were_made() {
    with_each(async |_, store| {
        assert_eq!(store.keys().await.unwrap(), []);
        let mut keys: Vec<KeyRow> = (0..30).map(|seed| key(i64::from(seed % 7), seed)).collect();
        keys[4].org = OrgId::generate();
        for key in &keys {
            store.insert_key(key).await.unwrap();
        }
        keys.sort_by_key(|key| (key.created_at, key.id));
        assert_eq!(store.keys().await.unwrap(), keys);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_not_replaced() {
    with_each(async |_, store| {
        let first = key(1, 1);
        store.insert_key(&first).await.unwrap();
        let same_id = KeyRow { id: first.id, ..key(2, 2) };
        let same_hash = KeyRow { hash: first.hash, ..key(3, 3) };
        for taken in [same_id, same_hash, first.clone()] {
            assert!(matches!(store.insert_key(&taken).await, Err(StoreError::Failed(_))));
        }
        assert_eq!(store.keys().await.unwrap(), [first]);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_revoked_once() {
    with_each(async |_, store| {
        let (kept, mut revoked) = (key(1, 1), key(2, 2));
        store.insert_key(&kept).await.unwrap();
        store.insert_key(&revoked).await.unwrap();
        let at = Timestamp::from_micros(5);
        assert!(!store.rename_key(KeyId::generate(), "nobody").await.unwrap());
        assert!(store.rename_key(revoked.id, "another \0 name").await.unwrap());
        revoked.name = "another \0 name".to_owned();
        assert!(!store.revoke_key(KeyId::generate(), at).await.unwrap());
        assert!(store.revoke_key(revoked.id, at).await.unwrap());
        assert!(!store.revoke_key(revoked.id, Timestamp::from_micros(6)).await.unwrap());
        assert_eq!(store.keys().await.unwrap(), [kept, KeyRow { revoked_at: Some(at), ..revoked }]);
    })
    .await;
}
