//! Calls for others: OTLP out.
//!
//! What has been delivered is sent on as spans and metrics in the words of OpenTelemetry's GenAI conventions, to a collector
//! or any other receiver of OTLP over HTTP. It stands behind delivery, so no call waits for it, and between the two is a
//! queue with a bound and a policy of a name ([`WhenBehind`](tachograph_telemetry::WhenBehind)).
//!
//! ```no_run
//! # async fn example(store: tachograph_logger::ToStore) -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use tachograph_logger::{Exporter, Logger};
//! use tachograph_spool::Options;
//! use tachograph_telemetry::{Conventions, ExportOptions};
//!
//! let options = ExportOptions { conventions: Conventions::V1_41, ..ExportOptions::new("http://127.0.0.1:4318") };
//! let exporter = Exporter::new(options)?;
//! let mut logger = Logger::start(Options::new("./tachograph-data/spool"), Arc::new(exporter.behind(Arc::new(store))))?;
//! let sending = tokio::spawn(exporter.run()); // ends once the logger has ended
//! # let _ = (&mut logger, sending);
//! # Ok(()) }
//! ```
//!
//! Spans that others told of (`origin: span`) are not told again: two that export to each other would never end.
//!
//! To write another generation of the conventions, add a column to the table in `words.rs`.

mod measures;
mod said;
mod spans;
mod words;

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::Full;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use tachograph_record::{LogRecord, Origin};
use tachograph_telemetry::{ExportOptions, Figure, WhenBehind};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};
use tokio::time::{Instant, MissedTickBehavior};

use crate::client::Client;
use crate::destination::{Delivery, Destination, Progress};

use measures::Measures;
use words::Words;

/// How long a receiver may take for an answer.
const ANSWER: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Calls of one export, and bytes of their bodies.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 4 << 20;
/// An export waits so long for company.
const GATHER: Duration = Duration::from_millis(200);

/// Why nothing can be exported so.
#[derive(Debug, thiserror::Error)]
pub enum BadExport {
    /// The address.
    #[error("the endpoint must be http://<host>[:port][/path] or https://…, without a query")]
    Endpoint,
    /// A header.
    #[error("the header {0:?} cannot be sent")]
    Header(String),
    /// The queue.
    #[error("the queue must hold at least one call")]
    Queue,
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    dropped: AtomicU64,
    failing: AtomicU64,
}

/// Sends calls on, in a task of its own.
pub struct Exporter {
    options: ExportOptions,
    client: Client,
    traces: Uri,
    metrics: Uri,
    headers: HeaderMap,
    counts: Arc<Counts>,
    queue: Receiver<LogRecord>,
    door: Option<Sender<LogRecord>>,
}

impl Exporter {
    /// An exporter that nothing is given to yet.
    ///
    /// # Errors
    /// Where the endpoint or a header cannot be used.
    pub fn new(options: ExportOptions) -> Result<Self, BadExport> {
        let base = options.endpoint.trim_end_matches('/');
        let at = |path: &str| format!("{base}{path}").parse::<Uri>().map_err(|_| BadExport::Endpoint);
        let (traces, metrics) = (at("/v1/traces")?, at("/v1/metrics")?);
        if !matches!(traces.scheme_str(), Some("http" | "https")) || traces.query().is_some() {
            return Err(BadExport::Endpoint);
        }
        if options.queue == 0 {
            return Err(BadExport::Queue);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &options.headers {
            let bad = || BadExport::Header(name.clone());
            let mut value = HeaderValue::try_from(value).map_err(|_| bad())?;
            value.set_sensitive(true);
            headers.insert(HeaderName::try_from(name).map_err(|_| bad())?, value);
        }
        let (door, queue) = channel(options.queue);
        let (client, counts) = (Client::new(ANSWER)?, Arc::default());
        Ok(Self { options, client, traces, metrics, headers, counts, queue, door: Some(door) })
    }

    /// A destination behind which this exporter stands: what `inner` has taken is exported.
    #[must_use]
    pub fn behind(&self, inner: Arc<dyn Destination>) -> Exporting {
        let ExportOptions { when_behind, content, .. } = self.options;
        // The exporter holds a door until it runs, so that it does not end before it begins.
        let door = self.door.clone();
        Exporting { inner, door, when_behind, content, counts: self.counts.clone() }
    }

    /// What became of exports, for those who read metrics.
    pub fn figures(&self) -> impl Fn() -> Vec<Figure> + Send + Sync + 'static {
        let counts = self.counts.clone();
        move || {
            let figure = |name, help, counts, value: &AtomicU64| Figure {
                name,
                help,
                counts,
                value: value.load(Ordering::Relaxed),
            };
            vec![
                figure("export_calls_sent", "Calls exported as spans", true, &counts.sent),
                figure("export_calls_dropped", "Calls that were not exported", true, &counts.dropped),
                figure("export_failures", "How often in a row the receiver took nothing", false, &counts.failing),
            ]
        }
    }

