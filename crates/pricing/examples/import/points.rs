//! Which prices of a row are taken, and under which conditions.
//!
//! Every choice here is a rule, so that a person who disagrees can change it in one place:
//!
//! * several source meters can mean one of ours (`audio_seconds`, `input_seconds`); the better source wins, then the
//!   order of `METERS`;
//! * where both tables that are kept up to date list a model, a token price that only older tables have is left out:
//!   two current tables that do not know a batch or long-context price outweigh a snapshot of months ago. Fees, and
//!   prices by region, deployment or size, are kept from any table;
//! * a past price list is a whole: a class of tokens that the list of a time did not split off was billed by its parent
//!   then, whatever is split off today (`complete_past_lists`);
//! * a threshold written as 199,999 is the inclusive threshold 200,000; xAI's are inclusive however they are written;
//! * what changes nothing is left out: a sub-meter that costs what its parent costs everywhere, a threshold above which
//!   the price stays, a condition under which a fee stays.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::row::{PricePoint, Row};

/// Sources from the most to the least trusted.
pub(crate) const PRECEDENCE: &[&str] =
    &["azure-meters", "genai-prices", "litellm", "models.dev", "portkey", "langfuse"];
/// The tables that are as new as the set itself.
const CURRENT: [&str; 2] = ["genai-prices", "litellm"];

/// Source meter, our key, and for how many its price is written.
const METERS: &[(&str, &str, u64)] = &[
    ("input", "input", 1_000_000),
    ("input_text", "input", 1_000_000),
    ("output", "output", 1_000_000),
    ("output_text", "output", 1_000_000),
    ("cache_read", "cache_read", 1_000_000),
    ("cache_read_text", "cache_read", 1_000_000),
    ("cache_write", "cache_write", 1_000_000),
    ("cache_write_1h", "cache_write_1h", 1_000_000),
    ("output_reasoning", "output_reasoning", 1_000_000),
    ("output_citation", "output_citation", 1_000_000),
    ("input_audio", "input_audio", 1_000_000),
    ("output_audio", "output_audio", 1_000_000),
    ("cache_read_audio", "cache_read_audio", 1_000_000),
    ("cache_write_audio", "cache_write_audio", 1_000_000),
    ("input_image", "input_image", 1_000_000),
    ("output_image", "output_image", 1_000_000),
    ("cache_read_image", "cache_read_image", 1_000_000),
    ("input_video", "input_video", 1_000_000),
    ("output_video", "output_video", 1_000_000),
    ("web_search", "web_search", 1000),
    ("storage_search", "storage_search", 1000),
    ("file_search", "storage_search", 1000),
    ("query", "rerank_search", 1000),
    ("request", "request", 1000),
    ("code_interpreter_session", "code_session", 1),
    ("output_image_each", "image", 1),
    ("input_image_each", "input_images", 1),
    ("audio_seconds", "input_second", 1),
    ("input_audio_seconds", "input_second", 1),
    ("input_seconds", "input_second", 1),
    ("input_video_seconds", "input_video_second", 1),
    ("output_seconds", "output_second", 1),
    ("output_video_seconds", "output_second", 1),
    ("input_characters", "input_character", 1_000_000),
    ("output_characters", "output_character", 1_000_000),
    ("page", "page", 1000),
    ("page_annotated", "annotated_page", 1000),
    ("input_pixels", "input_pixel", 1_000_000),
    ("output_pixels", "output_pixel", 1_000_000),
    ("megapixels", "megapixel", 1),
    ("compute_seconds", "compute_second", 3600),
    ("x_search", "x_search", 1000),
    ("enterprise_web_search", "enterprise_web_search", 1000),
    ("attachment_search", "attachment_search", 1000),
    ("maps_grounding", "maps_grounding", 1000),
    ("code_execution", "code_execution", 1000),
    ("guardrail", "guardrail", 1000),
    ("routing_units", "routing_unit", 1_000_000),
    ("text_message", "text_message", 1),
    ("ocr_credit", "ocr_credit", 1),
    ("vector_store_gb_day", "vector_store_gb_day", 1),
    ("file_search_gb_day", "file_search_gb_day", 1),
];

