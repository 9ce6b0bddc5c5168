//! From what was told to a record.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use serde_json::value::RawValue;
use tachograph_providers::{Api, Registry, as_event_stream, sse};
use tachograph_record::{
    Asked, Body, Control, CostState, LogRecord, Money, Origin, Outcome, Parameters, Reading, RecordId, RecordedError,
    Step, Timestamp, Timing,
};
use tachograph_telemetry::attribution;

use super::moment::Moment;
use super::payload::{Payload, ProviderResponse};
use super::reading;
use crate::routes::{Caller, RouteOptions, header};

/// Steps that are no call of a model, by the request's `_type`: what kind they are, the member that names them, and what
/// stands in a model's place.
const STEPS: [(&str, Step, &str, &str); 3] = [
    ("tool", Step::Tool, "toolName", "tool:"),
    ("vector_db", Step::VectorDb, "operation", "vector_db"),
    ("data", Step::Data, "name", "data:"),
];
/// Members of a request that are the conversation itself, or the step's own.
const CONVERSATION: [&str; 10] =
    ["messages", "input", "prompt", "contents", "system", "instructions", "model", "stream", "_type", "toolName"];
/// The longest error that is kept, in bytes.
const MOST_ERROR: usize = 2_000;

/// Makes the record of a told call.
pub(super) fn record(
    options: &RouteOptions,
    provider_of_route: Option<&str>,
    (org, key): Caller,
    headers: HeaderMap,
    payload: &Payload<'_>,
) -> LogRecord {
    let request: Value = serde_json::from_str(payload.request.json.get()).unwrap_or_default();
    let mut headers = with_meta(headers, &payload.request.meta);
    let (trace_id, parent_span_id) = attribution::traceparent(&headers).unzip();
    let id = callers_id(&headers).unwrap_or_else(RecordId::generate);
    let model_override = header(&headers, "helicone-model-override").map(str::to_owned);
    let told = attribution::take(&mut headers);

    let answer = Answer::of(&payload.response);
    let named = |value: &Value| value.get("model").and_then(Value::as_str).map(str::to_owned);
    let (step, name, model, provider) = match step_of(&request) {
        Some((step, name, model)) => (step, name, Some(model), None),
        None => {
            let model = model_override.or_else(|| named(&request));
            let answered = model.clone().or_else(|| named(&answer.first));
            let provider = provider(options, provider_of_route, payload, answered.as_deref());
            (Step::Model, None, model, provider)
        }
    };
    let is_model = step == Step::Model;
    let api =
        is_model.then(|| reading::api(&payload.request.url, provider.as_deref(), &request, &answer.first)).flatten();
    let stream = answer.events.is_some() || request.get("stream") == Some(&Value::Bool(true));
    let status = http_status(payload.response.status);
    let mut read = if is_model {
        reading::read(api, stream, status.unwrap_or(200), answer.looked_at(), &answer.first)
    } else {
        Reading::default()
    };
    // The client says that it is over; how a stream was closed is not told.
    read.ended = true;
    read.provider_cost = payload.response.cost.and_then(usd).or(read.provider_cost);
    let (outcome, error) = ending(payload.response.status, &read, &answer.body);
    let mut attribution = told.attribution;
    if attribution.user.is_none() {
        attribution.user = request.get("user").and_then(Value::as_str).filter(|user| !user.is_empty()).map(Into::into);
    }
    let asked = Asked {
        origin: Origin::Logged,
        step,
        name,
        org,
        key: Some(key),
        api: api.map_or("other", Api::name).into(),
        path: path_of(&payload.request.url),
        model,
        stream,
        parameters: parameters(payload.request.json),
        attribution,
        body: kept(&Bytes::copy_from_slice(payload.request.json.get().as_bytes()), options, told.omit_request),
        trace_id,
        parent_span_id,
        ..Asked::default()
    };
    LogRecord {
        id,
        asked,
        provider,
        provider_model: None,
        attempts: Vec::new(),
        status,
        outcome,
        error,
        timing: timing(payload),
        reading: read,
        cost: CostState::NoUsage,
        control: Control::default(),
        response: kept(&answer.body, options, told.omit_response),
    }
}

/// The answer as it was told, and as a reader of answers wants it.
struct Answer {
    /// What is kept.
    body: Bytes,
    /// The event stream that it stands for, where it is one and no event stream itself.
    events: Option<Bytes>,
    /// The document, or a stream's first event, as JSON.
    first: Value,
}

impl Answer {
    fn of(response: &ProviderResponse<'_>) -> Self {
        let body = match &response.text {
            Some(text) => Bytes::copy_from_slice(text.as_bytes()),
            None => Bytes::copy_from_slice(response.json.get().as_bytes()),
        };
        let events = as_event_stream(&body).map(Bytes::from);
        let looked_at = events.as_ref().unwrap_or(&body);
        let first = serde_json::from_slice(looked_at).ok().or_else(|| first_event(looked_at)).unwrap_or_default();
        Self { body, events, first }
    }

    fn looked_at(&self) -> &Bytes {
        self.events.as_ref().unwrap_or(&self.body)
    }
}

fn first_event(stream: &[u8]) -> Option<Value> {
    let (mut splitter, mut first) = (sse::Splitter::default(), None);
    let mut see = |event: sse::Event<'_>| {
        if first.is_none() {
            first = serde_json::from_slice(&event.data).ok();
        }
    };
    splitter.push(stream, &mut see);
    splitter.finish(&mut see);
    first
}

