//! The public sample of pricing cases, where it is at hand: each usage at its own price card and at the book's prices,
//! to the last digit. Goldens of our own are in `book.rs`; they need nothing from outside.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests")]

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};
use tachograph_pricing::{Card, Catalog, PriceContext};
use tachograph_record::{
    CacheTtl, Cost, CostState, Direction, Kind, Leaf, Modality, Money, Quantity, Timestamp, Unit, Usage, UsageReading,
};

#[derive(Deserialize)]
struct Case {
    id: String,
    provider: String,
    model: String,
    class: String,
    context: Context,
    expect: Option<Expect>,
    price_card: Option<Card>,
    #[serde(default)]
    usage: Value,
}

#[derive(Deserialize)]
struct Context {
    at: String,
    service_tier: Option<String>,
    #[serde(default)]
    batch: bool,
}

#[derive(Deserialize)]
struct Expect {
    status: String,
    cost_usd: Option<Money>,
    normalized: Option<Map<String, Value>>,
    #[serde(default)]
    lines: Vec<Line>,
    resolves_to: Option<Target>,
}

#[derive(Deserialize)]
struct Line {
    meter: String,
    quantity: String,
    price: String,
    per: u64,
    amount: Money,
}

#[derive(Deserialize)]
struct Target {
    provider: String,
    model: String,
}

/// The cases; `None`, said once, where the folder is not beside the checkout.
fn cases() -> Option<Vec<Case>> {
    let shared = std::env::var_os("TACHOGRAPH_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = shared.join("pricing-cases/cases.jsonl");
    match std::fs::read_to_string(path) {
        Ok(text) => Some(text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()),
        Err(_) if std::env::var("CI").is_ok_and(|ci| ci == "true") => panic!("the pricing cases are missing"),
        Err(_) => {
            eprintln!("skipped: no ../shared/pricing-cases beside the checkout");
            None
        }
    }
}

/// Disjoint leaves from inclusive totals, as the cases write them.
fn usage(totals: &Map<String, Value>) -> Usage {
    let count = |name: &str| match totals.get(name) {
        None | Some(Value::Null) => 0,
        Some(Value::String(text)) => text.trim_end_matches(".0").parse::<u64>().expect(text),
        Some(number) => number.as_u64().expect(name),
    };
    let input = |kind, modality| Leaf::new(Direction::Input, kind, modality);
    let output = |kind, modality| Leaf::new(Direction::Output, kind, modality);
    let five_minutes = count("cache_write_5m_tokens");
    let hour = count("cache_write_1h_tokens");
    let unstated = count("cache_write_tokens").saturating_sub(five_minutes + hour);
    let leaves = [
        (input(Kind::CacheRead, Modality::Text), count("cache_read_tokens")),
        (Leaf::cache_write(CacheTtl::FiveMinutes), five_minutes),
        (Leaf::cache_write(CacheTtl::OneHour), hour),
        (Leaf::CACHE_WRITE, unstated),
        (input(Kind::Plain, Modality::Audio), count("input_audio_tokens")),
        (input(Kind::Plain, Modality::Image), count("input_image_tokens")),
        (input(Kind::Plain, Modality::Video), count("input_video_tokens")),
        (input(Kind::Tool, Modality::Text), count("input_tool_tokens")),
        (output(Kind::Reasoning, Modality::Text), count("output_reasoning_tokens")),
        (output(Kind::Citation, Modality::Text), count("output_citation_tokens")),
        (output(Kind::Plain, Modality::Audio), count("output_audio_tokens")),
    ];
    let of =
        |direction| leaves.iter().filter(|(leaf, _)| leaf.direction == direction).map(|(_, count)| count).sum::<u64>();
    let mut usage = Usage::reported(leaves);
    usage.add(Leaf::INPUT, count("input_tokens").checked_sub(of(Direction::Input)).expect("parts within the input"));
    usage
        .add(Leaf::OUTPUT, count("output_tokens").checked_sub(of(Direction::Output)).expect("parts within the output"));
    for (name, unit) in
        [("web_searches", Unit::WebSearches), ("rerank_searches", Unit::RerankSearches), ("images", Unit::Images)]
    {
        usage.add_unit(unit, Quantity::whole(count(name)).unwrap());
    }
    usage
}

/// `2026-11-20T12:00:00Z` as µs. The cases write no other form.
fn timestamp(text: &str) -> Timestamp {
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().expect(text);
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let shifted = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * shifted.0 + shifted.0 / 4 - shifted.0 / 100 + shifted.0 / 400 + (153 * shifted.1 + 2) / 5 + day - 719_469;
    Timestamp::from_micros((((days * 24 + number(11..13)) * 60 + number(14..16)) * 60 + number(17..19)) * 1_000_000)
}

fn priced(state: CostState, about: &str) -> Cost {
    let CostState::Priced(cost) = state else { panic!("{about}: {state:?}") };
    assert_eq!(cost.lines.iter().map(|line| line.amount).sum::<Money>(), cost.total, "{about}: lines add up");
    *cost
}

/// Whether the lines are the expected ones, in any order; lines of amount 0 say nothing.
fn assert_lines(cost: &Cost, expected: &[Line], about: &str) {
    let decimal = |text: &str| text.parse::<Money>().expect(text);
    let mut ours: Vec<_> = cost
        .lines
        .iter()
        .filter(|line| line.amount != Money::ZERO)
        .map(|line| (line.meter.clone(), decimal(&line.quantity), decimal(&line.price), line.per, line.amount))
        .collect();
    let mut theirs: Vec<_> = expected
        .iter()
        .filter(|line| line.amount != Money::ZERO)
        .map(|line| (line.meter.clone(), decimal(&line.quantity), decimal(&line.price), line.per, line.amount))
        .collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs, "{about}");
}

