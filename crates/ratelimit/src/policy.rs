//! Rate limit policies: the text of a `Helicone-RateLimit-Policy` header, read and written.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The shortest window, in seconds.
const SHORTEST: u64 = 60;
/// The longest window, in seconds: a year.
const LONGEST: u64 = 31_536_000;
/// Parts of one unit that a quota and a bucket's level are counted in.
pub(crate) const GRAINS: i64 = 1_000_000;
/// The largest quota that is told from a larger one, in grains: what Lua's numbers hold exactly.
const MOST_GRAINS: i64 = 1 << 52;

/// What a policy counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    /// Calls: one is taken before each.
    Request,
    /// US cents: what a call cost is taken after it, and may leave a debt.
    Cents,
    /// Tokens, in and out together: taken after the call, and may leave a debt.
    Tokens,
}

impl Unit {
    const ALL: [Self; 3] = [Self::Request, Self::Cents, Self::Tokens];

    /// Its name in a policy.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Cents => "cents",
            Self::Tokens => "tokens",
        }
    }
}

/// Whose bucket a call draws from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// One for the whole organisation.
    Global,
    /// One for each user.
    User,
    /// One for each API key.
    Key,
    /// One for each model.
    Model,
    /// One for each value of the property of this name, in lower case.
    Property(String),
}

impl Segment {
    fn named(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "user" => Self::User,
            "key" => Self::Key,
            "model" => Self::Model,
            other => Self::Property(other.to_owned()),
        }
    }

    /// Its name in a policy; none for the whole organisation.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Global => None,
            Self::User => Some("user"),
            Self::Key => Some("key"),
            Self::Model => Some("model"),
            Self::Property(name) => Some(name),
        }
    }
}

/// A policy: so much of a unit for each window, in a bucket that refills evenly.
///
/// ```
/// use tachograph_ratelimit::{Policy, Unit};
///
/// let policy: Policy = "1000;w=3600;u=request;s=User".parse()?;
/// assert_eq!((policy.unit(), policy.window_s()), (Unit::Request, 3600));
/// assert_eq!(policy.to_string(), "1000;w=3600;s=user", "the canonical text names no default");
/// # Ok::<(), tachograph_ratelimit::PolicyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    quota: String,
    grains: i64,
    window_s: u64,
    unit: Unit,
    segment: Segment,
}

/// Why a text is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PolicyError {
    /// Which part: `policy`, `quota` or `window`.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
    /// The part's text.
    pub value: String,
}

impl PolicyError {
    fn new(field: &'static str, message: impl Into<String>, value: &str) -> Self {
        Self { field, message: message.into(), value: value.to_owned() }
    }
}

impl Policy {
    /// How much fits into the bucket, as it was written.
    #[must_use]
    pub fn quota(&self) -> &str {
        &self.quota
    }

    /// How much fits into the bucket, in millionths of the unit, at least one. Above 4.5 × 10⁹ units all are alike.
    #[must_use]
    pub const fn capacity(&self) -> i64 {
        self.grains
    }

    /// In how many seconds an empty bucket is full again.
    #[must_use]
    pub const fn window_s(&self) -> u64 {
        self.window_s
    }

    /// What it counts.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// Whose bucket it is.
    #[must_use]
    pub const fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Reads several policies, separated by commas; those that are no policies are left out and told.
    pub fn several(text: &str) -> (Vec<Self>, Vec<PolicyError>) {
        let (mut policies, mut faults) = (Vec::new(), Vec::new());
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.parse::<Self>() {
                Ok(policy) if policies.contains(&policy) => {}
                Ok(policy) => policies.push(policy),
                Err(fault) => faults.push(fault),
            }
        }
        (policies, faults)
    }
}

impl fmt::Display for Policy {
    /// The canonical text: without the default unit, and with the segment in lower case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};w={}", self.quota, self.window_s)?;
        if self.unit != Unit::Request {
            write!(f, ";u={}", self.unit.code())?;
        }
        self.segment.name().map_or(Ok(()), |name| write!(f, ";s={name}"))
    }
}

impl FromStr for Policy {
    type Err = PolicyError;

