//! What exporters of OpenTelemetry tell: OTLP in.
//!
//! A span becomes a record of its own: a call of a model where its attributes tell of one, else the tool, the look-up or
//! the step that it is. What attributes mean is a table (`data/otel_aliases.toml`), not code. A record's id is made from
//! the trace's and the span's, so a span that comes twice, late or out of order is one row. What was said may come apart
//! from the span, as events among logs ([`logs`]); the pump puts both together.

mod aliases;
mod attributes;
mod logs;
mod messages;
mod span;
mod usage;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tachograph_telemetry::RecordSink as _;

use crate::routes::{Answer, Caller, Code, Fault, RouteOptions, Unread, header, typed};
use attributes::Attributes;
use span::NoRecord;

/// The largest body that is taken, in bytes, as sent and decompressed.
pub(crate) const MAX_BODY: usize = 64 << 20;

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Spans of traces.
    Spans,
    /// Logs, of which the events of calls of models are kept.
    Logs,
    /// Metrics, of which nothing is kept: they are counted from the calls themselves.
    Metrics,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    /// By the content type; where that says nothing, by the first byte, which no protobuf message of ours shares.
    fn of(headers: &HeaderMap, body: &[u8]) -> Self {
        let kind = header(headers, "content-type").unwrap_or_default();
        let says_protobuf = kind.contains("protobuf") || kind.contains("octet-stream");
        if kind.contains("json") || (!says_protobuf && body.trim_ascii_start().starts_with(b"{")) {
            Self::Json
        } else {
            Self::Protobuf
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }

    fn read<T: Message + Default + DeserializeOwned>(self, body: &[u8]) -> Result<T, String> {
        match self {
            Self::Protobuf => T::decode(body).map_err(|why| why.to_string()),
            Self::Json => serde_json::from_slice(body).map_err(|why| why.to_string()),
        }
    }

    fn write(self, told: &(impl Message + Serialize)) -> Vec<u8> {
        match self {
            Self::Protobuf => told.encode_to_vec(),
            Self::Json => serde_json::to_vec(told).unwrap_or_default(),
        }
    }
}

/// How a body that could not be read is refused.
pub(crate) fn unread(unread: Unread) -> (StatusCode, &'static str) {
    match unread {
        Unread::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the export is larger than 64 MiB; send smaller batches"),
        Unread::Broken => (StatusCode::BAD_REQUEST, "the export broke off before its end"),
        Unread::Encoding => {
            (StatusCode::BAD_REQUEST, "the export is not as its Content-Encoding says; send gzip, zstd or none")
        }
    }
}

/// Takes an export over HTTP.
pub(crate) async fn answer(
    options: &RouteOptions,
    caller: Caller,
    signal: Signal,
    headers: &HeaderMap,
    read: Result<Bytes, Unread>,
) -> Answer {
    let body = match read {
        Ok(body) => body,
        Err(why) => {
            let (status, message) = unread(why);
            return fault(Encoding::of(headers, b""), status, message);
        }
    };
    let encoding = Encoding::of(headers, &body);
    match export(options, caller, signal, encoding, &body).await {
        Ok(answered) => typed(StatusCode::OK, encoding.content_type(), answered.into()),
        Err(why) => fault(encoding, StatusCode::BAD_REQUEST, &why),
    }
}

/// Takes an export over gRPC.
pub(crate) async fn called(
    options: &RouteOptions,
    caller: Caller,
    signal: Signal,
    message: &[u8],
) -> Result<Vec<u8>, Fault> {
    let taken = export(options, caller, signal, Encoding::Protobuf, message).await;
    taken.map_err(|why| (Code::InvalidArgument, why))
}

async fn export(
    options: &RouteOptions,
    caller: Caller,
    signal: Signal,
    encoding: Encoding,
    body: &[u8],
) -> Result<Vec<u8>, String> {
    match signal {
        Signal::Spans => {
            let export: ExportTraceServiceRequest =
                encoding.read(body).map_err(|why| format!("no ExportTraceServiceRequest: {why}"))?;
            Ok(encoding.write(&take(options, caller, &export).await))
        }
        Signal::Logs => {
            let export: ExportLogsServiceRequest =
                encoding.read(body).map_err(|why| format!("no ExportLogsServiceRequest: {why}"))?;
            Ok(encoding.write(&logs::take(options, caller, &export).await))
        }
        Signal::Metrics => {
            let export: ExportMetricsServiceRequest =
                encoding.read(body).map_err(|why| format!("no ExportMetricsServiceRequest: {why}"))?;
            Ok(encoding.write(&refused_metrics(&export)))
        }
    }
}

/// Hands each span over as a record; those that cannot be are counted in the answer.
async fn take(
    options: &RouteOptions,
    caller: Caller,
    export: &ExportTraceServiceRequest,
) -> ExportTraceServiceResponse {
    let (mut rejected, mut receipts) = (0, Vec::new());
    for resource_spans in &export.resource_spans {
        let resource = resource_spans.resource.as_ref().map(|resource| Attributes::read(&resource.attributes));
        let resource = resource.unwrap_or_default();
        for span in resource_spans.scope_spans.iter().flat_map(|scope| &scope.spans) {
            match span::record(options, caller, &resource, span) {
                Ok(record) => receipts.push(options.sink.accept(record)),
                Err(NoRecord::Pending) => {}
                Err(NoRecord::NoIds) => rejected += 1,
            }
        }
    }
    // All are on their way together; the answer says that they are kept.
    for kept in receipts {
        kept.await;
    }
    let partial_success = (rejected > 0).then(|| ExportTracePartialSuccess {
        rejected_spans: rejected,
        error_message: "spans without a trace id of 16 bytes and a span id of 8 bytes are not taken".to_owned(),
    });
    ExportTraceServiceResponse { partial_success }
}

/// Metrics are not kept, and their sender is told so.
fn refused_metrics(export: &ExportMetricsServiceRequest) -> ExportMetricsServiceResponse {
    let metrics = export.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let points = metrics.flat_map(|scope| &scope.metrics).map(|metric| match &metric.data {
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
        None => 0,
    });
    let rejected = points.sum::<usize>();
    let partial_success = (rejected > 0).then(|| ExportMetricsPartialSuccess {
        rejected_data_points: i64::try_from(rejected).unwrap_or(i64::MAX),
        error_message: "metrics are not kept here; they are counted from the calls themselves".to_owned(),
    });
    ExportMetricsServiceResponse { partial_success }
}

/// A fault as OTLP wants it: a `google.rpc.Status` in the encoding of the request.
fn fault(encoding: Encoding, status: StatusCode, message: &str) -> Answer {
    /// Only the member that matters.
    #[derive(Clone, PartialEq, Message)]
    struct RpcStatus {
        #[prost(string, tag = "2")]
        message: String,
    }
    let body = match encoding {
        Encoding::Protobuf => RpcStatus { message: message.to_owned() }.encode_to_vec().into(),
        Encoding::Json => serde_json::json!({ "message": message }).to_string().into(),
    };
    typed(status, encoding.content_type(), body)
}

#[cfg(test)]
mod tests;
