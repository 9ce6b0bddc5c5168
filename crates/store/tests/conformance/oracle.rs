//! What the answers must be, worked out over plain rows.

use tachograph_record::{CostState, Money};
use tachograph_store::{Cursor, Filter, Page, Row, Search, Totals};

pub(crate) fn cursor(row: &Row) -> Cursor {
    Cursor { received_at: row.timing.received_at, id: row.id }
}

pub(crate) fn picks(filter: &Filter, row: &Row) -> bool {
    let at = row.timing.received_at;
    let is = |wanted: &Option<String>, held: Option<&str>| wanted.is_none() || wanted.as_deref() == held;
    let told = &row.attribution;
    filter.from.is_none_or(|from| at >= from)
        && filter.until.is_none_or(|until| at < until)
        && (is(&filter.model, row.model.as_deref()) || is(&filter.model, row.requested_model.as_deref()))
        && is(&filter.provider, row.provider.as_deref())
        && is(&filter.user, told.user.as_deref())
        && is(&filter.session, told.session.as_ref().map(|session| &*session.id))
        && filter.outcome.is_none_or(|outcome| row.outcome == outcome)
        && filter.status.is_none_or(|status| row.status == Some(status))
        && filter.property.as_ref().is_none_or(|property| told.properties.contains(property))
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

pub(crate) fn totals(org: tachograph_record::OrgId, filter: &Filter, rows: &[Row]) -> Totals {
    let picked: Vec<_> = rows.iter().filter(|row| row.org == org && picks(filter, row)).collect();
    let tokens = |count: fn(&tachograph_record::Usage) -> u64| {
        let counts = picked.iter().filter_map(|row| row.usage.as_ref()).map(count);
        counts.fold(0_u64, |sum, count| sum.saturating_add(count.min(i64::MAX as u64)))
    };
    let unpriced = |row: &&&Row| matches!(row.cost, CostState::UnknownModel | CostState::InvalidUsage { .. });
    Totals {
        requests: picked.len() as u64,
        cost: picked.iter().filter_map(|row| row.cost.total()).sum::<Money>(),
        unpriced: picked.iter().filter(unpriced).count() as u64,
        input_tokens: tokens(tachograph_record::Usage::input_total),
        output_tokens: tokens(tachograph_record::Usage::output_total),
    }
}
