//! Counting tokens for models whose providers do not: estimated here, and said to be.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use serde_json::json;
use tachograph_providers::dialect;
use tachograph_reply::ApiError;
use tachograph_telemetry::Served;
use tachograph_tokens::Counter;

use crate::answer::AnswerBody;
use crate::call::{Call, Candidate, Way};
use crate::estimate;

/// The answer to a request that only wants tokens counted, where the candidate's provider has no such API.
///
/// # Errors
/// Where the request cannot be read.
pub(super) fn answer(call: &Call, candidate: &Candidate) -> Result<Option<Response<AnswerBody>>, ApiError> {
    let Way::Gateway(usual, _) = &call.way else { return Ok(None) };
    let Some(api) = call.api.filter(|api| api.only_counts()) else { return Ok(None) };
    let provider = &candidate.endpoint.provider;
    if provider.path_of(api, usual, call.stream).is_some() {
        return Ok(None);
    }
    let mut body: serde_json::Map<_, _> = serde_json::from_slice(&call.body).unwrap_or_default();
    // Google's clients may wrap what would be generated from.
    if let Some(serde_json::Value::Object(inner)) = body.remove("generateContentRequest") {
        body = inner;
    }
    let text = serde_json::Value::Object(body).to_string();
    let request = dialect(api.family()).decode_request(text.as_bytes())?;
    let model = candidate.model.as_deref().or(call.model.as_deref()).unwrap_or_default();
    let tokens = estimate::prompt(&Counter::of_model(model), &request).tokens();
    let body = if api.name() == "gemini.countTokens" {
        json!({ "totalTokens": tokens })
    } else {
        json!({ "input_tokens": tokens })
    };
    call.trip.note(format!("{} estimated: {} does not count tokens", api.name(), provider.name));
    let mut response = Response::new(AnswerBody::from(Bytes::from(body.to_string())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(super::ESTIMATED, HeaderValue::from_static("tokens"));
    let tap = api.tap(false, 200);
    let served = Served {
        provider: Some(candidate.endpoint.name().clone()),
        provider_model: candidate.model.clone(),
        ..Served::default()
    };
    response.extensions_mut().insert(served.with_tap(tap));
    Ok(Some(response))
}
