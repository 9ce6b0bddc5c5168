//! Whole answers, read and written.

use bytes::Bytes;
use serde_json::{Value, json};
use tachograph_record::UsageReading;

use super::content::{block, write_block};
use super::{finish_reason, stop_reason};
use crate::chat::{Block, ChatResponse, Choice, ToolCall};
use crate::fault;
use crate::object::{Object, text};
use crate::usage::{self, ApiShape, anthropic_usage};
use crate::{Answering, ApiError, DialectId};

pub(super) fn decode(body: &[u8]) -> Result<ChatResponse, ApiError> {
    let unreadable = |_| fault::unreadable(body);
    let mut fields = Object::parse(body).map_err(unreadable)?;
    let Some(content) = fields.array("content").map_err(unreadable)? else { return Err(fault::unreadable(body)) };
    let native = text(fields.get("stop_reason")).map(str::to_owned);
    let choice = Choice {
        content: content.into_iter().filter_map(|value| block(value, "content").ok()).collect(),
        finish_reason: native.as_deref().map(finish_reason),
        native_finish_reason: native,
        stop_sequence: text(fields.get("stop_sequence")).map(str::to_owned),
        ..Choice::default()
    };
    let usage = fields.take("usage").unwrap_or_default();
    Ok(ChatResponse {
        dialect: DialectId::AnthropicMessages,
        id: text(fields.get("id")).map(str::to_owned),
        model: text(fields.get("model")).map(str::to_owned),
        choices: vec![choice],
        usage: usage::reading(ApiShape::AnthropicMessages, &usage),
        service_tier: served_tier(&usage),
        provider_cost: None,
    })
}

/// The tier that served: `fast` where the faster mode did, which is priced apart, else as it is called.
pub(super) fn served_tier(usage: &Value) -> Option<String> {
    let speed = text(usage.get("speed")).filter(|speed| *speed != "standard");
    speed.or_else(|| text(usage.get("service_tier"))).map(str::to_owned)
}

pub(super) fn encode(response: &ChatResponse, to: &Answering) -> Bytes {
    let unanswered = Choice::default();
    let choice = response.choices.first().unwrap_or(&unanswered);
    let native = response.dialect == DialectId::AnthropicMessages;
    let mut content: Vec<_> = choice.content.iter().filter_map(|block| write(block, native)).collect();
    // Clients expect thinking before what it led to.
    content.sort_by_key(|block| !block["type"].as_str().is_some_and(|kind| kind.ends_with("thinking")) && !native);
    let refused = choice.content.iter().any(|block| matches!(block, Block::Refusal(_)));
    let stop =
        match stop_reason(choice.finish(), choice.stop_sequence.as_deref(), choice.native_finish_reason.as_deref()) {
            "end_turn" if refused => "refusal",
            reason => reason,
        };
    let usage = match &response.usage {
        UsageReading::Known(usage) => anthropic_usage(usage),
        // Anthropic's clients cannot do without.
        UsageReading::Absent | UsageReading::Invalid(_) => json!({"input_tokens": 0, "output_tokens": 0}),
    };
    let body = json!({
        "id": response.id.as_deref().unwrap_or(&to.id),
        "type": "message",
        "role": "assistant",
        "model": to.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": choice.stop_sequence,
        "usage": usage,
    });
    Bytes::from(body.to_string())
}

/// A block of an answer. Thinking without a signature is readable all the same; the client gets an empty one, as it
/// expects the field.
fn write(block: &Block, native: bool) -> Option<Value> {
    match block {
        Block::ToolCall(call) => Some(write_call(call)),
        Block::Thinking(thinking) if thinking.redacted.is_none() && thinking.signature.is_none() => {
            Some(json!({"type": "thinking", "thinking": thinking.text, "signature": ""}))
        }
        block if block.is_empty_text() => None,
        block => write_block(block, native),
    }
}

fn write_call(call: &ToolCall) -> Value {
    // A model can write what is no JSON, and a limit can cut what would have been. Nothing may be made up for it: the
    // text as it is goes under a name of its own, for the client to see that its tool cannot be called so.
    let input =
        super::content::input(&call.arguments).unwrap_or_else(|()| json!({ "invalid_arguments": call.arguments }));
    json!({"type": "tool_use", "id": tool_use_id(&call.id), "name": call.name, "input": input})
}

/// The call's id, or a made one: clients cannot answer a call without.
pub(super) fn tool_use_id(id: &str) -> String {
    if id.is_empty() { format!("toolu_{}", uuid::Uuid::now_v7().simple()) } else { id.to_owned() }
}
