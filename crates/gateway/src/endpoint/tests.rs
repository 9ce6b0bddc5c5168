use super::*;

fn endpoint(base_url: Option<&str>) -> Endpoint {
    let config = ProviderConfig { base_url: base_url.map(str::to_owned), ..ProviderConfig::default() };
    let openai = Registry::builtin().get("openai").unwrap().clone();
    Endpoint::new(openai, &config, &|_| None).unwrap()
}

#[test]
fn the_same_client_path_works_whatever_the_base_is() {
    for (base, path, expected) in [
        (None, "/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        (Some("http://127.0.0.1:1/v1"), "/v1/chat/completions", "http://127.0.0.1:1/v1/chat/completions"),
        (Some("http://127.0.0.1:1"), "/v1/files?x=1", "http://127.0.0.1:1/files?x=1"),
        (Some("http://127.0.0.1:1/openai/"), "/v1", "http://127.0.0.1:1/openai"),
        (Some("http://127.0.0.1:1/openai"), "/v11/x", "http://127.0.0.1:1/v11/x"),
        (Some("http://127.0.0.1:1/openai"), "/other", "http://127.0.0.1:1/other"),
    ] {
        assert_eq!(endpoint(base).proxied_uri(path).unwrap().to_string(), expected);
    }
}

fn of(name: &str, config: ProviderConfig) -> Endpoint {
    Endpoint::new(Registry::builtin().get(name).unwrap().clone(), &config, &|_| None).unwrap()
}

#[test]
fn named_parts_make_urls_and_a_missing_one_is_named() {
    let resource = ProviderConfig { resource: Some("mine".into()), ..ProviderConfig::default() };
    let azure = of("azure", resource.clone());
    let chat = |endpoint: &Endpoint, model: &str| {
        let provider = endpoint.provider_for(model);
        endpoint.own_uri(provider, &provider.path_of_chat(false), model).map(|uri| uri.to_string())
    };
    assert_eq!(chat(&azure, "gpt-4o").unwrap(), "https://mine.openai.azure.com/openai/v1/chat/completions");
    let versioned = of("azure", ProviderConfig { api_version: Some("2024-10-21".into()), ..resource });
    assert_eq!(
        chat(&versioned, "d").unwrap(),
        "https://mine.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21"
    );
    let error = chat(&of("azure", ProviderConfig::default()), "m").unwrap_err();
    assert_eq!(error.code(), "provider_not_configured");
    assert!(error.message().contains("providers.azure.resource or the variable AZURE_OPENAI_RESOURCE"), "{error}");
    let bedrock = of("bedrock", ProviderConfig::default());
    assert_eq!(
        chat(&bedrock, "us.amazon.nova-lite-v1:0").unwrap(),
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.amazon.nova-lite-v1%3A0/converse"
    );
    assert_eq!(
        bedrock.proxied_uri("/v1/eu-west-1/model/m/invoke").unwrap().to_string(),
        "https://bedrock-runtime.eu-west-1.amazonaws.com/model/m/invoke"
    );
}

#[test]
fn vertex_has_a_host_for_each_region_and_paths_for_each_maker() {
    let set = |region: Option<&str>, project: Option<&str>| ProviderConfig {
        region: region.map(str::to_owned),
        project: project.map(str::to_owned),
        ..ProviderConfig::default()
    };
    let chat = |config: ProviderConfig, model: &str, stream: bool| {
        let endpoint = of("vertex", config);
        let provider = endpoint.provider_for(model);
        endpoint.own_uri(provider, &provider.path_of_chat(stream), model).unwrap().to_string()
    };
    let google = "publishers/google/models/gemini-2.5-pro";
    assert_eq!(
        chat(set(None, Some("p")), "gemini-2.5-pro", true),
        format!(
            "https://us-central1-aiplatform.googleapis.com/v1beta1/projects/p/locations/us-central1/{google}:streamGenerateContent?alt=sse"
        )
    );
    assert_eq!(
        chat(set(Some("global"), Some("p")), "gemini-2.5-pro", false),
        format!("https://aiplatform.googleapis.com/v1beta1/projects/p/locations/global/{google}:generateContent")
    );
    assert_eq!(
        chat(set(None, None), "gemini-2.5-pro", false),
        format!("https://aiplatform.googleapis.com/v1/{google}:generateContent")
    );
    assert_eq!(
        chat(set(Some("us-east5"), Some("p")), "claude-sonnet-4-5@20250929", true),
        "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict"
    );
    assert_eq!(
        of("vertex", set(None, None)).proxied_uri("/v1/projects/p/locations/europe-west4/x").unwrap().host(),
        Some("europe-west4-aiplatform.googleapis.com")
    );
}

/// What of Helicone's URLs is different here, on purpose: a part of what it says, ours, and why.
const DIFFERENT: [(&str, Option<&str>, &str); 6] = [
    (
        "deployments/fallback-model-name/chat/completions?api-version=2025-01-01-preview",
        Some("https://test-resource.openai.azure.com/openai/v1/chat/completions"),
        "without a version Azure's newer paths are used, which need none",
    ),
    (
        "test-resource.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=2025-01-01-preview",
        Some("https://test-resource.openai.azure.com/openai/v1/chat/completions"),
        "without a version Azure's newer paths are used, which need none",
    ),
    (
        "deployments/test-deployment/chat/completions?api-version=2025-01-01-preview",
        Some("https://test-resource.openai.azure.com/openai/v1/chat/completions"),
        "without a version Azure's newer paths are used, which need none",
    ),
    ("east1-gateway-resource", None, "that is Helicone's own resource; here a resource has to be set"),
    (
        "/invoke",
        Some("/converse"),
        "chats go to Bedrock by Converse, which all its models speak; a colon in a path is escaped, as Amazon's own SDKs do",
    ),
    ("publishers/anthropic/models/:rawPredict", None, "a call without a model is refused before"),
];

#[test]
fn helicones_urls_of_providers() {
    let Some(shared) = std::env::var_os("TACHOGRAPH_SHARED").map(std::path::PathBuf::from) else { return };
    let Ok(text) = std::fs::read_to_string(shared.join("helicone-cases/provider_urls.json")) else { return };
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut checked = 0;
    for case in file["cases"].as_array().unwrap() {
        let (call, arg) = (case["fn"].as_str().unwrap(), &case["args"][0]);
        let name = match call {
            "VertexProvider.buildUrl" => "vertex",
            "AzureOpenAIProvider.buildUrl" => "azure",
            "BedrockProvider.buildUrl" => "bedrock",
            "AnthropicProvider.buildUrl" => "anthropic",
            // What bodies and headers are made of is compared where they are made: in `providers` and end to end.
            _ => continue,
        };
        let text = |name: &str| {
            arg["userConfig"][name].as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let model = arg["providerModelId"].as_str().filter(|id| !id.is_empty()).map(str::to_owned);
        let model = model.or_else(|| text("modelName")).unwrap_or_default();
        let config = ProviderConfig {
            project: text("projectId"),
            region: text("region"),
            base_url: text("baseUri"),
            api_version: text("apiVersion"),
            deployments: text("deploymentName").map(|deployment| (model.clone(), deployment)).into_iter().collect(),
            ..ProviderConfig::default()
        };
        let endpoint = of(name, config);
        let lower = if name == "vertex" { model.to_lowercase() } else { model.clone() };
        let provider = endpoint.provider_for(&lower);
        let stream = case["args"][1]["isStreaming"] == true;
        let ours = endpoint.own_uri(provider, &provider.path_of_chat(stream), endpoint.deployment_of(&model));
        let ours = ours.ok().filter(|_| !model.is_empty()).map(|uri| uri.to_string());
        let theirs = case["result"].as_str();
        let different = DIFFERENT.iter().find(|(part, ..)| theirs.is_some_and(|theirs| theirs.contains(part)));
        match different {
            Some((_, None, why)) => assert!(ours.is_none() && !why.is_empty(), "{theirs:?}: {ours:?}"),
            Some((part, Some(want), _)) if part.starts_with('/') => {
                assert!(ours.as_ref().unwrap().contains(want), "{ours:?}")
            }
            Some((_, Some(want), _)) => assert_eq!(ours.as_deref(), Some(*want)),
            None => assert_eq!(ours.as_deref(), theirs, "{}", case["test"]),
        }
        checked += 1;
    }
    assert!(checked >= 15, "{checked}");
}
