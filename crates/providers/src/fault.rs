//! Reading errors, whoever wrote them.
//!
//! Providers' error bodies agree less than anything else they send: an object under `error` with or without a type, a
//! text there, `detail`, `message` at the top, an array around it all, HTML from a proxy in between, nothing. One reader
//! reads them all, because a compatible provider's error is as often another's as its dialect's.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use tachograph_record::RecordedError;
use tachograph_reply::{ApiError, ErrorKind};

/// An error as a body told it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    kind: Option<String>,
    code: Option<String>,
    param: Option<String>,
    message: String,
    /// The status that the body itself names.
    status: Option<u16>,
}

/// Types of error by the status that goes with them, for errors that come inside a stream.
const KINDS: &[(&str, ErrorKind)] = &[
    ("overloaded_error", ErrorKind::Overloaded),
    ("overloaded", ErrorKind::Overloaded),
    ("service_unavailable", ErrorKind::Overloaded),
    ("rate_limit_error", ErrorKind::RateLimit),
    ("rate_limit_exceeded", ErrorKind::RateLimit),
    ("insufficient_quota", ErrorKind::RateLimit),
    ("authentication_error", ErrorKind::Authentication),
    ("invalid_api_key", ErrorKind::Authentication),
    ("permission_error", ErrorKind::Permission),
    ("billing_error", ErrorKind::Permission),
    ("not_found_error", ErrorKind::NotFound),
    ("model_not_found", ErrorKind::NotFound),
    ("request_too_large", ErrorKind::TooLarge),
    ("timeout_error", ErrorKind::Timeout),
    ("timeout", ErrorKind::Timeout),
    ("invalid_request_error", ErrorKind::InvalidRequest),
    ("throttlingexception", ErrorKind::RateLimit),
    ("servicequotaexceededexception", ErrorKind::RateLimit),
    ("modelnotreadyexception", ErrorKind::Overloaded),
    ("serviceunavailableexception", ErrorKind::Overloaded),
    ("modeltimeoutexception", ErrorKind::Timeout),
    ("accessdeniedexception", ErrorKind::Permission),
    ("unrecognizedclientexception", ErrorKind::Authentication),
    ("resourcenotfoundexception", ErrorKind::NotFound),
    ("validationexception", ErrorKind::InvalidRequest),
];

impl Fault {
    /// The error in a JSON value, if it tells of one.
    pub(crate) fn of_value(value: &Value) -> Option<Self> {
        let value = match value {
            Value::Array(items) => items.first()?,
            value => value,
        };
        let outer = value.as_object()?;
        let text = |value: Option<&Value>| match value? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        match outer.get("error") {
            Some(Value::Object(inner)) => Some(Self {
                kind: text(inner.get("type")).or_else(|| text(inner.get("status"))),
                code: text(inner.get("code")),
                param: text(inner.get("param")),
                message: text(inner.get("message"))
                    .or_else(|| text(inner.get("details")))
                    .unwrap_or_else(|| Value::from(inner.clone()).to_string()),
                status: status(inner.get("status_code")).or_else(|| status(inner.get("code"))),
            }),
            Some(Value::String(message)) => Some(Self {
                kind: text(outer.get("type")).filter(|kind| kind != "error"),
                code: text(outer.get("code")),
                message: text(outer.get("message")).unwrap_or_else(|| message.clone()),
                ..Self::default()
            }),
            _ => Some(Self {
                kind: text(outer.get("type")).filter(|kind| kind != "error").or_else(|| text(outer.get("error_type"))),
                code: text(outer.get("code")),
                param: text(outer.get("param")),
                message: text(outer.get("message")).or_else(|| detail(outer.get("detail")?))?,
                status: None,
            }),
        }
    }

    /// The error in a body of any kind.
    fn of_body(status: StatusCode, body: &[u8]) -> Self {
        let told = serde_json::from_slice::<Value>(body).ok().as_ref().and_then(Self::of_value);
        told.unwrap_or_else(|| Self { message: plain_message(status, body), ..Self::default() })
    }

    /// As it goes on the record.
    pub(crate) fn recorded(&self, status: Option<StatusCode>) -> RecordedError {
        let kind = self.kind.clone().or_else(|| self.code.clone());
        let kind =
            kind.unwrap_or_else(|| status.map_or("error".to_owned(), |status| format!("http_{}", status.as_u16())));
        RecordedError { kind, code: self.code.clone(), message: self.message.clone() }
    }

