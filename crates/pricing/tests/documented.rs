//! What `pricing/README.md` and `pricing/schema.json` say is so.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

use std::collections::BTreeSet;

use support::{friday_noon_plus, now, total, with_overlay};
use tachograph_pricing::{PriceContext, PriceMeter};
use tachograph_record::Leaf;

fn read(file: &str) -> String {
    std::fs::read_to_string(format!("{}/../../pricing/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn the_readmes_examples_load_and_mean_what_they_say() {
    let readme = read("README.md");
    let examples: Vec<&str> = readme.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 2);
    let book = with_overlay("readme-map", examples[1]).unwrap();
    assert_eq!(&*book.resolve("azure", "chat-prod").unwrap().model.id, "gpt-4o");

    let book = with_overlay("readme", examples[0]).unwrap();
    let both = [(Leaf::INPUT, 1000), (Leaf::OUTPUT, 1000)];
    let at = |context: PriceContext<'_>| total(&book, "large-2", &both, &context);
    assert_eq!(at(now()), "0.018");
    assert_eq!(at(PriceContext { batch: true, ..now() }), "0.009");
    assert_eq!(at(PriceContext { region: Some("us"), ..now() }), "0.0198");
    assert_eq!(at(PriceContext::at(friday_noon_plus(5))), "0.013");
    assert_eq!(at(PriceContext::at(friday_noon_plus(24 + 5))), "0.018", "Saturday");
    assert_eq!(at(PriceContext::at(friday_noon_plus(-365 * 24))), "0.024");
    assert_eq!(&*book.resolve("", "large-2").unwrap().provider, "acme");
}

#[test]
fn the_schema_knows_every_meter() {
    let schema: serde_json::Value = serde_json::from_str(&read("schema.json")).unwrap();
    let listed: BTreeSet<&str> =
        schema["$defs"]["meters"]["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    let known: BTreeSet<&str> = PriceMeter::all().map(PriceMeter::key).collect();
    assert_eq!(listed, known);
}