#[test]
fn every_case_at_its_own_card() {
    let mut seen = 0;
    for case in cases().into_iter().flatten() {
        let (Some(card), Some(expect)) = (&case.price_card, &case.expect) else { continue };
        let (Some(totals), Some(cost_usd)) = (&expect.normalized, expect.cost_usd) else { continue };
        if expect.status != "priced" {
            continue;
        }
        let reading = UsageReading::Known(usage(totals));
        let cost = priced(
            card.cost(&case.provider, &case.model, &reading, &PriceContext::at(timestamp(&case.context.at))),
            &case.id,
        );
        assert_eq!(cost.total, cost_usd, "{} {}", case.id, case.model);
        assert_lines(&cost, &expect.lines, &case.id);
        seen += 1;
    }
    assert!(seen == 0 || seen > 200, "{seen}");
}

#[test]
fn every_case_at_the_prices_of_the_book() {
    let book = Catalog::embedded();
    let mut seen = 0;
    for case in cases().into_iter().flatten() {
        let Some(expect) = &case.expect else { continue };
        let about = format!("{} {:?} {:?} {}", case.id, case.provider, case.model, case.class);
        if expect.status == "unknown_model" {
            assert!(book.resolve(&case.provider, &case.model).is_none(), "{about}");
            seen += 1;
        }
        let (Some(totals), Some(cost_usd)) = (&expect.normalized, expect.cost_usd) else { continue };
        if expect.status != "priced" {
            continue;
        }
        // A case of images tells size and quality where others have the usage object.
        let attributes: Vec<(&str, &str)> =
            ["size", "quality"].into_iter().filter_map(|key| Some((key, case.usage.get(key)?.as_str()?))).collect();
        let context = PriceContext {
            service_tier: case.context.service_tier.as_deref(),
            batch: case.context.batch,
            attributes: &attributes,
            ..PriceContext::at(timestamp(&case.context.at))
        };
        let reading = UsageReading::Known(usage(totals));
        let cost = priced(book.cost(&case.provider, &case.model, &reading, &context), &about);
        assert_eq!(cost.total, cost_usd, "{about}: {:#?}", cost.lines);
        if !expect.lines.is_empty() {
            assert_lines(&cost, &expect.lines, &about);
        }
        if let Some(target) = &expect.resolves_to {
            assert_eq!((&cost.provider, &cost.model), (&target.provider, &target.model), "{about}");
        }
        seen += 1;
    }
    assert!(seen == 0 || seen > 230, "{seen}");
}
