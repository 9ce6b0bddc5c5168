//! Every recorded call through the provider proxies: the client gets the provider's bytes, the row its figures.

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

/// Every API of the recordings, and where a recording of it is sent if its own provider has no proxy here. An API that is
/// not in the table fails the first test.
const APIS: &[(&str, &str)] = &[
    ("openai.chat", "/openai/v1/chat/completions"),
    ("openai.responses", "/openai/v1/responses"),
    ("openai.completions", "/openai/v1/completions"),
    ("openai.embeddings", "/openai/v1/embeddings"),
    ("openai.moderations", "/openai/v1/moderations"),
    ("openai.images", "/openai/v1/images/generations"),
    ("openai.audio.speech", "/openai/v1/audio/speech"),
    ("openai.audio.transcriptions", "/openai/v1/audio/transcriptions"),
    ("anthropic.messages", "/anthropic/v1/messages"),
    ("anthropic.complete", "/anthropic/v1/complete"),
    ("anthropic.count_tokens", "/anthropic/v1/messages/count_tokens"),
    ("gemini.generateContent", "/gemini"),
    ("gemini.countTokens", "/gemini"),
    ("gemini.embedContent", "/gemini"),
    ("gemini.batchEmbedContents", "/gemini"),
    ("gemini.models", "/gemini"),
    ("cohere.chat", "/cohere/v2/chat"),
    ("cohere.chat.v1", "/cohere/v1/chat"),
    ("cohere.embed", "/cohere/v2/embed"),
    ("cohere.rerank", "/cohere/v2/rerank"),
    ("ollama.chat", "/ollama/api/chat"),
    ("bedrock.converse", "/bedrock"),
    ("bedrock.converse-stream", "/bedrock"),
    ("bedrock.invoke", "/bedrock"),
    ("bedrock.invoke-stream", "/bedrock"),
];
/// Providers with a proxy of their own, to which their recordings are sent under the path that they were recorded at.
const PROXIES: [&str; 22] = [
    "openai",
    "anthropic",
    "groq",
    "together",
    "deepseek",
    "mistral",
    "cerebras",
    "openrouter",
    "perplexity",
    "zai",
    "gemini",
    "cohere",
    "ollama",
    "xai",
    "writer",
    "voyage",
    "huggingface",
    "bedrock",
    "vertex",
    "azure_openai",
    "azure_ai",
    "snowflake",
];

fn path_of(recording: &Recording) -> String {
    let own = &recording.request.path;
    // Servers of nobody's, and Ollama's older path for embeddings, speak a known API under a path of their own.
    if PROXIES.contains(&recording.provider.as_str()) && own != "/api/embeddings" {
        return format!("/{}{own}", recording.provider);
    }
    let fallback = APIS.iter().find(|(dialect, _)| *dialect == recording.dialect).unwrap().1;
    // Google's path says the model and what to do.
    let google = recording.dialect.starts_with("gemini.");
    if google { format!("{fallback}{}", &own[own.find("/v1").unwrap()..]) } else { fallback.to_owned() }
}

#[test]
fn every_api_of_the_recordings_has_its_row() {
    let Some(all) = recordings(|_| true) else { return };
    for recording in all {
        assert!(APIS.iter().any(|(dialect, _)| *dialect == recording.dialect), "no row for {}", recording.dialect);
    }
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
    if ["openai.chat", "openai.completions"].contains(&recording.dialect.as_str()) && streams && is_events && !asked {
        // This one tells usage unasked, so that nobody asks it and nothing is hidden.
        if recording.provider == "huggingface" {
            return body.to_vec();
        }
        // Old servers write an empty usage into each piece, asked or not; it is hidden with what asking puts in.
        let text = String::from_utf8(sse::without_usage_chunk(&body)).unwrap();
        let empty = recording.provider == "local" && recording.dialect == "openai.completions";
        return if empty { text.replace(",\"usage\":null", "") } else { text }.into_bytes();
    }
    body.to_vec()
}

async fn faults_of(gateway: &Gateway, recording: &Recording) -> Vec<String> {
    let method: Method = recording.request.method.parse().unwrap();
    let mut request = ask(method, &path_of(recording), recording.request_body().unwrap());
    if recording.request.body_encoding == "base64" {
        // A form's boundary is its first line.
        let body = recording.request_body().unwrap();
        let line = body.split(|byte| *byte == b'\r').next().unwrap().to_vec();
        let boundary = String::from_utf8(line).unwrap();
        let kind = format!("multipart/form-data; boundary={}", boundary.trim_start_matches("--"));
        request.headers_mut().insert("content-type", kind.parse().unwrap());
    }
    request.headers_mut().insert("x-recording", recording.id.parse().unwrap());
    let answer = gateway.send(request).await;
    let mut faults = faults_of_bytes(recording, &answer);
    let row = gateway.row(&answer).await;
    faults.extend(Figures::expected(recording).fault(&row, recording.tells_usage()));
    faults.extend(cost_faults(&row));
    let sent: Value = serde_json::from_slice(&recording.request_body().unwrap()).unwrap_or_default();
    // Google's and Amazon's paths name the model.
    let named = if recording.dialect.starts_with("gemini.") || recording.provider == "bedrock" {
        Value::Null
    } else {
        sent["model"].clone()
    };
    if sent.is_object() && !named.is_null() && row["requested_model"] != named {
        faults.push(format!("asked for {named}, the row says {}", row["requested_model"]));
    }
    if row["api"] != recording.dialect.as_str() && recording.dialect != "gemini.models" {
        faults.push(format!("the row says it is {}", row["api"]));
    }
    let text = |side: &Value| side["text"].as_str().unwrap_or_default().as_bytes().to_vec();
    if row["request"]["base64"].is_null() && text(&row["request"]) != recording.request_body().unwrap_or_default() {
        faults.push("the request's body is not on the row as it was sent".to_owned());
    }
    if row["response"]["base64"].is_null() && text(&row["response"]) != answer.body() {
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
async fn every_recorded_call_passes_untouched_and_is_read_exactly() {
    let Some(all) = recordings(|_| true) else { return };
    assert!(all.len() > 100, "{} recordings", all.len());
    replay(all, Recording::reply, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_call_is_read_the_same_byte_by_byte() {
    // Of the long documents a few hundred bytes say as much as a million: they are only joined again.
    const LONG: usize = 16 << 10;
    let Some(mut all) = recordings(|_| true) else { return };
    all.retain(|recording| recording.response.body.len() < if recording.stream { 4 * LONG } else { LONG });
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
                ("/openai/v1/chat/completions", r#","stream_options":{"include_usage":true}"#)
            } else {
                ("/anthropic/v1/messages", r#","max_tokens":1000"#)
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
