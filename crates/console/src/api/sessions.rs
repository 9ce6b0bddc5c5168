//! Sessions: the list, and one as a tree.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde_json::{Map, Value, json};
use tachograph_record::{Money, RecordId};
use tachograph_store::{Breakdown, Fact, Field, Filter, Measure, Predicate, Row, Search, Totals};

use super::beside;
use super::question::Asked;
use super::sums::{compared, figures, sorted};
use super::text::resolve;
use super::view::Summary;
use super::{Desk, Refusal};
use crate::access::Caller;

/// Steps of one session at most.
const MOST_STEPS: usize = 20_000;

/// `GET|POST /api/sessions`: the latest first.
pub(crate) async fn list(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Asked(mut question): Asked,
) -> Result<Json<Value>, Refusal> {
    question.narrow(Predicate::present(Fact::Session));
    let (order, descending) = sorted(&mut question, Measure::LastAt)?;
    let (limit, skip) = (question.take_limit().unwrap_or(50), question.take_skip());
    compared(&mut question)?;
    let (filter, searched) = resolve(&*desk.store, caller.org, question.filter_only()?).await?;
    let by: Vec<Field> = vec![Fact::Session.into(), Fact::SessionName.into()];
    let asked =
        Breakdown { by, order, ascending: !descending, limit, skip, ..Breakdown::whole(caller.org, filter.clone()) };
    let groups = desk.store.groups(&asked).await?;
    let rows: Vec<Value> = groups
        .groups
        .iter()
        .map(|group| {
            let mut row = figures(&group.totals);
            row.insert("session".into(), json!(group.keys[0]));
            row.insert("name".into(), json!(group.keys[1]));
            Value::Object(row)
        })
        .collect();
    let whole = desk.store.totals(caller.org, &filter).await?;
    Ok(Json(json!({ "rows": rows, "more": groups.more, "totals": figures(&whole), "searched": searched })))
}

/// `GET /api/sessions/{id}`: its steps in the order of time, each with its parent, and the tree of its paths.
pub(crate) async fn one(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let filter = Filter::from(Predicate::is(Fact::Session, id.as_str()));
    let mut search = Search::new(caller.org, filter);
    let mut rows: Vec<Row> = Vec::new();
    let more = loop {
        let page = desk.store.search(&search).await?;
        rows.extend(page.rows);
        search.before = page.next;
        if page.next.is_none() || rows.len() >= MOST_STEPS {
            break page.next.is_some();
        }
    };
    if rows.is_empty() {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "unknown_session", "there is no such session"));
    }
    rows.reverse();
    let mut marks = std::collections::HashMap::new();
    for ids in rows.iter().map(|row| row.id).collect::<Vec<RecordId>>().chunks(1_000) {
        marks.extend(desk.store.marks(caller.org, ids).await?);
    }
    let parents = parents(&rows);
    let steps: Vec<Value> = rows
        .iter()
        .zip(&parents)
        .map(|(row, parent)| {
            let mut step = serde_json::to_value(Summary::of(row, marks.get(&row.id))).unwrap_or_default();
            step["parent"] = json!(parent.map(|at| rows[at].id));
            step
        })
        .collect();
    let end = rows.iter().map(end).max().unwrap_or(0);
    let start = rows.iter().map(|row| row.timing.received_at.micros()).min().unwrap_or(0);
    let totals = Totals::of(&rows);
    let own = desk.store.session_marks(caller.org, &id).await?;
    Ok(Json(json!({
        "session": id,
        "name": rows.iter().find_map(|row| row.attribution.session.as_ref()?.name.clone()),
        "from": start,
        "until": end,
        "totals": figures(&totals),
        "marks": beside::told(&own),
        "steps": steps,
        "tree": Branch::of(&rows).told(""),
        "repeats": repeats(&rows),
        "more": more,
    })))
}

fn end(row: &Row) -> i64 {
    row.timing.received_at.micros().saturating_add(i64::try_from(row.timing.end_us).unwrap_or(i64::MAX))
}

