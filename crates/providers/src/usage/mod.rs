//! From a provider's usage object to disjoint leaves, and back.
//!
//! Providers agree on nothing: OpenAI's `prompt_tokens` contain the cached ones and Anthropic's `input_tokens` do not,
//! most count reasoning inside the output and some beside it, the same number goes by five names. What each shape does
//! is a row of a table (`shape.rs`); the arithmetic that makes leaves of it is one function (`settle.rs`).
//!
//! ```
//! use serde_json::json;
//! use tachograph_providers::usage::{ApiShape, normalize};
//!
//! let openai = json!({"prompt_tokens": 100, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 40}});
//! let anthropic = json!({"input_tokens": 60, "cache_read_input_tokens": 40, "output_tokens": 9});
//! assert_eq!(
//!     normalize(ApiShape::OpenAiChat, "openai", &openai),
//!     normalize(ApiShape::AnthropicMessages, "anthropic", &anthropic),
//! );
//! ```
//!
//! Counts that cannot be (negative, more cached than read, not a number) are an error that names the field, never a
//! smaller number.

mod node;
mod number;
mod settle;
mod shape;
mod totals;
mod write;

use std::fmt;

use serde_json::Value;
use tachograph_record::{Money, Usage, UsageReading};

use node::Node;
pub use shape::ApiShape;
pub use totals::{Totals, totals};
pub(crate) use write::{anthropic_usage, converse_usage, gemini_usage, openai_usage, responses_usage};

/// Why there is no usage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageError {
    /// The provider said nothing about it.
    NoUsage,
    /// The provider said what cannot be.
    Invalid {
        /// The field at fault, as a path.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUsage => f.write_str("no usage was reported"),
            Self::Invalid { field, why } => write!(f, "{field} {why}"),
        }
    }
}

impl std::error::Error for UsageError {}

/// The usage that a provider's usage object reports. `provider` may be empty; it only decides what the numbers
/// themselves leave open.
///
/// # Errors
///
/// If the object reports nothing, or numbers that cannot be.
pub fn normalize(shape: ApiShape, provider: &str, usage: &Value) -> Result<Usage, UsageError> {
    leaves(shape, provider, &Node::from(usage))
}

fn leaves(shape: ApiShape, provider: &str, usage: &Node<'_>) -> Result<Usage, UsageError> {
    let row = shape::row(shape, usage);
    let read = settle::Counts::read(row, usage)?;
    settle::settle(row, provider, usage, &read)
}

/// [`normalize`] as a [`UsageReading`]; null and absence are alike.
pub(crate) fn reading(shape: ApiShape, usage: &Value) -> UsageReading {
    reading_of(shape, &Node::from(usage))
}

/// What a usage object says, read from its text.
pub(crate) struct Told {
    pub(crate) usage: UsageReading,
    /// What the provider says it charges.
    pub(crate) cost: Option<Money>,
    /// The service tier, which some name here.
    pub(crate) service_tier: Option<String>,
}

/// Reads a usage object's text; an empty one says nothing.
pub(crate) fn told(shape: ApiShape, text: &[u8]) -> Told {
    let usage = Node::read(text);
    Told {
        usage: if text.is_empty() { UsageReading::Absent } else { reading_of(shape, &usage) },
        cost: cost_of(&usage),
        service_tier: usage.get("service_tier").and_then(Node::as_str).map(str::to_owned),
    }
}

fn reading_of(shape: ApiShape, usage: &Node<'_>) -> UsageReading {
    match leaves(shape, "", usage) {
        Ok(usage) => UsageReading::Known(usage),
        Err(UsageError::NoUsage) => UsageReading::Absent,
        Err(error) => UsageReading::Invalid(error.to_string()),
    }
}

/// What a provider's usage object says the call costs, where it says so: OpenRouter's `cost`, Perplexity's
/// `cost.total_cost`, xAI's `cost_in_usd_ticks` (10⁻¹⁰ USD).
#[must_use]
pub fn reported_cost(usage: &Value) -> Option<Money> {
    cost_of(&Node::from(usage))
}

fn cost_of(usage: &Node<'_>) -> Option<Money> {
    const ATTO_PER_TICK: i128 = 100_000_000;
    if let Some(ticks) = usage.get("cost_in_usd_ticks").and_then(Node::as_u64) {
        return Some(Money::from_atto(i128::from(ticks) * ATTO_PER_TICK));
    }
    let cost = match usage.get("cost")? {
        parts @ Node::Object(_) => parts.get("total_cost")?,
        cost => cost,
    };
    let dollars = match (cost.as_u64(), cost.as_f64()) {
        (Some(whole), _) => whole.to_string(),
        // Rust writes the shortest decimal that gives the same float, and never an exponent: the digits that were sent.
        (None, Some(fraction)) => fraction.to_string(),
        (None, None) => return None,
    };
    dollars.parse().ok().filter(|money| *money >= Money::ZERO)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn providers_own_prices_are_exact() {
        let cost = |usage: Value| reported_cost(&usage).map(|money| money.to_string());
        assert_eq!(cost(json!({"cost": 6e-8})).as_deref(), Some("0.00000006"));
        assert_eq!(cost(json!({"cost": 0})).as_deref(), Some("0"));
        assert_eq!(cost(json!({"cost": {"total_cost": 0.00512}})).as_deref(), Some("0.00512"));
        assert_eq!(cost(json!({"cost_in_usd_ticks": 10_234_000})).as_deref(), Some("0.0010234"));
        assert_eq!(cost(json!({"cost": null})), None);
        assert_eq!(cost(json!({"cost": -1.5})), None);
    }
}
