//! Calls added up, as metrics of the GenAI conventions.
//!
//! The gateway is a client of providers and the server of applications, so it tells both sides. All add up from the start
//! of the process (cumulative). What callers name a model by is a label here, so series are bounded: beyond [`MOST`] of one
//! instrument they are the one series with `otel.metric.overflow`, as OpenTelemetry's own SDKs do.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tachograph_record::{LogRecord, Origin, Outcome, Step, Timestamp};
use tachograph_telemetry::Conventions;

use super::words::{Word, Words, operation};
use super::{attribute, text};

/// Series of one instrument, at most.
const MOST: usize = 2_000;
/// Upper bounds that the conventions ask for: seconds, tokens, and seconds to a server's first token.
const SECONDS: &[f64] = &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
const FIRST_TOKEN: &[f64] =
    &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Labels of a series: sorted, so that equal ones are one.
type Labels = Vec<(String, String)>;

/// An instrument's name, unit and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Instrument(&'static str, &'static str);

enum Series {
    Histogram { bounds: &'static [f64], counts: Vec<u64>, sum: f64, min: f64, max: f64 },
    Count(u64),
    Amount(f64),
}

/// What has been counted.
pub(super) struct Measures {
    words: Words,
    since: u64,
    held: BTreeMap<Instrument, BTreeMap<Labels, Series>>,
}

impl Measures {
    pub(super) fn new(words: Words) -> Self {
        Self { words: words.of_metrics(), since: now(), held: BTreeMap::new() }
    }

    /// Counts a call of a model.
    pub(super) fn count(&mut self, record: &LogRecord) {
        if record.asked.step != Step::Model {
            return;
        }
        let labels = self.labels(record);
        let failed = match record.outcome {
            Outcome::Complete | Outcome::ClientGone => None,
            outcome => {
                Some(record.error.as_ref().map_or_else(|| outcome.code().to_owned(), |error| error.kind.clone()))
            }
        };
        let ended: Labels = labels.iter().cloned().chain(failed.map(|kind| ("error.type".to_owned(), kind))).collect();
        if record.asked.origin == Origin::Gateway {
            let whole = seconds(record.timing.end_us);
            self.observe(Instrument("gen_ai.server.request.duration", "s"), ended.clone(), SECONDS, whole);
            if let Some(first) = record.timing.first_token_us {
                let name = Instrument("gen_ai.server.time_to_first_token", "s");
                self.observe(name, labels.clone(), FIRST_TOKEN, seconds(first));
            }
        }
        let was_asked = record.asked.origin != Origin::Gateway || !record.attempts.is_empty();
        let counts = record.control.counted_by.is_none()
            && record.control.cache.as_ref().is_none_or(|cache| !cache.status.served());
        if was_asked {
            self.client(record, labels.clone(), ended);
        }
        if counts && was_asked {
            self.tokens(record, &labels);
            if let Some(cost) = record.cost.total() {
                let series = self.series(Instrument("tachograph.cost", "{USD}"), labels, || Series::Amount(0.0));
                if let Series::Amount(amount) = series {
                    *amount += dollars(cost.atto());
                }
            }
        }
    }

    /// The provider's side of it, from when the serving attempt was sent.
    fn client(&mut self, record: &LogRecord, labels: Labels, ended: Labels) {
        let sent = record.attempts.last().map_or(0, |attempt| attempt.sent_us);
        let took = seconds(record.timing.end_us.saturating_sub(sent));
        let (duration, first_chunk) = match self.words.0 {
            Conventions::GenAiDev => {
                ("gen_ai.client.inference.duration", Some("gen_ai.client.inference.time_to_first_chunk"))
            }
            Conventions::V1_36 => ("gen_ai.client.operation.duration", None),
            Conventions::V1_41 | Conventions::Dual => {
                ("gen_ai.client.operation.duration", Some("gen_ai.client.operation.time_to_first_chunk"))
            }
        };
        self.observe(Instrument(duration, "s"), ended, SECONDS, took);
        let first = record.timing.first_token_us.and_then(|first| first.checked_sub(sent));
        if let (Some(name), Some(first), true) = (first_chunk, first, record.asked.stream) {
            self.observe(Instrument(name, "s"), labels, SECONDS, seconds(first));
        }
    }

    fn tokens(&mut self, record: &LogRecord, labels: &Labels) {
        let Some(usage) = record.reading.usage.known() else { return };
        let (input, output) = (usage.input_total(), usage.output_total());
        if self.words.0 != Conventions::GenAiDev {
            for (kind, count) in [("input", input), ("output", output)] {
                let mut labels = labels.clone();
                labels.push(("gen_ai.token.type".to_owned(), kind.to_owned()));
                self.observe(Instrument("gen_ai.client.token.usage", "{token}"), labels, TOKENS, number(count));
            }
            return;
        }
        for (name, count) in [
            ("gen_ai.client.inference.operation.input_tokens", input),
            ("gen_ai.client.inference.operation.output_tokens", output),
        ] {
            self.observe(Instrument(name, "{token}"), labels.clone(), TOKENS, number(count));
        }
        for (name, count) in [
            ("gen_ai.client.inference.usage.input_tokens", input),
            ("gen_ai.client.inference.usage.output_tokens", output),
            ("gen_ai.client.inference.usage.cache_read.input_tokens", usage.cache_read_total()),
            ("gen_ai.client.inference.usage.cache_write.input_tokens", usage.cache_write_total()),
            ("gen_ai.client.inference.usage.reasoning.output_tokens", usage.reasoning_total()),
        ] {
            let series = self.series(Instrument(name, "{token}"), labels.clone(), || Series::Count(0));
            if let Series::Count(held) = series {
                *held = held.saturating_add(count);
            }
        }
    }

