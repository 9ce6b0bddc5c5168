//! Where rows live: one [`Store`] trait, SQLite as the embedded default and Postgres.
//!
//! ```
//! use bytes::Bytes;
//! use tachograph_record::{
//!     Asked, Attribution, Body, Control, CostState, LogRecord, OrgId, Outcome, Reading, RecordId, Timestamp, Timing,
//! };
//! use tachograph_store::{Filter, Predicate, Search, open};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let data_dir = std::env::temp_dir().join(format!("tachograph-{}", RecordId::generate()));
//!     let store = open("sqlite:", &data_dir).await?; // or postgres://user:password@host/database
//!     store.migrate().await?;
//!
//!     // A batch may be sent again: what is there stays as it is.
//!     let record = call("/v1/chat/completions", "alice");
//!     assert_eq!(store.append(&[record.clone()]).await?, 1);
//!     assert_eq!(store.append(&[record.clone()]).await?, 0);
//!
//!     let filter = Filter::from(Predicate::from_words("user:alice latency<2s")?);
//!     assert_eq!(store.totals(OrgId::HOME, &filter).await?.requests, 1);
//!     let page = store.search(&Search::new(OrgId::HOME, filter)).await?;
//!     assert_eq!(page.rows[0].path, "/v1/chat/completions");
//!
//!     let whole = store.fetch(OrgId::HOME, record.id).await?.ok_or("it was just appended")?;
//!     assert_eq!(whole.request, "{}");
//!
//!     store.close().await?;
//!     std::fs::remove_dir_all(data_dir)?;
//!     Ok(())
//! }
//!
//! fn call(path: &str, user: &str) -> LogRecord {
//!     let asked = Asked {
//!         api: "openai.chat".into(),
//!         path: path.into(),
//!         model: Some("gpt-4o".into()),
//!         attribution: Attribution { user: Some(user.into()), ..Attribution::default() },
//!         body: Body::capture(&Bytes::from_static(b"{}"), 4 << 20),
//!         ..Asked::default()
//!     };
//!     let received_at = Timestamp::now();
//!     LogRecord {
//!         id: RecordId::generate(),
//!         asked,
//!         provider: Some("openai".into()),
//!         provider_model: None,
//!         attempts: Vec::new(),
//!         status: Some(200),
//!         outcome: Outcome::Complete,
//!         error: None,
//!         timing: Timing {
//!             received_at,
//!             upstream_sent_us: Some(90),
//!             first_byte_us: None,
//!             first_token_us: None,
//!             end_us: 700_000,
//!         },
//!         reading: Reading::default(),
//!         cost: CostState::NoUsage,
//!         control: Control::default(),
//!         response: Body::default(),
//!     }
//! }
//! ```
//!
//! # What is kept
//!
//! [`Row::from`] a record, and [`StoredRecord::from`] it with its bodies, is what every backend gives back, to the last
//! bit. An id is unique within its organisation: two tenants that bring the same id have a row each.
//!
//! # Schema
//!
//! The same tables and columns on every backend, made by migrations of the same numbers. Times are µs since the epoch and
//! tokens are counts, in 64-bit integers; ids are UUIDs (16 bytes in SQLite), version 7 and so in the order of time.
//!
//! | table | a row is | found by |
//! | --- | --- | --- |
//! | `requests` | one call, without bodies | `(org_id, id)`, `(org_id, received_at, id)`; session, user; properties (Postgres) |
//! | `bodies` | what was kept of one side's body, `zstd`, `raw` or `chunked`, with its length | `(org_id, id, side)` |
//! | `chunks` | a part of requests' bodies, by what is in it | `(day, org_id, hash)` |
//! | `keys` | an API key's hash | `id`, `hash` |
//! | `repricings` | an audit entry of costs that were restated | `(org_id, made_at, id)` |
//! | `former_costs` | what a restated row cost before | `(org_id, id, repricing_id)` |
//! | `request_marks` | a score, tag, note or property put on a request later | `(org_id, id, kind, name)` |
//! | `session_marks` | the same on a session | `(org_id, session_id, kind, name)` |
//! | `documents` | a small JSON document: a saved query, a webhook | `(org_id, kind, id)` |
//! | `gateways` | how far one gateway's record is complete | `gateway_id` |
//! | `shared_limits` | a limit that several gateways share, as JSON text (Postgres) | `key` |
//! | `rollups` | a block of sums and sketches of a minute, an hour or a day | `(org_id, cube, level, at)` |
//! | `rollup_state` | an hour whose rollups are to be made anew; from when on facts are kept | `(org_id, kind, at)` |
//! | `organisations` | a tenant; the first is [`OrgId::HOME`] | `id` |
//!
//! What lists and filters need is a column; what only the page of one call shows (usage, the cost's working, attempts,
//! parameters) is packed in `detail`, and a cost or control that changed since stands in a column of that name; `properties` is a JSON object (jsonb in Postgres), with the names' order beside it.
//!
//! - *Money.* `cost_nano` and `cost_rest` are nano-dollars and the atto-dollars left over, which sum exactly anywhere. A
//!   cost beyond ±9.2 × 10⁹ USD stands in `cost_outsize` as a decimal instead, and is in the totals all the same.
//! - *Parts.* `input_nano`, `cache_read_nano`, `cache_write_nano`, `output_nano` are what of the cost was paid for each,
//!   rounded down to nano-dollars; rows written before the columns were there have none.
//! - *Counts.* A token total beyond `i64::MAX` is written as that; the usage read back is exact.
//! - *Text.* U+0000, which Postgres does not take, is stored as U+001A `0`, and U+001A as U+001A `1`; both come back as they
//!   were, and filters find them.
//!
//! # Adding a backend
//!
//! One that speaks SQL through sqlx: a folder beside `sqlite/` and `postgres/` with the same files. `dialect.rs` says where
//! its SQL differs and how its answers are read, `insert.rs` how many rows are written at once, `error.rs` which of its
//! errors may pass, `migrations/` its tables, and `mod.rs` implements [`Store`] with the statements of `sql.rs`. Then it
//! gets a line in `location.rs` and in [`open`]. Any other: implement [`Store`] with [`Row::from`]. Either way add it to
//! `tests/conformance/backend.rs`: every test there asks all backends for equal answers.

