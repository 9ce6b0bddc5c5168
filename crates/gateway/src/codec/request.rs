//! From a call to a provider's request.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Uri};
use tachograph_providers::embed::Target;
use tachograph_providers::{Api, DialectId, HideUsage, Note, Provider, StreamUsage, ask_for_usage, dialect, json};
use tachograph_reply::{ApiError, ErrorKind};

use super::headers::Outgoing;
use super::{embed, headers};
use crate::call::{Call, Candidate, Try, Way};
use crate::credential::Seal;
use crate::endpoint::Endpoint;
use crate::place::region_in;
use crate::upload::Rest;
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
pub(super) fn write(attempt: &Try) -> Result<(UpstreamRequest, Plan), ApiError> {
    let (call, candidate) = (&*attempt.call, &attempt.candidate);
    let endpoint = &candidate.endpoint;
    let model = candidate.model.as_deref().or(call.model.as_deref()).unwrap_or_default();
    // What the model is called there is the provider's matter; on the record it keeps its name.
    let model = endpoint.deployment_of(model);
    let (uri, provider, region, across) = match &call.way {
        Way::Proxy(path_and_query) => {
            let provider = &endpoint.provider;
            let (region, _) = region_in(provider, path_and_query);
            (endpoint.proxied_uri(&keyless(path_and_query, provider))?, provider, region, None)
        }
        Way::Gateway(usual, query) => {
            let provider = endpoint.provider_for(model);
            let api = call.api.unwrap_or(Api::of_dialect(provider.dialect));
            match (provider.path_of(api, usual, call.stream), api.dialect()) {
                (Some(path), _) => {
                    let joint = if path.contains('?') { '&' } else { '?' };
                    let query = query.as_ref().map(|query| format!("{joint}{query}")).unwrap_or_default();
                    (endpoint.own_uri(provider, &format!("{path}{query}"), model)?, provider, None, None)
                }
                (None, Some(dialect)) => {
                    if dialect == DialectId::GeminiGenerateContent && call.stream && !asks_for_events(query.as_deref())
                    {
                        let message = "Streams of other providers come as events only; add alt=sse to the query.";
                        return Err(ApiError::invalid("unsupported_stream", message).with_param("alt"));
                    }
                    let uri = endpoint.own_uri(provider, &provider.path_of_chat(call.stream), model)?;
                    (uri, provider, None, Some(dialect))
                }
                (None, None) => match tachograph_providers::embed::target(api, &call.body, provider, model) {
                    Some(target) => return embeddings(attempt, api, target),
                    None => return Err(no_such_api(api, endpoint)),
                },
            }
        }
    };
    let mut rest = None;
    let (body, outgoing, plan) = match across {
        Some(from) => {
            let (body, plan) = translate(call, provider, model, from)?;
            (body, headers::translated(call, endpoint, provider), plan)
        }
        None => {
            let (body, hide) = ask(call, provider, with_model(call, candidate, provider, model));
            let outgoing = headers::onward(call, candidate, provider, region);
            rest = rest_of(call, candidate, model, &outgoing)?;
            (body, outgoing, Plan::Same { hide })
        }
    };
    Ok((UpstreamRequest { rest, ..upstream(call, endpoint, uri, outgoing, body)? }, plan))
}

/// What of an upload is still to come, with the candidate's own name for the model in it.
fn rest_of(call: &Call, candidate: &Candidate, model: &str, outgoing: &Outgoing) -> Result<Option<Rest>, ApiError> {
    let Some(upload) = &call.upload else { return Ok(None) };
    if matches!(outgoing.seal, Some(Seal::Aws { .. })) {
        let message = "Amazon's signatures need the whole body, and an upload as large as this is not held.";
        return Err(ApiError::invalid("unsignable_upload", message));
    }
    let named = call.model_in_upload.clone().filter(|_| candidate.model.is_some());
    let instead = named.map(|at| (at, Bytes::copy_from_slice(model.as_bytes())));
    Ok(Some(Rest { upload: upload.clone(), instead }))
}

fn upstream(
    call: &Call,
    endpoint: &Arc<Endpoint>,
    uri: Uri,
    outgoing: Outgoing,
    body: Bytes,
) -> Result<UpstreamRequest, ApiError> {
    if !outgoing.has_key
        && let Some(refusal) = endpoint.missing_key()
    {
        return Err(refusal);
    }
    let mut request = Request::new(());
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = outgoing.headers;
    Ok(UpstreamRequest {
        endpoint: endpoint.clone(),
        id: call.trip.id(),
        request,
        body,
        rest: None,
        seal: outgoing.seal,
        socket: call.socket.clone(),
    })
}

