//! What was said in a call, in the conventions' form: messages of parts.

use serde_json::{Value, json};
use tachograph_providers::chat::{Block, Content, MediaSource, Role, Tool};
use tachograph_providers::conversation;
use tachograph_record::LogRecord;

/// Both sides of a call.
#[derive(Default)]
pub(super) struct Said {
    pub(super) system: Option<Value>,
    pub(super) input: Option<Value>,
    pub(super) output: Option<Value>,
    pub(super) tools: Option<Value>,
}

pub(super) fn said(record: &LogRecord) -> Said {
    if record.asked.body.kept() == 0 && record.response.kept() == 0 {
        return Said::default();
    }
    let asked = &record.asked;
    let read = conversation(&asked.api, asked.stream, &asked.body.bytes(), &record.response.bytes());
    let mut said = Said::default();
    if let Some(request) = &read.request {
        let of_system = request.system.as_ref().map(|content| parts(&content.blocks));
        said.system = of_system.filter(|parts| !parts.is_empty()).map(Value::Array);
        let messages =
            request.messages.iter().map(|message| json!({ "role": role(message.role), "parts": of(&message.content) }));
        said.input = Some(messages.collect());
        let tools = request.tools.iter().flatten().filter_map(|tool| match tool {
            Tool::Function(function) => Some(json!({
                "type": "function", "name": function.name, "description": function.description, "parameters": function.parameters,
            })),
            Tool::Opaque(_) => None,
        });
        said.tools = Some(tools.collect::<Vec<_>>()).filter(|tools| !tools.is_empty()).map(Value::Array);
    }
    if let Some(response) = &read.response {
        let choices = response.choices.iter().map(|choice| {
            let finish = serde_json::to_value(choice.finish_reason).unwrap_or_default();
            json!({ "role": "assistant", "parts": parts(&choice.content), "finish_reason": finish })
        });
        said.output = Some(choices.collect());
    }
    said
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

fn of(content: &Content) -> Vec<Value> {
    parts(&content.blocks)
}

fn parts(blocks: &[Block]) -> Vec<Value> {
    blocks.iter().map(part).collect()
}

fn part(block: &Block) -> Value {
    match block {
        Block::Text(text) | Block::Refusal(text) => json!({ "type": "text", "content": text.text }),
        Block::Thinking(thinking) => json!({ "type": "reasoning", "content": thinking.text }),
        Block::ToolCall(call) => {
            let arguments: Value =
                serde_json::from_str(&call.arguments).unwrap_or_else(|_| Value::String(call.arguments.clone()));
            json!({ "type": "tool_call", "id": call.id, "name": call.name, "arguments": arguments })
        }
        Block::ToolResult(result) => {
            let texts: Vec<&str> = result
                .content
                .iter()
                .filter_map(|block| match block {
                    Block::Text(text) => Some(text.text.as_str()),
                    _ => None,
                })
                .collect();
            json!({ "type": "tool_call_response", "id": result.id, "response": texts.join("\n") })
        }
        Block::Media(media) => match &media.source {
            MediaSource::Base64 { mime, data } => {
                json!({ "type": "blob", "modality": modality(mime), "mime_type": mime, "content": data })
            }
            MediaSource::Url(url) => json!({ "type": "uri", "uri": url }),
            MediaSource::File(file) => json!({ "type": "file", "file_id": file }),
            MediaSource::Text { data, .. } => json!({ "type": "text", "content": data }),
        },
        Block::Opaque(opaque) => {
            json!({ "type": "opaque", "content": serde_json::to_value(opaque).unwrap_or_default() })
        }
    }
}

fn modality(mime: &str) -> &str {
    match mime.split('/').next() {
        Some(kind @ ("image" | "audio" | "video")) => kind,
        _ => "document",
    }
}
