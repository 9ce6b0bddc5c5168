//! Requests, written.

mod parameters;
mod turns;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::content::write_block;
use crate::chat::{Block, ChatRequest, Content, Form, Message, Role};
use crate::loss::Ledger;
use crate::{ApiError, DialectId, Encoded, Provider};

type Fields = Map<String, Value>;

pub(super) fn request(
    request: &ChatRequest,
    model: &str,
    provider: &Provider,
    max_output_default: u64,
) -> Result<Encoded, ApiError> {
    let mut ledger = Ledger::new(request.dialect, DialectId::AnthropicMessages);
    let mut body = Fields::new();
    if !model.is_empty() {
        body.insert("model".to_owned(), Value::from(model));
    }
    if ledger.is_native() {
        native_messages(request, &mut body);
        parameters::native(request, &mut body, max_output_default);
    } else {
        let mut turns = turns::write(request, &mut ledger)?;
        parameters::translated(request, model, provider, max_output_default, &mut turns, &mut ledger, &mut body)?;
        if !turns.system.is_empty() {
            body.insert("system".to_owned(), system(turns.system));
        }
        let message = |(role, content): (&str, Vec<Value>)| json!({ "role": role, "content": content });
        body.insert("messages".to_owned(), turns.turns.into_iter().map(message).collect());
    }
    Ok(Encoded { body: Bytes::from(Value::Object(body).to_string()), notes: ledger.into_notes() })
}

/// A lone plain text as a string, which every server of this dialect reads.
fn system(blocks: Vec<Value>) -> Value {
    match &blocks[..] {
        [Value::Object(block)] if block.len() == 2 => block.get("text").cloned().unwrap_or_default(),
        _ => Value::Array(blocks),
    }
}

fn native_messages(request: &ChatRequest, body: &mut Fields) {
    if let Some(system) = &request.system {
        body.insert("system".to_owned(), native_content(system));
    }
    let message = |message: &Message| {
        let role = match message.role {
            Role::Assistant => "assistant",
            Role::System | Role::Developer => "system",
            Role::User | Role::Tool => "user",
        };
        let mut fields = Fields::new();
        fields.insert("role".to_owned(), Value::from(role));
        fields.insert("content".to_owned(), native_content(&message.content));
        fields.extend(message.rest.clone());
        Value::Object(fields)
    };
    body.insert("messages".to_owned(), request.messages.iter().map(message).collect());
}

fn native_content(content: &Content) -> Value {
    match (&content.blocks[..], content.form) {
        ([Block::Text(text)], Form::Text) => Value::from(text.text.as_str()),
        (blocks, _) => blocks.iter().filter_map(|block| write_block(block, true)).collect(),
    }
}
