//! Providers of the clouds: Azure's deployments, Amazon's signatures, Google's tokens, and what is behind them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderName, HeaderValue, Method, Request};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tachograph_tests::{Gateway, KEY, Reply, Seen, Upstream, ask, golden, post};

const CHAT: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;

async fn gateway(providers: &str) -> Gateway {
    Gateway::configured(&format!("listen: 127.0.0.1:0\napi_key: {KEY}\nproviders:\n{providers}")).start().await
}

fn with(mut request: Request<bytes::Bytes>, headers: &[(&str, &str)]) -> Request<bytes::Bytes> {
    for (name, value) in headers {
        request.headers_mut().insert(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
    }
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn azures_deployments_are_asked_in_both_generations_and_known_by_their_models() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let at = upstream.address();
    let azure = |more: &str| {
        format!(
            "  azure: {{ base_url: 'http://{at}', api_keys: [azure-key], deployments: {{ gpt-4o: prod-4o }}{more} }}\n"
        )
    };
    for (more, target) in [
        ("", "/openai/v1/chat/completions"),
        (", api_version: '2024-10-21'", "/openai/deployments/prod-4o/chat/completions?api-version=2024-10-21"),
    ] {
        let gateway = gateway(&azure(more)).await;
        // By the AI gateway: the model keeps its name on the record.
        let answer =
            gateway.send(post("/v1/chat/completions", &json!({"model": "azure/gpt-4o", "messages": []}))).await;
        let seen = upstream.last();
        assert_eq!((answer.status.as_u16(), &*seen.target), (200, target), "{}", answer.text());
        assert_eq!((seen.header("api-key"), seen.header("authorization")), (Some("azure-key"), None));
        if more.is_empty() {
            assert_eq!(seen.json()["model"], "prod-4o");
        }
        assert_eq!(gateway.row(&answer).await["requested_model"], "azure/gpt-4o");
        // As Azure's own clients ask, who say the deployment in the path and nothing in the body.
        for (deployment, model) in [("prod-4o", "gpt-4o"), ("other%20one", "other one")] {
            let path = format!("/azure/openai/deployments/{deployment}/chat/completions?api-version=2024-06-01");
            let answer = gateway.send(ask(Method::POST, &path, r#"{"messages":[],"stream":false}"#)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(upstream.last().target, path.trim_start_matches("/azure"));
            assert_eq!(upstream.last().body, &br#"{"messages":[],"stream":false}"#[..]);
            let row = gateway.row(&answer).await;
            assert_eq!((&row["requested_model"], &row["stream"]), (&json!(model), &json!(false)), "{row:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_name_providers_by_their_first_label() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let labels = [
        ("oai", "openai", "/v1/chat/completions", "/chat/completions"),
        ("openai", "openai", "/v1/chat/completions", "/chat/completions"),
        ("anthropic", "anthropic", "/v1/messages", "/v1/messages"),
        ("together", "together", "/v1/chat/completions", "/chat/completions"),
        ("groq", "groq", "/openai/v1/chat/completions", "/chat/completions"),
        ("deepseek", "deepseek", "/v1/chat/completions", "/v1/chat/completions"),
        ("openrouter", "openrouter", "/api/v1/chat/completions", "/chat/completions"),
        ("fireworks", "fireworks", "/inference/v1/chat/completions", "/chat/completions"),
        ("x", "xai", "/v1/chat/completions", "/chat/completions"),
        ("perplexity", "perplexity", "/chat/completions", "/chat/completions"),
        ("mistral", "mistral", "/v1/chat/completions", "/chat/completions"),
        ("google", "gemini", "/v1beta/models/m:generateContent", "/v1beta/models/m:generateContent"),
        (
            "azure",
            "azure",
            "/openai/deployments/d/chat/completions?api-version=1",
            "/openai/deployments/d/chat/completions?api-version=1",
        ),
        ("bedrock", "bedrock", "/v1/eu-west-1/model/m/converse", "/model/m/converse"),
    ];
    let mut providers: Vec<&str> = labels.iter().map(|(_, provider, ..)| *provider).collect();
    providers.dedup();
    let at = upstream.address();
    let rows =
        providers.iter().map(|name| format!("  {name}: {{ base_url: 'http://{at}/at-{name}', api_keys: [k] }}\n"));
    let gateway = gateway(&rows.collect::<String>()).await;
    for (label, provider, path, arrives) in labels {
        for domain in ["helicone.example", "hconeai.example:8787"] {
            let request = with(ask(Method::POST, path, CHAT), &[("host", &format!("{label}.{domain}"))]);
            let answer = gateway.send(request).await;
            assert_eq!(answer.status, 200, "{label}: {}", answer.text());
            let row = gateway.row(&answer).await;
            assert_eq!(row["provider"], provider, "{label}");
            let seen = upstream.last().target;
            // Appended to the base where it begins with the documented one's path, else to the origin.
            assert!(seen == arrives || seen == format!("/at-{provider}{arrives}"), "{label}: {seen}");
        }
    }
    // These name no provider: what the path says counts.
    for label in ["gateway", "ai-gateway"] {
        let body = json!({"model": "openai/gpt-4o", "messages": []});
        let request = with(post("/v1/chat/completions", &body), &[("host", &format!("{label}.helicone.example"))]);
        assert_eq!(gateway.send(request).await.status, 200, "{label}");
        assert_eq!(upstream.last().target, "/at-openai/chat/completions");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_own_amazon_keys_sign_and_are_never_sent_on() {
    let upstream = Upstream::answering(|_| Reply::json(200, &json!({"output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}}, "stopReason": "end_turn", "usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}}))).await;
    let gateway =
        gateway(&format!("  bedrock: {{ base_url: 'http://{}', region: us-east-1 }}\n", upstream.address())).await;
    let own = [
        ("aws-access-key", "AKIDOFTHECALLER"),
        ("aws-secret-key", "secret-canary-of-the-caller"),
        ("aws-session-token", "session-of-the-caller"),
    ];
    let body = json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]});
    for (path, arrives, region) in [
        (
            "/bedrock/v1/us-west-2/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse",
            "/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse",
            "us-west-2",
        ),
        ("/bedrock/model/amazon.nova-lite-v1:0/converse", "/model/amazon.nova-lite-v1:0/converse", "us-east-1"),
        (
            "/v1/gateway/bedrock/v1/eu-central-1/model/amazon.nova-lite-v1:0/converse",
            "/model/amazon.nova-lite-v1:0/converse",
            "eu-central-1",
        ),
    ] {
        let answer = gateway.send(with(post(path, &body), &own)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let seen = upstream.last();
        assert_eq!(seen.target, arrives);
        let authorization = seen.header("authorization").unwrap();
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDOFTHECALLER/"), "{authorization}");
        assert!(authorization.contains(&format!("/{region}/bedrock/aws4_request")), "{authorization}");
        assert_eq!(seen.header("x-amz-security-token"), Some("session-of-the-caller"));
        assert!(own.iter().all(|(name, _)| seen.header(name).is_none()) && !seen.contains("canary"), "{seen:?}");
        let row = gateway.row(&answer).await;
        assert!(!row.to_string().contains("canary") && !gateway.log().contains("canary"), "{row}");
        assert_eq!((&row["provider"], &row["usage"]["input_tokens"]), (&json!("bedrock"), &json!(5)), "{row:#}");
    }
}

/// Google: gives tokens, each for so many seconds, and answers what comes with the latest of them.
fn google(given: Arc<AtomicUsize>, holds_s: Arc<AtomicU64>) -> impl Fn(&Seen) -> Reply + Send + Sync {
    move |seen| {
        if seen.target == "/token" {
            let form = String::from_utf8(seen.body.to_vec()).unwrap();
            assert!(
                form.starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant%2Dtype%3Ajwt%2Dbearer&assertion="),
                "{form}"
            );
            let holds = holds_s.load(Ordering::SeqCst);
            if holds == 0 {
                return Reply::json(
                    400,
                    &json!({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}),
                );
            }
            let number = given.fetch_add(1, Ordering::SeqCst) + 1;
            return Reply::json(
                200,
                &json!({"access_token": format!("ya29.canary-{number}"), "expires_in": holds, "token_type": "Bearer"}),
            );
        }
        let token = format!("Bearer ya29.canary-{}", given.load(Ordering::SeqCst));
        if seen.header("authorization") != Some(&token) {
            return Reply::json(
                401,
                &json!({"error": {"code": 401, "message": "bad token", "status": "UNAUTHENTICATED"}}),
            );
        }
        if seen.target.ends_with(":predict") {
            let count = seen.json()["instances"].as_array().unwrap().len();
            let one =
                json!({"embeddings": {"values": [0.5, 0.25], "statistics": {"token_count": 3, "truncated": false}}});
            return Reply::json(200, &json!({ "predictions": vec![one; count] }));
        }
        Reply::json(
            200,
            &json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}}),
        )
    }
}

fn account(token_uri: &str) -> String {
    let mut account: Value = serde_json::from_str(include_str!("../goldens/service-account.json")).unwrap();
    account["token_uri"] = token_uri.into();
    account.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn googles_service_account_gets_a_token_that_is_kept_and_made_anew() {
    let (given, holds_s) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(3_600)));
    let upstream = Upstream::answering(google(given.clone(), holds_s.clone())).await;
    let at = upstream.address();
    let vertex = |uri: &str| {
        format!(
            "  vertex: {{ base_url: 'http://{at}', region: us-central1, service_account: '{}' }}\n",
            account(uri).replace('\'', "''")
        )
    };
    let chat = json!({"model": "vertex/gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]});

    let kept = gateway(&vertex(&format!("http://{at}/token"))).await;
    for _ in 0..3 {
        let answer = kept.send(post("/v1/chat/completions", &chat)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        // The project stands in the account.
        assert!(
            upstream
                .last()
                .target
                .starts_with("/v1beta1/projects/golden-project/locations/us-central1/publishers/google/models/")
        );
    }
    assert_eq!(given.load(Ordering::SeqCst), 1, "one token for all");
    let asked = upstream.seen().into_iter().find(|seen| seen.target == "/token").unwrap();
    let form = String::from_utf8(asked.body.to_vec()).unwrap();
    let jwt = form.split("assertion=").nth(1).unwrap().replace("%2E", ".").replace("%2D", "-").replace("%5F", "_");
    let parts: Vec<Value> = jwt
        .split('.')
        .take(2)
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect();
    assert_eq!((&parts[0]["alg"], &parts[0]["kid"]), (&json!("RS256"), &json!("golden-key")));
    assert_eq!(parts[1]["iss"], "golden@golden-project.iam.gserviceaccount.com");
    assert_eq!(parts[1]["aud"], format!("http://{at}/token"));
    assert_eq!(parts[1]["exp"].as_u64().unwrap() - parts[1]["iat"].as_u64().unwrap(), 3_600);

    // Embeddings by the API that Google's cloud has for them, asked for in OpenAI's words and in its own.
    let body = json!({"model": "vertex/text-embedding-005", "input": ["one", "two"], "dimensions": 2});
    let answer = kept.send(post("/v1/embeddings", &body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        upstream.last().json(),
        json!({"instances": [{"content": "one"}, {"content": "two"}], "parameters": {"outputDimensionality": 2}})
    );
    assert_eq!(
        (&answer.json()["data"][1]["embedding"], &answer.json()["usage"]["prompt_tokens"]),
        (&json!([0.5, 0.25]), &json!(6))
    );
    let path = "/vertex/v1/projects/p/locations/us-central1/publishers/google/models/text-embedding-005:predict";
    let answer = kept.send(post(path, &json!({"instances": [{"content": "one"}]}))).await;
    let row = kept.row(&answer).await;
    assert_eq!(
        (&row["api"], &row["requested_model"]),
        (&json!("gemini.predict"), &json!("text-embedding-005")),
        "{row:#}"
    );
    assert_eq!(row["usage"]["input_tokens"], 3, "{row:#}");

    // A token that is about to end is made anew, here before each call.
    holds_s.store(60, Ordering::SeqCst);
    let anew = gateway(&vertex(&format!("http://{at}/token"))).await;
    let before = given.load(Ordering::SeqCst);
    for number in 1..=2 {
        assert_eq!(anew.send(post("/v1/chat/completions", &chat)).await.status, 200);
        assert_eq!(given.load(Ordering::SeqCst), before + number);
    }
    // The endpoint says no, but the token in hand holds for a while yet.
    holds_s.store(0, Ordering::SeqCst);
    assert_eq!(anew.send(post("/v1/chat/completions", &chat)).await.status, 200);

    // Without any there is a clear error, with nothing of the account's in it.
    for (uri, why) in [
        (format!("http://{at}/token"), "answered 400: Invalid JWT Signature."),
        ("http://127.0.0.1:1/token".to_owned(), "cannot be reached"),
    ] {
        let without = gateway(&vertex(&uri)).await;
        let answer = without.send(post("/v1/chat/completions", &chat)).await;
        assert_eq!(answer.status, 502, "{}", answer.text());
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(why) && message.contains("providers.vertex.service_account"), "{message}");
        let row = without.row(&answer).await;
        assert_eq!(row["outcome"], "upstream_failed", "{row:#}");
        assert!(!row.to_string().contains("PRIVATE KEY") && !without.log().contains("PRIVATE KEY"));
    }
    assert!(!kept.log().contains("canary") && !kept.rows().await.iter().any(|row| row.to_string().contains("canary")));
}

#[tokio::test(flavor = "multi_thread")]
async fn amazons_embeddings_are_reached_and_asked_for_in_each_familys_words() {
    let upstream = Upstream::answering(|seen| {
        let body = seen.json();
        let answer = if body["inputText"].is_string() {
            json!({"embedding": [0.5, 0.25], "inputTextTokenCount": 3})
        } else if body["singleEmbeddingParams"].is_object() {
            json!({"embeddings": [{"embeddingType": "TEXT", "embedding": [0.5, 0.25]}]})
        } else if body["texts"].is_array() {
            json!({"id": "e", "embeddings": {"float": vec![[0.5, 0.25]; body["texts"].as_array().unwrap().len()]}, "texts": body["texts"]})
        } else {
            json!({"data": [{"index": 0, "embedding": [0.5, 0.25]}], "usage": {"prompt_tokens": 3, "total_tokens": 3}})
        };
        let counted = [("content-type", "application/json"), ("x-amzn-bedrock-input-token-count", "3")];
        Reply::document(200, &counted, answer.to_string())
    })
    .await;
    let at = upstream.address();
    let gateway = gateway(&format!(
        "  bedrock: {{ base_url: 'http://{at}', access_key_id: AKID, secret_access_key: s }}\n  openai: {{ base_url: 'http://{at}/v1', api_keys: [k] }}\n"
    ))
    .await;
    for (model, input, sent) in [
        ("amazon.titan-embed-text-v2:0", json!("one"), json!({"inputText": "one", "dimensions": 2})),
        (
            "cohere.embed-multilingual-v3",
            json!(["one", "two"]),
            json!({"texts": ["one", "two"], "input_type": "search_document", "embedding_types": ["float"], "output_dimension": 2}),
        ),
        (
            "amazon.nova-2-multimodal-embeddings-v1:0",
            json!(["one"]),
            json!({"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {"embeddingPurpose": "GENERIC_INDEX",
                "text": {"truncationMode": "END", "value": "one"}, "embeddingDimension": 2}}),
        ),
    ] {
        let body = json!({"model": format!("bedrock/{model}"), "input": input, "dimensions": 2});
        let answer = gateway.send(post("/v1/embeddings", &body)).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        assert_eq!(upstream.last().json(), sent, "{model}");
        assert_eq!(upstream.last().target, format!("/model/{}/invoke", model.replace(':', "%3A")));
        assert_eq!(answer.json()["data"][0]["embedding"], json!([0.5, 0.25]), "{model}");
        assert_eq!(answer.json()["usage"]["prompt_tokens"], 3, "{model}");
        assert_eq!(gateway.row(&answer).await["usage"]["input_tokens"], 3, "{model}");
    }
    let several = json!({"model": "bedrock/amazon.titan-embed-text-v2:0", "input": ["one", "two"]});
    let refused = gateway.send(post("/v1/embeddings", &several)).await;
    assert_eq!((refused.status.as_u16(), refused.json()["error"]["param"].as_str()), (400, Some("input")));
    // Amazon's clients, of another provider.
    for (body, answered) in [
        (json!({"inputText": "one", "dimensions": 2}), json!({"embedding": [0.5, 0.25], "inputTextTokenCount": 3})),
        (
            json!({"texts": ["one"], "input_type": "search_query"}),
            json!({"embeddings": {"float": [[0.5, 0.25]]}, "response_type": "embeddings_by_type", "texts": ["one"]}),
        ),
    ] {
        let answer = gateway.send(post("/model/openai%2Ftext-embedding-3-small/invoke", &body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json(), answered);
        assert_eq!(upstream.last().json()["model"], "text-embedding-3-small");
    }
    let chat = json!({"inputText": "one", "textGenerationConfig": {}});
    let refused = gateway.send(post("/model/openai%2Fgpt-4o/invoke", &chat)).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
}

/// The two files of `examples/add_provider` are all that a new provider takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_added_by_a_row_and_a_price_file() {
    const ROW: &str = include_str!("../../examples/add_provider/tachograph.yaml");
    const PRICES: &str = include_str!("../../examples/add_provider/prices/acme.toml");
    let upstream = Upstream::answering(|seen| {
        let reply = golden::OPENAI_CHAT.document.replace("gpt-4o-mini", seen.json()["model"].as_str().unwrap());
        Reply::document(200, &[("content-type", "application/json")], reply)
    })
    .await;
    let yaml = ROW
        .replace("https://llm.acme.example", &format!("http://{}", upstream.address()))
        .replace("127.0.0.1:8787", "127.0.0.1:0")
        .replacen("providers:", &format!("api_key: {KEY}\nproviders:"), 1);
    let setup = Gateway::configured(&yaml).environment("ACME_API_KEY", "key-of-acme");
    let prices = setup.directory().path().join("prices");
    std::fs::create_dir_all(&prices).unwrap();
    std::fs::write(prices.join("acme.toml"), PRICES).unwrap();
    let gateway = setup.start().await;
    for (path, body) in [
        ("/v1/chat/completions", json!({"model": "acme-large", "messages": []})),
        ("/v1/chat/completions", json!({"model": "acme/acme-large", "messages": []})),
        ("/acme/v1/chat/completions", json!({"model": "acme-large", "messages": []})),
        (
            "/v1/messages",
            json!({"model": "acme-large", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
        ),
    ] {
        let answer = gateway.send(post(path, &body)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let seen = upstream.last();
        assert_eq!((&*seen.target, seen.header("authorization")), ("/v1/chat/completions", Some("Bearer key-of-acme")));
        let row = gateway.row(&answer).await;
        // 500 × 2 / 10⁶ and 300 × 8 / 10⁶.
        assert_eq!((&row["provider"], &row["cost"]["total"]), (&json!("acme"), &json!("0.0034")), "{path}: {row:#}");
    }
}
