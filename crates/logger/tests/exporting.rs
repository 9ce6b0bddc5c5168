//! Calls told to a receiver of OTLP: this crate's own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic; helpers of a test are the test")]

use std::convert::Infallible;
use std::future::Future;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tachograph_logger::{Delivery, Destination, Exporter, Progress, Undelivered};
use tachograph_record::{
    Asked, Attempt, Attribution, Body, CacheStatus, CacheVerdict, Control, Cost, CostState, FinishReason, Leaf,
    LogRecord, Origin, Outcome, Reading, RecordId, RecordedError, SessionRef, Step, Timestamp, Timing, Usage,
    UsageReading,
};
use tachograph_telemetry::{Conventions, ExportOptions, WhenBehind};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

struct Nowhere;

impl Destination for Nowhere {
    fn deliver<'a>(&'a self, _records: &'a [LogRecord]) -> Delivery<'a> {
        Box::pin(async { Ok(()) })
    }

    fn progress<'a>(&'a self, _progress: &'a Progress) -> Delivery<'a> {
        Box::pin(async { Ok(()) })
    }
}

struct Refusing;

impl Destination for Refusing {
    fn deliver<'a>(&'a self, _records: &'a [LogRecord]) -> Delivery<'a> {
        Box::pin(async { Err(Undelivered::Later("away".to_owned(), None)) })
    }

    fn progress<'a>(&'a self, _progress: &'a Progress) -> Delivery<'a> {
        Box::pin(async { Ok(()) })
    }
}

/// What a receiver got, and the status that it answers with, where that is not 200.
#[derive(Clone, Default)]
struct Got(Arc<Mutex<Vec<Post>>>, Arc<AtomicU16>, Arc<Mutex<JoinSet<()>>>);

/// The path, the key that was shown, and the body without its gzip.
type Post = (String, Option<String>, Vec<u8>);

/// A task that is waited for.
struct Running(JoinSet<()>);

impl Running {
    fn start(task: impl Future<Output = ()> + Send + 'static) -> Self {
        let mut set = JoinSet::new();
        set.spawn(task);
        Self(set)
    }

    async fn end(&mut self) {
        let ended = tokio::time::timeout(Duration::from_secs(20), self.0.join_next()).await;
        ended.expect("it ends once nobody gives it more").unwrap().unwrap();
    }
}

