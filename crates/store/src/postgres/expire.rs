//! Letting go of what is too old.

use super::error::sort;
use super::{PostgresStore, WRITE, limited};
use crate::{Expired, Expiry, StoreError, sql, writes};

impl PostgresStore {
    /// One batch; the server's own vacuum makes its place free for new rows.
    pub(super) async fn expire_batch(&self, expiry: &Expiry) -> Result<Expired, StoreError> {
        let mut done = Expired::default();
        if let Some(before) = expiry.rows {
            for org in sql::read_ids(&self.read(sql::organisations()).await?)? {
                done.rows += limited(WRITE, async {
                    let mut transaction = self.writers.begin().await.map_err(sort)?;
                    let gone = writes::delete_rows(&mut *transaction, org.into(), before).await?;
                    transaction.commit().await.map_err(sort)?;
                    Ok(gone.rows)
                })
                .await?;
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
        Ok(done)
    }
}
