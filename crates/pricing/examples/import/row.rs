//! A row of the source tables.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub(crate) struct Row {
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) mode: Option<String>,
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) prices: Vec<PricePoint>,
    #[serde(default)]
    pub(crate) multipliers: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) dates: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) conflicts: Vec<BTreeMap<String, Value>>,
    pub(crate) sources: Vec<String>,
    #[serde(default)]
    pub(crate) source_ids: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(crate) price_pages: Vec<String>,
    #[serde(default)]
    pub(crate) notes: Vec<String>,
}

#[derive(Default, Deserialize)]
pub(crate) struct Limits {
    pub(crate) context_window: Option<u64>,
    pub(crate) max_input_tokens: Option<u64>,
    pub(crate) max_output_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PricePoint {
    pub(crate) meter: String,
    pub(crate) per: u64,
    pub(crate) price: String,
    pub(crate) service_tier: Option<String>,
    pub(crate) above_input_tokens: Option<u64>,
    pub(crate) above_seconds: Option<u64>,
    pub(crate) region: Option<String>,
    pub(crate) deployment: Option<String>,
    #[serde(default)]
    pub(crate) variant: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) when: BTreeMap<String, String>,
    pub(crate) time_window: Option<Value>,
    pub(crate) effective_from: Option<String>,
    pub(crate) effective_until: Option<String>,
    pub(crate) sources: Vec<String>,
}

impl PricePoint {
    /// Whether two points are prices of the same meter under the same conditions.
    pub(crate) fn is_for_the_same(&self, other: &Self) -> bool {
        self.meter == other.meter
            && self.per == other.per
            && self.service_tier == other.service_tier
            && self.above_input_tokens == other.above_input_tokens
            && self.above_seconds == other.above_seconds
            && self.region == other.region
            && self.deployment == other.deployment
            && self.variant == other.variant
            && self.when == other.when
            && self.time_window == other.time_window
            && self.effective_from == other.effective_from
            && self.effective_until == other.effective_until
    }
}

/// The sources' tags with what stood behind them, and the day of the tables.
pub(crate) struct Versions {
    pub(crate) at: String,
    pub(crate) by_tag: BTreeMap<String, String>,
}

pub(crate) fn versions(source: &Path) -> Result<Versions, Box<dyn Error>> {
    let index: Value = serde_json::from_str(&std::fs::read_to_string(source.join("index.json"))?)?;
    let at = index["as_of"].as_str().unwrap_or_default().to_owned();
    let tags = index["generated_from"].as_object().into_iter().flatten();
    let by_tag = tags.map(|(tag, text)| (tag.clone(), text.as_str().unwrap_or_default().to_owned())).collect();
    Ok(Versions { at, by_tag })
}
