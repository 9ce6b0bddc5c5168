//! Between the meter and the logger: a record gets its price.

use std::sync::Arc;

use tachograph_pricing::{Catalog, PriceBook, PriceContext};
use tachograph_providers::Api;
use tachograph_record::{CostState, LogRecord, UsageReading};
use tachograph_telemetry::RecordSink;

/// Prices each record as of its own time, then hands it on.
#[derive(Clone)]
pub struct Priced<S> {
    inner: S,
    prices: Arc<PriceBook>,
}

impl<S> Priced<S> {
    /// Prices by this book, then hands on to `inner`.
    #[must_use]
    pub const fn new(inner: S, prices: Arc<PriceBook>) -> Self {
        Self { inner, prices }
    }
}

impl<S: RecordSink> RecordSink for Priced<S> {
    fn accept(&self, mut record: LogRecord) {
        // What only counts tokens uses none.
        let free = Api::named(&record.asked.api).is_some_and(Api::only_counts);
        if let (Some(provider), false) = (&record.provider, free || record.reading.usage == UsageReading::Absent) {
            let context = PriceContext {
                service_tier: record.reading.service_tier.as_deref(),
                ..PriceContext::at(record.timing.received_at)
            };
            // The model as answered is the more precise name; a deployment's own name may be known only as asked.
            let names = [&record.reading.model, &record.provider_model, &record.asked.model];
            let names = names.into_iter().filter_map(Option::as_deref);
            record.cost = first_known(&self.prices.current(), provider, names, &record.reading.usage, &context);
        }
        self.inner.accept(record);
    }
}

/// The cost under the first of a model's names that the book knows.
fn first_known<'a>(
    catalog: &Catalog,
    provider: &str,
    names: impl Iterator<Item = &'a str>,
    usage: &UsageReading,
    context: &PriceContext<'_>,
) -> CostState {
    let mut cost = CostState::UnknownModel;
    for name in names {
        cost = catalog.cost(provider, name, usage, context);
        if cost != CostState::UnknownModel {
            break;
        }
    }
    cost
}
