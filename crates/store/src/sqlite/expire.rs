//! Letting go of what is too old.

use super::SqliteStore;
use super::error::sort;
use crate::{Expired, Expiry, StoreError, sql, writes};

impl SqliteStore {
    /// One batch, and its pages given back to the disk.
    pub(super) async fn expire_batch(&self, expiry: &Expiry) -> Result<Expired, StoreError> {
        let mut done = Expired::default();
        if let Some(before) = expiry.rows {
            for org in sql::read_ids(&self.read(sql::organisations()).await?)? {
                let mut transaction = self.write().await?;
                done.rows += writes::delete_rows(&mut *transaction, org.into(), before).await?.rows;
                transaction.commit().await.map_err(sort)?;
            }
        }
        if let Some(before) = expiry.bodies {
            done.bodies = self.change(sql::delete_old_bodies(before)).await?;
        }
        // Chunks go when nothing is left that is made of them.
        let oldest = expiry.rows.max(expiry.bodies);
        if let Some(before) = oldest.filter(|_| done.is_nothing()) {
            self.seen.forget_before(crate::chunks::day(before.micros()));
            done.chunks = self.change(sql::delete_old_chunks(before)).await?;
        }
        if !done.is_nothing() {
            // Each step of the pragma gives one page back, and there are as many steps as free pages.
            sqlx::query("PRAGMA incremental_vacuum").fetch_all(&self.writer).await.map_err(sort)?;
        }
        Ok(done)
    }
}
