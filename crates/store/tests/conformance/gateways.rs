//! How far each gateway's record is complete.

use tachograph_record::Timestamp;
use tachograph_store::GatewayProgress;
use uuid::Uuid;

use crate::backend::with_each;

#[tokio::test]
async fn what_is_complete_only_grows() {
    with_each(async |_, store| {
        assert!(store.gateways().await.unwrap().is_empty());
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let row = |gateway, number: u64| GatewayProgress {
            gateway,
            number,
            at: Timestamp::from_micros((number % 1000).cast_signed() * 10),
            quarantined: number / 5,
            seen_at: Timestamp::from_micros((number % 1000).cast_signed() * 100),
        };
        for progress in [row(second, 7), row(first, 3), row(first, 9), row(first, 4)] {
            store.record_progress(&progress).await.unwrap();
        }
        assert_eq!(store.gateways().await.unwrap(), [row(first, 9), row(second, 7)]);
        store.record_progress(&row(first, u64::MAX)).await.unwrap();
        assert_eq!(store.gateways().await.unwrap()[0].number, i64::MAX as u64);
    })
    .await;
}
