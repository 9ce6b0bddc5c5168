//! Whole answers, read and written.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tachograph_record::{Usage, UsageReading};

use super::decode::{call, part, plan};
use super::{finish_reason, finish_word};
use crate::chat::{Block, ChatResponse, Choice};
use crate::fault;
use crate::object::{Object, text};
use crate::openai_chat::call_id;
use crate::usage::{self, ApiShape};
use crate::{Answering, ApiError, DialectId};

pub(super) fn decode(body: &[u8]) -> Result<ChatResponse, ApiError> {
    let unreadable = |_| fault::unreadable(body);
    let mut fields = Object::parse(body).map_err(unreadable)?;
    let message = fields.take("message");
    let Some(Value::Object(message)) = message else { return Err(fault::unreadable(body)) };
    let native = text(fields.get("finish_reason")).map(str::to_owned);
    let usage = fields.take("usage").unwrap_or_default();
    Ok(ChatResponse {
        dialect: DialectId::CohereChat,
        id: text(fields.get("id")).map(str::to_owned),
        model: None,
        choices: vec![Choice {
            content: blocks(message),
            finish_reason: native.as_deref().map(finish_reason),
            native_finish_reason: native,
            ..Choice::default()
        }],
        usage: usage::reading(ApiShape::CohereChat, &usage),
        service_tier: None,
        provider_cost: None,
    })
}

/// What a message says. Citations stay with the text that they are of, else with the last.
fn blocks(mut message: Map<String, Value>) -> Vec<Block> {
    let mut blocks = Vec::new();
    if let Some(text) = text(message.get("tool_plan")) {
        blocks.push(plan(text.to_owned()));
    }
    let parts = match message.shift_remove("content") {
        Some(Value::Array(parts)) => parts,
        Some(Value::String(text)) => vec![json!({"type": "text", "text": text})],
        _ => Vec::new(),
    };
    let read = parts.into_iter().map(part).filter(|block| !block.is_empty_text());
    blocks.extend(read.filter(|block| !matches!(block, Block::Thinking(thinking) if thinking.text.is_empty())));
    let cited = |citations: &Value| citations.as_array().is_some_and(|list| !list.is_empty());
    if let Some(citations) = message.shift_remove("citations").filter(cited)
        && let Some(Block::Text(text)) = blocks.iter_mut().rfind(|block| matches!(block, Block::Text(_)))
    {
        text.rest.insert("citations".to_owned(), citations);
    }
    if let Some(Value::Array(calls)) = message.shift_remove("tool_calls") {
        blocks.extend(calls.into_iter().filter_map(|value| call(value, "tool_calls").ok()));
    }
    blocks
}

pub(super) fn encode(response: &ChatResponse, to: &Answering) -> Bytes {
    let unanswered = Choice::default();
    let choice = response.choices.first().unwrap_or(&unanswered);
    let (mut content, mut calls) = (Vec::new(), Vec::new());
    for block in &choice.content {
        match block {
            Block::Text(text) | Block::Refusal(text) => content.push(json!({"type": "text", "text": text.text})),
            Block::Thinking(thinking) if !thinking.text.is_empty() => {
                content.push(json!({"type": "thinking", "thinking": thinking.text}));
            }
            Block::ToolCall(call) => {
                let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
                let function = json!({"name": call.name, "arguments": arguments});
                calls.push(json!({"id": call_id(&call.id), "type": "function", "function": function}));
            }
            Block::Thinking(_) | Block::Media(_) | Block::ToolResult(_) | Block::Opaque(_) => {}
        }
    }
    let mut message = json!({"role": "assistant", "content": content});
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    let mut body = json!({
        "id": response.id.as_deref().unwrap_or(&to.id),
        "finish_reason": finish_word(choice.finish()),
        "message": message,
    });
    if let UsageReading::Known(usage) = &response.usage {
        body["usage"] = cohere_usage(usage);
    }
    Bytes::from(body.to_string())
}

/// Cohere's counts: what is billed, and what was read and written. Cache writes, for which it has no field, go by a name
/// of ours.
pub(super) fn cohere_usage(usage: &Usage) -> Value {
    let (input, output) = usage.billed().unwrap_or((usage.input_total(), usage.output_total()));
    let mut tokens = json!({"input_tokens": usage.input_total(), "output_tokens": usage.output_total()});
    let (reasoning, written) = (usage.reasoning_total(), usage.cache_write_total());
    if reasoning > 0 {
        tokens["reasoning_tokens"] = Value::from(reasoning);
    }
    if written > 0 {
        tokens["cache_write_tokens"] = Value::from(written);
    }
    json!({
        "billed_units": {"input_tokens": input, "output_tokens": output},
        "tokens": tokens,
        "cached_tokens": usage.cache_read_total(),
    })
}
