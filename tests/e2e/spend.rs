//! What a call costs: list price × tokens, to the last digit, or unknown.

use std::sync::Arc;

use serde_json::{Value, json};
use tachograph_tests::{Atto, Gateway, Reply, Upstream, golden, post};
use tokio::task::JoinSet;

use crate::fields::cost_faults;

fn body(model: &str, stream: bool) -> Value {
    json!({ "model": model, "max_tokens": 500, "stream": stream, "messages": [{ "role": "user", "content": "hi" }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn known_calls_cost_what_the_price_list_says_to_the_last_digit() {
    // 500 × 0.15 + 300 × 0.60 per million; 400 × 1 + 80 × 0.10 + 20 × 1.25 + 300 × 5 per million.
    for (path, model, golden, cost) in [
        ("/v1/chat/completions", "gpt-4o-mini", golden::OPENAI_CHAT, "0.000255"),
        ("/openai/v1/chat/completions", "gpt-4o-mini", golden::OPENAI_CHAT, "0.000255"),
        ("/anthropic/v1/messages", "claude-haiku-4-5", golden::ANTHROPIC_MESSAGES, "0.001933"),
        ("/v1/chat/completions", "anthropic/claude-haiku-4-5", golden::ANTHROPIC_MESSAGES, "0.001933"),
        ("/v1/chat/completions", "claude-haiku-4-5", golden::ANTHROPIC_MESSAGES, "0.001933"),
        ("/v1/messages", "claude-haiku-4-5", golden::ANTHROPIC_MESSAGES, "0.001933"),
        ("/v1/messages", "openai/gpt-4o-mini", golden::OPENAI_CHAT, "0.000255"),
    ] {
        for stream in [false, true] {
            let upstream = Upstream::answering(move |_| golden.as_asked(stream)).await;
            let gateway = Gateway::before(&upstream).start().await;
            let answer = gateway.send(post(path, &body(model, stream))).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let row = gateway.row(&answer).await;
            assert_eq!(row["cost"]["total"], cost, "{model} on {path}, stream {stream}: {row:#}");
            assert_eq!(cost_faults(&row), Vec::<String>::new(), "{model} on {path}");
            assert_eq!(row["usage"]["input_tokens"], 500);
            assert_eq!(row["usage"]["output_tokens"], 300);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_24_an_unknown_model_costs_unknown_and_not_nothing() {
    let upstream = Upstream::answering(|_| {
        Reply::document(
            200,
            &[("content-type", "application/json")],
            golden::OPENAI_CHAT.document.replace("gpt-4o-mini-2024-07-18", "nobody-knows-9"),
        )
    })
    .await;
    let gateway = Gateway::before(&upstream).start().await;
    let answer = gateway.send(post("/openai/v1/chat/completions", &body("nobody-knows-9", false))).await;
    let row = gateway.row(&answer).await;
    assert_eq!(row["cost"]["status"], "unknown_model");
    assert_eq!(row["cost"]["total"], Value::Null);
    assert_eq!(row["usage"]["input_tokens"], 500);
    assert_eq!(gateway.api("/api/totals").await["unpriced"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_04_usage_is_asked_for_and_hidden_from_a_client_who_did_not_ask() {
    let upstream = Upstream::answering(|seen| {
        // As OpenAI: usage only for those who ask, and then `usage: null` in every other chunk.
        let asked = seen.json()["stream_options"]["include_usage"] == true;
        let with =
            golden::OPENAI_CHAT.stream.replace("\"finish_reason\":null}]}", "\"finish_reason\":null}],\"usage\":null}");
        let without = tachograph_tests::sse::without_usage_chunk(golden::OPENAI_CHAT.stream.as_bytes());
        Reply::events(if asked { with.as_bytes() } else { &without }).in_pieces_of(37)
    })
    .await;
    let gateway = Gateway::before(&upstream).start().await;
    let answer = gateway.send(post("/openai/v1/chat/completions", &body("gpt-4o-mini", true))).await;
    assert_eq!(upstream.last().json()["stream_options"]["include_usage"], true, "the gateway asks");
    let due = tachograph_tests::sse::without_usage_chunk(golden::OPENAI_CHAT.stream.as_bytes());
    assert_eq!(answer.text(), String::from_utf8(due).unwrap(), "what the client would have got without a gateway");
    let row = gateway.row(&answer).await;
    assert_eq!(row["cost"]["total"], "0.000255", "and yet the row has it");
    assert!(row["timing"]["first_token_us"].is_u64(), "{}", row["timing"]);

    let mut asks = body("gpt-4o-mini", true);
    asks["stream_options"] = json!({ "include_usage": true });
    let answer = gateway.send(post("/openai/v1/chat/completions", &asks)).await;
    assert_eq!(answer.events().iter().filter(|event| event["usage"].is_object()).count(), 1, "it asked, and gets it");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_calls_at_once_give_five_hundred_rows_and_an_exact_sum() {
    const CALLS: usize = 500;
    // Every call has its own token counts, so that a row lost and another doubled would show.
    let upstream = Upstream::answering(|seen| {
        let tokens: u64 = seen.json()["seed"].as_u64().unwrap();
        let document = golden::OPENAI_CHAT
            .document
            .replace("500", &tokens.to_string())
            .replace("800", &(tokens + 300).to_string());
        Reply::document(200, &[("content-type", "application/json")], document)
    })
    .await;
    let gateway = Arc::new(Gateway::before(&upstream).start().await);
    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        let gateway = gateway.clone();
        calls.spawn(async move {
            let mut body = body("gpt-4o-mini", false);
            body["seed"] = (number + 1).into();
            gateway.send(post("/v1/chat/completions", &body)).await.status
        });
    }
    assert!(calls.join_all().await.into_iter().all(|status| status == 200));
    let rows = gateway.rows().await;
    let sum: Atto = rows.iter().map(|row| row["cost"]["total"].as_str().unwrap().parse::<Atto>().unwrap()).sum();
    // Σ n × 0.15 / 10⁶ for n = 1 … 500, and 500 × 300 × 0.60 / 10⁶.
    assert_eq!(sum.to_string(), "0.1087875");
    let totals = gateway.api("/api/totals").await;
    assert_eq!(totals["requests"], CALLS);
    assert_eq!(totals["cost"], sum.to_string());
    assert_eq!(totals["input_tokens"], CALLS * (CALLS + 1) / 2);
    assert_eq!(totals["output_tokens"], CALLS * 300);
}
