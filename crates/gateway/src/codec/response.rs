//! From a provider's answer to the caller's.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::response::Parts;
use http::{HeaderName, HeaderValue, Response};
use http_body_util::{BodyExt, Limited};
use tachograph_providers::{Answering, Api, DialectId, Note, dialect, opaque_tap};
use tachograph_record::Tap;
use tachograph_reply::{ApiError, ErrorKind, ErrorShape};
use tachograph_telemetry::{Served, SharedTap};

use super::relay::{Relay, broken_off};
use super::request::Plan;
use super::translate::{self, Crossing, Translate};
use super::{embed, headers};
use crate::answer::AnswerBody;
use crate::call::{Call, Candidate, Way};
use crate::upstream::UpstreamBody;

/// The largest answer that is held whole to translate it, in bytes.
const LARGEST_TRANSLATED: usize = 64 << 20;
/// The media type of streams that are lines of JSON.
const LINES: &str = "application/x-ndjson";
/// The media type of streams of Amazon's binary frames.
const FRAMES: &str = "application/vnd.amazon.eventstream";
/// Notes on what the provider could not be asked for, as `feature=dropped` items.
const NOTES_HEADER: HeaderName = HeaderName::from_static("tachograph-translation");

pub(super) async fn read(
    call: &Call,
    candidate: &Candidate,
    plan: Plan,
    answered: Response<UpstreamBody>,
) -> Result<Response<AnswerBody>, ApiError> {
    let (mut head, body) = answered.into_parts();
    let altered = !matches!(plan, Plan::Same { hide: None });
    headers::back(&mut head.headers, altered);
    let served = Served {
        provider: Some(candidate.endpoint.name().clone()),
        provider_model: candidate.model.clone(),
        omit_body: call.omit_response,
        ..Served::default()
    };
    if matches!(call.way, Way::Gateway(..)) {
        name_who_served(&mut head.headers, candidate);
    }
    match plan {
        Plan::Same { hide } => {
            let events = is_event_stream(&head.headers);
            let tap = SharedTap::new(tap_for(call.api, events, &head));
            let hide = hide.filter(|_| events);
            // A stream of lines or frames can end with an error only in the one dialect that has such lines.
            let of_one = matches!(call.shape, ErrorShape::Ollama | ErrorShape::Bedrock);
            let told = events || of_one && is_stream(&head.headers);
            let says_its_end = call.api.is_some_and(|api| api.dialect().is_some()) && head.status.is_success();
            let relay = Relay::new(body, tap.clone(), hide, told.then_some(call.shape), says_its_end);
            head.extensions.insert(served.with_shared_tap(tap));
            Ok(Response::from_parts(head, AnswerBody::Relay { body: relay }))
        }
        Plan::Embeddings(crossing) => {
            name_notes(&mut head.headers, &crossing.asked.notes);
            crossing.asked.notes.iter().for_each(|note| call.trip.note(note.to_string()));
            if !head.status.is_success() {
                return Err(provider_error(head, body, crossing.from.api.family(), candidate).await);
            }
            let native = collect(body).await?;
            let read = embed::read(call, &crossing, head, &native, served);
            read.map_err(|error| error.by_provider(&**candidate.endpoint.name()))
        }
        Plan::Across { from, to, include_usage, model, notes } => {
            name_notes(&mut head.headers, &notes);
            notes.iter().for_each(|note| call.trip.note(note.to_string()));
            if !head.status.is_success() {
                return Err(provider_error(head, body, from, candidate).await);
            }
            let to_caller = Answering { id: call.trip.id().to_string(), created: created(call), model };
            let crossing = Crossing { from, to, to_caller, include_usage, stream: call.stream };
            if is_stream(&head.headers) {
                head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(dialect(to).stream_type()));
                let (translate, tap) = Translate::new(body, &crossing);
                head.extensions.insert(served.with_tap(tap));
                return Ok(Response::from_parts(head, AnswerBody::Translate { body: translate }));
            }
            // Whatever is wrong with the provider's answer is no refusal of ours.
            let read = whole(head, body, &crossing, served).await;
            read.map_err(|error| error.by_provider(&**candidate.endpoint.name()))
        }
    }
}

