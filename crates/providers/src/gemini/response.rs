//! Whole answers, read and written.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tachograph_record::UsageReading;

use super::content::{args, part, write_proof};
use super::reader::Parser;
use super::schema::camelize;
use super::{finish_reason, finish_word};
use crate::chat::{Assembler, Block, ChatResponse, Choice, Opaque, Text, Thinking};
use crate::object::text;
use crate::usage::{self, ApiShape, gemini_usage};
use crate::{Answering, ApiError, DialectId, fault};

pub(super) fn decode(body: &[u8]) -> Result<ChatResponse, ApiError> {
    let mut whole: Value = serde_json::from_slice(body).map_err(|_| fault::unreadable(body))?;
    camelize(&mut whole);
    match whole {
        // A stream that came as one list.
        Value::Array(pieces) if !pieces.is_empty() && pieces.iter().all(|piece| piece.get("error").is_none()) => {
            Ok(joined(pieces))
        }
        Value::Object(fields) if !fields.contains_key("error") && is_answer(&fields) => Ok(answer(fields)),
        _ => Err(fault::unreadable(body)),
    }
}

fn is_answer(fields: &Map<String, Value>) -> bool {
    ["candidates", "promptFeedback", "usageMetadata"].iter().any(|name| fields.contains_key(*name))
}

fn joined(pieces: Vec<Value>) -> ChatResponse {
    let (mut parser, mut events) = (Parser::default(), Vec::new());
    for piece in &pieces {
        parser.see(piece.to_string().as_bytes());
        parser.piece(piece, &mut events);
    }
    parser.end(&mut events);
    let mut assembler = Assembler::new(DialectId::GeminiGenerateContent);
    events.iter().for_each(|event| assembler.push(event));
    let reading = parser.reading();
    let response = assembler.into_response();
    ChatResponse { usage: reading.usage, service_tier: reading.service_tier, ..response }
}

fn answer(mut fields: Map<String, Value>) -> ChatResponse {
    let candidates = match fields.shift_remove("candidates") {
        Some(Value::Array(candidates)) => candidates,
        _ => Vec::new(),
    };
    let mut choices: Vec<Choice> = candidates.into_iter().map(choice).collect();
    if let (true, Some(reason)) = (choices.is_empty(), blocked(fields.get("promptFeedback"))) {
        choices.push(Choice {
            finish_reason: Some(tachograph_record::FinishReason::ContentFilter),
            native_finish_reason: Some(reason),
            ..Choice::default()
        });
    }
    let used = fields.get("usageMetadata").cloned().unwrap_or_default();
    ChatResponse {
        dialect: DialectId::GeminiGenerateContent,
        id: text(fields.get("responseId")).map(str::to_owned),
        model: text(fields.get("modelVersion")).map(str::to_owned),
        choices,
        usage: usage::reading(ApiShape::GeminiGenerateContent, &used),
        service_tier: text(used.get("serviceTier")).map(str::to_owned),
        provider_cost: None,
    }
}

/// Why a prompt was not answered at all.
pub(super) fn blocked(feedback: Option<&Value>) -> Option<String> {
    word(feedback?.get("blockReason"))
}

/// A word of an enum, or its number.
pub(super) fn word(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(word) if !word.is_empty() => Some(word.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn choice(mut candidate: Value) -> Choice {
    let parts = candidate["content"]["parts"].take();
    let mut content = Vec::new();
    if let Value::Array(parts) = parts {
        parts.into_iter().flat_map(part).for_each(|block| append(&mut content, block));
    }
    let called = content.iter().any(|block| matches!(block, Block::ToolCall(_)));
    let native = word(candidate.get("finishReason"));
    Choice {
        content,
        finish_reason: native.as_deref().map(|word| finish_reason(word, called)),
        native_finish_reason: native,
        ..Choice::default()
    }
}

/// Adds a block to an answer: texts without text are left out, a proof on a text stays with it.
fn append(content: &mut Vec<Block>, block: Block) {
    if !block.is_empty_text() {
        content.push(block);
    }
}

pub(super) fn encode(response: &ChatResponse, to: &Answering) -> Bytes {
    let candidates: Vec<_> = response.choices.iter().enumerate().map(|(at, choice)| candidate(at, choice)).collect();
    let mut body = json!({ "candidates": candidates });
    if let UsageReading::Known(usage) = &response.usage {
        body["usageMetadata"] = gemini_usage(usage);
    }
    body["modelVersion"] = Value::from(to.model.as_str());
    body["responseId"] = Value::from(response.id.as_deref().unwrap_or(&to.id));
    Bytes::from(body.to_string())
}

fn candidate(at: usize, choice: &Choice) -> Value {
    let mut pending = None;
    let mut parts: Vec<Value> = choice.content.iter().filter_map(|block| write(block, &mut pending)).collect();
    if let Some(proof) = pending {
        parts.push(json!({"text": "", "thought": true, "thoughtSignature": proof}));
    }
    json!({"content": {"parts": parts, "role": "model"}, "finishReason": finish_word(choice.finish()), "index": at})
}

fn write(block: &Block, pending: &mut Option<String>) -> Option<Value> {
    match block {
        Block::Text(Text { text, .. }) | Block::Refusal(Text { text, .. }) => Some(json!({ "text": text })),
        // Only a proof: it goes on what follows.
        Block::Thinking(Thinking { text, signature: Some(proof), .. }) if text.is_empty() => {
            *pending = Some(write_proof(proof));
            None
        }
        Block::Thinking(thinking) if thinking.redacted.is_some() => None,
        Block::Thinking(Thinking { text, signature, .. }) => {
            let mut part = json!({"text": text, "thought": true});
            if let Some(proof) = signature.as_deref().filter(|proof| !proof.is_empty()) {
                part["thoughtSignature"] = Value::from(write_proof(proof));
            }
            Some(part)
        }
        Block::ToolCall(call) => Some(call_part(&call.id, &call.name, &call.arguments, pending.take())),
        Block::Opaque(Opaque { dialect: DialectId::GeminiGenerateContent, json }) => Some(json.clone()),
        Block::Media(_) | Block::ToolResult(_) | Block::Opaque(_) => None,
    }
}

/// A call as a part. A model can write what is no JSON, and a limit can cut what would have been; the text as it is goes
/// under a name of its own, for the client to see that its tool cannot be called so.
pub(super) fn call_part(id: &str, name: &str, arguments: &str, proof: Option<String>) -> Value {
    let args = args(arguments).unwrap_or_else(|()| json!({ "invalid_arguments": arguments }));
    let mut call = json!({"name": name, "args": args});
    if !id.is_empty() {
        call["id"] = Value::from(id);
    }
    let mut part = json!({ "functionCall": call });
    if let Some(proof) = proof {
        part["thoughtSignature"] = Value::from(proof);
    }
    part
}
