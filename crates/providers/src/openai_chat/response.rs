//! Whole answers, read and written.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tachograph_record::UsageReading;

use super::content::{content, reasoning, tool_calls, write_reasoning};
use super::{finish_reason, finish_word};
use crate::chat::{Block, ChatResponse, Choice, Text, ThinkingField, ToolCall};
use crate::fault;
use crate::object::{Object, text};
use crate::usage::{self, ApiShape, openai_usage};
use crate::{Answering, ApiError, DialectId};

pub(super) fn decode(body: &[u8]) -> Result<ChatResponse, ApiError> {
    let unreadable = |_| fault::unreadable(body);
    let mut fields = Object::parse(body).map_err(unreadable)?;
    let Some(choices) = fields.array("choices").map_err(unreadable)? else { return Err(fault::unreadable(body)) };
    if fields.get("error").is_some_and(Value::is_object) {
        return Err(fault::unreadable(body));
    }
    let usage = fields.take("usage").unwrap_or_default();
    let service_tier = text(fields.get("service_tier")).or_else(|| text(usage.get("service_tier"))).map(str::to_owned);
    Ok(ChatResponse {
        dialect: DialectId::OpenAiChat,
        id: text(fields.get("id")).map(str::to_owned),
        model: text(fields.get("model")).map(str::to_owned),
        choices: choices.into_iter().map(choice).collect(),
        usage: usage::reading(ApiShape::OpenAiChat, &usage),
        service_tier,
        provider_cost: usage::reported_cost(&usage),
    })
}

/// One choice. What a provider sends is taken as far as it can be read: a fault in it is not the caller's.
fn choice(value: Value) -> Choice {
    let Ok(mut fields) = Object::of(value, "choices") else { return Choice::default() };
    let native = fields.string("finish_reason").ok().flatten().filter(|word| !word.is_empty());
    let mut blocks = Vec::new();
    if let Ok(Some(mut message)) = fields.object("message") {
        blocks = reasoning(&mut message);
        let said = content(message.take("content"), "content").unwrap_or_default().blocks;
        blocks.extend(said.into_iter().filter(|block| !block.is_empty_text()));
        if let Some(text) = message.string("refusal").ok().flatten().filter(|text| !text.is_empty()) {
            blocks.push(Block::Refusal(Text { text, ..Text::default() }));
        }
        blocks
            .extend(tool_calls(message.array("tool_calls").ok().flatten().unwrap_or_default(), "").unwrap_or_default());
        if let Some(call) = message.get("function_call").and_then(legacy_call) {
            blocks.push(Block::ToolCall(call));
        }
    } else if let Some(text) = text(fields.get("text")) {
        blocks.push(Block::text(text));
    }
    Choice {
        content: blocks,
        finish_reason: native.as_deref().map(finish_reason),
        native_finish_reason: native,
        ..Choice::default()
    }
}

/// A call in the form before tools. Some servers fill its fields with empty strings; that is no call.
fn legacy_call(value: &Value) -> Option<ToolCall> {
    let name = text(value.get("name"))?.to_owned();
    Some(ToolCall { name, arguments: super::content::arguments(value.get("arguments")), ..ToolCall::default() })
}

pub(super) fn encode(response: &ChatResponse, to: &Answering) -> Bytes {
    let choices: Vec<_> =
        response.choices.iter().enumerate().map(|(index, choice)| write_choice(index, choice)).collect();
    let mut body = json!({
        "id": response.id.as_deref().unwrap_or(&to.id),
        "object": "chat.completion",
        "created": to.created,
        "model": to.model,
        "choices": choices,
    });
    if let UsageReading::Known(usage) = &response.usage {
        body["usage"] = openai_usage(usage);
    }
    if let Some(tier) = &response.service_tier {
        body["service_tier"] = Value::from(openai_tier(tier));
    }
    Bytes::from(body.to_string())
}

/// Anthropic's word for the usual tier in OpenAI's.
pub(crate) fn openai_tier(tier: &str) -> &str {
    if tier == "standard" { "default" } else { tier }
}

fn write_choice(index: usize, choice: &Choice) -> Value {
    let mut message = Map::new();
    let (mut said, mut refusal, mut thought, mut calls, mut signed) =
        (None, None, String::new(), Vec::new(), Vec::new());
    for block in &choice.content {
        match block {
            Block::Text(text) => said.get_or_insert_with(String::new).push_str(&text.text),
            Block::Refusal(text) => refusal.get_or_insert_with(String::new).push_str(&text.text),
            Block::Thinking(thinking) => {
                thought.push_str(&thinking.text);
                if thinking.signature.is_some() || thinking.redacted.is_some() {
                    signed.push(write_reasoning(thinking, ThinkingField::ThinkingBlocks));
                }
            }
            Block::ToolCall(call) => calls.push(write_call(call)),
            Block::Media(_) | Block::ToolResult(_) | Block::Opaque(_) => {}
        }
    }
    message.insert("role".to_owned(), Value::from("assistant"));
    message.insert("content".to_owned(), said.map_or(Value::Null, Value::from));
    message.insert("refusal".to_owned(), refusal.map_or(Value::Null, Value::from));
    if !thought.is_empty() {
        message.insert("reasoning_content".to_owned(), Value::from(thought));
    }
    if !signed.is_empty() {
        message.insert("thinking_blocks".to_owned(), Value::Array(signed));
    }
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    let finish = finish_word(choice.finish());
    let mut written = json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish});
    if let Some(native) = choice.native_finish_reason.as_deref().filter(|native| *native != finish) {
        written["native_finish_reason"] = Value::from(native);
    }
    if let Some(stop) = &choice.stop_sequence {
        written["stop_sequence"] = Value::from(stop.as_str());
    }
    written
}

fn write_call(call: &ToolCall) -> Value {
    let id = call_id(&call.id);
    let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
    json!({"id": id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
}

/// The call's id, or a made one: clients cannot answer a call without.
pub(crate) fn call_id(id: &str) -> String {
    if id.is_empty() { format!("call_{}", uuid::Uuid::now_v7().simple()) } else { id.to_owned() }
}
