//! Async logging: a client calls its provider itself and tells of the call afterwards, in Helicone's format.
//!
//! The client says what it sent and what it got. The same readers that look at answers on their way through a gateway
//! take model, usage and finish reason from it, so that a logged call and one that passed are recorded alike.

pub(crate) mod message;
mod moment;
mod payload;
mod reading;
mod record;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::json as value;
use tachograph_telemetry::RecordSink as _;

use crate::routes::{Answer, Caller, RouteOptions, Unread, json, text};

use payload::Payload;

/// The largest body that is taken, in bytes: Helicone's limit.
pub(crate) const MAX_BODY: usize = 10 << 20;
const ID: HeaderName = HeaderName::from_static("helicone-id");

/// How a route answers, and which provider it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    provider: Option<&'static str>,
    done: &'static str,
    faults: Faults,
}

/// How a route says what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Faults {
    /// `{"error": "…"}`
    Error,
    /// `{"isValid": false, "errors": ["…"]}`
    Listed,
}

impl Manner {
    /// A route that stands for no provider.
    pub(crate) const CUSTOM: Self = Self { provider: None, done: "ok", faults: Faults::Error };
    /// The tracing server's own routes answer an empty body.
    pub(crate) const TRACE: Self = Self { done: "", ..Self::CUSTOM };
    /// And this one lists what is wrong.
    pub(crate) const TYPED: Self = Self { faults: Faults::Listed, ..Self::TRACE };

    /// A route of one provider.
    pub(crate) const fn of_provider(provider: &'static str) -> Self {
        Self { provider: Some(provider), ..Self::CUSTOM }
    }
}

/// Takes what a client tells of one call. It is told so once the record is kept.
pub(crate) async fn answer(
    options: &RouteOptions,
    manner: Manner,
    caller: Caller,
    headers: HeaderMap,
    read: Result<Bytes, Unread>,
) -> Answer {
    let body = match read {
        Ok(body) => body,
        Err(Unread::TooLarge) => return refuse(manner, "Payload too large"),
        Err(Unread::Broken) => return refuse(manner, "The request's body broke off before its end."),
        Err(Unread::Encoding) => {
            return refuse(manner, "The request's body is not as its Content-Encoding says; send gzip, zstd or none.");
        }
    };
    let payload = match Payload::read(&body) {
        Ok(payload) => payload,
        Err(why) => return refuse(manner, &why),
    };
    let record = record::record(options, manner.provider, caller, headers, &payload);
    let id = record.id.to_string();
    options.sink.accept(record).await;
    let mut taken = text(StatusCode::OK, manner.done);
    if let Ok(id) = HeaderValue::try_from(id) {
        taken.headers_mut().insert(ID, id);
    }
    taken
}

fn refuse(manner: Manner, why: &str) -> Answer {
    let told = match manner.faults {
        Faults::Error => value!({ "error": why }),
        Faults::Listed => value!({ "isValid": false, "errors": [why] }),
    };
    json(StatusCode::BAD_REQUEST, &told)
}

#[cfg(test)]
mod tests;
