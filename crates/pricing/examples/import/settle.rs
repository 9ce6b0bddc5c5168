//! Where tables disagree: which value is taken, and why.
//!
//! The rules, the first that fits deciding; each is the reason that stands beside the conflict in the price file:
//!
//! 1. limits bill nothing, so the newer table's is as good as any;
//! 2. Amazon Bedrock bills the regional endpoints of Claude 4.5 and later at 1.1 times the global price; tables that list
//!    one price for both leave that out, however many they are;
//! 3. a table that stands alone against litellm and a further table is outvoted, even the most trusted one;
//! 4. else the most trusted table that has a value: those of November go before the snapshots of July and August, and
//!    between the two of November the one that cites the vendor's page and dates its prices goes first.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::points::PRECEDENCE;
use crate::row::{PricePoint, Row};

pub(crate) type Conflict = BTreeMap<String, Value>;

/// What is taken of a conflict, and why.
pub(crate) struct Settled {
    /// The source.
    pub(crate) source: String,
    /// Its value, as text.
    pub(crate) value: String,
    /// Why.
    pub(crate) reason: &'static str,
}

/// The tables that are as new as the set itself, the better first; and those that are not.
const CITING: &str = "genai-prices";
const OTHER_CURRENT: &str = "litellm";

/// A source's values, the first being the one of the model's plain key.
fn values_of(conflict: &Conflict) -> Vec<(&str, Vec<String>)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let values = conflict.get("values").and_then(Value::as_object).into_iter().flatten();
    let mut values: Vec<(&str, Vec<String>)> = values
        .map(|(source, value)| {
            (source.as_str(), value.as_array().map_or_else(|| vec![text(value)], |all| all.iter().map(text).collect()))
        })
        .collect();
    values.sort_by_key(|(source, _)| PRECEDENCE.iter().position(|held| held == source));
    values
}

/// Whether one price is about 1.1 times another.
fn is_tenth_above(dear: &str, cheap: &str) -> bool {
    let millionths = |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        format!("{whole}{:0<6}", fraction.get(..fraction.len().min(6)).unwrap_or("")).parse::<u64>().ok()
    };
    matches!((millionths(dear), millionths(cheap)), (Some(dear), Some(cheap)) if cheap > 0 && dear * 10 == cheap * 11)
}

/// What is taken of a conflict; `None` where it has no values.
pub(crate) fn settle(provider: &str, conflict: &Conflict) -> Option<Settled> {
    let values = values_of(conflict);
    let (source, own) = values.first()?;
    let value = own.first()?;
    let taken = |source: &str, value: &str, reason| {
        Some(Settled { source: source.to_owned(), value: value.to_owned(), reason })
    };
    if conflict.contains_key("field") {
        return taken(source, value, "a limit bills nothing; the newer table's");
    }
    let says = |source: &str, value: &String| values.iter().any(|(held, all)| *held == source && all.contains(value));
    let backers = |value: &String| values.iter().filter(|(_, all)| all.contains(value)).count();
    let rival = values.iter().find(|(held, _)| *held == OTHER_CURRENT).and_then(|(_, all)| all.first());
    if let (CITING, Some(rival)) = (*source, rival)
        && !says(OTHER_CURRENT, value)
    {
        if provider == "aws-bedrock" && is_tenth_above(value, rival) {
            return taken(
                source,
                value,
                "Bedrock bills regional endpoints of this family at 1.1 times the global price",
            );
        }
        if backers(value) == 1 && backers(rival) > 1 {
            return taken(OTHER_CURRENT, rival, "two tables or more agree against one");
        }
        let reason = if backers(value) > 1 {
            "two tables or more agree against one"
        } else {
            "both are of November; this one cites the vendor's page and dates its prices"
        };
        return taken(source, value, reason);
    }
    let agreeing = backers(value);
    let reason = match () {
        () if values.len() == 1 => "one table under two of its keys; the plain key's",
        () if agreeing == values.len() => "all tables have it; one has another under a second key",
        () if [CITING, OTHER_CURRENT, "azure-meters"].contains(source) => {
            "read in November; the other is an older snapshot"
        }
        () if agreeing > 1 => "two tables or more agree against one",
        () => "the newer of the older tables is less complete; the more trusted one's",
    };
    taken(source, value, reason)
}

/// Puts what was settled into the row's prices, where that is not what the set chose by precedence alone.
pub(crate) fn apply(row: &mut Row) {
    for conflict in &row.conflicts {
        let Some(settled) = settle(&row.provider, conflict).filter(|_| !conflict.contains_key("field")) else {
            continue;
        };
        let Some(key) = point(conflict, &settled) else { continue };
        let held = row.prices.iter_mut().find(|held| held.is_for_the_same(&key));
        if let Some(held) = held.filter(|held| !held.sources.contains(&settled.source)) {
            *held = key;
        }
    }
}

/// The price point that a settled conflict means.
fn point(conflict: &Conflict, settled: &Settled) -> Option<PricePoint> {
    let mut fields: serde_json::Map<String, Value> = conflict.clone().into_iter().collect();
    fields.remove("values");
    fields.insert("price".into(), settled.value.clone().into());
    fields.insert("sources".into(), vec![settled.source.clone()].into());
    serde_json::from_value(fields.into()).ok()
}
