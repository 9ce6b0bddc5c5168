//! The store for production: a Postgres server, of version 13 or later.
//!
//! Writes and reads have pools of their own, so that neither starves the other. Reads are read-only and end after
//! [`READ`], at the server too. A server that is frozen or cut off says nothing at all, so every call has a time limit
//! here as well.

mod ask;
mod copy;
mod dialect;
mod error;
mod expire;
mod insert;
mod shared;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use sqlx::postgres::PgRow;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, Postgres, QueryBuilder, Row as _, Transaction};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tachograph_record::{KeyId, LogRecord, OrgId, RecordId, Timestamp};
use uuid::Uuid;

use self::error::{passes, sort};
use crate::batch::Batch;
use crate::chunks::Seen;
use crate::migrate::{self, Step};
use crate::rollup::FactBlocks;
use crate::tables::{
    BODIES, CHUNKS, Entry, KEYS, REPRICINGS, REQUESTS, RepricingEntry, read_key, read_progress, read_repricing,
};
use crate::{
    BadSql, Breakdown, Document, Expired, Expiry, Filter, FormerCost, GatewayProgress, Groups, KeyRow, Mark, MarkKind,
    Marked, Marks, NewCost, Page, Repricing, Search, SharedChange, Spending, SqlLimits, SqlTable, Store, StoreError,
    StoreFuture, StoredRecord, UserSql, Verified, join, reads, rollup, spending, sql, writes,
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

/// The lock under which the rows of traces are looked at.
const JOINING: i64 = 0x7461_6368_6f01;

/// The lock of whoever folds rollups.
const FOLDING: i64 = 0x7461_6368_6f02;

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a read may take.
const READ: Duration = Duration::from_secs(30);
/// How long a write may take, all its statements together.
const WRITE: Duration = Duration::from_secs(120);
/// How long a change of shared limits may take; those who wait for one give up much earlier.
const SHARED: Duration = Duration::from_secs(5);
/// How long one round of folding rollups may take.
const FOLD: Duration = Duration::from_secs(600);
const WRITERS: u32 = 4;
const READERS: u32 = 8;
/// Connections of their own for shared limits, which calls wait for.
const LIMITS: u32 = 4;

/// The same limit for the server, which would otherwise go on after we gave up.
const READ_SESSION: &str = "SET default_transaction_read_only = on; SET statement_timeout = '30s'";

/// A Postgres database. Without `Debug`, which would show the password.
pub(crate) struct PostgresStore {
    options: PgConnectOptions,
    writers: PgPool,
    readers: PgPool,
    limits: PgPool,
    seen: Arc<Seen>,
}

impl PostgresStore {
    /// Connects once, to say at once why that does not work; a pool would only say that it took too long.
    pub(crate) async fn open(options: PgConnectOptions) -> Result<Self, StoreError> {
        let named = options.get_application_name().is_some();
        let options = if named { options } else { options.application_name("tachograph") };
        let options = options.disable_statement_logging();
        let first = within(CONNECT, options.connect()).await?;
        let _ = first.close().await;
        let writers = pool(WRITERS).connect_lazy_with(options.clone());
        let readers = pool(READERS)
            .after_connect(|connection, _| {
                Box::pin(async move { sqlx::raw_sql(READ_SESSION).execute(connection).await.map(drop) })
            })
            .connect_lazy_with(options.clone());
        tracing::info!("opened the Postgres store");
        let limits = pool(LIMITS).connect_lazy_with(options.clone());
        Ok(Self { options, writers, readers, limits, seen: Arc::default() })
    }

    async fn read(&self, mut sql: QueryBuilder<Postgres>) -> Result<Vec<PgRow>, StoreError> {
        within(READ, sql.build().fetch_all(&self.readers)).await
    }

    /// One statement that changes something. Returns how many rows.
    async fn change(&self, mut sql: QueryBuilder<Postgres>) -> Result<u64, StoreError> {
        Ok(within(WRITE, sql.build().execute(&self.writers)).await?.rows_affected())
    }

    async fn run_migrations(&self) -> Result<(), StoreError> {
        // A connection of its own: sqlx's lock, for which a second process waits, ends with it whatever happens.
        let mut connection = within(CONNECT, self.options.connect()).await?;
        let done = migrate::migrator(STEPS).run_direct(None, &mut connection, false).await;
        let _ = connection.close().await;
        done.map_err(|error| migrate::sort(&error, passes))
    }

    async fn restate(&self, audit: &Repricing, costs: &[NewCost]) -> Result<usize, StoreError> {
        let mut transaction = self.writers.begin().await.map_err(sort)?;
        let changed = writes::change_costs(&mut *transaction, audit, costs).await?;
        insert::insert(&mut transaction, &REPRICINGS, &[RepricingEntry::new(audit)]).await?;
        transaction.commit().await.map_err(sort)?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    async fn append_batch(&self, batch: Batch) -> Result<usize, StoreError> {
        let mut transaction = self.writers.begin().await.map_err(sort)?;
        let (traces, chunks) = (join::traces(&batch.entries), batch.chunk_keys());
        insert::insert(&mut transaction, &CHUNKS, &batch.chunks).await?;
        let (new, mut facts) = write_new(&mut transaction, batch).await?;
        if !traces.is_empty() {
            // Of two batches with rows of one trace the second sees the first's.
            let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(JOINING);
            lock.execute(&mut *transaction).await.map_err(sort)?;
            writes::join_traces(&mut *transaction, traces, &mut facts).await?;
        }
        writes::write_facts(&mut *transaction, facts).await?;
        transaction.commit().await.map_err(sort)?;
        self.seen.stored(&chunks);
        Ok(new)
    }

    /// A transaction that sees one moment throughout.
    async fn snapshot(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        limited(CONNECT, async { self.readers.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await.map_err(sort) })
            .await
    }

    /// Each piece of work is a transaction; one process at a time does any.
    async fn roll_up_due(&self, now: Timestamp) -> Result<usize, StoreError> {
        let due = rollup::due(&mut *self.snapshot().await?, now).await?;
        let mut done = 0;
        for work in due {
            let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ";
            let mut transaction = self.writers.begin_with(begin).await.map_err(sort)?;
            let lock = sqlx::query("SELECT pg_try_advisory_xact_lock($1)").bind(FOLDING);
            let row = lock.fetch_one(&mut *transaction).await.map_err(sort)?;
            if !row.try_get::<bool, _>(0).map_err(sort)? {
                return Ok(0);
            }
            rollup::roll_up(&mut *transaction, work).await?;
            transaction.commit().await.map_err(sort)?;
            done += 1;
        }
        Ok(done)
    }
}

/// Writes what is not yet there of a batch. Returns how many rows, and what rollups know of them.
async fn write_new(transaction: &mut PgConnection, mut batch: Batch) -> Result<(usize, FactBlocks), StoreError> {
    let ids: Vec<_> = batch.entries.iter().map(Entry::ids).collect();
    let known = copy::known(transaction, &ids).await?;
    if !known.is_empty() {
        batch.entries.retain(|entry| !known.contains(&entry.ids()));
        batch.bodies.retain(|body| !known.contains(&(body.org.uuid(), body.id.uuid())));
    }
    if batch.entries.is_empty() {
        return Ok((0, FactBlocks::default()));
    }
    let mut inner = transaction.begin().await.map_err(sort)?;
    let copied = async {
        copy::copy(&mut inner, &REQUESTS, batch.entries.iter()).await?;
        copy::copy(&mut inner, &BODIES, batch.bodies.iter()).await
    };
    match copied.await {
        Ok(()) => {
            inner.commit().await.map_err(sort)?;
            Ok((batch.entries.len(), batch.facts_of(|_| true)))
        }
        // Another batch wrote one of the rows in between: row by row, then.
        Err(error) if error.as_database_error().is_some_and(|said| said.is_unique_violation()) => {
            inner.rollback().await.map_err(sort)?;
            let new = insert::insert(transaction, &REQUESTS, &batch.entries).await?;
            let set: HashSet<_> = new.iter().collect();
            let facts = batch.facts_of(|ids| set.contains(ids));
            insert::insert(transaction, &BODIES, &batch.bodies_of(&new)).await?;
            Ok((new.len(), facts))
        }
        Err(error) => Err(sort(error)),
    }
}

fn pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(connections).acquire_timeout(CONNECT)
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    limited(limit, async { work.await.map_err(sort) }).await
}

async fn limited<T>(limit: Duration, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let done = tokio::time::timeout(limit, work).await;
    done.unwrap_or_else(|_| Err(StoreError::Unreachable(format!("no answer within {limit:?}"))))
}

impl Store for PostgresStore {
    fn migrate(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.run_migrations())
    }

    fn append<'a>(&'a self, batch: &'a [LogRecord]) -> StoreFuture<'a, usize> {
        Box::pin(async move {
            let batch = Batch::prepare(batch, &self.seen).await?;
            limited(WRITE, self.append_batch(batch)).await
        })
    }

    fn search<'a>(&'a self, search: &'a Search) -> StoreFuture<'a, Page> {
        Box::pin(async move {
            let rows = within(READ, sql::page::<Postgres>(search).build().fetch_all(&self.readers)).await?;
            sql::read_page(search, &rows)
        })
    }

    fn fetch(&self, org: OrgId, id: RecordId) -> StoreFuture<'_, Option<StoredRecord>> {
        Box::pin(async move {
            limited(READ, async {
                let mut connection = self.readers.acquire().await.map_err(sort)?;
                reads::fetch(&mut *connection, org, id).await
            })
            .await
        })
    }

    fn groups<'a>(&'a self, asked: &'a Breakdown) -> StoreFuture<'a, Groups> {
        Box::pin(async move {
            let told = limited(READ, async { rollup::groups(&mut *self.snapshot().await?, asked).await });
            if let Some(groups) = told.await? {
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
            let told =
                limited(READ, async { rollup::property_names(&mut *self.snapshot().await?, org.uuid(), filter).await });
            let sent = match told.await? {
                Some(names) => names,
                None => sql::read_name_counts(&self.read(sql::property_names(org, filter, most)).await?)?,
            };
            let added = self.read(sql::added_property_names(org, filter, most)).await?;
            sql::read_names(sent, &added, most)
        })
    }

    fn bodies<'a>(&'a self, org: OrgId, ids: &'a [RecordId]) -> StoreFuture<'a, Vec<(RecordId, Bytes, Bytes)>> {
        Box::pin(limited(READ, async move {
            let mut connection = self.readers.acquire().await.map_err(sort)?;
            reads::bodies(&mut *connection, org, ids).await
        }))
    }

    fn put_marks<'a>(&'a self, org: OrgId, marks: &'a [Mark]) -> StoreFuture<'a, ()> {
        Box::pin(limited(WRITE, async move {
            let mut transaction = self.writers.begin().await.map_err(sort)?;
            for mark in marks {
                sql::put_mark::<Postgres>(org, mark).build().execute(&mut *transaction).await.map_err(sort)?;
            }
            transaction.commit().await.map_err(sort)
        }))
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
        // No limit as for a batch of the log: it is one long piece of work that a person waits for.
        Box::pin(self.restate(audit, costs))
    }

    fn repricings(&self, org: OrgId) -> StoreFuture<'_, Vec<Repricing>> {
        Box::pin(async move {
            let rows = within(READ, sql::repricings::<Postgres>(org).build().fetch_all(&self.readers)).await?;
            rows.iter().map(read_repricing).collect()
        })
    }

    fn former_costs(&self, org: OrgId, id: RecordId) -> StoreFuture<'_, Vec<FormerCost>> {
        Box::pin(async move {
            let mut sql = sql::former_costs::<Postgres>(org, id);
            sql::read_former_costs(&within(READ, sql.build().fetch_all(&self.readers)).await?)
        })
    }

    fn record_progress<'a>(&'a self, progress: &'a GatewayProgress) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            within(WRITE, sql::record_progress::<Postgres>(progress).build().execute(&self.writers)).await.map(drop)
        })
    }

    fn gateways(&self) -> StoreFuture<'_, Vec<GatewayProgress>> {
        Box::pin(async move {
            let rows = within(READ, sql::gateways::<Postgres>().build().fetch_all(&self.readers)).await?;
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
            let mut connection = limited(READ, async { self.readers.acquire().await.map_err(sort) }).await?;
            Ok(ask::run(&mut connection, org, asked, limits).await)
        })
    }

    fn spending(&self, since: Timestamp) -> StoreFuture<'_, Vec<Spending>> {
        Box::pin(async move {
            let rows = within(READ, spending::statement::<Postgres>(since).build().fetch_all(&self.readers)).await?;
            rows.iter().map(spending::read).collect()
        })
    }

    fn change_shared<'a>(&'a self, keys: &'a [String], expires_s: i64, change: SharedChange) -> StoreFuture<'a, ()> {
        Box::pin(limited(SHARED, self.change_rows(keys, expires_s, change)))
    }

    fn expire<'a>(&'a self, expiry: &'a Expiry) -> StoreFuture<'a, Expired> {
        Box::pin(self.expire_batch(expiry))
    }

    fn roll_up(&self, now: Timestamp) -> StoreFuture<'_, usize> {
        Box::pin(limited(FOLD, self.roll_up_due(now)))
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
        Box::pin(limited(WRITE, async move {
            let mut connection = self.writers.acquire().await.map_err(sort)?;
            let new = insert::insert(&mut connection, &KEYS, std::slice::from_ref(key)).await?;
            if new.is_empty() { Err(KeyRow::taken()) } else { Ok(()) }
        }))
    }

    fn keys(&self) -> StoreFuture<'_, Vec<KeyRow>> {
        Box::pin(async move {
            let rows = within(READ, sql::keys::<Postgres>().build().fetch_all(&self.readers)).await?;
            rows.iter().map(read_key).collect()
        })
    }

    fn revoke_key(&self, key: KeyId, at: Timestamp) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            let done = within(WRITE, sql::revoke_key::<Postgres>(key, at).build().execute(&self.writers)).await?;
            Ok(done.rows_affected() > 0)
        })
    }

    fn rename_key<'a>(&'a self, key: KeyId, name: &'a str) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let done = within(WRITE, sql::rename_key::<Postgres>(key, name).build().execute(&self.writers)).await?;
            Ok(done.rows_affected() > 0)
        })
    }

    fn close(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.limits.close().await;
            self.readers.close().await;
            self.writers.close().await;
            Ok(())
        })
    }
}