mod batch;
mod chunks;
mod detail;
mod document;
mod error;
mod expiry;
mod join;
mod key;
mod location;
mod marks;
mod migrate;
mod packing;
mod postgres;
mod progress;
pub mod query;
mod reads;
mod repricing;
mod rollup;
mod row;
mod search;
mod spending;
mod sql;
mod sqlite;
mod tables;
mod text;
mod user_sql;
mod writes;

pub use document::Document;
pub use error::StoreError;
pub use expiry::{Expired, Expiry};
pub use key::KeyRow;
pub use marks::{Mark, MarkKind, Marked, Marks, Note};
pub use progress::GatewayProgress;
pub use query::{
    BadQuery, Breakdown, Comparison, Condition, CostParts, Every, Fact, Field, Group, Groups, Kind, Measure, Number,
    Pattern, Predicate, Seen, Sketch, Spread, Test, Totals,
};
pub use repricing::{FormerCost, NewCost, Repricing};
pub use rollup::{Difference, Verified};
pub use row::{Row, StoredBody, StoredRecord};
pub use search::{BadCursor, Cursor, Filter, Order, Page, Search};
pub use spending::Spending;
pub use user_sql::{BadSql, SqlLimits, SqlTable, UserSql, VIEWS, View, ViewColumn};

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use location::Location;
use postgres::PostgresStore;
use sqlite::SqliteStore;
use tachograph_record::{KeyId, LogRecord, OrgId, RecordId, Timestamp};
use uuid::Uuid;

