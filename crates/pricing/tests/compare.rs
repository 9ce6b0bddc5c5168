//! What differs between two books, to the meter and condition.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

use support::directory;
use tachograph_pricing::{Catalog, Change, MeterChange, compare};

const OLD: &str = r#"
    [provider]
    id = "acme"
    [[provider.source]]
    tag = "by-hand"
    at = "2026-03-01"
    [[model]]
    id = "kept"
    context = 1000
    [[model.price]]
    input = "1.50"
    [[model]]
    id = "moved"
    [[model.price]]
    input = "3"
    output = "15"
    [[model.price.when]]
    tier = "batch"
    input = "1.5"
    [[model.multiplier]]
    factor = "1.1"
    region = "us"
    [[model]]
    id = "gone"
    [[model.price]]
    image = { price = "0.04", per = 1 }
"#;

const NEW: &str = r#"
    [provider]
    id = "acme"
    [[model]]
    id = "kept"
    context = 2000
    aliases = ["dear"]
    [[model.price]]
    input = "1.5"
    [[model]]
    id = "moved"
    [[model.price]]
    input = "2.5"
    output = "15"
    cache_read = "0.25"
    [[model.multiplier]]
    factor = "1.2"
    region = "us"
    [[model]]
    id = "new"
    [[model.price]]
    input = "0"
"#;

fn changed(meter: &str, condition: &str, old: Option<&str>, new: Option<&str>) -> MeterChange {
    let (old, new) = (old.map(str::to_owned), new.map(str::to_owned));
    MeterChange { meter: meter.to_owned(), condition: condition.to_owned(), old, new }
}

#[test]
fn models_and_prices_that_came_went_and_changed() {
    let of = |name, text| Catalog::of_files(&[directory(name, &[("acme.toml", text)])]).unwrap();
    let (old, new) = (of("old", OLD), of("new", NEW));
    assert_eq!(old.providers()[0].as_of().unwrap().micros(), 1_772_323_200_000_000);
    let change = |model: &str, is_new, is_gone, meters| Change {
        provider: "acme".to_owned(),
        model: model.to_owned(),
        is_new,
        is_gone,
        meters,
    };
    assert_eq!(
        compare(&old, &new),
        [
            change("gone", false, true, vec![changed("image", "", Some("0.04 per 1"), None)]),
            change(
                "moved",
                false,
                false,
                vec![
                    changed("cache_read", "", None, Some("0.25 per 1000000")),
                    changed("input", "", Some("3 per 1000000"), Some("2.5 per 1000000")),
                    changed("input", "tier=batch", Some("1.5 per 1000000"), None),
                    changed("multiplier", "region=us", Some("x 11/10"), Some("x 6/5")),
                ]
            ),
            change("new", true, false, vec![changed("input", "", None, Some("0 per 1000000"))]),
        ],
        "limits, aliases and needless zeros are no prices"
    );
    assert_eq!(compare(&old, &old), []);
}
