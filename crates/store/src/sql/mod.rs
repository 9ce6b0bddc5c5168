//! The one place that turns questions into SQL, for both databases. Every value is bound, and no text of a caller ever
//! becomes part of a statement: what is pushed are constants of this crate.

mod beside;
mod conditions;
mod expire;
mod former;
mod groups;
pub(crate) mod rollups;

use sqlx::QueryBuilder;
use tachograph_record::{KeyId, OrgId, RecordId, Timestamp};
use uuid::Uuid;

pub(crate) use beside::*;
use conditions::{push_conditions, push_value};
pub(crate) use expire::{OF_A_ROW, delete, delete_old_bodies, delete_old_chunks, old_rows, organisations, read_ids};
pub(crate) use former::{change_cost, former_costs, keep_former_cost, read_former_costs};
pub(crate) use groups::{all_groups, buckets, groups, read_all_groups, read_buckets, read_groups, read_sums};

use crate::query::{Field, Kind, Pattern, Piece};

use crate::tables::{BodyColumns, GATEWAYS, KEYS, REPRICINGS, REQUESTS, Source, Table, Value, read_row};
use crate::{Cursor, GatewayProgress, Page, Search, StoreError};

/// Where the databases' SQL differs.
pub(crate) trait Dialect: sqlx::Database {
    fn bind_id(sql: &mut QueryBuilder<Self>, id: Uuid);
    fn bind_int(sql: &mut QueryBuilder<Self>, int: i64);
    fn bind_text(sql: &mut QueryBuilder<Self>, text: &str);
    fn bind_bytes(sql: &mut QueryBuilder<Self>, bytes: Vec<u8>);
    /// The condition that the property of this name has this value (both in their stored form).
    fn property_is(sql: &mut QueryBuilder<Self>, name: &str, value: &str);
    /// The condition that an indexed column, whose values may be of any length, has this value.
    fn long_text_is(sql: &mut QueryBuilder<Self>, column: &'static str, value: &str);
    /// What makes text sort byte by byte.
    const BYTEWISE: &'static str;
    fn bind_real(sql: &mut QueryBuilder<Self>, real: f64);
    /// The value of the property of this name (in its stored form), as it was sent.
    fn property(sql: &mut QueryBuilder<Self>, name: &str);
    /// The condition that a text fits a pattern.
    fn like(sql: &mut QueryBuilder<Self>, value: &dyn Fn(&mut QueryBuilder<Self>), pattern: &Pattern);
    /// An id as text, NULL as NULL.
    fn id_as_text(sql: &mut QueryBuilder<Self>, column: &'static str);
    /// The names of a row's properties, as a relation `p` with the column `key`, joined to `requests r`.
    const PROPERTY_NAMES: &'static str;
    /// The condition that the row has no property of the name `m.name`.
    const NO_SUCH_PROPERTY: &'static str;
    /// What goes before and behind `FROM …` in the condition that a row stands at one of some places in its table.
    const AT_PLACES: (&'static str, &'static str);
}

/// A pattern of `LIKE … ESCAPE '\\'`.
pub(crate) fn like_pattern(pattern: &Pattern) -> String {
    let mut like = String::new();
    for piece in pattern.pieces() {
        match piece {
            Piece::Any => like.push('%'),
            Piece::One => like.push('_'),
            Piece::Text(text) => {
                for character in text.chars() {
                    if matches!(character, '%' | '_' | '\\') {
                        like.push('\\');
                    }
                    like.push(character);
                }
            }
        }
    }
    like
}

/// Rows per page at most.
const MOST: u32 = 1_000;

pub(crate) const REQUEST_BODY: BodyColumns =
    BodyColumns { codec: "request_codec", raw_len: "request_raw_len", data: "request_data" };
pub(crate) const RESPONSE_BODY: BodyColumns =
    BodyColumns { codec: "response_codec", raw_len: "response_raw_len", data: "response_data" };

/// The statement of a [`Search`]. It asks for one row more than is wanted, to know whether there is more.
pub(crate) fn page<D: Dialect>(search: &Search) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("SELECT ");
    push_columns(&mut sql, &REQUESTS);
    sql.push(" FROM requests r");
    if let Some(order) = &search.order {
        push_sorted_page(&mut sql, search, &order.by, order.descending);
    } else {
        push_conditions(&mut sql, search.org, &search.filter);
        for (cursor, direction) in [(search.before, "<"), (search.after, ">")] {
            if let Some(cursor) = cursor {
                sql.push(" AND ");
                push_beside(&mut sql, cursor, direction);
            }
        }
        sql.push(match search.after {
            None => " ORDER BY r.received_at DESC, r.id DESC",
            Some(_) => " ORDER BY r.received_at, r.id",
        });
    }
    sql.push(" LIMIT ");
    D::bind_int(&mut sql, i64::from(limit(search)) + 1);
    if search.skip > 0 {
        sql.push(" OFFSET ");
        D::bind_int(&mut sql, i64::from(search.skip));
    }
    sql
}

fn push_beside<D: Dialect>(sql: &mut QueryBuilder<D>, cursor: Cursor, direction: &'static str) {
    sql.push("(r.received_at, r.id) ").push(direction).push(" (");
    D::bind_int(sql, cursor.received_at.micros());
    sql.push(", ");
    D::bind_id(sql, cursor.id.uuid());
    sql.push(")");
}

/// Rows in the order of a value, those without one last, then newest first. The cursor names the last row that was seen;
/// its value is looked up, so that no value needs to travel in a cursor.
fn push_sorted_page<D: Dialect>(sql: &mut QueryBuilder<D>, search: &Search, by: &Field, descending: bool) {
    let value = |sql: &mut QueryBuilder<D>| {
        sql.push("(");
        push_value(sql, by);
        sql.push(")");
        if matches!(by.kind(), Kind::Text | Kind::Word) {
            sql.push(D::BYTEWISE);
        }
    };
    if let Some(cursor) = search.before {
        sql.push(" CROSS JOIN (SELECT ");
        value(sql);
        sql.push(" AS v FROM requests r WHERE r.org_id = ");
        D::bind_id(sql, search.org.uuid());
        sql.push(" AND r.id = ");
        D::bind_id(sql, cursor.id.uuid());
        sql.push(") c");
    }
    push_conditions(sql, search.org, &search.filter);
    if let Some(cursor) = search.before {
        sql.push(" AND ((c.v IS NOT NULL AND (");
        value(sql);
        sql.push(" IS NULL OR ");
        value(sql);
        sql.push(if descending { " < c.v OR (" } else { " > c.v OR (" });
        value(sql);
        sql.push(" = c.v AND ");
        push_beside(sql, cursor, "<");
        sql.push("))) OR (c.v IS NULL AND ");
        value(sql);
        sql.push(" IS NULL AND ");
        push_beside(sql, cursor, "<");
        sql.push("))");
    }
    sql.push(" ORDER BY ");
    value(sql);
    sql.push(" IS NULL, ");
    value(sql);
    sql.push(if descending { " DESC" } else { "" }).push(", r.received_at DESC, r.id DESC");
}

fn limit(search: &Search) -> u32 {
    search.limit.clamp(1, MOST)
}

/// The answer of [`page`].
pub(crate) fn read_page<S: Source>(search: &Search, sources: &[S]) -> Result<Page, StoreError> {
    let wanted = limit(search) as usize;
    let rows: Vec<_> = sources.iter().take(wanted).map(read_row).collect::<Result<_, _>>()?;
    // Of a page of the past it is known whether older rows are there; behind a live tail newer ones may always come.
    let more = search.after.is_some() || sources.len() > wanted;
    let next = rows.last().filter(|_| more).map(|row| Cursor { received_at: row.timing.received_at, id: row.id });
    Ok(Page { rows, next })
}

/// The statement for one row with its bodies.
pub(crate) fn record<D: Dialect>(org: OrgId, id: RecordId) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("SELECT ");
    push_columns(&mut sql, &REQUESTS);
    for side in ["request", "response"] {
        sql.push(format_args!(
            ", {side}.codec AS {side}_codec, {side}.raw_len AS {side}_raw_len, {side}.data AS {side}_data"
        ));
    }
    sql.push(" FROM requests r");
    for side in ["request", "response"] {
        sql.push(format_args!(
            " LEFT JOIN bodies {side} ON {side}.org_id = r.org_id AND {side}.id = r.id AND {side}.side = '{side}'"
        ));
    }
    sql.push(" WHERE r.org_id = ");
    D::bind_id(&mut sql, org.uuid());
    sql.push(" AND r.id = ");
    D::bind_id(&mut sql, id.uuid());
    sql
}

