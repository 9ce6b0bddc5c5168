//! Sizes and spans of time, as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of bytes: `4MiB`, `512KiB`, `1GB`, `1000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(u64);

/// A span of time: `200ms`, `5s`, `10m`, `12h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(Duration);

const SIZES: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];
const SPANS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl ByteSize {
    /// So many MiB.
    #[must_use]
    pub const fn mebibytes(count: u32) -> Self {
        Self((count as u64) << 20)
    }

    /// The size in bytes, as far as this machine can address.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Span {
    /// The span.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

/// Splits `4MiB` into a whole number and its unit's factor.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

impl FromStr for ByteSize {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.parse().ok();
        plain.or_else(|| with_unit(text, &SIZES)).map(Self).ok_or("not a size such as 4MiB, 512KiB or 1000 (bytes)")
    }
}

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        with_unit(text, &SPANS)
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or("not a span such as 200ms, 5s, 10m, 12h or 7d")
    }
}

/// The largest unit in which the number is whole.
fn write_with_unit(f: &mut fmt::Formatter<'_>, number: u64, units: &[(&str, u64)]) -> fmt::Result {
    let fits = |factor: u64| number >= factor && number.is_multiple_of(factor);
    let best = units.iter().filter(|(_, factor)| fits(*factor)).max_by_key(|(_, factor)| *factor);
    let (name, factor) = best.copied().unwrap_or(units[0]);
    write!(f, "{}{name}", number / factor)
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { f.write_str("0") } else { write_with_unit(f, self.0, &SIZES) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_with_unit(f, u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), &SPANS)
    }
}

macro_rules! as_text {
    ($name:ident, $expecting:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(|fault| E::custom(format_args!("{text:?} is {fault}")))
                    }
                    fn visit_u64<E: de::Error>(self, number: u64) -> Result<$name, E> {
                        self.visit_str(&number.to_string())
                    }
                }
                deserializer.deserialize_any(Text)
            }
        }
    };
}

as_text!(ByteSize, "a size such as 4MiB");
as_text!(Span, "a span of time such as 5s");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_round_trip() {
        for (text, bytes) in [("4MiB", 4 << 20), ("512KiB", 512 << 10), ("1GB", 1_000_000_000), ("7B", 7)] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, text));
        }
        for (text, millis) in [("200ms", 200), ("5s", 5_000), ("90s", 90_000), ("7d", 604_800_000)] {
            let span: Span = text.parse().unwrap();
            assert_eq!((span.duration(), span.to_string().as_str()), (Duration::from_millis(millis), text));
        }
    }

    #[test]
    fn what_has_no_unit_or_no_number_is_refused() {
        for text in ["", "5", "s", "-5s", "5 weeks", "1.5s", "99999999999999999999d"] {
            assert!(text.parse::<Span>().is_err(), "{text:?}");
        }
        for text in ["", "MiB", "4mib", "-1", "99999999999GiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text:?}");
        }
    }
}
