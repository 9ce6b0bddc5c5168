//! Limits and budgets, as they are configured.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tachograph_ratelimit::{Budget, OnUnavailable, Policy};
use tachograph_record::Money;

use super::{Fault, Secret, Span};

/// Limits.
#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Where they are kept: `memory`, `redis://…`, or `postgres`, which is the store's server; it may hold a password.
    pub backend: Secret,
    /// Policies that hold for every call, in the grammar of `Helicone-RateLimit-Policy`.
    pub policies: Vec<Policy>,
    /// What happens while a shared backend does not answer.
    pub on_unavailable: OnUnavailable,
    /// How long a call waits for a shared backend at most.
    pub timeout: Span,
    /// How long what a gateway holds of a budget stays held after it was last heard of.
    pub lease: Span,
    /// What is reserved in budgets for a call whose cost has no bound: images, sound, models without a price. In USD.
    pub ceiling: Money,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            backend: Secret::from("memory"),
            policies: Vec::new(),
            on_unavailable: OnUnavailable::default(),
            timeout: Duration::from_millis(50).into(),
            lease: Duration::from_secs(30).into(),
            ceiling: Money::from_atto(100_000_000_000_000_000),
        }
    }
}

/// What happens to a call under a budget whose model has no price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownModel {
    /// It is served; its cost stays unknown, which its record and the counters say.
    #[default]
    Allow,
    /// It is refused.
    Block,
    /// It is served, and `limits.ceiling` is counted for it.
    Reserve,
}

pub(super) fn check(limits: &LimitsConfig, budgets: &[Budget], faults: &mut Vec<Fault>) {
    let mut fault = |path: String, message: String| faults.push(Fault { path, message });
    let scheme = limits.backend.expose().split(':').next().unwrap_or_default();
    if !matches!(scheme, "memory" | "redis" | "rediss" | "postgres") {
        fault("limits.backend".to_owned(), "not memory, redis://… or postgres".to_owned());
    }
    if limits.ceiling < Money::ZERO {
        fault("limits.ceiling".to_owned(), "an amount of 0 or more US dollars".to_owned());
    }
    if limits.lease.duration() < Duration::from_secs(1) {
        fault("limits.lease".to_owned(), "a lease of 1s or more".to_owned());
    }
    for (at, budget) in budgets.iter().enumerate() {
        if let Err((field, why)) = budget.check() {
            fault(format!("budgets[{at}].{field}"), why);
        }
        if budgets[..at].iter().any(|other| other.is_same_account(budget)) {
            let message = "another budget has the same scope, period and name; give one of them a name".to_owned();
            fault(format!("budgets[{at}]"), message);
        }
    }
}
