//! What Prometheus reads.
#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

use std::sync::Arc;

use tachograph_record::{
    Asked, Attempt, Body, Control, Cost, CostState, Leaf, LogRecord, Outcome, Reading, RecordId, Timestamp, Timing,
    Usage, UsageReading,
};
use tachograph_telemetry::{Counted, Figure, KnownNames, Metrics, Receipt, RecordSink};

#[derive(Clone, Copy)]
struct Known;

impl KnownNames for Known {
    fn provider(&self, name: &str) -> Option<Arc<str>> {
        (name == "openai").then(|| name.into())
    }

    fn model(&self, _: &str, name: &str) -> Option<String> {
        (name == "gpt-4o-mini" || name.starts_with("known-")).then(|| name.to_owned())
    }
}

struct Nowhere;

impl RecordSink for Nowhere {
    fn accept(&self, _: LogRecord) -> Receipt {
        Receipt::kept()
    }
}

fn counting() -> (Counted<Nowhere>, Metrics) {
    let metrics = Metrics::new(Known);
    (Counted::new(Nowhere, metrics.clone()), metrics)
}

fn call(model: &str, status: u16) -> LogRecord {
    let usage = Usage::reported([(Leaf::INPUT, 500), (Leaf::OUTPUT, 300)]);
    let served = status < 400;
    let known = Known.model("openai", model);
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
        cost: match known.filter(|_| served) {
            None => CostState::NoUsage,
            Some(model) => CostState::Priced(Box::new(Cost {
                total: "0.000255".parse().unwrap(),
                lines: Vec::new(),
                provider: "openai".to_owned(),
                model,
                matched_by: "exact".to_owned(),
                price_version: String::new(),
                estimated: false,
                warnings: Vec::new(),
            })),
        },
        control: Control::default(),
        response: Body::default(),
    }
}

#[test]
fn calls_tokens_money_and_time_are_counted_by_model() {
    let (sink, metrics) = counting();
    sink.accept(call("gpt-4o-mini", 200));
    sink.accept(call("gpt-4o-mini", 200));
    sink.accept(call("gpt-4o-mini", 500));
    let told = metrics.text(&[Figure { name: "waiting", help: "Those that wait", counts: false, value: 7 }]);
    let about = r#"provider="openai",model="gpt-4o-mini",origin="gateway""#;
    for line in [
        format!(
            r#"tachograph_calls_total{{{about},step="model",api="openai.chat",outcome="complete",status="2xx"}} 2"#
        ),
        format!(
            r#"tachograph_calls_total{{{about},step="model",api="openai.chat",outcome="upstream_failed",status="5xx"}} 1"#
        ),
        r#"tachograph_attempts_total{provider="openai",status="5xx"} 4"#.to_owned(),
        "tachograph_retries_total 3".to_owned(),
        format!(r#"tachograph_tokens_total{{{about},kind="input"}} 1000"#),
        format!(r#"tachograph_tokens_total{{{about},kind="output"}} 600"#),
        format!(r"tachograph_cost_usd_total{{{about}}} 0.00051"),
        format!(r"tachograph_duration_seconds_count{{{about}}} 3"),
        format!(r#"tachograph_first_token_seconds_bucket{{le="0.04",{about}}} 3"#),
        r#"tachograph_cost_states_total{verdict="priced"} 2"#.to_owned(),
        "tachograph_waiting 7".to_owned(),
    ] {
        assert!(told.lines().any(|held| held == line), "no {line} in\n{told}");
    }
    assert!(told.ends_with("# EOF\n"));
}

#[test]
fn hard_case_36_a_hundred_thousand_model_names_make_no_series() {
    let (sink, metrics) = counting();
    let series = || metrics.text(&[]).lines().filter(|line| !line.starts_with('#')).count();
    for status in [200, 404] {
        sink.accept(call("gpt-4o-mini", status));
        sink.accept(call("zzz-no-such-model", status));
    }
    let before = series();
    for junk in 0..100_000_u32 {
        let mut record =
            call(&format!("zzz-{junk}-{:x}", junk.wrapping_mul(2_654_435_761)), [200, 404][junk as usize % 2]);
        record.asked.attribution.user = Some(format!("user-{junk}"));
        sink.accept(record);
    }
    assert_eq!(series(), before);
    assert!(metrics.text(&[]).contains(r#"provider="openai",model="other""#));
}

#[test]
fn hard_case_36_asking_for_every_known_model_leaves_room_for_those_that_serve() {
    let (sink, metrics) = counting();
    for known in 0..2_000 {
        sink.accept(call(&format!("known-{known}"), 404));
    }
    let labelled = |told: &str| told.lines().filter(|line| line.starts_with("tachograph_cost_usd_total{")).count();
    assert_eq!(labelled(&metrics.text(&[])), 251, "half of the room, and `other`");
    for known in 3_000..5_000 {
        sink.accept(call(&format!("known-{known}"), 200));
    }
    assert_eq!(labelled(&metrics.text(&[])), 500, "all of it");
    let told = metrics.text(&[]);
    assert!(told.contains(r#"tachograph_cost_usd_total{provider="openai",model="known-3000""#));
    assert!(told.contains(r#"tachograph_cost_usd_total{provider="other",model="other""#));
}
