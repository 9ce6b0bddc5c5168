//! What records add up to, for Prometheus. Labels are bounded whatever callers send: a provider and a model are named as
//! those do who know them, everything else is `other`, and no label is a user's, a session's or a property's.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tachograph_record::{LogRecord, Origin, Usage};

use crate::{Receipt, RecordSink, Trip};

/// What of a call's usage a series counts.
type CountOf = fn(&Usage) -> u64;

/// Models that have series of their own, at most; what comes later is `other`. Half of the room is for models that served:
/// asking in vain for all that there are must not take theirs.
const MOST: usize = 500;
const MOST_UNSERVED: usize = MOST / 2;
const OTHER: &str = "other";
/// Upper bounds of buckets, in seconds: each twice the last.
const SECONDS: [f64; 14] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const VERDICTS: [&str; 5] = ["allowed", "denied", "warned", "downgraded", "unavailable"];
/// What a token was, and how many of these a usage has. The kinds do not contain each other.
const KINDS: [(&str, CountOf); 5] = [
    ("input", |usage| {
        usage.input_total().saturating_sub(usage.cache_read_total()).saturating_sub(usage.cache_write_total())
    }),
    ("cache_read", Usage::cache_read_total),
    ("cache_write", Usage::cache_write_total),
    ("output", |usage| usage.output_total().saturating_sub(usage.reasoning_total())),
    ("reasoning", Usage::reasoning_total),
];

