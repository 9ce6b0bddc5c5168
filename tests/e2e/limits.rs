//! Rate limits and budgets, with the real program.

use serde_json::{Value, json};
use tachograph_tests::{Gateway, Upstream, golden, post};

fn chat(user: &str, max_tokens: u64) -> http::Request<bytes::Bytes> {
    let messages = json!([{ "role": "user", "content": "Hello" }]);
    let body = json!({ "model": "openai/gpt-4o-mini", "messages": messages, "max_tokens": max_tokens });
    let mut request = post("/v1/chat/completions", &body);
    request.headers_mut().insert("helicone-user-id", user.parse().unwrap());
    request
}

fn with(mut request: http::Request<bytes::Bytes>, name: &'static str, value: &str) -> http::Request<bytes::Bytes> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

fn text<'a>(answer: &'a tachograph_tests::Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_header_limits_and_its_refusals_are_on_record() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let gateway = Gateway::before(&upstream).start().await;
    let policy = |request| with(request, "helicone-ratelimit-policy", "2;w=3600;u=request;s=user, 100;w=60");
    for left in ["1", "0"] {
        let answer = gateway.send(policy(chat("alice", 10))).await;
        assert_eq!((answer.status.as_u16(), text(&answer, "helicone-ratelimit-remaining")), (200, Some(left)));
        assert_eq!(text(&answer, "helicone-ratelimit-limit"), Some("2"));
        assert_eq!(text(&answer, "helicone-ratelimit-policy"), Some("2;w=3600;s=user"), "the canonical text");
    }
    let refused = gateway.send(policy(chat("alice", 10))).await;
    assert_eq!((refused.status.as_u16(), text(&refused, "x-helicone-error")), (429, Some("rate_limited")));
    assert!(text(&refused, "retry-after").is_some() && text(&refused, "helicone-ratelimit-reset").is_some());
    let told = refused.json();
    assert_eq!(told["error"]["code"], "rate_limited");
    assert!(told["message"].as_str().unwrap().contains("Helicone-RateLimit-Policy"), "{told}");
    let row = gateway.row(&refused).await;
    assert_eq!((&row["outcome"], &row["status"]), (&json!("refused"), &json!(429)));
    assert_eq!(row["properties"]["Helicone-Rate-Limit-Status"], "bucket_rate_limited", "{row:#}");
    assert_eq!(gateway.send(policy(chat("bob", 10))).await.status, 200, "his bucket is another");
    assert_eq!(gateway.send(with(chat("alice", 10), "helicone-ratelimit-policy", "nonsense")).await.status, 200);
    assert_eq!(upstream.seen().len(), 4, "what is refused is never sent");
    let anthropic =
        json!({ "model": "gpt-4o-mini", "max_tokens": 9, "messages": [{ "role": "user", "content": "Hi" }] });
    let mut request = with(post("/v1/messages", &anthropic), "helicone-ratelimit-policy", "2;w=3600;s=user");
    request.headers_mut().insert("helicone-user-id", "alice".parse().unwrap());
    let refused = gateway.send(request).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["type"]), (429, &json!("rate_limit_error")));
}

/// Every kind of route counts in the same budget, and none gets around it.
#[tokio::test]
async fn hard_case_30_every_route_is_governed() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let setup =
        Gateway::before(&upstream).config("budgets: [ { scope: { user: nobody }, amount: \"0\", period: day } ]");
    let gateway = setup.start().await;
    let openai = json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "Hi" }], "max_tokens": 9 });
    let embeddings = json!({ "model": "text-embedding-3-small", "input": "Hi" });
    let image = json!({ "model": "gpt-image-1", "prompt": "a cat" });
    let google = json!({ "contents": [{ "parts": [{ "text": "Hi" }] }] });
    for (path, body) in [
        ("/v1/chat/completions", &openai),
        ("/chat/completions", &openai),
        ("/v1/messages", &openai),
        ("/openai/v1/chat/completions", &openai),
        ("/v1/gateway/openai/v1/chat/completions", &openai),
        ("/v1/embeddings", &embeddings),
        ("/openai/v1/embeddings", &embeddings),
        ("/openai/v1/images/generations", &image),
        ("/openai/v1/some/new/thing", &openai),
        ("/v1beta/models/gpt-4o-mini:generateContent", &google),
    ] {
        let mut request = post(path, body);
        request.headers_mut().insert("helicone-user-id", "nobody".parse().unwrap());
        let answer = gateway.send(request).await;
        assert_eq!(answer.status, 402, "{path}: {}", answer.text());
        assert!(answer.text().contains("budget"), "{path}: {}", answer.text());
    }
    assert_eq!(upstream.seen().len(), 0);
}

