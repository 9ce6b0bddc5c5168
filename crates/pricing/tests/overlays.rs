//! Files of the operator over the built-in book.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

use support::{directory, now, total, with_overlay};
use tachograph_pricing::Catalog;
use tachograph_record::Leaf;

const MILLION: &[(Leaf, u64)] = &[(Leaf::INPUT, 1_000_000)];

#[test]
fn a_model_is_replaced_whole_and_others_stay() {
    let book = with_overlay(
        "replace",
        "[provider]\nid = \"openai\"\naliases = [\"our-openai\"]\n[[model]]\nid = \"gpt-4o-mini\"\naliases = [\"gpt-5-4\"]\n[[model.price]]\ninput = \"0.1\"\n",
    )
    .unwrap();
    assert_eq!(total(&book, "openai gpt-4o-mini", MILLION, &now()), "0.1");
    assert_eq!(total(&book, "our-openai gpt-4.1-mini", MILLION, &now()), "0.4");
    assert_ne!(book.version(), Catalog::embedded().version());
    assert_eq!(book.models().count(), Catalog::embedded().models().count());
}

#[test]
fn later_layers_are_on_top() {
    let layer = |price: &str| {
        format!("[provider]\nid = \"acme\"\n[[model]]\nid = \"m\"\n[[model.price]]\ninput = \"{price}\"\n")
    };
    let below = directory("below", &[("a.toml", &layer("1")), ("b.toml", &layer("2")), ("notes.txt", "no price file")]);
    let above = directory("above", &[("acme.toml", &layer("3"))]);
    let of = |paths: &[std::path::PathBuf]| total(&Catalog::with_overlays(paths).unwrap(), "acme m", MILLION, &now());
    assert_eq!(of(std::slice::from_ref(&below)), "2", "files in the order of their names");
    assert_eq!(of(&[below.clone(), above.clone()]), "3");
    assert_eq!(of(&[above.join("acme.toml"), below]), "2", "a single file is a layer too");
}

#[test]
fn without_files_the_version_is_that_of_the_built_in_book() {
    let empty = Catalog::with_overlays(&[directory("empty", &[])]).unwrap();
    assert_eq!(empty.version(), Catalog::embedded().version());
}

#[test]
fn what_cannot_be_read_and_what_leads_nowhere_is_a_fault() {
    let missing = std::path::PathBuf::from("no/such/directory");
    let error = Catalog::with_overlays(&[missing]).unwrap_err();
    assert!(error.to_string().starts_with("no/such/directory: cannot be read"), "{error}");
    let error = with_overlay("loose", "[provider]\nid = \"azure-openai\"\n[[map]]\nfrom = \"d\"\nto = \"gpt-none\"\n")
        .unwrap_err();
    assert!(error.to_string().contains("\"d\" is mapped to \"gpt-none\", which azure-openai does not list"), "{error}");
    let error = with_overlay("clash", "[provider]\nid = \"acme\"\naliases = [\"openai\"]\n").unwrap_err();
    assert!(error.to_string().contains("is also another's name"), "{error}");
}

#[test]
fn oddities_are_warnings() {
    let text = "[provider]\nid = \"acme\"\n[[model]]\nid = \"m\"\n[[model.price]]\ninput = \"1\"\ncache_read = \"2\"\n";
    let warnings = with_overlay("odd", text).unwrap().warnings().to_vec();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].line, Some(4));
}
