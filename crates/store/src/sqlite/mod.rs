//! The embedded store: one file, no server.
//!
//! The file is in WAL mode, so readers and the one writer do not wait for each other, within a process or among several.
//! All writes go through one connection, in transactions that take the write lock at their beginning (`BEGIN IMMEDIATE`):
//! a transaction that read first and wanted to write later could only fail. `synchronous=NORMAL`: a commit survives the
//! death of the process at once, and that of the machine from the next checkpoint on; the file is whole in either case.

mod ask;
mod dialect;
mod error;
mod expire;
mod insert;

pub(crate) use dialect::glob_pattern;

use std::fs::{DirBuilder, OpenOptions};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use sqlx::sqlite::SqliteRow;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, QueryBuilder, Sqlite, Transaction};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tachograph_record::{KeyId, LogRecord, OrgId, RecordId, Timestamp};
use uuid::Uuid;

use self::error::{is_busy, passes, sort};
use crate::batch::Batch;
use crate::chunks::Seen;
use crate::migrate::{self, Step};
use crate::tables::{
    BODIES, CHUNKS, KEYS, REPRICINGS, REQUESTS, RepricingEntry, read_key, read_progress, read_repricing,
};
use crate::{
    BadSql, Breakdown, Document, Expired, Expiry, Filter, FormerCost, GatewayProgress, Groups, KeyRow, Mark, MarkKind,
    Marked, Marks, NewCost, Page, Repricing, Search, Spending, SqlLimits, SqlTable, Store, StoreError, StoreFuture,
    StoredRecord, UserSql, Verified, join, reads, rollup, spending, sql, writes,
};

pub(crate) const STEPS: &[Step] = &[
    (1, "requests", include_str!("migrations/0001_requests.sql")),
    (2, "repricings", include_str!("migrations/0002_repricings.sql")),
    (3, "control", include_str!("migrations/0003_control.sql")),
    (4, "marks", include_str!("migrations/0004_marks.sql")),
    (5, "gateways", include_str!("migrations/0005_gateways.sql")),
    (6, "traces", include_str!("migrations/0006_traces.sql")),
    (7, "shared_limits", include_str!("migrations/0007_shared_limits.sql")),
    (8, "detail", include_str!("migrations/0008_detail.sql")),
    (9, "expiry", include_str!("migrations/0009_expiry.sql")),
    (10, "former_parts", include_str!("migrations/0010_former_parts.sql")),
    (11, "rollups", include_str!("migrations/0011_rollups.sql")),
    (12, "chunks", include_str!("migrations/0012_chunks.sql")),
];

/// How long to wait for another process's write lock.
const BUSY: Duration = Duration::from_secs(10);
/// How long to wait for a connection of our own.
const ACQUIRE: Duration = Duration::from_secs(30);
const READERS: u32 = 4;

/// A SQLite file, or this process's memory.
pub(crate) struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    /// How to open one more connection that can only read; memory has but one.
    apart: Option<SqliteConnectOptions>,
    seen: Arc<Seen>,
}

impl SqliteStore {
    /// Opens a file, and makes it and its directory where they are missing. What others on the machine may see of the file
    /// is nothing: it holds prompts.
    pub(crate) async fn open_file(path: &Path) -> Result<Self, StoreError> {
        make(path).map_err(|why| StoreError::Unreachable(format!("{}: {why}", path.display())))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(BUSY)
            // Lets space that retention frees go back to the disk; it can only be chosen before the first table.
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .pragma("journal_size_limit", "67108864")
            .disable_statement_logging();
        let writer = connect_writer(options).await?;
        let reading = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(BUSY)
            .pragma("query_only", "ON")
            .disable_statement_logging();
        let readers = pool(READERS).connect_lazy_with(reading.clone());
        tracing::info!(path = %path.display(), "opened the SQLite store");
        Ok(Self { writer, readers, apart: Some(reading), seen: Arc::default() })
    }

