//! Where a request wants to go.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderName, HeaderValue, Method};
use tachograph_providers::{Api, DialectId};
use tachograph_reply::{ApiError, ErrorShape};

use crate::call::Way;
use crate::endpoint::{Endpoint, Endpoints};

/// The headers that name a provider, the first before the other.
const PROVIDER: [HeaderName; 2] =
    [HeaderName::from_static("helicone-provider"), HeaderName::from_static("tachograph-provider")];
/// What Google's clients send, and Anthropic's.
const GOOGLES: HeaderName = HeaderName::from_static("x-goog-api-key");
const ANTHROPICS: HeaderName = HeaderName::from_static("anthropic-version");
/// Where a session's query names the model.
const MODEL_IN_QUERY: &str = "model={model%}";

/// Where a request wants to go, by its path and host alone.
pub(super) struct Route {
    pub(super) way: Way,
    /// The API it calls, where that is understood.
    pub(super) api: Option<&'static Api>,
    /// The model, and whether a stream is asked for, where the path says so and not the body.
    pub(super) in_path: Option<(String, Option<bool>)>,
    /// What the path calls a deployment whose model the configuration does not tell. Where the body names a model, that
    /// says more: a deployment may have any name.
    pub(super) deployment: Option<String>,
    /// The provider, where a proxy was named.
    pub(super) endpoint: Option<Arc<Endpoint>>,
}

impl Route {
    /// The API's name on the record.
    pub(super) fn api(&self) -> &'static str {
        self.api.map_or("other", Api::name)
    }
}

/// The shape in which a client of this path reads errors.
pub(super) fn shape_of(head: &Parts) -> ErrorShape {
    if head.uri.path().contains("/v1beta/") || head.headers.contains_key(GOOGLES) {
        return ErrorShape::Gemini;
    }
    match Api::of_path(head.uri.path()) {
        Some(api) => api.error_shape(),
        None if head.headers.contains_key(ANTHROPICS) => ErrorShape::Anthropic,
        None => ErrorShape::OpenAi,
    }
}

/// Finds the way: a provider's host label, a path behind a provider's name, or one of the AI gateway's own paths.
///
/// `by_header` is the provider that a header names, for the paths that name none and have no model to tell it by; `socket` is
/// whether a WebSocket is asked for.
pub(super) fn route(
    head: &Parts,
    endpoints: &Endpoints,
    by_header: Option<&str>,
    socket: bool,
) -> Result<Route, ApiError> {
    let path_and_query = head.uri.path_and_query().map_or("/", |path| path.as_str());
    if let Some(endpoint) = endpoints.by_host(&head.headers, &head.uri) {
        return Ok(proxy(endpoint, path_and_query));
    }
    let behind_gateway = path_and_query.strip_prefix("/v1/gateway/");
    let named = behind_gateway.or_else(|| path_and_query.strip_prefix('/')).unwrap_or_default();
    let end = named.find(['/', '?']).unwrap_or(named.len());
    let (name, rest) = named.split_at(end);
    if let Some(endpoint) = endpoints.get(name) {
        return Ok(proxy(endpoint, if rest.starts_with('/') { rest } else { "/" }));
    }
    if behind_gateway.is_some() {
        let message = format!("No provider is called {name:?} here; add it under `providers` in the configuration.");
        return Err(ApiError::not_found("unknown_provider", message));
    }
    let path = head.uri.path();
    match Api::at_gateway(path) {
        Some((api, usual)) if api.is_session() => session(api, usual, head.uri.query(), socket),
        Some(_) if head.method != Method::POST => {
            let message = format!("{path} takes POST requests.");
            Err(ApiError::invalid("method_not_allowed", message).with_status(http::StatusCode::METHOD_NOT_ALLOWED))
        }
        Some((api, usual)) => Ok(Route {
            way: Way::Gateway(usual, None),
            api: Some(api),
            in_path: None,
            deployment: None,
            endpoint: None,
        }),
        None if Api::with_model_in_path(path).is_some() => Ok(with_model_in_path(path, head.uri.query())),
        None if is_kept_at_provider(path) => kept_at_provider(path_and_query, endpoints, by_header),
        None => {
            let message = format!(
                "Nothing is served at {path}. Call /v1/chat/completions, /v1/messages or /v1/embeddings, or put a provider's name before its \
                 own path: /openai/v1/…"
            );
            Err(ApiError::not_found("unknown_path", message))
        }
    }
}

