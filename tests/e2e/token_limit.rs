//! Prompts that are longer than their model can take, with the real program.

use serde_json::{Value, json};
use tachograph_tests::{Gateway, Upstream, golden, post};

const HANDLER: &str = "helicone-token-limit-exception-handler";

fn long(words: usize) -> String {
    (0..words).map(|number| format!("word{number} ")).collect()
}

fn call(path: &str, body: &Value, handler: &str) -> http::Request<bytes::Bytes> {
    let mut request = post(path, body);
    request.headers_mut().insert(HANDLER, handler.parse().unwrap());
    request
}

/// gpt-4 takes 8192 tokens in all; 4,000 words of this kind are some 12,000.
fn too_long(model: &str) -> Value {
    json!({ "model": model, "max_tokens": 1_000, "temperature": 0.25, "messages": [
        { "role": "system", "content": "Be brief." }, { "role": "user", "content": format!("FIRST {} LAST", long(4_000)) } ] })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_does_not_fit_is_cut_and_its_row_says_so() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let gateway = Gateway::before(&upstream).start().await;
    for (path, model) in [("/v1/chat/completions", "openai/gpt-4"), ("/openai/v1/chat/completions", "gpt-4")] {
        for (handler, keeps_its_end) in [("truncate", false), ("MIDDLE-OUT", true)] {
            let body = too_long(model);
            let answer = gateway.send(call(path, &body, handler)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let seen = upstream.last();
            let sent = seen.json();
            let text = sent["messages"][1]["content"].as_str().unwrap();
            assert!(text.starts_with("FIRST word0") && text.ends_with("LAST") == keeps_its_end, "{handler} on {path}");
            assert!(seen.body.len() < body.to_string().len() * 7 / 10, "{handler}: {}", seen.body.len());
            assert!(seen.body.len() > body.to_string().len() / 3, "and not more than is needed: {}", seen.body.len());
            assert_eq!((&sent["model"], &sent["temperature"]), (&json!("gpt-4"), &json!(0.25)));
            let system = sent["messages"][0]["content"].as_str().unwrap();
            assert!(if keeps_its_end { system == "Be brief." } else { "Be brief.".starts_with(system) }, "{system}");
            assert_eq!(seen.header(HANDLER), None);
            let row = gateway.row(&answer).await;
            let notes = row["control"]["notes"].to_string();
            assert!(notes.contains("was cut to"), "{row:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fits_passes_as_it_is() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let gateway = Gateway::before(&upstream).start().await;
    let body = json!({ "model": "gpt-4", "messages": [{ "role": "user", "content": "Hello    world <!-- x -->" }] });
    for handler in ["truncate", "middle-out", "fallback", "nonsense"] {
        gateway.send(call("/openai/v1/chat/completions", &body, handler)).await;
        assert_eq!(upstream.last().body, body.to_string(), "{handler}");
    }
    // Without the header a long prompt is the provider's to refuse.
    gateway.send(post("/openai/v1/chat/completions", &too_long("gpt-4"))).await;
    assert_eq!(upstream.last().body, too_long("gpt-4").to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_larger_model_is_asked_where_the_first_is_too_small() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let gateway = Gateway::before(&upstream).start().await;
    let short = |model: &str| json!({ "model": model, "messages": [{ "role": "user", "content": "Hello" }] });
    for (path, body, asked) in [
        ("/v1/chat/completions", too_long("openai/gpt-4, openai/gpt-4o"), "gpt-4o"),
        ("/openai/v1/chat/completions", too_long("gpt-4, gpt-4o"), "gpt-4o"),
        ("/openai/v1/chat/completions", too_long("gpt-4,gpt-4,gpt-4.1"), "gpt-4.1"),
        ("/openai/v1/chat/completions", short("gpt-4, gpt-4o"), "gpt-4"),
        // Whose window is not known is passed over, as Helicone does.
        ("/openai/v1/chat/completions", short("unheard-of-9, gpt-4o"), "gpt-4o"),
        // Alone it is asked all the same: its provider says what is wrong.
        ("/openai/v1/chat/completions", too_long("gpt-4"), "gpt-4"),
    ] {
        let answer = gateway.send(call(path, &body, "fallback")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let sent = upstream.last().json();
        assert_eq!(sent["model"], asked, "{path}: {}", body["model"]);
        assert_eq!(sent["messages"], body["messages"], "the prompt stays whole");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dialect_is_cut_in_its_own_words() {
    let upstream = Upstream::answering(|seen| {
        if seen.target.ends_with("/messages") {
            golden::ANTHROPIC_MESSAGES.reply()
        } else {
            golden::OPENAI_CHAT.reply()
        }
    })
    .await;
    let gateway = Gateway::before(&upstream).start().await;
    let words = long(90_000);
    let body = json!({ "model": "claude-haiku-4-5", "max_tokens": 100, "system": "Be brief.",
        "messages": [{ "role": "user", "content": [{ "type": "text", "text": words }] }] });
    let answer = gateway.send(call("/anthropic/v1/messages", &body, "middle-out")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = upstream.last().json();
    assert_eq!(sent["system"], "Be brief.");
    let text = sent["messages"][0]["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("word0 ") && text.trim_end().ends_with("word89999") && text.len() < words.len());
    let body = json!({ "model": "gpt-4", "instructions": "Be brief.", "input": long(4_000) });
    gateway.send(call("/openai/v1/responses", &body, "truncate")).await;
    let sent = upstream.last().json();
    assert!(sent["input"].as_str().unwrap().len() < body["input"].as_str().unwrap().len());
    assert!("Be brief.".starts_with(sent["instructions"].as_str().unwrap()), "each text by the same part");
}