fn embeddings(attempt: &Try, api: &'static Api, target: Target) -> Result<(UpstreamRequest, Plan), ApiError> {
    let (call, candidate) = (&*attempt.call, &attempt.candidate);
    let endpoint = &candidate.endpoint;
    let provider = &endpoint.provider;
    let model = candidate.model.as_deref().or(call.model.as_deref()).unwrap_or_default();
    let path = provider.paths.get(target.api.name()).map_or(target.path, String::as_str);
    let uri = endpoint.own_uri(provider, path, endpoint.deployment_of(model))?;
    let (body, crossing) = embed::write(call, candidate, api, target)?;
    let outgoing = headers::translated(call, endpoint, provider);
    Ok((upstream(call, endpoint, uri, outgoing, body)?, Plan::Embeddings(Box::new(crossing))))
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
fn with_model(call: &Call, candidate: &Candidate, provider: &Provider, model: &str) -> Bytes {
    let is_proxied = matches!(call.way, Way::Proxy(_));
    let is_chat = call.api.is_some_and(|api| api.dialect() == Some(provider.dialect));
    if !is_proxied && is_chat && (provider.names_model_in_path() || !provider.body.is_empty()) {
        return in_its_own_words(call, provider);
    }
    // A caller's own target has a body of its own. A proxied call keeps its model unless it was given another one.
    if candidate.model.is_none() || candidate.instead.is_some() || (is_proxied && call.model_span.is_none()) {
        return call.body_for(candidate).clone();
    }
    let Some(span) = &call.model_span else {
        // It was not in the body: Google's clients say it in the path, and where there is only one nobody need say it.
        let says_nothing = call.api.is_some_and(|api| api.family() != DialectId::GeminiGenerateContent);
        let name = serde_json::Value::from(model).to_string();
        let named = says_nothing.then(|| json::set(&call.body, "model", name.as_bytes()));
        return named.flatten().unwrap_or_else(|| call.body.clone());
    };
    let is_json = call.body.get(span.start) == Some(&b'"');
    let name = if is_json { serde_json::Value::from(model).to_string() } else { model.to_owned() };
    if &call.body[span.clone()] == name.as_bytes() {
        return call.body.clone();
    }
    json::splice(&call.body, span.clone(), name.as_bytes())
}

/// A body of the caller's own dialect for a provider that wants the model in the path, and something of its own in the
/// body: Anthropic's messages at Google's. All else stays as it is.
fn in_its_own_words(call: &Call, provider: &Provider) -> Bytes {
    let mut body = match provider.names_model_in_path() {
        true => json::without(&call.body, "model"),
        false => call.body.clone(),
    };
    for (name, value) in &provider.body {
        if json::last(&body, name).is_none() {
            body = json::set(&body, name, value.to_string().as_bytes()).unwrap_or(body);
        }
    }
    body
}

/// Asks for usage at the end of a stream, where the provider tells it only to those who ask. What the caller did not ask
/// for is hidden from it again.
fn ask(call: &Call, provider: &Provider, body: Bytes) -> (Bytes, Option<HideUsage>) {
    let asks = call.stream && call.api.is_some_and(Api::asks_for_usage);
    if !asks || provider.quirks.stream_usage != StreamUsage::Inject {
        return (body, None);
    }
    match ask_for_usage(&body) {
        Some(asking) => (asking, Some(HideUsage::default())),
        None => (body, None),
    }
}

fn translate(call: &Call, provider: &Provider, model: &str, to_caller: DialectId) -> Result<(Bytes, Plan), ApiError> {
    let mut request = dialect(to_caller).decode_request(&call.body)?;
    let asked_for = request.model.take().or_else(|| call.model.clone()).unwrap_or_default();
    if matches!(to_caller, DialectId::GeminiGenerateContent | DialectId::BedrockConverse) {
        request.stream = call.stream.then_some(true);
    }
    // OpenAI's clients are told usage only if they ask, Anthropic's always.
    let include_usage = request.include_usage.unwrap_or(to_caller != DialectId::OpenAiChat);
    if call.stream && provider.quirks.stream_usage == StreamUsage::Inject {
        request.include_usage = Some(true);
    }
    let encoded = dialect(provider.dialect).encode_request(&request, model, provider, DEFAULT_MAX_OUTPUT)?;
    let mut body = encoded.body;
    if body.is_empty() {
        return Err(ApiError::new(ErrorKind::Internal, "empty_request", "The request could not be translated."));
    }
    // A model that stands in the path does not stand in the body.
    if provider.names_model_in_path() {
        body = json::without(&body, "model");
    }
    for (name, value) in &provider.body {
        body = json::set(&body, name, value.to_string().as_bytes()).unwrap_or(body);
    }
    let plan =
        Plan::Across { from: provider.dialect, to: to_caller, include_usage, model: asked_for, notes: encoded.notes };
    Ok((body, plan))
}

#[cfg(test)]
mod tests {
    use tachograph_providers::Registry;

    use super::*;

    #[test]
    fn only_events_are_streams_of_others() {
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
