//! A secret that is sent through every way in is nowhere afterwards: not on disk, in a log, in an answer of the API, in a metric.

use std::path::Path;

use bytes::Bytes;
use http::{HeaderValue, Request};
use serde_json::{Value, json};
use tachograph_tests::{Gateway, KEY, Reply, Upstream, get, post};

/// Of a form that the rule of the test finds, as a whole and cut in two.
const CANARY: &str = "CANARY-7f3a9c1e5b";
const PROVIDERS_KEY: &str = "configured-key-of-openai";

fn with(mut request: Request<Bytes>, headers: &[(&'static str, &str)]) -> Request<Bytes> {
    for (name, value) in headers {
        request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
    }
    request
}

/// An upstream that repeats what it was told, as streams in small pieces and as errors.
async fn parrot() -> Upstream {
    Upstream::answering(|seen| {
        let asked = seen.json();
        if seen.target.contains("fail") || asked["model"] == "fail" {
            let key = seen.header("authorization").unwrap_or_default().to_owned();
            let body = json!({ "error": { "message": format!("Incorrect API key {key} near {CANARY}"), "type": CANARY, "code": "x" } });
            return Reply::document(401, &[("content-type", "application/json")], body.to_string());
        }
        if asked["stream"] == true {
            let pieces: Vec<String> = CANARY.chars().map(String::from).collect();
            let events: String = std::iter::once("so ".to_owned())
                .chain(pieces)
                .map(|text| format!("data: {}\n\n", json!({ "model": "gpt-4o-mini", "choices": [{ "index": 0, "delta": { "content": text } }] })))
                .collect();
            return Reply::document(200, &[("content-type", "text/event-stream")], events + "data: [DONE]\n\n");
        }
        let body = json!({ "model": "gpt-4o-mini", "choices": [{ "index": 0, "finish_reason": "stop",
            "message": { "role": "assistant", "content": format!("as you said: {CANARY}") } }],
            "usage": { "prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10 } });
        Reply::document(200, &[("content-type", "application/json")], body.to_string())
    })
    .await
}

fn ways_in() -> Vec<Request<Bytes>> {
    let chat = |model: &str, stream: bool| {
        json!({ "model": model, "stream": stream, "user": CANARY, "stop": [CANARY], "metadata": { CANARY: 1 },
            "messages": [{ "role": "user", "content": format!("my secret is {CANARY}") }] })
    };
    let told = json!({
        "providerRequest": { "url": format!("https://x.example/{CANARY}"), "json": { "model": CANARY, "messages": [{ "role": "user", "content": CANARY }] }, "meta": { "Helicone-Property-X": CANARY } },
        "providerResponse": { "json": {}, "textBody": format!("Error: {CANARY}"), "status": 500, "headers": {} },
    });
    let attribute = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let span = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": CANARY,
        "startTimeUnixNano": "1795000000000000000", "endTimeUnixNano": "1795000001000000000",
        "attributes": [attribute("gen_ai.request.model", "gpt-4o"), attribute("gen_ai.prompt.0.role", "user"),
            attribute("gen_ai.prompt.0.content", CANARY), attribute("unheard.of", CANARY), attribute("user.id", CANARY)],
        "status": { "code": 2, "message": CANARY },
    }] }] }] });
    let mut escaped = post("/openai/v1/chat/completions", &chat("gpt-4o-mini", false));
    let text = String::from_utf8(escaped.body().to_vec()).unwrap().replace("CANARY-", "\\u0043ANARY-");
    *escaped.body_mut() = text.into();
    vec![
        with(
            post("/openai/v1/chat/completions", &chat("gpt-4o-mini", false)),
            &[
                ("helicone-user-id", CANARY),
                ("helicone-session-id", CANARY),
                ("helicone-property-x", CANARY),
                ("helicone-prompt-id", CANARY),
                ("helicone-not-known", CANARY),
                ("x-mine", CANARY),
                ("cookie", CANARY),
            ],
        ),
        escaped,
        post(&format!("/openai/v1/chat/completions?q={CANARY}"), &chat("gpt-4o-mini", true)),
        post("/v1/chat/completions", &chat("openai/gpt-4o-mini", true)),
        post(
            "/v1/messages",
            &json!({ "model": "openai/gpt-4o-mini", "max_tokens": 9, "stream": true, "messages": [{ "role": "user", "content": CANARY }] }),
        ),
        post("/openai/v1/chat/completions", &chat("fail", false)),
        post("/v1/chat/completions", &chat("openai/fail", false)),
        post("/v1/chat/completions", &chat(CANARY, false)),
        post(&format!("/{CANARY}"), &json!({})),
        post("/v1/chat/completions", &json!(CANARY)),
        with(
            post("/v1/chat/completions", &chat("gpt-4o-mini", false)),
            &[("authorization", &format!("Bearer {CANARY}"))],
        ),
        with(post("/openai/v1/files", &Value::Null), &[("content-type", "multipart/form-data; boundary=b")]),
        post("/custom/v1/log", &told),
        post("/v1/traces", &span),
    ]
}

