//! Spans of traces that others recorded: OTLP in.
//!
//! A span becomes a record of its own: a call of a model where its attributes tell of one, else the tool, the look-up or
//! the step that it is. What attributes mean is a table (`data/otel_aliases.toml`), not code. A record's id is made from
//! the trace's and the span's, so a span that comes twice, late or out of order is one row.

mod aliases;
mod attributes;
mod messages;
mod span;
mod usage;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use tachograph_telemetry::RecordSink as _;

use crate::routes::{Caller, RouteOptions, Unread, header, typed};
use attributes::Attributes;
use span::NoRecord;

/// The largest body that is taken, in bytes, as sent and decompressed.
pub(crate) const MAX_BODY: usize = 64 << 20;

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

    fn read(self, body: &[u8]) -> Result<ExportTraceServiceRequest, String> {
        match self {
            Self::Protobuf => ExportTraceServiceRequest::decode(body).map_err(|why| why.to_string()),
            Self::Json => serde_json::from_slice(body).map_err(|why| why.to_string()),
        }
    }
}

/// Takes an export of spans.
pub(crate) async fn answer(
    options: &RouteOptions,
    caller: Caller,
    headers: &HeaderMap,
    read: Result<Bytes, Unread>,
) -> Response<Full<Bytes>> {
    let refuse = |encoding: Encoding, status, message: &str| fault(encoding, status, message);
    let body = match read {
        Ok(body) => body,
        Err(unread) => {
            let (status, message) = match unread {
                Unread::TooLarge => {
                    (StatusCode::PAYLOAD_TOO_LARGE, "the export is larger than 64 MiB; send smaller batches")
                }
                Unread::Broken => (StatusCode::BAD_REQUEST, "the export broke off before its end"),
                Unread::Encoding => {
                    (StatusCode::BAD_REQUEST, "the export is not as its Content-Encoding says; send gzip, zstd or none")
                }
            };
            return refuse(Encoding::of(headers, b""), status, message);
        }
    };
    let encoding = Encoding::of(headers, &body);
    match encoding.read(&body) {
        Ok(export) => {
            let answered = take(options, caller, &export).await;
            let body = match encoding {
                Encoding::Protobuf => answered.encode_to_vec().into(),
                Encoding::Json => serde_json::to_vec(&answered).unwrap_or_default().into(),
            };
            typed(StatusCode::OK, encoding.content_type(), body)
        }
        Err(why) => refuse(encoding, StatusCode::BAD_REQUEST, &format!("no ExportTraceServiceRequest: {why}")),
    }
}

/// Hands each span over as a record; those that cannot be are counted in the answer.
pub(crate) async fn take(
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

/// A fault as OTLP wants it: a `google.rpc.Status` in the encoding of the request.
fn fault(encoding: Encoding, status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    /// Only the member that matters.
    #[derive(Clone, PartialEq, prost::Message)]
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
