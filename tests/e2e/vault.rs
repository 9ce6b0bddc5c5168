//! An organisation's keys of providers, kept through the API that Helicone's clients keep them through.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tachograph_tests::{Gateway, KEY, Upstream, ask, get, golden, post};

const CANARY: &str = "sk-canary-through-the-api-01234567";

async fn sent_with(gateway: &Gateway, upstream: &Upstream, key: Option<&str>) {
    let due = key.map(|key| format!("Bearer {key}"));
    for _ in 0..300 {
        gateway.send(post("/v1/chat/completions", &json!({"model": "openai/gpt-4o-mini", "messages": []}))).await;
        if upstream.last().header("authorization") == due.as_deref() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?} instead of {due:?}", upstream.last().header("authorization"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_added_listed_changed_switched_off_and_never_shown() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let yaml = format!(
        "listen: 127.0.0.1:0\napi_key: {KEY}\nproviders: {{ openai: {{ base_url: 'http://{}/v1' }} }}\n",
        upstream.address()
    );
    let gateway = Gateway::configured(&yaml).start().await;
    let api = async |method: Method, path: &str, body: Value| {
        let answer = gateway.send(ask(method, path, body.to_string())).await;
        (answer.status.as_u16(), answer.json())
    };
    sent_with(&gateway, &upstream, None).await;
    let (status, added) =
        api(Method::POST, "/v1/vault/add", json!({"provider": "OPENAI", "key": CANARY, "name": "main"})).await;
    assert_eq!((status, &added["error"]), (201, &Value::Null), "{added}");
    let id = added["data"]["id"].as_str().unwrap().to_owned();
    sent_with(&gateway, &upstream, Some(CANARY)).await;

    let listed = gateway.send(get("/v1/vault/keys")).await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let one = gateway.send(get(&format!("/v1/vault/key/{id}"))).await.json();
    assert_eq!(one["data"], listed["data"][0]);
    assert_eq!((&one["data"]["provider_name"], &one["data"]["provider_key_name"]), (&json!("openai"), &json!("main")));
    assert_eq!(one["data"]["provider_key"], "…4567");

    let update = format!("/v1/vault/update/{id}");
    let (status, _) = api(Method::PATCH, &update, json!({"key": "sk-canary-the-second-one-abcdefgh"})).await;
    assert_eq!(status, 200);
    sent_with(&gateway, &upstream, Some("sk-canary-the-second-one-abcdefgh")).await;
    assert_eq!(api(Method::PATCH, &update, json!({"active": false})).await.0, 200);
    sent_with(&gateway, &upstream, None).await;
    assert_eq!(api(Method::DELETE, &format!("/v1/vault/key/{id}"), json!({})).await.0, 200);

    for (method, path, body, status) in [
        (Method::POST, "/v1/vault/add", json!({"provider": "nobody", "key": "k"}), 400),
        (Method::POST, "/v1/vault/add", json!({"provider": "openai", "key": " "}), 400),
        (Method::POST, "/v1/vault/add", json!({"key": "k"}), 400),
        (Method::PATCH, &*update, json!({"name": "gone"}), 404),
        (Method::DELETE, &*format!("/v1/vault/key/{id}"), json!({}), 404),
    ] {
        let (answered, told) = api(method, path, body).await;
        assert_eq!(answered, status, "{path}: {told}");
        assert!(told["error"].is_string() && told["data"].is_null(), "{told}");
    }
    let stranger = gateway.send_as_is(get("/v1/vault/keys")).await.unwrap().collect().await;
    assert_eq!(stranger.status, 401);
    let rows = gateway.api("/api/requests").await.to_string();
    let stored: Vec<u8> = std::fs::read_dir(gateway.directory().join("tachograph-data"))
        .unwrap()
        .flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap_or_default())
        .collect();
    let in_store = stored.windows(9).any(|window| window == b"sk-canary");
    assert!(!in_store && !rows.contains("canary") && !gateway.log().contains("canary"), "{rows}");
}
