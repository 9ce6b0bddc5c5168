//! The `retries` branch.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};
use tachograph_routing::{Backoff, Route};

use super::{Config, Fault, Span};

/// How often a target is asked, and when again.
#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetriesConfig {
    /// How often each target may be asked for one call, the first time included.
    #[serde(deserialize_with = "number")]
    pub max_attempts: u32,
    /// How long to wait in between.
    pub backoff: BackoffConfig,
    /// How many of a hundred calls may cause a further try, all calls together.
    #[serde(deserialize_with = "number")]
    pub budget_percent: u32,
}

impl Default for RetriesConfig {
    fn default() -> Self {
        Self { max_attempts: 2, backoff: BackoffConfig::default(), budget_percent: 10 }
    }
}

/// Waits that grow.
#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackoffConfig {
    /// Before the second try.
    pub min: Span,
    /// The longest; a provider that asks for more is not asked again for this call.
    pub max: Span,
    /// How much longer each wait is than the one before.
    #[serde(deserialize_with = "number")]
    pub factor: f64,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self { min: Duration::from_millis(200).into(), max: Duration::from_secs(5).into(), factor: 2.0 }
    }
}

impl BackoffConfig {
    /// As the routing machines take it.
    #[must_use]
    pub fn backoff(&self) -> Backoff {
        Backoff { min: self.min.duration(), max: self.max.duration(), factor: self.factor }
    }
}

/// What is wrong with `retries` and `routes`.
pub(super) fn check(config: &Config, faults: &mut Vec<Fault>) {
    let mut fault = |path: String, message: &str| faults.push(Fault { path, message: message.to_owned() });
    let RetriesConfig { max_attempts, backoff, .. } = &config.retries;
    if !(1..=10).contains(max_attempts) {
        fault("retries.max_attempts".to_owned(), "from 1, which never tries again, to 10");
    }
    if backoff.min.duration() > backoff.max.duration() {
        fault("retries.backoff.max".to_owned(), "less than retries.backoff.min");
    }
    if !(1.0..=100.0).contains(&backoff.factor) {
        fault("retries.backoff.factor".to_owned(), "from 1 to 100");
    }
    for (name, route) in &config.routes {
        if name.contains(',') || name.starts_with('!') || name.trim().is_empty() {
            fault(format!("routes.{name}"), "a name with a comma or a leading ! is a chain, not a model's name");
        }
        for (key, message) in route.faults() {
            fault(format!("routes.{name}.{key}"), &message);
        }
        // A route of routes could go round in circles; a target that is called like its own route means the model.
        let is_route = |model: &&str| *model != name && !model.contains('*') && config.routes.contains_key(*model);
        if let Some(other) = Route::models(route).find(is_route) {
            fault(format!("routes.{name}.targets"), &format!("{other:?} is a route too; name models here"));
        }
    }
}

/// A number, or the text of one, as environment variables bring it.
fn number<'de, D, N>(deserializer: D) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: std::str::FromStr,
{
    struct Number<N>(std::marker::PhantomData<N>);
    impl<N: std::str::FromStr> de::Visitor<'_> for Number<N> {
        type Value = N;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<N, E> {
            text.trim().parse().map_err(|_| E::custom(format_args!("{text:?} is not a number that fits here")))
        }
        fn visit_u64<E: de::Error>(self, number: u64) -> Result<N, E> {
            self.visit_str(&number.to_string())
        }
        fn visit_i64<E: de::Error>(self, number: i64) -> Result<N, E> {
            self.visit_str(&number.to_string())
        }
        fn visit_f64<E: de::Error>(self, number: f64) -> Result<N, E> {
            self.visit_str(&number.to_string())
        }
    }
    deserializer.deserialize_any(Number(std::marker::PhantomData))
}
