//! Every price of every file of the built-in book, each billed once: a request is made that meets the conditions under
//! which the price stands, and what it costs is worked out here from the file's text alone. The file is read as plain
//! TOML, the choice between prices and the arithmetic are a few lines of their own, and nothing of the engine is in them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::path::Path;

use tachograph_pricing::{Catalog, PriceContext};
use tachograph_record::{
    CacheTtl, CostState, Direction, Kind, Leaf, Modality, Quantity, Timestamp, Unit, Usage, UsageReading,
};
use toml::{Table, Value};

enum Bought {
    Tokens(Leaf),
    Units(Unit),
}

/// What a meter is the price of; its cost line; and for how many where the file does not say.
fn bought(meter: &str) -> Option<(Bought, &'static str)> {
    let leaf = |direction, kind, modality| Bought::Tokens(Leaf::new(direction, kind, modality));
    let (input, output) = (Direction::Input, Direction::Output);
    Some(match meter {
        "input" => (Bought::Tokens(Leaf::INPUT), "input_tokens"),
        "output" => (Bought::Tokens(Leaf::OUTPUT), "output_tokens"),
        "cache_read" => (Bought::Tokens(Leaf::CACHE_READ), "cache_read_tokens"),
        "cache_write" => (Bought::Tokens(Leaf::CACHE_WRITE), "cache_write_tokens"),
        "cache_write_5m" => (Bought::Tokens(Leaf::cache_write(CacheTtl::FiveMinutes)), "cache_write_5m_tokens"),
        "cache_write_1h" => (Bought::Tokens(Leaf::cache_write(CacheTtl::OneHour)), "cache_write_1h_tokens"),
        "output_reasoning" => (Bought::Tokens(Leaf::REASONING), "output_reasoning_tokens"),
        "output_citation" => (leaf(output, Kind::Citation, Modality::Text), "output_citation_tokens"),
        "input_audio" => (leaf(input, Kind::Plain, Modality::Audio), "input_audio_tokens"),
        "cache_read_audio" => (leaf(input, Kind::CacheRead, Modality::Audio), "cache_audio_read_tokens"),
        "cache_write_audio" => {
            (leaf(input, Kind::CacheWrite(CacheTtl::Unstated), Modality::Audio), "cache_audio_write_tokens")
        }
        "output_audio" => (leaf(output, Kind::Plain, Modality::Audio), "output_audio_tokens"),
        "input_image" => (leaf(input, Kind::Plain, Modality::Image), "input_image_tokens"),
        "cache_read_image" => (leaf(input, Kind::CacheRead, Modality::Image), "cache_image_read_tokens"),
        "output_image" => (leaf(output, Kind::Plain, Modality::Image), "output_image_tokens"),
        "input_video" => (leaf(input, Kind::Plain, Modality::Video), "input_video_tokens"),
        "output_video" => (leaf(output, Kind::Plain, Modality::Video), "output_video_tokens"),
        "request" => (Bought::Units(Unit::Requests), "requests"),
        "web_search" => (Bought::Units(Unit::WebSearches), "web_searches"),
        "storage_search" => (Bought::Units(Unit::FileSearches), "storage_searches"),
        "rerank_search" => (Bought::Units(Unit::RerankSearches), "rerank_searches"),
        "code_session" => (Bought::Units(Unit::CodeSessions), "code_sessions"),
        "image" => (Bought::Units(Unit::Images), "images"),
        "input_second" => (Bought::Units(Unit::InputSeconds), "input_seconds"),
        "output_second" => (Bought::Units(Unit::OutputSeconds), "output_seconds"),
        "input_character" => (Bought::Units(Unit::InputCharacters), "input_characters"),
        "output_character" => (Bought::Units(Unit::OutputCharacters), "output_characters"),
        "page" => (Bought::Units(Unit::Pages), "pages"),
        "annotated_page" => (Bought::Units(Unit::AnnotatedPages), "annotated_pages"),
        "input_images" => (Bought::Units(Unit::InputImages), "input_images"),
        "input_video_second" => (Bought::Units(Unit::InputVideoSeconds), "input_video_seconds"),
        "input_pixel" => (Bought::Units(Unit::InputPixels), "input_pixels"),
        "output_pixel" => (Bought::Units(Unit::OutputPixels), "output_pixels"),
        "megapixel" => (Bought::Units(Unit::Megapixels), "megapixels"),
        "compute_second" => (Bought::Units(Unit::ComputeSeconds), "compute_seconds"),
        "x_search" => (Bought::Units(Unit::XSearches), "x_searches"),
        "enterprise_web_search" => (Bought::Units(Unit::EnterpriseWebSearches), "enterprise_web_searches"),
        "attachment_search" => (Bought::Units(Unit::AttachmentSearches), "attachment_searches"),
        "maps_grounding" => (Bought::Units(Unit::MapsGroundings), "maps_groundings"),
        "code_execution" => (Bought::Units(Unit::CodeExecutions), "code_executions"),
        "guardrail" => (Bought::Units(Unit::Guardrails), "guardrails"),
        "routing_unit" => (Bought::Units(Unit::RoutingUnits), "routing_units"),
        "text_message" => (Bought::Units(Unit::TextMessages), "text_messages"),
        "ocr_credit" => (Bought::Units(Unit::OcrCredits), "ocr_credits"),
        "vector_store_gb_day" => (Bought::Units(Unit::VectorStoreGbDays), "vector_store_gb_days"),
        "file_search_gb_day" => (Bought::Units(Unit::FileSearchGbDays), "file_search_gb_days"),
        _ => return None,
    })
}

