//! What was said in calls of models, as events among logs: the conventions' second and later generations tell it so, apart
//! from the span that the call is.
//!
//! The events of one span become a *part*: a record that names the row it belongs to (`control.part_of`). Where the span's
//! record comes, before it or after it, the two are put together behind the spool; a part whose span never comes is a row
//! of its own below that span. Events that belong to no span are a call of their own.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord as Logged;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use prost::Message as _;
use tachograph_record::{LogRecord, Step};
use tachograph_telemetry::RecordSink as _;

use super::aliases::Aliases;
use super::attributes::Attributes;
use super::span;
use crate::routes::{Caller, RouteOptions};

/// The attribute in which an event's body is read where it is no set of attributes itself.
const BODY: &str = "gen_ai.event.content";

/// Hands the events of calls over as records; other logs are counted in the answer.
pub(super) async fn take(
    options: &RouteOptions,
    caller: Caller,
    export: &ExportLogsServiceRequest,
) -> ExportLogsServiceResponse {
    let (mut others, mut receipts) = (0, Vec::new());
    for resource_logs in &export.resource_logs {
        let resource = resource_logs.resource.as_ref().map(|resource| Attributes::read(&resource.attributes));
        let resource = resource.unwrap_or_default();
        let mut calls: BTreeMap<(&[u8], &[u8]), Vec<Event>> = BTreeMap::new();
        for logged in resource_logs.scope_logs.iter().flat_map(|scope| &scope.log_records) {
            match event(logged) {
                Some(event) => calls.entry((&logged.trace_id, &logged.span_id)).or_default().push(event),
                None => others += 1,
            }
        }
        for ((trace, of), mut events) in calls {
            events.sort_by_key(|event| event.time_unix_nano);
            // Without a span to put them together, each is what it is.
            let sets =
                if is_span(trace, of) { vec![events] } else { events.into_iter().map(|one| vec![one]).collect() };
            let parts = sets.into_iter().filter_map(|events| part(options, caller, &resource, (trace, of), events));
            receipts.extend(parts.map(|part| options.sink.accept(part)));
        }
    }
    for kept in receipts {
        kept.await;
    }
    let partial_success = (others > 0).then(|| ExportLogsPartialSuccess {
        rejected_log_records: others,
        error_message: "of logs the events of calls of models are kept, by their names in the GenAI conventions"
            .to_owned(),
    });
    ExportLogsServiceResponse { partial_success }
}

fn is_span(trace: &[u8], span: &[u8]) -> bool {
    let told = |id: &[u8], len: usize| id.len() == len && id.iter().any(|byte| *byte != 0);
    told(trace, 16) && told(span, 8)
}

/// The event that a log is, with its body among its attributes; `None` where it is another.
fn event(logged: &Logged) -> Option<Event> {
    let attribute = logged.attributes.iter().find(|pair| pair.key == "event.name").and_then(|pair| pair.value.as_ref());
    let name = match attribute.and_then(|value| value.value.as_ref()) {
        _ if !logged.event_name.is_empty() => logged.event_name.clone(),
        Some(any_value::Value::StringValue(name)) => name.clone(),
        _ => return None,
    };
    if !Aliases::builtin().says(&name) {
        return None;
    }
    let mut attributes = logged.attributes.clone();
    match logged.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(any_value::Value::KvlistValue(members)) => attributes.extend(members.values.iter().cloned()),
        Some(told) => attributes.push(KeyValue {
            key: BODY.to_owned(),
            value: Some(AnyValue { value: Some(told.clone()) }),
            ..KeyValue::default()
        }),
        None => {}
    }
    let time = if logged.time_unix_nano > 0 { logged.time_unix_nano } else { logged.observed_time_unix_nano };
    Some(Event { time_unix_nano: time, name, attributes, dropped_attributes_count: 0 })
}

/// The record of what the events of one call tell.
fn part(
    options: &RouteOptions,
    caller: Caller,
    resource: &Attributes,
    (trace, of): (&[u8], &[u8]),
    events: Vec<Event>,
) -> Option<LogRecord> {
    let table = Aliases::builtin();
    let mut told = blake3::Hasher::new();
    told.update(b"tachograph event ").update(trace).update(of);
    events.iter().for_each(|event| {
        told.update(&event.encode_to_vec());
    });
    let mut digest = told.finalize_xof();
    let (mut own_trace, mut own_span) = ([0; 16], [0; 8]);
    digest.fill(&mut own_trace);
    digest.fill(&mut own_span);
    // What the table reads of them stands for the span's own attributes; a message's members do not.
    let is_read = |pair: &&KeyValue| table.knows(&pair.key);
    let attributes = events.iter().flat_map(|event| event.attributes.iter().filter(is_read).cloned()).collect();
    let joins = is_span(trace, of);
    let span = Span {
        trace_id: own_trace.to_vec(),
        span_id: own_span.to_vec(),
        name: events.first()?.name.clone(),
        start_time_unix_nano: events.first()?.time_unix_nano,
        end_time_unix_nano: events.last()?.time_unix_nano,
        attributes,
        events,
        ..Span::default()
    };
    // An id of its own was made for it, so it is a record.
    let mut record = span::record_as(options, caller, resource, &span, Some(Step::Model)).ok()?;
    record.asked.trace_id = joins.then(|| hex::encode(trace));
    record.asked.span_id = None;
    record.asked.parent_span_id = joins.then(|| hex::encode(of));
    record.control.part_of = joins.then(|| span::record_id(trace, of));
    Some(record)
}
