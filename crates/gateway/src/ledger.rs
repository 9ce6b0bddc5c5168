//! Between the meter and the logger: a record gets its price.

use std::sync::Arc;

use tachograph_pricing::{Catalog, PriceBook, PriceContext};
use tachograph_providers::Api;
use tachograph_record::{CostState, LogRecord, UsageReading};
use tachograph_store::Row;
use tachograph_telemetry::{Receipt, RecordSink, Trip};

use crate::estimate;
use crate::estimates::Estimates;
use crate::limits::Limits;

/// Estimates the usage of a call that was served and reported none, prices each record as of its own time by the prices of its organisation, then hands it on.
#[derive(Clone)]
pub struct Priced<S> {
    inner: S,
    prices: Arc<PriceBook>,
    limits: Option<Arc<Limits>>,
    estimates: Option<Estimates>,
}

impl<S> Priced<S> {
    /// Prices by this book, then hands on to `inner`.
    #[must_use]
    pub const fn new(inner: S, prices: Arc<PriceBook>) -> Self {
        Self { inner, prices, limits: None, estimates: None }
    }

    /// Counts tokens that nobody reported on this thread, not on the one that closes the record.
    #[must_use]
    pub fn estimating(mut self, estimates: Estimates) -> Self {
        self.estimates = Some(estimates);
        self
    }

    /// Settles what was reserved for each call in these limits, and counts in them what was not.
    #[must_use]
    pub fn settling(mut self, limits: Arc<Limits>) -> Self {
        self.limits = Some(limits);
        self
    }
}

impl<S> Priced<S> {
    /// Prices what was used by attempts that did not serve in the end.
    fn price_abandoned(&self, record: &mut LogRecord) {
        let context = PriceContext::at(record.timing.received_at);
        let (org, asked) = (record.asked.org, record.asked.model.as_deref());
        let abandoned = record.attempts.iter_mut().filter(|attempt| attempt.cost.is_none());
        for attempt in abandoned {
            let Some(usage) = attempt.usage.clone() else { continue };
            let names = [attempt.model.as_deref(), asked].into_iter().flatten();
            let usage = UsageReading::Known(usage);
            let cost = first_known(&self.prices.for_org(org), &attempt.provider, names, &usage, &context);
            attempt.cost = cost.total();
        }
    }
}

impl<S: RecordSink + Clone> RecordSink for Priced<S> {
    fn begun(&self, trip: &Trip) {
        self.inner.begun(trip);
    }

    fn accept(&self, record: LogRecord) -> Receipt {
        // What the cache served was counted where it came from.
        let is_hit = record.control.cache.as_ref().is_some_and(|cache| cache.status.served());
        if is_hit || !estimate::is_wanted(&record) {
            return self.settle(record);
        }
        let priced = self.clone();
        let counted = move || priced.settle(estimate::completed(record));
        match &self.estimates {
            Some(estimates) => estimates.take(counted),
            None => counted(),
        }
    }
}

impl<S: RecordSink> Priced<S> {
    /// Prices a record whose usage is as well known as it will ever be, and hands it on.
    fn settle(&self, mut record: LogRecord) -> Receipt {
        self.price_abandoned(&mut record);
        if let Some(cost) = cost_at_end(&record, &self.prices) {
            record.cost = cost;
        }
        // What is told apart from a call is spent by the call.
        if let Some(limits) = self.limits.as_ref().filter(|_| record.control.part_of.is_none()) {
            limits.settle(&record);
        }
        self.inner.accept(record)
    }
}

/// Parameters of a request that its price depends on, where the answer does not say them.
const PRICED_BY: [&str; 5] = ["size", "quality", "resolution", "steps", "search_type"];

/// What a call costs that is over; `None` where its usage or its provider is not known, or where it costs nothing.
pub(crate) fn cost_at_end(record: &LogRecord, prices: &PriceBook) -> Option<CostState> {
    let reading = &record.reading;
    // What only counts tokens uses none.
    if is_free(&record.asked.api) || reading.usage == UsageReading::Absent {
        return None;
    }
    let provider = record.provider.as_deref()?;
    let asked: Vec<(&str, &str)> = record
        .asked
        .parameters
        .iter()
        .filter_map(|(name, value)| {
            let name = PRICED_BY.into_iter().find(|known| known.as_bytes() == &name[..])?;
            let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
            Some((name, std::str::from_utf8(value).ok()?))
        })
        .collect();
    let context = PriceContext {
        service_tier: reading.service_tier.as_deref(),
        attributes: &asked,
        ..PriceContext::at(record.timing.received_at)
    };
    // The model as answered is the more precise name; a deployment's own name may be known only as asked.
    let names = [&reading.model, &record.provider_model, &record.asked.model].into_iter().filter_map(Option::as_deref);
    Some(first_known(&prices.for_org(record.asked.org), provider, names, &reading.usage, &context))
}

