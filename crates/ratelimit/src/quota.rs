//! What a limit tells its callers in headers.

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::bucket::{Shape, seconds_to, seconds_to_full};
use crate::policy::{GRAINS, Policy, Unit};

const LIMIT: HeaderName = HeaderName::from_static("helicone-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("helicone-ratelimit-remaining");
const POLICY: HeaderName = HeaderName::from_static("helicone-ratelimit-policy");
const RESET: HeaderName = HeaderName::from_static("helicone-ratelimit-reset");
const ERROR: HeaderName = HeaderName::from_static("x-helicone-error");
/// Where Helicone's clients are sent to read about limits.
const DOCS: &str = "https://docs.helicone.ai/features/advanced-usage/custom-rate-limits";

/// How a policy's bucket stands for a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The policy's canonical text.
    pub policy: String,
    /// What fits in, in whole units.
    pub limit: String,
    /// What is left, in whole units, rounded down; never negative.
    pub remaining: i64,
    /// Seconds until it is full again.
    pub reset_s: u64,
    /// Seconds until a call is let through again, where none is now.
    pub retry_s: Option<u64>,
}

impl Quota {
    pub(crate) fn of(policy: &Policy, shape: Shape, level: i64, denied: bool) -> Self {
        let needed: i64 = if policy.unit() == Unit::Request { GRAINS } else { 1 };
        let missing = needed.saturating_sub(level);
        Self {
            policy: policy.to_string(),
            limit: policy.quota().to_owned(),
            remaining: level.div_euclid(GRAINS).max(0),
            reset_s: seconds_to_full(shape, level),
            retry_s: denied.then(|| seconds_to(shape, missing).max(1)),
        }
    }

    /// Writes the headers that Helicone's clients read.
    pub fn write(&self, headers: &mut HeaderMap) {
        for (name, text) in [(LIMIT, &self.limit), (POLICY, &self.policy)] {
            if let Ok(value) = HeaderValue::try_from(text.as_str()) {
                headers.insert(name, value);
            }
        }
        headers.insert(REMAINING, HeaderValue::from(self.remaining));
        if self.reset_s > 0 {
            headers.insert(RESET, HeaderValue::from(self.reset_s));
        }
        if let Some(after) = self.retry_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(after));
            headers.insert(ERROR, HeaderValue::from_static("rate_limited"));
        }
    }

    /// What a caller who is refused reads.
    #[must_use]
    pub fn refusal(&self) -> String {
        let (policy, after) = (&self.policy, self.retry_s.unwrap_or(1));
        format!("Rate limited by the Helicone-RateLimit-Policy {policy:?}; try again in {after} s. See {DOCS}")
    }
}
