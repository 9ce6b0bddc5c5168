//! Texts that several processes share and change under a lock.

use sqlx::Row as _;

use super::PostgresStore;
use super::error::sort;
use crate::{SharedChange, StoreError};

/// Rows whose time is over are deleted when this many keys of one are changed at a moment that fits: often enough that
/// the table stays small, seldom enough that nobody notices.
const SWEEP: i64 = 1_000;

impl PostgresStore {
    /// Four statements in one transaction: rows that are missing are made, all are locked in the order of their keys,
    /// changed, and written back.
    pub(super) async fn change_rows(
        &self,
        keys: &[String],
        expires_s: i64,
        change: SharedChange,
    ) -> Result<(), StoreError> {
        let mut sorted = keys.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let mut transaction = self.limits.begin().await.map_err(sort)?;
        let made = "INSERT INTO shared_limits (key, state, expires_at) \
                    SELECT key, '', $2 FROM unnest($1::text[]) AS key ORDER BY key ON CONFLICT (key) DO NOTHING";
        sqlx::query(made).bind(&sorted).bind(expires_s).execute(&mut *transaction).await.map_err(sort)?;
        let locked = "SELECT key, state, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS now \
                      FROM shared_limits WHERE key = ANY($1) ORDER BY key FOR UPDATE";
        let held = sqlx::query(locked).bind(&sorted).fetch_all(&mut *transaction).await.map_err(sort)?;
        let mut now = tachograph_record::Timestamp::now().micros() / 1_000;
        let mut states = std::collections::HashMap::new();
        for row in &held {
            now = row.try_get("now").map_err(sort)?;
            let (key, state): (String, String) =
                (row.try_get("key").map_err(sort)?, row.try_get("state").map_err(sort)?);
            states.insert(key, Some(state).filter(|state| !state.is_empty()));
        }
        let mut rows: Vec<Option<String>> = keys.iter().map(|key| states.get(key).cloned().flatten()).collect();
        change(now, &mut rows);
        let (written, texts): (Vec<&str>, Vec<&str>) =
            keys.iter().zip(&rows).filter_map(|(key, row)| Some((key.as_str(), row.as_deref()?))).unzip();
        let write = "UPDATE shared_limits AS s SET state = n.state, expires_at = greatest(s.expires_at, $3) \
                     FROM unnest($1::text[], $2::text[]) AS n (key, state) WHERE s.key = n.key";
        sqlx::query(write)
            .bind(&written)
            .bind(&texts)
            .bind(expires_s)
            .execute(&mut *transaction)
            .await
            .map_err(sort)?;
        if now % SWEEP == 0 {
            let old = "DELETE FROM shared_limits WHERE key IN \
                       (SELECT key FROM shared_limits WHERE expires_at < $1 LIMIT 1000 FOR UPDATE SKIP LOCKED)";
            sqlx::query(old).bind(now / 1_000).execute(&mut *transaction).await.map_err(sort)?;
        }
        transaction.commit().await.map_err(sort)
    }
}
