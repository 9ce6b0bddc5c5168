//! What others tell of calls that passed no gateway: one service for all the paths on which they do.
//!
//! ```
//! use std::sync::Arc;
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::Full;
//! use tachograph_logger::{LogRoutes, RouteOptions};
//! use tachograph_pricing::PriceBook;
//! # use tachograph_record::{KeyId, LogRecord, OrgId};
//! # #[derive(Clone)] struct Sink;
//! # use tachograph_telemetry::{Receipt, RecordSink};
//! # impl RecordSink for Sink { fn accept(&self, record: LogRecord) -> Receipt { assert_eq!(record.model(), Some("m")); Receipt::kept() } }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let key = KeyId::generate();
//! let routes = LogRoutes::new(RouteOptions {
//!     sink: Arc::new(Sink), // an `Intake`, or what prices and redacts before it
//!     callers: Arc::new(move |text: &str| (text == "sk-ours").then_some((OrgId::HOME, key))),
//!     prices: Arc::new(PriceBook::embedded()),
//!     keep_body: Some(4 << 20),
//! });
//! let told = r#"{"providerRequest":{"url":"custom-model-nopath","json":{"model":"m"},"meta":{}},
//!     "providerResponse":{"json":{},"status":200,"headers":{}}}"#;
//! let request = Request::post("/custom/v1/log").header("authorization", "Bearer sk-ours").body(Full::from(told)).unwrap();
//! assert!(LogRoutes::takes(request.uri().path()));
//! assert_eq!(routes.answer(request).await.status(), 200);
//! # });
//! ```
//!
//! To take another path, add a line to the table below.

mod caller;
mod grpc;
mod read;

use std::convert::Infallible;
use std::future::Ready;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::combinators::WithTrailers;
use http_body_util::{BodyExt as _, Full};
use tachograph_pricing::PriceBook;
use tachograph_record::{KeyId, OrgId};
use tachograph_telemetry::RecordSink;

pub use caller::Callers;
pub(crate) use grpc::{Code, Fault};
pub(crate) use read::{Unread, whole};

/// The body of an answer; only those of gRPC have trailers.
pub type LogBody = WithTrailers<Full<Bytes>, Ready<Option<Result<HeaderMap, Infallible>>>>;
pub(crate) type Answer = Response<LogBody>;

use crate::async_log::{self, Manner};
use crate::otlp::{self, Signal};

/// Who speaks on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaker {
    /// A client that logs its calls itself.
    AsyncLog(Manner),
    /// Helicone's own gateway.
    Message,
    /// An exporter of OpenTelemetry, over HTTP.
    Otlp(Signal),
    /// The same over gRPC.
    Grpc(Signal),
}

/// The paths, each with who speaks there and the provider that it stands for.
const PATHS: &[(&str, Speaker)] = &[
    ("/oai/v1/log", Speaker::AsyncLog(Manner::of_provider("openai"))),
    ("/anthropic/v1/log", Speaker::AsyncLog(Manner::of_provider("anthropic"))),
    ("/googleapis/v1/log", Speaker::AsyncLog(Manner::of_provider("gemini"))),
    ("/custom/v1/log", Speaker::AsyncLog(Manner::CUSTOM)),
    ("/v1/trace/custom/v1/log", Speaker::AsyncLog(Manner::TRACE)),
    ("/v1/trace/custom/log", Speaker::AsyncLog(Manner::TRACE)),
    ("/v1/trace/custom/log/typed", Speaker::AsyncLog(Manner::TYPED)),
    ("/v1/log/request", Speaker::Message),
    ("/v1/traces", Speaker::Otlp(Signal::Spans)),
    ("/v1/trace/log", Speaker::Otlp(Signal::Spans)),
    ("/v1/trace/log-python", Speaker::Otlp(Signal::Spans)),
    ("/api/public/otel/v1/traces", Speaker::Otlp(Signal::Spans)),
    ("/v1/logs", Speaker::Otlp(Signal::Logs)),
    ("/v1/metrics", Speaker::Otlp(Signal::Metrics)),
    ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", Speaker::Grpc(Signal::Spans)),
    ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", Speaker::Grpc(Signal::Logs)),
    ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", Speaker::Grpc(Signal::Metrics)),
];

