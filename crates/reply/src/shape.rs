//! How each dialect writes an error.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response};
use serde_json::{Map, Value, json};

use crate::{ApiError, ErrorKind};

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
        }
    }
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