    /// A store that is gone when it is closed: one connection, which holds it.
    pub(crate) async fn open_memory() -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str("sqlite::memory:").map_err(sort)?.disable_statement_logging();
        let only = pool(1).connect_with(options).await.map_err(sort)?;
        Ok(Self { writer: only.clone(), readers: only, apart: None, seen: Arc::default() })
    }

    async fn read(&self, mut sql: QueryBuilder<Sqlite>) -> Result<Vec<SqliteRow>, StoreError> {
        sql.build().fetch_all(&self.readers).await.map_err(sort)
    }

    /// One statement that changes something. Returns how many rows.
    async fn change(&self, mut sql: QueryBuilder<Sqlite>) -> Result<u64, StoreError> {
        let mut transaction = self.write().await?;
        let done = sql.build().execute(&mut *transaction).await.map_err(sort)?;
        transaction.commit().await.map_err(sort)?;
        Ok(done.rows_affected())
    }

    /// A transaction that sees one moment throughout.
    async fn snapshot(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.readers.begin().await.map_err(sort)
    }

    async fn write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(sort)
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// SQLite gives its `-wal` and `-shm` files the rights of the file itself.
fn make(path: &Path) -> std::io::Result<()> {
    let (mut directory, mut file) = (DirBuilder::new(), OpenOptions::new());
    directory.recursive(true);
    file.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        std::os::unix::fs::DirBuilderExt::mode(&mut directory, 0o700);
        std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        directory.create(parent)?;
    }
    file.open(path).map(drop)
}

/// SQLite does not wait, but says "busy" at once, where two connections turn a new file to WAL mode at the same moment.
async fn connect_writer(options: SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    let started = std::time::Instant::now();
    loop {
        match pool(1).connect_with(options.clone()).await {
            Ok(pool) => return Ok(pool),
            Err(error) if is_busy(&error) && started.elapsed() < BUSY => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(sort(error)),
        }
    }
}