/// Headers of ours that stand in `meta`; where one came as a real header too, that one counts.
fn with_meta(mut headers: HeaderMap, meta: &[(String, String)]) -> HeaderMap {
    for (name, value) in meta {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_bytes(value.as_bytes()))
        else {
            continue;
        };
        headers.entry(name).or_insert(value);
    }
    headers
}

fn callers_id(headers: &HeaderMap) -> Option<RecordId> {
    let names = ["helicone-request-id", "tachograph-request-id"];
    let id: RecordId = names.iter().find_map(|name| header(headers, name))?.parse().ok()?;
    (!id.uuid().is_nil()).then_some(id)
}

/// What a request is that is no call of a model: its kind, its name, and what stands in a model's place.
fn step_of(request: &Value) -> Option<(Step, Option<String>, String)> {
    let kind = request.get("_type")?.as_str()?;
    let (_, step, member, stands) = STEPS.iter().find(|(known, ..)| *known == kind)?;
    let name = request.get(*member).and_then(Value::as_str).map(str::to_owned);
    let model = match &name {
        Some(name) if stands.ends_with(':') => format!("{stands}{name}"),
        _ => stands.trim_end_matches(':').to_owned(),
    };
    Some((*step, name, model))
}

/// Who served: as the client says, else whom the route stands for, else whose URL or model it is.
fn provider(
    options: &RouteOptions,
    of_route: Option<&str>,
    payload: &Payload<'_>,
    model: Option<&str>,
) -> Option<Arc<str>> {
    let canonical =
        |name: &str| Registry::builtin().get(name).map_or_else(|| name.to_lowercase().into(), |row| row.name.clone());
    let said = payload.provider.as_deref().filter(|name| !name.eq_ignore_ascii_case("custom")).map(canonical);
    let by_host = || {
        let host = payload.request.url.split_once("://")?.1.split(['/', '?', ':']).next()?;
        let serves = |base: &str| base.split_once("://").is_some_and(|(_, rest)| rest.split('/').next() == Some(host));
        Registry::builtin().iter().find(|row| serves(&row.base_url)).map(|row| row.name.clone())
    };
    let by_model = || Some(options.prices.current().resolve("", model?)?.provider.clone());
    said.or_else(|| of_route.map(canonical)).or_else(by_host).or_else(by_model)
}

fn path_of(url: &str) -> String {
    let behind_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = if behind_scheme.len() == url.len() {
        url
    } else {
        behind_scheme.find('/').map_or("/", |at| &behind_scheme[at..])
    };
    path.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// The request's other members, as they stood.
fn parameters(request: &RawValue) -> Parameters {
    let mut parameters = Parameters::default();
    let Ok(members) = serde_json::from_str::<Members<'_>>(request.get()) else { return parameters };
    for (name, value) in members.0 {
        if !CONVERSATION.contains(&name.as_str())
            && let Ok(quoted) = serde_json::to_string(&name)
        {
            let bare = quoted[1..quoted.len() - 1].to_owned();
            parameters.push(Bytes::from(bare), Bytes::copy_from_slice(value.get().as_bytes()));
        }
    }
    parameters
}

/// The members of an object in their order, values unread.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Visitor)
    }
}

fn kept(body: &Bytes, options: &RouteOptions, omit: bool) -> Body {
    let keep = options.keep_body.filter(|_| !omit);
    let mut body = Body::capture(body, keep.unwrap_or(0));
    if keep.is_none() {
        body.omit();
    }
    body
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be within")]
fn http_status(status: f64) -> Option<u16> {
    (100.0..1000.0).contains(&status).then_some(status as u16)
}

/// How it ended, by the status: 2xx is whole, -3 a client that gave up, other negative ones Helicone's own refusals.
fn ending(status: f64, read: &Reading, body: &[u8]) -> (Outcome, Option<RecordedError>) {
    const CANCELLED: f64 = -3.0;
    let told = || {
        let text = String::from_utf8_lossy(&body[..body.len().min(MOST_ERROR)]).trim().to_owned();
        let message =
            if text.is_empty() || text == "{}" { format!("The call ended with status {status}.") } else { text };
        RecordedError { kind: "logged_error".to_owned(), code: Some(status.to_string()), message }
    };
    match status {
        _ if status == CANCELLED => (Outcome::ClientGone, None),
        _ if status < 0.0 => (Outcome::Refused, Some(read.error.clone().unwrap_or_else(told))),
        _ if status >= 400.0 => (Outcome::UpstreamFailed, Some(read.error.clone().unwrap_or_else(told))),
        _ => match &read.error {
            Some(error) => (Outcome::UpstreamFailed, Some(error.clone())),
            None => (Outcome::Complete, None),
        },
    }
}

/// What a client says a call cost, to the digit that it sent.
fn usd(cost: f64) -> Option<Money> {
    cost.to_string().parse().ok().filter(|money| *money >= Money::ZERO)
}

fn timing(payload: &Payload<'_>) -> Timing {
    let Some(told) = payload.timing.filter(|told| told.start > Moment::ZERO) else {
        return Timing {
            received_at: Timestamp::now(),
            upstream_sent_us: None,
            first_byte_us: None,
            first_token_us: payload.timing.and_then(|told| told.first_token_ms).map(us_of_ms),
            end_us: 0,
        };
    };
    Timing {
        received_at: Timestamp::from_micros(told.start.0),
        upstream_sent_us: Some(0),
        first_byte_us: None,
        first_token_us: told.first_token_ms.map(us_of_ms),
        end_us: u64::try_from(told.end.0 - told.start.0).unwrap_or(0),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float casts to the nearest, and is not below 0"
)]
pub(super) fn us_of_ms(ms: f64) -> u64 {
    (ms * 1e3).round() as u64
}
