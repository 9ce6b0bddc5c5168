//! Usage objects of many providers come out as the totals that two price calculators agree on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking, in its helpers too")]

mod support;

use serde_json::Value;
use tachograph_providers::usage::{ApiShape, UsageError, normalize, totals};

#[test]
fn inclusive_totals_are_those_expected() {
    let Some(folder) = support::data("pricing-cases") else { return };
    let text = std::fs::read_to_string(folder.join("cases.jsonl")).unwrap();
    let mut checked = 0;
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let string = |key: &str| case[key].as_str().unwrap_or_default();
        let shape = ApiShape::of_api(string("api")).unwrap_or_else(|| panic!("no shape for {}", string("api")));
        let usage = normalize(shape, string("provider"), &case["usage"]);
        let expect = &case["expect"];
        match expect["status"].as_str() {
            Some("no_usage") => assert_eq!(usage, Err(UsageError::NoUsage), "{line}"),
            Some("invalid_usage") => assert!(matches!(usage, Err(UsageError::Invalid { .. })), "{line}"),
            Some("anomalous") => {
                let accepted = expect["accept"].as_array().unwrap().iter().any(|status| status == "priced");
                assert!(usage.is_err() || accepted, "{line}");
            }
            Some("priced" | "unknown_model") => assert!(usage.is_ok(), "{line}: {usage:?}"),
            _ => {}
        }
        let (Ok(usage), Some(normalized)) = (usage, expect["normalized"].as_object()) else { continue };
        let totals = totals(&usage.billable());
        for (name, want) in normalized {
            let tokens = totals.tokens.iter().find(|(held, _)| held == name).map(|&(_, count)| count.to_string());
            let units = || totals.units.iter().find(|(held, _)| held == name).map(|(_, quantity)| quantity.to_string());
            let got = tokens.or_else(units).unwrap_or_else(|| "0".to_owned());
            // Counts that were sent as floats are expected as they were sent.
            let want = want.as_str().map_or_else(|| want.to_string(), str::to_owned);
            assert_eq!(got, want.trim_end_matches(".0"), "{name} in {line}");
        }
        checked += 1;
    }
    assert!(checked > 200, "{checked}");
}
