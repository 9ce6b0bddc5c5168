//! The one place that turns questions into SQL, for both databases. Every value is bound, and no text of a caller ever
//! becomes part of a statement: what is pushed are constants of this crate.

use std::borrow::Cow;

use sqlx::QueryBuilder;
use tachograph_record::{KeyId, Money, OrgId, RecordId, Timestamp};
use uuid::Uuid;

use crate::tables::{BodyColumns, CostColumns, KEYS, REPRICINGS, REQUESTS, Source, Table, Value, read_body, read_row};
use crate::{Cursor, Filter, Page, Search, StoreError, StoredRecord, Totals, text};

/// Where the databases' SQL differs.
pub(crate) trait Dialect: sqlx::Database {
    fn bind_id(sql: &mut QueryBuilder<Self>, id: Uuid);
    fn bind_int(sql: &mut QueryBuilder<Self>, int: i64);
    fn bind_text(sql: &mut QueryBuilder<Self>, text: &str);
    /// The condition that the property of this name has this value (both in their stored form).
    fn property_is(sql: &mut QueryBuilder<Self>, name: &str, value: &str);
    /// The condition that an indexed column, whose values may be of any length, has this value.
    fn long_text_is(sql: &mut QueryBuilder<Self>, column: &'static str, value: &str);
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
    push_conditions(&mut sql, search.org, &search.filter);
    for (cursor, direction) in [(search.before, "<"), (search.after, ">")] {
        if let Some(Cursor { received_at, id }) = cursor {
            sql.push(" AND (r.received_at, r.id) ").push(direction).push(" (");
            D::bind_int(&mut sql, received_at.micros());
            sql.push(", ");
            D::bind_id(&mut sql, id.uuid());
            sql.push(")");
        }
    }
    sql.push(match search.after {
        None => " ORDER BY r.received_at DESC, r.id DESC LIMIT ",
        Some(_) => " ORDER BY r.received_at, r.id LIMIT ",
    });
    D::bind_int(&mut sql, i64::from(limit(search)) + 1);
    sql
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

/// The answer of [`record`].
pub(crate) async fn read_record(source: Option<impl Source>) -> Result<Option<StoredRecord>, StoreError> {
    let Some(source) = source else { return Ok(None) };
    Ok(Some(StoredRecord {
        row: read_row(&source)?,
        request: read_body(&source, &REQUEST_BODY).await?,
        response: read_body(&source, &RESPONSE_BODY).await?,
    }))
}

/// Columns that are added up. Each is summed in two halves, `n >> 32` and `n & 0xFFFFFFFF`, which no number of rows that
/// fits on a disk makes overflow; a plain sum of 64-bit numbers would after a few large ones.
const SUMMED: [&str; 4] = ["cost_nano", "cost_rest", "input_tokens", "output_tokens"];

const ATTO_PER_NANO: i128 = 1_000_000_000;

/// The statement for [`Totals`]: one statement, so that all figures are of the same moment.
pub(crate) fn totals<D: Dialect>(org: OrgId, filter: &Filter) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new(
        "SELECT COUNT(*) AS requests, \
         COUNT(CASE WHEN r.cost_state IN ('unknown_model', 'invalid_usage') THEN 1 END) AS unpriced, \
         STRING_AGG(r.cost_outsize, ' ') AS cost_outsize",
    );
    for column in SUMMED {
        sql.push(format_args!(
            ", CAST(COALESCE(SUM(r.{column} >> 32), 0) AS BIGINT) AS {column}_high, \
             CAST(COALESCE(SUM(r.{column} & 4294967295), 0) AS BIGINT) AS {column}_low"
        ));
    }
    sql.push(" FROM requests r");
    push_conditions(&mut sql, org, filter);
    sql
}

/// The answer of [`totals`].
pub(crate) fn read_totals(source: &impl Source) -> Result<Totals, StoreError> {
    let sum = |column: &str| -> Result<i128, StoreError> {
        let half = |which: &str| source.some_int(&format!("{column}_{which}")).map(i128::from);
        Ok((half("high")? << 32) + half("low")?)
    };
    let tokens = |column: &str| sum(column).map(|sum| u64::try_from(sum.max(0)).unwrap_or(u64::MAX));
    let (mut nano, mut rest) = (sum("cost_nano")?, sum("cost_rest")?);
    for outsize in source.text("cost_outsize")?.unwrap_or_default().split_ascii_whitespace() {
        let outsize: Money = outsize.parse().map_err(|why| StoreError::unreadable("cost_outsize", why))?;
        nano += outsize.atto().div_euclid(ATTO_PER_NANO);
        rest += outsize.atto().rem_euclid(ATTO_PER_NANO);
    }
    let beyond = || StoreError::Failed("the sum of all costs is beyond 1.7e20 USD".into());
    Ok(Totals {
        requests: source.some_count("requests")?,
        cost: Money::from_columns(nano, rest).ok_or_else(beyond)?,
        unpriced: source.some_count("unpriced")?,
        input_tokens: tokens("input_tokens")?,
        output_tokens: tokens("output_tokens")?,
    })
}

/// The statement for all keys.
pub(crate) fn keys<D: Dialect>() -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("SELECT ");
    push_columns(&mut sql, &KEYS);
    sql.push(" FROM keys r ORDER BY r.created_at, r.id");
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

/// Keeps what a row costs beside the restatement that is about to change it.
pub(crate) fn keep_former_cost<D: Dialect>(org: OrgId, id: RecordId, repricing: Uuid) -> QueryBuilder<D> {
    const COSTS: &str = "cost_state, cost_nano, cost_rest, cost_outsize, cost";
    let mut sql =
        QueryBuilder::new(format!("INSERT INTO former_costs (org_id, id, repricing_id, {COSTS}) SELECT org_id, id, "));
    D::bind_id(&mut sql, repricing);
    sql.push(format_args!(", {COSTS} FROM requests"));
    push_row(&mut sql, org, id);
    sql
}

/// Gives a row another cost.
pub(crate) fn change_cost<D: Dialect>(org: OrgId, id: RecordId, cost: &CostColumns) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("UPDATE requests SET cost_state = ");
    D::bind_text(&mut sql, cost.state);
    let (nano, rest) = cost.columns.unzip();
    for (column, int) in [(", cost_nano = ", nano), (", cost_rest = ", rest)] {
        sql.push(column);
        match int {
            Some(int) => D::bind_int(&mut sql, int),
            None => drop(sql.push("NULL")),
        }
    }
    for (column, text) in [(", cost_outsize = ", &cost.outsize), (", cost = ", &cost.text)] {
        sql.push(column);
        match text {
            Some(text) => D::bind_text(&mut sql, &text::stored(text)),
            None => drop(sql.push("NULL")),
        }
    }
    push_row(&mut sql, org, id);
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
}

