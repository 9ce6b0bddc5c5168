//! Items, read and written. Those of requests and those of answers are the same.

use serde_json::{Map, Value, json};

use super::content::{content, write_content};
use crate::chat::{
    Block, Content, Form, Message, Opaque, Rest, Role, Text, Thinking, ThinkingField, ToolCall, ToolResult,
};
use crate::object::{Object, text};
use crate::{ApiError, DialectId, seal};

type Read<T> = Result<T, ApiError>;

/// An item as a message of its own.
pub(super) fn message(value: Value, path: &str) -> Read<Message> {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or("message").to_owned();
    let alone =
        |role, block| Message { role, content: Content { blocks: vec![block], form: Form::Parts }, rest: Rest::new() };
    match kind.as_str() {
        "message" => said(value, path),
        "function_call" => Ok(alone(Role::Assistant, Block::ToolCall(call(Object::of(value, path)?)?))),
        "function_call_output" => Ok(alone(Role::Tool, Block::ToolResult(result(Object::of(value, path)?)?))),
        "reasoning" => Ok(alone(Role::Assistant, Block::Thinking(reasoning(Object::of(value, path)?)?))),
        // Outputs of other tools are the client's, all else is the model's.
        kind => {
            let role = if kind.ends_with("_output") { Role::Tool } else { Role::Assistant };
            Ok(alone(role, Block::Opaque(Opaque { dialect: DialectId::OpenAiResponses, json: value })))
        }
    }
}

fn said(value: Value, path: &str) -> Read<Message> {
    let mut fields = Object::of(value, path)?;
    let role = match fields.string("role")?.ok_or_else(|| fields.missing("role"))?.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => return Err(fields.wrong("role", "one of user, assistant, system, developer")),
    };
    let path = fields.path("content");
    let content = content(fields.take("content"), &path)?;
    Ok(Message { role, content, rest: fields.rest() })
}

/// A call. Its id is the one that its output names; the item's own id stays among the other fields.
pub(super) fn call(mut fields: Object) -> Read<ToolCall> {
    let id = fields.string("call_id")?.unwrap_or_default();
    let name = fields.string("name")?.ok_or_else(|| fields.missing("name"))?;
    let arguments = fields.string("arguments")?.unwrap_or_default();
    fields.take("type");
    Ok(ToolCall { id, name, arguments, rest: fields.rest(), ..ToolCall::default() })
}

fn result(mut fields: Object) -> Read<ToolResult> {
    let id = fields.string("call_id")?.unwrap_or_default();
    let path = fields.path("output");
    let Content { blocks, form } = content(fields.take("output"), &path)?;
    fields.take("type");
    Ok(ToolResult { id, content: blocks, form, rest: fields.rest(), ..ToolResult::default() })
}

/// Reasoning. What it says is in parts of a summary, or of the full text; the whole item stays beside it, for it goes
/// back unchanged or not at all.
pub(super) fn reasoning(mut fields: Object) -> Read<Thinking> {
    let words = [("summary", "summary_text"), ("content", "reasoning_text")].map(|(list, kind)| {
        let parts = fields.get(list).and_then(Value::as_array).into_iter().flatten();
        let own = parts.filter(|part| part["type"] == kind);
        own.filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().concat()
    });
    let said = words.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    let proof = text(fields.get("encrypted_content")).map(str::to_owned);
    if let Some(others) = proof.as_deref().and_then(|proof| crate::seal::open(DialectId::AnthropicMessages, proof)) {
        let others = others.to_owned();
        return Ok(match others.strip_prefix("redacted:") {
            Some(data) => Thinking { redacted: Some(data.to_owned()), ..Thinking::default() },
            None => Thinking { text: said, signature: Some(others), ..Thinking::default() },
        });
    }
    if let Some(marked) = proof.as_deref().filter(|proof| seal::is_marked(proof)) {
        return Ok(Thinking { text: said, signature: Some(marked.to_owned()), ..Thinking::default() });
    }
    let signature = proof.map(|proof| seal_item(text(fields.get("id")).unwrap_or_default(), &proof));
    fields.take("type");
    Ok(Thinking { text: said, signature, redacted: None, rest: fields.rest(), field: ThinkingField::Item })
}

/// The proof of an item of reasoning: its id and its encrypted content, which belong together.
pub(super) fn seal_item(id: &str, encrypted: &str) -> String {
    seal::seal(DialectId::OpenAiResponses, &format!("{id}:{encrypted}"))
}

/// A block as an item, where it is one by itself.
pub(super) fn write_item(block: &Block, native: bool) -> Option<Value> {
    let typed = |kind: &str| {
        let mut fields = Map::new();
        fields.insert("type".to_owned(), Value::from(kind));
        fields
    };
    let fields = match block {
        Block::ToolCall(call) => {
            let mut fields = typed("function_call");
            if native {
                fields.extend(call.rest.clone());
            }
            let arguments = if native || !call.arguments.is_empty() { call.arguments.as_str() } else { "{}" };
            fields.insert("call_id".to_owned(), Value::from(call.id.as_str()));
            fields.insert("name".to_owned(), Value::from(call.name.as_str()));
            fields.insert("arguments".to_owned(), Value::from(arguments));
            fields
        }
        Block::ToolResult(result) => {
            let mut fields = typed("function_call_output");
            if native {
                fields.extend(result.rest.clone());
            }
            fields.insert("call_id".to_owned(), Value::from(result.id.as_str()));
            let form = if result.form == Form::Absent { Form::Text } else { result.form };
            fields.insert("output".to_owned(), write_content(&result.content, form, "input_text", native));
            fields
        }
        Block::Thinking(thinking) => return write_reasoning(thinking),
        Block::Opaque(opaque) if native => return Some(opaque.json.clone()),
        _ => return None,
    };
    Some(Value::Object(fields))
}

/// Reasoning of this dialect, back as it was or from its proof; others' is none of OpenAI's.
fn write_reasoning(thinking: &Thinking) -> Option<Value> {
    if thinking.field == ThinkingField::Item {
        let mut fields = Map::new();
        fields.insert("type".to_owned(), Value::from("reasoning"));
        fields.extend(thinking.rest.clone());
        return Some(Value::Object(fields));
    }
    let (id, encrypted) = seal::open(DialectId::OpenAiResponses, thinking.signature.as_deref()?)?.split_once(':')?;
    let summary: Vec<_> = Some(&thinking.text).filter(|text| !text.is_empty()).into_iter().collect();
    let summary: Vec<_> = summary.into_iter().map(|text| json!({"type": "summary_text", "text": text})).collect();
    let mut item = json!({"type": "reasoning", "summary": summary, "encrypted_content": encrypted});
    if !id.is_empty() {
        item["id"] = Value::from(id);
    }
    Some(item)
}

/// The blocks of an item of an answer. What cannot be read is left out: a fault in an answer is not the caller's.
pub(super) fn answered(item: Value) -> Vec<Block> {
    let Ok(message) = message(item, "output") else { return Vec::new() };
    let mut blocks = message.content.blocks;
    for block in &mut blocks {
        // Empty lists say nothing, and stand in every answer.
        if let Block::Text(Text { rest, .. }) = block {
            rest.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()));
        }
    }
    blocks.retain(|block| !block.is_empty_text());
    blocks
}