/// Knows which names may become labels.
pub trait KnownNames: Send + Sync + 'static {
    /// The provider's own name, where this is one of a provider.
    fn provider(&self, name: &str) -> Option<Arc<str>>;

    /// The model's own name at this provider, where this is one of a model.
    fn model(&self, provider: &str, name: &str) -> Option<String>;
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Served {
    provider: String,
    model: String,
    origin: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Tokens {
    provider: String,
    model: String,
    origin: &'static str,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    provider: Arc<String>,
    model: Arc<String>,
    origin: &'static str,
    step: &'static str,
    api: &'static str,
    outcome: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Tried {
    provider: Arc<String>,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Said {
    verdict: &'static str,
}

type Histograms = Family<Served, Histogram, fn() -> Histogram>;

/// What one model at one provider adds up to: found once for a record, then only atomics.
struct Series {
    provider: Arc<String>,
    model: Arc<String>,
    tokens: [Counter; KINDS.len()],
    cost: Counter<f64, AtomicU64>,
    duration: Histogram,
    first_token: Histogram,
}

/// Series by the names that they are labelled with.
type Known = HashMap<String, HashMap<String, Arc<Series>>>;

/// Counters and histograms of all records that passed. A clone counts onto the same.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    names: Box<dyn KnownNames>,
    series: [RwLock<Known>; Origin::ALL.len()],
    calls: Family<Ended, Counter>,
    attempts: Family<Tried, Counter>,
    retries: Counter,
    tokens: Family<Tokens, Counter>,
    cost: Family<Served, Counter<f64, AtomicU64>>,
    duration: Histograms,
    first_token: Histograms,
    cost_states: Family<Said, Counter>,
    caches: Family<Said, Counter>,
    limits: Family<Said, Counter>,
}

/// A figure that is asked for when metrics are read.
pub struct Figure {
    /// Its name, without `tachograph_` before it and `_total` behind it.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Whether it only ever grows while the process lives.
    pub counts: bool,
    /// Its value.
    pub value: u64,
}

impl Metrics {
    /// Metrics whose labels are the names that are known here.
    #[must_use]
    pub fn new(names: impl KnownNames) -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        let mut inner = Inner {
            registry: Registry::with_prefix("tachograph"),
            names: Box::new(names),
            series: Default::default(),
            calls: Family::default(),
            attempts: Family::default(),
            retries: Counter::default(),
            tokens: Family::default(),
            cost: Family::default(),
            duration: Histograms::new_with_constructor(seconds),
            first_token: Histograms::new_with_constructor(seconds),
            cost_states: Family::default(),
            caches: Family::default(),
            limits: Family::default(),
        };
        let told = &mut inner.registry;
        told.register("calls", "Calls by how they ended", inner.calls.clone());
        told.register("attempts", "Tries at providers by the status of the answer", inner.attempts.clone());
        told.register("retries", "Tries after the first of a call", inner.retries.clone());
        told.register("tokens", "Tokens by kind; the kinds do not contain each other", inner.tokens.clone());
        told.register("cost_usd", "Known cost in US dollars, as a float here alone", inner.cost.clone());
        told.register("duration_seconds", "From a call's arrival to its end", inner.duration.clone());
        told.register("first_token_seconds", "From a call's arrival to its first token", inner.first_token.clone());
        told.register("cost_states", "Calls by whether their cost is known", inner.cost_states.clone());
        told.register("cache_verdicts", "Calls by what the cache said", inner.caches.clone());
        told.register("limit_verdicts", "What limits and budgets said", inner.limits.clone());
        Self(Arc::new(inner))
    }

    /// What Prometheus reads, in the text format of OpenMetrics 1.0, with these figures.
    #[must_use]
    pub fn text(&self, figures: &[Figure]) -> String {
        let mut out = String::new();
        // Writing into a text cannot fail.
        let _ = text::encode(&mut out, &self.0.registry);
        let end = out.strip_suffix("# EOF\n").map_or(out.len(), str::len);
        out.truncate(end);
        for Figure { name, help, counts, value } in figures {
            let (kind, ending) = if *counts { ("counter", "_total") } else { ("gauge", "") };
            let _ = writeln!(out, "# HELP tachograph_{name} {help}.\n# TYPE tachograph_{name} {kind}");
            let _ = writeln!(out, "tachograph_{name}{ending} {value}");
        }
        out.push_str("# EOF\n");
        out
    }

    /// Counts a record. One that is a part of another is counted there.
    pub fn count(&self, record: &LogRecord) {
        if record.control.part_of.is_some() {
            return;
        }
        let inner = &*self.0;
        let series = inner.series_of(record);
        let api = match &record.asked.api {
            Cow::Borrowed(known) => known,
            Cow::Owned(_) => OTHER,
        };
        let ended = Ended {
            provider: series.provider.clone(),
            model: series.model.clone(),
            origin: record.asked.origin.code(),
            step: record.asked.step.code(),
            api,
            outcome: record.outcome.code(),
            status: class(record.status),
        };
        inner.calls.get_or_create(&ended).inc();
        inner.cost_states.get_or_create(&Said { verdict: record.cost.code() }).inc();
        for attempt in &record.attempts {
            let same = record.provider.as_ref() == Some(&attempt.provider);
            let provider = if same { series.provider.clone() } else { inner.provider(&attempt.provider).into() };
            inner.attempts.get_or_create(&Tried { provider, status: class(attempt.status) }).inc();
        }
        inner.retries.inc_by(record.attempts.len().saturating_sub(1) as u64);
        series.duration.observe(seconds(record.timing.end_us));
        if let Some(first) = record.timing.first_token_us {
            series.first_token.observe(seconds(first));
        }
        // What another row counts is counted there.
        if record.control.counted_by.is_none() {
            if let Some(usage) = record.reading.usage.known() {
                for (counter, (_, count)) in series.tokens.iter().zip(KINDS) {
                    counter.inc_by(count(usage));
                }
            }
            if let Some(total) = record.cost.total() {
                series.cost.inc_by(dollars(total.atto()));
            }
        }
        if let Some(cache) = &record.control.cache {
            inner.caches.get_or_create(&Said { verdict: cache.status.code() }).inc();
        }
        for limit in &record.control.limits {
            let verdict = VERDICTS.into_iter().find(|verdict| *verdict == limit.verdict).unwrap_or(OTHER);
            inner.limits.get_or_create(&Said { verdict }).inc();
        }
    }
}

impl Inner {
    fn provider(&self, name: &str) -> String {
        self.names.provider(name).map_or_else(|| OTHER.to_owned(), |known| known.to_string())
    }

    fn series_of(&self, record: &LogRecord) -> Arc<Series> {
        let asked_of = record.provider.as_deref().unwrap_or_default();
        let provider = self.names.provider(asked_of);
        let provider = provider.as_deref().unwrap_or(OTHER);
        let names = [&record.reading.model, &record.provider_model, &record.asked.model];
        let model = match &record.cost {
            tachograph_record::CostState::Priced(cost) => Some(Cow::Borrowed(cost.model.as_str())),
            _ => names.into_iter().flatten().find_map(|name| self.names.model(asked_of, name)).map(Cow::Owned),
        };
        let model = model.as_deref().unwrap_or(OTHER);
        let origin = record.asked.origin;
        let known = &self.series[Origin::ALL.iter().position(|held| *held == origin).unwrap_or(0)];
        let found = |known: &Known, provider: &str, model: &str| known.get(provider)?.get(model).cloned();
        let read = known.read().unwrap_or_else(PoisonError::into_inner);
        let held = found(&read, provider, model);
        drop(read);
        if let Some(series) = held {
            return series;
        }
        let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
        let most = if record.cost.total().is_some() { MOST } else { MOST_UNSERVED };
        let full = known.values().map(HashMap::len).sum::<usize>() >= most;
        let (provider, model) = if full { (OTHER, OTHER) } else { (provider, model) };
        if let Some(series) = found(&known, provider, model) {
            return series;
        }
        let series = Arc::new(self.series(provider, model, origin.code()));
        known.entry(provider.to_owned()).or_default().insert(model.to_owned(), series.clone());
        series
    }

    fn series(&self, provider: &str, model: &str, origin: &'static str) -> Series {
        let served = Served { provider: provider.to_owned(), model: model.to_owned(), origin };
        let tokens = KINDS.map(|(kind, _)| {
            let Served { provider, model, origin } = served.clone();
            self.tokens.get_or_create(&Tokens { provider, model, origin, kind }).clone()
        });
        Series {
            tokens,
            cost: self.cost.get_or_create(&served).clone(),
            duration: self.duration.get_or_create(&served).clone(),
            first_token: self.first_token.get_or_create(&served).clone(),
            provider: Arc::new(served.provider),
            model: Arc::new(served.model),
        }
    }
}

fn class(status: Option<u16>) -> &'static str {
    match status {
        None => "none",
        Some(100..200) => "1xx",
        Some(200..300) => "2xx",
        Some(300..400) => "3xx",
        Some(400..500) => "4xx",
        Some(500..600) => "5xx",
        Some(_) => OTHER,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a histogram's bucket is all that is asked")]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has floats alone; exact money stands in the rows")]
fn dollars(atto: i128) -> f64 {
    atto.max(0) as f64 / 1e18
}

/// A sink that counts each record and hands it on.
#[derive(Clone)]
pub struct Counted<S> {
    inner: S,
    metrics: Metrics,
}

impl<S> Counted<S> {
    /// Counts here, then hands on to `inner`.
    #[must_use]
    pub fn new(inner: S, metrics: Metrics) -> Self {
        Self { inner, metrics }
    }
}

impl<S: RecordSink> RecordSink for Counted<S> {
    fn begun(&self, trip: &Trip) {
        self.inner.begun(trip);
    }

    fn accept(&self, record: LogRecord) -> Receipt {
        self.metrics.count(&record);
        self.inner.accept(record)
    }
}
