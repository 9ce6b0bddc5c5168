//! Every recorded chat, translated for a client of the other dialect: text, tool calls, finish reason and usage survive.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tachograph_tests::{Answer, Gateway, Recording, Reply, Seen, Upstream, post, recordings};
use tokio::task::JoinSet;

/// What a client reads out of an answer.
#[derive(Debug, Default, PartialEq)]
struct Read {
    text: String,
    calls: Vec<(String, Value)>,
    finish: String,
    input: u64,
    output: u64,
}

fn arguments(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// As a client of OpenAI's reads it.
fn by_openai(answer: &Answer) -> Read {
    let mut read = Read::default();
    let mut calls: Vec<(String, String)> = Vec::new();
    let parts = if is_stream(answer) { answer.events() } else { vec![answer.json()] };
    for part in &parts {
        let choice = &part["choices"][0];
        let said = if choice["delta"].is_object() { &choice["delta"] } else { &choice["message"] };
        read.text.push_str(said["content"].as_str().unwrap_or_default());
        for (position, call) in said["tool_calls"].as_array().into_iter().flatten().enumerate() {
            let index = call["index"].as_u64().map_or(position, |index| usize::try_from(index).unwrap());
            calls.resize(calls.len().max(index + 1), Default::default());
            calls[index].0.push_str(call["function"]["name"].as_str().unwrap_or_default());
            calls[index].1.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
        }
        read.finish.push_str(choice["finish_reason"].as_str().unwrap_or_default());
        if let Some(usage) = part["usage"].as_object() {
            read.input = usage["prompt_tokens"].as_u64().unwrap();
            read.output = usage["completion_tokens"].as_u64().unwrap();
        }
    }
    read.calls = calls.into_iter().map(|(name, text)| (name, arguments(&text))).collect();
    read
}

/// As a client of Anthropic's reads it, in OpenAI's words.
fn by_anthropic(answer: &Answer) -> Read {
    let mut read = Read::default();
    let mut stop = String::new();
    let add = |read: &mut Read, usage: &Value| {
        let count = |name: &str| usage[name].as_u64().unwrap_or(0);
        let input = count("input_tokens") + count("cache_read_input_tokens") + count("cache_creation_input_tokens");
        read.input = read.input.max(input);
        read.output = read.output.max(count("output_tokens"));
    };
    if is_stream(answer) {
        let mut partial: Vec<(String, String)> = Vec::new();
        for event in answer.events() {
            match event["type"].as_str().unwrap_or_default() {
                "message_start" => add(&mut read, &event["message"]["usage"]),
                "content_block_start" if event["content_block"]["type"] == "tool_use" => {
                    partial.push((event["content_block"]["name"].as_str().unwrap().to_owned(), String::new()));
                }
                "content_block_delta" => {
                    read.text.push_str(event["delta"]["text"].as_str().unwrap_or_default());
                    if let (Some(piece), Some(call)) = (event["delta"]["partial_json"].as_str(), partial.last_mut()) {
                        call.1.push_str(piece);
                    }
                }
                "message_delta" => {
                    stop.push_str(event["delta"]["stop_reason"].as_str().unwrap_or_default());
                    add(&mut read, &event["usage"]);
                }
                _ => {}
            }
        }
        let whole = |text: String| if text.is_empty() { json!({}) } else { arguments(&text) };
        read.calls = partial.into_iter().map(|(name, text)| (name, whole(text))).collect();
    } else {
        let said = answer.json();
        for block in said["content"].as_array().into_iter().flatten() {
            match block["type"].as_str().unwrap_or_default() {
                "text" => read.text.push_str(block["text"].as_str().unwrap()),
                "tool_use" => read.calls.push((block["name"].as_str().unwrap().to_owned(), block["input"].clone())),
                _ => {}
            }
        }
        stop.push_str(said["stop_reason"].as_str().unwrap_or_default());
        add(&mut read, &said["usage"]);
    }
    read.finish = match stop.as_str() {
        "end_turn" | "stop_sequence" => "stop",
        "max_tokens" => "length",
        "tool_use" => "tool_calls",
        "refusal" => "content_filter",
        other => other,
    }
    .to_owned();
    read
}

fn is_stream(answer: &Answer) -> bool {
    answer.headers["content-type"].to_str().unwrap().starts_with("text/event-stream")
}

fn expected(recording: &Recording) -> Read {
    let expected = recording.expected();
    // A call of nothing is no call, and a call without arguments has none: `{}` in both dialects.
    let calls = expected.tool_calls.unwrap_or_default().into_iter().filter(|call| !call.name.is_empty());
    let given = |arguments: Value| if arguments.is_null() || arguments == "" { json!({}) } else { arguments };
    let calls: Vec<(String, Value)> = calls.map(|call| (call.name, given(call.arguments))).collect();
    // A forced call ends with `stop` in OpenAI's dialect; Anthropic's has `tool_use` for every turn with a call.
    let forced = recording.dialect == "openai.chat" && !calls.is_empty();
    Read {
        text: expected.text.unwrap_or_default(),
        finish: if forced { "tool_calls".to_owned() } else { expected.finish_reason.unwrap_or_default() },
        calls,
        input: expected.input_tokens.unwrap_or(0),
        output: expected.output_tokens.unwrap_or(0),
    }
}

/// What both dialects can say: an answer without an error and without tools that the provider ran itself.
fn is_common(recording: &Recording) -> bool {
    let expected = recording.expected();
    let finish = expected.finish_reason.unwrap_or_default();
    recording.response.status == 200
        && expected.error_type.is_none()
        && expected.server_tools.is_none_or(|tools| tools.is_empty())
        && ["stop", "length", "tool_calls"].contains(&finish.as_str())
        // Numbers that contradict themselves have no translation.
        && expected.cached_input_tokens.unwrap_or(0) <= expected.input_tokens.unwrap_or(0)
}

/// Replays each recording of a dialect, by its id as the model's name, to a client of the other.
async fn translate(dialect: &str, path: &'static str, provider: &'static str, read: fn(&Answer) -> Read) {
    let Some(all) = recordings(|found| found == dialect) else { return };
    let all: Vec<Arc<Recording>> = all.into_iter().filter(|recording| is_common(recording)).collect();
    assert!(all.len() > 50, "{} recordings", all.len());
    let by_id: HashMap<String, Arc<Recording>> =
        all.iter().map(|recording| (recording.id.clone(), recording.clone())).collect();
    let upstream =
        Upstream::answering(move |seen: &Seen| match seen.json()["model"].as_str().and_then(|id| by_id.get(id)) {
            Some(recording) => recording.reply_in_pieces_of(61),
            None => Reply::document(500, &[], "no such recording"),
        })
        .await;
    let gateway = Arc::new(Gateway::before(&upstream).start().await);
    let (mut calls, count) = (JoinSet::new(), all.len());
    for recording in all {
        let gateway = gateway.clone();
        calls.spawn(async move {
            let mut body = json!({
                "model": format!("{provider}/{}", recording.id),
                "stream": recording.stream,
                "max_tokens": 1000,
                "messages": [{ "role": "user", "content": "replay" }],
            });
            if recording.stream && path.ends_with("completions") {
                body["stream_options"] = json!({ "include_usage": true });
            }
            let answer = gateway.send(post(path, &body)).await;
            if answer.status != 200 {
                return Some(format!("{}: {} {}", recording.id, answer.status, answer.text()));
            }
            let (due, found) = (expected(&recording), read(&answer));
            (due != found).then(|| format!("{}: expected {due:?}\n     found {found:?}", recording.id))
        });
    }
    let mut wrong: Vec<String> = calls.join_all().await.into_iter().flatten().collect();
    wrong.sort();
    assert!(wrong.is_empty(), "{} of {count} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    gateway.rows().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_answer_of_claude_reads_the_same_to_an_openai_client() {
    translate("anthropic.messages", "/v1/chat/completions", "anthropic", by_openai).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_answer_in_openais_dialect_reads_the_same_to_an_anthropic_client() {
    translate("openai.chat", "/v1/messages", "openai", by_anthropic).await;
}