/// Every file below a folder, with what it holds.
fn files(below: &Path, all: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(below).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, all);
        } else if path.file_name().is_some_and(|name| name != "tachograph.yaml") {
            all.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_37_a_canary_sent_through_every_way_in_is_nowhere_afterwards() {
    let upstream = parrot().await;
    let gateway = Gateway::before(&upstream)
        .config("logging: { redact: [ { name: canary, pattern: \"(?i)CANARY-[0-9a-f]{10}\" }, secrets ] }")
        .environment("RUST_LOG", "trace")
        .start()
        .await;
    let ways = ways_in();
    let count = ways.len();
    for request in ways {
        gateway.send(request).await;
    }
    let rows = gateway.rows_when_there_are(count).await;
    assert!(rows.iter().any(|row| row["cost"]["total"].is_string()), "calls are served and priced all the same");
    let mut places = Vec::new();
    for row in &rows {
        let whole = gateway.api(&format!("/api/requests/{}", row["id"].as_str().unwrap())).await;
        places.push(("the API".to_owned(), whole.to_string().into_bytes()));
    }
    for path in ["/metrics", "/api/health"] {
        places.push((path.to_owned(), gateway.send(get(path)).await.body().to_vec()));
    }
    files(gateway.directory(), &mut places);
    assert!(places.iter().any(|(name, _)| name.ends_with("tachograph.db")), "the store was looked into");
    for secret in [CANARY, &CANARY.to_lowercase(), PROVIDERS_KEY, KEY] {
        for (name, bytes) in &places {
            let at = bytes.windows(secret.len()).position(|window| window == secret.as_bytes());
            let around = at.map(|at| {
                String::from_utf8_lossy(&bytes[at.saturating_sub(120)..(at + 60).min(bytes.len())]).into_owned()
            });
            assert_eq!(around, None, "{secret} stands in {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_out_is_marked_and_the_client_has_it_all() {
    let upstream = parrot().await;
    let gateway = Gateway::before(&upstream)
        .config("logging: { redact: [ { name: canary, pattern: \"CANARY-[0-9a-f]{10}\" } ] }")
        .start()
        .await;
    let body = json!({ "model": "gpt-4o-mini", "stream": true, "messages": [{ "role": "user", "content": CANARY }] });
    let answer = gateway.send(post("/openai/v1/chat/completions", &body)).await;
    let datas: String = answer
        .text()
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
        .map(|event| event["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(datas, format!("so {CANARY}"), "what passes is not touched");
    assert_eq!(upstream.last().json()["messages"][0]["content"], CANARY);
    let row = gateway.row(&answer).await;
    assert_eq!(row["control"]["redacted"], json!([["canary", 2]]), "{row:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_hold_for_whom_they_name_and_for_nobody_else() {
    let upstream = parrot().await;
    let body = json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": format!("{CANARY} to ada@example.org") }] });
    let call = async |gateway: &Gateway, headers: &[(&'static str, &str)]| {
        let answer = gateway.send(with(post("/openai/v1/chat/completions", &body), headers)).await;
        assert_eq!(answer.status, 200);
        gateway.row(&answer).await
    };
    let said = |row: &Value| row["request"]["text"].as_str().unwrap_or_default().to_owned();
    let rules =
        "logging: { policies: [ { properties: { Team: medical }, bodies: none }, { user: ada, redact: [email] } ] }";
    let gateway = Gateway::before(&upstream).config(rules).start().await;
    let medical = call(&gateway, &[("helicone-property-team", "medical")]).await;
    assert_eq!((&medical["request"]["state"], &medical["response"]["state"]), (&json!("omitted"), &json!("omitted")));
    assert_eq!(medical["usage"]["input_tokens"], 5, "what was used is kept");
    let ada = call(&gateway, &[("helicone-user-id", "ada"), ("helicone-property-team", "search")]).await;
    assert!(said(&ada).contains(CANARY) && !said(&ada).contains("@example.org"), "{}", said(&ada));
    assert!(ada["control"]["redacted"].to_string().contains("email"), "{}", ada["control"]);
    let bob = call(&gateway, &[("helicone-user-id", "bob")]).await;
    assert!(said(&bob).contains("ada@example.org"), "{}", said(&bob));

    // The same by the key that calls: it is known by its id from the first row on.
    let key = bob["key"].as_str().unwrap().to_owned();
    let changed = format!("logging: {{ policies: [ {{ key: \"{key}\", bodies: none }} ] }}");
    let next = gateway.again().instead_of(rules, &changed);
    drop(gateway);
    let gateway = next.start().await;
    let of_key = call(&gateway, &[("helicone-user-id", "bob")]).await;
    assert_eq!((&of_key["key"], &of_key["request"]["state"]), (&json!(key), &json!("omitted")));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_sample_of_calls_bodies_are_kept_and_of_failed_ones_always() {
    let upstream = parrot().await;
    let gateway = Gateway::before(&upstream).config("logging: { sample_bodies: 50 }").start().await;
    let chat = |model: &str| json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] });
    for at in 0..120 {
        let model = if at % 6 == 0 { "fail" } else { "gpt-4o-mini" };
        gateway.send(post("/openai/v1/chat/completions", &chat(model))).await;
    }
    let (mut kept, mut failed) = (0, 0);
    for row in gateway.rows_when_there_are(120).await {
        let whole = gateway.row_of(row["id"].as_str().unwrap()).await;
        let is_kept = whole["request"]["state"] == "whole";
        assert_eq!(whole["response"]["state"] == "whole", is_kept, "both or none: {whole:#}");
        if row["outcome"] == "complete" {
            kept += usize::from(is_kept);
        } else {
            failed += 1;
            assert!(is_kept, "of calls that failed they are kept: {whole:#}");
        }
    }
    // Of 100 calls; outside of this with a probability below 10⁻⁸.
    assert!((22..=78).contains(&kept), "{kept} of 100");
    assert_eq!(failed, 20);
}
