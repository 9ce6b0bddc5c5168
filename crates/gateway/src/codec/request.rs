//! From a call to a provider's request.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Uri};
use http_body_util::Full;
use tachograph_providers::embed::Target;
use tachograph_providers::{Api, DialectId, HideUsage, Note, Provider, StreamUsage, ask_for_usage, dialect, json};
use tachograph_reply::{ApiError, ErrorKind};

use super::{embed, headers};
use crate::call::{Call, Candidate, Way};
use crate::endpoint::Endpoint;
use crate::upstream::UpstreamRequest;

/// The most tokens an answer is asked for where the caller names no limit and the provider demands one.
const DEFAULT_MAX_OUTPUT: u64 = 8192;

/// How the answer is to be read.
pub(super) enum Plan {
    /// In the caller's dialect: handed on as it comes, but for a usage frame that only we asked for.
    Same { hide: Option<HideUsage> },
    /// Embeddings, from a provider that has another API for them: translated.
    Embeddings(Box<embed::Crossing>),
    /// In another dialect: translated.
    Across { from: DialectId, to: DialectId, include_usage: bool, model: String, notes: Vec<Note> },
}

/// Writes the request for this candidate, and says how its answer is to be read.
pub(super) fn write(call: &Call, candidate: &Candidate) -> Result<(UpstreamRequest, Plan), ApiError> {
    let endpoint = &candidate.endpoint;
    let provider = &endpoint.provider;
    let (uri, across) = match &call.way {
        Way::Proxy(path_and_query) => (endpoint.proxied_uri(&keyless(path_and_query, provider))?, None),
        Way::Gateway(usual, query) => {
            let api = call.api.unwrap_or(Api::of_dialect(provider.dialect));
            let model = candidate.model.as_deref().or(call.model.as_deref()).unwrap_or_default();
            match (provider.path_of(api, usual), api.dialect()) {
                (Some(path), _) => {
                    let query = query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
                    (endpoint.own_uri(&format!("{}{query}", path.replace("{model}", model)))?, None)
                }
                (None, Some(dialect)) => {
                    if dialect == DialectId::GeminiGenerateContent && call.stream && !asks_for_events(query.as_deref())
                    {
                        let message = "Streams of other providers come as events only; add alt=sse to the query.";
                        return Err(ApiError::invalid("unsupported_stream", message).with_param("alt"));
                    }
                    (endpoint.own_uri(&chat_path(provider, model, call.stream))?, Some(dialect))
                }
                (None, None) => match tachograph_providers::embed::target(api, provider) {
                    Some(target) => return embeddings(call, candidate, api, target),
                    None => return Err(no_such_api(api, endpoint)),
                },
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
    Ok((upstream(call, endpoint, uri, headers, body)?, plan))
}

fn upstream(
    call: &Call,
    endpoint: &Arc<Endpoint>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<UpstreamRequest, ApiError> {
    endpoint.require_key(&headers, &uri)?;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(UpstreamRequest { endpoint: endpoint.clone(), id: call.trip.id(), request })
}

fn embeddings(
    call: &Call,
    candidate: &Candidate,
    api: &'static Api,
    target: Target,
) -> Result<(UpstreamRequest, Plan), ApiError> {
    let endpoint = &candidate.endpoint;
    let model = candidate.model.as_deref().or(call.model.as_deref()).unwrap_or_default();
    let path = endpoint.provider.paths.get(target.api.name()).map_or(target.path, String::as_str);
    let uri = endpoint.own_uri(&path.replace("{model}", model))?;
    let (body, crossing) = embed::write(call, candidate, api, target)?;
    let headers = headers::translated(call, endpoint);
    Ok((upstream(call, endpoint, uri, headers, body)?, Plan::Embeddings(Box::new(crossing))))
}

/// The provider's chat path for a model. Google's says there whether to stream.
fn chat_path(provider: &Provider, model: &str, stream: bool) -> String {
    let path = provider.chat_path.replace("{model}", model);
    match path.strip_suffix(":generateContent") {
        Some(path) if stream => format!("{path}:streamGenerateContent?alt=sse"),
        _ => path,
    }
}

fn asks_for_events(query: Option<&str>) -> bool {
    query.into_iter().flat_map(|query| query.split('&')).any(|pair| pair == "alt=sse")
}

/// A proxied path without a key of Google's in its query: it goes in a header, for URLs are logged on their way.
fn keyless(path_and_query: &str, provider: &Provider) -> String {
    match path_and_query.split_once('?') {
        Some((path, query)) if provider.dialect == DialectId::GeminiGenerateContent => {
            let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("key=")).collect();
            if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
        }
        _ => path_and_query.to_owned(),
    }
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
    let asked_for = request.model.take().or_else(|| call.model.clone()).unwrap_or_default();
    if to_caller == DialectId::GeminiGenerateContent {
        request.stream = call.stream.then_some(true);
    }
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

#[cfg(test)]
mod tests {
    use tachograph_providers::Registry;

    use super::*;

    #[test]
    fn googles_path_says_the_model_and_whether_to_stream() {
        let gemini = Registry::builtin().get("gemini").unwrap();
        assert_eq!(chat_path(gemini, "gemini-2.5-pro", false), "/v1beta/models/gemini-2.5-pro:generateContent");
        assert_eq!(chat_path(gemini, "m", true), "/v1beta/models/m:streamGenerateContent?alt=sse");
        let openai = Registry::builtin().get("openai").unwrap();
        assert_eq!(chat_path(openai, "m", true), "/chat/completions");
        assert!(asks_for_events(Some("a=b&alt=sse")) && !asks_for_events(Some("alt=json")) && !asks_for_events(None));
    }

    #[test]
    fn keys_of_google_leave_the_url_and_others_queries_stay() {
        let provider = |name: &str| Registry::builtin().get(name).unwrap().clone();
        let gemini = provider("gemini");
        assert_eq!(keyless("/v1beta/models/m:x?key=AIza&alt=sse", &gemini), "/v1beta/models/m:x?alt=sse");
        assert_eq!(keyless("/v1beta/models?key=AIza", &gemini), "/v1beta/models");
        assert_eq!(keyless("/v1/files?key=1", &provider("openai")), "/v1/files?key=1");
    }
}