/// Modes whose tables give the price of an image made as that of an image "in".
const MAKES_IMAGES: [&str; 2] = ["image_generation", "image_edit"];

/// A sub-meter and the one that its tokens are billed by where it has no price.
const PARENTS: &[(&str, &str)] = &[
    ("output_reasoning", "output"),
    ("output_video", "output"),
    ("input_image", "input"),
    ("input_video", "input"),
    ("cache_read_image", "cache_read"),
];

/// Classes of tokens and what each is billed by where it has no price, the nearest first.
const LINEAGE: &[(&str, &[&str])] = &[
    ("cache_read", &["input"]),
    ("cache_write", &["input"]),
    ("cache_write_1h", &["cache_write", "input"]),
    ("input_audio", &["input"]),
    ("input_image", &["input"]),
    ("input_video", &["input"]),
    ("cache_read_audio", &["cache_read", "input_audio", "input"]),
    ("cache_read_image", &["cache_read", "input_image", "input"]),
    ("cache_write_audio", &["cache_write", "input_audio", "input"]),
    ("output_reasoning", &["output"]),
    ("output_citation", &["output"]),
    ("output_audio", &["output"]),
    ("output_image", &["output"]),
    ("output_video", &["output"]),
];

/// The condition of a price, in the words of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Condition {
    pub(crate) from: Option<String>,
    pub(crate) until: Option<String>,
    pub(crate) tier: Option<String>,
    pub(crate) over_input: Option<u64>,
    pub(crate) inclusive: bool,
    pub(crate) deployment: Option<String>,
    pub(crate) with: BTreeMap<String, String>,
    pub(crate) windows: Vec<String>,
    pub(crate) regions: Vec<String>,
}

impl Condition {
    fn is_dated(&self) -> bool {
        self.from.is_some() || self.until.is_some()
    }
}

/// A price as it is written: text and base.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Amount {
    pub(crate) price: String,
    pub(crate) per: u64,
    /// `at_least = "…"` or `at_most = "…"`, by the vendor's page.
    pub(crate) bound: Option<&'static str>,
}

/// Prices by meter, in the order of `METERS`.
pub(crate) type Amounts = BTreeMap<usize, Amount>;

/// The key of a meter of [`Amounts`].
pub(crate) fn key(meter: usize) -> &'static str {
    METERS[meter].1
}

/// A chosen price, and whether a current table has it.
struct Chosen {
    rank: (usize, usize),
    amount: Amount,
    current: bool,
    sources: Vec<String>,
}

type Table = BTreeMap<(usize, Condition), Chosen>;

/// The prices of a row: one entry a condition, conditions that differ in region or hours alone joined.
pub(crate) fn of(row: &Row) -> Vec<(Condition, Amounts)> {
    let mut table = choose(row);
    if CURRENT.iter().all(|tag| row.sources.iter().any(|source| source == tag)) {
        let is_kept =
            |(meter, condition): &(usize, Condition), chosen: &Chosen| chosen.current || !is_covered(*meter, condition);
        // A model that the current tables name without any price (it was withdrawn) keeps what it cost.
        if table.iter().any(|(key, chosen)| is_kept(key, chosen)) {
            table.retain(|key, chosen| is_kept(key, chosen));
        }
    }
    drop_strict_twins(&mut table);
    complete_past_lists(&mut table);
    drop_redundant(&mut table);
    let mut by_condition: BTreeMap<Condition, Amounts> = BTreeMap::new();
    for ((meter, condition), chosen) in table {
        by_condition.entry(condition).or_default().insert(meter, chosen.amount);
    }
    let joined = join(by_condition, |condition| &mut condition.regions);
    join(joined, |condition| &mut condition.windows).into_iter().collect()
}

