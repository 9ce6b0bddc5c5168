//! How each dialect writes an error.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue as FrameValue, Message};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response};
use serde_json::{Map, Value, json};

use crate::{ApiError, ErrorKind};

/// Where Amazon's clients read the kind of an error.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// The shape a caller's client library can read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ErrorShape {
    /// `{"error":{"message","type","param","code"}}`
    #[default]
    OpenAi,
    /// `{"type":"error","error":{"type","message"}}`
    Anthropic,
    /// `{"error":{"code","message","status"}}`
    Gemini,
    /// `{"message"}`, with what else is known beside it
    Cohere,
    /// `{"error":"text"}`; a line of its own where a stream breaks off
    Ollama,
    /// `{"message"}`, with its kind in the header `x-amzn-errortype`; in a stream, a frame that is an exception.
    Bedrock,
}

impl ErrorShape {
    /// The error as a response's JSON body.
    #[must_use]
    pub fn body(self, error: &ApiError) -> Bytes {
        Bytes::from(self.value(error).to_string())
    }

    /// The error as a whole response: status, headers, body.
    #[must_use]
    pub fn response<B: From<Bytes>>(self, error: &ApiError) -> Response<B> {
        let mut response = Response::new(B::from(self.body(error)));
        *response.status_mut() = error.status();
        let headers = response.headers_mut();
        if let Some(passed_on) = error.headers() {
            headers.extend(passed_on.clone());
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self == Self::Bedrock {
            headers.insert(ERROR_TYPE, HeaderValue::from_static(bedrock_type(error.kind())));
        }
        if let Some(after) = error.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        response
    }

    /// The error as the last event of a stream whose head is already gone. No terminal event follows it, so that no
    /// client takes the stream for finished.
    #[must_use]
    pub fn event(self, error: &ApiError) -> Bytes {
        let value = self.value(error);
        Bytes::from(match self {
            Self::OpenAi => format!("data: {value}\n\n"),
            Self::Anthropic => format!("event: error\ndata: {value}\n\n"),
            Self::Gemini => format!("data: {value}\r\n\r\n"),
            // Its clients take an event without a type they know for none: the error is told in a last word of theirs.
            Self::Cohere => {
                let delta = json!({"finish_reason": "ERROR", "error": error.message()});
                let event = json!({"type": "message-end", "delta": delta, "error": value});
                format!("event: message-end\ndata: {event}\n\n")
            }
            Self::Ollama => format!("{value}\n"),
            Self::Bedrock => return exception(error, &value),
        })
    }

    fn value(self, error: &ApiError) -> Value {
        let metadata = metadata(error);
        match self {
            Self::OpenAi => {
                let mut inner = json!({
                    "message": error.message(),
                    "type": error.native_kind().unwrap_or_else(|| openai_type(error.kind())),
                    "param": error.param(),
                    "code": error.code(),
                });
                extend(&mut inner, metadata);
                json!({ "error": inner })
            }
            Self::Anthropic => {
                let mut inner = json!({
                    "type": anthropic_type(error.kind()),
                    "message": error.message(),
                    "code": error.code(),
                });
                extend(&mut inner, metadata);
                json!({ "type": "error", "error": inner })
            }
            Self::Gemini => {
                let mut inner = json!({
                    "code": error.status().as_u16(),
                    "message": error.message(),
                    "status": gemini_status(error.kind()),
                });
                extend(&mut inner, metadata);
                json!({ "error": inner })
            }
            Self::Cohere => {
                let mut body = json!({"message": error.message(), "code": error.code()});
                extend(&mut body, metadata);
                body
            }
            Self::Ollama => {
                let mut body = json!({"error": error.message(), "code": error.code()});
                extend(&mut body, metadata);
                body
            }
            Self::Bedrock => {
                let mut body = json!({ "message": error.message(), "code": error.code() });
                extend(&mut body, metadata);
                body
            }
        }
    }
}

/// An exception of Amazon's event streams.
fn exception(error: &ApiError, value: &Value) -> Bytes {
    let kind = bedrock_exception(error.kind()).to_owned();
    let header = |name: &'static str, value: String| Header::new(name, FrameValue::String(value.into()));
    let message = Message::new(value.to_string().into_bytes())
        .add_header(header(":exception-type", kind))
        .add_header(header(":content-type", "application/json".to_owned()))
        .add_header(header(":message-type", "exception".to_owned()));
    let mut frame = BytesMut::new();
    // It can only fail on a payload of more than 4 GiB.
    let _ = write_message_to(&message, &mut frame);
    frame.freeze()
}

/// What a provider said in its own words goes under `metadata`, beside what we say in the caller's.
fn metadata(error: &ApiError) -> Option<Value> {
    let provider = error.provider()?;
    let raw = error.raw().map(|raw| {
        serde_json::from_slice::<Value>(raw).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(raw).into_owned()))
    });
    Some(json!({ "provider": provider, "raw": raw }))
}

fn extend(inner: &mut Value, metadata: Option<Value>) {
    if let (Some(fields), Some(metadata)) = (inner.as_object_mut(), metadata) {
        let mut more = Map::new();
        more.insert("metadata".to_owned(), metadata);
        fields.extend(more);
    }
}

