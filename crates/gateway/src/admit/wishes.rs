//! What a caller wants done if its call fails, as headers tell it.

use std::time::Duration;

use http::HeaderMap;
use tachograph_routing::Backoff;

use crate::call::Retries;

/// Nobody is helped by more.
const MOST_TRIES: u32 = 10;
const LONGEST_WAIT: f64 = 60_000.0;

/// How often a call is to be tried: `Helicone-Retry-Enabled`, and `helicone-retry-num` (all tries, the first included),
/// `-factor`, `-min-timeout` and `-max-timeout` (ms). `true` turns repetitions on; `false`, `0` and `no` turn all of them
/// off, also those of the configuration. What cannot be read counts as absent.
pub(super) fn retries(headers: &HeaderMap) -> Option<Retries> {
    let text = |name: &str| {
        let value = ["helicone-", "tachograph-"].iter().find_map(|prefix| headers.get(format!("{prefix}{name}")))?;
        value.to_str().ok().map(str::trim)
    };
    let number = |name: &str| text(name)?.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let enabled = text("retry-enabled")?;
    let ms =
        |name: &str, usual: f64| Duration::from_secs_f64(number(name).unwrap_or(usual).min(LONGEST_WAIT) / 1_000.0);
    let is_off = ["false", "0", "no", ""].iter().any(|off| enabled.eq_ignore_ascii_case(off));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and ten")]
    let tries = number("retry-num").unwrap_or(5.0).clamp(1.0, f64::from(MOST_TRIES)) as u32;
    let backoff = Backoff {
        min: ms("retry-min-timeout", 1_000.0),
        max: ms("retry-max-timeout", 10_000.0),
        factor: number("retry-factor").unwrap_or(2.0),
    };
    Some(Retries { tries: if is_off { 1 } else { tries }, backoff })
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn read(pairs: &[(&'static str, &'static str)]) -> Option<(u32, u128, u128, f64)> {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let found = retries(&pairs.iter().map(header).collect())?;
        Some((found.tries, found.backoff.min.as_millis(), found.backoff.max.as_millis(), found.backoff.factor))
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
