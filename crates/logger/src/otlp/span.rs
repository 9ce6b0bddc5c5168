//! From a span to a record.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp as Moment;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, status};
use serde_json::{Map, Value, json};
use tachograph_providers::Registry;
use tachograph_record::{
    Asked, Attribution, Body, Control, CostState, FinishReason, LogRecord, Origin, Outcome, Parameters, PromptRef,
    Reading, RecordId, RecordedError, SessionRef, Step, Timestamp, Timing,
};

use super::aliases::{Aliases, TimeReading};
use super::attributes::{Attributes, parsed, shown};
use super::messages::{self, Event};
use super::usage;
use crate::routes::{Caller, RouteOptions};

/// The longest value that is kept of a property, in bytes; the rest is cut off with a mark.
const MOST_PROPERTY: usize = 1_024;
/// The most attributes of a span that become properties.
const MOST_PROPERTIES: usize = 200;

/// Why a span is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRecord {
    /// It tells that a step began, and comes again when it is over.
    Pending,
    /// Its ids are none.
    NoIds,
}

/// Makes the record of a span.
pub(super) fn record(
    options: &RouteOptions,
    caller: Caller,
    resource: &Attributes,
    span: &Span,
) -> Result<LogRecord, NoRecord> {
    record_as(options, caller, resource, span, None)
}

/// The same of a span whose kind is known already.
pub(super) fn record_as(
    options: &RouteOptions,
    (org, key): Caller,
    resource: &Attributes,
    span: &Span,
    step: Option<Step>,
) -> Result<LogRecord, NoRecord> {
    let (Some(trace_id), Some(span_id)) = (id(&span.trace_id, 16), id(&span.span_id, 8)) else {
        return Err(NoRecord::NoIds);
    };
    let attributes = Attributes::read(&span.attributes);
    if attributes.get("logfire.span_type").is_some_and(|kind| kind == "pending_span") {
        return Err(NoRecord::Pending);
    }
    let table = Aliases::builtin();
    let events: Vec<Event> = span
        .events
        .iter()
        .map(|event| Event {
            name: event.name.clone(),
            at_nano: event.time_unix_nano,
            attributes: Attributes::read(&event.attributes),
        })
        .collect();
    let told = || table.step(|key| attributes.get(key).map(|value| shown(value).to_lowercase()));
    let step = step.or_else(told).unwrap_or(Step::Span);
    let fields = &table.fields;
    let requested = attributes.text(&fields.request_model);
    let answered = attributes.text(&fields.response_model);
    let model = answered.as_deref().or(requested.as_deref());
    let provider = match attributes.text(&fields.provider) {
        Some(told) => Some(canonical(options, &told, model)),
        None => requested.as_deref().and_then(provider_of_model).or_else(|| by_book(options, model)),
    };
    let provider = provider.filter(|_| step == Step::Model);
    let said = Said::of(table, &attributes, &events, step, requested.as_deref());
    let (outcome, error) = ending(span.status.as_ref(), &attributes, &events);
    let stream =
        attributes.first(&fields.stream).is_some_and(|value| *value == Value::Bool(true) || shown(value) == "true");
    let name = if step == Step::Model { None } else { attributes.text(&fields.name) };
    let asked = Asked {
        origin: Origin::Span,
        step,
        name: Some(name.unwrap_or_else(|| span.name.clone())),
        org,
        key: Some(key),
        api: said.api.into(),
        method: "SPAN".into(),
        path: span.name.clone(),
        model: requested.or_else(|| answered.clone()).filter(|_| step == Step::Model),
        stream,
        parameters: parameters(table, &attributes),
        attribution: attribution(table, &attributes, resource),
        body: kept(said.request, options),
        trace_id: Some(trace_id),
        span_id: Some(span_id),
        parent_span_id: id(&span.parent_span_id, 8),
    };
    let is_model = step == Step::Model;
    let reading = Reading {
        model: answered.filter(|_| is_model),
        usage: if is_model { usage::read(&attributes) } else { Default::default() },
        finish_reason: said.finish.as_deref().map(finish_reason),
        native_finish_reason: said.finish,
        service_tier: attributes.text(&fields.service_tier),
        provider_cost: usage::cost(&attributes).filter(|_| is_model),
        error: None,
        ended: true,
    };
    Ok(LogRecord {
        id: record_id(&span.trace_id, &span.span_id),
        asked,
        provider,
        provider_model: None,
        attempts: Vec::new(),
        status: attributes.count(&fields.status).and_then(|status| u16::try_from(status).ok()),
        outcome,
        error,
        timing: timing(table, span, &attributes, &events),
        reading,
        cost: CostState::NoUsage,
        control: Control::default(),
        response: kept(said.response, options),
    })
}

/// An id in lower-case hexadecimal digits; all zeros are none.
fn id(bytes: &[u8], len: usize) -> Option<String> {
    (bytes.len() == len && bytes.iter().any(|byte| *byte != 0)).then(|| hex::encode(bytes))
}