/// The way to a URL that the caller names: the request's own path behind that URL's origin, as Helicone joins them. Of the
/// path only what names this gateway's places is taken off: `/v1/gateway`, and `/oai`, with which no provider's path begins.
pub(super) fn to_target(head: &Parts, named: &HeaderValue, endpoints: &Endpoints) -> Result<Route, ApiError> {
    let path_and_query = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let behind = |path: &'static str, whole| {
        str::strip_prefix(whole, path).filter(|rest| rest.starts_with('/')).unwrap_or(whole)
    };
    let path = behind("/oai", behind("/v1/gateway", path_and_query));
    let dialect = Api::of_path(path).map_or(DialectId::OpenAiChat, Api::family);
    Ok(proxy(&endpoints.target(named, dialect)?, path))
}

/// A session over a WebSocket. Its model stands in the query.
fn session(api: &'static Api, usual: &'static str, query: Option<&str>, socket: bool) -> Result<Route, ApiError> {
    if !socket {
        let message = format!("{usual} takes WebSocket connections.");
        return Err(ApiError::invalid("upgrade_required", message).with_status(http::StatusCode::UPGRADE_REQUIRED));
    }
    let pairs = || query.into_iter().flat_map(|query| query.split('&'));
    // The model goes on under the name that its provider has for it.
    let rest = pairs().filter(|pair| !pair.starts_with("model=") && !pair.is_empty());
    let onward = std::iter::once(MODEL_IN_QUERY).chain(rest).collect::<Vec<_>>().join("&");
    let (way, in_path) = (Way::Gateway(usual, Some(onward)), in_query(query));
    Ok(Route { way, api: Some(api), in_path, deployment: None, endpoint: None })
}

/// What a session's query says of it.
fn in_query(query: Option<&str>) -> Option<(String, Option<bool>)> {
    let model = query?.split('&').find_map(|pair| pair.strip_prefix("model="))?;
    Some((unescaped(model), Some(true)))
}

/// What clients keep at a provider and call by its id later: files, batches, jobs. It belongs to no model, so that no model
/// can say where it goes.
const KEPT_AT_PROVIDER: [&str; 8] =
    ["files", "batches", "uploads", "fine_tuning", "vector_stores", "containers", "realtime", "conversations"];

fn is_kept_at_provider(path: &str) -> bool {
    let first = path.strip_prefix("/v1").unwrap_or(path).strip_prefix('/').and_then(|rest| rest.split('/').next());
    first.is_some_and(|first| KEPT_AT_PROVIDER.contains(&first))
}

/// As through the proxy of the provider that the header names, or else OpenAI's, whose paths these are.
fn kept_at_provider(path_and_query: &str, endpoints: &Endpoints, named: Option<&str>) -> Result<Route, ApiError> {
    let name = named.unwrap_or("openai");
    let Some(endpoint) = endpoints.get(name) else {
        let message = format!("No provider is called {name:?} here; name another in Helicone-Provider.");
        return Err(ApiError::not_found("unknown_provider", message));
    };
    let bare = path_and_query.strip_prefix("/v1").unwrap_or(path_and_query);
    Ok(proxy(endpoint, &endpoint.path_behind_base(bare)))
}

/// The provider that a header names. It must be asked before our own headers are taken out.
pub(super) fn named_provider(headers: &http::HeaderMap) -> Option<String> {
    let named = PROVIDER.iter().find_map(|name| headers.get(name))?;
    Some(named.to_str().ok()?.trim().to_ascii_lowercase())
}

/// One of Google's or Amazon's paths. A key in its query is a matter of headers by now, whosever it was.
fn with_model_in_path(path: &str, query: Option<&str>) -> Route {
    let found = Api::with_model_in_path(path);
    let kept: Vec<&str> =
        query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.starts_with("key=")).collect();
    let query = (!kept.is_empty()).then(|| kept.join("&"));
    Route {
        way: Way::Gateway(found.map_or("", |(_, usual, _)| usual), query),
        api: found.map(|(api, ..)| api),
        in_path: in_path(path),
        deployment: None,
        endpoint: None,
    }
}