    /// Sends what it is given, until all destinations before it are gone and nothing is left.
    pub async fn run(mut self) {
        drop(self.door.take());
        let mut measures = Measures::new(Words(self.options.conventions));
        let every = self.options.metrics_every;
        let mut ticks = tokio::time::interval_at(
            Instant::now() + every.unwrap_or(LONGEST_PAUSE),
            every.unwrap_or(LONGEST_PAUSE).max(Duration::from_millis(10)),
        );
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                got = self.queue.recv_many(&mut batch, BATCH) => {
                    if got == 0 {
                        break;
                    }
                    batch.iter().for_each(|record| measures.count(record));
                    self.gather(&mut batch, &mut measures).await;
                    if self.options.spans {
                        self.send_spans(&mut batch).await;
                    }
                    batch.clear();
                }
                _ = ticks.tick(), if every.is_some() => self.send_metrics(&measures).await,
            }
        }
        if every.is_some() {
            self.send_metrics(&measures).await;
        }
    }

    /// A moment's company for what came.
    async fn gather(&mut self, batch: &mut Vec<LogRecord>, measures: &mut Measures) {
        let until = Instant::now() + GATHER;
        while batch.len() < BATCH && self.options.spans {
            let Ok(Some(record)) = tokio::time::timeout_at(until, self.queue.recv()).await else { break };
            measures.count(&record);
            batch.push(record);
        }
    }

    async fn send_spans(&self, batch: &mut Vec<LogRecord>) {
        let records = std::mem::take(batch);
        let mut rest = &records[..];
        while !rest.is_empty() {
            let mut weight = 0;
            let fits = rest.iter().take_while(|record| {
                let before = weight;
                weight += record.asked.body.kept() + record.response.kept();
                before < BATCH_BYTES
            });
            let (now, later) = rest.split_at(fits.count().max(1));
            rest = later;
            let export = spans::export(now, &self.options, self.resource(), scope());
            let taken = self.post(&self.traces, export.encode_to_vec(), true).await;
            let count = if taken { &self.counts.sent } else { &self.counts.dropped };
            count.fetch_add(now.len() as u64, Ordering::Relaxed);
        }
    }

    /// Metrics add up over the life of the process, so one export that fails is made good by the next.
    async fn send_metrics(&self, measures: &Measures) {
        if let Some(export) = measures.export(self.resource(), scope()) {
            self.post(&self.metrics, export.encode_to_vec(), false).await;
        }
    }

    fn resource(&self) -> Resource {
        let attributes = vec![
            text("service.name", self.options.service.as_str()),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("telemetry.sdk.name", "tachograph"),
        ];
        Resource { attributes, ..Resource::default() }
    }

    /// Whether the receiver took it. It is asked again while it may take it later, as long as somebody gives us more; what
    /// it refuses for good is let go of.
    async fn post(&self, to: &Uri, export: Vec<u8>, again: bool) -> bool {
        let Some(body) = gzip(&export) else { return false };
        let mut pause = FIRST_PAUSE;
        loop {
            let mut request = Request::post(to).body(Full::new(body.clone())).unwrap_or_default();
            *request.headers_mut() = self.headers.clone();
            let headers = request.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            let (why, after) = match self.client.send(request).await {
                Ok(answer) if answer.status.is_success() => {
                    self.counts.failing.store(0, Ordering::Relaxed);
                    return true;
                }
                Ok(answer) => {
                    let why =
                        format!("it answered {}: {}", answer.status, String::from_utf8_lossy(&answer.text).trim());
                    if !may_pass(answer.status) {
                        tracing::warn!(%to, why, "an export is refused and let go of");
                        return false;
                    }
                    (why, answer.after)
                }
                Err(why) => (why, None),
            };
            let failures = self.counts.failing.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::warn!(%to, why, failures, "an export was not taken");
            // The process is ending where nobody can give us more.
            if !again || self.queue.is_closed() || self.queue.sender_strong_count() == 0 {
                return false;
            }
            tokio::time::sleep(after.map_or(pause, |after| after.min(LONGEST_PAUSE))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Statuses after which OTLP asks to try again.
fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 502 | 503 | 504)
}

fn gzip(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "tachograph".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.into()))
}

/// A destination behind which an exporter stands.
pub struct Exporting {
    inner: Arc<dyn Destination>,
    door: Option<Sender<LogRecord>>,
    when_behind: WhenBehind,
    content: bool,
    counts: Arc<Counts>,
}

impl Exporting {
    async fn pass_on(&self, records: &[LogRecord]) {
        let Some(door) = &self.door else { return };
        for record in records {
            if record.asked.origin == Origin::Span || record.control.part_of.is_some() {
                continue;
            }
            let mut record = record.clone();
            if !self.content {
                record.asked.body.omit();
                record.response.omit();
            }
            let left = match self.when_behind {
                WhenBehind::DropNewest => match door.try_send(record) {
                    Err(TrySendError::Full(_)) => true,
                    Ok(()) | Err(TrySendError::Closed(_)) => false,
                },
                // Where the exporter is gone there is nobody to wait for.
                WhenBehind::Block => door.send(record).await.is_err(),
            };
            self.counts.dropped.fetch_add(left.into(), Ordering::Relaxed);
        }
    }
}

impl Destination for Exporting {
    fn deliver<'a>(&'a self, records: &'a [LogRecord]) -> Delivery<'a> {
        Box::pin(async move {
            self.inner.deliver(records).await?;
            self.pass_on(records).await;
            Ok(())
        })
    }

    fn progress<'a>(&'a self, progress: &'a Progress) -> Delivery<'a> {
        self.inner.progress(progress)
    }
}
