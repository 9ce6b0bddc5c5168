//! Which headers go on.

use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, TE, TRANSFER_ENCODING, UPGRADE,
    USER_AGENT,
};
use http::{HeaderName, HeaderValue};

use tachograph_providers::DialectId;

use crate::admit::PROVIDER_KEY_HEADERS;
use crate::call::{Call, Way};
use crate::endpoint::Endpoint;

/// Headers that concern one connection, not the message (RFC 9110 §7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    TE,
    HeaderName::from_static("trailer"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authorization"),
];
/// What goes on to a provider whose dialect the caller does not speak: who asks, and what joins traces.
const ACROSS_DIALECTS: [HeaderName; 5] = [
    USER_AGENT,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("idempotency-key"),
];

/// Headers for a request in the caller's own dialect: all of them, but for those of the connection.
pub(super) fn onward(call: &Call, endpoint: &Endpoint) -> HeaderMap {
    let mut headers = call.headers.clone();
    drop_hop_by_hop(&mut headers);
    headers.remove(HOST);
    headers.remove(CONTENT_LENGTH);
    if let Some(key) = key_in_query(call, endpoint) {
        headers.insert(endpoint.key_header(), key);
    }
    authorize(&mut headers, call, endpoint);
    finish(headers, endpoint)
}

/// Headers for a request that was translated: the caller's own say little to a provider of another dialect, and its key
/// must not be shown to it.
pub(super) fn translated(call: &Call, endpoint: &Endpoint) -> HeaderMap {
    let kept = ACROSS_DIALECTS.into_iter().filter_map(|name| Some((name.clone(), call.headers.get(name)?.clone())));
    let mut headers: HeaderMap = kept.collect();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(key) = endpoint.key() {
        headers.insert(endpoint.key_header(), key.clone());
    }
    finish(headers, endpoint)
}

/// The headers of a provider's answer that go on to the client. The connection's own are gone by then, and the length too
/// where the body is altered on its way.
pub(super) fn back(headers: &mut HeaderMap, altered: bool) {
    drop_hop_by_hop(headers);
    if altered {
        headers.remove(CONTENT_LENGTH);
    }
}

/// The caller's own key for Google, which Google's clients may write into the query.
fn key_in_query(call: &Call, endpoint: &Endpoint) -> Option<HeaderValue> {
    let Way::Proxy(path_and_query) = &call.way else { return None };
    if endpoint.provider.dialect != DialectId::GeminiGenerateContent {
        return None;
    }
    let (_, query) = path_and_query.split_once('?')?;
    let mut key = HeaderValue::try_from(query.split('&').find_map(|pair| pair.strip_prefix("key="))?).ok()?;
    key.set_sensitive(true);
    Some(key)
}

fn finish(mut headers: HeaderMap, endpoint: &Endpoint) -> HeaderMap {
    // What is compressed cannot be metered as it passes.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in &endpoint.provider.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
            && !headers.contains_key(&name)
        {
            headers.insert(name, value);
        }
    }
    headers
}

/// Puts our key for the provider in its place, unless the caller's own stands there. On a provider proxy the caller's key
/// is meant for that provider; on the AI gateway only where the provider is the one whose dialect the caller speaks, for
/// a key of one provider must not be shown to another.
fn authorize(headers: &mut HeaderMap, call: &Call, endpoint: &Endpoint) {
    let place = endpoint.key_header();
    let callers_own = match call.way {
        Way::Proxy(_) => PROVIDER_KEY_HEADERS.iter().any(|name| headers.contains_key(name)),
        Way::Gateway(..) => headers.contains_key(&place) && endpoint.is_home_of(call.api),
    };
    if callers_own {
        return;
    }
    for name in PROVIDER_KEY_HEADERS {
        headers.remove(name);
    }
    if let Some(key) = endpoint.key() {
        headers.insert(place, key.clone());
    }
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    // `Connection` may name further headers that end here.
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    for name in HOP_BY_HOP.into_iter().chain(named) {
        headers.remove(name);
    }
}