/// A price as the file has it, with everything that it stands under.
#[derive(Clone, Debug)]
struct Entry {
    meter: String,
    /// Atto-dollars for `per`.
    atto: i128,
    per: u64,
    least: u64,
    most: u64,
    from: Option<i64>,
    until: Option<i64>,
    tier: Option<String>,
    /// More input than this.
    over: Option<u64>,
    regions: Vec<String>,
    deployment: Option<String>,
    with: Vec<(String, String)>,
    windows: Vec<Hours>,
}

/// Minutes of the UTC day from and until, the weekdays (1 is Monday), and the minutes that local time is ahead.
#[derive(Clone, Debug)]
struct Hours {
    start: i64,
    end: i64,
    weekdays: Vec<i64>,
    ahead: i64,
}

const DAY: i64 = 86_400;
const NOON: i64 = 43_200;
/// 2026-11-20, a Friday.
const TODAY: i64 = 1_795_132_800;

/// The seconds until a UTC date, by counting days.
fn midnight(date: &str) -> i64 {
    let part = |range: std::ops::Range<usize>| date[range].parse::<i64>().unwrap();
    let (year, month, day) = (part(0..4), part(5..7), part(8..10));
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let lengths = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let years: i64 = (1970..year).map(|year| 365 + i64::from(leap(year))).sum();
    (years + lengths.iter().take(usize::try_from(month - 1).unwrap()).sum::<i64>() + day - 1) * DAY
}

fn text(table: &Table, key: &str) -> Option<String> {
    table.get(key).map(|value| value.as_str().unwrap().to_owned())
}

fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        None => Vec::new(),
        Some(Value::String(one)) => vec![one.to_lowercase()],
        Some(many) => many.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_lowercase()).collect(),
    }
}

/// A decimal in units of 10⁻¹⁸.
fn atto(decimal: &str) -> i128 {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    format!("{whole}{fraction:0<18}").parse().unwrap()
}

fn hours(table: &Table) -> Vec<Hours> {
    let clock = |text: &str| {
        let (hour, minute) = text.split_once(':').unwrap();
        hour.parse::<i64>().unwrap() * 60 + minute.parse::<i64>().unwrap()
    };
    let of = |window: &Value| -> Vec<Hours> {
        let window = window.as_table().unwrap();
        let weekdays = window.get("weekdays").map_or_else(
            || (1..=7).collect(),
            |days| days.as_array().unwrap().iter().map(|day| day.as_integer().unwrap()).collect::<Vec<_>>(),
        );
        let ahead = text(window, "utc_offset").map_or(0, |offset| {
            let minutes = clock(&offset[1..]);
            if offset.starts_with('-') { -minutes } else { minutes }
        });
        let spans = texts(window.get("hours")).into_iter().map(|span| {
            let (start, end) = span.split_once('-').map(|(start, end)| (clock(start), clock(end))).unwrap();
            Hours { start, end: if end == 0 { 1440 } else { end }, weekdays: weekdays.clone(), ahead }
        });
        spans.collect()
    };
    table.get("window").into_iter().flat_map(|all| all.as_array().unwrap()).flat_map(of).collect()
}