fn choose(row: &Row) -> Table {
    let mut table = Table::new();
    let has_other_seconds = row
        .prices
        .iter()
        .any(|point| ["input_seconds", "audio_seconds", "input_audio_seconds"].contains(&point.meter.as_str()));
    let makes_images = row.mode.as_deref().is_some_and(|mode| MAKES_IMAGES.contains(&mode));
    let costs_none =
        |meter: &str| row.prices.iter().filter(|point| point.meter == meter).all(|point| point.price == "0");
    let bills_heard_as_out = row.mode.as_deref() == Some("audio_transcription")
        && costs_none("input_seconds")
        && !costs_none("output_seconds");
    let has_price_of_made = row.prices.iter().any(|point| point.meter == "output_image_each");
    for point in row.prices.iter().filter(|point| point.above_seconds.is_none()) {
        let source_meter = match point.meter.as_str() {
            // Some tables give an image model's price as that of an image "in". By size or quality it is of the image made;
            // else, with a price of images out beside it, it is what it says: of the picture that is edited.
            "input_image_each" if makes_images && (!has_price_of_made || !point.variant.is_empty()) => {
                "output_image_each"
            }
            "input_video_seconds" if !has_other_seconds => "input_seconds",
            // A transcription has one duration, that of what was heard, in whichever column its price stands.
            "input_seconds" if bills_heard_as_out => continue,
            "output_seconds" if bills_heard_as_out => "input_seconds",
            // Reads of a cache that the caller set up: a price of cache reads for requests whose answer names that kind.
            "cache_read_explicit" => "cache_read",
            other => other,
        };
        let Some(place) = METERS.iter().position(|(name, _, _)| *name == source_meter) else { continue };
        let meter = METERS.iter().position(|(_, ours, _)| *ours == METERS[place].1).unwrap_or(place);
        let Some(amount) = rebase(&point.price, point.per, METERS[place].2) else { continue };
        let amount = Amount { bound: bound(row, METERS[place].1, &amount.price), ..amount };
        let trust = |tag: &String| PRECEDENCE.iter().position(|held| held == tag).unwrap_or(PRECEDENCE.len());
        let rank = (point.sources.iter().map(trust).min().unwrap_or(PRECEDENCE.len()), place);
        // Azure's own meters are as current as the two tables.
        let current = point.sources.iter().any(|tag| CURRENT.contains(&tag.as_str()) || tag == "azure-meters");
        for condition in conditions(row, point) {
            let entry = (meter, condition);
            if table.get(&entry).is_none_or(|held| rank < held.rank) {
                table.insert(entry, Chosen { rank, amount: amount.clone(), current, sources: point.sources.clone() });
            }
        }
    }
    table
}

/// The condition of a point, once for each region it names.
fn conditions(row: &Row, point: &PricePoint) -> Vec<Condition> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let mut with: BTreeMap<String, String> =
        point.variant.iter().map(|(key, value)| (key.clone(), text(value))).collect();
    with.extend(point.when.clone());
    if point.meter == "cache_read_explicit" {
        with.insert("cache_type".to_owned(), "ephemeral".to_owned());
    }
    let written_below = |threshold: u64| threshold % 1000 == 999;
    let (over_input, inclusive) = match point.above_input_tokens {
        Some(threshold) if written_below(threshold) => (Some(threshold + 1), true),
        threshold => (threshold, threshold.is_some() && row.provider == "xai"),
    };
    let whole = Condition {
        from: point.effective_from.clone(),
        until: point.effective_until.clone(),
        tier: point.service_tier.clone().filter(|tier| tier != "default"),
        over_input,
        inclusive,
        deployment: point.deployment.clone(),
        with,
        windows: point.time_window.as_ref().map(windows).unwrap_or_default(),
        regions: Vec::new(),
    };
    match &point.region {
        None => vec![whole],
        Some(list) => list
            .split(',')
            .map(|region| Condition { regions: vec![region.trim().to_owned()], ..whole.clone() })
            .collect(),
    }
}