/// The statement for all keys.
pub(crate) fn keys<D: Dialect>() -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("SELECT ");
    push_columns(&mut sql, &KEYS);
    sql.push(" FROM keys r ORDER BY r.created_at, r.id");
    sql
}

/// The statement that tells how far a gateway's record is complete. What is known already is never taken back.
pub(crate) fn record_progress<D: Dialect>(progress: &GatewayProgress) -> QueryBuilder<D> {
    let mut sql = insert_into::<D, _>(&GATEWAYS);
    sql.push("VALUES (");
    for (at, column) in GATEWAYS.columns.iter().enumerate() {
        if at > 0 {
            sql.push(", ");
        }
        match column.value {
            Value::Id(value) => D::bind_id(&mut sql, value(progress).unwrap_or_default()),
            Value::Int(value) => D::bind_int(&mut sql, value(progress).unwrap_or_default()),
            _ => {}
        }
    }
    sql.push(") ON CONFLICT (gateway_id) DO UPDATE SET ");
    let mut changes = sql.separated(", ");
    for column in GATEWAYS.columns.iter().skip(1) {
        changes.push(format_args!(
            "{0} = CASE WHEN excluded.{0} > gateways.{0} THEN excluded.{0} ELSE gateways.{0} END",
            column.name
        ));
    }
    sql
}

