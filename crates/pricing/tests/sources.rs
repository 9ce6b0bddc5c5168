//! Every price point of the merged public tables, where they are at hand, against the built-in book: a request is made
//! that meets just the conditions of the point, and its line must cost quantity x price / base. The arithmetic and the
//! choice of conditions here are a few lines of their own, and know nothing of the engine.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tachograph_pricing::{Catalog, PriceContext};
use tachograph_record::{CacheTtl, CostState, Direction, Kind, Leaf, Modality, Timestamp, Unit, Usage, UsageReading};

/// What is bought of a meter, and the line it must stand on.
enum Bought {
    Tokens(Leaf),
    Units(Unit),
}

fn bought(meter: &str) -> Option<(Bought, &'static str)> {
    let leaf = |direction, kind, modality| Bought::Tokens(Leaf::new(direction, kind, modality));
    let (input, output) = (Direction::Input, Direction::Output);
    Some(match meter {
        "input" => (Bought::Tokens(Leaf::INPUT), "input_tokens"),
        "output" => (Bought::Tokens(Leaf::OUTPUT), "output_tokens"),
        "cache_read" => (Bought::Tokens(Leaf::CACHE_READ), "cache_read_tokens"),
        "cache_write" => (Bought::Tokens(Leaf::CACHE_WRITE), "cache_write_tokens"),
        "cache_write_1h" => (Bought::Tokens(Leaf::cache_write(CacheTtl::OneHour)), "cache_write_1h_tokens"),
        "input_audio" => (leaf(input, Kind::Plain, Modality::Audio), "input_audio_tokens"),
        "output_audio" => (leaf(output, Kind::Plain, Modality::Audio), "output_audio_tokens"),
        "cache_read_audio" => (leaf(input, Kind::CacheRead, Modality::Audio), "cache_audio_read_tokens"),
        "output_image" => (leaf(output, Kind::Plain, Modality::Image), "output_image_tokens"),
        "web_search" => (Bought::Units(Unit::WebSearches), "web_searches"),
        "query" => (Bought::Units(Unit::RerankSearches), "rerank_searches"),
        "request" => (Bought::Units(Unit::Requests), "requests"),
        "page" => (Bought::Units(Unit::Pages), "pages"),
        "output_image_each" => (Bought::Units(Unit::Images), "images"),
        "input_characters" => (Bought::Units(Unit::InputCharacters), "input_characters"),
        "output_characters" => (Bought::Units(Unit::OutputCharacters), "output_characters"),
        "page_annotated" => (Bought::Units(Unit::AnnotatedPages), "annotated_pages"),
        "x_search" => (Bought::Units(Unit::XSearches), "x_searches"),
        "enterprise_web_search" => (Bought::Units(Unit::EnterpriseWebSearches), "enterprise_web_searches"),
        "attachment_search" => (Bought::Units(Unit::AttachmentSearches), "attachment_searches"),
        "maps_grounding" => (Bought::Units(Unit::MapsGroundings), "maps_groundings"),
        "code_execution" => (Bought::Units(Unit::CodeExecutions), "code_executions"),
        "guardrail" => (Bought::Units(Unit::Guardrails), "guardrails"),
        "routing_units" => (Bought::Units(Unit::RoutingUnits), "routing_units"),
        "text_message" => (Bought::Units(Unit::TextMessages), "text_messages"),
        "ocr_credit" => (Bought::Units(Unit::OcrCredits), "ocr_credits"),
        "compute_seconds" => (Bought::Units(Unit::ComputeSeconds), "compute_seconds"),
        "input_pixels" => (Bought::Units(Unit::InputPixels), "input_pixels"),
        "output_pixels" => (Bought::Units(Unit::OutputPixels), "output_pixels"),
        "megapixels" => (Bought::Units(Unit::Megapixels), "megapixels"),
        _ => return None,
    })
}

/// An exact fraction of an atto-dollar: numerator and denominator.
fn expected(price: &str, per: u64, count: u64) -> (i128, i128) {
    let (whole, fraction) = price.split_once('.').unwrap_or((price, ""));
    let atto: i128 = format!("{whole}{fraction:0<18}").parse().unwrap();
    (atto * i128::from(count), i128::from(per))
}

fn text<'a>(point: &'a Value, key: &str) -> Option<&'a str> {
    point[key].as_str()
}