/// The hours of a source's window as entries of `window = […]`.
fn windows(value: &Value) -> Vec<String> {
    if let (Some(start), Some(end)) = (value["start"].as_str(), value["end"].as_str()) {
        return vec![format!("{{ hours = [\"{}-{}\"] }}", &start[..5], &end[..5])];
    }
    let offset = match value["weekday_timezone"].as_str() {
        Some("Asia/Shanghai") => ", utc_offset = \"+08:00\"",
        _ => "",
    };
    let entry = |window: &Value| {
        let hours: Vec<String> = match &window["hours_utc"] {
            Value::Array(hours) => hours.iter().map(Value::to_string).collect(),
            one => vec![one.to_string()],
        };
        let weekdays = window["weekdays"].as_array().map(|days| days.iter().map(Value::to_string).collect::<Vec<_>>());
        let weekdays = weekdays.map(|days| format!(", weekdays = [{}]{offset}", days.join(", "))).unwrap_or_default();
        format!("{{ hours = [{}]{weekdays} }}", hours.join(", "))
    };
    value["windows"].as_array().map(|all| all.iter().map(entry).collect()).unwrap_or_default()
}

/// The price for another base, where that is a decimal of at most 18 places; else as it was.
fn rebase(price: &str, per: u64, wanted: u64) -> Option<Amount> {
    let (whole, fraction) = price.split_once('.').unwrap_or((price, ""));
    if fraction.len() > 18 {
        return None;
    }
    let atto: i128 = format!("{whole}{fraction:0<18}").parse().ok()?;
    let product = atto.checked_mul(i128::from(wanted))?;
    let (atto, per) = if product % i128::from(per) == 0 { (product / i128::from(per), wanted) } else { (atto, per) };
    let digits = format!("{atto:019}");
    let (whole, fraction) = digits.split_at(digits.len() - 18);
    let fraction = fraction.trim_end_matches('0');
    let price = if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") };
    Some(Amount { price, per, bound: None })
}

/// What of one request is billed at least or at most, which no table says: Groq bills ten seconds of sound at least;
/// Gemini's searches cost by the grounded prompt, however many there are, unless the row bills each query.
fn bound(row: &Row, key: &str, price: &str) -> Option<&'static str> {
    let is_gemini = matches!(row.provider.as_str(), "google" | "google-vertex") && row.model.starts_with("gemini");
    // 14 USD for a thousand is the price by the query; some rows have it without saying so.
    let by_query =
        row.multipliers.get("web_search_billing_unit").is_some_and(|unit| unit == "per_query") || price == "14";
    match key {
        "input_second" if row.provider == "groq" => Some("at_least = \"10\""),
        "web_search" | "enterprise_web_search" | "maps_grounding" if is_gemini && !by_query => Some("at_most = \"1\""),
        _ => None,
    }
}

/// Whether the current tables would list a price if there were one: those of tokens, by tier, threshold and date. Fees
/// and prices by region, deployment or size are kept from any table; the current ones leave many of them out.
fn is_covered(meter: usize, condition: &Condition) -> bool {
    let is_special = !condition.regions.is_empty() || condition.deployment.is_some() || !condition.with.is_empty();
    METERS[meter].2 == 1_000_000 && !is_special
}

/// Writes out what a dated list leaves to be understood. A class of tokens has an undated price only, and its parent a
/// dated one besides: where the table that dates knows the class today and did not then, or where the parent cost
/// something else then, the class was billed by its parent. What is free today is taken to have been free.
fn complete_past_lists(table: &mut Table) {
    let place = |wanted: &str| METERS.iter().position(|(_, ours, _)| *ours == wanted);
    for (class, parents) in LINEAGE {
        let Some(class) = place(class) else { continue };
        let parents: Vec<usize> = parents.iter().filter_map(|parent| place(parent)).collect();
        let dates: BTreeSet<(Option<String>, Option<String>)> = table
            .keys()
            .filter(|(meter, condition)| parents.contains(meter) && condition.is_dated())
            .map(|(_, condition)| (condition.from.clone(), condition.until.clone()))
            .collect();
        let today: Vec<Condition> = table
            .keys()
            .filter(|(meter, held)| *meter == class && !held.is_dated())
            .map(|(_, held)| held.clone())
            .collect();
        for condition in today {
            for (from, until) in &dates {
                let then = Condition { from: from.clone(), until: until.clone(), ..condition.clone() };
                let Some(held) = table.get(&(class, condition.clone())).filter(|held| held.amount.price != "0") else {
                    continue;
                };
                let parent = parents.iter().find_map(|parent| {
                    let was = table.get(&(*parent, then.clone()))?;
                    Some((was, table.get(&(*parent, condition.clone()))))
                });
                let Some((was, is)) = parent.filter(|_| !table.contains_key(&(class, then.clone()))) else { continue };
                let knows_today = was.sources.iter().any(|source| held.sources.contains(source));
                let has_changed = is.is_some_and(|is| is.amount != was.amount);
                if knows_today || has_changed {
                    let (rank, amount, sources) = (was.rank, was.amount.clone(), was.sources.clone());
                    table.insert((class, then), Chosen { rank, amount, current: true, sources });
                }
            }
        }
    }
}

