//! Between the meter and the logger: a record gets its price.

use std::sync::Arc;

use tachograph_pricing::{Catalog, PriceBook, PriceContext};
use tachograph_providers::Api;
use tachograph_record::{CostState, LogRecord, UsageReading};
use tachograph_telemetry::RecordSink;

/// Prices each record as of its own time by the prices of its organisation, then hands it on.
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
            record.cost =
                first_known(&self.prices.for_org(record.asked.org), provider, names, &record.reading.usage, &context);
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bytes::Bytes;
    use tachograph_pricing::PriceSources;
    use tachograph_record::{
        Asked, Attribution, Body, Leaf, OrgId, Outcome, Parameters, Reading, RecordId, Timestamp, Timing, Usage,
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<LogRecord>>>);

    impl RecordSink for Kept {
        fn accept(&self, record: LogRecord) {
            self.0.lock().unwrap().push(record);
        }
    }

    fn call(org: OrgId) -> LogRecord {
        let asked = Asked {
            org,
            key: None,
            api: "openai.chat".into(),
            method: "POST".into(),
            path: "/v1/chat/completions".into(),
            model: Some("gpt-4o-mini".into()),
            stream: false,
            parameters: Parameters::default(),
            attribution: Attribution::default(),
            body: Body::capture(&Bytes::new(), 0),
            trace_id: None,
            parent_span_id: None,
        };
        let usage = Usage::reported([(Leaf::INPUT, 500), (Leaf::OUTPUT, 300)]);
        LogRecord {
            id: RecordId::generate(),
            asked,
            provider: Some("openai".into()),
            provider_model: None,
            attempts: Vec::new(),
            status: Some(200),
            outcome: Outcome::Complete,
            error: None,
            timing: Timing {
                received_at: Timestamp::from_micros(1_795_176_000_000_000),
                upstream_sent_us: None,
                first_byte_us: None,
                first_token_us: None,
                end_us: 1,
            },
            reading: Reading { usage: UsageReading::Known(usage), ..Reading::default() },
            cost: CostState::NoUsage,
            response: Body::default(),
        }
    }

    #[test]
    fn an_organisation_pays_by_its_contract() {
        let (ours, theirs) = (OrgId::generate(), OrgId::generate());
        let contracts = format!(r#"{{ "{ours}": {{ "discount_percent": "12.5" }} }}"#);
        let sources = PriceSources { contracts: serde_json::from_str(&contracts).unwrap(), ..PriceSources::default() };
        let kept = Kept::default();
        let ledger = Priced::new(kept.clone(), Arc::new(PriceBook::open_with(sources).unwrap()));
        for org in [ours, theirs] {
            ledger.accept(call(org));
        }
        let costs: Vec<_> = kept.0.lock().unwrap().iter().map(|record| record.cost.clone()).collect();
        let [CostState::Priced(by_contract), CostState::Priced(listed)] = &costs[..] else { panic!("{costs:?}") };
        // 500 x 0.15 + 300 x 0.60 for a million, and seven eighths of that.
        assert_eq!(
            (listed.total.to_string().as_str(), by_contract.total.to_string().as_str()),
            ("0.000255", "0.000223125")
        );
        assert_eq!(by_contract.lines[0].price, "0.13125", "the line shows what was paid");
        assert_eq!(by_contract.warnings, ["at list prices less 12.5 % by contract"]);
        assert_ne!(by_contract.price_version, listed.price_version);
    }
}
