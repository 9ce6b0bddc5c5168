//! What makes two calls the same.

use std::sync::Arc;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use tachograph_cache::{Plan, RequestKey, Subject, Tenant};

use super::meaning::{self, Question, Semantic};
use crate::admit::PROVIDER_KEY_HEADERS;
use crate::call::{Call, Way};
use crate::credential::is_signature;

/// Headers that change what a provider answers, by how their names begin.
const CHANGING: [&str; 5] = ["anthropic-", "openai-", "x-goog-user-project", "aws-access-key", "aws-region"];

/// What is to be done for a call.
pub(super) struct Planned {
    pub(super) plan: Plan,
    /// Its key but for who serves it.
    pub(super) key: RequestKey,
    /// What it asks, where the answer to another question of the same meaning will do.
    pub(super) question: Option<Question>,
}

/// What is to be done for a call; `None` where there is nothing.
pub(super) fn of(call: &mut Call, semantic: impl FnOnce() -> Option<Arc<Semantic>>) -> Option<Planned> {
    let (mut wish, org) = *call.wish.take()?;
    // What is polled must not stand still because a configuration says that answers are kept.
    if !wish.told && call.api.is_none() {
        (wish.read, wish.save) = (false, false);
    }
    if wish.is_empty() || call.upload.is_some() {
        return None;
    }
    let id = org.uuid();
    let tenant = Tenant::new(id.as_bytes());
    let (way, path, query) = match &call.way {
        Way::Gateway(path, query) => ("gateway", *path, query.as_deref().unwrap_or_default()),
        Way::Proxy(path) => ("proxy", path.as_str(), ""),
    };
    let api = call.api.map_or("", |api| api.name());
    let stream = if call.stream { "stream" } else { "" };
    let model = call.model.as_deref().unwrap_or_default();
    let route = [call.method.as_str(), way, path, query, api, stream, model];
    let headers = call.headers.iter().filter(|(name, value)| matters(name, value));
    let pair = |(name, value): (&HeaderName, &HeaderValue)| (name.as_str().to_owned(), value.as_bytes().to_vec());
    // Of a call with targets of its own each of them, with its body, is a part of what was asked.
    let own = call.candidates.iter().enumerate().filter_map(|(at, one)| Some((at, one.instead.as_deref()?)));
    let own = own.flat_map(|(at, instead)| {
        let headers = instead.headers.iter().filter(|(name, value)| matters(name, value)).map(pair);
        headers
            .chain([(String::new(), instead.body.to_vec())])
            .map(move |(name, value)| (format!("{at} {name}"), value))
    });
    let headers: Vec<(String, Vec<u8>)> = headers.map(pair).chain(own).collect();
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_bytes(), &value[..])).collect();
    let seed = wish.seed.as_deref();
    // Where several answers are wanted each question is to have its own.
    let alike = wish.similar && wish.buckets == 1 && wish.idempotency_key.is_none();
    let asks = call.api.is_some_and(|api| alike && api.dialect().is_some());
    let asked = asks.then(semantic).flatten().and_then(|semantic| Some((semantic, meaning::question(&call.body)?)));
    let subject = |body| Subject { tenant, route: &route, headers: headers.clone(), seed, ignore: &wish.ignore, body };
    let key = subject(&call.body).key();
    let first = call.candidates.first();
    let provider = first.map_or("", |candidate| &**candidate.endpoint.name());
    let target = target(provider, first.and_then(|candidate| candidate.model.as_deref()));
    let question = asked.as_ref().map(|(semantic, (text, rest))| Question {
        space: subject(rest).key().served_by(&target),
        text: text.clone(),
        semantic: semantic.clone(),
    });
    let plan = Plan::new(wish, tenant, key.served_by(&target), key.fingerprint());
    Some(Planned { plan, key, question })
}

/// Who serves, as one text.
pub(super) fn target(provider: &str, model: Option<&str>) -> String {
    format!("{provider}/{}", model.unwrap_or_default())
}

fn matters(name: &HeaderName, value: &HeaderValue) -> bool {
    if PROVIDER_KEY_HEADERS.contains(name) {
        // Google's tokens change every hour, and Amazon's signatures with every call; whose they are the tenant says.
        let passing = *name == AUTHORIZATION && (value.as_bytes().starts_with(b"Bearer ya29.") || is_signature(value));
        return !passing;
    }
    *name == ACCEPT || *name == CONTENT_TYPE || CHANGING.iter().any(|start| name.as_str().starts_with(start))
}
