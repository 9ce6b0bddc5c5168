//! What the answers must be, worked out over plain rows.

use std::sync::LazyLock;

use tachograph_record::OrgId;
use tachograph_store::{Cursor, Filter, Marks, Page, Row, Search, Seen, Totals};

pub(crate) fn cursor(row: &Row) -> Cursor {
    Cursor { received_at: row.timing.received_at, id: row.id }
}

/// No marks, which most rows have.
static NONE: LazyLock<Marks> = LazyLock::new(Marks::default);

pub(crate) fn seen(row: &Row) -> Seen<'_> {
    Seen { row, marks: &NONE }
}

pub(crate) fn picks(filter: &Filter, row: &Row) -> bool {
    filter.picks(seen(row))
}

pub(crate) fn page(search: &Search, rows: &[Row]) -> Page {
    let mut picked: Vec<_> = rows
        .iter()
        .filter(|row| row.org == search.org && picks(&search.filter, row))
        .filter(|row| search.before.is_none_or(|before| cursor(row) < before))
        .filter(|row| search.after.is_none_or(|after| cursor(row) > after))
        .cloned()
        .collect();
    picked.sort_by_key(cursor);
    if search.after.is_none() {
        picked.reverse();
    }
    let limit = search.limit.clamp(1, 1_000) as usize;
    let more = search.after.is_some() || picked.len() > limit;
    picked.truncate(limit);
    let next = picked.last().filter(|_| more).map(cursor);
    Page { rows: picked, next }
}

pub(crate) fn totals(org: OrgId, filter: &Filter, rows: &[Row]) -> Totals {
    Totals::of(rows.iter().filter(|row| row.org == org && picks(filter, row)))
}
