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

/// The application is traced, its exporter sends here, and its calls pass the gateway with their `traceparent`.
#[tokio::test(flavor = "multi_thread")]
async fn a_traced_call_that_passed_the_gateway_is_joined_and_counted_once_in_both_orders() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let gateway = Gateway::before(&upstream).start().await;
    let asked = json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "hello" }] });
    let int = |value: u64| json!({ "intValue": value.to_string() });
    for (at, span_first) in [true, false].into_iter().enumerate() {
        let (trace, span) = (format!("0af7651916cd43dd8448eb211c8031{at:02}"), format!("b7ad6b71692033{at:02}"));
        let export = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{
            "traceId": trace, "spanId": span, "name": "openai.chat",
            "startTimeUnixNano": "1795000000000000000", "endTimeUnixNano": "1795000001000000000",
            "attributes": [
                { "key": "gen_ai.request.model", "value": { "stringValue": "gpt-4o-mini" } },
                { "key": "gen_ai.system", "value": { "stringValue": "openai" } },
                { "key": "gen_ai.usage.input_tokens", "value": int(500) },
                { "key": "gen_ai.usage.output_tokens", "value": int(300) },
            ],
        }] }] }] });
        let mut call = post("/openai/v1/chat/completions", &asked);
        call.headers_mut().insert("traceparent", format!("00-{trace}-{span}-01").parse().unwrap());
        if span_first {
            assert_eq!(gateway.send(post("/v1/traces", &export)).await.status, 200);
            gateway.rows_when_there_are(1).await;
        }
        let measured = gateway.send(call).await;
        gateway.row(&measured).await;
        if !span_first {
            assert_eq!(gateway.send(post("/v1/traces", &export)).await.status, 200);
        }
        let rows = gateway.rows_when_there_are(2 * (at + 1)).await;
        let told = rows.iter().find(|row| row["span_id"] == span.as_str()).unwrap();
        assert_eq!(told["control"]["counted_by"], measured.id(), "{told:#}");
    }
    let totals = gateway.api("/api/totals").await;
    assert_eq!((&totals["input_tokens"], &totals["output_tokens"]), (&json!(1_000), &json!(600)), "{totals}");
    assert_eq!(totals["cost"], "0.00051", "{totals}");
}