/// What the routes are made of.
#[derive(Clone)]
pub struct RouteOptions {
    /// Where records go.
    pub sink: Arc<dyn RecordSink>,
    /// Whose keys count.
    pub callers: Arc<dyn Callers>,
    /// The price book, which knows whose model a name is.
    pub prices: Arc<PriceBook>,
    /// How much of each body is kept, in bytes; nothing, where bodies are not kept.
    pub keep_body: Option<usize>,
}

/// The logging routes; cheap to clone.
#[derive(Clone)]
pub struct LogRoutes(Arc<RouteOptions>);

impl LogRoutes {
    /// The routes of these options.
    #[must_use]
    pub fn new(options: RouteOptions) -> Self {
        Self(Arc::new(options))
    }

    /// Whether a path is one of these. A slash at its end does not matter.
    #[must_use]
    pub fn takes(path: &str) -> bool {
        speaker(path).is_some()
    }

    /// Takes what a request tells. Never fails: what is wrong with it is in the answer.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<LogBody>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let Some(speaker) = speaker(head.uri.path()) else {
            return text(StatusCode::NOT_FOUND, "nothing is logged here");
        };
        if head.method != Method::POST {
            let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "this address takes POST alone");
            refused.headers_mut().insert(http::header::ALLOW, HeaderValue::from_static("POST"));
            return refused;
        }
        if speaker == Speaker::Message {
            return self.message(&head.headers, body).await;
        }
        let Some(caller) = caller::identify(&head.headers, &*self.0.callers) else {
            return if grpc::speaks(&head.headers) {
                grpc::answer(Err((Code::Unauthenticated, UNAUTHORIZED.to_owned())))
            } else {
                unauthorized()
            };
        };
        let limit = match speaker {
            Speaker::AsyncLog(_) | Speaker::Message => async_log::MAX_BODY,
            Speaker::Otlp(_) => otlp::MAX_BODY,
            Speaker::Grpc(_) => otlp::MAX_BODY + grpc::PREFIX,
        };
        let read = whole(body, &head.headers, limit).await;
        match speaker {
            Speaker::AsyncLog(manner) => async_log::answer(&self.0, manner, caller, head.headers, read).await,
            Speaker::Message => async_log::message::answer(&self.0, caller, read).await,
            Speaker::Otlp(signal) => otlp::answer(&self.0, caller, signal, &head.headers, read).await,
            Speaker::Grpc(signal) => {
                let message = match read {
                    Ok(body) => grpc::message(&head.headers, &body, otlp::MAX_BODY),
                    Err(unread) => Err((Code::ResourceExhausted, otlp::unread(unread).1.to_owned())),
                };
                let ended = match message {
                    Ok(message) => otlp::called(&self.0, caller, signal, &message).await,
                    Err(fault) => Err(fault),
                };
                grpc::answer(ended)
            }
        }
    }
}

impl LogRoutes {
    /// A message whose key may stand in it: it is read first, and no further than to its limit.
    async fn message<B>(&self, headers: &HeaderMap, body: B) -> Answer
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let read = whole(body, headers, async_log::MAX_BODY).await;
        let of_head = caller::identify(headers, &*self.0.callers);
        let of_body = || {
            let shown = async_log::message::authorization(read.as_ref().ok()?)?;
            caller::identify(&shown, &*self.0.callers)
        };
        match of_head.or_else(of_body) {
            Some(caller) => async_log::message::answer(&self.0, caller, read).await,
            None => unauthorized(),
        }
    }
}

/// Who called: the tenant and the key.
pub(crate) type Caller = (OrgId, KeyId);

fn speaker(path: &str) -> Option<Speaker> {
    let path = path.strip_suffix('/').unwrap_or(path);
    PATHS.iter().find(|(known, _)| *known == path).map(|(_, speaker)| *speaker)
}

const UNAUTHORIZED: &str = "Unauthorized: send a key made with `gateway keys create` as `Authorization: Bearer …`";

fn unauthorized() -> Answer {
    let mut refused = text(StatusCode::UNAUTHORIZED, UNAUTHORIZED);
    refused.headers_mut().insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    refused
}

/// An answer of plain text.
pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    typed(status, "text/plain; charset=utf-8", text.into())
}

/// An answer of JSON.
pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Answer {
    typed(status, "application/json", value.to_string().into())
}

/// An answer of this type.
pub(crate) fn typed(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut response = Response::new(Full::new(body).with_trailers(std::future::ready(None)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A header's text, where it has one.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}
