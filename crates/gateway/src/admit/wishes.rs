//! What a caller wants done with its call, as headers tell it: if it fails, if it is too long, and who is to look at it first.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tachograph_routing::Backoff;

use crate::call::Retries;
use crate::fit::TooLong;
use crate::guards::Guarding;

/// Nobody is helped by more.
const MOST_TRIES: u32 = 10;
const LONGEST_WAIT: f64 = 60_000.0;

/// How often a call is to be tried: `Helicone-Retry-Enabled`, and `helicone-retry-num` (all tries, the first included),
/// `-factor`, `-min-timeout` and `-max-timeout` (ms). `true` turns repetitions on; `false`, `0` and `no` turn all of them
/// off, also those of the configuration. What cannot be read counts as absent.
pub(super) fn retries(headers: &HeaderMap) -> Option<Retries> {
    // One pass over the names: most calls say nothing of retries.
    let ours = |prefix: &'static str| {
        headers.iter().filter_map(move |(name, value)| Some((name.as_str().strip_prefix(prefix)?, value)))
    };
    let ours: Vec<(&str, &HeaderValue)> = ours("helicone-retry-").chain(ours("tachograph-retry-")).collect();
    let text = |name: &str| {
        let (_, value) = ours.iter().find(|(held, _)| *held == name)?;
        value.to_str().ok().map(str::trim)
    };
    let number = |name: &str| text(name)?.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let enabled = text("enabled")?;
    let ms =
        |name: &str, usual: f64| Duration::from_secs_f64(number(name).unwrap_or(usual).min(LONGEST_WAIT) / 1_000.0);
    let is_off = ["false", "0", "no", ""].iter().any(|off| enabled.eq_ignore_ascii_case(off));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and ten")]
    let tries = number("num").unwrap_or(5.0).clamp(1.0, f64::from(MOST_TRIES)) as u32;
    let backoff = Backoff {
        min: ms("min-timeout", 1_000.0),
        max: ms("max-timeout", 10_000.0),
        factor: number("factor").unwrap_or(2.0),
    };
    Some(Retries { tries: if is_off { 1 } else { tries }, backoff })
}

/// What a caller wants done with its prompt before it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Handling {
    /// Where it is longer than its model can take.
    pub(super) too_long: Option<TooLong>,
    /// Who is to look at it.
    pub(super) guarding: Guarding,
}