/// The prices of one table, under the dates of its block.
fn entries_of(table: &Table, block: &Table, all: &mut Vec<Entry>) {
    let date = |key: &str| text(block, key).map(|date| midnight(&date));
    let over = table.get("over_input").map(|over| u64::try_from(over.as_integer().unwrap()).unwrap());
    let inclusive = table.get("inclusive").is_some_and(|value| value.as_bool().unwrap());
    let with = table.get("with").and_then(Value::as_table).into_iter().flatten();
    let with: Vec<(String, String)> =
        with.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect();
    for (key, value) in table {
        if bought(key).is_none() {
            let known =
                ["from", "until", "when", "tier", "over_input", "inclusive", "region", "deployment", "with", "window"];
            assert!(known.contains(&key.as_str()), "the oracle does not know the meter {key}");
            continue;
        }
        let (price, per, bounds) = match value {
            Value::String(price) => (price.as_str(), 1_000_000, None),
            whole => {
                let whole = whole.as_table().unwrap();
                let per = u64::try_from(whole["per"].as_integer().unwrap()).unwrap();
                (whole["price"].as_str().unwrap(), per, Some(whole))
            }
        };
        let bound = |key: &str| bounds.and_then(|whole| text(whole, key)).map(|bound| bound.parse::<u64>().unwrap());
        all.push(Entry {
            meter: key.clone(),
            atto: atto(price),
            per,
            least: bound("at_least").unwrap_or(0),
            most: bound("at_most").unwrap_or(u64::MAX),
            from: date("from"),
            until: date("until"),
            tier: text(table, "tier"),
            over: over.map(|over| if inclusive { over - 1 } else { over }),
            regions: texts(table.get("region")),
            deployment: text(table, "deployment"),
            with: with.clone(),
            windows: hours(table),
        });
    }
}

/// What decides between prices, of one request.
#[derive(Clone, Debug)]
struct Request {
    second: i64,
    input: u64,
    tier: Option<String>,
    region: Option<String>,
    deployment: Option<String>,
    with: Vec<(String, String)>,
}

/// Attributes, deployment, dates, hours, region, threshold.
type Weight = (usize, bool, Option<(i64, i64)>, usize, bool, Option<u64>);

impl Hours {
    fn hold(&self, second: i64) -> bool {
        let minute = second.rem_euclid(DAY) / 60;
        // The epoch began on a Thursday.
        let weekday = ((second + self.ahead * 60).div_euclid(DAY) + 3).rem_euclid(7) + 1;
        let inside = if self.start < self.end {
            (self.start..self.end).contains(&minute)
        } else {
            minute >= self.start || minute < self.end
        };
        inside && self.weekdays.contains(&weekday)
    }
}

fn is_in(regions: &[String], region: Option<&str>) -> bool {
    region.is_some_and(|region| regions.iter().any(|held| held == region || (held == "*" && region != "global")))
}

impl Entry {
    /// The request that meets its conditions and says no more.
    fn asked(&self) -> Option<Request> {
        let from = self.from.unwrap_or(self.until.map_or(TODAY, |until| (until - DAY).min(TODAY)));
        // Of a fortnight, the first quarter of an hour at which one of its windows is open.
        let mut times =
            (0..14 * 96).map(|quarter| from + (quarter * 900 + NOON) % DAY + (quarter * 900 + NOON) / DAY * DAY);
        let second = times.find(|&second| {
            self.until.is_none_or(|until| second < until)
                && (self.windows.is_empty() || self.windows.iter().any(|hours| hours.hold(second)))
        })?;
        Some(Request {
            second,
            input: self.over.map_or(1_003, |over| over + 1),
            tier: self.tier.clone(),
            region: self.regions.first().map(|region| if region == "*" { "mars".to_owned() } else { region.clone() }),
            deployment: self.deployment.clone(),
            with: self.with.clone(),
        })
    }

    fn holds(&self, request: &Request) -> bool {
        self.over.is_none_or(|over| request.input > over)
            && self.from.is_none_or(|from| request.second >= from)
            && self.until.is_none_or(|until| request.second < until)
            && (self.windows.is_empty() || self.windows.iter().any(|hours| hours.hold(request.second)))
            && (self.regions.is_empty() || is_in(&self.regions, request.region.as_deref()))
            && (self.deployment.is_none() || self.deployment == request.deployment)
            && self.with.iter().all(|pair| request.with.contains(pair))
    }

    /// What the README says decides, in its order.
    fn weight(&self) -> Weight {
        let dated = (self.from.is_some() || self.until.is_some())
            .then(|| (self.from.unwrap_or(i64::MIN), -self.until.unwrap_or(i64::MAX)));
        let some_days = self.windows.iter().any(|hours| hours.weekdays.len() < 7);
        let hours = usize::from(!self.windows.is_empty()) + usize::from(some_days);
        (self.with.len(), self.deployment.is_some(), dated, hours, !self.regions.is_empty(), self.over)
    }
}

/// The price that counts for a meter: that of the tier, unless only the standard list goes on to a higher threshold.
fn chosen<'e>(entries: &'e [Entry], meter: &str, request: &Request) -> Option<&'e Entry> {
    let of = |tier: &Option<String>| {
        let held = entries.iter().filter(|entry| entry.meter == meter && entry.tier == *tier && entry.holds(request));
        held.max_by_key(|entry| entry.weight())
    };
    let (standard, special) = (of(&None), request.tier.as_ref().and_then(|_| of(&request.tier)));
    match (special, standard) {
        (Some(special), Some(standard)) if standard.over > special.over => Some(standard),
        (special, standard) => special.or(standard),
    }
}

