use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;
use tachograph_pricing::PriceBook;
use tachograph_routing::Routes;

use super::*;
use crate::config::{Config, ProviderConfig, RetriesConfig};
use crate::endpoint::Endpoints;

/// A router whose providers of these names have a key; all of them, where none is named.
fn router(with_keys: &[&str], routes: serde_json::Value) -> Router {
    let registry = tachograph_providers::Registry::builtin();
    let names = registry.iter().map(|provider| provider.name.to_string());
    let named = |name: &String| with_keys.is_empty() || with_keys.contains(&name.as_str());
    let config = |name: String| (name, ProviderConfig { api_keys: vec!["k".into()], ..ProviderConfig::default() });
    let providers: BTreeMap<String, ProviderConfig> = names.filter(named).map(config).collect();
    with_providers(&providers, routes)
}

fn with_providers(providers: &BTreeMap<String, ProviderConfig>, routes: serde_json::Value) -> Router {
    let endpoints = Arc::new(Endpoints::new(providers, &|_| None));
    let routes: Routes = serde_json::from_value(routes).unwrap();
    Router::new(endpoints, Arc::new(PriceBook::embedded()), routes, &RetriesConfig::default())
}

fn resolve_with(router: &Router, model: &str, attribution: &Attribution) -> Result<Vec<String>, ApiError> {
    let wanted = Wanted { model, attribution, body: b"{}", id: RecordId::generate(), org: OrgId::HOME };
    let name = |candidate: Candidate| {
        let after = candidate.only_after.map(|class| format!(" after {class:?}")).unwrap_or_default();
        format!("{}:{}{after}", candidate.endpoint.name(), candidate.model.unwrap_or_default())
    };
    Ok(router.resolve(&wanted)?.candidates.into_iter().map(name).collect())
}

fn resolve(router: &Router, model: &str) -> Vec<String> {
    resolve_with(router, model, &Attribution::default()).unwrap_or_else(|error| vec![error.code().to_owned()])
}

fn cases(file: &str) -> Option<Value> {
    let shared = std::env::var_os("TACHOGRAPH_SHARED").map(PathBuf::from)?;
    let text = std::fs::read_to_string(shared.join("helicone-cases").join(file)).ok();
    if text.is_none() {
        println!("{file} is not here; what it says is not checked");
    }
    serde_json::from_str(&text?).ok()
}

#[test]
fn names_lead_to_providers_in_their_order() {
    let router = router(&["openai", "anthropic", "openrouter", "groq", "deepinfra"], json!({}));
    for (model, want) in [
        ("gpt-4o", &["openai:gpt-4o", "openrouter:openai/gpt-4o"][..]),
        ("openai/gpt-4o", &["openai:gpt-4o"]),
        ("oai/gpt-4o", &["openai:gpt-4o"]),
        ("gpt-4o/openai", &["openai:gpt-4o"]),
        ("openai/not-known-yet", &["openai:not-known-yet"]),
        ("!openrouter,gpt-4o", &["openai:gpt-4o"]),
        ("gpt-4o/openai, gpt-4o/openai, claude-haiku-4-5/anthropic", &["openai:gpt-4o", "anthropic:claude-haiku-4-5"]),
        ("nobody-knows-this,openai/gpt-4o", &["openai:gpt-4o"]),
        ("demo/echo", &["demo:echo"]),
        ("nobody-knows-this", &["model_not_found"]),
        ("!openai,openai/gpt-4o", &["model_not_found"]),
        ("!nobody,gpt-4o", &["invalid_model"]),
        ("!,gpt-4o", &["invalid_model"]),
        ("", &["model_not_found"]),
    ] {
        assert_eq!(resolve(&router, model), want, "{model}");
    }
    let chain = resolve(&router, "gpt-4o/claude-sonnet-4-5");
    assert!(chain[0] == "openai:gpt-4o" && chain.contains(&"anthropic:claude-sonnet-4-5".to_owned()), "{chain:?}");
}

#[test]
fn without_any_key_the_maker_is_meant() {
    let endpoints = BTreeMap::new();
    let router = with_providers(&endpoints, json!({}));
    assert_eq!(resolve(&router, "gpt-4o-mini"), ["openai:gpt-4o-mini"]);
    assert_eq!(resolve(&router, "claude-sonnet-4-5"), ["anthropic:claude-sonnet-4-5"]);
}

