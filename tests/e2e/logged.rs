//! Calls that clients tell of afterwards, and how they stand beside those that passed.

use serde_json::{Value, json};
use tachograph_tests::{Gateway, Upstream, golden, post};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_told_is_recorded_and_priced_as_one_that_passed() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let gateway = Gateway::before(&upstream).start().await;
    let asked = json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "hello" }] });
    let passed = gateway.send(post("/openai/v1/chat/completions", &asked)).await;
    let told = json!({
        "providerRequest": { "url": "custom-model-nopath", "json": asked, "meta": {} },
        "providerResponse": { "json": passed.json(), "status": 200, "headers": {} },
        "timing": { "startTime": { "seconds": 1_795_000_000, "milliseconds": 0 }, "endTime": { "seconds": 1_795_000_001, "milliseconds": 0 } },
    });
    let mut request = post("/oai/v1/log", &told);
    request.headers_mut().insert("helicone-user-id", "ada".parse().unwrap());
    request.headers_mut().insert("helicone-session-id", "s1".parse().unwrap());
    request.headers_mut().insert("helicone-property-team", "blue".parse().unwrap());
    let logged = gateway.send(request).await;
    assert_eq!((logged.status.as_u16(), logged.text().as_str()), (200, "ok"));
    let (passed, logged) = (gateway.row(&passed).await, gateway.row(&logged).await);
    for same in ["api", "model", "provider", "usage", "finish_reason", "outcome", "status"] {
        assert_eq!(logged[same], passed[same], "{same}");
    }
    assert_eq!(logged["cost"]["total"], passed["cost"]["total"]);
    assert_ne!(logged["cost"]["total"], Value::Null);
    assert_eq!((&logged["user"], &logged["session"]["id"]), (&json!("ada"), &json!("s1")));
    assert_eq!(logged["properties"]["team"], "blue");
    assert_eq!(logged["timing"]["end_us"], 1_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_told_twice_under_its_id_is_one_row() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let gateway = Gateway::before(&upstream).start().await;
    let told = json!({
        "providerRequest": { "url": "custom-model-nopath", "json": { "_type": "tool", "toolName": "weather" }, "meta": {} },
        "providerResponse": { "json": { "ok": true }, "status": 200, "headers": {} },
    });
    for _ in 0..2 {
        let mut request = post("/custom/v1/log", &told);
        request.headers_mut().insert("helicone-request-id", "5f0c3e7a-9f0e-4c1c-8d35-0e4b7a3f9b11".parse().unwrap());
        assert_eq!(gateway.send(request).await.status, 200);
    }
    let rows = gateway.rows_when_there_are(1).await;
    assert_eq!(rows[0]["model"], "tool:weather");
}