    /// `quota;w=seconds`, then `;u=request|cents|tokens` and `;s=segment` where they are wanted, in this order.
    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let text = text.trim();
        let malformed = || {
            let message = "Invalid policy format. Expected \"[quota];w=[window]\" with optional \";u=[unit]\" and \";s=[segment]\"";
            PolicyError::new("policy", message, text)
        };
        let mut parts = text.split(';');
        let quota = parts.next().filter(|quota| is_decimal(quota)).ok_or_else(malformed)?;
        let window = parts.next().and_then(|part| value_of(part, "w")).ok_or_else(malformed)?;
        if window.is_empty() || !window.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed());
        }
        let (mut unit, mut segment) = (Unit::Request, Segment::Global);
        let mut rest = parts.next();
        if let Some(name) = rest.and_then(|part| value_of(part, "u")) {
            unit = Unit::ALL.into_iter().find(|unit| unit.code().eq_ignore_ascii_case(name)).ok_or_else(malformed)?;
            rest = parts.next();
        }
        if let Some(part) = rest {
            let name = value_of(part, "s").filter(|name| is_word(name)).ok_or_else(malformed)?;
            segment = Segment::named(name);
        }
        if parts.next().is_some() {
            return Err(malformed());
        }
        let (quota, grains) = read_quota(quota)?;
        let window_s = read_window(window)?;
        Ok(Self { quota, grains, window_s, unit, segment })
    }
}

/// `12` or `12.5`.
fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.').map_or_else(|| digits(text), |(whole, fraction)| digits(whole) && digits(fraction))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn value_of<'a>(part: &'a str, key: &str) -> Option<&'a str> {
    let (name, value) = part.split_once('=')?;
    name.eq_ignore_ascii_case(key).then_some(value)
}

/// The quota's shortest text, and its size in grains.
fn read_quota(text: &str) -> Result<(String, i64), PolicyError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    if whole.is_empty() && fraction.is_empty() {
        return Err(PolicyError::new("quota", "Quota must be a positive number", text));
    }
    let shortest = match (if whole.is_empty() { "0" } else { whole }, fraction) {
        (whole, "") => whole.to_owned(),
        (whole, fraction) => format!("{whole}.{fraction}"),
    };
    let millionths = format!("{whole}{fraction:0<6.6}").parse::<i64>().unwrap_or(MOST_GRAINS);
    Ok((shortest, millionths.clamp(1, MOST_GRAINS)))
}

fn read_window(text: &str) -> Result<u64, PolicyError> {
    match text.parse::<u64>() {
        Ok(window) if window < SHORTEST => {
            Err(PolicyError::new("window", format!("Window must be at least {SHORTEST} seconds"), text))
        }
        Ok(window) if window <= LONGEST => Ok(window),
        _ => Err(PolicyError::new("window", format!("Window cannot exceed {LONGEST} seconds (1 year)"), text)),
    }
}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotas_are_read_to_the_millionth_and_written_as_short_as_they_are() {
        for (text, shortest, grains) in [
            ("0010.50;w=60", "10.5;w=60", 10_500_000),
            ("0.125;w=60;u=cents", "0.125;w=60;u=cents", 125_000),
            ("0.00000001;w=60", "0.00000001;w=60", 1),
            ("99999999999999999999;w=60", "99999999999999999999;w=60", MOST_GRAINS),
        ] {
            let policy: Policy = text.parse().unwrap();
            assert_eq!((policy.to_string().as_str(), policy.capacity()), (shortest, grains));
        }
    }

    #[test]
    fn several_policies_stand_in_one_text_and_faulty_ones_fall_out() {
        let (policies, faults) = Policy::several("10;w=60, 500;w=3600;u=TOKENS;s=Model ,bad,, 10;w=60;u=request");
        assert_eq!(
            policies.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["10;w=60", "500;w=3600;u=tokens;s=model"]
        );
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].value, "bad");
    }

    #[test]
    fn parts_stand_in_their_order_or_not_at_all() {
        for text in [
            "",
            "1",
            "1;w=",
            "1;w=60;",
            "1;w=60;s=a;u=cents",
            "1;w=60;u=dollars",
            "1;w=60;s=",
            "1;w=6e1",
            "-1;w=60",
            "1.;w=60",
        ] {
            assert!(text.parse::<Policy>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_canonical_text_means_the_same(quota in 1_u64..1_000_000, window in 60_u64..31_536_000, unit in 0..3_usize, segment in "[a-z_-]{0,8}") {
            let segment = if segment.is_empty() { String::new() } else { format!(";s={segment}") };
            let policy: Policy = format!("{quota};w={window};u={}{segment}", Unit::ALL[unit].code()).parse().unwrap();
            prop_assert_eq!(policy.to_string().parse::<Policy>().unwrap(), policy);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<Policy>();
            let _ = Policy::several(&text);
        }
    }
}
