//! Statements about rollups.

use sqlx::QueryBuilder;
use uuid::Uuid;

use super::Dialect;
use crate::rollup::{Block, COLUMNS, DAY, HOUR, OF_DAYS, OF_FACTS, OF_HOURS, Range};
use crate::text;

/// Blocks of one statement.
const BLOCKS: usize = 500;
/// Hours or days of one look at what is to be done.
const MOST: i64 = 64;

/// Blocks of one cube and level, in a range of time; all of them, or those that are not merged.
pub(crate) struct Wanted {
    pub(crate) cube: i32,
    pub(crate) level: i32,
    pub(crate) range: Range,
    pub(crate) unmerged: bool,
}

const BLOCK: &str = "org_id, cube, level, at, merged, data";

/// Adds blocks, as few statements as that takes.
pub(crate) fn insert<D: Dialect>(blocks: Vec<Block>) -> Vec<QueryBuilder<D>> {
    let mut statements = Vec::new();
    let mut blocks = blocks.into_iter().peekable();
    while blocks.peek().is_some() {
        let mut sql = QueryBuilder::new(format!("INSERT INTO rollups ({BLOCK}) VALUES "));
        for (at, block) in blocks.by_ref().take(BLOCKS).enumerate() {
            sql.push(if at == 0 { "(" } else { ", (" });
            D::bind_id(&mut sql, block.org);
            sql.push(format_args!(", {}, {}, ", block.cube, block.level));
            D::bind_int(&mut sql, block.at);
            sql.push(if block.merged { ", TRUE, " } else { ", FALSE, " });
            D::bind_bytes(&mut sql, block.data);
            sql.push(")");
        }
        statements.push(sql);
    }
    statements
}

/// Asks for blocks.
pub(crate) fn blocks<D: Dialect>(org: Uuid, wanted: &[Wanted]) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("");
    for (at, wanted) in wanted.iter().enumerate() {
        sql.push(if at == 0 { "" } else { " UNION ALL " });
        sql.push(format_args!("SELECT {BLOCK} FROM rollups WHERE "));
        push_wanted(&mut sql, org, wanted);
    }
    sql
}

fn push_wanted<D: Dialect>(sql: &mut QueryBuilder<D>, org: Uuid, wanted: &Wanted) {
    sql.push("org_id = ");
    D::bind_id(sql, org);
    sql.push(format_args!(" AND cube = {} AND level = {} AND at >= ", wanted.cube, wanted.level));
    D::bind_int(sql, wanted.range.0);
    sql.push(" AND at < ");
    D::bind_int(sql, wanted.range.1);
    if wanted.unmerged {
        sql.push(" AND NOT merged");
    }
}

/// Takes blocks out.
pub(crate) fn take<D: Dialect>(org: Uuid, wanted: &Wanted) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("DELETE FROM rollups WHERE ");
    push_wanted(&mut sql, org, wanted);
    sql.push(format_args!(" RETURNING {BLOCK}"));
    sql
}

/// Takes all blocks of a level and a range that are (not) merged out.
pub(crate) fn take_level<D: Dialect>(org: Uuid, level: i32, range: Range, merged: Option<bool>) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("DELETE FROM rollups WHERE org_id = ");
    D::bind_id(&mut sql, org);
    sql.push(format_args!(" AND level = {level} AND at >= "));
    D::bind_int(&mut sql, range.0);
    sql.push(" AND at < ");
    D::bind_int(&mut sql, range.1);
    sql.push(match merged {
        None => "",
        Some(true) => " AND merged",
        Some(false) => " AND NOT merged",
    });
    sql.push(format_args!(" RETURNING {BLOCK}"));
    sql
}

/// Asks for the blocks of a level and a range that are not merged.
pub(crate) fn unmerged<D: Dialect>(org: Uuid, level: i32, range: Range) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new(format!("SELECT {BLOCK} FROM rollups WHERE org_id = "));
    D::bind_id(&mut sql, org);
    sql.push(format_args!(" AND level = {level} AND NOT merged AND at >= "));
    D::bind_int(&mut sql, range.0);
    sql.push(" AND at < ");
    D::bind_int(&mut sql, range.1);
    sql
}