/// Reads `Helicone-Token-Limit-Exception-Handler`, `Helicone-Moderations-Enabled`, `Helicone-LLM-Security-Enabled` (also as
/// `-Prompt-Security-Enabled` and `-Prompt-Guard-Enabled`) and `-Advanced`, in one pass.
pub(super) fn handling(headers: &HeaderMap) -> Handling {
    let mut handling = Handling::default();
    let Guarding { moderation, injection, advanced } = &mut handling.guarding;
    for (name, value) in headers {
        let name = name.as_str();
        let Some(rest) = name.strip_prefix("helicone-").or_else(|| name.strip_prefix("tachograph-")) else { continue };
        let is_true = || value.as_bytes().eq_ignore_ascii_case(b"true");
        match rest {
            "token-limit-exception-handler" => {
                handling.too_long = value.to_str().ok().and_then(|text| text.parse().ok());
            }
            "moderations-enabled" => *moderation = is_true(),
            "llm-security-enabled" | "prompt-security-enabled" | "prompt-guard-enabled" => *injection |= is_true(),
            // Its presence alone counts, whatever it says.
            "llm-security-advanced" | "prompt-security-advanced" => *advanced = true,
            _ => {}
        }
    }
    handling
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn read(pairs: &[(&'static str, &'static str)]) -> Option<(u32, u128, u128, f64)> {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let found = retries(&pairs.iter().map(header).collect())?;
        Some((found.tries, found.backoff.min.as_millis(), found.backoff.max.as_millis(), found.backoff.factor))
    }

    #[test]
    fn prompts_are_handled_as_headers_say() {
        let read = |pairs: &[(&'static str, &'static str)]| {
            let header = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            handling(&pairs.iter().map(header).collect())
        };
        let guarding = |moderation, injection, advanced| Handling {
            too_long: None,
            guarding: Guarding { moderation, injection, advanced },
        };
        for (headers, want) in [
            (&[][..], Handling::default()),
            (&[("helicone-moderations-enabled", "true")], guarding(true, false, false)),
            (&[("helicone-moderations-enabled", "1"), ("x-moderations-enabled", "true")], Handling::default()),
            (
                &[("tachograph-llm-security-enabled", "TRUE"), ("helicone-llm-security-advanced", "false")],
                guarding(false, true, true),
            ),
            (&[("helicone-prompt-security-enabled", "true")], guarding(false, true, false)),
            (
                &[("helicone-token-limit-exception-handler", "Middle-Out")],
                Handling { too_long: Some(TooLong::MiddleOut), ..Handling::default() },
            ),
            (&[("helicone-token-limit-exception-handler", "shrink")], Handling::default()),
        ] {
            assert_eq!(read(headers), want, "{headers:?}");
        }
    }

    /// Helicone's own cases, where they are at hand.
    #[test]
    fn headers_are_read_as_helicone_reads_them() {
        let Some(shared) = std::env::var_os("TACHOGRAPH_SHARED") else {
            println!("TACHOGRAPH_SHARED is not set: Helicone's cases of headers are not compared");
            return;
        };
        let file = std::path::Path::new(&shared).join("helicone-cases/headers.json");
        let cases: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        for case in cases["cases"].as_array().unwrap() {
            let Some(parsed) = case["parsed"].as_object() else { continue };
            let pairs = case["headers"].as_object().unwrap().iter();
            let header = |(name, value): (&String, &serde_json::Value)| {
                Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value.as_str()?).ok()?))
            };
            let headers: HeaderMap = pairs.filter_map(header).collect();
            let (ours, told) = (handling(&headers), |name: &str| parsed.get(name).cloned().unwrap_or_default());
            let handler = told("tokenLimitExceptionHandler");
            assert_eq!(ours.too_long, handler.as_str().and_then(|text| text.parse().ok()), "{case}");
            assert_eq!(told("moderationsEnabled"), ours.guarding.moderation, "{case}");
            assert_eq!(told("promptSecurityEnabled"), ours.guarding.injection, "{case}");
            assert_eq!(!told("promptSecurityAdvanced").is_null(), ours.guarding.advanced, "{case}");
            let there = told("retryHeaders");
            match retries(&headers) {
                None => assert!(there.is_null(), "{case}"),
                // Named difference: what says false does not retry, where Helicone's presence alone turns it on.
                Some(ours) if there["enabled"] == false => assert_eq!(ours.tries, 1, "{case}"),
                Some(ours) => {
                    assert_eq!(there["retries"], ours.tries, "{case}");
                    assert_eq!(there["factor"].as_f64(), Some(ours.backoff.factor), "{case}");
                    assert_eq!(there["minTimeout"].as_f64(), Some(ours.backoff.min.as_secs_f64() * 1_000.0), "{case}");
                    assert_eq!(there["maxTimeout"].as_f64(), Some(ours.backoff.max.as_secs_f64() * 1_000.0), "{case}");
                }
            }
        }
    }

    #[test]
    fn helicones_headers_with_their_fixes() {
        for (headers, want) in [
            (&[][..], None),
            (&[("helicone-retry-num", "3")], None),
            (&[("helicone-retry-enabled", "true")], Some((5, 1_000, 10_000, 2.0))),
            (&[("helicone-retry-enabled", "false"), ("helicone-retry-num", "4")], Some((1, 1_000, 10_000, 2.0))),
            (
                &[
                    ("tachograph-retry-enabled", "true"),
                    ("helicone-retry-num", "3"),
                    ("helicone-retry-factor", "1.5"),
                    ("helicone-retry-min-timeout", "20"),
                    ("helicone-retry-max-timeout", "100"),
                ],
                Some((3, 20, 100, 1.5)),
            ),
            (
                &[
                    ("helicone-retry-enabled", "true"),
                    ("helicone-retry-num", "1e9"),
                    ("helicone-retry-min-timeout", "-1"),
                ],
                Some((10, 1_000, 10_000, 2.0)),
            ),
            (&[("helicone-retry-enabled", "true"), ("helicone-retry-num", "0")], Some((1, 1_000, 10_000, 2.0))),
        ] {
            assert_eq!(read(headers), want, "{headers:?}");
        }
    }
}
