//! Who is asked when something fails: chains, virtual models, retries, streams that fail before or behind content.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use tachograph_tests::{Cut, Gateway, Reply, Upstream, get, post};

const CHAT: &str = "/v1/chat/completions";

fn chat(model: &str, stream: bool) -> Value {
    json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "count to three" }] })
}

fn answer(text: &str) -> Reply {
    Reply::json(
        200,
        &json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{ "index": 0,
            "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7 } }),
    )
}

fn error(status: u16) -> Reply {
    Reply::json(
        status,
        &json!({ "error": { "message": format!("no: {status}"), "type": "t", "param": null, "code": null } }),
    )
}

/// The frames of a chat stream: a role, three words, a reason to stop, usage, the end.
fn frames(word: &str) -> Vec<String> {
    let chunk = |delta: Value, finish: Value| {
        let choices = json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
        format!(
            "data: {}\n\n",
            json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices })
        )
    };
    let mut frames = vec![chunk(json!({ "role": "assistant", "content": "" }), Value::Null)];
    frames.extend((1..=3).map(|number| chunk(json!({ "content": format!("{word}{number} ") }), Value::Null)));
    frames.push(chunk(json!({}), json!("stop")));
    frames.push("data: [DONE]\n\n".to_owned());
    frames
}

fn messages_frames(word: &str) -> Vec<String> {
    let event = |value: Value| format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap());
    let mut frames = vec![
        event(
            json!({ "type": "message_start", "message": { "id": "m", "type": "message", "role": "assistant", "model": "claude-haiku-4-5",
            "content": [], "stop_reason": null, "usage": { "input_tokens": 9, "output_tokens": 1 } } }),
        ),
        event(json!({ "type": "ping" })),
        event(json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } })),
    ];
    frames.extend((1..=3).map(|number| {
        event(json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": format!("{word}{number} ") } }))
    }));
    frames.push(event(json!({ "type": "content_block_stop", "index": 0 })));
    frames.push(event(
        json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": { "output_tokens": 6 } }),
    ));
    frames.push(event(json!({ "type": "message_stop" })));
    frames
}

fn stream(frames: Vec<String>) -> Reply {
    Reply::chunked(200, &[("content-type", "text/event-stream")], frames.into_iter().map(Bytes::from))
}

