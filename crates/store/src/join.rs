//! Usage that two rows of a trace tell of one call is counted once.
//!
//! An application that is traced tells of its calls by spans, and the same calls may pass a gateway, which measured them
//! itself; an SDK's span and that of the client under it tell of one call too. Rows that a trace holds are seen together
//! whenever one comes: each call of a model that told its usage takes the counting from the nearest span above it that
//! is a call of a model, through spans that only hold others. So both orders of arrival end alike. The row that no longer
//! counts keeps all it told; its columns that are summed are NULL, and its `control` names the row that counts.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::QueryBuilder;
use tachograph_record::{Control, Origin, RecordId, Step};
use uuid::Uuid;

use crate::sql::Dialect;
use crate::tables::{Entry, Source, read_control};
use crate::{StoreError, text};

/// The most rows of one trace that are looked at together.
const MOST: i64 = 20_000;
/// Spans above a call that are followed.
const DEEPEST: usize = 64;
/// Traces of one question.
const TRACES: usize = 500;

/// The traces that a batch adds something to, by organisation: where a span came, or a call that names one above it.
pub(crate) fn traces(entries: &[Entry]) -> Vec<(Uuid, Vec<String>)> {
    let mut found: BTreeMap<Uuid, HashSet<String>> = BTreeMap::new();
    for row in entries.iter().map(Entry::row) {
        let concerns = row.origin == Origin::Span || (row.step == Step::Model && row.parent_span_id.is_some());
        if let Some(trace) = row.trace_id.as_ref().filter(|_| concerns) {
            found.entry(row.org.uuid()).or_default().insert(trace.clone());
        }
    }
    let mut pieces = Vec::new();
    for (org, traces) in found {
        let mut traces: Vec<String> = traces.into_iter().collect();
        traces.sort_unstable();
        pieces.extend(traces.chunks(TRACES).map(|some| (org, some.to_vec())));
    }
    pieces
}

/// The statement for the rows of these traces.
pub(crate) fn members<D: Dialect>(org: Uuid, traces: &[String]) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new(
        "SELECT id, origin, step, trace_id, span_id, parent_span_id, input_tokens, control, detail FROM requests WHERE org_id = ",
    );
    D::bind_id(&mut sql, org);
    sql.push(" AND (");
    for (at, trace) in traces.iter().enumerate() {
        sql.push(if at > 0 { " OR (" } else { "(" });
        D::long_text_is(&mut sql, "trace_id", &text::stored(trace));
        sql.push(")");
    }
    sql.push(") LIMIT ");
    D::bind_int(&mut sql, MOST);
    sql
}

/// A row as far as it matters here.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    id: RecordId,
    is_span: bool,
    step: String,
    trace: String,
    span: Option<String>,
    parent: Option<String>,
    counts: bool,
    control: Control,
}

impl Member {
    pub(crate) fn read(source: &impl Source) -> Result<Self, StoreError> {
        Ok(Self {
            id: source.some_id("id")?.into(),
            is_span: source.some_text("origin")? == Origin::Span.code(),
            step: source.some_text("step")?,
            trace: source.some_text("trace_id")?,
            span: source.text("span_id")?,
            parent: source.text("parent_span_id")?,
            counts: source.int("input_tokens")?.is_some(),
            control: read_control(source)?,
        })
    }
}

/// The rows that stop counting, with what their `control` is then.
pub(crate) fn joined(members: &[Member]) -> Vec<(RecordId, Control)> {
    let spans: HashMap<(&str, &str), &Member> = members
        .iter()
        .filter(|member| member.is_span)
        .filter_map(|member| Some(((member.trace.as_str(), member.span.as_deref()?), member)))
        .collect();
    let told =
        |member: &&Member| member.step == Step::Model.code() && (member.counts || member.control.counted_by.is_some());
    let mut found: Vec<(RecordId, Control)> = Vec::new();
    for call in members.iter().filter(told) {
        let mut above = call.parent.as_deref();
        for _ in 0..DEEPEST {
            let Some(span) = above.and_then(|parent| spans.get(&(call.trace.as_str(), parent))) else { break };
            if span.id == call.id {
                break;
            }
            if span.step == Step::Model.code() {
                let known = span.control.counted_by.is_some() || found.iter().any(|(id, _)| *id == span.id);
                if !known {
                    found.push((span.id, Control { counted_by: Some(call.id), ..span.control.clone() }));
                }
                break;
            }
            if span.step != Step::Span.code() {
                break;
            }
            above = span.parent.as_deref();
        }
    }
    found
}

/// The statement that stops a row's counting.
pub(crate) fn stop_counting<D: Dialect>(
    org: Uuid,
    id: RecordId,
    control: &Control,
) -> Result<QueryBuilder<D>, StoreError> {
    let control =
        serde_json::to_string(control).map_err(|why| StoreError::Failed(format!("a row cannot be written: {why}")))?;
    let mut sql = QueryBuilder::new(
        "UPDATE requests SET input_tokens = NULL, cache_read_tokens = NULL, cache_write_tokens = NULL, output_tokens = NULL, \
         reasoning_tokens = NULL, cost_nano = NULL, cost_rest = NULL, cost_outsize = NULL, input_nano = NULL, \
         cache_read_nano = NULL, cache_write_nano = NULL, output_nano = NULL, retry_nano = NULL, retry_rest = NULL, \
         control = ",
    );
    D::bind_text(&mut sql, &text::stored(&control));
    sql.push(" WHERE org_id = ");
    D::bind_id(&mut sql, org);
    sql.push(" AND id = ");
    D::bind_id(&mut sql, id.uuid());
    Ok(sql)
}
