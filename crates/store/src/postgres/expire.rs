//! Letting go of what is too old.

use sqlx::Postgres;

use super::error::sort;
use super::{PostgresStore, WRITE, limited};
use crate::{Expired, Expiry, StoreError, sql};

impl PostgresStore {
    /// One batch; the server's own vacuum makes its place free for new rows.
    pub(super) async fn expire_batch(&self, expiry: &Expiry) -> Result<Expired, StoreError> {
        let mut done = Expired::default();
        if let Some(before) = expiry.rows {
            for org in sql::read_ids(&self.read(sql::organisations()).await?)? {
                let ids = sql::read_ids(&self.read(sql::old_rows(org, before)).await?)?;
                if ids.is_empty() {
                    continue;
                }
                done.rows += limited(WRITE, async {
                    let (mut transaction, mut rows) = (self.writers.begin().await.map_err(sort)?, 0);
                    for table in sql::OF_A_ROW {
                        let gone = sql::delete::<Postgres>(table, org, &ids).build().execute(&mut *transaction).await;
                        rows = gone.map_err(sort)?.rows_affected();
                    }
                    transaction.commit().await.map_err(sort)?;
                    // The last of the tables is that of the rows themselves.
                    Ok(rows)
                })
                .await?;
            }
        }
        if let Some(before) = expiry.bodies {
            done.bodies = self.change(sql::delete_old_bodies(before)).await?;
        }
        Ok(done)
    }
}