/// What a recorded call costs at these prices, as of its own time; `None` where its usage or its provider is not known,
/// or where it is of an API that costs nothing.
pub(crate) fn cost_of(row: &Row, catalog: &Catalog) -> Option<CostState> {
    // What another row counts is priced there.
    if row.control.counted_by.is_some() {
        return None;
    }
    let (provider, usage) = (row.provider.as_deref()?, row.usage.clone().filter(|_| !is_free(&row.api))?);
    let asked: Vec<(&str, String)> = PRICED_BY
        .into_iter()
        .filter_map(|name| {
            let value = row.parameters.get(name)?;
            Some((name, value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        })
        .collect();
    let asked: Vec<(&str, &str)> = asked.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let context = PriceContext {
        service_tier: row.service_tier.as_deref(),
        attributes: &asked,
        ..PriceContext::at(row.timing.received_at)
    };
    let of_provider = row.attempts.last().and_then(|attempt| attempt.model.as_deref());
    let names = [row.model.as_deref(), of_provider, row.requested_model.as_deref()].into_iter().flatten();
    Some(first_known(catalog, provider, names, &UsageReading::Known(usage), &context))
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

/// Whether calls of this API only count tokens, which no provider charges for.
fn is_free(api: &str) -> bool {
    Api::named(api).is_some_and(Api::only_counts)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bytes::Bytes;
    use tachograph_pricing::PriceSources;
    use tachograph_record::{Asked, Body, Control, Leaf, OrgId, Outcome, Reading, RecordId, Timestamp, Timing, Usage};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<LogRecord>>>);

    impl RecordSink for Kept {
        fn accept(&self, record: LogRecord) -> Receipt {
            self.0.lock().unwrap().push(record);
            Receipt::kept()
        }
    }

    fn call(org: OrgId) -> LogRecord {
        let asked = Asked {
            org,
            api: "openai.chat".into(),
            path: "/v1/chat/completions".into(),
            model: Some("gpt-4o-mini".into()),
            ..Asked::default()
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
            control: Control::default(),
            response: Body::default(),
        }
    }

    fn priced(record: LogRecord) -> LogRecord {
        let kept = Kept::default();
        Priced::new(kept.clone(), Arc::new(PriceBook::embedded())).accept(record);
        kept.0.lock().unwrap().remove(0)
    }

    /// A stream that the provider cut before it told its usage.
    fn cut() -> LogRecord {
        let body = r#"{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"Hello world"}]}"#;
        let event = |text: &str| {
            format!(
                "data: {{\"model\":\"gpt-4o-mini\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
            )
        };
        let answer = event("Hello") + &event(" world");
        let mut record = call(OrgId::HOME);
        record.asked.stream = true;
        record.asked.body = Body::capture(&Bytes::from_static(body.as_bytes()), 1 << 20);
        record.outcome = Outcome::CutShort;
        record.reading = Reading::default();
        record.response = Body::capture(&answer.into(), 1 << 20);
        record
    }

    #[test]
    fn a_stream_that_ends_without_usage_is_estimated_and_says_so() {
        let record = priced(cut());
        let usage = record.reading.usage.known().unwrap();
        assert_eq!((usage.input_total(), usage.output_total()), (9, 2), "two tokens each, and what stands around them");
        assert_eq!(usage.source, tachograph_record::UsageSource::Estimated);
        let CostState::Priced(cost) = &record.cost else { panic!("{:?}", record.cost) };
        assert!(cost.estimated);
        assert_eq!(cost.total.to_string(), "0.00000255");
    }

    #[test]
    fn the_output_of_a_stream_that_broke_off_is_estimated_beside_the_input_it_told() {
        let told = |output| UsageReading::Known(Usage::reported([(Leaf::CACHE_READ, 700), (Leaf::OUTPUT, output)]));
        let with = |usage: UsageReading, ended: bool| {
            let mut record = cut();
            (record.reading.usage, record.reading.ended) = (usage, ended);
            priced(record).reading.usage
        };
        let UsageReading::Known(usage) = with(told(1), false) else { panic!("no usage") };
        assert_eq!((usage.cache_read_total(), usage.output_total()), (700, 2));
        assert_eq!(usage.source, tachograph_record::UsageSource::Estimated);
        assert_eq!(with(told(1), true), told(1), "a stream that ended has told all");
        assert_eq!(with(told(9), false), told(9), "more than could be read of it");
    }

    #[test]
    fn what_was_reported_refused_or_not_kept_is_not_estimated() {
        let reported = priced(call(OrgId::HOME));
        let CostState::Priced(cost) = &reported.cost else { panic!("{:?}", reported.cost) };
        assert!(!cost.estimated);
        let changed = |change: fn(&mut LogRecord)| {
            let mut record = cut();
            change(&mut record);
            priced(record).reading.usage
        };
        assert_eq!(changed(|record| record.status = Some(500)), UsageReading::Absent);
        assert_eq!(changed(|record| record.asked.stream = false), UsageReading::Absent, "a document says what it says");
        assert_eq!(changed(|record| record.status = None), UsageReading::Absent);
        assert_eq!(changed(|record| record.asked.body.omit()), UsageReading::Absent);
        assert_eq!(changed(|record| record.asked.api = "other".into()), UsageReading::Absent);
        let contradiction = changed(|record| record.reading.usage = UsageReading::Invalid("negative".into()));
        assert_eq!(contradiction, UsageReading::Invalid("negative".into()), "what contradicts itself stays so");
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
