//! `gateway reprice`, `gateway what-if` and `gateway reconcile`, over a store of known rows.

use std::path::PathBuf;
use std::sync::Arc;

use tachograph_gateway::commands::{
    Period, ReconcileCommand, ReportCommand, RepriceCommand, WhatIfCommand, reconcile, report, reprice, what_if,
};
use tachograph_pricing::{PriceBook, PriceContext};
use tachograph_record::{
    Asked, Body, Control, Cost, CostState, Leaf, LogRecord, Money, OrgId, Outcome, Reading, RecordId, Timestamp,
    Timing, Usage, UsageReading,
};
use tachograph_store::{Filter, Store};

const NOON: i64 = 1_795_176_000_000_000;
const ACME: &str = "[provider]\nid = \"acme\"\n[[model]]\nid = \"m\"\n[[model.price]]\ninput = \"3\"\noutput = \"9\"\n\
                    [[model]]\nid = \"cheap\"\n[[model.price]]\ninput = \"1\"\noutput = \"2\"\n";

fn book(name: &str, text: &str) -> PriceBook {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("acme.toml"), text).unwrap();
    PriceBook::open(vec![folder]).unwrap()
}

fn call(minute: i64, model: &str, cost: CostState) -> LogRecord {
    let usage = Usage::reported([(Leaf::INPUT, 1_000_000), (Leaf::OUTPUT, 1_000_000)]);
    LogRecord {
        id: RecordId::generate(),
        asked: Asked {
            api: "openai.chat".into(),
            path: "/v1/chat/completions".into(),
            model: Some(model.to_owned()),
            ..Asked::default()
        },
        provider: Some("acme".into()),
        provider_model: None,
        attempts: Vec::new(),
        status: Some(200),
        outcome: Outcome::Complete,
        error: None,
        timing: Timing {
            received_at: Timestamp::from_micros(NOON + minute * 60_000_000),
            upstream_sent_us: None,
            first_byte_us: None,
            first_token_us: None,
            end_us: 1,
        },
        reading: Reading { usage: UsageReading::Known(usage), ..Reading::default() },
        cost,
        control: Control::default(),
        response: Body::default(),
    }
}

/// As the book prices it.
fn priced(prices: &PriceBook, minute: i64, model: &str) -> LogRecord {
    let record = call(minute, model, CostState::NoUsage);
    let context = PriceContext::at(record.timing.received_at);
    LogRecord { cost: prices.current().cost("acme", model, &record.reading.usage, &context), ..record }
}

async fn store_of(records: &[LogRecord]) -> Arc<dyn Store> {
    let store = tachograph_store::open("sqlite::memory:", std::path::Path::new("nowhere")).await.unwrap();
    store.migrate().await.unwrap();
    store.append(records).await.unwrap();
    store
}

fn period(from: i64, until: i64) -> Period {
    let at = |minute: i64| Timestamp::from_micros(NOON + minute * 60_000_000);
    Period { from: at(from), until: at(until) }
}