/// The same span is the same row, however often and in whatever order it comes.
pub(super) fn record_id(trace: &[u8], span: &[u8]) -> RecordId {
    let digest = blake3::hash(&[b"tachograph span ", trace, span].concat());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    RecordId::from(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// `anthropic/claude-…` names its provider.
fn provider_of_model(model: &str) -> Option<Arc<str>> {
    let (provider, _) = model.split_once('/')?;
    Registry::builtin().get(provider).map(|row| row.name.clone())
}

/// Whose model the price book says it is.
fn by_book(options: &RouteOptions, model: Option<&str>) -> Option<Arc<str>> {
    Some(options.prices.current().resolve("", model?)?.provider.clone())
}

/// A provider's name as the gateway has it.
fn canonical(options: &RouteOptions, told: &str, model: Option<&str>) -> Arc<str> {
    let lower = told.to_lowercase();
    let known = |name: &str| {
        let renamed = || Aliases::builtin().providers.get(name).map(|name| Arc::from(name.as_str()));
        renamed().or_else(|| Registry::builtin().get(name).map(|row| row.name.clone()))
    };
    let behind_dot = || known(lower.split('.').next()?);
    // A framework that names itself (`langchain`): then the model tells.
    known(&lower).or_else(behind_dot).or_else(|| by_book(options, model)).unwrap_or_else(|| lower.as_str().into())
}

/// Both sides of what was said, and the reason for which it stopped.
struct Said {
    api: &'static str,
    request: Option<Value>,
    response: Option<Value>,
    finish: Option<String>,
}

impl Said {
    fn of(table: &Aliases, attributes: &Attributes, events: &[Event], step: Step, model: Option<&str>) -> Self {
        let raw = |said| messages::raw(said, attributes);
        let mut finish = attributes.text(&table.fields.finish_reason);
        if step != Step::Model {
            return Self { api: "other", request: raw(&table.input), response: raw(&table.output), finish: None };
        }
        let asked = messages::messages(&table.input, attributes, events);
        let answered = messages::messages(&table.output, attributes, events);
        if asked.is_none() && answered.is_none() {
            return Self { api: "other", request: raw(&table.input), response: raw(&table.output), finish };
        }
        let mut request = Map::new();
        if let Some(model) = model {
            request.insert("model".to_owned(), model.into());
        }
        request.insert("messages".to_owned(), asked.map_or(Value::Array(Vec::new()), Value::Array));
        if let Some(tools) = messages::tools(&table.input, attributes) {
            request.insert("tools".to_owned(), tools);
        }
        let choices: Vec<Value> =
            answered.into_iter().flatten().enumerate().map(|(at, message)| choice(at, message)).collect();
        finish = finish.or_else(|| Some(choices.first()?.get("finish_reason")?.as_str()?.to_owned()));
        let response = json!({ "object": "chat.completion", "model": attributes.text(&table.fields.response_model), "choices": choices });
        Self { api: "openai.chat", request: Some(request.into()), response: Some(response), finish }
    }
}

fn choice(at: usize, mut message: Value) -> Value {
    let mut take = |name: &str| message.as_object_mut().and_then(|members| members.shift_remove(name));
    let (finish, index) = (take("finish_reason"), take("index"));
    json!({ "index": index.unwrap_or_else(|| at.into()), "message": message, "finish_reason": finish })
}

fn finish_reason(told: &str) -> FinishReason {
    match told.to_lowercase().replace('-', "_").as_str() {
        "stop" | "end_turn" | "stop_sequence" | "complete" | "eos" => FinishReason::Stop,
        "length" | "max_tokens" | "max_output_tokens" => FinishReason::Length,
        "tool_calls" | "tool_call" | "tool_use" | "function_call" => FinishReason::ToolCalls,
        "content_filter" | "safety" | "refusal" => FinishReason::ContentFilter,
        "error" => FinishReason::Error,
        _ => FinishReason::Other,
    }
}

fn kept(value: Option<Value>, options: &RouteOptions) -> Body {
    let Some(value) = value else { return Body::default() };
    let text = match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let mut body = Body::capture(&Bytes::from(text), options.keep_body.unwrap_or(0));
    if options.keep_body.is_none() {
        body.omit();
    }
    body
}

fn parameters(table: &Aliases, attributes: &Attributes) -> Parameters {
    let mut found = Map::new();
    for key in &table.parameters.json {
        if let Some(Value::Object(members)) = attributes.get(key).and_then(parsed) {
            found.extend(members);
        }
    }
    for (key, value) in attributes.iter() {
        if let Some(name) = table.parameters.prefixes.iter().find_map(|prefix| key.strip_prefix(prefix.as_str())) {
            found.insert(name.to_owned(), value.clone());
        }
    }
    // They stand on the record already.
    for name in ["model", "messages", "stream", "is_stream", "type", "user", "model_name"] {
        found.shift_remove(name);
    }
    let mut parameters = Parameters::default();
    for (name, value) in found {
        if let Ok(quoted) = serde_json::to_string(&name) {
            parameters.push(Bytes::from(quoted[1..quoted.len() - 1].to_owned()), Bytes::from(value.to_string()));
        }
    }
    parameters
}

/// Who caused it and what for. What no line of the table reads becomes a property, so that it is kept and can be found.
fn attribution(table: &Aliases, attributes: &Attributes, resource: &Attributes) -> Attribution {
    let fields = &table.fields;
    let both = |keys: &[String]| attributes.text(keys).or_else(|| resource.text(keys));
    let session = both(&fields.session).map(|id| SessionRef {
        id,
        path: both(&fields.session_path),
        name: both(&fields.session_name),
    });
    let prompt = both(&fields.prompt).map(|id| PromptRef { id, version: both(&fields.prompt_version) });
    let mut told = Attribution { user: both(&fields.user), session, prompt, properties: Vec::new() };
    let of_resource = [("service.name", &fields.service), ("deployment.environment", &fields.environment)];
    for (name, keys) in of_resource {
        if let Some(value) = both(keys) {
            told.set_property(name, cut(value));
        }
    }
    for key in &table.properties.json {
        if let Some(Value::Object(members)) = attributes.get(key).and_then(parsed) {
            members.iter().for_each(|(name, value)| told.set_property(name.as_str(), cut(shown(value))));
        }
    }
    if let Some(tags) = attributes.first(&table.properties.tags) {
        told.set_property("tags", cut(shown(tags)));
    }
    let read_elsewhere = [&fields.user, &fields.session, &fields.session_path, &fields.session_name, &fields.prompt];
    for (key, value) in attributes.iter() {
        if told.properties.len() >= MOST_PROPERTIES {
            break;
        }
        if read_elsewhere.iter().any(|keys| keys.iter().any(|known| known == key)) {
            continue;
        }
        match table.properties.prefixes.iter().find_map(|prefix| key.strip_prefix(prefix.as_str())) {
            Some(name) => told.set_property(name, cut(shown(value))),
            None if !table.knows(key) => told.set_property(key, cut(shown(value))),
            None => {}
        }
    }
    told
}

fn cut(mut text: String) -> String {
    if text.len() > MOST_PROPERTY {
        let end = (0..=MOST_PROPERTY).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push_str("… (cut)");
    }
    text
}

/// How it ended: by the span's status, its exceptions, its error attributes.
fn ending(status: Option<&Status>, attributes: &Attributes, events: &[Event]) -> (Outcome, Option<RecordedError>) {
    let fields = &Aliases::builtin().fields;
    let failed = status.is_some_and(|status| status.code() == status::StatusCode::Error);
    let fine = status.is_some_and(|status| status.code() == status::StatusCode::Ok);
    let error_type = attributes.text(&fields.error_type);
    if !failed && (fine || error_type.is_none()) {
        return (Outcome::Complete, None);
    }
    let exception = events.iter().rev().find(|event| event.name == "exception").map(|event| &event.attributes);
    let of_exception = |keys| exception.and_then(|told| told.text(keys));
    let kind = error_type.or_else(|| of_exception(&fields.error_type)).unwrap_or_else(|| "span_error".to_owned());
    let of_status = status.map(|status| status.message.clone()).filter(|message| !message.is_empty());
    let message = of_status
        .or_else(|| of_exception(&fields.error_message))
        .or_else(|| attributes.text(&fields.error_message))
        .unwrap_or_else(|| "The span failed and says no more.".to_owned());
    (Outcome::UpstreamFailed, Some(RecordedError { kind, code: None, message: cut(message) }))
}

fn timing(table: &Aliases, span: &Span, attributes: &Attributes, events: &[Event]) -> Timing {
    let start_us = span.start_time_unix_nano / 1_000;
    let end_us = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) / 1_000;
    let told = table.first_token.iter().find_map(|rule| {
        let value = attributes.get(&rule.key)?;
        let number =
            || value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|n: &f64| n.is_finite() && *n >= 0.0);
        match rule.reading {
            TimeReading::Seconds => micros(number()? * 1e6),
            TimeReading::Milliseconds => micros(number()? * 1e3),
            TimeReading::Moment => {
                let moment: Moment = value.as_str()?.trim_matches('"').parse().ok()?;
                u64::try_from(moment.as_microsecond()).ok()?.checked_sub(start_us)
            }
        }
    });
    let by_event = || {
        let names = &table.first_token_events.names;
        let first = events.iter().find(|event| names.iter().any(|name| name.eq_ignore_ascii_case(&event.name)))?;
        Some(first.at_nano.checked_sub(span.start_time_unix_nano)? / 1_000)
    };
    Timing {
        received_at: Timestamp::from_micros(i64::try_from(start_us).unwrap_or(i64::MAX)),
        upstream_sent_us: None,
        first_byte_us: None,
        first_token_us: told.or_else(by_event),
        end_us,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not below 0; a float casts to the nearest"
)]
fn micros(micros: f64) -> Option<u64> {
    (micros >= 0.0).then_some(micros.round() as u64)
}