    /// As a caller is told. Inside a stream there is no status but what the error says itself.
    pub(crate) fn to_api_error(&self, status: Option<StatusCode>) -> ApiError {
        let named = self.status.and_then(|status| StatusCode::from_u16(status).ok());
        let word = |word: &Option<String>| {
            let word = word.as_deref()?;
            KINDS.iter().find(|(kind, _)| kind.eq_ignore_ascii_case(word)).map(|row| row.1)
        };
        let told = word(&self.kind).or_else(|| word(&self.code));
        let (kind, status) = match status.or(named) {
            Some(status) => (ErrorKind::of_status(status), status),
            None => {
                let kind = told.unwrap_or(ErrorKind::Upstream);
                (kind, kind.status())
            }
        };
        let code = self.code.clone().or_else(|| self.kind.clone()).unwrap_or_else(|| fallback_code(kind).to_owned());
        let mut error = ApiError::new(kind, code, self.message.clone()).with_status(status);
        if let Some(kind) = &self.kind {
            error = error.with_native_kind(kind.clone());
        }
        if let Some(param) = &self.param {
            error = error.with_param(param.clone());
        }
        match retry_after(&self.message) {
            Some(after) if matches!(kind, ErrorKind::RateLimit | ErrorKind::Overloaded) => {
                error.with_retry_after(after)
            }
            _ => error,
        }
    }
}

/// Reads an error's body, whatever it is.
pub(crate) fn decode_error(status: StatusCode, body: &[u8]) -> ApiError {
    Fault::of_body(status, body).to_api_error(Some(status))
}

/// The error that an event of a stream is, in any dialect: an object under `error`, an event called so, or a response that
/// failed. What only carries a message is none.
#[must_use]
pub fn stream_error(name: &[u8], data: &[u8]) -> Option<ApiError> {
    // Nearly no event is one; a look at the bytes spares the parse.
    if name != b"error" && memchr::memmem::find(data, b"\"error\"").is_none() {
        return None;
    }
    let value: Value = serde_json::from_slice(data).ok()?;
    let of_response = value.get("response").filter(|response| response.get("error").is_some_and(Value::is_object));
    let value = of_response.unwrap_or(&value);
    let is_error = name == b"error"
        || value.get("type").is_some_and(|kind| kind == "error")
        || matches!(value.get("error"), Some(Value::Object(_) | Value::String(_)));
    is_error.then(|| Fault::of_value(value)).flatten().map(|fault| fault.to_api_error(None))
}

/// The error of an answer with this status and body, for the record.
pub(crate) fn recorded_error(status: StatusCode, body: &[u8]) -> RecordedError {
    Fault::of_body(status, body).recorded(Some(status))
}

/// An answer under a success's status that cannot be read.
pub(crate) fn unreadable(body: &[u8]) -> ApiError {
    if let Some(fault) = serde_json::from_slice::<Value>(body).ok().as_ref().and_then(Fault::of_value) {
        return fault.to_api_error(None);
    }
    ApiError::new(
        ErrorKind::Upstream,
        "unreadable_answer",
        "The provider answered with something that is no answer of its API; try again, or another model.",
    )
}

fn status(value: Option<&Value>) -> Option<u16> {
    let number = match value? {
        Value::Number(number) => number.as_u64()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    u16::try_from(number).ok().filter(|status| (400..=599).contains(status))
}

/// FastAPI's `detail`: a text, or a list of complaints.
fn detail(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let complaint = |item: &Value| item.get("msg").or_else(|| item.get("message"))?.as_str().map(str::to_owned);
            let complaints: Vec<_> = items.iter().filter_map(complaint).collect();
            (!complaints.is_empty()).then(|| complaints.join("; "))
        }
        Value::Object(inner) => inner.get("message").or_else(|| inner.get("msg"))?.as_str().map(str::to_owned),
        _ => None,
    }
}

fn plain_message(status: StatusCode, body: &[u8]) -> String {
    const MOST: usize = 400;
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let code = status.as_u16();
    if text.is_empty() {
        return format!("The provider answered {code} and said nothing else.");
    }
    if text.starts_with('<') {
        return format!("The provider's network answered {code} with a web page instead of its API; try again.");
    }
    text.chars().take(MOST).collect()
}

const fn fallback_code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest => "invalid_request",
        ErrorKind::Authentication => "invalid_api_key",
        ErrorKind::Permission => "permission_denied",
        ErrorKind::NotFound => "not_found",
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::RateLimit => "rate_limit_exceeded",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Upstream => "upstream_error",
        ErrorKind::Overloaded => "overloaded",
        ErrorKind::Internal => "internal_error",
    }
}