/// The place of each row's parent: by span ids where they are told, else the row whose path is the nearest one above its
/// own and that began last before it.
fn parents(rows: &[Row]) -> Vec<Option<usize>> {
    let mut by_span = std::collections::HashMap::new();
    let mut by_path: std::collections::HashMap<&str, Vec<usize>> = std::collections::HashMap::new();
    for (at, row) in rows.iter().enumerate() {
        if let Some(span) = row.span_id.as_deref() {
            by_span.entry(span).or_insert(at);
        }
        if let Some(path) = path(row) {
            by_path.entry(path).or_default().push(at);
        }
    }
    let above = |at: usize, path: &str| -> Option<usize> {
        let mut path = path.trim_end_matches('/');
        while let Some((parent, _)) = path.rsplit_once('/') {
            // Rows are in the order of time, so is each list of them.
            let held = by_path.get(parent).map(|list| &list[..list.partition_point(|&other| other < at)]);
            if let Some(&last) = held.and_then(|before| before.last()) {
                return Some(last);
            }
            path = parent;
        }
        None
    };
    let parent = |(at, row): (usize, &Row)| {
        let told = row.parent_span_id.as_deref().and_then(|span| by_span.get(span)).copied();
        told.filter(|&parent| parent != at).or_else(|| path(row).and_then(|path| above(at, path)))
    };
    rows.iter().enumerate().map(parent).collect()
}

fn path(row: &Row) -> Option<&str> {
    row.attribution.session.as_ref()?.path.as_deref().filter(|path| !path.is_empty())
}

/// A place in the tree of paths, with the sums of all below it.
#[derive(Default)]
struct Branch {
    totals: Totals,
    own: Vec<RecordId>,
    from: Option<i64>,
    until: i64,
    below: BTreeMap<String, Branch>,
}

impl Branch {
    fn of(rows: &[Row]) -> Self {
        let mut root = Self::default();
        for row in rows {
            let parts: Vec<&str> =
                path(row).unwrap_or_default().split('/').filter(|part| !part.is_empty()).take(64).collect();
            let mut place = &mut root;
            place.add(row);
            for part in parts {
                place = place.below.entry(part.to_owned()).or_default();
                place.add(row);
            }
            place.own.push(row.id);
        }
        root
    }

    fn add(&mut self, row: &Row) {
        self.totals.add_row(row);
        let start = row.timing.received_at.micros();
        self.from = Some(self.from.map_or(start, |from| from.min(start)));
        self.until = self.until.max(end(row));
    }

    fn told(&self, name: &str) -> Value {
        let mut told: Map<String, Value> = Map::new();
        told.insert("name".into(), json!(name));
        told.insert("requests".into(), json!(self.totals.requests));
        told.insert("errors".into(), json!(self.totals.errors));
        told.insert("cost".into(), json!(self.totals.cost.to_string()));
        told.insert("tokens".into(), json!(self.totals.input_tokens.saturating_add(self.totals.output_tokens)));
        told.insert("busy_us".into(), json!(self.totals.latency_us));
        told.insert("from".into(), json!(self.from));
        told.insert("until".into(), json!(self.until));
        told.insert("steps".into(), json!(self.own));
        told.insert("children".into(), self.below.iter().map(|(name, branch)| branch.told(name)).collect());
        Value::Object(told)
    }
}

/// Steps of the same path, name and model that came again and again: a sign of a loop, with what it cost.
fn repeats(rows: &[Row]) -> Vec<Value> {
    type Kind<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>, u64);
    let mut seen: BTreeMap<Kind<'_>, (usize, Money)> = BTreeMap::new();
    for row in rows {
        // Of the same length in, to the byte: most likely the same request again.
        let kind = (path(row), row.name.as_deref(), row.model.as_deref(), row.request_body.len);
        let held = seen.entry(kind).or_default();
        held.0 += 1;
        held.1 = row.cost.total().and_then(|cost| held.1.checked_add(cost)).unwrap_or(held.1);
    }
    let mut repeats: Vec<_> = seen.into_iter().filter(|(kind, (count, _))| *count >= 3 && kind.3 > 0).collect();
    repeats.sort_by_key(|(_, (count, cost))| std::cmp::Reverse((*cost, *count)));
    let told = |((path, name, model, _), (count, cost)): (Kind<'_>, (usize, Money))| json!({ "path": path, "name": name, "model": model, "times": count, "cost": cost.to_string() });
    repeats.into_iter().take(20).map(told).collect()
}