/// A boxed future: the store is off the hot path, and this keeps the trait object-safe.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Changes shared texts: the server's clock in ms, and what stands under each key.
pub type SharedChange = Box<dyn FnOnce(i64, &mut [Option<String>]) + Send>;

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
    fn totals<'a>(&'a self, org: OrgId, filter: &'a Filter) -> StoreFuture<'a, Totals> {
        Box::pin(async move {
            let groups = self.groups(&Breakdown::whole(org, filter.clone())).await?;
            Ok(groups.groups.into_iter().next().map(|group| group.totals).unwrap_or_default())
        })
    }

    /// Exact sums, and percentiles, over groups of the rows that a filter picks.
    fn groups<'a>(&'a self, asked: &'a Breakdown) -> StoreFuture<'a, Groups> {
        let _ = asked;
        Box::pin(async { Err(StoreError::Failed("this store does not add up".into())) })
    }

    /// The names of properties that the picked rows have, with how many rows have each, the most frequent first.
    fn property_names<'a>(&'a self, org: OrgId, filter: &'a Filter, most: u32) -> StoreFuture<'a, Vec<(String, u64)>> {
        let _ = (org, filter, most);
        Box::pin(async { Ok(Vec::new()) })
    }

    /// What was kept of the bodies of these requests: id, request, answer. Those that are not there are left out.
    fn bodies<'a>(&'a self, org: OrgId, ids: &'a [RecordId]) -> StoreFuture<'a, Vec<(RecordId, Bytes, Bytes)>> {
        Box::pin(async move {
            let mut all = Vec::new();
            for &id in ids {
                all.extend(self.fetch(org, id).await?.map(|record| (id, record.request, record.response)));
            }
            Ok(all)
        })
    }

    /// Puts marks beside requests and sessions, all of them or none; each takes the place of one of the same kind and name.
    fn put_marks<'a>(&'a self, org: OrgId, marks: &'a [Mark]) -> StoreFuture<'a, ()> {
        let _ = (org, marks);
        Box::pin(async { Err(StoreError::Failed("this store takes no marks".into())) })
    }

    /// Takes a mark away. Returns whether it was there.
    fn remove_mark<'a>(&'a self, org: OrgId, on: &'a Marked, kind: MarkKind, name: &'a str) -> StoreFuture<'a, bool> {
        let _ = (org, on, kind, name);
        Box::pin(async { Ok(false) })
    }

    /// The marks of these requests; those without any are left out.
    fn marks<'a>(&'a self, org: OrgId, ids: &'a [RecordId]) -> StoreFuture<'a, HashMap<RecordId, Marks>> {
        let _ = (org, ids);
        Box::pin(async { Ok(HashMap::new()) })
    }

    /// The marks of a session.
    fn session_marks<'a>(&'a self, org: OrgId, session: &'a str) -> StoreFuture<'a, Marks> {
        let _ = (org, session);
        Box::pin(async { Ok(Marks::default()) })
    }

    /// An organisation's documents of one kind, oldest first.
    fn documents<'a>(&'a self, org: OrgId, kind: &'a str) -> StoreFuture<'a, Vec<Document>> {
        let _ = (org, kind);
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Writes a document, in the place of one of the same kind and id.
    fn put_document<'a>(&'a self, document: &'a Document) -> StoreFuture<'a, ()> {
        let _ = document;
        Box::pin(async { Err(StoreError::Failed("this store takes no documents".into())) })
    }

    /// Takes a document away. Returns whether it was there.
    fn remove_document<'a>(&'a self, org: OrgId, kind: &'a str, id: Uuid) -> StoreFuture<'a, bool> {
        let _ = (org, kind, id);
        Box::pin(async { Ok(false) })
    }

    /// Restates what rows cost, all of them or none, with an audit entry; what they cost before is kept beside it. Rows
    /// that are not there are left aside. Returns how many were changed.
    ///
    /// # Errors
    /// Besides the usual ones, where the store cannot do it at all: it was written for a purpose that needs no history.
    fn reprice<'a>(&'a self, audit: &'a Repricing, costs: &'a [NewCost]) -> StoreFuture<'a, usize> {
        let _ = (audit, costs);
        Box::pin(async { Err(StoreError::Failed("this store does not restate costs".into())) })
    }

    /// An organisation's restatements, oldest first.
    fn repricings(&self, org: OrgId) -> StoreFuture<'_, Vec<Repricing>> {
        let _ = org;
        Box::pin(async { Ok(Vec::new()) })
    }

    /// What a row was said to cost before each of its restatements, oldest first.
    fn former_costs(&self, org: OrgId, id: RecordId) -> StoreFuture<'_, Vec<FormerCost>> {
        let _ = (org, id);
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Records how far a gateway's record is complete. What is known already is never taken back. A store that was written
    /// for a purpose that needs no proof keeps none.
    fn record_progress<'a>(&'a self, progress: &'a GatewayProgress) -> StoreFuture<'a, ()> {
        let _ = progress;
        Box::pin(async { Ok(()) })
    }

    /// How far each gateway's record is complete.
    fn gateways(&self) -> StoreFuture<'_, Vec<GatewayProgress>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Runs a statement of a user over the organisation's rows. What the statement itself does wrong is the inner error.
    fn ask<'a>(
        &'a self,
        org: OrgId,
        asked: &'a UserSql,
        limits: SqlLimits,
    ) -> StoreFuture<'a, Result<SqlTable, BadSql>> {
        let _ = (org, asked, limits);
        Box::pin(async { Err(StoreError::Failed("this store runs no SQL of users".into())) })
    }

    /// What calls received since some moment cost, by who caused them and when. For a store that keeps none, nothing.
    fn spending(&self, since: Timestamp) -> StoreFuture<'_, Vec<Spending>> {
        let _ = since;
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Changes texts that several processes share, in one transaction: the rows of these keys are locked, `change` is given
    /// the server's clock in ms and what they hold, and they are written back. They are kept until `expires_s` (seconds of
    /// the epoch).
    ///
    /// # Errors
    /// Besides the usual ones, where the store is no server that processes could share.
    fn change_shared<'a>(&'a self, keys: &'a [String], expires_s: i64, change: SharedChange) -> StoreFuture<'a, ()> {
        let _ = (keys, expires_s, change);
        Box::pin(async { Err(StoreError::Failed("limits are shared in a Postgres store alone".into())) })
    }

    /// Lets go of a batch of what is too old, and gives its place back: asked again until nothing is, so that nobody waits
    /// long. A store that was written for a purpose that needs no end keeps all.
    fn expire<'a>(&'a self, expiry: &'a Expiry) -> StoreFuture<'a, Expired> {
        let _ = expiry;
        Box::pin(async { Ok(Expired::default()) })
    }

    /// Folds what was written into rollups by hour and day, a bounded piece of work, and makes anew what is dirty. Returns
    /// how much was done; asked again until it is nothing. A store that keeps no rollups has nothing to do.
    fn roll_up(&self, now: Timestamp) -> StoreFuture<'_, usize> {
        let _ = now;
        Box::pin(async { Ok(0) })
    }

    /// Compares the rollups of a day (UTC, the one that holds this moment) with the rows they stand for.
    fn verify_rollups(&self, org: OrgId, day: Timestamp) -> StoreFuture<'_, Verified> {
        let _ = (org, day);
        Box::pin(async { Ok(Verified::default()) })
    }

    /// The first and the last moment of which an organisation has rows or rollups, for each organisation that has any.
    fn extent(&self) -> StoreFuture<'_, Vec<(OrgId, Timestamp, Timestamp)>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Adds an API key. The key itself never gets here, only its hash.
    fn insert_key<'a>(&'a self, key: &'a KeyRow) -> StoreFuture<'a, ()>;

    /// All API keys, revoked ones too, oldest first.
    fn keys(&self) -> StoreFuture<'_, Vec<KeyRow>>;

    /// Revokes a key from this moment on. Returns whether there was such a key that was not revoked before.
    fn revoke_key(&self, key: KeyId, at: Timestamp) -> StoreFuture<'_, bool>;

    /// Gives a key another name. Returns whether there is such a key.
    fn rename_key<'a>(&'a self, key: KeyId, name: &'a str) -> StoreFuture<'a, bool> {
        let _ = (key, name);
        Box::pin(async { Err(StoreError::Failed("this store keeps no names of keys".into())) })
    }

    /// Finishes what is under way and lets go of files and connections.
    fn close(&self) -> StoreFuture<'_, ()>;
}

/// Opens the store that a URL names, without changing its schema: call [`Store::migrate`] next.
///
/// - `sqlite:`: the file `tachograph.db` in `data_dir`. It is made with rights for its owner only, and so is its directory
///   where it is missing. Several processes may use one file at the same time.
/// - `sqlite:<path>`: this file; a relative path starts at the current directory.
/// - `sqlite::memory:`: this process's memory, for tests.
/// - `postgres://…` or `postgresql://…`: a server, with the parameters of libpq's URLs.
///
/// # Errors
/// [`StoreError::UnknownUrl`] where the URL names no store that is known here; the message does not repeat it.
/// [`StoreError::Unreachable`] where the file cannot be made or the server does not let us in.
pub async fn open(url: &str, data_dir: &Path) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match Location::read(url, data_dir)? {
        Location::SqliteFile(path) => Arc::new(SqliteStore::open_file(&path).await?),
        Location::SqliteMemory => Arc::new(SqliteStore::open_memory().await?),
        Location::Postgres(options) => Arc::new(PostgresStore::open(*options).await?),
    })
}
