//! Whole answers, read and written.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tachograph_record::{FinishReason, UsageReading};

use super::content::{blocks, input, member, tool_use_id, write_block};
use super::{finish_reason, stop_reason};
use crate::chat::{Block, ChatResponse, Choice};
use crate::fault;
use crate::object::Object;
use crate::usage::{self, ApiShape, converse_usage};
use crate::{Answering, ApiError, DialectId};

pub(super) fn decode(body: &[u8]) -> Result<ChatResponse, ApiError> {
    let unreadable = |_| fault::unreadable(body);
    let mut fields = Object::parse(body).map_err(unreadable)?;
    let Some(mut output) = fields.object("output").map_err(unreadable)? else { return Err(fault::unreadable(body)) };
    let Some(mut message) = output.object("message").map_err(unreadable)? else {
        return Err(fault::unreadable(body));
    };
    let content = message.array("content").map_err(unreadable)?.unwrap_or_default();
    let native = fields.string("stopReason").map_err(unreadable)?;
    let more = fields.take("additionalModelResponseFields").unwrap_or_default();
    let choice = Choice {
        content: blocks(content, "content").map_err(unreadable)?,
        finish_reason: native.as_deref().map(finish_reason),
        native_finish_reason: native,
        stop_sequence: member(&more, "stop_sequence").map(str::to_owned),
        ..Choice::default()
    };
    let usage = fields.take("usage").unwrap_or_default();
    let tier = fields.take("serviceTier").unwrap_or_default();
    Ok(ChatResponse {
        dialect: DialectId::BedrockConverse,
        id: None,
        model: None,
        choices: vec![choice],
        usage: usage::reading(ApiShape::BedrockConverse, &usage),
        service_tier: member(&tier, "type").map(str::to_owned),
        provider_cost: None,
    })
}

pub(super) fn encode(response: &ChatResponse, _to: &Answering) -> Bytes {
    let unanswered = Choice::default();
    let choice = response.choices.first().unwrap_or(&unanswered);
    let native = response.dialect == DialectId::BedrockConverse;
    let mut content: Vec<Value> = choice.content.iter().filter_map(|block| write(block, native)).collect();
    // Clients expect reasoning before what it led to.
    content.sort_by_key(|block| block.get("reasoningContent").is_none() && !native);
    let refused = choice.content.iter().any(|block| matches!(block, Block::Refusal(_)));
    let reason = match choice.finish() {
        FinishReason::Stop if refused => FinishReason::ContentFilter,
        reason => reason,
    };
    let mut body = json!({
        "output": { "message": { "role": "assistant", "content": content } },
        "stopReason": stop_reason(reason, choice.stop_sequence.as_deref()),
        "usage": told(&response.usage),
    });
    if let Some(stop) = &choice.stop_sequence {
        body["additionalModelResponseFields"] = json!({ "stop_sequence": stop });
    }
    Bytes::from(body.to_string())
}

/// Usage as a client is told; Amazon's clients cannot do without.
pub(super) fn told(usage: &UsageReading) -> Value {
    match usage {
        UsageReading::Known(usage) => converse_usage(usage),
        UsageReading::Absent | UsageReading::Invalid(_) => {
            json!({"inputTokens": 0, "outputTokens": 0, "totalTokens": 0})
        }
    }
}

fn write(block: &Block, native: bool) -> Option<Value> {
    match block {
        Block::ToolCall(call) => {
            // What is no object goes under a name of its own, for the client to see that its tool cannot be called so.
            let input = input(&call.arguments).unwrap_or_else(|()| json!({ "invalid_arguments": call.arguments }));
            let mut fields = Map::new();
            fields.insert("toolUseId".to_owned(), json!(tool_use_id(&call.id)));
            fields.insert("name".to_owned(), json!(call.name));
            fields.insert("input".to_owned(), input);
            Some(json!({ "toolUse": fields }))
        }
        Block::Thinking(thinking) if thinking.redacted.is_some() => write_block(block, native).or_else(|| {
            // Another's sealed reasoning: readable by nobody here, and carried as bytes.
            use base64::Engine;
            let data =
                base64::engine::general_purpose::STANDARD.encode(thinking.redacted.as_deref().unwrap_or_default());
            Some(json!({ "reasoningContent": { "redactedContent": data } }))
        }),
        block if block.is_empty_text() => None,
        block => write_block(block, native),
    }
}
