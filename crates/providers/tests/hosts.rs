//! Whose host that is, against Helicone's own cases, where they are there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests may")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use tachograph_providers::Registry;

/// Where we answer differently on purpose: the URL, our provider, and why.
const DIFFERENT: [(&str, Option<&str>, &str); 4] = [
    ("http://127.0.0.1:8000/v1", None, "a host of this machine is whoever the configuration says"),
    ("https://chutes.com", None, "that is a web site; models are at llm.chutes.ai"),
    ("https://ai-gateway.vercel.sh", Some("vercel"), "a provider of its own here, which Helicone's registry has not"),
    (
        "https://integrate.api.nvidia.com",
        Some("nvidia"),
        "a provider of its own here, which Helicone's registry has not",
    ),
];

fn cases(name: &str) -> Option<Value> {
    let named = std::env::var_os("TACHOGRAPH_SHARED").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).map(|above| above.join("shared"));
    let file = named.or_else(beside)?.join("helicone-cases").join(name);
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(_) => {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI=true asks for {name}");
            eprintln!("skipped: no {name} (set TACHOGRAPH_SHARED, or put it at ../shared)");
            None
        }
    }
}

#[test]
fn helicones_targets_mean_the_same_providers() {
    let Some(cases) = cases("provider_from_url.json") else { return };
    let registry = Registry::builtin();
    let mut wrong = Vec::new();
    for case in cases["cases"].as_array().unwrap() {
        let url = case["target_url"].as_str().unwrap();
        let host = url.split("://").nth(1).unwrap().split(['/', ':']).next().unwrap();
        let found = registry.by_host(host).map(|(provider, _)| &*provider.name);
        let theirs = cases["legacy_to_registry"][case["provider"].as_str().unwrap()].as_str();
        let due = match DIFFERENT.iter().find(|(different, ..)| *different == url) {
            Some((_, ours, _)) => *ours,
            None => theirs.map(|name| &*registry.get(name).unwrap_or_else(|| panic!("no {name}")).name),
        };
        if found != due {
            wrong.push(format!("{url}: {found:?} instead of {due:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for name in cases["legacy_to_registry"].as_object().unwrap().values().filter_map(Value::as_str) {
        assert!(registry.get(name).is_some(), "no provider goes by Helicone's name {name}");
    }
}
