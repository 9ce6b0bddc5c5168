//! Which row of the built-in book a name means, and which names mean none.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use tachograph_pricing::{Catalog, MatchRule};

/// Provider and name as they come; provider, id and rule that they must lead to.
type Row = (&'static str, &'static str, &'static str, &'static str, MatchRule);

const FOUND: &[Row] = &[
    ("openai", "gpt-4o-mini", "openai", "gpt-4o-mini", MatchRule::Exact),
    ("openai", "  gpt-4o-mini ", "openai", "gpt-4o-mini", MatchRule::CaseFolded),
    ("OpenAI", "GPT-4o-Mini", "openai", "gpt-4o-mini", MatchRule::CaseFolded),
    ("openai", "gpt-5.4-2026-03-05", "openai", "gpt-5.4-2026-03-05", MatchRule::Exact),
    ("openai", "gpt-5.4-20260305", "openai", "gpt-5.4-2026-03-05", MatchRule::DateForm),
    ("openai", "openai/gpt-4o-mini", "openai", "gpt-4o-mini", MatchRule::Wrapped),
    (
        "openai",
        "ft:gpt-4o-mini-2024-07-18:acme:support:9aBc",
        "openai",
        "ft:gpt-4o-mini-2024-07-18",
        MatchRule::FineTune,
    ),
    ("azure", "azure/gpt-4o", "azure-openai", "gpt-4o", MatchRule::Wrapped),
    ("azure-openai", "azure/eu/gpt-5", "azure-openai", "gpt-5", MatchRule::Wrapped),
    ("anthropic", "anthropic/claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5", MatchRule::Wrapped),
    ("anthropic", "claude-sonnet-4-5-2025-09-29", "anthropic", "claude-sonnet-4-5-20250929", MatchRule::DateForm),
    ("google", "models/gemini-2.5-flash", "google", "gemini-2.5-flash", MatchRule::Wrapped),
    ("gemini", "gemini/gemini-2.5-flash", "google", "gemini-2.5-flash", MatchRule::Wrapped),
    ("vertex", "publishers/google/models/gemini-2.5-flash", "google-vertex", "gemini-2.5-flash", MatchRule::Wrapped),
    (
        "google-vertex",
        "projects/p-1/locations/us-east5/publishers/anthropic/models/claude-opus-5-5",
        "google-vertex",
        "claude-opus-5-5",
        MatchRule::Wrapped,
    ),
    ("google-vertex", "google/gemini-2.5-flash", "google-vertex", "gemini-2.5-flash", MatchRule::Wrapped),
    (
        "bedrock",
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0",
        "aws-bedrock",
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
        MatchRule::Wrapped,
    ),
    (
        "aws-bedrock",
        "bedrock/converse/us.anthropic.claude-sonnet-4-6",
        "aws-bedrock",
        "us.anthropic.claude-sonnet-4-6",
        MatchRule::Wrapped,
    ),
    ("aws-bedrock", "eu.writer.palmyra-x4-v1:0", "aws-bedrock", "writer.palmyra-x4-v1:0", MatchRule::GeoPrefix),
    ("together", "together_ai/openai/gpt-oss-120b", "together", "openai/gpt-oss-120b", MatchRule::Wrapped),
    ("demo", "demo/echo", "demo", "demo/echo", MatchRule::Exact),
    ("demo", "slow", "demo", "demo/slow", MatchRule::Alias),
];

#[test]
fn names_lead_to_their_row() {
    let book = Catalog::embedded();
    for &(provider, name, to_provider, to_model, rule) in FOUND {
        let found = book.resolve(provider, name).unwrap_or_else(|| panic!("{provider} {name} is unknown"));
        assert_eq!(
            (&*found.provider, &*found.model.id, found.rule),
            (to_provider, to_model, rule),
            "{provider} {name}"
        );
        assert!(!found.inferred);
        assert_eq!(found.matched_by(), rule.code());
    }
}

#[test]
fn a_name_alone_leads_to_who_made_the_model() {
    let book = Catalog::embedded();
    for (name, provider, model) in [
        ("gpt-4o-mini", "openai", "gpt-4o-mini"),
        ("openai/gpt-4.1-mini", "openai", "gpt-4.1-mini"),
        ("claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5"),
        ("gemini-2.5-flash", "google", "gemini-2.5-flash"),
        ("vertex_ai/gemini-2.5-flash", "google-vertex", "gemini-2.5-flash"),
        ("us.anthropic.claude-sonnet-4-6", "aws-bedrock", "us.anthropic.claude-sonnet-4-6"),
        ("sonar", "perplexity", "sonar"),
        ("demo/echo", "demo", "demo/echo"),
        ("ft:gpt-4o-mini-2024-07-18:acme::1", "openai", "ft:gpt-4o-mini-2024-07-18"),
        ("publishers/anthropic/models/claude-opus-5-5", "google-vertex", "claude-opus-5-5"),
    ] {
        let found = book.resolve("", name).unwrap_or_else(|| panic!("{name} is unknown"));
        assert_eq!((&*found.provider, &*found.model.id), (provider, model), "{name}");
        assert!(found.inferred && found.matched_by().starts_with("provider_inferred+"));
    }
}

#[test]
fn what_is_not_listed_is_unknown() {
    let book = Catalog::embedded();
    for (provider, name) in [
        ("openai", "chatgpt"),
        ("openai", "gpt"),
        ("openai", "gpt-4o-mini-x"),
        ("openai", "xgpt-4o-mini"),
        ("openai", "gpt-4o-mini-2024"),
        ("openai", "ft:gpt-none:org::id"),
        ("openai", ""),
        ("openai", "claude-sonnet-4-5"),
        ("anthropic", "claude"),
        ("anthropic", "claude-sonnet-4-5-v2"),
        ("azure-openai", "deployment-7"),
        ("groq", "openai/gpt-4o"),
        ("aws-bedrock", "us.acme.model-v9:0"),
        ("aws-bedrock", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3"),
        ("fireworks", "accounts/fireworks/models/unknown-9000b"),
        ("my-vllm", "gpt-4o-mini"),
        ("", "deployment-7"),
        ("", "/"),
        ("", "ft:"),
        ("", "openai/"),
    ] {
        assert!(book.resolve(provider, name).is_none(), "{provider:?} {name:?}");
    }
}

#[test]
fn a_region_in_a_name_is_kept() {
    let book = Catalog::embedded();
    for (provider, name, region) in [
        ("azure-openai", "azure/eu/gpt-5", "eu"),
        ("aws-bedrock", "bedrock/us-west-2/writer.palmyra-x4-v1:0", "us-west-2"),
        ("aws-bedrock", "arn:aws:bedrock:eu-west-1::foundation-model/writer.palmyra-x4-v1:0", "eu-west-1"),
        ("aws-bedrock", "eu.writer.palmyra-x4-v1:0", "eu"),
    ] {
        assert_eq!(book.resolve(provider, name).unwrap().region.as_deref(), Some(region), "{name}");
    }
}

#[test]
fn names_of_providers_are_aliases() {
    let book = Catalog::embedded();
    for (alias, id) in [
        ("bedrock", "aws-bedrock"),
        ("vertex", "google-vertex"),
        ("vertex-ai", "google-vertex"),
        ("gemini", "google"),
        ("google-ai-studio", "google"),
        ("azure", "azure-openai"),
        ("x", "xai"),
        ("oai", "openai"),
        ("Together_AI", "together"),
        ("moonshotai", "moonshot"),
    ] {
        assert_eq!(book.provider(alias).map(|row| &**row.id()), Some(id), "{alias}");
    }
}
