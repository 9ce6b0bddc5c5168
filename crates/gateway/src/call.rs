//! A call, from Admit down to the upstream.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use tachograph_cache::Wish;
use tachograph_providers::Api;
use tachograph_ratelimit::Policy;
use tachograph_record::OrgId;
use tachograph_reply::ErrorShape;
use tachograph_routing::{Backoff, Class, Lane};
use tachograph_telemetry::Trip;

use crate::admit::Codes;
use crate::endpoint::Endpoint;
use crate::guards::Guarding;
use crate::session::ClientSocket;
use crate::upload::Upload;

/// A request that was let in: read once, parsed once, its caller known, its targets chosen.
pub(crate) struct Call {
    /// Its id, its clock and its record.
    pub trip: Trip,
    /// Whose call it is.
    pub org: OrgId,
    /// The API it calls, where that is understood.
    pub api: Option<&'static Api>,
    /// The shape in which its client reads errors.
    pub shape: ErrorShape,
    /// Where on the provider it goes.
    pub way: Way,
    /// Its method.
    pub method: Method,
    /// Its headers, without ours and without our keys.
    pub headers: HeaderMap,
    /// Its body, as it came, or what was read of it.
    pub body: Bytes,
    /// What of its body is still to come, where that is not held whole.
    pub upload: Option<Arc<Upload>>,
    /// Where in that the model's name stands, if it stands there.
    pub model_in_upload: Option<Range<u64>>,
    /// The model as the caller asked for it.
    pub model: Option<String>,
    /// Where the model's name stands in the body: with its quotes in JSON, bare in a form.
    pub model_span: Option<Range<usize>>,
    /// Whether it asks for a stream.
    pub stream: bool,
    /// Whether the answer's body stays out of the record.
    pub omit_response: bool,
    /// Who may serve it, the first first.
    pub candidates: Vec<Candidate>,
    /// How often the caller wants each of them asked, where it says so.
    pub retries: Option<Retries>,
    /// What its caller wants of the cache, and whose answers it may be given.
    pub wish: Option<Box<(Wish, OrgId)>>,
    /// The rate limits that it brings itself.
    pub policies: Vec<Policy>,
    /// Whether the gateway makes it itself, for another call: budgets count it, rate limits do not.
    pub is_aside: bool,
    /// What its caller asks of guards.
    pub guarding: Guarding,
    /// The model that it is copied to.
    pub mirror: Option<String>,
    /// The client's side of a session, where it asks for a WebSocket.
    pub socket: Option<ClientSocket>,
}

/// How often a caller wants a target asked, and when again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Retries {
    /// The first time included.
    pub tries: u32,
    /// How long to wait in between.
    pub backoff: Backoff,
}

/// How a call is turned into a provider's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Through the AI gateway: to the provider's own path for the API, which is usually this one behind its base;
    /// translated where it speaks another dialect. With it goes the query, which Google's clients say things in.
    Gateway(&'static str, Option<String>),
    /// Through a provider proxy: this path and query on the provider's host, bytes untouched.
    Proxy(String),
}

/// One who may serve a call.
#[derive(Clone)]
pub(crate) struct Candidate {
    /// The provider's endpoint.
    pub endpoint: Arc<Endpoint>,
    /// The model to ask it for; absent, whatever the body says.
    pub model: Option<String>,
    /// How it is doing.
    pub lane: Arc<Lane>,
    /// It is asked only after a failure of this kind.
    pub only_after: Option<Class>,
    /// What it is sent in place of what the caller sent, where the caller said so.
    pub instead: Option<Arc<Instead>>,
}

/// What one of the targets that a caller named is sent in place of what the caller sent.
pub(crate) struct Instead {
    /// All its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The model that the body names.
    pub model: Option<String>,
    /// Statuses after which the next target is asked.
    pub on: Vec<Codes>,
}

impl Call {
    /// The headers that a candidate is to have.
    pub(crate) fn headers_for<'a>(&'a self, candidate: &'a Candidate) -> &'a HeaderMap {
        candidate.instead.as_ref().map_or(&self.headers, |instead| &instead.headers)
    }

    /// The body that a candidate is to have.
    pub(crate) fn body_for<'a>(&'a self, candidate: &'a Candidate) -> &'a Bytes {
        candidate.instead.as_ref().map_or(&self.body, |instead| &instead.body)
    }
}

/// One try at serving a call.
pub(crate) struct Try {
    /// The call.
    pub call: Arc<Call>,
    /// Who is asked.
    pub candidate: Candidate,
    /// Whether there is something left to do if it fails, so that an answer is held back until it is known to be one.
    pub hold: bool,
}
