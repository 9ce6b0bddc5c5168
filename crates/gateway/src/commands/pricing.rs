//! `gateway pricing`: is the price book sound, and what differs between two.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tachograph_pricing::{Catalog, Change, LoadError, MeterChange, PriceBook, ProviderRow, compare};
use tachograph_record::Timestamp;

use super::CommandError;
use crate::config::Config;

/// What to do with the price book.
pub enum PricingCommand {
    /// Validate the built-in book and the configured overlays.
    Check,
    /// Tell what differs between two books.
    Diff {
        /// The old one: `embedded`, `effective` (with the configured overlays), a price file, or a folder of them.
        old: String,
        /// The new one.
        new: String,
        /// As JSON instead of text.
        json: bool,
    },
}

/// Prices that were read longer ago than this are called old.
const STALE_DAYS: i64 = 90;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Checks or compares price books.
///
/// # Errors
/// Where a price file is wrong: all faults, each with its file and line. Where nothing can be written.
pub fn pricing(config: &Config, command: &PricingCommand, out: &mut impl Write) -> Result<(), CommandError> {
    match command {
        PricingCommand::Check => check(config, Timestamp::now(), out),
        PricingCommand::Diff { old, new, json } => {
            let (old, new) = (book(config, old)?, book(config, new)?);
            let changes = compare(&old, &new);
            if *json { write_json(&changes, out) } else { write_text(&changes, out) }
        }
    }
}

fn wrong(faults: LoadError) -> CommandError {
    CommandError::Usage(format!("the price files are wrong:\n{faults}"))
}

fn check(config: &Config, now: Timestamp, out: &mut impl Write) -> Result<(), CommandError> {
    let built_in = Catalog::embedded();
    let prices = PriceBook::open_with(config.pricing.sources()).map_err(wrong)?;
    let book = prices.current();
    let of_overlays = if book.version() == built_in.version() { &[] } else { book.warnings() };
    for warning in built_in.warnings().iter().chain(of_overlays) {
        writeln!(out, "warning: {warning}")?;
    }
    for (provider, days) in stale(&book, now) {
        writeln!(out, "old: the prices of {} were read {days} days ago", provider.id())?;
    }
    let (listed, models) = (book.providers().len(), book.models().count());
    let rates: usize = book.models().map(|(_, model)| model.rates.len()).sum();
    writeln!(out, "{listed} providers, {models} models, {rates} prices; version {}", book.version())?;
    for overlay in &config.pricing.overlays {
        writeln!(out, "overlay {} over the built-in version {}", overlay.display(), built_in.version())?;
    }
    for (holder, contract) in &config.pricing.contracts {
        let percent = contract.discount_percent.as_ref().map_or_else(|| "0".to_owned(), ToString::to_string);
        let files: Vec<String> = contract.overlays.iter().map(|path| path.display().to_string()).collect();
        writeln!(out, "contract {}: {percent} % off, own prices: [{}]", String::from(*holder), files.join(", "))?;
    }
    Ok(())
}

/// Providers whose prices were read long ago, and how many days.
fn stale(book: &Catalog, now: Timestamp) -> impl Iterator<Item = (&ProviderRow, i64)> {
    book.providers().iter().filter_map(move |provider| {
        let days = (now.micros() - provider.as_of()?.micros()) / MICROS_PER_DAY;
        (days > STALE_DAYS).then_some((provider, days))
    })
}

/// The book that an argument names.
fn book(config: &Config, named: &str) -> Result<Arc<Catalog>, CommandError> {
    match named {
        "embedded" => Ok(Arc::clone(Catalog::embedded())),
        "effective" => Catalog::with_overlays(&config.pricing.overlays).map(Arc::new).map_err(wrong),
        path => Catalog::of_files(&[PathBuf::from(path)]).map(Arc::new).map_err(wrong),
    }
}

fn write_text(changes: &[Change], out: &mut impl Write) -> Result<(), CommandError> {
    for change in changes {
        writeln!(out, "{} {}/{}", sign(change), change.provider, change.model)?;
        for meter in &change.meters {
            writeln!(out, "    {}", told(meter))?;
        }
    }
    let count = |wanted: char| changes.iter().filter(|change| sign(change) == wanted).count();
    let [added, removed, changed] = ['+', '-', '~'].map(count);
    writeln!(out, "{added} models added, {removed} removed, {changed} with other prices")?;
    Ok(())
}

fn sign(change: &Change) -> char {
    match (change.is_new, change.is_gone) {
        (true, _) => '+',
        (_, true) => '-',
        _ => '~',
    }
}

/// `input (tier=batch): 3 per 1000000 -> 1.5 per 1000000`
fn told(change: &MeterChange) -> String {
    let mut text = change.meter.clone();
    if !change.condition.is_empty() {
        let _ = write!(text, " ({})", change.condition);
    }
    let _ = match (&change.old, &change.new) {
        (Some(old), Some(new)) => write!(text, ": {old} -> {new}"),
        (Some(old), None) => write!(text, ": {old} -> none"),
        (None, Some(new)) => write!(text, ": {new}"),
        (None, None) => Ok(()),
    };
    text
}

fn write_json(changes: &[Change], out: &mut impl Write) -> Result<(), CommandError> {
    let meter = |change: &MeterChange| json!({ "meter": change.meter, "condition": change.condition, "old": change.old, "new": change.new });
    let listed: Vec<Value> = changes
        .iter()
        .map(|change| {
            let kind = match sign(change) {
                '+' => "added",
                '-' => "removed",
                _ => "changed",
            };
            let prices: Vec<Value> = change.meters.iter().map(meter).collect();
            json!({ "change": kind, "provider": change.provider, "model": change.model, "prices": prices })
        })
        .collect();
    let text = serde_json::to_string_pretty(&json!({ "changes": listed }));
    writeln!(out, "{}", text.map_err(|error| CommandError::Internal(error.to_string()))?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_prices_are_told_by_their_age() {
        let book = Catalog::embedded();
        let newest = book.providers().iter().filter_map(ProviderRow::as_of).max().unwrap();
        let after = |days: i64| Timestamp::from_micros(newest.micros() + days * MICROS_PER_DAY);
        assert!(stale(book, after(STALE_DAYS)).all(|(provider, _)| provider.as_of() < Some(newest)));
        let later = stale(book, after(STALE_DAYS + 1)).count();
        assert_eq!(later, book.providers().iter().filter(|provider| provider.as_of().is_some()).count());
    }
}