/// What one of Google's or Amazon's paths says of the call: clients write the model's name into it as it is, or escape
/// its slashes and colons.
fn in_path(path: &str) -> Option<(String, Option<bool>)> {
    let (_, usual, model) = Api::with_model_in_path(path)?;
    Some((unescaped(model), Some(usual.contains("stream"))))
}

/// Whether a request lists the gateway's models: all of them (`Some(None)`), or the one that is named.
pub(super) fn models(head: &Parts, endpoints: &Endpoints) -> Option<Option<String>> {
    if head.method != Method::GET || endpoints.by_host(&head.headers, &head.uri).is_some() {
        return None;
    }
    let path = head.uri.path();
    let rest = ["/v1/models", "/models", "/v1beta/models"].iter().find_map(|root| path.strip_prefix(root))?;
    match rest.strip_prefix('/') {
        None => rest.is_empty().then_some(None),
        Some("") => Some(None),
        Some(name) => Some(Some(unescaped(name))),
    }
}

/// A model's name as clients write it into a path: as it is, or with its slashes and colons escaped.
fn unescaped(name: &str) -> String {
    percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned()
}

fn proxy(endpoint: &Arc<Endpoint>, path_and_query: &str) -> Route {
    let path = path_and_query.split('?').next().unwrap_or_default();
    let (named, deployment) = model_of(endpoint, path);
    Route {
        way: Way::Proxy(path_and_query.to_owned()),
        api: endpoint.provider.api_of(path),
        in_path: in_path(path).or(named).or_else(|| {
            Api::of_path(path)
                .filter(|api| api.is_session())
                .and_then(|_| in_query(path_and_query.split_once('?').map(|(_, query)| query)))
        }),
        deployment,
        endpoint: Some(endpoint.clone()),
    }
}

/// What a path of this provider's own names: the model of a deployment that the configuration knows, or the deployment.
fn model_of(endpoint: &Endpoint, path: &str) -> (Option<(String, Option<bool>)>, Option<String>) {
    let Some((named, stream)) = endpoint.provider.model_in(path) else { return (None, None) };
    let named = unescaped(&named);
    match endpoint.model_deployed_as(&named) {
        Some(model) => (Some((model.to_owned(), stream)), None),
        // A path that says whether to stream has a model's own name.
        None if stream.is_some() => (Some((named, stream)), None),
        None => (None, Some(named)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use http::Request;

    use super::*;

    fn to(path: &str) -> Result<Route, ApiError> {
        let (head, ()) = Request::post(path).body(()).unwrap().into_parts();
        route(&head, &Endpoints::new(&BTreeMap::new(), &|_| None), None, false)
    }

    #[test]
    fn paths_are_named_on_proxies_and_on_the_gateway() {
        for (path, api) in [
            ("/v1/embeddings", "openai.embeddings"),
            ("/responses", "openai.responses"),
            ("/openai/v1/moderations", "openai.moderations"),
            ("/writer/v1/chat", "openai.chat"),
            ("/anthropic/v1/messages/count_tokens", "anthropic.count_tokens"),
            ("/openai/v1/files", "other"),
        ] {
            assert_eq!(to(path).unwrap().api(), api, "{path}");
        }
        assert_eq!(to("/v1/unheard-of").err().unwrap().code(), "unknown_path");
    }

    #[test]
    fn googles_paths_name_the_model_with_its_slashes_and_say_whether_to_stream() {
        let route = to("/v1beta/models/openai/gpt-4o-mini:streamGenerateContent?alt=sse&key=k").unwrap();
        assert_eq!(route.in_path, Some(("openai/gpt-4o-mini".to_owned(), Some(true))));
        let usual = "/v1beta/models/{model}:streamGenerateContent";
        assert_eq!(route.way, Way::Gateway(usual, Some("alt=sse".to_owned())));
        let route = to("/gemini/v1beta/models/publishers%2Fgoogle%2Fm:generateContent").unwrap();
        assert_eq!(route.in_path, Some(("publishers/google/m".to_owned(), Some(false))));
        assert_eq!(route.api(), "gemini.generateContent");
    }
}
