//! What rows were said to cost before they were restated.

use sqlx::QueryBuilder;
use tachograph_record::{CostState, Money, OrgId, RecordId, Timestamp};

use super::Dialect;
use crate::repricing::FormerCost;
use crate::tables::{CostColumns, REQUESTS, Source};
use crate::{StoreError, text};

/// What of a row its cost is, in every table that holds one.
pub(super) const COST_COLUMNS: [&str; 8] = [
    "cost_state",
    "cost_nano",
    "cost_rest",
    "cost_outsize",
    "input_nano",
    "cache_read_nano",
    "cache_write_nano",
    "output_nano",
];

/// ` FROM` the organisation's rows, as `r`, with the costs that they had at a moment: what a row cost before the first
/// restatement after it, else what it costs now. Rows that came later were not known then.
pub(super) fn push_rows_as_known<D: Dialect>(sql: &mut QueryBuilder<D>, org: OrgId, at: Timestamp) {
    sql.push(" FROM (SELECT ");
    let mut list = sql.separated(", ");
    for column in REQUESTS.columns.iter().map(|column| column.name).chain(REQUESTS.also_read.iter().copied()) {
        if COST_COLUMNS.contains(&column) {
            list.push(format_args!("CASE WHEN f.id IS NULL THEN k.{column} ELSE f.{column} END AS {column}"));
        } else {
            list.push(format_args!("k.{column}"));
        }
    }
    sql.push(" FROM requests k LEFT JOIN (SELECT c.id");
    for column in COST_COLUMNS {
        sql.push(format_args!(", c.{column}"));
    }
    sql.push(
        ", ROW_NUMBER() OVER (PARTITION BY c.id ORDER BY p.made_at, p.id) AS place \
         FROM former_costs c JOIN repricings p ON p.id = c.repricing_id WHERE c.org_id = ",
    );
    D::bind_id(sql, org.uuid());
    sql.push(" AND p.made_at > ");
    D::bind_int(sql, at.micros());
    sql.push(") f ON f.id = k.id AND f.place = 1 WHERE k.org_id = ");
    D::bind_id(sql, org.uuid());
    sql.push(" AND k.received_at < ");
    D::bind_int(sql, at.micros());
    sql.push(") r");
}

/// The statement for what a row cost before each of its restatements, oldest first.
pub(crate) fn former_costs<D: Dialect>(org: OrgId, id: RecordId) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new(
        "SELECT c.cost_state, c.cost_nano, c.cost_rest, c.cost_outsize, p.id, p.made_at, p.author, p.price_version \
         FROM former_costs c JOIN repricings p ON p.id = c.repricing_id WHERE c.org_id = ",
    );
    D::bind_id(&mut sql, org.uuid());
    sql.push(" AND c.id = ");
    D::bind_id(&mut sql, id.uuid());
    sql.push(" ORDER BY p.made_at, p.id");
    sql
}

/// The answer of [`former_costs`].
pub(crate) fn read_former_costs<S: Source>(sources: &[S]) -> Result<Vec<FormerCost>, StoreError> {
    let read = |source: &S| -> Result<FormerCost, StoreError> {
        let columns = source.int("cost_nano")?.zip(source.int("cost_rest")?);
        let in_columns = columns.and_then(|(nano, rest)| Money::from_columns(nano.into(), rest.into()));
        let outsize: Option<Money> = match source.text("cost_outsize")? {
            Some(text) => Some(text.parse().map_err(|why| StoreError::unreadable("cost_outsize", why))?),
            None => None,
        };
        Ok(FormerCost {
            repricing: source.some_id("id")?,
            until: Timestamp::from_micros(source.some_int("made_at")?),
            author: source.some_text("author")?,
            price_version: source.some_text("price_version")?,
            state: source.some_text("cost_state")?,
            total: in_columns.or(outsize),
        })
    };
    sources.iter().map(read).collect()
}

/// Keeps what a row costs beside the restatement that is about to change it.
pub(crate) fn keep_former_cost<D: Dialect>(org: OrgId, id: RecordId, repricing: uuid::Uuid) -> QueryBuilder<D> {
    let costs = COST_COLUMNS.join(", ");
    let mut sql = QueryBuilder::new(format!(
        "INSERT INTO former_costs (org_id, id, repricing_id, cost, {costs}) SELECT org_id, id, "
    ));
    D::bind_id(&mut sql, repricing);
    sql.push(format_args!(", cost, {costs} FROM requests"));
    super::push_row(&mut sql, org, id);
    sql
}

/// Gives a row another cost.
///
/// # Errors
/// Where the cost cannot be written.
pub(crate) fn change_cost<D: Dialect>(
    org: OrgId,
    id: RecordId,
    cost: &CostState,
) -> Result<QueryBuilder<D>, StoreError> {
    let text = CostColumns::text(cost)?;
    let cost = CostColumns::of(cost);
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
    for (column, text) in [(", cost_outsize = ", &cost.outsize), (", cost = ", &text)] {
        sql.push(column);
        match text {
            Some(text) => D::bind_text(&mut sql, &text::stored(text)),
            None => drop(sql.push("NULL")),
        }
    }
    let names = [", input_nano = ", ", cache_read_nano = ", ", cache_write_nano = ", ", output_nano = "];
    for (at, column) in names.into_iter().enumerate() {
        sql.push(column);
        match cost.parts {
            Some(parts) => D::bind_int(&mut sql, parts[at]),
            None => drop(sql.push("NULL")),
        }
    }
    super::push_row(&mut sql, org, id);
    Ok(sql)
}
