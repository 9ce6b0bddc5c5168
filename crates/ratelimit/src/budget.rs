//! Budgets: an amount of money for a scope and a period, and what happens when it is used up.

mod period;
mod scope;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tachograph_record::{Money, Timestamp};

pub use period::{Period, Span};
pub use scope::{Scope, Selector};

use crate::Subject;
use crate::ledger::Want;

/// What every backend counts exactly, in whole numbers.
const LARGEST: Money = Money::from_atto(9_000_000_000 * 1_000_000_000_000_000_000);

/// A budget, as the configuration and the API write it.
///
/// ```
/// use tachograph_ratelimit::Budget;
///
/// let text = r#"{ "scope": { "property": "Department" }, "amount": "5.00", "period": "day", "on_exceed": "block" }"#;
/// let budget: Budget = serde_json::from_str(text)?;
/// assert_eq!(budget.name(), "5 USD a day for each department");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Its name on records and in events; absent, a description of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Whose calls count, and whether each value has a budget of its own.
    #[serde(default)]
    pub scope: Scope,
    /// How much, in USD. Zero is a budget: it lets nothing through that could cost anything.
    pub amount: Money,
    /// For how long.
    pub period: Period,
    /// Where days begin and weeks and months with them: an IANA time zone.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// What happens to a call that could cost more than is left.
    #[serde(default)]
    pub on_exceed: OnExceed,
    /// Percentages of the amount at which an event is told.
    #[serde(default = "usual_thresholds")]
    pub thresholds: Vec<u32>,
    /// Whether a call that does not fit is given a shorter longest answer, so that it does, before it is refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shrink_to_fit: bool,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn usual_thresholds() -> Vec<u32> {
    vec![50, 80, 100]
}

/// What happens to a call that could cost more than is left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExceed {
    /// It is refused.
    #[default]
    Block,
    /// It is served by this model instead.
    Downgrade(String),
    /// It is served, and a warning is told.
    Warn,
}

/// A budget's account for one call.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    pub(crate) budget: Arc<Budget>,
    /// `organisation`, `user:alice`.
    pub(crate) shown: String,
    pub(crate) want: Want,
    pub(crate) span: Span,
}

impl Budget {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        self.name
            .clone()
            .unwrap_or_else(|| format!("{} USD {} for {}", self.amount, self.period.shown(), self.scope.shown()))
    }

    /// What cannot be told from its form: whether the time zone and the period are there, and the amount can be spent.
    ///
    /// # Errors
    /// With the field that is at fault and why.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.amount < Money::ZERO {
            return Err(("amount", "an amount of 0 or more US dollars".to_owned()));
        }
        if self.amount > LARGEST {
            return Err(("amount", "at most 9e9 US dollars".to_owned()));
        }
        if let Some(zone) = self.zone().err() {
            return Err(("time_zone", zone));
        }
        if let OnExceed::Downgrade(model) = &self.on_exceed
            && model.trim().is_empty()
        {
            return Err(("on_exceed", "name the model to downgrade to".to_owned()));
        }
        self.period.check().map_err(|why| ("period", why))
    }

    /// Whether both count in the same accounts.
    #[must_use]
    pub fn is_same_account(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    fn zone(&self) -> Result<jiff::tz::TimeZone, String> {
        jiff::tz::TimeZone::get(&self.time_zone)
            .map_err(|_| format!("{:?} is no time zone such as \"Europe/Berlin\" or \"UTC\"", self.time_zone))
    }

    /// The period that a moment lies in.
    #[must_use]
    pub fn span(&self, at: Timestamp) -> Span {
        self.period.span(at, &self.zone().unwrap_or(jiff::tz::TimeZone::UTC))
    }

    /// The share of a call in this budget; `None` where the call is not in its scope.
    pub(crate) fn share(self: &Arc<Self>, subject: &Subject<'_>, at: Timestamp) -> Option<Share> {
        let values = self.scope.values(subject)?;
        let span = self.span(at);
        Some(self.share_of(subject.org, &values, span))
    }

    pub(crate) fn share_of(self: &Arc<Self>, org: &str, values: &[(String, String)], span: Span) -> Share {
        use std::fmt::Write as _;
        let mut key = format!("b:{}:{}:{}", crate::subject::value(org), self.identity(), span.start_s);
        let mut shown = String::new();
        for (name, value) in values {
            let _ = write!(key, ":{name}={}", crate::subject::value(value));
            let _ = write!(shown, "{}{name}:{value}", if shown.is_empty() { "" } else { ", " });
        }
        if shown.is_empty() {
            shown.push_str("organisation");
        }
        let holds = self.on_exceed == OnExceed::Block;
        let want = Want { key: key.into(), limit: self.amount.atto(), slots: span.slots, holds, ends_s: span.gone_s };
        Share { budget: self.clone(), shown, want, span }
    }

    /// What tells its accounts from another budget's: scope, period, zone, name and what it does, but not the amount, so
    /// that a budget that is raised keeps what was spent.
    fn identity(&self) -> String {
        let does = match self.on_exceed {
            OnExceed::Block => "",
            OnExceed::Downgrade(_) => "/downgrade",
            OnExceed::Warn => "/warn",
        };
        let name = self.name.as_deref().map(|name| format!("/{}", crate::subject::value(name))).unwrap_or_default();
        let zone = crate::subject::value(&self.time_zone);
        format!("{}/{}/{zone}{does}{name}", self.scope.identity(), self.period)
    }
}