const fn openai_type(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::Authentication | ErrorKind::NotFound | ErrorKind::TooLarge => {
            "invalid_request_error"
        }
        ErrorKind::Permission => "permission_error",
        ErrorKind::RateLimit => "rate_limit_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::Upstream => "upstream_error",
        ErrorKind::Overloaded | ErrorKind::Internal => "server_error",
    }
}

const fn anthropic_type(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest => "invalid_request_error",
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::Permission => "permission_error",
        ErrorKind::NotFound => "not_found_error",
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::RateLimit => "rate_limit_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::Overloaded => "overloaded_error",
        ErrorKind::Upstream | ErrorKind::Internal => "api_error",
    }
}

const fn gemini_status(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::TooLarge => "INVALID_ARGUMENT",
        ErrorKind::Authentication => "UNAUTHENTICATED",
        ErrorKind::Permission => "PERMISSION_DENIED",
        ErrorKind::NotFound => "NOT_FOUND",
        ErrorKind::RateLimit => "RESOURCE_EXHAUSTED",
        ErrorKind::Timeout => "DEADLINE_EXCEEDED",
        ErrorKind::Upstream | ErrorKind::Overloaded => "UNAVAILABLE",
        ErrorKind::Internal => "INTERNAL",
    }
}

/// Amazon's clients raise these five as errors with their text; of any other they show neither kind nor text.
const fn bedrock_exception(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::TooLarge
        | ErrorKind::Authentication
        | ErrorKind::Permission
        | ErrorKind::NotFound => "validationException",
        ErrorKind::RateLimit => "throttlingException",
        ErrorKind::Timeout | ErrorKind::Upstream => "modelStreamErrorException",
        ErrorKind::Overloaded => "serviceUnavailableException",
        ErrorKind::Internal => "internalServerException",
    }
}

const fn bedrock_type(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::TooLarge => "ValidationException",
        ErrorKind::Authentication => "UnrecognizedClientException",
        ErrorKind::Permission => "AccessDeniedException",
        ErrorKind::NotFound => "ResourceNotFoundException",
        ErrorKind::RateLimit => "ThrottlingException",
        ErrorKind::Timeout => "ModelTimeoutException",
        ErrorKind::Upstream => "ModelErrorException",
        ErrorKind::Overloaded => "ServiceUnavailableException",
        ErrorKind::Internal => "InternalServerException",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;

    use super::*;

    fn limited() -> ApiError {
        ApiError::new(ErrorKind::RateLimit, "rate_limited", "Slow down.")
            .with_retry_after(Duration::from_millis(200))
            .from_provider("openai", Bytes::from_static(br#"{"error":"x"}"#))
    }

    fn value(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn each_dialect_has_its_words() {
        let error = limited();
        assert_eq!(
            value(&ErrorShape::OpenAi.body(&error)),
            json!({"error": {"message": "Slow down.", "type": "rate_limit_error", "param": null, "code": "rate_limited",
                "metadata": {"provider": "openai", "raw": {"error": "x"}}}})
        );
        assert_eq!(
            value(&ErrorShape::Anthropic.body(&error)),
            json!({"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down.", "code": "rate_limited",
                "metadata": {"provider": "openai", "raw": {"error": "x"}}}})
        );
        assert_eq!(
            value(&ErrorShape::Gemini.body(&error)),
            json!({"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED",
                "metadata": {"provider": "openai", "raw": {"error": "x"}}}})
        );
    }

    #[test]
    fn amazons_clients_read_the_kind_in_a_header_or_in_a_frame() {
        let response: Response<Bytes> = ErrorShape::Bedrock.response(&limited());
        assert_eq!(response.headers()["x-amzn-errortype"], "ThrottlingException");
        assert_eq!(value(response.body())["message"], "Slow down.");
        let frame = ErrorShape::Bedrock.event(&limited());
        let message = aws_smithy_eventstream::frame::read_message_from(&frame[..]).unwrap();
        let kind = message.headers().iter().find(|header| header.name().as_str() == ":exception-type").unwrap();
        assert_eq!(kind.value().as_string().unwrap().as_str(), "throttlingException");
        assert_eq!(value(message.payload())["message"], "Slow down.");
    }

    #[test]
    fn a_response_says_when_to_come_back() {
        let response: Response<Bytes> = ErrorShape::OpenAi.response(&limited());
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "1", "whole seconds, rounded up from nothing");
        assert_eq!(response.headers()["content-type"], "application/json");
    }

    #[test]
    fn events_end_with_a_blank_line_and_no_terminator() {
        let event = ErrorShape::Anthropic.event(&limited());
        assert!(event.starts_with(b"event: error\ndata: {") && event.ends_with(b"}\n\n"));
        assert!(!ErrorShape::OpenAi.event(&limited()).windows(6).any(|w| w == b"[DONE]"));
    }

    #[test]
    fn kinds_fit_provider_statuses() {
        for (status, kind) in [
            (400, ErrorKind::InvalidRequest),
            (401, ErrorKind::Authentication),
            (403, ErrorKind::Permission),
            (404, ErrorKind::NotFound),
            (422, ErrorKind::InvalidRequest),
            (429, ErrorKind::RateLimit),
            (500, ErrorKind::Upstream),
            (529, ErrorKind::Overloaded),
        ] {
            assert_eq!(ErrorKind::of_status(StatusCode::from_u16(status).unwrap()), kind, "{status}");
        }
    }
}
