//! What organisations pay by contract, and how it changes while the program runs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

use std::path::PathBuf;

use support::{cost, directory, now, total};
use tachograph_pricing::{Contract, ContractHolder, PriceBook, PriceSources};
use tachograph_record::{Leaf, Money, OrgId, Quantity, Unit, Usage};

fn acme(input: &str) -> String {
    format!(
        "[provider]\nid = \"acme\"\n[[model]]\nid = \"m\"\n[[model.price]]\ninput = \"{input}\"\noutput = \"7\"\n\
         web_search = {{ price = \"10\", per = 1000 }}\n[[model.multiplier]]\nfactor = \"1.1\"\nregion = \"us\"\n"
    )
}

fn contract(percent: Option<&str>, overlays: Vec<PathBuf>) -> Contract {
    Contract { discount_percent: percent.map(|text| text.parse().unwrap()), overlays }
}

const MILLION: &[(Leaf, u64)] = &[(Leaf::INPUT, 1_000_000)];

#[test]
fn own_prices_then_the_discount_then_those_of_all_others() {
    let (own, discounted, other) = (OrgId::generate(), OrgId::generate(), OrgId::generate());
    let shared = directory("contract-shared", &[("acme.toml", &acme("3"))]);
    let private = directory("contract-own", &[("acme.toml", &acme("2"))]);
    let contracts = [
        (ContractHolder::Org(own), contract(Some("50"), vec![private])),
        (ContractHolder::Org(discounted), contract(Some("12.5"), Vec::new())),
        (ContractHolder::Default, contract(Some("1"), Vec::new())),
    ];
    let sources = PriceSources { overlays: vec![shared], contracts: contracts.into() };
    let book = PriceBook::open_with(sources).unwrap();
    let pays = |org| total(&book.for_org(org), "acme m", MILLION, &now());
    assert_eq!([pays(own), pays(discounted), pays(other)], ["1", "2.625", "2.97"]);
    assert_eq!(total(&book.current(), "acme m", MILLION, &now()), "3", "the list price is nobody's contract");
    let versions: std::collections::BTreeSet<String> =
        [own, discounted, other].iter().map(|&org| book.for_org(org).version().to_owned()).collect();
    assert_eq!(versions.len(), 3, "each price list has a version of its own");
}

#[test]
fn a_discount_holds_for_every_line_and_lines_still_add_up() {
    let list = directory("contract-lines", &[("acme.toml", &acme("3"))]);
    let contracts = [(ContractHolder::Default, contract(Some("33.3"), Vec::new()))].into();
    let book = PriceBook::open_with(PriceSources { overlays: vec![list], contracts }).unwrap();
    let mut usage = Usage::reported([(Leaf::INPUT, 1_000_001), (Leaf::OUTPUT, 3)]);
    usage.add_unit(Unit::WebSearches, Quantity::whole(7).unwrap());
    let context = tachograph_pricing::PriceContext { region: Some("us"), ..now() };
    let cost = cost(&book.for_org(OrgId::HOME), "acme m", &usage, &context);
    let told: Vec<_> =
        cost.lines.iter().map(|line| (line.meter.as_str(), line.price.as_str(), line.amount.to_string())).collect();
    let line = |meter, price, amount: &str| (meter, price, amount.to_owned());
    assert_eq!(
        told,
        [
            line("input_tokens", "2.2011", "2.2011022011"),
            line("output_tokens", "5.1359", "0.0000154077"),
            line("web_searches", "6.67", "0.04669")
        ]
    );
    assert_eq!(cost.lines.iter().map(|line| line.amount).sum::<Money>(), cost.total);
    assert_eq!(cost.warnings, ["at list prices less 33.3 % by contract"]);
}

#[test]
fn a_poll_reads_only_what_changed_and_keeps_the_book_when_it_is_bad() {
    let folder = directory("contract-poll", &[("acme.toml", &acme("3"))]);
    let contracts = [(ContractHolder::Default, contract(Some("50"), vec![folder.clone()]))].into();
    let book = PriceBook::open_with(PriceSources { overlays: Vec::new(), contracts }).unwrap();
    let pays = || total(&book.for_org(OrgId::HOME), "acme m", MILLION, &now());
    assert!(!book.poll().unwrap());
    assert_eq!(pays(), "1.5");

    std::fs::write(folder.join("b.toml"), "[provider]\nid = \"b\"\nnmae = \"x\"\n").unwrap();
    std::fs::write(folder.join("c.toml"), "no price file").unwrap();
    assert_eq!(book.poll().unwrap_err().faults.len(), 2);
    assert_eq!((book.faults(), pays().as_str()), (2, "1.5"));
    assert!(!book.poll().unwrap(), "told once");
    assert_eq!(book.faults(), 2, "but still so");

    std::fs::remove_file(folder.join("b.toml")).unwrap();
    std::fs::remove_file(folder.join("c.toml")).unwrap();
    std::fs::write(folder.join("acme.toml"), acme("11")).unwrap();
    assert!(book.poll().unwrap());
    assert_eq!((book.faults(), pays().as_str()), (0, "5.5"));
    std::fs::write(folder.join("acme.toml"), acme("11")).unwrap();
    assert!(!book.poll().unwrap(), "written anew, with the same prices");
}
