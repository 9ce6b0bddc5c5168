//! Every recorded chat through the provider proxies: the client gets the provider's bytes, the row its figures.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use tachograph_tests::{Answer, Gateway, Recording, Reply, Seen, Upstream, ask, golden, recordings, sse};
use tokio::task::JoinSet;

use crate::fields::{Figures, cost_faults};

/// Calls under way at once.
const AT_ONCE: usize = 12;

/// The wire formats that are read, and where a recording of each is sent if its own provider has no proxy here.
const DIALECTS: [(&str, &str); 2] =
    [("openai.chat", "/openai/v1/chat/completions"), ("anthropic.messages", "/anthropic/v1/messages")];
/// Providers with a proxy of their own, to which their recordings are sent under the path that they were recorded at.
const PROXIES: [&str; 10] =
    ["openai", "anthropic", "groq", "together", "deepseek", "mistral", "cerebras", "openrouter", "perplexity", "zai"];

fn path_of(recording: &Recording) -> String {
    let own = &recording.request.path;
    let path = own.split('?').next().unwrap_or_default();
    if PROXIES.contains(&recording.provider.as_str())
        && (path.ends_with("/chat/completions") || path.ends_with("/messages"))
    {
        return format!("/{}{own}", recording.provider);
    }
    DIALECTS.iter().find(|(dialect, _)| *dialect == recording.dialect).unwrap().1.to_owned()
}

fn understood(dialect: &str) -> bool {
    DIALECTS.iter().any(|(understood, _)| *understood == dialect)
}

/// An upstream that replays the recording that the request's `x-recording` header names.
pub(crate) async fn upstream_of(all: &[Arc<Recording>], reply: fn(&Recording) -> Reply) -> Upstream {
    let by_id: HashMap<String, Arc<Recording>> =
        all.iter().map(|recording| (recording.id.clone(), recording.clone())).collect();
    Upstream::answering(move |request: &Seen| match request.header("x-recording").and_then(|id| by_id.get(id)) {
        Some(recording) => reply(recording),
        None => Reply::document(500, &[], "no such recording"),
    })
    .await
}

/// What a client of the same dialect must get.
fn due_to_client(recording: &Recording) -> Vec<u8> {
    let body = recording.response_body().unwrap();
    let asked = recording.asks_for_usage();
    let streams = recording.request.body["stream"] == true && recording.response.status == 200;
    let is_events = recording
        .response
        .headers
        .iter()
        .any(|(name, value)| name == "content-type" && value.starts_with("text/event-stream"));
    if recording.dialect == "openai.chat" && streams && is_events && !asked {
        return sse::without_usage_chunk(&body);
    }
    body.to_vec()
}

async fn faults_of(gateway: &Gateway, recording: &Recording) -> Vec<String> {
    let mut request = ask(Method::POST, &path_of(recording), recording.request_body().unwrap());
    request.headers_mut().insert("x-recording", recording.id.parse().unwrap());
    let answer = gateway.send(request).await;
    let mut faults = faults_of_bytes(recording, &answer);
    let row = gateway.row(&answer).await;
    faults.extend(Figures::expected(recording).fault(&row));
    faults.extend(cost_faults(&row));
    let sent: Value = serde_json::from_slice(&recording.request_body().unwrap()).unwrap_or_default();
    if sent.is_object() && row["requested_model"] != sent["model"] {
        faults.push(format!("asked for {}, the row says {}", sent["model"], row["requested_model"]));
    }
    if row["request"]["text"].as_str().map(str::as_bytes) != recording.request_body().as_deref() {
        faults.push("the request's body is not on the row as it was sent".to_owned());
    }
    if row["response"]["text"].as_str().unwrap_or_default().as_bytes() != answer.body() {
        faults.push("the answer's body is not on the row as the client got it".to_owned());
    }
    faults
}

fn faults_of_bytes(recording: &Recording, answer: &Answer) -> Vec<String> {
    let mut faults = Vec::new();
    if answer.status != recording.response.status {
        faults.push(format!("status {} instead of {}", answer.status, recording.response.status));
    }
    for (name, value) in &recording.response.headers {
        let hop = ["transfer-encoding", "content-length", "content-encoding", "connection"].contains(&name.as_str());
        if !hop && answer.headers.get(name).and_then(|held| held.to_str().ok()) != Some(value.trim()) {
            faults.push(format!("header {name}: {:?} instead of {value:?}", answer.headers.get(name)));
        }
    }
    let due = due_to_client(recording);
    if answer.body() != due {
        let at = answer.body().iter().zip(&due).take_while(|(a, b)| a == b).count();
        faults.push(format!("{} bytes instead of {}, different from byte {at} on", answer.body().len(), due.len()));
    }
    faults
}

/// Replays all of them and gives what is wrong, by recording.
async fn replay(all: Vec<Arc<Recording>>, reply: fn(&Recording) -> Reply, same_headers: bool) {
    let upstream = upstream_of(&all, reply).await;
    let gateway = Arc::new(Gateway::before(&upstream).start().await);
    let (mut under_way, mut wrong, count) = (JoinSet::new(), Vec::new(), all.len());
    for recording in all {
        if under_way.len() >= AT_ONCE {
            wrong.push(under_way.join_next().await.unwrap().unwrap());
        }
        let gateway = gateway.clone();
        under_way.spawn(async move {
            let mut faults = faults_of(&gateway, &recording).await;
            faults.retain(|fault| same_headers || !fault.starts_with("header "));
            (recording.id.clone(), faults)
        });
    }
    wrong.extend(under_way.join_all().await);
    wrong.retain(|(_, faults)| !faults.is_empty());
    wrong.sort();
    let shown: Vec<String> = wrong.iter().map(|(id, faults)| format!("{id}: {}", faults.join("\n  "))).collect();
    assert!(wrong.is_empty(), "{} of {count} recordings are wrong:\n{}", wrong.len(), shown.join("\n"));
    assert_eq!(upstream.seen().len(), count, "one request upstream for each call");
    gateway.rows().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_chat_passes_untouched_and_is_read_exactly() {
    let Some(all) = recordings(understood) else { return };
    assert!(all.len() > 100, "{} recordings", all.len());
    replay(all, Recording::reply, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_chat_is_read_the_same_byte_by_byte() {
    let Some(all) = recordings(understood) else { return };
    replay(all, |recording| recording.reply_in_pieces_of(1), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_08_a_character_split_over_chunks_stays_whole() {
    for golden in [golden::OPENAI_CHAT, golden::ANTHROPIC_MESSAGES] {
        let openai = golden.stream.contains("chat.completion");
        for size in [1, 2, 3, 5, 7, 64] {
            let upstream = Upstream::answering(move |_| golden.events().in_pieces_of(size)).await;
            let gateway = Gateway::before(&upstream).start().await;
            let (path, options) = if openai {
                (DIALECTS[0].1, r#","stream_options":{"include_usage":true}"#)
            } else {
                (DIALECTS[1].1, r#","max_tokens":1000"#)
            };
            let body =
                format!(r#"{{"model":"m","stream":true{options},"messages":[{{"role":"user","content":"🚚"}}]}}"#);
            let answer = gateway.send(ask(Method::POST, path, body)).await;
            assert_eq!(answer.body(), Bytes::from_static(golden.stream.as_bytes()), "in pieces of {size}");
            let row = gateway.row(&answer).await;
            assert_eq!(row["usage"]["input_tokens"], 500, "in pieces of {size}");
            assert_eq!(row["usage"]["output_tokens"], 300, "in pieces of {size}");
        }
    }
}
