//! `/metrics`: what records add up to, for Prometheus.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use tachograph_pricing::PriceBook;
use tachograph_record::OrgId;
use tachograph_telemetry::{Figure, KnownNames, Metrics};

use crate::{Endpoints, KeyRing};

/// The format that is written: OpenMetrics 1.0, which Prometheus reads since 2.5.
const FORMAT: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Metrics whose labels are the providers that are set up here and the models that the price book or the configuration
/// names.
#[must_use]
pub fn metrics(endpoints: Arc<Endpoints>, prices: Arc<PriceBook>) -> Metrics {
    Metrics::new(Names { endpoints, prices })
}

struct Names {
    endpoints: Arc<Endpoints>,
    prices: Arc<PriceBook>,
}

impl KnownNames for Names {
    fn provider(&self, name: &str) -> Option<Arc<str>> {
        self.endpoints.get(name).map(|endpoint| endpoint.name().clone())
    }

    fn model(&self, provider: &str, name: &str) -> Option<String> {
        let endpoint = self.endpoints.get(provider)?;
        // A pattern of the configuration names any number of models; a name names one.
        if endpoint.models().iter().any(|model| model == name) {
            return Some(name.to_owned());
        }
        self.prices.current().resolve(provider, name).map(|found| found.model.id.to_string())
    }
}

/// Answers to who reads metrics.
#[derive(Clone)]
pub struct Scrape {
    metrics: Metrics,
    figures: Arc<dyn Fn() -> Vec<Figure> + Send + Sync>,
    keys: Option<Arc<KeyRing>>,
}

impl Scrape {
    /// Tells these metrics, and figures that are asked for as they are at the moment. With `keys` only who shows one of
    /// the first organisation, as `Authorization: Bearer <key>`, is told: what is counted is everybody's.
    #[must_use]
    pub fn new(
        metrics: Metrics,
        figures: impl Fn() -> Vec<Figure> + Send + Sync + 'static,
        keys: Option<Arc<KeyRing>>,
    ) -> Self {
        Self { metrics, figures: Arc::new(figures), keys }
    }

    /// Whether a path is this one's.
    #[must_use]
    pub fn takes(path: &str) -> bool {
        path == "/metrics"
    }

    /// The answer to a request with these headers.
    #[must_use]
    pub fn answer(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        if !self.keys.as_ref().is_none_or(|keys| may_read(keys, headers)) {
            let why = "send a key of the first organisation as `Authorization: Bearer <key>`; \
                       only a gateway that listens on loopback tells without\n";
            let mut refused = Response::new(Full::from(why));
            *refused.status_mut() = StatusCode::UNAUTHORIZED;
            refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return refused;
        }
        let mut told = Response::new(Full::from(self.metrics.text(&(self.figures)())));
        told.headers_mut().insert(CONTENT_TYPE, FORMAT);
        told
    }
}

fn may_read(keys: &KeyRing, headers: &HeaderMap) -> bool {
    let key = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
    let Some((scheme, key)) = key else { return false };
    scheme.eq_ignore_ascii_case("bearer") && keys.check(key.trim()).is_some_and(|holder| holder.org == OrgId::HOME)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use http_body_util::BodyExt as _;
    use tachograph_record::{
        Asked, Attempt, Body, Control, CostState, Leaf, LogRecord, Outcome, Reading, RecordId, Timestamp, Timing,
        Usage, UsageReading,
    };
    use tachograph_telemetry::{Counted, Receipt, RecordSink};

    use super::*;
    use crate::Priced;

    #[derive(Clone)]
    struct Nowhere;

    impl RecordSink for Nowhere {
        fn accept(&self, _: LogRecord) -> Receipt {
            Receipt::kept()
        }
    }

    fn call(model: &str, status: u16) -> LogRecord {
        let usage = Usage::reported([(Leaf::INPUT, 500), (Leaf::OUTPUT, 300)]);
        let served = status < 400;
        LogRecord {
            id: RecordId::generate(),
            asked: Asked { api: "openai.chat".into(), model: Some(model.to_owned()), ..Asked::default() },
            provider: Some("openai".into()),
            provider_model: Some(model.to_owned()),
            attempts: vec![
                Attempt { provider: "openai".into(), status: Some(503), ..Attempt::default() },
                Attempt { provider: "openai".into(), status: Some(status), ..Attempt::default() },
            ],
            status: Some(status),
            outcome: if served { Outcome::Complete } else { Outcome::UpstreamFailed },
            error: None,
            timing: Timing {
                received_at: Timestamp::from_micros(1_795_176_000_000_000),
                upstream_sent_us: None,
                first_byte_us: None,
                first_token_us: Some(30_000),
                end_us: 1_000_000,
            },
            reading: Reading {
                usage: if served { UsageReading::Known(usage) } else { UsageReading::Absent },
                ..Reading::default()
            },
            cost: CostState::NoUsage,
            control: Control::default(),
            response: Body::default(),
        }
    }

    fn counting() -> (Priced<Counted<Nowhere>>, Metrics) {
        let prices = Arc::new(PriceBook::embedded());
        let metrics = metrics(Arc::new(Endpoints::new(&BTreeMap::new(), &|_| None)), prices.clone());
        (Priced::new(Counted::new(Nowhere, metrics.clone()), prices), metrics)
    }

    #[test]
    fn hard_case_36_names_that_the_book_does_not_know_make_no_series() {
        let (sink, metrics) = counting();
        let series = || metrics.text(&[]).lines().filter(|line| !line.starts_with('#')).count();
        for status in [200, 404] {
            sink.accept(call("gpt-4o-mini", status));
            sink.accept(call("zzz-no-such-model", status));
        }
        let before = series();
        for junk in 0..2_000 {
            sink.accept(call(&format!("zzz-{junk}-nobodys"), [200, 404][junk % 2]));
        }
        assert_eq!(series(), before);
        let told = metrics.text(&[]);
        assert!(told.contains(r#"tachograph_cost_usd_total{provider="openai",model="gpt-4o-mini",origin="gateway"}"#));
        assert!(told.contains(r#"provider="openai",model="other""#) && !told.contains("zzz"), "{told}");
    }

    #[tokio::test]
    async fn who_is_told_shows_a_key_of_the_first_organisation_where_one_is_asked_for() {
        let (sink, metrics) = counting();
        sink.accept(call("gpt-4o-mini", 200));
        let store = tachograph_store::open("sqlite::memory:", std::path::Path::new("nowhere")).await.unwrap();
        store.migrate().await.unwrap();
        let (key, row) = crate::generate("scraper").unwrap();
        store.insert_key(&row).await.unwrap();
        let keys = Arc::new(KeyRing::default());
        keys.reload(&*store).await.unwrap();
        let open = Scrape::new(metrics.clone(), Vec::new, None);
        let locked = Scrape::new(metrics, Vec::new, Some(keys));
        let with = |key: &str| {
            HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}")).unwrap())])
        };
        assert_eq!(locked.answer(&HeaderMap::new()).status(), 401);
        assert_eq!(locked.answer(&with("wrong")).status(), 401);
        for told in [open.answer(&HeaderMap::new()), locked.answer(&with(key.expose()))] {
            assert_eq!(told.headers()[CONTENT_TYPE], FORMAT);
            let text = told.into_body().collect().await.unwrap().to_bytes();
            assert!(text.starts_with(b"# HELP tachograph_calls "), "{text:?}");
        }
    }
}