impl Got {
    async fn receiver(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let got = self.clone();
        self.2.lock().unwrap().spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let got = got.clone();
                let serving = hyper::server::conn::http1::Builder::new().serve_connection(
                    TokioIo::new(socket),
                    service_fn(move |request: http::Request<hyper::body::Incoming>| {
                        let got = got.clone();
                        async move { Ok::<_, Infallible>(got.answer(request).await) }
                    }),
                );
                connections.spawn(serving);
            }
        });
        url
    }

    async fn answer(&self, request: http::Request<hyper::body::Incoming>) -> http::Response<Full<Bytes>> {
        use std::io::Read as _;
        let status = self.1.load(Ordering::SeqCst);
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!(head.headers["content-type"], "application/x-protobuf");
        assert_eq!(head.headers["content-encoding"], "gzip");
        if status == 0 {
            let mut plain = Vec::new();
            GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
            let key = head.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
            self.0.lock().unwrap().push((head.uri.path().to_owned(), key, plain));
        }
        http::Response::builder().status(if status == 0 { 200 } else { status }).body(Full::default()).unwrap()
    }

    fn spans(&self) -> Vec<Span> {
        let got = self.0.lock().unwrap();
        let exports = got.iter().filter(|(path, ..)| path == "/v1/traces");
        let exports = exports.map(|(.., body)| ExportTraceServiceRequest::decode(&body[..]).unwrap());
        let resources = exports.flat_map(|export| export.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    fn metrics(&self) -> ExportMetricsServiceRequest {
        let got = self.0.lock().unwrap();
        let (.., body) = got.iter().rfind(|(path, ..)| path == "/v1/metrics").unwrap();
        ExportMetricsServiceRequest::decode(&body[..]).unwrap()
    }
}

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a any_value::Value> {
    attributes.iter().find(|pair| pair.key == key)?.value.as_ref()?.value.as_ref()
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    match value(attributes, key)? {
        any_value::Value::StringValue(text) => Some(text.clone()),
        any_value::Value::IntValue(int) => Some(int.to_string()),
        any_value::Value::DoubleValue(float) => Some(float.to_string()),
        any_value::Value::BoolValue(flag) => Some(flag.to_string()),
        other => Some(format!("{other:?}")),
    }
}

fn body(text: &str) -> Body {
    Body::capture(&Bytes::from(text.to_owned()), usize::MAX)
}

/// A call that failed at one provider and was served by another.
fn call() -> LogRecord {
    let attempt = |provider: &str, sent: u64, end: u64, status: u16| Attempt {
        provider: provider.into(),
        model: Some("gpt-4o-mini".to_owned()),
        sent_us: sent,
        end_us: Some(end),
        status: Some(status),
        error: (status != 200).then(|| RecordedError {
            kind: "overloaded".to_owned(),
            code: None,
            message: "later".to_owned(),
        }),
        ..Attempt::default()
    };
    let usage = Usage::reported([
        (Leaf::INPUT, 400),
        (Leaf::CACHE_READ, 100),
        (Leaf::CACHE_WRITE, 50),
        (Leaf::OUTPUT, 280),
        (Leaf::REASONING, 20),
    ]);
    LogRecord {
        id: RecordId::generate(),
        asked: Asked {
            api: "openai.chat".into(),
            path: "/v1/chat/completions".to_owned(),
            model: Some("gpt-4o-mini".to_owned()),
            stream: true,
            attribution: Attribution {
                user: Some("ada".to_owned()),
                session: Some(SessionRef { id: "s1".to_owned(), path: Some("/plan".to_owned()), name: None }),
                prompt: None,
                properties: vec![("team".to_owned(), "blue".to_owned())],
            },
            body: body(
                r#"{"model":"gpt-4o-mini","messages":[{"role":"system","content":"Be brief"},{"role":"user","content":"hi"}]}"#,
            ),
            trace_id: Some("0af7651916cd43dd8448eb211c80319c".to_owned()),
            parent_span_id: Some("b7ad6b7169203331".to_owned()),
            ..Asked::default()
        },
        provider: Some("gemini".into()),
        provider_model: Some("gpt-4o-mini".to_owned()),
        attempts: vec![attempt("xai", 1_000, 2_000, 529), attempt("gemini", 3_000, 900_000, 200)],
        status: Some(200),
        outcome: Outcome::Complete,
        error: None,
        timing: Timing {
            received_at: Timestamp::from_micros(1_795_000_000_000_000),
            upstream_sent_us: Some(1_000),
            first_byte_us: Some(100_000),
            first_token_us: Some(253_000),
            end_us: 1_000_000,
        },
        reading: Reading {
            model: Some("gpt-4o-mini-2024-07-18".to_owned()),
            usage: UsageReading::Known(usage),
            finish_reason: Some(FinishReason::Stop),
            ended: true,
            ..Reading::default()
        },
        cost: CostState::Priced(Box::new(Cost {
            total: "0.000255".parse().unwrap(),
            lines: Vec::new(),
            provider: "gemini".to_owned(),
            model: "gpt-4o-mini".to_owned(),
            matched_by: "id".to_owned(),
            price_version: "1".to_owned(),
            estimated: false,
            warnings: Vec::new(),
        })),
        control: Control::default(),
        response: body(
            r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Hello"}}]}"#,
        ),
    }
}

async fn exported(options: impl FnOnce(ExportOptions) -> ExportOptions, records: &[LogRecord]) -> Got {
    let got = Got::default();
    let options = options(ExportOptions::new(got.receiver().await));
    let exporter = Exporter::new(options).unwrap();
    let destination = exporter.behind(Arc::new(Nowhere));
    let mut running = Running::start(exporter.run());
    destination.deliver(records).await.unwrap();
    drop(destination);
    running.end().await;
    got
}

#[tokio::test]
async fn a_call_is_a_servers_span_over_a_clients_for_each_attempt() {
    let call = call();
    let key = vec![("authorization".to_owned(), "Bearer k".to_owned())];
    let got = exported(|options| ExportOptions { headers: key, ..options }, std::slice::from_ref(&call)).await;
    assert!(got.0.lock().unwrap().iter().all(|(_, key, _)| key.as_deref() == Some("Bearer k")));
    let spans = got.spans();
    let [server, failed, served] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((server.kind, failed.kind, served.kind), (2, 3, 3));
    assert_eq!(hex::encode(&server.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex::encode(&server.parent_span_id), "b7ad6b7169203331");
    assert_eq!(server.span_id, call.id.span_id());
    assert!(failed.parent_span_id == server.span_id && served.parent_span_id == server.span_id);
    assert!(failed.span_id != served.span_id && failed.span_id != server.span_id);
    assert_eq!(
        (server.name.as_str(), served.name.as_str()),
        ("POST /v1/chat/completions", "chat gpt-4o-mini-2024-07-18")
    );
    let start = 1_795_000_000_000_000_000;
    assert_eq!((server.start_time_unix_nano, server.end_time_unix_nano), (start, start + 1_000_000_000));
    assert_eq!((served.start_time_unix_nano, served.end_time_unix_nano), (start + 3_000_000, start + 900_000_000));
    for (key, wanted) in [
        ("tachograph.id", call.id.to_string().as_str()),
        ("tachograph.outcome", "complete"),
        ("tachograph.cost_usd", "0.000255"),
        ("tachograph.property.team", "blue"),
        ("user.id", "ada"),
        ("session.id", "s1"),
        ("http.response.status_code", "200"),
    ] {
        assert_eq!(text(&server.attributes, key).as_deref(), Some(wanted), "{key}");
    }
    assert_eq!(value(&server.attributes, "gen_ai.usage.input_tokens"), None, "the attempt tells it, once");
    for (key, wanted) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "gcp.gemini"),
        ("gen_ai.request.model", "gpt-4o-mini"),
        ("gen_ai.response.model", "gpt-4o-mini-2024-07-18"),
        ("gen_ai.usage.input_tokens", "550"),
        ("gen_ai.usage.output_tokens", "300"),
        ("gen_ai.usage.cache_read.input_tokens", "100"),
        ("gen_ai.usage.cache_creation.input_tokens", "50"),
        ("gen_ai.usage.cache_write.input_tokens", "50"),
        ("gen_ai.usage.reasoning.output_tokens", "20"),
        ("gen_ai.response.time_to_first_chunk", "0.25"),
    ] {
        assert_eq!(text(&served.attributes, key).as_deref(), Some(wanted), "{key}");
    }
    assert_eq!(value(&served.attributes, "gen_ai.input.messages"), None, "what was said is told only if asked for");
    assert_eq!(text(&failed.attributes, "error.type").as_deref(), Some("overloaded"));
    assert_eq!(text(&failed.attributes, "gen_ai.provider.name").as_deref(), Some("x_ai"));
    assert_eq!((failed.status.as_ref().unwrap().code, served.status.is_none()), (2, true));
    assert_eq!(value(&failed.attributes, "gen_ai.usage.input_tokens"), None);
}