/// The delay in "try again in 1m20.5s", "in 20s", "in 200ms".
fn retry_after(message: &str) -> Option<Duration> {
    const MOST_SECONDS: f64 = 86_400.0;
    let at = message.find("try again in ")? + "try again in ".len();
    let mut rest = &message[at..];
    let mut seconds = 0.0;
    let mut found = false;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let Ok(number) = rest[..digits].parse::<f64>() else { break };
        rest = rest[digits..].trim_start();
        let units = [("ms", 0.001), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];
        let Some((unit, factor)) = units.into_iter().find(|(unit, _)| rest.starts_with(unit)) else { break };
        seconds += number * factor;
        found = true;
        rest = &rest[unit.len()..];
    }
    (found && seconds <= MOST_SECONDS).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> (ErrorKind, String, String, Option<String>) {
        let error = decode_error(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        assert_eq!(error.status().as_u16(), status);
        (error.kind(), error.code().to_owned(), error.message().to_owned(), error.native_kind().map(str::to_owned))
    }

    #[test]
    fn every_shape_of_body_is_read() {
        use ErrorKind::{Authentication, InvalidRequest, NotFound, Overloaded, RateLimit, Upstream};
        let rows = [
            (
                401,
                r#"{"error":{"message":"m","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
                Authentication,
                "invalid_api_key",
                Some("invalid_request_error"),
            ),
            (
                529,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
                Overloaded,
                "overloaded_error",
                Some("overloaded_error"),
            ),
            (
                429,
                r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]"#,
                RateLimit,
                "429",
                Some("RESOURCE_EXHAUSTED"),
            ),
            (401, r#"{"error":{"code":"401","message":"m"}}"#, Authentication, "401", None),
            (400, r#"{"code":"bad","error":"m"}"#, InvalidRequest, "bad", None),
            (404, r#"{"error":"m"}"#, NotFound, "not_found", None),
            (422, r#"{"detail":"m"}"#, InvalidRequest, "invalid_request", None),
            (422, r#"{"detail":[{"loc":["body"],"msg":"m"}]}"#, InvalidRequest, "invalid_request", None),
            (400, r#"{"object":"error","message":"m","type":"T","code":3000}"#, InvalidRequest, "3000", Some("T")),
            (429, r#"{"id":"x","message":"m"}"#, RateLimit, "rate_limit_exceeded", None),
            (500, "m", Upstream, "upstream_error", None),
        ];
        for (status, body, kind, code, native) in rows {
            let want = (kind, code.to_owned(), "m".to_owned(), native.map(str::to_owned));
            assert_eq!(read(status, body), want, "{body}");
        }
        assert!(read(502, "<html>no</html>").2.contains("web page"));
        assert!(read(502, "").2.contains("said nothing"));
    }

    #[test]
    fn delays_in_words() {
        let error =
            decode_error(StatusCode::TOO_MANY_REQUESTS, br#"{"error":{"message":"Please try again in 1m20.5s."}}"#);
        assert_eq!(error.retry_after(), Some(Duration::from_millis(80_500)));
        assert_eq!(retry_after("try again in 200ms"), Some(Duration::from_millis(200)));
        assert_eq!(retry_after("try again in a while"), None);
    }

    #[test]
    fn events_that_are_errors_are_told_from_others() {
        let read = |name: &str, data: &str| stream_error(name.as_bytes(), data.as_bytes()).map(|error| error.kind());
        for (name, data, want) in [
            ("", r#"{"error":{"type":"rate_limit_exceeded","message":"m"}}"#, Some(ErrorKind::RateLimit)),
            (
                "error",
                r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
                Some(ErrorKind::Overloaded),
            ),
            ("error", r#"{"type":"error","code":"server_error","message":"m"}"#, Some(ErrorKind::Upstream)),
            (
                "response.failed",
                r#"{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"m"}}}"#,
                Some(ErrorKind::RateLimit),
            ),
            ("response.created", r#"{"type":"response.created","response":{"error":null}}"#, None),
            ("message_start", r#"{"type":"message_start","message":{"id":"x"}}"#, None),
            ("", r#"{"choices":[{"delta":{"content":"\"error\""}}]}"#, None),
            ("", "[DONE]", None),
        ] {
            assert_eq!(read(name, data), want, "{data}");
        }
    }

    #[test]
    fn errors_inside_streams_have_the_status_they_name() {
        let fault = |text: &str| Fault::of_value(&serde_json::from_str(text).unwrap()).unwrap().to_api_error(None);
        assert_eq!(fault(r#"{"error":{"code":400,"message":"m"}}"#).status().as_u16(), 400);
        assert_eq!(fault(r#"{"error":{"type":"overloaded_error","message":"m"}}"#).status().as_u16(), 503);
        assert_eq!(fault(r#"{"error":{"message":"m"}}"#).status().as_u16(), 502);
    }
}