fn headers(mut request: Request<Bytes>, headers: &[(&'static str, &'static str)]) -> Request<Bytes> {
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

/// Everything a chat stream said, whatever else was in it.
fn text(events: &[Value]) -> String {
    events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_moves_on_for_what_others_may_do_better() {
    for status in [401, 402, 403, 404, 429, 500, 502, 503, 504, 529] {
        let upstream =
            Upstream::answering(
                move |seen| if seen.target.contains("at-openai") { error(status) } else { answer("from groq") },
            )
            .await;
        let gateway = Gateway::before(&upstream).start().await;
        let got = gateway.send(post(CHAT, &chat("openai/gpt-4o-mini, groq/llama", false))).await;
        assert_eq!((got.status.as_u16(), upstream.seen().len()), (200, 2), "{status}: {}", got.text());
        assert_eq!(got.json()["choices"][0]["message"]["content"], "from groq");
        assert_eq!(got.headers["helicone-fallback-index"], "1");
        assert_eq!(got.headers["helicone-provider"], "groq");
        let row = gateway.row(&got).await;
        let attempts = row["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 2, "{row:#}");
        let (first, second) = (&attempts[0], &attempts[1]);
        assert_eq!(
            (&first["provider"], &first["status"], &first["key"]),
            (&json!("openai"), &json!(status), &json!(0))
        );
        assert!(first["error"]["message"].as_str().unwrap().contains("no: "), "{first}");
        let at = |attempt: &Value, clock: &str| attempt[clock].as_u64().unwrap_or_else(|| panic!("{clock}: {attempt}"));
        assert!(at(first, "sent_us") <= at(first, "head_us") && at(first, "head_us") <= at(first, "end_us"));
        assert!(at(first, "end_us") <= at(second, "sent_us") && at(second, "head_us") <= at(second, "end_us"));
        assert_eq!((&row["outcome"], &row["provider"]), (&json!("complete"), &json!("groq")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_wrong_is_asked_once_and_told_in_the_providers_words() {
    for status in [400, 413, 422] {
        let upstream = Upstream::answering(move |_| error(status)).await;
        let gateway = Gateway::before(&upstream).start().await;
        let got = gateway.send(post(CHAT, &chat("openai/gpt-4o-mini, groq/llama", false))).await;
        assert_eq!((got.status.as_u16(), upstream.seen().len()), (status, 1));
        assert_eq!(got.body(), error(status).body(), "the provider's own words");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_fail_the_most_telling_error_is_told_with_its_status() {
    let upstream = Upstream::answering(|seen| error(if seen.target.contains("at-openai") { 401 } else { 503 })).await;
    let gateway = Gateway::before(&upstream).config("retries: { max_attempts: 1 }").start().await;
    let got = gateway.send(post(CHAT, &chat("openai/gpt-4o-mini, groq/llama", false))).await;
    assert_eq!(got.status, 503);
    assert_eq!(got.json()["error"]["message"], "no: 503");
    assert_eq!(got.headers["x-should-retry"], "false", "one owner of repetitions is enough");
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_virtual_model_falls_back_across_dialects_and_takes_its_special_fallbacks() {
    let upstream = Upstream::answering(|seen| {
        let too_long = json!({ "error": { "message": "This model's maximum context length is 8 tokens.", "type": "invalid_request_error",
            "param": "messages", "code": "context_length_exceeded" } });
        match (seen.target.contains("at-anthropic"), seen.json()["model"].as_str()) {
            (true, _) => stream(messages_frames("claude")),
            (_, Some("short")) => Reply::json(400, &too_long),
            (_, Some("long")) => answer("long"),
            _ => error(500),
        }
    })
    .await;
    let routes = "routes:\n  fast: { targets: [ { model: openai/a } ], fallbacks: [anthropic/claude-haiku-4-5] }\n  \
                  fits: { targets: [ { model: openai/short }, { model: groq/b } ], context_window_fallbacks: [openai/long] }\n";
    let gateway = Gateway::before(&upstream).config(routes).start().await;
    let got = gateway.send(post(CHAT, &chat("fast", true))).await;
    assert_eq!(text(&got.events()), "claude1 claude2 claude3 ", "{}", got.text());
    assert_eq!(gateway.row(&got).await["attempts"].as_array().unwrap().len(), 2);
    let got = gateway.send(post(CHAT, &chat("fits", false))).await;
    assert_eq!(got.json()["choices"][0]["message"]["content"], "long");
    assert_eq!(upstream.seen().len(), 4, "groq would not have fitted either and was not asked");
}

/// How a stream fails after some frames.
fn failing(frames: &[String], after: usize, how: &str) -> Reply {
    let mut sent = frames[..after].to_vec();
    let kind = match how {
        "overloaded" => json!({ "type": "error", "error": { "type": "overloaded_error", "message": "busy" } }),
        "limited" => {
            json!({ "error": { "type": "rate_limit_exceeded", "message": "slow down", "code": "rate_limit_exceeded" } })
        }
        "server" => json!({ "error": { "type": "server_error", "message": "broken" } }),
        cut => {
            let cut = if cut == "reset" { Cut::Reset } else { Cut::Close };
            return stream(frames.to_vec()).cut_after(after, cut);
        }
    };
    sent.push(format!("event: error\ndata: {kind}\n\n"));
    stream(sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_11_a_stream_that_fails_before_content_falls_back_unseen_and_never_after() {
    let plan = Arc::new(std::sync::Mutex::new((0, "", false)));
    let told = plan.clone();
    let upstream = Upstream::answering(move |seen| {
        let (after, how, messages) = *told.lock().unwrap();
        match (seen.target.contains("at-groq"), messages) {
            (true, _) => stream(frames("second")),
            (_, true) => failing(&messages_frames("first"), after, how),
            _ => failing(&frames("first"), after, how),
        }
    })
    .await;
    // Breakers would open in the middle of this; each failure has a gateway of its own.
    for messages in [false, true] {
        let (first, content_at, last) =
            if messages { ("anthropic/claude-haiku-4-5", 4, 8) } else { ("openai/gpt-4o-mini", 2, 5) };
        for how in ["overloaded", "limited", "server", "reset", "close"] {
            let gateway = Gateway::before(&upstream).start().await;
            for after in 0..=last {
                *plan.lock().unwrap() = (after, how, messages);
                let model = format!("{first}-{after}, groq/llama");
                let got = gateway.send(post(CHAT, &chat(&model, true))).await;
                let said = text(&got.events());
                let (ones, twos) = (said.matches("first").count(), said.matches("second").count());
                let place = format!("{how} after {after} of {first}: {}", got.text());
                if after < content_at {
                    assert_eq!((ones, twos), (0, 3), "{place}");
                    assert!(got.text().ends_with("data: [DONE]\n\n"), "{place}");
                } else {
                    assert!(ones > 0 && twos == 0, "{place}");
                }
                let row = gateway.row(&got).await;
                let attempts = row["attempts"].as_array().unwrap();
                assert_eq!(attempts.len(), if after < content_at { 2 } else { 1 }, "{place}\n{row:#}");
                if after < content_at {
                    assert!(attempts[0]["error"]["message"].is_string(), "{row:#}");
                    let is_told = messages && after > 0;
                    assert!(attempts[0]["usage"].is_object() || !is_told, "what was charged for nothing: {row:#}");
                } else if after < last - 1 {
                    assert_ne!(row["outcome"], "complete", "{place}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_12_after_content_the_client_gets_an_error_event_and_no_repetition() {
    let upstream = Upstream::answering(|_| stream(frames("word")).cut_after(3, Cut::Reset)).await;
    let gateway = Gateway::before(&upstream).start().await;
    let request = post(CHAT, &chat("openai/gpt-4o-mini, groq/llama", true));
    let got = gateway.send(headers(request, &[("helicone-retry-enabled", "true"), ("idempotency-key", "k")])).await;
    assert_eq!(text(&got.events()), "word1 word2 ");
    assert_eq!(got.events().last().unwrap()["error"]["code"], "stream_broken", "{}", got.text());
    assert_eq!(upstream.seen().len(), 1);
    let status = gateway.api("/api/routing").await;
    let targets = status["targets"].as_array().unwrap();
    let failed = targets.iter().find(|target| target["target"] == "openai/gpt-4o-mini").unwrap();
    assert_eq!(failed["failed"], 1, "{status:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_10_a_stream_that_is_cut_in_good_order_is_a_failure_too() {
    let upstream = Upstream::answering(|_| stream(frames("word")[..3].to_vec())).await;
    let gateway = Gateway::before(&upstream).start().await;
    let got = gateway.send(post(CHAT, &chat("openai/gpt-4o-mini", true))).await;
    assert!(got.text().contains("stream_broken") && !got.text().contains("[DONE]"), "{}", got.text());
    let row = gateway.row(&got).await;
    assert_eq!(row["outcome"], "cut_short", "{row:#}");
    assert_eq!(gateway.api("/api/routing").await["targets"][0]["failed"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_07_the_clients_first_token_includes_failed_attempts_and_each_has_its_own() {
    const SLOW: std::time::Duration = std::time::Duration::from_millis(150);
    let upstream = Upstream::answering(|seen| {
        if seen.target.contains("at-openai") { error(500).after(SLOW) } else { stream(frames("word")) }
    })
    .await;
    let gateway = Gateway::before(&upstream).start().await;
    let got = gateway.send(post(CHAT, &chat("openai/gpt-4o-mini, groq/llama", true))).await;
    let row = gateway.row(&got).await;
    let first_token = row["timing"]["first_token_us"].as_u64().unwrap();
    let served = &row["attempts"][1];
    assert!(first_token >= 150_000, "{row:#}");
    assert_eq!(served["first_token_us"].as_u64().unwrap(), first_token);
    assert!(served["sent_us"].as_u64().unwrap() >= 150_000 && row["attempts"][0]["first_token_us"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_35_repetitions_have_one_owner_and_need_leave_where_the_request_was_taken() {
    for (status, config, sent, tries) in [
        (503, "", &[][..], 2),
        (500, "", &[], 2),
        (503, "retries: { max_attempts: 3, backoff: { min: 5ms, max: 10ms }, budget_percent: 100 }", &[], 3),
        (503, "retries: { budget_percent: 0 }", &[], 1),
        (504, "", &[], 1),
        (504, "", &[("idempotency-key", "k")], 2),
        (503, "", &[("helicone-retry-enabled", "false")], 1),
        (
            504,
            "",
            &[("helicone-retry-enabled", "true"), ("helicone-retry-num", "4"), ("helicone-retry-min-timeout", "5")],
            4,
        ),
        (400, "", &[("helicone-retry-enabled", "true"), ("helicone-retry-min-timeout", "5")], 1),
    ] {
        let upstream = Upstream::answering(move |_| error(status)).await;
        let gateway = Gateway::before(&upstream).config(config).start().await;
        let got = gateway.send(headers(post(CHAT, &chat("openai/gpt-4o-mini", false)), sent)).await;
        assert_eq!((got.status.as_u16(), upstream.seen().len()), (status, tries), "{config} {sent:?}");
        assert!(upstream.seen().iter().all(|seen| seen.header("helicone-retry-enabled").is_none()));
        let row = gateway.row(&got).await;
        assert_eq!(row["attempts"].as_array().unwrap().len(), tries);
    }
    // A connection that ends without an answer may have been served.
    for (sent, tries) in [(&[][..], 1), (&[("idempotency-key", "k")], 2)] {
        let upstream = Upstream::answering(|_| Reply::document(200, &[], "").cut_after(0, Cut::Garbage)).await;
        let gateway = Gateway::before(&upstream).start().await;
        gateway.send(headers(post(CHAT, &chat("openai/gpt-4o-mini", false)), sent)).await;
        assert!(upstream.seen().len() <= tries, "{sent:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_served_after_the_time_that_was_asked_for() {
    let asked = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::answering(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::document(429, &[("retry-after-ms", "400"), ("retry-after", "30")], r#"{"error":{"message":"m"}}"#),
        _ => answer("served"),
    })
    .await;
    let gateway = Gateway::before(&upstream).start().await;
    let got = gateway.send(post(CHAT, &chat("openai/gpt-4o-mini", false))).await;
    assert_eq!(got.status, 200);
    let row = gateway.row(&got).await;
    let clock = |at: usize, clock: &str| row["attempts"][at][clock].as_u64().unwrap();
    assert!(clock(1, "sent_us") - clock(0, "end_us") >= 400_000, "{row:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_asked_once_unless_its_caller_wishes_otherwise() {
    for (sent, tries) in [
        (&[][..], 1),
        (&[("helicone-retry-enabled", "true"), ("helicone-retry-num", "3"), ("helicone-retry-min-timeout", "5")], 3),
    ] {
        let upstream = Upstream::answering(|_| error(500)).await;
        let gateway = Gateway::before(&upstream).start().await;
        let got = gateway.send(headers(post("/openai/v1/chat/completions", &chat("gpt-4o-mini", false)), sent)).await;
        assert_eq!((got.status.as_u16(), got.body()), (500, error(500).body().into()));
        assert_eq!(upstream.seen().len(), tries);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_34_a_refused_key_is_benched_alone_and_a_dead_target_is_left_in_peace() {
    let upstream = Upstream::answering(|seen| {
        let bad = seen.header("authorization") == Some("Bearer bad");
        if bad {
            error(401)
        } else if seen.target.contains("dead") {
            error(500)
        } else {
            answer("served")
        }
    })
    .await;
    let base = format!("http://{}", upstream.address());
    let config = format!(
        "listen: 127.0.0.1:0\napi_key: {}\nproviders:\n  openai: {{ base_url: \"{base}/ok\", api_keys: [bad, good] }}\n  \
         groq: {{ base_url: \"{base}/dead\", api_keys: [g] }}\n",
        tachograph_tests::KEY
    );
    let gateway = Gateway::configured(&config).start().await;
    for _ in 0..20 {
        let got = gateway.send(post(CHAT, &chat("groq/x, openai/gpt-4o-mini", false))).await;
        assert_eq!(got.status, 200, "{}", got.text());
    }
    let seen = upstream.seen();
    let with = |key: &str| seen.iter().filter(|seen| seen.header("authorization") == Some(key)).count();
    assert_eq!((with("Bearer bad"), with("Bearer good"), with("Bearer g")), (1, 20, 5));
    let status = gateway.api("/api/routing").await;
    assert_eq!(
        status["keys"].as_array().unwrap().iter().find(|keys| keys["provider"] == "openai").unwrap()["benched"],
        1
    );
    let groq = status["targets"].as_array().unwrap().iter().find(|target| target["target"] == "groq/x").unwrap();
    assert_eq!((&groq["state"], &groq["asked"]), (&json!("open"), &json!(5)), "{status:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_listed_in_each_clients_shape() {
    let upstream = Upstream::answering(|_| answer("x")).await;
    let gateway = Gateway::before(&upstream).config("routes: { fast: \"openai/gpt-4o-mini\" }").start().await;
    let list = gateway.send(get("/v1/models")).await.json();
    assert_eq!(list["object"], "list");
    let find = |id: &str| list["data"].as_array().unwrap().iter().find(|model| model["id"] == id).cloned().unwrap();
    assert_eq!((&find("fast")["owned_by"], &find("demo/echo")["object"]), (&json!("tachograph"), &json!("model")));
    let mini = find("openai/gpt-4o-mini");
    assert_eq!(
        (&mini["pricing"]["prompt"], &mini["pricing"]["completion"]),
        (&json!("0.00000015"), &json!("0.0000006"))
    );
    assert_eq!(mini["context_length"], 128_000, "{mini}");
    let anthropic = gateway.send(headers(get("/v1/models"), &[("anthropic-version", "2023-06-01")])).await.json();
    assert!(anthropic["data"].as_array().unwrap().iter().all(|model| model["type"] == "model"), "{anthropic}");
    let gemini = gateway.send(get("/v1beta/models")).await.json();
    assert!(gemini["models"][0]["name"].as_str().unwrap().starts_with("models/"), "{gemini}");
    for id in ["gpt-4o-mini", "openai/gpt-4o-mini", "openai%2Fgpt-4o-mini", "fast"] {
        assert_eq!(gateway.send(get(&format!("/v1/models/{id}"))).await.status, 200, "{id}");
    }
    let missing = gateway.send(get("/v1/models/unheard-of")).await;
    assert_eq!((missing.status.as_u16(), &missing.json()["error"]["code"]), (404, &json!("model_not_found")));
    assert_eq!(upstream.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_a_model_is_served_where_only_one_can_be_meant() {
    let upstream = Upstream::answering(|_| answer("x")).await;
    let gateway = Gateway::before(&upstream).config("routes: { only: \"openai/gpt-4o-mini\" }").start().await;
    let got = gateway.send(post(CHAT, &json!({ "messages": [{ "role": "user", "content": "x" }] }))).await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(upstream.last().json()["model"], "gpt-4o-mini");
}