#[tokio::test]
async fn history_is_restated_on_purpose_and_on_record() {
    let (old, new) = (book("reprice-old", ACME), book("reprice-new", &ACME.replace("\"9\"", "\"10\"")));
    let gone = CostState::Priced(Box::new(Cost {
        total: "5".parse().unwrap(),
        lines: Vec::new(),
        provider: "acme".into(),
        model: "gone".into(),
        matched_by: "exact".into(),
        price_version: "old".into(),
        estimated: false,
        warnings: Vec::new(),
    }));
    let records = [
        priced(&old, 0, "m"),
        priced(&old, 1, "m"),
        priced(&old, 2, "cheap"),
        call(3, "m", CostState::UnknownModel),
        call(4, "gone", gone),
        call(5, "nobody", CostState::UnknownModel),
        priced(&old, 90, "m"),
    ];
    let store = store_of(&records).await;
    let sum = async || store.totals(OrgId::HOME, &Filter::default()).await.unwrap().cost.to_string();
    assert_eq!(sum().await, "44", "3 x 12, 3, 5");

    let run = async |apply: bool| {
        let command = RepriceCommand { period: period(0, 60), apply, author: "a clerk".to_owned() };
        let mut out = Vec::new();
        reprice(&command, &new, &*store, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    };
    let told = run(false).await;
    assert!(told.contains("  acme m: 3 rows, 24 -> 39 USD (+15)\n"), "{told}");
    assert!(told.contains("nothing was changed; 3 rows would be"), "{told}");
    assert_eq!((sum().await.as_str(), store.repricings(OrgId::HOME).await.unwrap().len()), ("44", 0));

    let told = run(true).await;
    assert!(told.contains("3 rows were restated"), "{told}");
    assert_eq!(sum().await, "59");
    let audit = store.repricings(OrgId::HOME).await.unwrap().remove(0);
    let usd = |amount: &str| amount.parse::<Money>().unwrap();
    assert_eq!((audit.author.as_str(), audit.rows, audit.before, audit.after), ("a clerk", 3, usd("24"), usd("39")));
    assert_eq!(audit.price_version, new.current().version());
    let outside = store.fetch(OrgId::HOME, records[6].id).await.unwrap().unwrap().row;
    assert_eq!(outside.cost, records[6].cost, "after the period");

    assert_eq!(run(true).await, "every row stands as it would be priced now\n");
    assert_eq!(store.repricings(OrgId::HOME).await.unwrap().len(), 1);

    // As known before the restatement, as known after it, and as true now.
    let before = Timestamp::from_micros(audit.at.micros() - 1);
    let reported = async |known_at: Option<Timestamp>, json: bool| {
        let by = "model".to_owned();
        let command = ReportCommand { period: period(0, 60), by, only: Some("model:m".to_owned()), known_at, json };
        let mut out = Vec::new();
        report(&command, &*store, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    };
    let told = reported(Some(before), false).await;
    assert!(told.contains("\n  m: 24 USD, 3 rows, 3000000 tokens in, 3000000 out, 1 without a price\n"), "{told}");
    assert!(told.contains("by a clerk: 3 rows, 24 -> 39 USD (later; not in these figures)\n"), "{told}");
    for known_at in [Some(audit.at), None] {
        let told = reported(known_at, false).await;
        assert!(told.contains("\n  m: 39 USD, 3 rows, 3000000 tokens in, 3000000 out\n"), "{told}");
        assert!(told.ends_with("by a clerk: 3 rows, 24 -> 39 USD\n"), "{told}");
    }
    let told: serde_json::Value = serde_json::from_str(&reported(Some(before), true).await).unwrap();
    assert_eq!((&told["rows"][0]["keys"]["model"], &told["totals"]["cost"]), (&"m".into(), &"24".into()));
    assert_eq!(told["repricings"][0]["author"], "a clerk");
    let wrong = ReportCommand { by: "colour".into(), only: None, known_at: None, json: false, period: period(0, 1) };
    assert_eq!(report(&wrong, &*store, &mut Vec::new()).await.unwrap_err().exit_code(), 64);
}

#[tokio::test]
async fn traffic_is_priced_on_another_model_without_a_call() {
    let prices = book("what-if", ACME);
    let mut silent = priced(&prices, 1, "m");
    silent.reading.usage = UsageReading::Absent;
    silent.cost = CostState::NoUsage;
    let records = [priced(&prices, 0, "m"), priced(&prices, 1, "cheap"), silent];
    let store = store_of(&records).await;
    let run = async |model: &str, only: Option<&str>| {
        let command = WhatIfCommand {
            period: period(-1, 60),
            model: model.to_owned(),
            provider: None,
            only: only.map(str::to_owned),
        };
        let mut out = Vec::new();
        what_if(&command, &prices, &*store, &mut out).await.map(|()| String::from_utf8(out).unwrap())
    };
    let told = run("acme/cheap", None).await.unwrap();
    assert!(told.starts_with("2 rows: 15 USD as recorded, 6 USD on acme cheap\n1 rows are left aside"), "{told}");
    let told = run("m", Some("cheap")).await.unwrap();
    assert_eq!(told, "1 rows: 3 USD as recorded, 12 USD on acme m\n");
    assert_eq!(run("no-such-model", None).await.unwrap_err().exit_code(), 64);
}

/// A recorded call of OpenAI on 2026-11-20: a million tokens each way at the built-in book's prices.
fn openai(model: &str) -> LogRecord {
    let prices = PriceBook::embedded();
    let record = LogRecord { provider: Some("openai".into()), ..call(0, model, CostState::NoUsage) };
    let context = PriceContext::at(record.timing.received_at);
    LogRecord { cost: prices.current().cost("openai", model, &record.reading.usage, &context), ..record }
}

#[tokio::test]
async fn a_bill_is_compared_by_day_model_and_dimension() {
    let store = store_of(&[openai("gpt-4o-mini"), openai("gpt-4o-mini"), openai("gpt-4o")]).await;
    let run = async |provider: &str, export: &str| {
        let command = ReconcileCommand { provider: provider.to_owned(), export: export.to_owned() };
        let mut out = Vec::new();
        reconcile(&command, &PriceBook::embedded(), &*store, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    };
    // 0.15 and 0.60 for a million tokens of the smaller model, 2.5 and 10 of the larger.
    let export = "start_time,amount_value,quantity,line_item\n\
                  1795132800,3e-1,2000000,\"gpt-4o-mini, input\"\n\
                  1795132800,1.204,2000000,\"gpt-4o-mini, output\"\n\
                  1795132800,3.5,1000000,\"gpt-4o, input\"\n\
                  1795132800,20,2000000,\"gpt-4o, output\"\n\
                  1795132800,7,1,\"gpt-99-none, input\"\n\
                  1795132800,,,\n";
    let told = run("openai", export).await;
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines,
        [
            "2026-11-20 gpt-4o input: billed 3.5, recorded 2.5 USD: wrong price",
            "2026-11-20 gpt-4o output: billed 20, recorded 10 USD: missing rows",
            "2026-11-20 gpt-4o-mini output: billed 1.204, recorded 1.2 USD: rounding",
            "2026-11-20 gpt-99-none input: billed 7, recorded 0 USD: unknown model",
            "1 lines agree; billed 32.004 USD, recorded 14 USD",
        ]
    );
    let export = "usage_date_utc,model,token_type,cost_usd\n2026-11-20,Claude Haiku 4.5,output,0.42\n";
    let told = run("anthropic", export).await;
    assert!(
        told.starts_with("2026-11-20 claude-haiku-4-5 output: billed 0.42, recorded 0 USD: missing rows\n"),
        "{told}"
    );
}

/// A cost and usage report has every service, hour by hour, in exact amounts.
#[tokio::test]
async fn a_report_of_aws_is_compared_too() {
    let record = openai("amazon.nova-lite-v1:0");
    let usage = record.reading.usage.clone();
    let context = PriceContext::at(record.timing.received_at);
    let cost = PriceBook::embedded().current().cost("aws-bedrock", "amazon.nova-lite-v1:0", &usage, &context);
    let store = store_of(&[LogRecord { provider: Some("aws-bedrock".into()), cost, ..record }]).await;
    let run = async |provider: &str, export: &str| {
        let command = ReconcileCommand { provider: provider.to_owned(), export: export.to_owned() };
        let mut out = Vec::new();
        reconcile(&command, &PriceBook::embedded(), &*store, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    };
    // 0.06 and 0.24 for a million tokens; a million each was recorded.
    let export = "lineItem/UsageStartDate,lineItem/UsageType,lineItem/UnblendedCost,lineItem/UsageAmount,pricing/unit\n\
                  2026-11-20T01:00:00Z,USE1-Nova-Lite-input-tokens,0.0400000000,666.6667,1K tokens\n\
                  2026-11-20T02:00:00Z,USE1-Nova-Lite-input-tokens,0.0200000000,333.3333,1K tokens\n\
                  2026-11-20T02:00:00Z,USE1-Nova-Lite-output-tokens,0.3000000000,1000,1K tokens\n\
                  2026-11-20T02:00:00Z,USE1-Claude99None-input-tokens,1,1000,1K tokens\n\
                  2026-11-20T02:00:00Z,USE1-BoxUsage:t3.micro,9,1,Hrs\n";
    let wanted = [
        "2026-11-20 claude-none-99 input: billed 1, recorded 0 USD: unknown model",
        "2026-11-20 lite-nova output: billed 0.3, recorded 0.24 USD: wrong price",
        "1 lines agree; billed 1.36 USD, recorded 0.3 USD",
    ];
    assert_eq!(run("aws-bedrock", export).await.lines().collect::<Vec<_>>(), wanted);
    let second = export
        .replace("lineItem/UsageStartDate", "line_item_usage_start_date")
        .replace("lineItem/UsageType", "line_item_usage_type")
        .replace("lineItem/UnblendedCost", "line_item_unblended_cost")
        .replace("lineItem/UsageAmount", "line_item_usage_amount")
        .replace("pricing/unit", "pricing_unit");
    assert_eq!(run("aws", &second).await.lines().collect::<Vec<_>>(), wanted, "as version 2 of the report has it");
}