/// Noon of a UTC date, by counting days.
fn noon(date: &str) -> i64 {
    let part = |range: std::ops::Range<usize>| date[range].parse::<i64>().unwrap();
    let (year, month, day) = (part(0..4), part(5..7), part(8..10));
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let lengths = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let years: i64 = (1970..year).map(|year| 365 + i64::from(leap(year))).sum();
    let months: i64 = lengths.iter().take(usize::try_from(month - 1).unwrap()).sum();
    (years + months + day - 1) * 86_400 + 43_200
}

const NOW: &str = "2026-11-20";

/// Whether a table that is as new as the set has the point, or no such table has the model: older tables' token prices
/// are left out where two newer ones list the model without them (the README of the price files tells of it).
fn is_kept(row: &Value, point: &Value) -> bool {
    let has = |holder: &Value, tag: &str| holder["sources"].as_array().unwrap().iter().any(|held| held == tag);
    let current = ["genai-prices", "litellm", "azure-meters"];
    current.iter().any(|tag| has(point, tag)) || !(has(row, "genai-prices") && has(row, "litellm"))
}

/// Whether sources disagree about the meter, or the row has a price of it that another condition of the same kind can
/// replace: there a rule decides, not the point alone.
fn is_undisputed(row: &Value, point: &Value) -> bool {
    let disputed = |conflict: &Value| conflict["meter"] == point["meter"];
    let windows = row["prices"].as_array().unwrap().iter().any(|other| !other["time_window"].is_null());
    !row["conflicts"].as_array().into_iter().flatten().any(disputed) && !windows
}

struct Asked {
    attributes: Vec<(String, String)>,
    region: Option<String>,
    deployment: Option<String>,
    tier: Option<String>,
    second: i64,
    input: u64,
}