impl Store for SqliteStore {
    fn migrate(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            // One transaction around all steps: a second process waits here, and finds them done.
            let mut transaction = self.write().await?;
            let migrator = migrate::migrator(STEPS);
            let done = migrator.run_direct(None, &mut *transaction, false).await;
            done.map_err(|error| migrate::sort(&error, passes))?;
            transaction.commit().await.map_err(sort)
        })
    }

    fn append<'a>(&'a self, batch: &'a [LogRecord]) -> StoreFuture<'a, usize> {
        Box::pin(async move {
            let batch = Batch::prepare(batch, &self.seen).await?;
            let (traces, chunks) = (join::traces(&batch.entries), batch.chunk_keys());
            let mut transaction = self.write().await?;
            insert::insert(&mut transaction, &CHUNKS, &batch.chunks).await?;
            let newest = insert::newest(&mut transaction).await?;
            let new = insert::insert(&mut transaction, &REQUESTS, &batch.entries).await?;
            let (mut facts, bodies) = if new == batch.entries.len() {
                (batch.facts_of(|_| true), batch.bodies)
            } else {
                let ids = insert::inserted_after(&mut transaction, newest).await?;
                let set: HashSet<_> = ids.iter().collect();
                (batch.facts_of(|ids| set.contains(ids)), batch.bodies_of(&ids))
            };
            insert::insert(&mut transaction, &BODIES, &bodies).await?;
            writes::join_traces(&mut *transaction, traces, &mut facts).await?;
            writes::write_facts(&mut *transaction, facts).await?;
            transaction.commit().await.map_err(sort)?;
            self.seen.stored(&chunks);
            Ok(new)
        })
    }

    fn search<'a>(&'a self, search: &'a Search) -> StoreFuture<'a, Page> {
        Box::pin(async move {
            let rows = sql::page::<Sqlite>(search).build().fetch_all(&self.readers).await.map_err(sort)?;
            sql::read_page(search, &rows)
        })
    }

    fn fetch(&self, org: OrgId, id: RecordId) -> StoreFuture<'_, Option<StoredRecord>> {
        Box::pin(async move {
            let mut connection = self.readers.acquire().await.map_err(sort)?;
            reads::fetch(&mut *connection, org, id).await
        })
    }

    fn groups<'a>(&'a self, asked: &'a Breakdown) -> StoreFuture<'a, Groups> {
        Box::pin(async move {
            let told = rollup::groups(&mut *self.snapshot().await?, asked).await?;
            if let Some(groups) = told {
                return Ok(groups);
            }
            let mut groups = sql::read_groups(asked, &self.read(sql::groups(asked)).await?)?;
            for &spread in &asked.spreads {
                let rows = self.read(sql::buckets(asked, spread)).await?;
                sql::read_buckets(asked, &mut groups, &rows)?;
            }
            Ok(groups)
        })
    }

    fn property_names<'a>(&'a self, org: OrgId, filter: &'a Filter, most: u32) -> StoreFuture<'a, Vec<(String, u64)>> {
        Box::pin(async move {
            let told = rollup::property_names(&mut *self.snapshot().await?, org.uuid(), filter).await?;
            let sent = match told {
                Some(names) => names,
                None => sql::read_name_counts(&self.read(sql::property_names(org, filter, most)).await?)?,
            };
            let added = self.read(sql::added_property_names(org, filter, most)).await?;
            sql::read_names(sent, &added, most)
        })
    }

    fn bodies<'a>(&'a self, org: OrgId, ids: &'a [RecordId]) -> StoreFuture<'a, Vec<(RecordId, Bytes, Bytes)>> {
        Box::pin(async move {
            let mut connection = self.readers.acquire().await.map_err(sort)?;
            reads::bodies(&mut *connection, org, ids).await
        })
    }

    fn put_marks<'a>(&'a self, org: OrgId, marks: &'a [Mark]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mut transaction = self.write().await?;
            for mark in marks {
                sql::put_mark::<Sqlite>(org, mark).build().execute(&mut *transaction).await.map_err(sort)?;
            }
            transaction.commit().await.map_err(sort)
        })
    }

    fn remove_mark<'a>(&'a self, org: OrgId, on: &'a Marked, kind: MarkKind, name: &'a str) -> StoreFuture<'a, bool> {
        Box::pin(async move { self.change(sql::remove_mark(org, on, kind, name)).await.map(|rows| rows > 0) })
    }

    fn marks<'a>(&'a self, org: OrgId, ids: &'a [RecordId]) -> StoreFuture<'a, HashMap<RecordId, Marks>> {
        Box::pin(async move { sql::read_marks(&self.read(sql::marks(org, ids)).await?) })
    }

    fn session_marks<'a>(&'a self, org: OrgId, session: &'a str) -> StoreFuture<'a, Marks> {
        Box::pin(async move { sql::read_session_marks(session, &self.read(sql::session_marks(org, session)).await?) })
    }

    fn documents<'a>(&'a self, org: OrgId, kind: &'a str) -> StoreFuture<'a, Vec<Document>> {
        Box::pin(async move { sql::read_documents(&self.read(sql::documents(org, kind)).await?) })
    }

    fn put_document<'a>(&'a self, document: &'a Document) -> StoreFuture<'a, ()> {
        Box::pin(async move { self.change(sql::put_document(document)).await.map(drop) })
    }

    fn remove_document<'a>(&'a self, org: OrgId, kind: &'a str, id: Uuid) -> StoreFuture<'a, bool> {
        Box::pin(async move { self.change(sql::remove_document(org, kind, id)).await.map(|rows| rows > 0) })
    }

    fn reprice<'a>(&'a self, audit: &'a Repricing, costs: &'a [NewCost]) -> StoreFuture<'a, usize> {
        Box::pin(async move {
            let mut transaction = self.write().await?;
            let changed = writes::change_costs(&mut *transaction, audit, costs).await?;
            insert::insert(&mut transaction, &REPRICINGS, &[RepricingEntry::new(audit)]).await?;
            transaction.commit().await.map_err(sort)?;
            Ok(usize::try_from(changed).unwrap_or(usize::MAX))
        })
    }

    fn repricings(&self, org: OrgId) -> StoreFuture<'_, Vec<Repricing>> {
        Box::pin(async move {
            let rows = sql::repricings::<Sqlite>(org).build().fetch_all(&self.readers).await.map_err(sort)?;
            rows.iter().map(read_repricing).collect()
        })
    }

    fn former_costs(&self, org: OrgId, id: RecordId) -> StoreFuture<'_, Vec<FormerCost>> {
        Box::pin(async move { sql::read_former_costs(&self.read(sql::former_costs(org, id)).await?) })
    }

    fn record_progress<'a>(&'a self, progress: &'a GatewayProgress) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mut transaction = self.write().await?;
            sql::record_progress::<Sqlite>(progress).build().execute(&mut *transaction).await.map_err(sort)?;
            transaction.commit().await.map_err(sort)
        })
    }

    fn gateways(&self) -> StoreFuture<'_, Vec<GatewayProgress>> {
        Box::pin(async move {
            let rows = sql::gateways::<Sqlite>().build().fetch_all(&self.readers).await.map_err(sort)?;
            rows.iter().map(read_progress).collect()
        })
    }

    fn ask<'a>(
        &'a self,
        org: OrgId,
        asked: &'a UserSql,
        limits: SqlLimits,
    ) -> StoreFuture<'a, Result<SqlTable, BadSql>> {
        Box::pin(async move {
            match &self.apart {
                // A connection of its own: whatever becomes of the statement, no other read meets its clock.
                Some(options) => {
                    let mut connection = options.connect().await.map_err(sort)?;
                    let done = ask::run(&mut connection, org, asked, limits).await;
                    let _ = sqlx::Connection::close(connection).await;
                    Ok(done)
                }
                None => {
                    let mut connection = self.readers.acquire().await.map_err(sort)?;
                    Ok(ask::run(&mut connection, org, asked, limits).await)
                }
            }
        })
    }

    fn spending(&self, since: Timestamp) -> StoreFuture<'_, Vec<Spending>> {
        Box::pin(async move {
            let rows = spending::statement::<Sqlite>(since).build().fetch_all(&self.readers).await.map_err(sort)?;
            rows.iter().map(spending::read).collect()
        })
    }

    fn expire<'a>(&'a self, expiry: &'a Expiry) -> StoreFuture<'a, Expired> {
        Box::pin(self.expire_batch(expiry))
    }

    fn roll_up(&self, now: Timestamp) -> StoreFuture<'_, usize> {
        Box::pin(async move {
            let due = rollup::due(&mut *self.snapshot().await?, now).await?;
            let done = due.len();
            for work in due {
                let mut transaction = self.write().await?;
                rollup::roll_up(&mut *transaction, work).await?;
                transaction.commit().await.map_err(sort)?;
            }
            Ok(done)
        })
    }

    fn verify_rollups(&self, org: OrgId, day: Timestamp) -> StoreFuture<'_, Verified> {
        Box::pin(async move {
            let mut snapshot = self.snapshot().await?;
            rollup::verify(&mut *snapshot, org.uuid(), rollup::DAY.floor(day.micros())).await
        })
    }

    fn extent(&self) -> StoreFuture<'_, Vec<(OrgId, Timestamp, Timestamp)>> {
        Box::pin(async move { rollup::extent(&mut *self.snapshot().await?).await })
    }

    fn insert_key<'a>(&'a self, key: &'a KeyRow) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mut transaction = self.write().await?;
            let new = insert::insert(&mut transaction, &KEYS, std::slice::from_ref(key)).await?;
            transaction.commit().await.map_err(sort)?;
            if new == 0 { Err(KeyRow::taken()) } else { Ok(()) }
        })
    }

    fn keys(&self) -> StoreFuture<'_, Vec<KeyRow>> {
        Box::pin(async move {
            let rows = sql::keys::<Sqlite>().build().fetch_all(&self.readers).await.map_err(sort)?;
            rows.iter().map(read_key).collect()
        })
    }

    fn revoke_key(&self, key: KeyId, at: Timestamp) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            let mut transaction = self.write().await?;
            let done = sql::revoke_key::<Sqlite>(key, at).build().execute(&mut *transaction).await.map_err(sort)?;
            transaction.commit().await.map_err(sort)?;
            Ok(done.rows_affected() > 0)
        })
    }

    fn rename_key<'a>(&'a self, key: KeyId, name: &'a str) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let mut transaction = self.write().await?;
            let done = sql::rename_key::<Sqlite>(key, name).build().execute(&mut *transaction).await.map_err(sort)?;
            transaction.commit().await.map_err(sort)?;
            Ok(done.rows_affected() > 0)
        })
    }

    fn close(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            // The writer last: the last connection to close folds the WAL into the file.
            self.readers.close().await;
            self.writer.close().await;
            Ok(())
        })
    }
}
