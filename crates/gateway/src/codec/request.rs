//! From a call to a provider's request.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tachograph_providers::{Api, DialectId, HideUsage, Note, StreamUsage, ask_for_usage, dialect, json};
use tachograph_reply::{ApiError, ErrorKind};

use super::headers;
use crate::call::{Call, Candidate, Way};
use crate::endpoint::Endpoint;
use crate::upstream::UpstreamRequest;

/// The most tokens an answer is asked for where the caller names no limit and the provider demands one.
const DEFAULT_MAX_OUTPUT: u64 = 8192;

/// How the answer is to be read.
pub(super) enum Plan {
    /// In the caller's dialect: handed on as it comes, but for a usage frame that only we asked for.
    Same { hide: Option<HideUsage> },
    /// In another dialect: translated.
    Across { from: DialectId, to: DialectId, include_usage: bool, model: String, notes: Vec<Note> },
}

/// Writes the request for this candidate, and says how its answer is to be read.
pub(super) fn write(call: &Call, candidate: &Candidate) -> Result<(UpstreamRequest, Plan), ApiError> {
    let endpoint = &candidate.endpoint;
    let provider = &endpoint.provider;
    let (uri, across) = match &call.way {
        Way::Proxy(path_and_query) => (endpoint.proxied_uri(path_and_query)?, None),
        Way::Gateway(usual) => {
            let api = call.api.unwrap_or(Api::of_dialect(provider.dialect));
            match (provider.path_of(api, usual), api.dialect()) {
                (Some(path), _) => (endpoint.own_uri(path)?, None),
                (None, Some(dialect)) => (endpoint.own_uri(&provider.chat_path)?, Some(dialect)),
                (None, None) => return Err(no_such_api(api, endpoint)),
            }
        }
    };
    let (body, headers, plan) = match across {
        Some(from) => {
            let (body, plan) = translate(call, candidate, from)?;
            (body, headers::translated(call, endpoint), plan)
        }
        None => {
            let (body, hide) = ask(call, candidate, with_model(call, candidate));
            (body, headers::onward(call, endpoint), Plan::Same { hide })
        }
    };
    endpoint.require_key(&headers, &uri)?;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok((UpstreamRequest { endpoint: endpoint.clone(), id: call.trip.id(), request }, plan))
}

fn no_such_api(api: &Api, endpoint: &Endpoint) -> ApiError {
    let (provider, api) = (endpoint.name(), api.name());
    let message = format!("{provider} serves the model asked for, but no {api}; name a model of another provider.");
    ApiError::invalid("unsupported_api", message).with_param("model")
}

/// The body with the candidate's own name for the model.
fn with_model(call: &Call, candidate: &Candidate) -> Bytes {
    let (Some(model), Some(span)) = (&candidate.model, &call.model_span) else { return call.body.clone() };
    let is_json = call.body.get(span.start) == Some(&b'"');
    let name = if is_json { serde_json::Value::from(model.as_str()).to_string() } else { model.clone() };
    if &call.body[span.clone()] == name.as_bytes() {
        return call.body.clone();
    }
    json::splice(&call.body, span.clone(), name.as_bytes())
}

/// Asks for usage at the end of a stream, where the provider tells it only to those who ask. What the caller did not ask
/// for is hidden from it again.
fn ask(call: &Call, candidate: &Candidate, body: Bytes) -> (Bytes, Option<HideUsage>) {
    let asks = call.stream && call.api.is_some_and(Api::asks_for_usage);
    if !asks || candidate.endpoint.provider.quirks.stream_usage != StreamUsage::Inject {
        return (body, None);
    }
    match ask_for_usage(&body) {
        Some(asking) => (asking, Some(HideUsage::default())),
        None => (body, None),
    }
}

fn translate(call: &Call, candidate: &Candidate, to_caller: DialectId) -> Result<(Bytes, Plan), ApiError> {
    let provider = &candidate.endpoint.provider;
    let mut request = dialect(to_caller).decode_request(&call.body)?;
    let asked_for = request.model.take().unwrap_or_default();
    // OpenAI's clients are told usage only if they ask, Anthropic's always.
    let include_usage = request.include_usage.unwrap_or(to_caller != DialectId::OpenAiChat);
    if call.stream && provider.quirks.stream_usage == StreamUsage::Inject {
        request.include_usage = Some(true);
    }
    let model = candidate.model.as_deref().unwrap_or(&asked_for);
    let encoded = dialect(provider.dialect).encode_request(&request, model, provider, DEFAULT_MAX_OUTPUT)?;
    if encoded.body.is_empty() {
        return Err(ApiError::new(ErrorKind::Internal, "empty_request", "The request could not be translated."));
    }
    let plan =
        Plan::Across { from: provider.dialect, to: to_caller, include_usage, model: asked_for, notes: encoded.notes };
    Ok((encoded.body, plan))
}