/// The statement for all gateways.
pub(crate) fn gateways<D: Dialect>() -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("SELECT ");
    push_columns(&mut sql, &GATEWAYS);
    sql.push(" FROM gateways r ORDER BY r.gateway_id");
    sql
}

/// The statement that revokes a key.
pub(crate) fn revoke_key<D: Dialect>(key: KeyId, at: Timestamp) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("UPDATE keys SET revoked_at = ");
    D::bind_int(&mut sql, at.micros());
    sql.push(" WHERE revoked_at IS NULL AND id = ");
    D::bind_id(&mut sql, key.uuid());
    sql
}

/// The statement that gives a key another name.
pub(crate) fn rename_key<D: Dialect>(key: KeyId, name: &str) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("UPDATE keys SET name = ");
    D::bind_text(&mut sql, &crate::text::stored(name));
    sql.push(" WHERE id = ");
    D::bind_id(&mut sql, key.uuid());
    sql
}

fn push_row<D: Dialect>(sql: &mut QueryBuilder<D>, org: OrgId, id: RecordId) {
    sql.push(" WHERE org_id = ");
    D::bind_id(sql, org.uuid());
    sql.push(" AND id = ");
    D::bind_id(sql, id.uuid());
}

/// The statement for an organisation's restatements, oldest first.
pub(crate) fn repricings<D: Dialect>(org: OrgId) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("SELECT ");
    push_columns(&mut sql, &REPRICINGS);
    sql.push(" FROM repricings r WHERE r.org_id = ");
    D::bind_id(&mut sql, org.uuid());
    sql.push(" ORDER BY r.made_at, r.id");
    sql
}

/// `INSERT INTO <table> (<columns>)`.
pub(crate) fn insert_into<D: Dialect, T>(table: &Table<T>) -> QueryBuilder<D> {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    QueryBuilder::new(format!("INSERT INTO {} ({}) ", table.name, names.join(", ")))
}

fn push_columns<D: Dialect, T>(sql: &mut QueryBuilder<D>, table: &Table<T>) {
    let mut list = sql.separated(", ");
    for column in table.columns {
        match column.value {
            Value::Object(_) => list.push(format_args!("CAST(r.{0} AS TEXT) AS {0}", column.name)),
            _ => list.push(format_args!("r.{}", column.name)),
        };
    }
    for column in table.also_read {
        list.push(format_args!("r.{column}"));
    }
}