/// A request that meets the conditions of a point and no more.
fn asked(point: &Value) -> Asked {
    let mut attributes: Vec<(String, String)> = Vec::new();
    for (key, value) in ["variant", "when"].iter().filter_map(|key| point[*key].as_object()).flatten() {
        attributes.push((key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    }
    let second = match (text(point, "effective_from"), text(point, "effective_until")) {
        (Some(from), _) => noon(from),
        (None, Some(until)) => noon(until) - 86_400,
        (None, None) => noon(NOW),
    };
    Asked {
        attributes,
        region: text(point, "region").map(|list| list.split(',').next().unwrap().trim().to_owned()),
        deployment: text(point, "deployment").map(str::to_owned),
        tier: text(point, "service_tier").filter(|tier| *tier != "default").map(str::to_owned),
        second,
        input: point["above_input_tokens"].as_u64().map_or(1_000, |threshold| threshold + 1),
    }
}

/// What the book bills for it; `None` where it knows no such line.
fn billed(row: &Value, what: &Bought, line: &str, asked: &Asked) -> Option<(i128, u64)> {
    let mut usage = Usage::reported([]);
    let count = match what {
        Bought::Tokens(leaf) if leaf.direction == Direction::Input => asked.input,
        // Gemini's searches cost by the grounded prompt: one of them is billed, however many there are.
        Bought::Units(_) if row["provider"].as_str().unwrap().starts_with("google") => 1,
        _ => 1_000,
    };
    match what {
        Bought::Tokens(leaf) => usage.add(*leaf, count),
        Bought::Units(unit) => usage.add_unit(*unit, tachograph_record::Quantity::whole(count).unwrap()),
    }
    let is_input = matches!(what, Bought::Tokens(leaf) if leaf.direction == Direction::Input);
    if !is_input {
        usage.add(Leaf::INPUT, asked.input);
    }
    let attributes: Vec<(&str, &str)> = asked.attributes.iter().map(|(key, value)| (&**key, &**value)).collect();
    let context = PriceContext {
        service_tier: asked.tier.as_deref(),
        region: asked.region.as_deref(),
        deployment: asked.deployment.as_deref(),
        attributes: &attributes,
        ..PriceContext::at(Timestamp::from_micros(asked.second * 1_000_000))
    };
    let (provider, model) = (row["provider"].as_str().unwrap(), row["model"].as_str().unwrap());
    match Catalog::embedded().cost(provider, model, &UsageReading::Known(usage), &context) {
        CostState::Priced(cost) => {
            let found = cost.lines.iter().find(|held| held.meter == line)?;
            Some((found.amount.atto(), count))
        }
        _ => None,
    }
}

fn shared() -> PathBuf {
    std::env::var_os("TACHOGRAPH_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from)
}

#[test]
fn every_point_of_the_sources_is_what_the_book_bills() {
    let Ok(folder) = std::fs::read_dir(shared().join("pricing-sources/providers")) else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "the price sources must be there under CI");
        return eprintln!("skipped: no pricing-sources (set TACHOGRAPH_SHARED, or put them at ../shared)");
    };
    let (mut checked, mut models) = (0_u64, BTreeSet::new());
    let mut wrong: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in folder.map(|entry| entry.unwrap().path()) {
        for row in std::fs::read_to_string(path).unwrap().lines() {
            let row: Value = serde_json::from_str(row).unwrap();
            for point in row["prices"].as_array().into_iter().flatten() {
                let Some((what, line)) = bought(point["meter"].as_str().unwrap()) else { continue };
                if !is_kept(&row, point) || !is_undisputed(&row, point) || !point["above_seconds"].is_null() {
                    continue;
                }
                let asked = asked(point);
                let found = billed(&row, &what, line, &asked);
                let price = point["price"].as_str().unwrap();
                let is_right = found.is_some_and(|(atto, count)| {
                    let (numerator, denominator) = expected(price, point["per"].as_u64().unwrap(), count);
                    // Within half an atto-dollar: a line that is no whole number of those is rounded once.
                    (atto * denominator - numerator).abs() * 2 <= denominator
                });
                checked += 1;
                models.insert((row["provider"].to_string(), row["model"].to_string()));
                if !is_right {
                    let about = format!("{} {} {point} billed {found:?}", row["provider"], row["model"]);
                    wrong.entry(point["meter"].to_string()).or_default().push(about);
                }
            }
        }
    }
    let count: usize = wrong.values().map(Vec::len).sum();
    let some: Vec<&String> = wrong.values().flat_map(|all| all.iter().take(12)).collect();
    assert!(count == 0, "{count} of {checked} points differ: {some:#?}");
    assert!(checked > 25_000 && models.len() > 9_000, "{checked} points of {} models", models.len());
}

/// The rows of the sources, where they are at hand.
fn rows() -> Option<Vec<Value>> {
    let folder = std::fs::read_dir(shared().join("pricing-sources/providers")).ok()?;
    let texts = folder.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    Some(
        texts.flat_map(|text| text.lines().map(|row| serde_json::from_str(row).unwrap()).collect::<Vec<_>>()).collect(),
    )
}

#[test]
fn no_priced_row_is_missing_and_every_conflict_has_its_reason_in_the_file() {
    let Some(rows) = rows() else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "the price sources must be there under CI");
        return eprintln!("skipped: no pricing-sources (set TACHOGRAPH_SHARED, or put them at ../shared)");
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pricing/providers");
    let mut conflicts: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let file: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
        for model in file["model"].as_array().unwrap() {
            let told = model.get("conflicts").and_then(toml::Value::as_array).into_iter().flatten();
            let key = (file["provider"]["id"].as_str().unwrap().to_owned(), model["id"].as_str().unwrap().to_owned());
            conflicts.insert(key, told.map(|line| line.as_str().unwrap().to_owned()).collect());
        }
    }
    // What a Databricks unit costs depends on the contract, and of an embedding by the length of a video no usage tells which.
    let can_be_said = |point: &&Value| {
        !["input_dbu", "output_dbu"].contains(&point["meter"].as_str().unwrap()) && point["above_seconds"].is_null()
    };
    let (mut checked, mut settled, mut wrong) = (0, 0, Vec::new());
    for row in &rows {
        let (provider, model) = (row["provider"].as_str().unwrap(), row["model"].as_str().unwrap());
        if row["prices"].as_array().into_iter().flatten().filter(can_be_said).count() == 0 {
            continue;
        }
        checked += 1;
        let Some(told) = conflicts.get(&(provider.to_owned(), model.to_owned())) else {
            wrong.push(format!("{provider} {model} is not in the book"));
            continue;
        };
        let theirs = row["conflicts"].as_array().map_or(0, Vec::len);
        settled += theirs;
        let has_reason = |line: &String| {
            let taken = line.split_once("; taken: ").and_then(|(_, taken)| taken.split_once(", "));
            taken.is_some_and(|(value, reason)| !value.is_empty() && reason.len() > 10)
        };
        if told.len() != theirs || !told.iter().all(has_reason) {
            wrong.push(format!("{provider} {model}: {theirs} conflicts, and the file tells {told:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {checked}: {:#?}", wrong.len(), &wrong[..wrong.len().min(9)]);
    assert!(checked > 10_000 && settled > 2_000, "{checked} rows, {settled} conflicts");
}