#[tokio::test]
async fn a_budget_is_kept_and_a_restart_forgets_nothing() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let budget =
        "budgets: [ { scope: { property: Department }, amount: \"0.01\", period: month, time_zone: Europe/Berlin } ]";
    let gateway = Gateway::before(&upstream).config(budget).start().await;
    let call = || with(chat("alice", 8_000), "helicone-property-department", "search");
    let answer = gateway.send(call()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let cost = gateway.row(&answer).await["cost"]["total"].as_str().unwrap().to_owned();
    let limits = gateway.api("/api/limits").await;
    let account = &limits["now"]["accounts"][0];
    assert_eq!((&account["spent"], &account["reserved"]), (&json!(cost), &json!("0")), "{limits:#}");
    assert_eq!(account["scope"], "property:department:search");

    gateway.signal("KILL");
    let again = gateway.again();
    drop(gateway);
    let gateway = again.start().await;
    let account = &gateway.api("/api/limits").await["now"]["accounts"][0];
    assert_eq!(account["spent"], json!(cost));
}

#[tokio::test]
async fn hard_case_24_an_unknown_model_under_a_budget_is_never_silent() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    for (policy, status) in [("allow", 200), ("block", 402), ("reserve", 402)] {
        let config = format!(
            "pricing: {{ unknown_model: {policy} }}\nlimits: {{ ceiling: \"2\" }}\nbudgets: [ {{ amount: \"1\", period: day }} ]"
        );
        let gateway = Gateway::before(&upstream).config(&config).start().await;
        let body = json!({ "model": "openai/unheard-of-9", "messages": [{ "role": "user", "content": "Hi" }] });
        let answer = gateway.send(post("/v1/chat/completions", &body)).await;
        assert_eq!(answer.status.as_u16(), status, "{policy}: {}", answer.text());
        let row = gateway.row(&answer).await;
        let told = row.to_string();
        assert!(
            told.contains("no price is known") || told.contains("unknown_price") || told.contains("budget_exceeded"),
            "{row:#}"
        );
    }
}

#[tokio::test]
async fn a_used_up_budget_gives_another_model_or_a_shorter_answer() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let config = "budgets:\n  - { scope: { user: cheap }, amount: \"0.001\", period: day, on_exceed: { downgrade: openai/gpt-4o-mini } }\n  \
                  - { scope: { user: short }, amount: \"0.002\", period: day, shrink_to_fit: true }";
    let gateway = Gateway::before(&upstream).config(config).start().await;
    let dear = |user: &str| {
        let body =
            json!({ "model": "openai/gpt-4o", "messages": [{ "role": "user", "content": "Hi" }], "max_tokens": 4_000 });
        with(post("/v1/chat/completions", &body), "helicone-user-id", user)
    };
    let answer = gateway.send(dear("cheap")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent: Value = serde_json::from_slice(&upstream.seen()[0].body).unwrap();
    assert_eq!(sent["model"], "gpt-4o-mini");
    let answer = gateway.send(dear("short")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent: Value = serde_json::from_slice(&upstream.seen()[1].body).unwrap();
    assert!((64..4_000).contains(&sent["max_tokens"].as_u64().unwrap()), "{sent}");
    assert_eq!(sent["model"], "gpt-4o");
}
