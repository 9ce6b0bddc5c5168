//! Which headers go on.

use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, TE, TRANSFER_ENCODING,
    UPGRADE, USER_AGENT,
};
use http::{HeaderName, HeaderValue};

use tachograph_providers::{DialectId, Provider};

use crate::admit::PROVIDER_KEY_HEADERS;
use crate::call::{Call, Candidate, Way};
use crate::credential::{self, Kind, SIGNATURE_HEADERS, Seal, is_signature};
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

/// Headers, and what authorises the request.
pub(super) struct Outgoing {
    pub(super) headers: HeaderMap,
    /// What is to be done when the request is whole.
    pub(super) seal: Option<Seal>,
    /// Whether there is a key in it, or will be.
    pub(super) has_key: bool,
}

/// Headers for a request in the caller's own dialect: all of them, but for those of the connection.
pub(super) fn onward(call: &Call, candidate: &Candidate, provider: &Provider, region: Option<&str>) -> Outgoing {
    let endpoint = &candidate.endpoint;
    let mut headers = call.headers_for(candidate).clone();
    drop_hop_by_hop(&mut headers);
    headers.remove(HOST);
    headers.remove(CONTENT_LENGTH);
    drop_signature(&mut headers);
    let callers = credential::take_aws(&mut headers);
    if let Some(key) = key_in_query(call, endpoint) {
        headers.insert(HeaderName::from_static("x-goog-api-key"), key);
    }
    if let (Some(keys), Some((region, service))) = (callers, endpoint.signing(region)) {
        PROVIDER_KEY_HEADERS.iter().for_each(|name| drop(headers.remove(name)));
        let seal = Some(Seal::Aws { keys, region, service });
        return Outgoing { headers: finish(headers, provider), seal, has_key: true };
    }
    let seal = authorize(&mut headers, call, candidate, region);
    let has_key = seal.is_some() || PROVIDER_KEY_HEADERS.iter().any(|name| headers.contains_key(name));
    Outgoing { headers: finish(headers, provider), seal, has_key }
}

/// Headers for a request that was translated: the caller's own say little to a provider of another dialect, and its key
/// must not be shown to it.
pub(super) fn translated(call: &Call, endpoint: &Endpoint, provider: &Provider) -> Outgoing {
    let kept = ACROSS_DIALECTS.into_iter().filter_map(|name| Some((name.clone(), call.headers.get(name)?.clone())));
    let mut headers: HeaderMap = kept.collect();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let seal = put_ours(&mut headers, call, endpoint, None);
    let has_key = seal.is_some() || PROVIDER_KEY_HEADERS.iter().any(|name| headers.contains_key(name));
    Outgoing { headers: finish(headers, provider), seal, has_key }
}

/// Puts our credential whose turn it is in its place, or says what is to be done later; the record is told which.
fn put_ours(headers: &mut HeaderMap, call: &Call, endpoint: &Endpoint, region: Option<&str>) -> Option<Seal> {
    let credential = endpoint.credential(call.org)?;
    call.trip.attempt_key(credential.index);
    match &credential.kind {
        Kind::Header(name, value) => {
            headers.insert(name.clone(), value.clone());
            None
        }
        Kind::Aws(keys) => {
            let (region, service) = endpoint.signing(region)?;
            Some(Seal::Aws { keys: keys.clone(), region, service })
        }
        Kind::Google(_) => Some(Seal::Google(credential.clone())),
    }
}

/// Takes off a signature that the client made for this gateway: it is good for nothing at another address.
fn drop_signature(headers: &mut HeaderMap) {
    if headers.get(AUTHORIZATION).is_some_and(is_signature) {
        headers.remove(AUTHORIZATION);
        SIGNATURE_HEADERS.iter().for_each(|name| drop(headers.remove(*name)));
    }
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

fn finish(mut headers: HeaderMap, provider: &Provider) -> HeaderMap {
    // What is compressed cannot be metered as it passes.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in &provider.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
            && !headers.contains_key(&name)
        {
            headers.insert(name, value);
        }
    }
    headers
}

/// Whether a call goes to a provider with the caller's own key. On a provider proxy the caller's key is meant for that
/// provider; on the AI gateway only where the provider is the one whose dialect the caller speaks, for a key of one
/// provider must not be shown to another.
pub(crate) fn has_callers_key(call: &Call, candidate: &Candidate) -> bool {
    let (headers, endpoint) = (call.headers_for(candidate), &candidate.endpoint);
    let has = |name: &HeaderName| headers.get(name).is_some_and(|value| *name != AUTHORIZATION || !is_signature(value));
    match call.way {
        Way::Proxy(_) => PROVIDER_KEY_HEADERS.iter().any(has) || key_in_query(call, endpoint).is_some(),
        Way::Gateway(..) => has(&endpoint.key_header()) && endpoint.is_home_of(call.api),
    }
}

/// Puts our key for the provider in its place, unless the caller's own stands there.
fn authorize(headers: &mut HeaderMap, call: &Call, candidate: &Candidate, region: Option<&str>) -> Option<Seal> {
    if has_callers_key(call, candidate) {
        return None;
    }
    for name in PROVIDER_KEY_HEADERS {
        headers.remove(name);
    }
    put_ours(headers, call, &candidate.endpoint, region)
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
