//! Letting go of what is too old, a small batch at a time.

use sqlx::QueryBuilder;
use tachograph_record::Timestamp;
use uuid::Uuid;

use super::Dialect;
use crate::StoreError;
use crate::chunks;
use crate::tables::Source;

/// Rows of one batch; bodies likewise. Nobody waits long for a transaction of so many.
const BATCH: i64 = 500;

/// What stands beside a row and goes with it, the row itself last.
pub(crate) const OF_A_ROW: [&str; 4] = ["bodies", "request_marks", "former_costs", "requests"];

/// The organisations that have rows: each is found by one step in an index.
pub(crate) fn organisations<D: Dialect>() -> QueryBuilder<D> {
    QueryBuilder::new(
        "WITH RECURSIVE o (id) AS (SELECT f.org_id FROM (SELECT org_id FROM requests ORDER BY org_id LIMIT 1) f UNION ALL \
         SELECT (SELECT r.org_id FROM requests r WHERE r.org_id > o.id ORDER BY r.org_id LIMIT 1) FROM o \
         WHERE o.id IS NOT NULL) SELECT o.id AS id FROM o WHERE o.id IS NOT NULL",
    )
}

/// Some rows of an organisation that were received before this, the oldest first.
pub(crate) fn old_rows<D: Dialect>(org: Uuid, before: Timestamp) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("SELECT r.id, r.received_at FROM requests r WHERE r.org_id = ");
    D::bind_id(&mut sql, org);
    sql.push(" AND r.received_at < ");
    D::bind_int(&mut sql, before.micros());
    sql.push(" ORDER BY r.received_at, r.id LIMIT ");
    D::bind_int(&mut sql, BATCH);
    sql
}

/// Deletes what a table, one of [`OF_A_ROW`], holds of these rows.
pub(crate) fn delete<D: Dialect>(table: &'static str, org: Uuid, ids: &[Uuid]) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("DELETE FROM ");
    sql.push(table).push(" WHERE org_id = ");
    D::bind_id(&mut sql, org);
    for (at, id) in ids.iter().enumerate() {
        sql.push(if at == 0 { " AND id IN (" } else { ", " });
        D::bind_id(&mut sql, *id);
    }
    sql.push(if ids.is_empty() { " AND 1 = 0" } else { ")" });
    sql
}

/// Deletes some bodies of calls that were received before this.
pub(crate) fn delete_old_bodies<D: Dialect>(before: Timestamp) -> QueryBuilder<D> {
    let (begin, end) = D::AT_PLACES;
    let mut sql = QueryBuilder::new("DELETE FROM bodies WHERE ");
    sql.push(begin).push("FROM bodies WHERE received_at < ");
    D::bind_int(&mut sql, before.micros());
    sql.push(" LIMIT ");
    D::bind_int(&mut sql, BATCH);
    sql.push(end);
    sql
}

/// Chunks of one batch.
const CHUNKS: i64 = 2_000;

/// Deletes some chunks of days that were over before this.
pub(crate) fn delete_old_chunks<D: Dialect>(before: Timestamp) -> QueryBuilder<D> {
    let (begin, end) = D::AT_PLACES;
    let mut sql = QueryBuilder::new("DELETE FROM chunks WHERE ");
    sql.push(begin).push("FROM chunks WHERE day < ");
    // A day begins at most a day before what is too old, and all its bodies are.
    D::bind_int(&mut sql, chunks::day(before.micros()));
    sql.push(" LIMIT ");
    D::bind_int(&mut sql, CHUNKS);
    sql.push(end);
    sql
}

/// Reads a list of ids.
pub(crate) fn read_ids<S: Source>(sources: &[S]) -> Result<Vec<Uuid>, StoreError> {
    sources.iter().map(|source| source.some_id("id")).collect()
}