/// Says of hours whether they are in their day.
pub(crate) fn set_merged<D: Dialect>(org: Uuid, range: Range, merged: bool) -> QueryBuilder<D> {
    let (to, from) = if merged { ("TRUE", "NOT merged") } else { ("FALSE", "merged") };
    let mut sql = QueryBuilder::new(format!("UPDATE rollups SET merged = {to} WHERE org_id = "));
    D::bind_id(&mut sql, org);
    sql.push(format_args!(" AND level = {OF_HOURS} AND {from} AND at >= "));
    D::bind_int(&mut sql, range.0);
    sql.push(" AND at < ");
    D::bind_int(&mut sql, range.1);
    sql
}

/// The start of the span that a moment is in. (`%` keeps the sign of what it divides.)
fn floor(column: &str, length: i64) -> String {
    format!("({column} - ((({column} % {length}) + {length}) % {length}))")
}

/// Hours with facts that are not in the cubes, the oldest first, with how many blocks and bytes there are.
pub(crate) fn open_hours<D: Dialect>() -> QueryBuilder<D> {
    let hour = floor("at", HOUR.0);
    let mut sql = QueryBuilder::new(format!(
        "SELECT org_id, {hour} AS at, COUNT(*) AS blocks, CAST(SUM(length(data)) AS BIGINT) AS bytes FROM rollups \
         WHERE level = {OF_FACTS} AND NOT merged GROUP BY org_id, {hour} ORDER BY {hour} LIMIT "
    ));
    D::bind_int(&mut sql, MOST);
    sql
}

/// Days before a moment with hours that are not in them, the oldest first.
pub(crate) fn open_days<D: Dialect>(before: i64) -> QueryBuilder<D> {
    let day = floor("at", DAY.0);
    let mut sql = QueryBuilder::new(format!(
        "SELECT org_id, {day} AS at FROM rollups WHERE level = {OF_HOURS} AND NOT merged AND at < "
    ));
    D::bind_int(&mut sql, before);
    sql.push(format_args!(" GROUP BY org_id, {day} ORDER BY {day} LIMIT "));
    D::bind_int(&mut sql, MOST);
    sql
}

/// Some dirty hours, the newest first: they are asked for most.
pub(crate) fn dirty_hours<D: Dialect>() -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("SELECT org_id, at FROM rollup_state WHERE kind = 0 ORDER BY at DESC LIMIT ");
    D::bind_int(&mut sql, MOST);
    sql
}

/// Dirty hours of an organisation, and the floor of facts.
pub(crate) fn state<D: Dialect>(org: Uuid) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("SELECT kind, at FROM rollup_state WHERE kind = 1 OR (kind = 0 AND org_id = ");
    D::bind_id(&mut sql, org);
    sql.push(")");
    sql
}

/// Marks hours as dirty. The mark of one that is dirty already changes, so that whoever cleans it just now notices.
pub(crate) fn mark_dirty<D: Dialect>(org: Uuid, hours: &[i64]) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("INSERT INTO rollup_state (org_id, kind, at, times) VALUES ");
    for (at, hour) in hours.iter().enumerate() {
        sql.push(if at == 0 { "(" } else { ", (" });
        D::bind_id(&mut sql, org);
        sql.push(", 0, ");
        D::bind_int(&mut sql, *hour);
        sql.push(", 1)");
    }
    sql.push(" ON CONFLICT (org_id, kind, at) DO UPDATE SET times = rollup_state.times + 1");
    sql
}

/// Takes a dirty mark away.
pub(crate) fn clean<D: Dialect>(org: Uuid, hour: i64) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("DELETE FROM rollup_state WHERE kind = 0 AND org_id = ");
    D::bind_id(&mut sql, org);
    sql.push(" AND at = ");
    D::bind_int(&mut sql, hour);
    sql
}

