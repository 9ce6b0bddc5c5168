//! What decides between the prices of a model.

use tachograph_record::Timestamp;

/// What decides between the prices of a model: when, how and where it was served. Say what was *served*, not what was
/// asked for: a request for the priority tier that was answered at the standard one costs the standard price.
#[derive(Clone, Copy, Debug)]
pub struct PriceContext<'a> {
    /// When the request was made. Dated prices and off-peak hours go by it, in UTC.
    pub at: Timestamp,
    /// The service tier that served, in the provider's words: `default`, `flex`, `priority`. `None` is the standard one.
    pub service_tier: Option<&'a str>,
    /// Whether it was part of a batch.
    pub batch: bool,
    /// The region that served: `us`, `eu`, `us-east5`, `swedencentral`.
    pub region: Option<&'a str>,
    /// The kind of Azure deployment: `global`, `data_zone`, `regional`.
    pub deployment: Option<&'a str>,
    /// Whatever else a price list distinguishes: `size` and `quality` of an image, `resolution` of a video,
    /// `search_context_size`, Anthropic's `speed` and `inference_geo`.
    pub attributes: &'a [(&'a str, &'a str)],
}

impl PriceContext<'_> {
    /// A request at the standard tier, with nothing special about it.
    #[must_use]
    pub const fn at(at: Timestamp) -> Self {
        Self { at, service_tier: None, batch: false, region: None, deployment: None, attributes: &[] }
    }
}

/// Words for the standard tier.
const STANDARD: &[&str] = &["default", "standard", "auto", "on_demand", "standard_only"];

/// Tiers under the names by which price lists may know them, the likeliest first. Vertex tells the tier as traffic type.
const TIERS: &[(&str, &[&str])] = &[
    ("batches", &["batch"]),
    ("fast", &["fast", "priority"]),
    ("priority", &["priority", "fast"]),
    ("on_demand_priority", &["priority"]),
    ("on_demand_flex", &["flex"]),
];

impl<'a> PriceContext<'a> {
    /// The tiers whose prices come into question before the standard ones: a batch before the tier that was named.
    pub(crate) fn tiers(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let batch = self.batch.then_some("batch");
        let special = self.service_tier.filter(|tier| !STANDARD.iter().any(|word| word.eq_ignore_ascii_case(tier)));
        let known = special.and_then(|tier| TIERS.iter().find(|(word, _)| word.eq_ignore_ascii_case(tier)));
        let names: &'a [&'a str] = known.map_or(&[], |(_, names)| *names);
        let as_it_is = special.filter(|_| names.is_empty());
        batch.into_iter().chain(names.iter().copied()).chain(as_it_is)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_are_tried_in_order() {
        let tiers = |service_tier, batch| {
            let context = PriceContext { service_tier, batch, ..PriceContext::at(Timestamp::from_micros(0)) };
            context.tiers().collect::<Vec<_>>()
        };
        assert!(tiers(None, false).is_empty());
        assert_eq!(tiers(Some("flex"), false), ["flex"]);
        assert_eq!(tiers(Some("FAST"), false), ["fast", "priority"]);
        assert_eq!(tiers(Some("flex"), true), ["batch", "flex"]);
        assert_eq!(tiers(Some("ON_DEMAND_FLEX"), false), ["flex"]);
        assert!(tiers(Some("ON_DEMAND"), false).is_empty());
    }
}