#[test]
fn virtual_models_aliases_and_wildcards() {
    let routes = json!({
        "fast": { "targets": [{ "model": "openai/gpt-4o-mini" }], "fallbacks": ["anthropic/claude-haiku-4-5"],
                  "context_window_fallbacks": ["openai/gpt-4.1"], "content_policy_fallbacks": ["groq/x"] },
        "gpt-4": "openai/gpt-4o",
        "gpt-4o": "anthropic/claude-sonnet-4-5, gpt-4o/openai",
        "my-*": "groq/llama-*",
        "by-plan": { "targets": [
            { "model": "openai/gpt-4o", "when": { "property": "Plan", "equals": "gold" } }, { "model": "groq/small" }] },
        "shadowed": { "targets": [{ "model": "openai/a" }], "canary": { "model": "openai/b", "percent": 100 } },
    });
    let router = router(&["openai", "anthropic", "groq"], routes);
    for (model, want) in [
        (
            "fast",
            &[
                "openai:gpt-4o-mini",
                "anthropic:claude-haiku-4-5",
                "openai:gpt-4.1 after ContextWindow",
                "groq:x after ContentPolicy",
            ][..],
        ),
        ("gpt-4", &["openai:gpt-4o"]),
        ("gpt-4o", &["anthropic:claude-sonnet-4-5", "openai:gpt-4o"]),
        ("my-3-8b", &["groq:llama-3-8b"]),
        ("by-plan", &["groq:small"]),
        ("shadowed", &["openai:b", "openai:a"]),
        ("groq/z, gpt-4", &["groq:z", "openai:gpt-4o"]),
    ] {
        assert_eq!(resolve(&router, model), want, "{model}");
    }
    let mut gold = Attribution::default();
    gold.set_property("plan", "gold");
    assert_eq!(resolve_with(&router, "by-plan", &gold).unwrap(), ["openai:gpt-4o", "groq:small"]);
}

#[test]
fn sticky_calls_of_one_conversation_go_one_way() {
    let targets: Vec<Value> = (0..6).map(|at| json!({ "model": format!("openai/m{at}") })).collect();
    let router =
        router(&["openai"], json!({ "s": { "strategy": "weighted", "sticky": "session", "targets": targets } }));
    let first = |session: Option<&str>, body: &Value| {
        let session = session.map(|id| tachograph_record::SessionRef { id: id.to_owned(), ..Default::default() });
        let attribution = Attribution { session, ..Attribution::default() };
        let body = body.to_string();
        let wanted = Wanted {
            model: "s",
            attribution: &attribution,
            body: body.as_bytes(),
            id: RecordId::generate(),
            org: OrgId::HOME,
        };
        router.resolve(&wanted).unwrap().candidates[0].model.clone().unwrap()
    };
    let turn = |question: &str, more: usize| {
        let mut messages =
            vec![json!({"role": "system", "content": "You help."}), json!({"role": "user", "content": question})];
        (0..more).for_each(|at| {
            messages.push(json!({"role": if at % 2 == 0 { "assistant" } else { "user" }, "content": at}))
        });
        json!({ "messages": messages })
    };
    let mut seen = std::collections::BTreeSet::new();
    for conversation in 0..60 {
        let name = format!("conversation {conversation}");
        let by_prompt = first(None, &turn(&name, 0));
        assert!((1..8).all(|more| first(None, &turn(&name, more)) == by_prompt));
        let by_session = first(Some(&name), &turn("x", 0));
        assert!((0..8).all(|more| first(Some(&name), &turn("y", more)) == by_session));
        seen.insert(by_prompt);
        seen.insert(by_session);
    }
    assert_eq!(seen.len(), 6, "all targets serve somebody");
}

/// What of Helicone's is different here, on purpose.
const DIFFERENT: [(&str, &str); 8] = [
    ("o3/openai", "the name that the provider takes itself is not tied to a date"),
    ("deepseek-v3.2/novita", "the host lists 3.2 itself, and is not asked for an experimental one"),
    ("deepseek-v3/deepinfra", "3 is not 3.1"),
    ("kimi-k2-instruct/novita", "the host lists the name itself"),
    ("grok-4-fast-reasoning/xai", "the maker lists the name itself"),
    ("openai/gpt-4o", "a provider may stand before the model too"),
    ("claude-3-5-sonnet-20241022/invalid-provider", "what is no provider is part of the model's name"),
    ("kimi-k2/groq", "a provider that lists the name itself is asked for it as it was written"),
];

#[test]
fn helicones_model_strings() {
    let Some(file) = cases("model_string.json") else { return };
    let router = router(&[], json!({}));
    let catalog = router.prices.current();
    let routes = Routes::new();
    let known = Known { router: &router, catalog: &catalog, routes: &routes, org: OrgId::HOME };
    let mut checked = 0;
    let plain = file["cases"].as_array().unwrap().iter().map(|case| (&case["args"][0], &case["result"]["data"]));
    let extra = file["extra_cases"].as_array().unwrap().iter().map(|case| (&case["model"], &case["result"]["data"]));
    for (text, want) in plain.chain(extra) {
        let text = text.as_str().unwrap();
        let unknown = want["provider"].as_str().is_some_and(|provider| router.endpoints.get(provider).is_none());
        if DIFFERENT.iter().any(|(name, _)| *name == text) || unknown {
            continue;
        }
        let chain = Chain::parse(text, &known).unwrap();
        let [item] = &chain.items[..] else { panic!("{text}: {chain:?}") };
        let model = want["modelName"].as_str().unwrap();
        let means = |name: &str| name == model || super::super::directory::alias(name) == Some(model);
        assert!(means(&item.model), "{text}: {item:?} instead of {model}");
        let provider = item.provider.as_deref();
        assert_eq!(provider, want["provider"].as_str(), "{text}");
        assert_eq!(item.key.as_deref(), want["customUid"].as_str(), "{text}");
        assert_eq!(Value::Bool(item.online), want["isOnline"], "{text}");
        checked += 1;
    }
    assert!(checked >= 10, "{checked}");
}