/// Says from which moment on facts are kept.
pub(crate) fn set_floor<D: Dialect>(at: i64) -> Vec<QueryBuilder<D>> {
    let mut gone = QueryBuilder::new("DELETE FROM rollup_state WHERE kind = 1");
    let mut set = QueryBuilder::new("INSERT INTO rollup_state (org_id, kind, at, times) VALUES (");
    D::bind_id(&mut set, Uuid::nil());
    set.push(", 1, ");
    D::bind_int(&mut set, at);
    set.push(", 1)");
    gone.push("");
    vec![gone, set]
}

/// Lets go of facts and minutes before the floor; facts that are not in the cubes stay.
pub(crate) fn drop_before<D: Dialect>(floor: i64) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("DELETE FROM rollups WHERE level < 2 AND merged AND at < ");
    D::bind_int(&mut sql, floor);
    sql
}

/// Whether a property of this name was put on any row later.
pub(crate) fn is_marked<D: Dialect>(org: Uuid, name: &str) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("SELECT 1 AS one FROM request_marks WHERE org_id = ");
    D::bind_id(&mut sql, org);
    sql.push(" AND kind = 'property' AND name = ");
    D::bind_text(&mut sql, &text::stored(name));
    sql.push(" LIMIT 1");
    sql
}

/// The facts of an organisation's rows in a range.
pub(crate) fn facts<D: Dialect>(org: Uuid, range: Range) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new(format!("SELECT {COLUMNS} FROM requests r WHERE r.org_id = "));
    D::bind_id(&mut sql, org);
    sql.push(" AND r.received_at >= ");
    D::bind_int(&mut sql, range.0);
    sql.push(" AND r.received_at < ");
    D::bind_int(&mut sql, range.1);
    sql
}

/// The fact of one row.
pub(crate) fn fact<D: Dialect>(org: Uuid, id: Uuid) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new(format!("SELECT {COLUMNS} FROM requests r WHERE r.org_id = "));
    D::bind_id(&mut sql, org);
    sql.push(" AND r.id = ");
    D::bind_id(&mut sql, id);
    sql
}

/// The hours that an organisation has blocks in.
pub(crate) fn hours_of_blocks<D: Dialect>(org: Uuid, range: Range) -> QueryBuilder<D> {
    let hour = floor("at", HOUR.0);
    let mut sql = QueryBuilder::new(format!("SELECT {hour} AS at FROM rollups WHERE org_id = "));
    D::bind_id(&mut sql, org);
    sql.push(format_args!(" AND level < {OF_DAYS} AND at >= "));
    D::bind_int(&mut sql, range.0);
    sql.push(" AND at < ");
    D::bind_int(&mut sql, range.1);
    sql.push(format_args!(" GROUP BY {hour}"));
    sql
}

/// The hours that an organisation has rows in.
pub(crate) fn hours_of_rows<D: Dialect>(org: Uuid, range: Range) -> QueryBuilder<D> {
    let hour = floor("r.received_at", HOUR.0);
    let mut sql = QueryBuilder::new(format!("SELECT {hour} AS at FROM requests r WHERE r.org_id = "));
    D::bind_id(&mut sql, org);
    sql.push(" AND r.received_at >= ");
    D::bind_int(&mut sql, range.0);
    sql.push(" AND r.received_at < ");
    D::bind_int(&mut sql, range.1);
    sql.push(format_args!(" GROUP BY {hour}"));
    sql
}

/// The first and the last moment of each organisation's blocks.
pub(crate) fn extent_of_blocks<D: Dialect>() -> QueryBuilder<D> {
    QueryBuilder::new("SELECT org_id, MIN(at) AS first_at, MAX(at) AS last_at FROM rollups GROUP BY org_id")
}

/// The first and the last moment of an organisation's rows.
pub(crate) fn extent_of_rows<D: Dialect>(org: Uuid) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("");
    for (at, (name, order)) in [("first_at", ""), ("last_at", " DESC")].into_iter().enumerate() {
        sql.push(if at == 0 { "SELECT " } else { ", " });
        sql.push("(SELECT r.received_at FROM requests r WHERE r.org_id = ");
        D::bind_id(&mut sql, org);
        sql.push(format_args!(" ORDER BY r.received_at{order}, r.id{order} LIMIT 1) AS {name}"));
    }
    sql
}
