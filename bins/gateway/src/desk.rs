//! What the console is told of prices, targets and settings.

use std::sync::Arc;

use serde_json::{Value, json};
use tachograph_console::{Health, PriceOf, Settings};
use tachograph_gateway::{ConfigState, Router, generate};
use tachograph_pricing::{PriceBook, PriceMeter};

/// What a provider's model costs by list: its base rates, and how many others hold in special cases.
pub(crate) fn price_of(prices: Arc<PriceBook>) -> PriceOf {
    Arc::new(move |provider, model| {
        let found = prices.current().resolve(provider, model)?;
        let rates: Vec<Value> = PriceMeter::all()
            .filter_map(|meter| found.model.base_rate(meter))
            .map(|rate| json!({ "meter": rate.meter.name(), "price": rate.price.text, "per": rate.price.per }))
            .collect();
        Some(json!({
            "provider": found.provider, "model": found.model.id, "rates": rates,
            "special_rates": found.model.rates.len() - rates.len(),
            "context_tokens": found.model.limits.context.or(found.model.limits.max_input),
        }))
    })
}

/// How every target, every set of keys and the retry budget are doing.
pub(crate) fn routing(router: Arc<Router>) -> Health {
    Arc::new(move || json!(router.status()))
}

/// The configuration in force, its secrets hidden, and how keys are made.
pub(crate) fn settings(config: ConfigState) -> Settings {
    let new_key = |name: &str| match generate(name) {
        Ok((key, row)) => Some((key.expose().to_owned(), row)),
        Err(error) => {
            tracing::error!(%error, "no key can be made without randomness");
            None
        }
    };
    Settings { shown: Arc::new(move || config.shown()), new_key: Arc::new(new_key) }
}
