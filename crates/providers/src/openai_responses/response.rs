//! Whole answers, read and written.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tachograph_record::{FinishReason, UsageReading};

use super::item::{answered, write_item};
use super::{CLIENT_CALLS, finish_reason};
use crate::chat::{Block, ChatResponse, Choice};
use crate::fault;
use crate::object::{Object, text};
use crate::openai_chat::{call_id, openai_tier};
use crate::usage::{self, ApiShape, responses_usage};
use crate::{Answering, ApiError, DialectId, seal};

pub(super) fn decode(body: &[u8]) -> Result<ChatResponse, ApiError> {
    let unreadable = |_| fault::unreadable(body);
    let mut fields = Object::parse(body).map_err(unreadable)?;
    let Some(items) = fields.array("output").map_err(unreadable)? else { return Err(fault::unreadable(body)) };
    if fields.get("error").is_some_and(Value::is_object) {
        return Err(fault::unreadable(body));
    }
    let native = status_word(fields.get("status"), fields.get("incomplete_details"));
    let called = items.iter().any(is_client_call);
    let choice = Choice {
        content: items.into_iter().flat_map(answered).collect(),
        finish_reason: native.as_deref().map(|word| finish_reason(word, called)),
        native_finish_reason: native,
        ..Choice::default()
    };
    let usage = fields.take("usage").unwrap_or_default();
    Ok(ChatResponse {
        dialect: DialectId::OpenAiResponses,
        id: text(fields.get("id")).map(str::to_owned),
        model: text(fields.get("model")).map(str::to_owned),
        choices: vec![choice],
        usage: usage::reading(ApiShape::OpenAiResponses, &usage),
        service_tier: text(fields.get("service_tier")).map(str::to_owned),
        provider_cost: usage::reported_cost(&usage),
    })
}

fn is_client_call(item: &Value) -> bool {
    item["type"].as_str().is_some_and(|kind| CLIENT_CALLS.contains(&kind))
}

/// Why an answer ended: the reason it is incomplete, else its status.
pub(super) fn status_word(status: Option<&Value>, details: Option<&Value>) -> Option<String> {
    let reason = details.and_then(|details| text(details.get("reason")));
    reason.or_else(|| text(status)).map(str::to_owned)
}

/// The status of an answer that ended so, and why it is incomplete.
pub(super) fn status_of(finish: FinishReason) -> (&'static str, Value) {
    match finish {
        FinishReason::Length => ("incomplete", json!({"reason": "max_output_tokens"})),
        FinishReason::ContentFilter => ("incomplete", json!({"reason": "content_filter"})),
        _ => ("completed", Value::Null),
    }
}

pub(super) fn encode(response: &ChatResponse, to: &Answering) -> Bytes {
    let unanswered = Choice::default();
    let choice = response.choices.first().unwrap_or(&unanswered);
    let id = response.id.as_deref().unwrap_or(&to.id);
    let mut items: Vec<Value> = Vec::new();
    let mut parts = Vec::new();
    for block in &choice.content {
        match block {
            Block::Text(_) | Block::Refusal(_) => parts.extend(said(block)),
            block => {
                flush(id, &mut parts, &mut items);
                items.extend(item(id, items.len(), block, response.dialect));
            }
        }
    }
    flush(id, &mut parts, &mut items);
    let (status, details) = status_of(choice.finish());
    let mut body = skeleton(id, to, status, &items);
    body["incomplete_details"] = details;
    if let UsageReading::Known(usage) = &response.usage {
        body["usage"] = responses_usage(usage);
    }
    if let Some(tier) = &response.service_tier {
        body["service_tier"] = Value::from(openai_tier(tier));
    }
    Bytes::from(body.to_string())
}

/// The object that every answer is, whole or in a stream's first and last events.
pub(super) fn skeleton(id: &str, to: &Answering, status: &str, output: &[Value]) -> Value {
    json!({
        "id": id,
        "object": "response",
        "created_at": to.created,
        "status": status,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "metadata": {},
        "model": to.model,
        "output": output,
        "parallel_tool_calls": true,
        "temperature": null,
        "tool_choice": "auto",
        "tools": [],
        "top_p": null,
        "usage": null,
    })
}

fn said(block: &Block) -> Option<Value> {
    match block {
        Block::Text(text) => Some(text_part(&text.text)),
        Block::Refusal(text) => Some(json!({"type": "refusal", "refusal": text.text})),
        _ => None,
    }
}

pub(super) fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn flush(id: &str, parts: &mut Vec<Value>, items: &mut Vec<Value>) {
    if !parts.is_empty() {
        let item = item_id("msg", id, items.len());
        items.push(message_item(&item, "completed", std::mem::take(parts)));
    }
}

pub(super) fn message_item(id: &str, status: &str, parts: Vec<Value>) -> Value {
    json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": parts})
}

/// An item's id, made of the answer's, so that it is the same in all events that name it.
pub(super) fn item_id(kind: &str, id: &str, at: usize) -> String {
    let tail = id.split_once('_').map_or(id, |(_, tail)| tail);
    format!("{kind}_{tail}_{at}")
}

fn item(id: &str, at: usize, block: &Block, from: DialectId) -> Option<Value> {
    match block {
        Block::ToolCall(call) => {
            Some(call_item(&item_id("fc", id, at), "completed", &call_id(&call.id), &call.name, &call.arguments))
        }
        Block::Thinking(thinking) => {
            let proof = proof(thinking.signature.as_deref(), thinking.redacted.as_deref());
            let own = write_item(block, false).filter(|_| from == DialectId::OpenAiResponses);
            own.or_else(|| Some(reasoning_item(&item_id("rs", id, at), &thinking.text, proof)))
        }
        Block::Opaque(opaque) if opaque.dialect == DialectId::OpenAiResponses => Some(opaque.json.clone()),
        _ => None,
    }
}

pub(super) fn call_item(id: &str, status: &str, call_id: &str, name: &str, arguments: &str) -> Value {
    let arguments = if arguments.is_empty() && status == "completed" { "{}" } else { arguments };
    let mut item = json!({"id": id, "type": "function_call", "status": status, "call_id": call_id, "name": name});
    item["arguments"] = Value::from(arguments);
    item
}

pub(super) fn reasoning_item(id: &str, text: &str, proof: Option<String>) -> Value {
    let summary: Vec<_> = Some(text).filter(|text| !text.is_empty()).map(summary_part).into_iter().collect();
    let mut item = Map::new();
    item.insert("id".to_owned(), Value::from(id));
    item.insert("type".to_owned(), Value::from("reasoning"));
    item.insert("summary".to_owned(), Value::Array(summary));
    if let Some(proof) = proof {
        item.insert("encrypted_content".to_owned(), Value::from(proof));
    }
    Value::Object(item)
}

pub(super) fn summary_part(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

/// Another provider's proof as this dialect's clients carry it: in `encrypted_content`, marked.
pub(super) fn proof(signature: Option<&str>, redacted: Option<&str>) -> Option<String> {
    let anthropic = DialectId::AnthropicMessages;
    match (signature.filter(|proof| !proof.is_empty()), redacted) {
        (Some(marked), _) if seal::is_marked(marked) => Some(marked.to_owned()),
        (Some(bare), _) => Some(seal::seal(anthropic, bare)),
        (None, Some(data)) => Some(seal::seal(anthropic, &format!("redacted:{data}"))),
        (None, None) => None,
    }
}