#[tokio::test]
async fn each_generation_is_told_in_its_own_words() {
    let telling = |conventions| move |options: ExportOptions| ExportOptions { conventions, content: true, ..options };
    let got = exported(telling(Conventions::V1_36), &[call()]).await;
    let spans = got.spans();
    let served = &spans[2];
    assert_eq!(text(&served.attributes, "gen_ai.system").as_deref(), Some("gcp.gemini"));
    assert_eq!(value(&served.attributes, "gen_ai.provider.name"), None);
    let names: Vec<&str> = served.events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["gen_ai.system.message", "gen_ai.user.message", "gen_ai.choice"]);
    for conventions in [Conventions::V1_41, Conventions::GenAiDev] {
        let spans = exported(telling(conventions), &[call()]).await.spans();
        let served = &spans[2];
        let said =
            |key: &str| serde_json::from_str::<serde_json::Value>(&text(&served.attributes, key).unwrap()).unwrap();
        let input = said("gen_ai.input.messages");
        assert_eq!(input[1]["parts"][0], serde_json::json!({ "type": "text", "content": "hi" }));
        assert_eq!(said("gen_ai.output.messages")[0]["parts"][0]["content"], "Hello");
        let new = conventions == Conventions::GenAiDev;
        assert_eq!(value(&served.attributes, "gen_ai.usage.cache_write.input_tokens").is_some(), new);
        assert_eq!(value(&served.attributes, "gen_ai.usage.cache_creation.input_tokens").is_some(), !new);
    }
}

#[tokio::test]
async fn metrics_are_the_conventions_instruments_with_their_buckets() {
    let names = |got: &Got| -> Vec<String> {
        let resource = &got.metrics().resource_metrics[0];
        resource.scope_metrics[0].metrics.iter().map(|metric| metric.name.clone()).collect()
    };
    let got = exported(|options| options, &[call(), call()]).await;
    assert_eq!(
        names(&got),
        [
            "gen_ai.client.operation.duration",
            "gen_ai.client.operation.time_to_first_chunk",
            "gen_ai.client.token.usage",
            "gen_ai.server.request.duration",
            "gen_ai.server.time_to_first_token",
            "tachograph.cost"
        ]
    );
    let metrics = got.metrics().resource_metrics.remove(0).scope_metrics.remove(0).metrics;
    let Some(Data::Histogram(tokens)) = &metrics[2].data else { panic!("{metrics:#?}") };
    let of = |kind: &str| {
        let points = &tokens.data_points;
        points.iter().find(|point| text(&point.attributes, "gen_ai.token.type").as_deref() == Some(kind)).unwrap()
    };
    assert_eq!((of("input").count, of("input").sum, of("output").sum), (2, Some(1100.0), Some(600.0)));
    assert_eq!(of("input").bucket_counts.len(), of("input").explicit_bounds.len() + 1);
    assert_eq!(of("input").explicit_bounds[..3], [1.0, 4.0, 16.0]);
    let Some(Data::Histogram(server)) = &metrics[3].data else { panic!("{metrics:#?}") };
    assert_eq!((server.data_points[0].sum, server.data_points[0].max), (Some(2.0), Some(1.0)));
    let Some(Data::Sum(cost)) = &metrics[5].data else { panic!("{metrics:#?}") };
    assert!(cost.is_monotonic && cost.data_points.len() == 1);
    let got =
        exported(|options| ExportOptions { conventions: Conventions::GenAiDev, spans: false, ..options }, &[call()])
            .await;
    assert!(got.spans().is_empty());
    assert!(names(&got).contains(&"gen_ai.client.inference.usage.cache_write.input_tokens".to_owned()));
    assert!(!names(&got).contains(&"gen_ai.client.token.usage".to_owned()));
}