    fn labels(&self, record: &LogRecord) -> Labels {
        let mut attributes: Vec<KeyValue> = Vec::new();
        let mut put = |word, value: &str| {
            self.words.put(&mut attributes, word, any_value::Value::StringValue(value.to_owned()));
        };
        put(Word::Operation, operation(&record.asked.api));
        if let Some(provider) = record.provider.as_deref() {
            put(Word::Provider, self.words.provider(provider));
        }
        if let Some(model) = record.provider_model.as_ref().or(record.asked.model.as_ref()) {
            put(Word::RequestModel, model);
        }
        if let Some(model) = &record.reading.model {
            put(Word::ResponseModel, model);
        }
        let pair = |held: KeyValue| match held.value.and_then(|value| value.value) {
            Some(any_value::Value::StringValue(value)) => Some((held.key, value)),
            _ => None,
        };
        attributes.into_iter().filter_map(pair).collect()
    }

    fn observe(&mut self, instrument: Instrument, labels: Labels, bounds: &'static [f64], value: f64) {
        let empty = || Series::Histogram {
            bounds,
            counts: vec![0; bounds.len() + 1],
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        };
        if let Series::Histogram { counts, sum, min, max, .. } = self.series(instrument, labels, empty) {
            let bucket = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
            counts[bucket] += 1;
            (*sum, *min, *max) = (*sum + value, min.min(value), max.max(value));
        }
    }

    fn series(&mut self, instrument: Instrument, mut labels: Labels, empty: impl FnOnce() -> Series) -> &mut Series {
        let known = self.held.entry(instrument).or_default();
        if known.len() >= MOST && !known.contains_key(&labels) {
            labels = vec![("otel.metric.overflow".to_owned(), "true".to_owned())];
        }
        known.entry(labels).or_insert_with(empty)
    }

    /// All that has been counted; nothing where nothing was.
    pub(super) fn export(
        &self,
        resource: Resource,
        scope: InstrumentationScope,
    ) -> Option<ExportMetricsServiceRequest> {
        if self.held.is_empty() {
            return None;
        }
        let at = now();
        let metrics = self.held.iter().map(|(Instrument(name, unit), series)| Metric {
            name: (*name).to_owned(),
            unit: (*unit).to_owned(),
            data: Some(self.data(series, at)),
            ..Metric::default()
        });
        let scope_metrics =
            vec![ScopeMetrics { scope: Some(scope), metrics: metrics.collect(), ..ScopeMetrics::default() }];
        Some(ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(resource),
                scope_metrics,
                ..ResourceMetrics::default()
            }],
        })
    }

    fn data(&self, series: &BTreeMap<Labels, Series>, at: u64) -> Data {
        let temporality = AggregationTemporality::Cumulative.into();
        let (mut histograms, mut numbers) = (Vec::new(), Vec::new());
        for (labels, series) in series {
            let attributes = labels.iter().map(|(name, value)| labelled(name, value)).collect();
            match series {
                Series::Histogram { bounds, counts, sum, min, max } => histograms.push(HistogramDataPoint {
                    attributes,
                    start_time_unix_nano: self.since,
                    time_unix_nano: at,
                    count: counts.iter().sum(),
                    sum: Some(*sum),
                    bucket_counts: counts.clone(),
                    explicit_bounds: bounds.to_vec(),
                    min: Some(*min),
                    max: Some(*max),
                    ..HistogramDataPoint::default()
                }),
                Series::Count(count) => {
                    numbers.push(self.number(attributes, at, Number::AsInt(i64::try_from(*count).unwrap_or(i64::MAX))));
                }
                Series::Amount(amount) => numbers.push(self.number(attributes, at, Number::AsDouble(*amount))),
            }
        }
        if numbers.is_empty() {
            Data::Histogram(Histogram { data_points: histograms, aggregation_temporality: temporality })
        } else {
            Data::Sum(Sum { data_points: numbers, aggregation_temporality: temporality, is_monotonic: true })
        }
    }

    fn number(&self, attributes: Vec<KeyValue>, at: u64, value: Number) -> NumberDataPoint {
        NumberDataPoint {
            attributes,
            start_time_unix_nano: self.since,
            time_unix_nano: at,
            value: Some(value),
            ..NumberDataPoint::default()
        }
    }
}

/// The mark of overflow is a boolean, all else are texts.
fn labelled(name: &str, value: &str) -> KeyValue {
    if name == "otel.metric.overflow" { attribute(name, any_value::Value::BoolValue(true)) } else { text(name, value) }
}

fn now() -> u64 {
    u64::try_from(Timestamp::now().micros()).unwrap_or(0).saturating_mul(1_000)
}

#[expect(clippy::cast_precision_loss, reason = "a histogram's bucket is all that is asked")]
pub(super) fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "a histogram's bucket is all that is asked")]
fn number(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "metrics have floats alone; exact money stands in the rows")]
fn dollars(atto: i128) -> f64 {
    atto.max(0) as f64 / 1e18
}
