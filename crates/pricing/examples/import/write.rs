//! The files' text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use crate::names;
use crate::points::{self, Amounts, Condition};
use crate::row::{Row, Versions};
use crate::settle;

/// A provider's file, and how many models with a price are in it.
pub(crate) fn provider(id: &str, rows: &[Row], aliases: &BTreeSet<String>, versions: &Versions) -> (String, usize) {
    let mut out = String::new();
    let mut tags: Vec<&str> = rows.iter().flat_map(|row| &row.sources).map(String::as_str).collect();
    tags.sort_unstable();
    tags.dedup();
    let mut pages: Vec<&str> = rows.iter().flat_map(|row| &row.price_pages).map(String::as_str).collect();
    pages.retain(|page| page.starts_with("https://"));
    pages.sort_unstable();
    pages.dedup();
    line(&mut out, "[provider]");
    field(&mut out, "id", id);
    field(&mut out, "name", &names::display(id));
    list(&mut out, "aliases", aliases.iter().map(String::as_str));
    list(&mut out, "makes", names::makes(id).iter().copied());
    list(&mut out, "pages", pages.into_iter().take(8));
    for tag in tags {
        line(&mut out, "\n[[provider.source]]");
        field(&mut out, "tag", tag);
        field(&mut out, "version", versions.by_tag.get(tag).map_or("", String::as_str));
        field(&mut out, "at", &versions.at);
    }
    let ids: BTreeSet<String> = rows.iter().map(|row| row.model.to_ascii_lowercase()).collect();
    let mut taken = ids.clone();
    let mut count = 0;
    for row in rows {
        let prices = points::of(row);
        if !prices.is_empty() {
            let own = kept_aliases(id, row, aliases, &mut taken);
            model(&mut out, row, &own, &prices);
            count += 1;
        }
    }
    (out, count)
}

/// Aliases that say something: not another row's id, not the id behind a gateway's prefix, a size or a region, all of
/// which the matcher takes off by itself.
fn kept_aliases(provider: &str, row: &Row, names: &BTreeSet<String>, taken: &mut BTreeSet<String>) -> Vec<String> {
    let known: BTreeSet<String> =
        std::iter::once(&row.model).chain(&row.aliases).map(|name| name.to_ascii_lowercase()).collect();
    let behind_prefix = |alias: &str| {
        alias.split_once('/').is_some_and(|(prefix, rest)| {
            (prefix == provider || names.contains(prefix)) && (known.contains(rest) || rest.contains('/'))
        })
    };
    let mut kept = Vec::new();
    for alias in &row.aliases {
        let lower = alias.trim().to_ascii_lowercase();
        let is_sized = lower.contains("-x-");
        if !lower.is_empty() && !is_sized && !behind_prefix(&lower) && taken.insert(lower) {
            kept.push(alias.trim().to_owned());
        }
    }
    kept.sort();
    kept
}

/// From and until.
type Dates<'a> = (Option<&'a str>, Option<&'a str>);

fn model(out: &mut String, row: &Row, aliases: &[String], prices: &[(Condition, Amounts)]) {
    line(out, "\n[[model]]");
    field(out, "id", &row.model);
    list(out, "aliases", aliases.iter().map(String::as_str));
    if let Some(mode) = &row.mode {
        field(out, "mode", mode);
    }
    number(out, "context", row.limits.context_window);
    number(out, "max_input", row.limits.max_input_tokens);
    number(out, "max_output", row.limits.max_output_tokens);
    for (key, ours) in [("release_date", "released"), ("deprecation_date", "deprecated")] {
        if let Some(date) = row.dates.get(key) {
            field(out, ours, date);
        }
    }
    list(out, "sources", row.sources.iter().map(String::as_str));
    let notes: Vec<String> = row.notes.iter().cloned().chain(billing_notes(row)).collect();
    list(out, "notes", notes.iter().map(String::as_str));
    let conflicts: Vec<String> = row.conflicts.iter().map(|held| conflict(&row.provider, held)).collect();
    long_list(out, "conflicts", &conflicts);
    let mut blocks: BTreeMap<Dates<'_>, Vec<(&Condition, &Amounts)>> = BTreeMap::new();
    for (condition, amounts) in prices {
        let dates = (condition.from.as_deref(), condition.until.as_deref());
        blocks.entry(dates).or_default().push((condition, amounts));
    }
    for ((from, until), entries) in blocks {
        line(out, "\n[[model.price]]");
        from.into_iter().for_each(|date| field(out, "from", date));
        until.into_iter().for_each(|date| field(out, "until", date));
        let plain = Condition { from: from.map(Into::into), until: until.map(Into::into), ..Condition::default() };
        let (base, special): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(condition, _)| **condition == plain);
        base.iter().for_each(|(_, amounts)| amounts_of(out, amounts));
        special.iter().for_each(|(condition, amounts)| when(out, condition, amounts));
    }
    multipliers(out, row);
}