/// Of "from 200,000 on" and "over 200,000" the first holds: it is the more deliberate of the two.
fn drop_strict_twins(table: &mut Table) {
    let inclusive: BTreeSet<_> = table.keys().filter(|(_, condition)| condition.inclusive).cloned().collect();
    table.retain(|(meter, condition), _| {
        condition.inclusive || !inclusive.contains(&(*meter, Condition { inclusive: true, ..condition.clone() }))
    });
}

fn drop_redundant(table: &mut Table) {
    for (child, parent) in PARENTS {
        let place = |wanted: &str| METERS.iter().position(|(_, ours, _)| *ours == wanted);
        let (Some(child), Some(parent)) = (place(child), place(parent)) else { continue };
        let same = |((_, condition), chosen): (&(usize, Condition), &Chosen)| {
            table.get(&(parent, condition.clone())).is_some_and(|held| held.amount == chosen.amount)
        };
        if table.iter().filter(|((meter, _), _)| *meter == child).all(same) {
            table.retain(|(meter, _), _| *meter != child);
        }
    }
    let meters: BTreeSet<usize> = table.keys().map(|(meter, _)| *meter).collect();
    for meter in meters {
        let Some(base) = table.get(&(meter, Condition::default())).map(|chosen| chosen.amount.clone()) else {
            continue;
        };
        if table.iter().filter(|((held, _), _)| *held == meter).all(|(_, chosen)| chosen.amount == base) {
            table.retain(|(held, condition), _| *held != meter || *condition == Condition::default());
        }
    }
    let below = |condition: &Condition| Condition { over_input: None, inclusive: false, ..condition.clone() };
    let mut thresholds: BTreeMap<(usize, Condition), usize> = BTreeMap::new();
    for (meter, condition) in table.keys().filter(|(_, condition)| condition.over_input.is_some()) {
        *thresholds.entry((*meter, below(condition))).or_default() += 1;
    }
    let changes_nothing: Vec<_> = table
        .iter()
        .filter(|((meter, condition), chosen)| {
            // In a tier it says that the standard price above the threshold is not what holds.
            let is_standard = condition.tier.is_none();
            let below = (*meter, below(condition));
            is_standard
                && thresholds.get(&below) == Some(&1)
                && condition.over_input.is_some()
                && table.get(&below).is_some_and(|held| held.amount == chosen.amount)
        })
        .map(|(key, _)| key.clone())
        .collect();
    changes_nothing.iter().for_each(|key| drop(table.remove(key)));
}

/// Joins conditions that differ only in the list that `part` picks and have the same prices.
fn join(
    table: BTreeMap<Condition, Amounts>,
    part: impl Fn(&mut Condition) -> &mut Vec<String>,
) -> BTreeMap<Condition, Amounts> {
    let mut groups: BTreeMap<(Condition, Amounts), Vec<String>> = BTreeMap::new();
    let mut joined = BTreeMap::new();
    for (mut condition, amounts) in table {
        let values = std::mem::take(part(&mut condition));
        if values.is_empty() {
            joined.insert(condition, amounts);
        } else {
            groups.entry((condition, amounts)).or_default().extend(values);
        }
    }
    for ((mut condition, amounts), mut values) in groups {
        values.sort();
        values.dedup();
        *part(&mut condition) = values;
        joined.insert(condition, amounts);
    }
    joined
}
