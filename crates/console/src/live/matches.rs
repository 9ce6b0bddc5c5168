//! Whether a row is one that a filter picks, as the store would decide.

use tachograph_store::{Filter, Row};

/// Whether the filter picks the row.
pub(super) fn matches(filter: &Filter, row: &Row) -> bool {
    let Filter { from, until, model, provider, user, session, outcome, status, property } = filter;
    let about = &row.attribution;
    let received_at = row.timing.received_at;
    // A filter that is absent picks all; one that is there wants a value, and that value.
    let same = |wanted: &Option<String>, held: Option<&str>| wanted.is_none() || wanted.as_deref() == held;
    from.is_none_or(|from| received_at >= from)
        && until.is_none_or(|until| received_at < until)
        && (same(model, row.model.as_deref()) || same(model, row.requested_model.as_deref()))
        && same(provider, row.provider.as_deref())
        && same(user, about.user.as_deref())
        && same(session, about.session.as_ref().map(|session| session.id.as_str()))
        && outcome.is_none_or(|outcome| row.outcome == outcome)
        && status.is_none_or(|status| row.status == Some(status))
        && property.as_ref().is_none_or(|property| about.properties.contains(property))
}