fn when(out: &mut String, condition: &Condition, amounts: &Amounts) {
    line(out, "\n[[model.price.when]]");
    condition.tier.iter().for_each(|tier| field(out, "tier", tier));
    number(out, "over_input", condition.over_input);
    if condition.inclusive {
        line(out, "inclusive = true");
    }
    condition.deployment.iter().for_each(|deployment| field(out, "deployment", deployment));
    list(out, "region", condition.regions.iter().map(String::as_str));
    if !condition.with.is_empty() {
        let pairs: Vec<String> =
            condition.with.iter().map(|(key, value)| format!("{key} = {}", quoted(value))).collect();
        line(out, &format!("with = {{ {} }}", pairs.join(", ")));
    }
    if !condition.windows.is_empty() {
        line(out, &format!("window = [{}]", condition.windows.join(", ")));
    }
    amounts_of(out, amounts);
}

fn amounts_of(out: &mut String, amounts: &Amounts) {
    const MILLION_BY_CUSTOM: [&str; 4] = ["input", "output", "cache", "citation"];
    for (&meter, amount) in amounts {
        let key = points::key(meter);
        let is_token = MILLION_BY_CUSTOM.iter().any(|start| key.starts_with(start))
            && !["_second", "_character", "_images", "_pixel"].iter().any(|end| key.ends_with(end));
        if is_token && amount.per == 1_000_000 {
            field(out, key, &amount.price);
        } else {
            let bound = amount.bound.map(|bound| format!(", {bound}")).unwrap_or_default();
            line(out, &format!("{key} = {{ price = {}, per = {}{bound} }}", quoted(&amount.price), amount.per));
        }
    }
}

/// Source multipliers and the conditions they mean.
const MULTIPLIERS: &[(&str, &str)] = &[
    ("inference_geo_us", "with = { inference_geo = \"us\" }"),
    ("speed_fast", "with = { speed = \"fast\" }"),
    ("regional_processing_uplift_multiplier_eu", "region = \"eu\""),
    ("regional_processing_uplift_multiplier_us", "region = \"us\""),
    ("regional_endpoint_uplift_multiplier", "region = \"*\""),
];

fn multipliers(out: &mut String, row: &Row) {
    for (name, condition) in MULTIPLIERS {
        if let Some(factor) = row.multipliers.get(*name).and_then(Value::as_str) {
            line(out, "\n[[model.multiplier]]");
            field(out, "factor", factor);
            line(out, condition);
        }
    }
}

fn billing_notes(row: &Row) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(unit) = row.multipliers.get("web_search_billing_unit").and_then(Value::as_str) {
        notes.push(format!("web searches are billed {}", unit.replace('_', " ")));
    }
    if let Some(free) = row.multipliers.get("web_search_free_allowance") {
        let (count, period) = (&free["count"], free["period"].as_str().unwrap_or_default());
        notes.push(format!("{count} web searches a {period} are free for each account; not taken off here"));
    }
    notes
}

/// `cache_read, tier batch: genai-prices 0.003, litellm 0.006; taken: 0.003, <the reason>`.
fn conflict(provider: &str, conflict: &BTreeMap<String, Value>) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let name = conflict.get("meter").or_else(|| conflict.get("field")).map(text).unwrap_or_default();
    let is_said_elsewhere = |key: &str| ["meter", "field", "values", "unit", "per"].contains(&key);
    let qualifiers = conflict.iter().filter(|(key, _)| !is_said_elsewhere(key));
    let about = qualifiers.fold(name, |about, (key, value)| format!("{about}, {key} {}", text(value)));
    let values = conflict.get("values").and_then(Value::as_object).into_iter().flatten();
    let values: Vec<String> = values.map(|(source, value)| format!("{source} {}", text(value))).collect();
    let taken = settle::settle(provider, conflict)
        .map(|settled| format!("; taken: {}, {}", settled.value, settled.reason))
        .unwrap_or_default();
    format!("{about}: {}{taken}", values.join(", "))
}

fn line(out: &mut String, text: &str) {
    let _ = writeln!(out, "{text}");
}

fn field(out: &mut String, key: &str, value: &str) {
    line(out, &format!("{key} = {}", quoted(value)));
}

fn number(out: &mut String, key: &str, value: Option<u64>) {
    if let Some(value) = value {
        line(out, &format!("{key} = {value}"));
    }
}

fn list<'a>(out: &mut String, key: &str, values: impl Iterator<Item = &'a str>) {
    let values: Vec<String> = values.map(quoted).collect();
    if !values.is_empty() {
        line(out, &format!("{key} = [{}]", values.join(", ")));
    }
}

fn long_list(out: &mut String, key: &str, values: &[String]) {
    if values.is_empty() {
        return;
    }
    line(out, &format!("{key} = ["));
    values.iter().for_each(|value| line(out, &format!("    {},", quoted(value))));
    line(out, "]");
}

/// A TOML basic string. JSON's escapes are a subset of TOML's.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
