//! Searching what was said. Bodies are compressed and apart from rows, so no database looks into them; here a bounded
//! number of the newest rows is read and looked through, and the condition becomes the ids of those that have it.

use std::collections::HashMap;

use bytes::Bytes;
use serde::Serialize;
use tachograph_record::{OrgId, RecordId, Timestamp};
use tachograph_store::{Condition, Fact, Filter, Pattern, Predicate, Row, Search, Store, Test};
use uuid::Uuid;

use super::Refusal;

/// Rows looked through at most, and bytes of their bodies.
const ROWS: usize = 2_000;
const BYTES: usize = 128 << 20;
/// Rows whose bodies are read at a time.
const PAGE: u32 = 100;

/// How far a search for words got.
#[derive(Debug, Serialize)]
pub(crate) struct Searched {
    /// Rows that were looked through.
    rows: usize,
    /// Whether those were all that there are; else only those received at or after `from` were.
    complete: bool,
    from: Option<Timestamp>,
}

impl Searched {
    /// Whether all rows were looked through.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// How many were.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }
}

/// The filter with its conditions on bodies turned into ids. Where not all rows could be looked through, the filter ends
/// at the oldest that was: lists and sums stay of the same rows.
pub(crate) async fn resolve(
    store: &dyn Store,
    org: OrgId,
    filter: Filter,
) -> Result<(Filter, Option<Searched>), Refusal> {
    let wanted: Vec<Pattern> = filter.only.conditions().into_iter().filter_map(needle).cloned().collect();
    if wanted.is_empty() {
        return Ok((filter, None));
    }
    let mut found: Vec<Vec<Uuid>> = vec![Vec::new(); wanted.len()];
    let (mut rows, mut bytes, mut complete, mut oldest) = (0, 0, false, None);
    // Whatever the words decide, these rows are the ones they can decide about.
    let candidates = Filter { only: loosened(&filter.only), ..filter.clone() };
    let mut search = Search { limit: PAGE, ..Search::new(org, candidates) };
    while rows < ROWS && bytes < BYTES {
        let page = store.search(&search).await?;
        let ids: Vec<RecordId> = page.rows.iter().map(|row| row.id).collect();
        let bodies: HashMap<_, _> = store
            .bodies(org, &ids)
            .await?
            .into_iter()
            .map(|(id, request, response)| (id, (request, response)))
            .collect();
        bytes += bodies.values().map(|(request, response)| request.len() + response.len()).sum::<usize>();
        rows += page.rows.len();
        oldest = page.rows.last().map(|row| row.timing.received_at).or(oldest);
        search.before = page.next;
        let needles = wanted.clone();
        let looked = tokio::task::spawn_blocking(move || look_through(&page.rows, &bodies, &needles)).await;
        let looked = looked.map_err(|error| {
            tracing::error!(%error, "console: bodies cannot be searched");
            Refusal::failed()
        })?;
        for (found, more) in found.iter_mut().zip(looked) {
            found.extend(more);
        }
        if search.before.is_none() {
            complete = true;
            break;
        }
    }
    let mut found = found.into_iter();
    let only = filter.only.map(&mut |condition| match needle(&condition) {
        None => Predicate::Is(condition),
        Some(_) => {
            let ids = found.next().unwrap_or_default();
            Predicate::Is(Condition { field: Fact::Id.into(), test: Test::Ids(ids) })
        }
    });
    let from = if complete { filter.from } else { filter.from.max(oldest) };
    Ok((Filter { from, until: filter.until, only }, Some(Searched { rows, complete, from })))
}

fn needle(condition: &Condition) -> Option<&Pattern> {
    match &condition.test {
        Test::Like(pattern) if condition.is_about_bodies() => Some(pattern),
        _ => None,
    }
}

/// The parts of a conjunction that are not about bodies; of anything else, nothing.
fn loosened(only: &Predicate) -> Predicate {
    let about_bodies = |part: &Predicate| part.conditions().into_iter().any(Condition::is_about_bodies);
    match only {
        Predicate::And(parts) => Predicate::And(parts.iter().filter(|part| !about_bodies(part)).cloned().collect()),
        other if about_bodies(other) => Predicate::All,
        other => other.clone(),
    }
}

fn look_through(rows: &[Row], bodies: &HashMap<RecordId, (Bytes, Bytes)>, wanted: &[Pattern]) -> Vec<Vec<Uuid>> {
    let mut found = vec![Vec::new(); wanted.len()];
    let none = (Bytes::new(), Bytes::new());
    for row in rows {
        let (request, response) = bodies.get(&row.id).unwrap_or(&none);
        let texts = texts(row, request, response);
        for (found, pattern) in found.iter_mut().zip(wanted) {
            if texts.iter().any(|text| fits(pattern, text)) {
                found.push(row.id.uuid());
            }
        }
    }
    found
}

fn fits(pattern: &Pattern, text: &str) -> bool {
    match pattern.needle() {
        Some(needle) if pattern.fold => {
            memchr::memmem::find(text.to_ascii_lowercase().as_bytes(), needle.to_ascii_lowercase().as_bytes()).is_some()
        }
        _ => pattern.fits(text),
    }
}

/// What was said, put together from its pieces; the bodies as they are; the error's words.
fn texts(row: &Row, request: &Bytes, response: &Bytes) -> Vec<String> {
    let mut texts = Vec::new();
    texts.extend(row.error.as_ref().map(|error| error.message.clone()));
    let said = tachograph_providers::conversation(&row.api, row.stream, request, response);
    if let Some(answer) = &said.response {
        texts.extend(serde_json::to_value(&answer.choices).ok().map(|value| strings(&value)));
    }
    for body in [request, response] {
        if let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) {
            texts.push(strings(&json));
        } else if !body.is_empty() {
            texts.push(String::from_utf8_lossy(body).into_owned());
        }
    }
    texts
}

/// All texts in a JSON value, each on a line of its own.
fn strings(value: &serde_json::Value) -> String {
    fn walk(value: &serde_json::Value, text: &mut String) {
        match value {
            serde_json::Value::String(held) => {
                text.push_str(held);
                text.push('\n');
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| walk(item, text)),
            serde_json::Value::Object(members) => members.values().for_each(|member| walk(member, text)),
            serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
        }
    }
    let mut text = String::new();
    walk(value, &mut text);
    text
}