fn push_conditions<D: Dialect>(sql: &mut QueryBuilder<D>, org: OrgId, filter: &Filter) {
    sql.push(" WHERE r.org_id = ");
    D::bind_id(sql, org.uuid());
    let ints = [
        (" AND r.received_at >= ", filter.from.map(Timestamp::micros)),
        (" AND r.received_at < ", filter.until.map(Timestamp::micros)),
        (" AND r.status = ", filter.status.map(i64::from)),
    ];
    for (condition, int) in ints {
        if let Some(int) = int {
            sql.push(condition);
            D::bind_int(sql, int);
        }
    }
    let texts = [
        (" AND r.provider = ", filter.provider.as_deref()),
        (" AND r.outcome = ", filter.outcome.map(|outcome| outcome.code())),
    ];
    for (condition, text) in texts {
        if let Some(text) = text {
            sql.push(condition);
            D::bind_text(sql, &text::stored(text));
        }
    }
    if let Some(model) = filter.model.as_deref().map(text::stored) {
        sql.push(" AND (r.model = ");
        D::bind_text(sql, &model);
        sql.push(" OR r.requested_model = ");
        D::bind_text(sql, &model);
        sql.push(")");
    }
    for (column, value) in [("r.user_id", &filter.user), ("r.session_id", &filter.session)] {
        if let Some(value) = value.as_deref().map(text::stored) {
            sql.push(" AND ");
            D::long_text_is(sql, column, &value);
        }
    }
    if let Some((name, value)) = &filter.property {
        let (name, value): (Cow<'_, str>, Cow<'_, str>) = (text::stored(name), text::stored(value));
        sql.push(" AND ");
        D::property_is(sql, &name, &value);
    }
}
