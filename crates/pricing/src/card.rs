//! Prices that are given with the usage instead of coming from the book.

use std::collections::BTreeMap;

use serde::Deserialize;
use tachograph_record::{CostState, UsageReading};

use crate::PriceContext;
use crate::book::{Condition, Decimal, Model, Price, PriceMeter, Rate};
use crate::engine::{self, Header};

/// A handful of prices, by meter: a customer's contract, a test's own numbers. Usage is billed by the same rules as
/// with the book: leaves roll up to their nearest priced ancestor, thresholds hold for the whole request. What is not on
/// the card is not charged: an empty card is that of a free model.
///
/// ```
/// use tachograph_pricing::{Card, PriceContext};
/// use tachograph_record::{Leaf, Timestamp, Usage, UsageReading};
///
/// let card: Card = serde_json::from_str(r#"{
///     "input_tokens": { "per": 1000000, "base": "2", "tiers": [{ "above_input_tokens": 199999, "price": "4" }] },
///     "output_tokens": { "per": 1000000, "price": "6" }
/// }"#).unwrap();
/// let usage = UsageReading::Known(Usage::reported([(Leaf::INPUT, 200_000), (Leaf::REASONING, 1000)]));
/// let cost = card.cost("acme", "m", &usage, &PriceContext::at(Timestamp::now()));
/// assert_eq!(cost.total().unwrap().to_string(), "0.806");
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "BTreeMap<String, Entry>")]
pub struct Card {
    model: Model,
    unknown: Vec<String>,
}

/// Why a card cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("price card: `{meter}`: {why}")]
pub struct CardError {
    /// The meter whose price is wrong.
    pub meter: String,
    /// What is wrong with it.
    pub why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default = "million")]
    per: u64,
    #[serde(alias = "base")]
    price: String,
    #[serde(default)]
    tiers: Vec<Tier>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tier {
    above_input_tokens: u64,
    price: String,
}

fn million() -> u64 {
    1_000_000
}

/// What a cost by a card says instead of a matching rule and a version of the book.
const BY_CARD: &str = "price_card";

impl Card {
    /// The cost of a reading at the card's prices. `provider` and `model` only go onto the result.
    #[must_use]
    pub fn cost(&self, provider: &str, model: &str, reading: &UsageReading, context: &PriceContext<'_>) -> CostState {
        let usage = match reading {
            UsageReading::Known(usage) => usage,
            UsageReading::Absent => return CostState::NoUsage,
            UsageReading::Invalid(why) => return CostState::InvalidUsage { why: why.clone() },
        };
        let header = Header { provider, model, matched_by: BY_CARD, price_version: BY_CARD, discount: None };
        let mut cost = engine::bill(&self.model, usage, context, &header);
        if let CostState::Priced(cost) = &mut cost {
            cost.warnings
                .extend(self.unknown.iter().map(|meter| format!("the price card's `{meter}` is no known meter")));
        }
        cost
    }
}

impl TryFrom<BTreeMap<String, Entry>> for Card {
    type Error = CardError;

    fn try_from(entries: BTreeMap<String, Entry>) -> Result<Self, CardError> {
        let mut conditions = vec![Condition::default()];
        let mut rates = Vec::new();
        let mut unknown = Vec::new();
        for (name, entry) in entries {
            let Some(meter) = PriceMeter::from_name(&name) else {
                unknown.push(name);
                continue;
            };
            let fault = |why: &str| CardError { meter: name.clone(), why: why.to_owned() };
            if entry.per == 0 {
                return Err(fault("`per` is 0"));
            }
            let base = (None, entry.price);
            let tiers = entry.tiers.into_iter().map(|tier| (Some(tier.above_input_tokens), tier.price));
            for (over_input, price) in std::iter::once(base).chain(tiers) {
                let condition = Condition { over_input, ..Condition::default() };
                let at = conditions.iter().position(|held| *held == condition).unwrap_or_else(|| {
                    conditions.push(condition);
                    conditions.len() - 1
                });
                let price = Decimal::parse(&price).map_err(|why| fault(&format!("the price {price:?} {why}")))?;
                let condition = u32::try_from(at).map_err(|_| fault("too many tiers"))?;
                rates.push(Rate { meter, condition, price: Price::new(price, entry.per) });
            }
        }
        Ok(Self { model: Model::new(conditions, rates), unknown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_price() {
        for (card, why) in [
            (r#"{"input_tokens":{"per":1000000,"price":"1e-6"}}"#, "exponent"),
            (r#"{"input_tokens":{"per":0,"price":"1"}}"#, "`per` is 0"),
            (r#"{"input_tokens":{"per":1,"price":"-1"}}"#, "negative"),
            (r#"{"input_tokens":{"per":1,"price":0.1}}"#, "string"),
            (r#"{"input_tokens":{"per":1,"prize":"1"}}"#, "unknown field"),
        ] {
            let error = serde_json::from_str::<Card>(card).unwrap_err().to_string();
            assert!(error.contains(why), "{card}: {error}");
        }
    }
}
