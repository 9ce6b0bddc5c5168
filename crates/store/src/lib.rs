//! Where rows live: one [`Store`] trait, SQLite as the embedded default and Postgres.

mod error;
mod key;
mod row;
mod search;

pub use error::StoreError;
pub use key::KeyRow;
pub use row::{Row, StoredBody, StoredRecord};
pub use search::{BadCursor, Cursor, Filter, Page, Search, Totals};

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tachograph_record::{KeyId, LogRecord, OrgId, RecordId, Timestamp};

/// A boxed future: the store is off the hot path, and this keeps the trait object-safe.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What every backend can do, with equal answers on each.
pub trait Store: Send + Sync + 'static {
    /// Brings the schema up to date. Safe to run again, and from several processes at once.
    fn migrate(&self) -> StoreFuture<'_, ()>;

    /// Appends a batch, all of it or none. A row whose id is already there is left as it is, so a batch may be sent again.
    /// Returns how many rows were new.
    fn append<'a>(&'a self, batch: &'a [LogRecord]) -> StoreFuture<'a, usize>;

    /// Rows without bodies, newest first (or oldest first after a cursor, for a live tail).
    fn search<'a>(&'a self, search: &'a Search) -> StoreFuture<'a, Page>;

    /// One row with its bodies.
    fn fetch(&self, org: OrgId, id: RecordId) -> StoreFuture<'_, Option<StoredRecord>>;

    /// Exact sums over all rows that a filter picks.
    fn totals<'a>(&'a self, org: OrgId, filter: &'a Filter) -> StoreFuture<'a, Totals>;

    /// Adds an API key. The key itself never gets here, only its hash.
    fn insert_key<'a>(&'a self, key: &'a KeyRow) -> StoreFuture<'a, ()>;

    /// All API keys, revoked ones too, oldest first.
    fn keys(&self) -> StoreFuture<'_, Vec<KeyRow>>;

    /// Revokes a key from this moment on. Returns whether there was such a key that was not revoked before.
    fn revoke_key(&self, key: KeyId, at: Timestamp) -> StoreFuture<'_, bool>;

    /// Finishes what is under way and lets go of files and connections.
    fn close(&self) -> StoreFuture<'_, ()>;
}

/// Opens the store that a URL names: `sqlite:` (in `data_dir`), `sqlite:<path>` or `postgres://…`.
///
/// # Errors
/// Where the URL names no store that is known here, or the store cannot be reached.
pub async fn open(_url: &str, _data_dir: &std::path::Path) -> Result<Arc<dyn Store>, StoreError> {
    Err(StoreError::UnknownUrl(String::new()))
}
