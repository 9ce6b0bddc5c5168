//! What a call cost, line by line.

use serde::{Deserialize, Serialize};

use crate::Money;

/// Whether a call's cost is known. Unknown is never a zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum CostState {
    /// Known exactly: list price × quantity.
    Priced(Box<Cost>),
    /// There is usage, but no price for the model.
    UnknownModel,
    /// The provider told no usage; where nothing was served, nothing was used.
    #[default]
    NoUsage,
    /// The provider's numbers contradict themselves.
    InvalidUsage {
        /// What is wrong with them.
        why: String,
    },
}

impl CostState {
    /// The state's stable name: `priced`, `unknown_model`, `no_usage`, `invalid_usage`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Priced(_) => "priced",
            Self::UnknownModel => "unknown_model",
            Self::NoUsage => "no_usage",
            Self::InvalidUsage { .. } => "invalid_usage",
        }
    }

    /// The cost, where it is known.
    #[must_use]
    pub fn total(&self) -> Option<Money> {
        match self {
            Self::Priced(cost) => Some(cost.total),
            Self::UnknownModel | Self::NoUsage | Self::InvalidUsage { .. } => None,
        }
    }
}

/// A known cost and its working: the lines add up to the total.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// The sum of the lines.
    pub total: Money,
    /// One line for each meter that was used.
    pub lines: Vec<CostLine>,
    /// The provider whose price list was used.
    pub provider: String,
    /// The model of that list.
    pub model: String,
    /// The rule by which the model's name was found there.
    pub matched_by: String,
    /// The version of the price book: a digest of its files.
    pub price_version: String,
    /// Whether the usage was estimated, and the cost with it.
    #[serde(default)]
    pub estimated: bool,
    /// What a careful reader should know about this figure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Quantity × price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostLine {
    /// What was counted: `input_tokens`, `cache_read_tokens`, `web_searches`.
    pub meter: String,
    /// How many, as a decimal.
    pub quantity: String,
    /// The list price in USD for `per` of them.
    pub price: String,
    /// How many the price is for.
    pub per: u64,
    /// The line's amount in USD.
    pub amount: Money,
    /// False where the amount is no whole number of atto-dollars and was rounded, half to even.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub exact: bool,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_true(exact: &bool) -> bool {
    *exact
}
