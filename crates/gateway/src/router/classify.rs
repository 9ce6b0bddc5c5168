//! What an error means for who is asked next.

use jiff::Timestamp;
use tachograph_reply::{ApiError, ErrorKind};
use tachograph_routing::{Class, Failure, retry_after};

/// Words by which a prompt is told to be too long, whatever the code.
const TOO_LONG: [&str; 9] = [
    "context length",
    "context_length",
    "context window",
    "maximum context",
    "prompt is too long",
    "input is too long",
    "too many tokens",
    "input token count",
    "maximum number of tokens",
];
/// Words by which a filter refuses.
const FILTERED: [&str; 6] = [
    "content_filter",
    "content filter",
    "content policy",
    "content_policy",
    "content management policy",
    "safety system",
];
/// Words by which a key or an account has nothing left to spend.
const SPENT: [&str; 4] = ["insufficient_quota", "credit balance", "insufficient credits", "insufficient balance"];

/// The class of an error, and when its sender wants to be asked again. `callers_key`: the request went out with the
/// caller's own key.
pub(crate) fn classify(error: &ApiError, callers_key: bool) -> Failure {
    let class = if error.provider().is_none() { ours(error) } else { theirs(error, callers_key) };
    let after = error.headers().and_then(|headers| {
        let body = error.raw().map_or(&[][..], |raw| raw);
        retry_after(headers, body, Timestamp::now())
    });
    let in_body = || error.raw().and_then(|raw| retry_after(&http::HeaderMap::new(), raw, Timestamp::now()));
    Failure { class, retry_after: after.or_else(in_body).or(error.retry_after()), another_key: false, moves_on: None }
}

/// An error from before anything was sent: this target cannot say it, or has no key. Another may.
fn ours(error: &ApiError) -> Class {
    match error.kind() {
        ErrorKind::Authentication => Class::BadKey,
        ErrorKind::Upstream | ErrorKind::Internal => Class::NoAnswer,
        _ => Class::CannotSay,
    }
}

fn theirs(error: &ApiError, callers_key: bool) -> Class {
    match error.code() {
        "upstream_unreachable" => return Class::Unreachable,
        "upstream_timeout" | "upstream_broken" | "stream_broken" => return Class::NoAnswer,
        "unreadable_answer" | "answer_too_large" => return Class::InBetween,
        _ => {}
    }
    let says = |words: &[&str]| {
        let text = [error.code(), error.native_kind().unwrap_or_default(), error.message()];
        text.iter().any(|text| {
            let text = text.to_ascii_lowercase();
            words.iter().any(|word| text.contains(word))
        })
    };
    let bad_key = if callers_key { Class::CallersKey } else { Class::BadKey };
    match error.status().as_u16() {
        401 | 403 if says(&SPENT) => Class::QuotaSpent,
        401 | 403 => bad_key,
        402 => Class::QuotaSpent,
        404 => Class::NoSuchModel,
        408 => Class::InBetween,
        409 => Class::Overloaded,
        429 if says(&SPENT) => Class::QuotaSpent,
        429 => Class::RateLimited,
        400..=499 if says(&TOO_LONG) => Class::ContextWindow,
        400..=499 if says(&FILTERED) => Class::ContentPolicy,
        400 if says(&SPENT) => Class::QuotaSpent,
        // Google answers 400 to a key that it does not know.
        400 if says(&["api_key_invalid", "api key not valid", "invalid_api_key"]) => bad_key,
        400 if says(&["model_not_found"]) => Class::NoSuchModel,
        424 => Class::ServerError,
        400..=499 => Class::BadRequest,
        502 | 504 | 520..=527 => Class::InBetween,
        503 | 529 => Class::Overloaded,
        _ => Class::ServerError,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::StatusCode;
    use tachograph_providers::{DialectId, dialect};

    use super::*;

    fn class(status: u16, body: &'static str) -> Class {
        let status = StatusCode::from_u16(status).unwrap();
        let error = dialect(DialectId::OpenAiChat).decode_error(status, body.as_bytes());
        classify(&error.from_provider("p", Bytes::from_static(body.as_bytes())), false).class
    }

    #[test]
    fn every_fault_is_attributed() {
        for (status, body, want) in [
            (401, r#"{"error":{"message":"Incorrect API key"}}"#, Class::BadKey),
            (
                400,
                r#"[{"error":{"code":400,"message":"API key not valid. Please pass","status":"INVALID_ARGUMENT"}}]"#,
                Class::BadKey,
            ),
            (403, r#"{"error":{"message":"Quota exceeded"}}"#, Class::BadKey),
            (402, "", Class::QuotaSpent),
            (
                429,
                r#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota"}}"#,
                Class::QuotaSpent,
            ),
            (429, r#"{"error":{"code":"rate_limit_exceeded","message":"Slow down"}}"#, Class::RateLimited),
            (
                400,
                r#"{"error":{"code":"context_length_exceeded","message":"This model's maximum context length is"}}"#,
                Class::ContextWindow,
            ),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 208310 tokens > 200000 maximum"}}"#,
                Class::ContextWindow,
            ),
            (400, r#"{"error":{"code":"content_filter","message":"The response was filtered"}}"#, Class::ContentPolicy),
            (400, r#"{"error":{"message":"temperature must be"}}"#, Class::BadRequest),
            (422, r#"{"detail":"x"}"#, Class::BadRequest),
            (404, "", Class::NoSuchModel),
            (500, "", Class::ServerError),
            (502, "<html>", Class::InBetween),
            (503, "", Class::Overloaded),
            (529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, Class::Overloaded),
        ] {
            assert_eq!(class(status, body), want, "{status} {body}");
        }
    }

    #[test]
    fn google_says_in_the_body_when_to_come_back() {
        let body = br#"{"error":{"code":429,"message":"m","details":[{"@type":"RetryInfo","retryDelay":"36s"}]}}"#;
        let error = dialect(DialectId::GeminiGenerateContent).decode_error(StatusCode::TOO_MANY_REQUESTS, body);
        let failure = classify(&error.from_provider("gemini", Bytes::from_static(body)), false);
        assert_eq!(failure.retry_after, Some(std::time::Duration::from_secs(36)));
    }
}
