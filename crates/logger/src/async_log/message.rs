//! The message that Helicone's own gateway in Rust tells its logger of a call (`POST /v1/log/request`): who, when, how
//! long, how much, but no bodies, which it puts into an object store.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;
use tachograph_providers::Registry;
use tachograph_record::{
    Asked, Attribution, Control, CostState, Leaf, LogRecord, Money, Origin, Outcome, Reading, RecordId, RecordedError,
    SessionRef, Timestamp, Timing, Usage, UsageReading,
};
use tachograph_telemetry::RecordSink as _;

use super::moment;
use crate::routes::{Answer, Caller, RouteOptions, Unread, json, text};

/// Counts of the message, and what of a call they count. They do not contain each other.
const COUNTS: [(&str, Leaf); 5] = [
    ("promptTokens", Leaf::INPUT),
    ("promptCacheReadTokens", Leaf::CACHE_READ),
    ("promptCacheWriteTokens", Leaf::CACHE_WRITE),
    ("completionTokens", Leaf::OUTPUT),
    ("reasoningTokens", Leaf::REASONING),
];
/// Properties by which Helicone keeps what has a place of its own here.
const SESSION: [&str; 3] = ["Helicone-Session-Id", "Helicone-Session-Path", "Helicone-Session-Name"];

/// Takes a message. It is told so once the record is kept.
pub(crate) async fn answer(options: &RouteOptions, caller: Caller, read: Result<Bytes, Unread>) -> Answer {
    let refuse = |why: String| json(StatusCode::BAD_REQUEST, &serde_json::json!({ "error": why }));
    let Ok(body) = read else { return refuse("the message is larger than 10 MiB, or broke off".to_owned()) };
    let message: Value = match serde_json::from_slice(&body) {
        Ok(message) => message,
        Err(why) => return refuse(format!("the message is no JSON: {why}")),
    };
    match record(options, caller, &message) {
        Ok(record) => {
            let id = record.id.to_string();
            options.sink.accept(record).await;
            let mut taken = text(StatusCode::OK, "");
            if let Ok(id) = HeaderValue::try_from(id) {
                taken.headers_mut().insert(super::ID, id);
            }
            taken
        }
        Err(why) => refuse(why),
    }
}

/// The key stands in the message itself.
pub(crate) fn authorization(body: &[u8]) -> Option<HeaderMap> {
    #[derive(serde::Deserialize)]
    struct Key<'a> {
        #[serde(borrow)]
        authorization: std::borrow::Cow<'a, str>,
    }
    let key = serde_json::from_slice::<Key<'_>>(body).ok()?.authorization.into_owned();
    let value = HeaderValue::try_from(key).ok()?;
    Some([(http::header::AUTHORIZATION, value)].into_iter().collect())
}

fn record(options: &RouteOptions, (org, key): Caller, message: &Value) -> Result<LogRecord, String> {
    let (request, response) = (&message["log"]["request"], &message["log"]["response"]);
    if !request.is_object() || !response.is_object() {
        return Err("`log` holds `request` and `response`".to_owned());
    }
    let word = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let id: RecordId = match word(&request["id"]) {
        Some(id) => id.parse().map_err(|_| "`log.request.id` is a UUID".to_owned())?,
        None => RecordId::generate(),
    };
    let at = |name: &str, value: &Value| moment::read(value).map_err(|why| format!("`{name}` {why}"));
    let began = at("log.request.requestCreatedAt", &request["requestCreatedAt"])?;
    let took = response["delayMs"].as_f64().map(super::record::us_of_ms);
    let ended = || at("log.response.responseCreatedAt", &response["responseCreatedAt"]).map(|at| at.0 - began.0);
    let end_us = match took {
        Some(took) => took,
        None => u64::try_from(ended()?).unwrap_or(0),
    };
    let model = word(&message["heliconeMeta"]["modelOverride"]).or_else(|| word(&response["model"]));
    let named = word(&request["provider"]).filter(|name| !name.eq_ignore_ascii_case("custom"));
    let of_book = || Some(options.prices.current().resolve("", model.as_deref()?)?.provider.clone());
    let provider: Option<Arc<str>> = named
        .map(|name| {
            Registry::builtin()
                .get(&name.to_lowercase())
                .map_or_else(|| name.to_lowercase().into(), |row| row.name.clone())
        })
        .or_else(of_book);
    let counts: Vec<(Leaf, u64)> =
        COUNTS.iter().filter_map(|(name, leaf)| Some((*leaf, response[*name].as_u64()?))).collect();
    let usage = if counts.is_empty() { UsageReading::Absent } else { UsageReading::Known(Usage::reported(counts)) };
    let told_cost = response["cost"].as_f64().and_then(|cost| cost.to_string().parse::<Money>().ok());
    let status = response["status"].as_i64().unwrap_or(200);
    let (outcome, error) = match status {
        -3 => (Outcome::ClientGone, None),
        status if (0..400).contains(&status) => (Outcome::Complete, None),
        status => {
            let outcome = if status < 0 { Outcome::Refused } else { Outcome::UpstreamFailed };
            let message = format!("The call ended with status {status}.");
            (outcome, Some(RecordedError { kind: "logged_error".to_owned(), code: Some(status.to_string()), message }))
        }
    };
    let stream = request["isStream"] == true;
    let first = response["timeToFirstToken"].as_f64().filter(|ms| stream && *ms > 0.0).map(super::record::us_of_ms);
    Ok(LogRecord {
        id,
        asked: Asked {
            origin: Origin::Logged,
            org,
            key: Some(key),
            path: word(&request["path"]).or_else(|| word(&request["targetUrl"])).unwrap_or_default(),
            model: model.clone(),
            stream,
            attribution: attribution(request),
            ..Asked::default()
        },
        provider,
        provider_model: None,
        attempts: Vec::new(),
        status: u16::try_from(status).ok().filter(|status| (100..1000).contains(status)),
        outcome,
        error,
        timing: Timing {
            received_at: Timestamp::from_micros(began.0),
            upstream_sent_us: Some(0),
            first_byte_us: None,
            first_token_us: first,
            end_us,
        },
        reading: Reading { model, usage, provider_cost: told_cost, ended: true, ..Reading::default() },
        cost: CostState::NoUsage,
        control: Control::default(),
        response: tachograph_record::Body::default(),
    })
}

fn attribution(request: &Value) -> Attribution {
    let properties = request["properties"].as_object();
    let property = |wanted: &str| {
        let found = properties?.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
        found.1.as_str().map(str::to_owned)
    };
    let [id, path, name] = SESSION.map(property);
    let mut told = Attribution {
        user: request["userId"].as_str().filter(|user| !user.is_empty()).map(str::to_owned),
        session: id.map(|id| SessionRef { id, path, name }),
        prompt: None,
        properties: Vec::new(),
    };
    for (name, value) in properties.into_iter().flatten() {
        if SESSION.iter().all(|known| !known.eq_ignore_ascii_case(name)) {
            told.set_property(name.as_str(), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
    }
    told
}