#[test]
fn helicones_scenarios_reach_the_same_models() {
    let Some(file) = cases("gateway_scenarios.json") else { return };
    let router = router(&[], json!({}));
    let mut wrong = std::collections::BTreeSet::new();
    let mut checked = 0;
    for case in file["cases"].as_array().unwrap() {
        let asked = case["model"].as_str().unwrap();
        let Some(first) = case["expected"]["providers"].get(0) else { continue };
        let url = first["url"].as_str().unwrap_or_default();
        let at = url.split('/').nth(2).unwrap_or_default().to_owned();
        // Where the path names the model it is that one.
        let in_path = || url.split_once("/model/").or(url.split_once("/models/"))?.1.split(['/']).next();
        let in_path = || {
            in_path().map(|name| {
                name.split_once(":rawPredict").or(name.split_once(":generate")).map_or(name, |(name, _)| name)
            })
        };
        let Some(want) = in_path().or(first["model"].as_str()) else { continue };
        let found = resolve(&router, asked);
        // Hosts with named parts: the provider is who has such a host.
        let owner = tachograph_providers::Registry::builtin().by_host(&at).map(|(provider, _)| provider.name.clone());
        let at_host = |name: &str| {
            let (provider, model) = name.split_once(':').unwrap_or_default();
            let endpoint = router.endpoints.get(provider);
            endpoint.is_some_and(|endpoint| {
                endpoint.provider.base_url.contains(&at) || owner.as_ref() == Some(endpoint.name())
            }) && model.eq_ignore_ascii_case(want)
        };
        checked += 1;
        if DIFFERENT.iter().any(|(name, _)| *name == asked) {
            continue;
        }
        // Where no provider was named several may be asked, in our order.
        let served = if asked.contains('/') { 1 } else { found.len() };
        if !found[..served.min(found.len())].iter().any(|name| at_host(name)) {
            wrong.insert(format!("{asked} -> {want} at {at}, but {:?}", &found[..found.len().min(3)]));
        }
    }
    assert!(wrong.is_empty(), "{} of {checked}:\n{}", wrong.len(), wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn helicones_order_of_providers() {
    let Some(file) = cases("routing_order.json") else { return };
    let router = router(&[], json!({}));
    let rank = |name: &str| match name {
        "anthropic" | "openai" => 3,
        "gemini" => 5,
        "openrouter" => 10,
        _ => 4,
    };
    let mut wrong = Vec::new();
    for case in file["cases"].as_array().unwrap() {
        let model = case["model"].as_str().unwrap();
        let found = resolve(&router, model);
        let names: Vec<String> = found.iter().map(|name| name.split(':').next().unwrap().to_owned()).collect();
        // Helicone's own managed provider is none of ours, and among equals its order is that of its files.
        let want = case["byok_order_if_all_keys_present"].as_array().unwrap().iter().filter_map(Value::as_str);
        let want: Vec<&str> = want
            .filter(|name| *name != "helicone")
            .filter_map(|name| Some(&**router.endpoints.get(name)?.name()))
            .collect();
        let at = |name: &str| names.iter().position(|found| found == name);
        for pair in want.windows(2) {
            if let (Some(first), Some(second)) = (at(pair[0]), at(pair[1]))
                && rank(pair[0]) < rank(pair[1])
                && first > second
            {
                wrong.push(format!("{model}: {} before {} in {names:?}", pair[1], pair[0]));
            }
        }
        if let Some(missing) = want.first().filter(|first| at(first).is_none()) {
            wrong.push(format!("{model}: {missing} is not asked; {names:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_configurations_in_the_documentation_load() {
    let page = include_str!("../../../../../docs/routing.md");
    let blocks: Vec<&str> = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 5, "{} examples", blocks.len());
    for block in blocks {
        let file = std::env::temp_dir().join(format!("tachograph-routing-{}.yaml", RecordId::generate()));
        std::fs::write(&file, block).unwrap();
        let sources = crate::config::Sources {
            file: Some(file.clone()),
            environment: &|name| Some(format!("value-of-{name}")),
            variables: Vec::new(),
        };
        let loaded: Result<Config, _> = crate::config::load(&sources);
        std::fs::remove_file(file).unwrap();
        let config = loaded.unwrap_or_else(|faults| panic!("{faults}\n{block}"));
        with_providers(&config.providers, serde_json::to_value(&config.routes).unwrap());
    }
}