/// Translates an answer that came as one document, or as events that were not announced as such.
async fn whole(
    mut head: Parts,
    body: UpstreamBody,
    crossing: &Crossing,
    served: Served,
) -> Result<Response<AnswerBody>, ApiError> {
    let native = collect(body).await?;
    let is_lines = crossing.stream && dialect(crossing.from).stream_type() == LINES;
    if is_lines || looks_like_events(&native) {
        let (translated, tap) = translate::at_once(&native, crossing);
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(dialect(crossing.to).stream_type()));
        head.extensions.insert(served.with_tap(tap));
        return Ok(Response::from_parts(head, AnswerBody::from(translated)));
    }
    let mut tap = dialect(crossing.from).tap(false, head.status.as_u16());
    tap.see(&native);
    let answer = dialect(crossing.from).decode_response(&native)?;
    let translated = dialect(crossing.to).encode_response(&answer, &crossing.to_caller);
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    head.extensions.insert(served.with_shared_tap(SharedTap::new(tap)));
    Ok(Response::from_parts(head, AnswerBody::from(translated)))
}

/// Some servers send events under `application/json`.
fn looks_like_events(native: &[u8]) -> bool {
    native.first() == Some(&0)
        || ["data:", "event:", ":"].iter().any(|start| native.trim_ascii_start().starts_with(start.as_bytes()))
}

async fn collect(body: UpstreamBody) -> Result<Bytes, ApiError> {
    match Limited::new(body, LARGEST_TRANSLATED).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => match error.downcast::<crate::upstream::UpstreamBroken>() {
            Ok(broken) => Err(broken_off(*broken)),
            Err(_) => {
                let message = format!(
                    "The provider's answer is larger than {LARGEST_TRANSLATED} bytes and cannot be translated."
                );
                Err(ApiError::new(ErrorKind::Upstream, "answer_too_large", message))
            }
        },
    }
}

/// The provider's error in the caller's dialect: its status, its headers, its own words beside ours.
async fn provider_error(head: Parts, body: UpstreamBody, from: DialectId, candidate: &Candidate) -> ApiError {
    let native = collect(body).await.unwrap_or_default();
    let error = tachograph_providers::decode_error(from, head.status, &head.headers, &native);
    error.from_provider(&**candidate.endpoint.name(), native).with_headers(head.headers)
}

fn tap_for(api: Option<&'static Api>, events: bool, head: &Parts) -> Box<dyn Tap> {
    match api {
        Some(api) => api.tap_with(events, head.status.as_u16(), &head.headers),
        None => opaque_tap(),
    }
}

pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// Whether the answer comes piece by piece, as events or as lines of JSON.
fn is_stream(headers: &HeaderMap) -> bool {
    let lines = |value: &HeaderValue| {
        [LINES, FRAMES, "application/stream+json"].iter().any(|kind| value.as_bytes().starts_with(kind.as_bytes()))
    };
    is_event_stream(headers) || headers.get(CONTENT_TYPE).is_some_and(lines)
}

fn created(call: &Call) -> u64 {
    u64::try_from(call.trip.received_at().micros() / 1_000_000).unwrap_or(0)
}

fn name_who_served(headers: &mut HeaderMap, candidate: &Candidate) {
    let mut name = |header: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(header), value);
        }
    };
    name("helicone-provider", candidate.endpoint.name());
    if let Some(model) = &candidate.model {
        name("helicone-model", model);
    }
}

fn name_notes(headers: &mut HeaderMap, notes: &[Note]) {
    let text: Vec<String> = notes.iter().map(|note| format!("{}={}", note.feature, note.action.code())).collect();
    if let Some(value) = (!text.is_empty()).then(|| HeaderValue::try_from(text.join(", ")).ok()).flatten() {
        headers.insert(NOTES_HEADER, value);
    }
}