#[tokio::test]
async fn what_no_provider_served_is_one_span_and_what_was_told_by_spans_is_none() {
    let mut hit = call();
    hit.attempts.clear();
    hit.control.cache =
        Some(CacheVerdict { status: CacheStatus::Hit, source: None, saved: None, saved_us: None, bucket: None });
    let mut tool = call();
    tool.attempts.clear();
    (tool.asked.origin, tool.asked.step, tool.asked.name) = (Origin::Logged, Step::Tool, Some("weather".to_owned()));
    let mut span = call();
    span.asked.origin = Origin::Span;
    let got = exported(|options| options, &[hit, tool, span]).await;
    let spans = got.spans();
    let [hit, tool] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((hit.kind, text(&hit.attributes, "tachograph.cache").as_deref()), (2, Some("hit")));
    assert_eq!(value(&hit.attributes, "gen_ai.usage.input_tokens"), None, "the cache served it");
    assert_eq!(
        (tool.name.as_str(), text(&tool.attributes, "gen_ai.tool.name").as_deref()),
        ("execute_tool weather", Some("weather"))
    );
}

#[tokio::test]
async fn a_receiver_that_is_away_is_asked_again_and_what_overflows_is_dropped_and_counted() {
    let got = Got::default();
    got.1.store(503, Ordering::SeqCst);
    let options = ExportOptions { queue: 4, metrics_every: None, ..ExportOptions::new(got.receiver().await) };
    let exporter = Exporter::new(options).unwrap();
    let (figures, destination) = (exporter.figures(), exporter.behind(Arc::new(Nowhere)));
    let figure = |name: &str| figures().iter().find(|figure| figure.name == name).unwrap().value;
    let mut running = Running::start(exporter.run());
    destination.deliver(&[call()]).await.unwrap();
    while figure("export_failures") == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // One is being sent; four have a place.
    destination.deliver(&(0..10).map(|_| call()).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(figure("export_calls_dropped"), 6);
    got.1.store(0, Ordering::SeqCst);
    while figure("export_calls_sent") < 5 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(destination);
    running.end().await;
    assert_eq!((got.spans().len(), figure("export_calls_dropped"), figure("export_failures")), (15, 6, 0));
}

#[tokio::test]
async fn rows_wait_for_the_receiver_where_that_is_asked_for() {
    let got = Got::default();
    got.1.store(503, Ordering::SeqCst);
    let base = ExportOptions::new(got.receiver().await);
    let exporter =
        Exporter::new(ExportOptions { queue: 1, when_behind: WhenBehind::Block, metrics_every: None, ..base }).unwrap();
    let destination = Arc::new(exporter.behind(Arc::new(Nowhere)));
    let mut running = Running::start(exporter.run());
    let mut delivering = {
        let destination = destination.clone();
        Running::start(async move { destination.deliver(&(0..600).map(|_| call()).collect::<Vec<_>>()).await.unwrap() })
    };
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(delivering.0.try_join_next().is_none(), "it waits");
    got.1.store(0, Ordering::SeqCst);
    delivering.end().await;
    drop(destination);
    running.end().await;
    assert_eq!(got.spans().len(), 1_800);
}

#[tokio::test]
async fn what_is_not_delivered_is_not_exported() {
    let got = Got::default();
    let exporter = Exporter::new(ExportOptions::new(got.receiver().await)).unwrap();
    let destination = exporter.behind(Arc::new(Refusing));
    let mut running = Running::start(exporter.run());
    assert!(destination.deliver(&[call()]).await.is_err());
    drop(destination);
    running.end().await;
    assert!(got.0.lock().unwrap().is_empty());
    for endpoint in ["ftp://x", "127.0.0.1:4318", "http://x/?a=b"] {
        assert!(Exporter::new(ExportOptions::new(endpoint)).is_err(), "{endpoint}");
    }
}
