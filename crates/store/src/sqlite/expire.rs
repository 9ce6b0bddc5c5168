//! Letting go of what is too old.

use sqlx::Sqlite;

use super::SqliteStore;
use super::error::sort;
use crate::{Expired, Expiry, StoreError, sql};

impl SqliteStore {
    /// One batch, and its pages given back to the disk.
    pub(super) async fn expire_batch(&self, expiry: &Expiry) -> Result<Expired, StoreError> {
        let mut done = Expired::default();
        if let Some(before) = expiry.rows {
            for org in sql::read_ids(&self.read(sql::organisations()).await?)? {
                let ids = sql::read_ids(&self.read(sql::old_rows(org, before)).await?)?;
                if ids.is_empty() {
                    continue;
                }
                let mut transaction = self.write().await?;
                for table in sql::OF_A_ROW {
                    let gone = sql::delete::<Sqlite>(table, org, &ids).build().execute(&mut *transaction).await;
                    let gone = gone.map_err(sort)?.rows_affected();
                    done.rows += if table == "requests" { gone } else { 0 };
                }
                transaction.commit().await.map_err(sort)?;
            }
        }
        if let Some(before) = expiry.bodies {
            done.bodies = self.change(sql::delete_old_bodies(before)).await?;
        }
        if !done.is_nothing() {
            // Each step of the pragma gives one page back, and there are as many steps as free pages.
            sqlx::query("PRAGMA incremental_vacuum").fetch_all(&self.writer).await.map_err(sort)?;
        }
        Ok(done)
    }
}
