//! gRPC as exporters of OpenTelemetry speak it: one message there, one back, over HTTP/2.
//!
//! Each message has five bytes before it: whether it is compressed, and its length (big-endian). How a call ended stands in
//! the trailers (`grpc-status`, `grpc-message`), and the HTTP status is 200 whatever happened. Source: the gRPC over HTTP/2
//! specification.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::{BodyExt as _, Full};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::read::unpacked;
use super::{Answer, header};

/// Bytes before a message.
pub(crate) const PREFIX: usize = 5;
/// What a `grpc-message` must not hold as it is.
const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const TEXT: HeaderName = HeaderName::from_static("grpc-message");
const ENCODINGS: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// How a call may end, by gRPC's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidArgument = 3,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Unauthenticated = 16,
}

/// A fault: its code, and what to do about it.
pub(crate) type Fault = (Code, String);

/// Whether a request is gRPC, by its content type.
pub(super) fn speaks(headers: &HeaderMap) -> bool {
    header(headers, CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with("application/grpc"))
}

/// The one message of a call.
pub(crate) fn message(headers: &HeaderMap, body: &Bytes, limit: usize) -> Result<Bytes, Fault> {
    let broken = || (Code::InvalidArgument, "the call holds no whole message".to_owned());
    let (prefix, message) = body.split_at_checked(PREFIX).ok_or_else(broken)?;
    let len = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
    if len != message.len() {
        return Err(broken());
    }
    let message = body.slice(PREFIX..);
    if prefix[0] == 0 {
        return Ok(message);
    }
    match header(headers, "grpc-encoding").unwrap_or_default() {
        encoding @ ("gzip" | "deflate" | "zstd") => unpacked(encoding, message, limit).map_err(|_| {
            (Code::InvalidArgument, "the message is not as grpc-encoding says, or larger than 64 MiB".to_owned())
        }),
        other => Err((
            Code::Unimplemented,
            format!("messages are taken as they are, or with gzip, deflate or zstd: {other}"),
        )),
    }
}

/// The answer to a call: a message, or what was wrong.
pub(crate) fn answer(ended: Result<Vec<u8>, Fault>) -> Answer {
    let mut trailers = HeaderMap::new();
    let body = match ended {
        Ok(message) => {
            trailers.insert(STATUS, HeaderValue::from_static("0"));
            let len = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
            Bytes::from([&[0], &len[..], &message].concat())
        }
        Err((code, text)) => {
            trailers.insert(STATUS, HeaderValue::from(code as u16));
            if let Ok(text) = HeaderValue::try_from(utf8_percent_encode(&text, MESSAGE).to_string()) {
                trailers.insert(TEXT, text);
            }
            Bytes::new()
        }
    };
    let body = Full::new(body).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response.headers_mut().insert(ENCODINGS, HeaderValue::from_static("identity,gzip,deflate,zstd"));
    response
}
