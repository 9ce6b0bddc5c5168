//! The page on what is lost in translation is the table. Run with `UPDATE_GOLDEN=1` after a change that is meant.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking, in its helpers too")]

use std::fmt::Write;
use std::path::Path;

use tachograph_providers::DialectId;
use tachograph_providers::loss::{Verdict, losses};

const MARK: &str = "<!-- What follows is written by the test `losses` of tachograph-providers. -->";

/// What is read as the same field is carried whole and stands in no table.
fn tables() -> String {
    let mut page = String::new();
    for from in DialectId::all() {
        for to in DialectId::all().filter(|to| *to != from) {
            writeln!(
                page,
                "\n### `{}` to `{}`\n\n| feature | what becomes of it | how |\n|---|---|---|",
                from.name(),
                to.name()
            )
            .unwrap();
            for loss in losses().filter(|loss| loss.from == from && loss.to == to) {
                let verdict = match loss.verdict {
                    Verdict::Lossless => "carried",
                    Verdict::Approximated => "approximated",
                    Verdict::Dropped => "dropped",
                    Verdict::Refused => "refused",
                };
                writeln!(page, "| `{}` | {verdict} | {} |", loss.feature, loss.how.replace('|', "\\|")).unwrap();
            }
        }
    }
    page
}

#[test]
fn the_page_on_translation_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/translation.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(MARK).unwrap();
    let want = tables();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, format!("{head}{MARK}\n{want}")).unwrap();
    } else {
        assert_eq!(rest.trim(), want.trim(), "run with UPDATE_GOLDEN=1 and read the difference");
    }
}

#[test]
fn every_pair_of_dialects_has_lines() {
    for from in DialectId::all() {
        for to in DialectId::all().filter(|to| *to != from) {
            let named = |feature: &str| losses().any(|loss| (loss.from, loss.to, loss.feature) == (from, to, feature));
            assert!(named("tools"), "{from:?} to {to:?}: what of tools that a provider runs?");
            assert!(named("messages.file_id"), "{from:?} to {to:?}: what of files that a provider holds?");
        }
    }
}
