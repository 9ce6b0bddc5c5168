//! `gateway price`, over goldens of our own and over the public sample of cases: status, exact cost, inclusive totals,
//! lines, and the model that a name led to. And `gateway pricing`, which looks after the book.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests")]

mod book;
mod helicone;
mod history;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tachograph_gateway::commands;
use tachograph_gateway::config::{Config, PricingConfig};
use tachograph_record::Money;

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/price")
}

/// What the command answers to these lines.
fn answers(lines: &str, overlays: Vec<PathBuf>) -> Vec<Value> {
    let config = Config { pricing: PricingConfig { overlays, ..PricingConfig::default() }, ..Config::default() };
    let mut out = Vec::new();
    commands::price(&config, lines.as_bytes(), &mut out).unwrap();
    String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A number or a numeric text, to the last digit; a count may be written `18.0`.
fn decimal(value: &Value) -> Money {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no decimal"))
}

/// Statuses that stand for a word of the cases: what contradicts itself is refused, never priced on a guess.
fn statuses(expect: &Value) -> Vec<String> {
    let word = expect["status"].as_str().unwrap();
    let own = match word {
        "anomalous" => "invalid_usage",
        "priced_or_anomalous" => "priced",
        other => other,
    };
    let accepted = expect["accept"].as_array().into_iter().flatten().filter_map(Value::as_str);
    std::iter::once(own).chain(accepted).map(str::to_owned).collect()
}

fn lines(value: &Value) -> Vec<(String, Money, Money, u64, Money)> {
    let line = |line: &Value| {
        let meter = line["meter"].as_str().unwrap().to_owned();
        (
            meter,
            decimal(&line["quantity"]),
            decimal(&line["price"]),
            line["per"].as_u64().unwrap(),
            decimal(&line["amount"]),
        )
    };
    let mut lines: Vec<_> = value.as_array().unwrap().iter().map(line).collect();
    lines.sort();
    lines
}

/// Everything that a case expects, of one answer.
fn check(case: &Value, answer: &Value) {
    let about = format!("{}\n{case}\n{answer}", case["id"]);
    let expect = &case["expect"];
    assert_eq!(answer["id"], case["id"], "{about}");
    assert!(statuses(expect).iter().any(|status| answer["status"] == *status), "{about}");
    if answer["status"] != "priced" {
        assert!(answer["cost_usd"].is_null() && answer["lines"] == json!([]), "unknown is never zero: {about}");
        return;
    }
    let total: Money = lines(&answer["lines"]).into_iter().map(|line| line.4).sum();
    assert_eq!(decimal(&answer["cost_usd"]), total, "lines add up: {about}");
    if expect["cost_usd"].is_string() {
        assert_eq!(total, decimal(&expect["cost_usd"]), "{about}");
    }
    if expect["lines"].is_array() {
        assert_eq!(lines(&answer["lines"]), lines(&expect["lines"]), "{about}");
    }
    for (name, count) in expect["normalized"].as_object().unwrap_or(&Map::new()) {
        assert_eq!(decimal(&answer["normalized"][name]), decimal(count), "{name} of {about}");
    }
    if expect["resolves_to"].is_object() {
        assert_eq!(answer["resolves_to"], expect["resolves_to"], "{about}");
    }
}

#[test]
fn goldens() {
    let text = std::fs::read_to_string(here().join("goldens.jsonl")).unwrap();
    let answers = answers(&text, vec![here().join("acme.toml")]);
    let cases: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), cases.len());
    for (case, answer) in cases.iter().zip(&answers) {
        check(case, answer);
    }
}

/// Where recorded material lies: `TACHOGRAPH_SHARED`, else beside the checkout.
fn shared() -> PathBuf {
    std::env::var_os("TACHOGRAPH_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from)
}

/// The public sample; `None`, said once, where it is not beside the checkout.
fn sample() -> Option<Vec<Value>> {
    let path = shared().join("pricing-cases/cases.jsonl");
    match std::fs::read_to_string(path) {
        Ok(text) => Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()),
        Err(_) if std::env::var("CI").is_ok_and(|ci| ci == "true") => panic!("the pricing cases are missing"),
        Err(_) => {
            eprintln!("skipped: no ../shared/pricing-cases beside the checkout");
            None
        }
    }
}

fn run_sample(with_cards: bool) {
    let Some(cases) = sample() else { return };
    let asked: Vec<Value> = cases
        .iter()
        .map(|case| {
            let mut case = case.clone();
            if !with_cards {
                case.as_object_mut().unwrap().remove("price_card");
            }
            case
        })
        .collect();
    let text: String = asked.iter().map(|case| format!("{case}\n")).collect();
    let answers = answers(&text, Vec::new());
    assert_eq!(answers.len(), cases.len());
    let mut gold = 0;
    for (case, answer) in asked.iter().zip(&answers) {
        // Where the calculators disagree there is nothing to hold the answer to but that it is one.
        if case["expect"].is_null() {
            assert_eq!(answer["status"], "priced", "{case}");
            continue;
        }
        check(case, answer);
        gold += usize::from(case["class"] == "gold");
    }
    assert!(gold > 200, "{gold}");
}

#[test]
fn every_case_at_its_own_card() {
    run_sample(true);
}

#[test]
fn every_case_at_the_prices_of_the_book() {
    run_sample(false);
}

#[test]
fn a_line_that_is_none_is_answered_in_its_place() {
    let text = "{\"id\": 1, \"model\": \"m\", \"usage\": {}}\n\nnot json\n{\"id\": \"x\", \"model\": 5}\n";
    let answers = answers(text, Vec::new());
    let told: Vec<_> = answers.iter().map(|answer| (answer["id"].clone(), answer["status"].clone())).collect();
    let line = |id: Value, status: &str| (id, Value::from(status));
    assert_eq!(
        told,
        [line(json!(1), "no_usage"), line(Value::Null, "invalid_usage"), line(json!("x"), "invalid_usage")]
    );
    assert!(answers[1]["warnings"][0].as_str().unwrap().starts_with("line 3 is not a request to price"));
}
