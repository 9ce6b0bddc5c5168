//! What differs between two books.

use std::collections::{BTreeMap, BTreeSet};

use crate::Catalog;
use crate::book::{Model, Multiplier};

/// One model whose prices differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The provider's id.
    pub provider: String,
    /// The model's id.
    pub model: String,
    /// Whether the old book lists the model at all.
    pub is_new: bool,
    /// Whether the new book does not list it any more.
    pub is_gone: bool,
    /// What differs, by meter and condition. Of a model that is new or gone, all its prices.
    pub meters: Vec<MeterChange>,
}

/// One price that differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MeterChange {
    /// What the price is for, as in a price file (`cache_read`), or `multiplier`.
    pub meter: String,
    /// When it holds, in the words of [`Condition::label`](crate::Condition::label); empty for always.
    pub condition: String,
    /// The old price, as `3 per 1000000`, or the old factor; `None` where there was none.
    pub old: Option<String>,
    /// The new one; `None` where there is none any more.
    pub new: Option<String>,
}

/// The models whose prices differ, by provider and id. Aliases, limits and notes are no prices and do not count.
///
/// ```
/// use tachograph_pricing::{Catalog, compare};
///
/// assert!(compare(Catalog::embedded(), Catalog::embedded()).is_empty());
/// ```
#[must_use]
pub fn compare(old: &Catalog, new: &Catalog) -> Vec<Change> {
    let (old, new) = (listed(old), listed(new));
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).copied().collect();
    let change = |key: (&str, &str)| {
        let (before, after) = (old.get(&key).copied(), new.get(&key).copied());
        let meters = differences(before, after);
        let is_same = before.is_some() && after.is_some() && meters.is_empty();
        (!is_same).then(|| Change {
            provider: key.0.to_owned(),
            model: key.1.to_owned(),
            is_new: before.is_none(),
            is_gone: after.is_none(),
            meters,
        })
    };
    keys.into_iter().filter_map(change).collect()
}

fn listed(book: &Catalog) -> BTreeMap<(&str, &str), &Model> {
    book.models().map(|(provider, model)| ((&**provider.id(), &*model.id), &**model)).collect()
}

fn differences(old: Option<&Model>, new: Option<&Model>) -> Vec<MeterChange> {
    let (old, new) = (old.map(prices).unwrap_or_default(), new.map(prices).unwrap_or_default());
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let differ = |key: &(String, String)| {
        let (before, after) = (old.get(key).cloned(), new.get(key).cloned());
        let (meter, condition) = key.clone();
        (before != after).then_some(MeterChange { meter, condition, old: before, new: after })
    };
    keys.into_iter().filter_map(differ).collect()
}

/// Every price of a model by its meter and condition.
fn prices(model: &Model) -> BTreeMap<(String, String), String> {
    let rates = model.rates.iter().map(|rate| {
        let condition = model.condition_of(rate).map(crate::Condition::label).unwrap_or_default();
        let price = format!("{} per {}", rate.price.text, rate.price.per);
        ((rate.meter.key().to_owned(), condition), price)
    });
    let factors = model.multipliers.iter().map(|multiplier| {
        let factor = format!("x {}/{}", multiplier.numerator, multiplier.denominator);
        (("multiplier".to_owned(), place(multiplier)), factor)
    });
    rates.chain(factors).collect()
}

fn place(multiplier: &Multiplier) -> String {
    crate::Condition {
        regions: multiplier.regions.clone(),
        deployment: multiplier.deployment.clone(),
        attributes: multiplier.attributes.clone(),
        ..crate::Condition::default()
    }
    .label()
}
