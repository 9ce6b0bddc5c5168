//! Traffic that is copied to a second model.

use std::time::Duration;

use serde_json::{Value, json};
use tachograph_tests::{Gateway, Reply, Upstream, golden, post};

const ROUTES: &str = "routes: { assistant: { targets: [ { model: openai/gpt-4o-mini } ], mirror: { model: anthropic/claude-haiku-4-5 } } }";

fn ask(path: &str, text: &str) -> http::Request<bytes::Bytes> {
    let body = json!({ "model": "assistant", "max_tokens": 20, "messages": [{ "role": "user", "content": text }] });
    let mut request = post(path, &body);
    request.headers_mut().insert("helicone-user-id", "ada".parse().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_a_row_of_its_own_and_the_answer_is_the_first_ones() {
    let upstream = Upstream::answering(|seen| {
        if seen.target.ends_with("/messages") {
            golden::ANTHROPIC_MESSAGES.reply()
        } else {
            golden::OPENAI_CHAT.reply()
        }
    })
    .await;
    let gateway = Gateway::before(&upstream).config(ROUTES).start().await;
    let answer = gateway.send(ask("/v1/chat/completions", "hello")).await;
    assert_eq!(answer.text(), golden::OPENAI_CHAT.document, "byte by byte");
    let rows = gateway.rows_when_there_are(2).await;
    let copy = rows.iter().find(|row| row["properties"]["Tachograph-Aside"] == "mirror").unwrap();
    let copy = gateway.row_of(copy["id"].as_str().unwrap()).await;
    assert_eq!(
        (&copy["provider"], &copy["user"], &copy["outcome"]),
        (&json!("anthropic"), &json!("ada"), &json!("complete"))
    );
    assert_eq!(copy["cost"]["total"], "0.001933", "what it would have cost: {copy:#}");
    assert!(copy["control"]["notes"].to_string().contains(answer.id()), "{copy:#}");
    let seen = upstream.seen();
    let sent = seen.iter().find(|seen| seen.target.ends_with("/messages")).unwrap();
    assert_eq!(
        (&sent.json()["model"], sent.header("x-api-key")),
        (&json!("claude-haiku-4-5"), Some("configured-key-of-anthropic"))
    );
    // What the call itself says of itself is as it would be without.
    let row = gateway.row(&answer).await;
    assert_eq!((&row["provider"], row["attempts"].as_array().unwrap().len()), (&json!("openai"), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_fails_or_hangs_is_not_noticed() {
    for broken in [Reply::json(500, &json!({ "error": { "message": "no" } })), Reply::silence()] {
        let upstream = Upstream::answering(move |seen| {
            if seen.target.ends_with("/messages") { broken.clone() } else { golden::OPENAI_CHAT.reply() }
        })
        .await;
        let gateway = Gateway::before(&upstream).config(ROUTES).start().await;
        // More than may be mirrored at a time; each is answered although no mirror ever is.
        for turn in 0..80 {
            let answer = gateway.send(ask("/v1/chat/completions", &format!("hello {turn}"))).await;
            assert_eq!(answer.text(), golden::OPENAI_CHAT.document);
        }
        drop(gateway);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_asked_is_copied_and_googles_paths_name_the_other_model() {
    let upstream = Upstream::answering(|seen| {
        if seen.target.ends_with("/messages") {
            golden::ANTHROPIC_MESSAGES.reply()
        } else {
            golden::OPENAI_CHAT.reply()
        }
    })
    .await;
    let gateway = Gateway::before(&upstream).config(ROUTES).start().await;
    let body = json!({ "contents": [{ "role": "user", "parts": [{ "text": "hello" }] }] });
    let answer = gateway.send(post("/v1beta/models/assistant:generateContent", &body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let copies = async |wanted: usize| {
        for _ in 0..200 {
            let found = upstream.seen().iter().filter(|seen| seen.target.ends_with("/messages")).count();
            if found >= wanted {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        0
    };
    assert_eq!(copies(1).await, 1);
    // A stored answer asks nobody, and so nothing is copied.
    for _ in 0..3 {
        let mut request = ask("/v1/chat/completions", "again");
        request.headers_mut().insert("helicone-cache-enabled", "true".parse().unwrap());
        assert_eq!(gateway.send(request).await.status, 200);
    }
    assert_eq!(copies(2).await, 2);
    let rows: Vec<Value> = gateway.rows_when_there_are(6).await;
    assert_eq!(rows.iter().filter(|row| row["properties"]["Tachograph-Aside"] == "mirror").count(), 2);
}
