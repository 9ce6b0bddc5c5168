//! Who is calling.

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use tachograph_reply::ApiError;

use crate::keys::{Holder, KEY_PREFIX, KeyRing};

/// Headers that can only hold a key of ours. They never go upstream.
const OURS: [HeaderName; 2] = [HeaderName::from_static("helicone-auth"), HeaderName::from_static("tachograph-auth")];
/// Headers in which clients send a provider's key, or one of ours in its place.
pub(crate) const PROVIDER_KEY_HEADERS: [HeaderName; 4] = [
    AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("api-key"),
];

/// Finds the caller by one of our keys, in a header, in the query's `key` or in a segment of the path, and takes every key
/// of ours out of the request, so that none can go upstream. Keys of providers stay where they are.
pub(super) fn identify(head: &mut Parts, keys: &KeyRing) -> Result<Holder, ApiError> {
    let mut holder = None;
    let mut presented = false;
    for name in OURS {
        if let Some(value) = head.headers.remove(&name) {
            presented = true;
            holder = holder.or_else(|| keys.check(bare(&value)?));
        }
    }
    if let Some(found) = take_from_pair(head, keys) {
        presented = true;
        holder = holder.or(Some(found));
    }
    for name in PROVIDER_KEY_HEADERS {
        let Some(found) =
            head.headers.get(&name).and_then(bare).map(|key| (keys.check(key), key.starts_with(KEY_PREFIX)))
        else {
            continue;
        };
        presented = true;
        if let (Some(_), _) | (_, true) = found {
            head.headers.remove(&name);
        }
        holder = holder.or(found.0);
    }
    if let Some(found) = take_from_uri(&mut head.uri, keys) {
        presented = true;
        holder = holder.or(found);
    }
    holder.ok_or_else(|| match (presented, keys.is_empty()) {
        (_, true) => ApiError::unauthorized(
            "no_keys",
            "This gateway has no API keys yet; make one with `gateway keys create` and send it as your API key.",
        ),
        (true, _) => ApiError::unauthorized(
            "invalid_api_key",
            "This API key is not one of this gateway's. Send a key made with `gateway keys create` as your API key or, to use \
             your own provider key, in the Helicone-Auth header beside it.",
        ),
        (false, _) => ApiError::unauthorized(
            "missing_api_key",
            "No API key. Send a key made with `gateway keys create` as `Authorization: Bearer …` or `x-api-key`.",
        ),
    })
}

/// Takes keys of ours out of headers that are to go upstream.
pub(super) fn drop_ours(headers: &mut HeaderMap, keys: &KeyRing) {
    for name in PROVIDER_KEY_HEADERS {
        let is_ours = |key: &str| key.starts_with(KEY_PREFIX) || keys.check(key).is_some();
        if headers.get(&name).and_then(bare).is_some_and(is_ours) {
            headers.remove(&name);
        }
    }
}

/// Takes our key out of a pair in one header, `Bearer sk-of-the-provider, Bearer sk-tachograph-…`; the other stays.
fn take_from_pair(head: &mut Parts, keys: &KeyRing) -> Option<Holder> {
    let value = head.headers.get(AUTHORIZATION)?.to_str().ok().filter(|text| !text.starts_with("AWS4-"))?;
    let (first, second) = value.split_once(',')?;
    let held = |one: &str| HeaderValue::try_from(one.trim()).ok();
    let holder_of = |one: &str| held(one).as_ref().and_then(bare).and_then(|key| keys.check(key));
    let (holder, other) = match (holder_of(first), holder_of(second)) {
        (_, Some(holder)) => (holder, first),
        (Some(holder), None) => (holder, second),
        (None, None) => return None,
    };
    let mut other = held(other)?;
    other.set_sensitive(true);
    head.headers.insert(AUTHORIZATION, other);
    Some(holder)
}

/// The key in a header's value, with or without `Bearer`.
fn bare(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?.trim();
    // Amazon's clients sign: where they were given one of our keys for an access key, it stands there.
    if let Some(scope) =
        text.strip_prefix("AWS4-HMAC-SHA256").and_then(|rest| rest.trim_start().strip_prefix("Credential="))
    {
        return scope.split('/').next();
    }
    let scheme = text.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    Some(scheme.map_or(text, |scheme| text[scheme.len()..].trim()))
}

/// Takes our keys out of `?key=…` and out of the path. `None`: there was nothing that could be one of ours.
fn take_from_uri(uri: &mut Uri, keys: &KeyRing) -> Option<Option<Holder>> {
    let in_path = uri.path().split('/').find(|segment| segment.starts_with(KEY_PREFIX)).map(str::to_owned);
    let in_query = uri.query().and_then(|query| {
        let key = query.split('&').find_map(|pair| pair.strip_prefix("key="))?;
        (key.starts_with(KEY_PREFIX) || keys.check(key).is_some()).then(|| key.to_owned())
    });
    if in_path.is_none() && in_query.is_none() {
        return None;
    }
    let holder = in_path.iter().chain(&in_query).find_map(|key| keys.check(key));
    let path: Vec<&str> = uri.path().split('/').filter(|segment| !segment.starts_with(KEY_PREFIX)).collect();
    let path = if path.len() < 2 { "/".to_owned() } else { path.join("/") };
    let query: Vec<&str> = uri
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter(|pair| in_query.as_deref().is_none_or(|key| pair.strip_prefix("key=") != Some(key)))
        .collect();
    let path_and_query = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = path_and_query.parse::<PathAndQuery>().ok();
    if let Ok(without_key) = Uri::from_parts(parts) {
        *uri = without_key;
    }
    Some(holder)
}
