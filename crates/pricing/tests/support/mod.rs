//! A book of our own, so that goldens do not move with list prices.

#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "helpers of several tests")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use tachograph_pricing::{Catalog, LoadError, PriceContext};
use tachograph_record::{Cost, CostState, Leaf, Timestamp, Usage, UsageReading};

/// Writes files into a directory under the build directory, of its own for each call: tests run at the same time. Returns
/// its path.
pub(crate) fn directory(name: &str, files: &[(&str, &str)]) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let unique = format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(unique);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    for (file, text) in files {
        std::fs::write(path.join(file), text).unwrap();
    }
    path
}

/// The built-in book with one file over it.
pub(crate) fn with_overlay(name: &str, text: &str) -> Result<Catalog, LoadError> {
    Catalog::with_overlays(&[directory(name, &[("overlay.toml", text)])])
}

/// 2026-11-20 12:00 UTC, a Friday, plus so many hours.
pub(crate) fn friday_noon_plus(hours: i64) -> Timestamp {
    Timestamp::from_micros((1_795_176_000 + hours * 3600) * 1_000_000)
}

pub(crate) fn now() -> PriceContext<'static> {
    PriceContext::at(friday_noon_plus(0))
}

pub(crate) fn cost(book: &Catalog, model: &str, usage: &Usage, context: &PriceContext<'_>) -> Cost {
    let (provider, model) = model.split_once(' ').unwrap_or(("acme", model));
    match book.cost(provider, model, &UsageReading::Known(usage.clone()), context) {
        CostState::Priced(cost) => *cost,
        other => panic!("{provider} {model}: {other:?}"),
    }
}

pub(crate) fn total(book: &Catalog, model: &str, leaves: &[(Leaf, u64)], context: &PriceContext<'_>) -> String {
    cost(book, model, &Usage::reported(leaves.iter().copied()), context).total.to_string()
}