/// The factors of a model that the request meets and the price does not contain already.
fn factor(model: &Table, entry: &Entry, request: &Request) -> (i128, i128) {
    let mut factor = (1, 1);
    for multiplier in model.get("multiplier").into_iter().flat_map(|all| all.as_array().unwrap()) {
        let multiplier = multiplier.as_table().unwrap();
        let regions = texts(multiplier.get("region"));
        let with = multiplier.get("with").and_then(Value::as_table).into_iter().flatten();
        let with: Vec<(String, String)> =
            with.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect();
        let deployment = text(multiplier, "deployment");
        let contained = (!regions.is_empty() && !entry.regions.is_empty())
            || (deployment.is_some() && entry.deployment.is_some())
            || with.iter().any(|(key, _)| entry.with.iter().any(|(held, _)| held == key));
        let met = (regions.is_empty() || is_in(&regions, request.region.as_deref()))
            && (deployment.is_none() || deployment == request.deployment)
            && with.iter().all(|pair| request.with.contains(pair));
        if met && !contained {
            // No factor has more than six decimals.
            factor =
                (factor.0 * (atto(multiplier["factor"].as_str().unwrap()) / 1_000_000_000_000), factor.1 * 1_000_000);
        }
    }
    factor
}

/// What the book bills for it: the line's amount and the count that was asked for.
fn billed(provider: &str, model: &str, entry: &Entry, request: &Request) -> Option<(i128, u64)> {
    let (what, line) = bought(&entry.meter)?;
    let mut usage = Usage::reported([]);
    let is_input = matches!(what, Bought::Tokens(leaf) if leaf.direction == Direction::Input);
    let count = if is_input { request.input } else { 1_007 };
    match what {
        Bought::Tokens(leaf) => usage.add(leaf, count),
        Bought::Units(unit) => usage.add_unit(unit, Quantity::whole(count).unwrap()),
    }
    if !is_input {
        usage.add(Leaf::INPUT, request.input);
    }
    let attributes: Vec<(&str, &str)> = request.with.iter().map(|(key, value)| (&**key, &**value)).collect();
    let context = PriceContext {
        service_tier: request.tier.as_deref(),
        region: request.region.as_deref(),
        deployment: request.deployment.as_deref(),
        attributes: &attributes,
        ..PriceContext::at(Timestamp::from_micros(request.second * 1_000_000))
    };
    match Catalog::embedded().cost(provider, model, &UsageReading::Known(usage), &context) {
        CostState::Priced(cost) => Some((cost.lines.iter().find(|held| held.meter == line)?.amount.atto(), count)),
        _ => None,
    }
}

#[test]
fn every_price_of_the_book_is_billed_as_the_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pricing/providers");
    let (mut prices, mut models, mut wrong) = (0, 0, Vec::new());
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let file: Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let provider = file["provider"]["id"].as_str().unwrap();
        for model in file["model"].as_array().unwrap().iter().map(|model| model.as_table().unwrap()) {
            let mut entries = Vec::new();
            for block in model["price"].as_array().unwrap().iter().map(|block| block.as_table().unwrap()) {
                entries_of(block, block, &mut entries);
                let whens = block.get("when").into_iter().flat_map(|all| all.as_array().unwrap());
                whens.for_each(|when| entries_of(when.as_table().unwrap(), block, &mut entries));
            }
            models += 1;
            for entry in &entries {
                let Some(request) = entry.asked() else { panic!("{provider} {entry:?} never holds") };
                let right = chosen(&entries, &entry.meter, &request).unwrap();
                let id = model["id"].as_str().unwrap();
                let (found, factor) = (billed(provider, id, entry, &request), factor(model, right, &request));
                prices += 1;
                let is_tokens = matches!(bought(&entry.meter), Some((Bought::Tokens(_), _)));
                let factor = if is_tokens { factor } else { (1, 1) };
                let is_right = found.is_some_and(|(amount, count)| {
                    let count = i128::from(count.clamp(right.least, right.most));
                    // Within half an atto-dollar: a line that is no whole number of those is rounded once.
                    let ((up, down), per) = (factor, i128::from(right.per));
                    (amount * per * down - right.atto * count * up).abs() * 2 <= per * down
                });
                if !is_right {
                    wrong.push(format!("{provider} {id} {entry:?} for {request:?}: billed {found:?}, want {right:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {prices} differ: {:#?}", wrong.len(), &wrong[..wrong.len().min(8)]);
    assert!(prices > 35_000 && models > 10_000, "{prices} prices of {models} models");
}
