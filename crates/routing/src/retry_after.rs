//! When a server says that asking again makes sense.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use serde_json::Value;

/// Windows that reset: when one of them has nothing left, its reset is when to come back.
const WINDOWS: [(&str, &str); 4] = [
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
];
/// What is further away than this is no promise.
const FURTHEST: Duration = Duration::from_secs(30 * 86_400);

/// Reads it from an answer's headers and body, the most precise source first: `retry-after-ms`, `retry-after` in seconds
/// or as a date, Google's `RetryInfo` in the body, and the reset of a window that has nothing left (OpenAI's spans,
/// Anthropic's times). `now` is what dates are measured against.
#[must_use]
pub fn retry_after(headers: &HeaderMap, body: &[u8], now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let in_ms = text("retry-after-ms").and_then(|ms| seconds(ms.parse::<f64>().ok()? / 1_000.0));
    let plain = || {
        let text = text("retry-after")?;
        text.parse::<f64>().map_or_else(|_| until(http_date(text)?, now), seconds)
    };
    let exhausted = || {
        let resets = WINDOWS.iter().filter_map(|(remaining, reset)| {
            let nothing_left = text(remaining)?.parse::<f64>().ok()? <= 0.0;
            let reset = text(reset).filter(|_| nothing_left)?;
            span(reset).or_else(|| until(reset.parse().ok()?, now))
        });
        resets.max()
    };
    in_ms.or_else(plain).or_else(|| retry_info(body)).or_else(exhausted)
}

/// `error.details[].retryDelay` of a `google.rpc.RetryInfo`, also where the error stands in an array.
fn retry_info(body: &[u8]) -> Option<Duration> {
    // Parsing is only worth it where the word is in it.
    if !body.windows(10).any(|window| window == b"retryDelay") {
        return None;
    }
    let value: Value = serde_json::from_slice(body).ok()?;
    let error = value.get("error").or_else(|| value.get(0)?.get("error"))?;
    error.get("details")?.as_array()?.iter().find_map(|detail| span(detail.get("retryDelay")?.as_str()?))
}

/// Go's and protobuf's spans: `1m20.5s`, `20s`, `6ms`.
fn span(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let units = [("ms", 0.001), ("h", 3_600.0), ("m", 60.0), ("s", 1.0), ("d", 86_400.0)];
        let (unit, factor) = units.into_iter().find(|(unit, _)| rest[digits..].starts_with(unit))?;
        total += number * factor;
        rest = &rest[digits + unit.len()..];
    }
    seconds(total)
}

fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().map(|span| span.min(FURTHEST))
}

fn until(then: Timestamp, now: Timestamp) -> Option<Duration> {
    Some(Duration::try_from(then.duration_since(now)).unwrap_or_default().min(FURTHEST))
}

/// An HTTP date as it is written nowadays (RFC 9110 §5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_zoned(text).ok()?;
    Some(parsed.timestamp())
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn read(headers: &[(&'static str, &str)], body: &str) -> Option<u128> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect();
        let now = "1994-11-06T08:49:37Z".parse().unwrap();
        retry_after(&headers, body.as_bytes(), now).map(|span| span.as_millis())
    }

    #[test]
    fn every_form_is_read_and_the_more_precise_one_counts() {
        let google = r#"[{"error":{"code":429,"details":[{"@type":"x"},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"36.5s"}]}}]"#;
        for (headers, body, want) in [
            (&[("retry-after", "2")][..], "", Some(2_000)),
            (&[("retry-after", "0.25")], "", Some(250)),
            (&[("retry-after-ms", "0"), ("retry-after", "1")], "", Some(0)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], "", Some(30_000)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], "", Some(0)),
            (&[("retry-after", "soon")], "", None),
            (&[("retry-after", "-3")], "", None),
            (&[], google, Some(36_500)),
            (&[], &google[1..google.len() - 1], Some(36_500)),
            (&[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "1m20.5s")], "", Some(80_500)),
            (&[("x-ratelimit-remaining-tokens", "7"), ("x-ratelimit-reset-tokens", "1m20.5s")], "", None),
            (&[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "6ms")], "", Some(6)),
            (
                &[
                    ("anthropic-ratelimit-requests-remaining", "0"),
                    ("anthropic-ratelimit-requests-reset", "1994-11-06T08:49:47Z"),
                ],
                "",
                Some(10_000),
            ),
            (&[("retry-after", "1e300")], "", None),
            (&[("retry-after", "99999999")], "", Some(2_592_000_000)),
        ] {
            assert_eq!(read(headers, body), want, "{headers:?} {body}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(text in "[ -~]{0,30}", body in "[ -~]{0,60}") {
            let _ = read(&[("retry-after", &text), ("retry-after-ms", &text)], &format!("{{\"retryDelay\":{body}"));
            let _ = span(&text);
        }
    }
}
