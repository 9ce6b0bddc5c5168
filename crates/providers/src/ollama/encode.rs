//! Requests, written.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::decode::object;
use crate::chat::{
    Block, ChatRequest, Form, Media, MediaKind, MediaSource, Message, ResponseFormat, Role, ThinkingMode, Tool,
    ToolCall, ToolFunction, ToolMode, ToolResult,
};
use crate::loss::Ledger;
use crate::{ApiError, DialectId, Encoded};

type Fields = Map<String, Value>;

pub(super) fn request(request: &ChatRequest, model: &str) -> Result<Encoded, ApiError> {
    let ledger = Ledger::new(request.dialect, DialectId::OllamaChat);
    let mut writer = Writer { ledger, messages: Vec::new(), calls: Vec::new() };
    let mut body = Fields::new();
    if !model.is_empty() {
        body.insert("model".to_owned(), Value::from(model));
    }
    if writer.ledger.is_native() {
        body.insert("messages".to_owned(), request.messages.iter().map(native).collect());
        if let Some(tools) = &request.tools {
            let write = |tool: &Tool| match tool {
                Tool::Function(function) => write_tool(function, true),
                Tool::Opaque(opaque) => opaque.json.clone(),
            };
            body.insert("tools".to_owned(), tools.iter().map(write).collect());
        }
        body.extend(request.native.clone());
        return Ok(Encoded { body: Bytes::from(Value::Object(body).to_string()), notes: Vec::new() });
    }
    if let Some(system) = &request.system {
        writer.say("system", 0, &system.blocks)?;
    }
    request.turns().iter().enumerate().try_for_each(|(at, message)| writer.message(at, message))?;
    body.insert("messages".to_owned(), Value::Array(std::mem::take(&mut writer.messages)));
    writer.tools(request, &mut body)?;
    // Unsaid it would stream.
    body.insert("stream".to_owned(), Value::from(request.stream.unwrap_or(false)));
    writer.format(request, &mut body);
    if let Some(think) = writer.think(request) {
        body.insert("think".to_owned(), think);
    }
    let mut options = Fields::new();
    let mut set = |name: &str, value: Option<Value>| value.map(|value| options.insert(name.to_owned(), value));
    set("num_predict", request.max_tokens.map(Value::from));
    set("temperature", request.temperature.clone().map(Value::Number));
    set("top_p", request.top_p.clone().map(Value::Number));
    set("stop", request.stop.clone().filter(|stops| !stops.is_empty()).map(Value::from));
    if request.user.is_some() {
        writer.ledger.note("user");
    }
    for (field, value) in &request.rest {
        let Some((name, value)) = writer.ledger.carry(field, value)? else { continue };
        match name.strip_prefix("options.") {
            Some(name) => drop(options.insert(name.to_owned(), value)),
            None => drop(body.insert(name.to_owned(), value)),
        }
    }
    if !options.is_empty() {
        body.insert("options".to_owned(), Value::Object(options));
    }
    Ok(Encoded { body: Bytes::from(Value::Object(body).to_string()), notes: writer.ledger.into_notes() })
}

/// A message that came in this dialect: back as it was.
fn native(message: &Message) -> Value {
    let role = match message.role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut fields = message.rest.clone();
    fields.insert("role".to_owned(), Value::from(role));
    let (mut images, mut calls) = (Vec::new(), Vec::new());
    let text = |block: &Block| match block {
        Block::Text(text) => Some(text.text.clone()),
        _ => None,
    };
    let mut said: String = message.content.blocks.iter().filter_map(text).collect();
    for block in &message.content.blocks {
        match block {
            Block::ToolResult(result) => {
                said = result.content.iter().filter_map(text).collect();
                let named = result.rest.contains_key("tool_name");
                fields.extend(result.rest.clone().into_iter().filter(|(name, _)| !named || name != "name"));
                if !result.id.is_empty() {
                    fields.insert("tool_call_id".to_owned(), Value::from(result.id.as_str()));
                }
            }
            Block::Thinking(thinking) => {
                fields.insert("thinking".to_owned(), Value::from(thinking.text.as_str()));
            }
            Block::Media(Media { source: MediaSource::Base64 { data, .. }, .. }) => {
                images.push(Value::from(data.as_str()));
            }
            Block::ToolCall(call) => calls.push(native_call(call)),
            Block::Opaque(opaque) => calls.push(opaque.json.clone()),
            _ => {}
        }
    }
    if message.content.form != Form::Absent {
        fields.insert("content".to_owned(), Value::from(said));
    }
    for (name, list) in [("images", images), ("tool_calls", calls)] {
        if !list.is_empty() {
            fields.insert(name.to_owned(), Value::Array(list));
        }
    }
    Value::Object(fields)
}

fn native_call(call: &ToolCall) -> Value {
    let mut fields = call.rest.clone();
    if !call.id.is_empty() {
        fields.insert("id".to_owned(), Value::from(call.id.as_str()));
    }
    let mut function = match fields.shift_remove("function") {
        Some(Value::Object(function)) => function,
        _ => Fields::new(),
    };
    function.insert("name".to_owned(), Value::from(call.name.as_str()));
    let arguments = serde_json::from_str(&call.arguments).unwrap_or_else(|_| Value::from(call.arguments.as_str()));
    function.insert("arguments".to_owned(), arguments);
    fields.insert("function".to_owned(), Value::Object(function));
    Value::Object(fields)
}

struct Writer {
    ledger: Ledger,
    messages: Vec<Value>,
    /// Ids of calls and the tools they called: Ollama goes by names.
    calls: Vec<(String, String)>,
}

impl Writer {
    fn message(&mut self, at: usize, message: &Message) -> Result<(), ApiError> {
        if message.rest.get("name").is_some_and(|name| !name.is_null()) {
            self.ledger.note("messages.name");
        }
        let blocks = &message.content.blocks;
        match message.role {
            Role::System | Role::Developer => self.say("system", at, blocks),
            Role::Assistant => self.say("assistant", at, blocks),
            Role::User | Role::Tool => {
                let mut said = Vec::new();
                for block in blocks {
                    match block {
                        Block::ToolResult(result) => self.result(result, &mut said),
                        block => said.push(block.clone()),
                    }
                }
                if said.is_empty() && !blocks.is_empty() { Ok(()) } else { self.say("user", at, &said) }
            }
        }
    }

    /// A result as a message of its own. Its pictures go to `after`.
    fn result(&mut self, result: &ToolResult, after: &mut Vec<Block>) {
        let (media, mut said): (Vec<_>, Vec<_>) =
            result.content.iter().cloned().partition(|block| matches!(block, Block::Media(_)));
        if !media.is_empty() {
            self.ledger.note("messages.tool_result.content");
            after.extend(media);
        }
        if result.is_error == Some(true) {
            self.ledger.note("messages.tool_result.is_error");
            said.insert(0, Block::text("The tool failed:"));
        }
        if result.cache_control.is_some() {
            self.ledger.note("messages.cache_control");
        }
        let mut fields = Fields::new();
        fields.insert("role".to_owned(), Value::from("tool"));
        let texts: Vec<&str> = said.iter().filter_map(words).collect();
        fields.insert("content".to_owned(), Value::from(texts.join("\n")));
        if let Some((_, name)) = self.calls.iter().rfind(|(id, _)| *id == result.id) {
            fields.insert("tool_name".to_owned(), Value::from(name.as_str()));
        }
        fields.insert("tool_call_id".to_owned(), Value::from(result.id.as_str()));
        self.messages.push(Value::Object(fields));
    }

    fn say(&mut self, role: &str, at: usize, blocks: &[Block]) -> Result<(), ApiError> {
        let param = || format!("messages[{at}].content");
        let (mut texts, mut thought, mut images, mut calls) = (Vec::new(), String::new(), Vec::new(), Vec::new());
        for block in blocks {
            match block {
                Block::Text(text) => {
                    if text.cache_control.is_some() {
                        self.ledger.note("messages.cache_control");
                    }
                    texts.extend(Some(text.text.as_str()).filter(|text| !text.is_empty()));
                }
                Block::Refusal(text) => texts.push(&text.text),
                Block::Thinking(thinking) if !thinking.text.is_empty() => thought.push_str(&thinking.text),
                Block::Thinking(_) => self.ledger.note("messages.thinking"),
                Block::ToolCall(call) => calls.push(self.call(call, at, calls.len())?),
                Block::Media(Media { source: MediaSource::Text { data, .. }, .. }) => texts.push(data),
                Block::Media(media) => images.push(self.image(media, param())?),
                Block::Opaque(_) if self.ledger.drops("messages.content") => self.ledger.note("messages.content"),
                Block::Opaque(_) | Block::ToolResult(_) => {
                    return Err(self.ledger.refusal("messages.content", param()));
                }
            }
        }
        let joint = if role == "assistant" { "" } else { "\n\n" };
        let mut fields = Fields::new();
        fields.insert("role".to_owned(), Value::from(role));
        fields.insert("content".to_owned(), Value::from(texts.join(joint)));
        if !thought.is_empty() {
            fields.insert("thinking".to_owned(), Value::from(thought));
        }
        for (name, list) in [("images", images), ("tool_calls", calls)] {
            if !list.is_empty() {
                fields.insert(name.to_owned(), Value::Array(list));
            }
        }
        self.messages.push(Value::Object(fields));
        Ok(())
    }

    fn image(&mut self, media: &Media, param: String) -> Result<Value, ApiError> {
        if media.cache_control.is_some() {
            self.ledger.note("messages.cache_control");
        }
        match (&media.kind, &media.source) {
            (_, MediaSource::File(_)) => Err(self.ledger.refusal("messages.file_id", param)),
            (MediaKind::Image, MediaSource::Base64 { data, .. }) => {
                if media.rest.contains_key("detail") {
                    self.ledger.note("image_url.detail");
                }
                Ok(Value::from(data.as_str()))
            }
            (MediaKind::Image, _) => Err(self.ledger.refusal("messages.url", param)),
            (MediaKind::Audio, _) => Err(self.ledger.refusal("messages.audio", param)),
            (MediaKind::Document, _) => Err(self.ledger.refusal("messages.document", param)),
        }
    }

    fn call(&mut self, call: &ToolCall, at: usize, number: usize) -> Result<Value, ApiError> {
        let Ok(arguments) = object(&call.arguments) else {
            let param = format!("messages[{at}].tool_calls[{number}].function.arguments");
            let message = format!("{param} must be the text of a JSON object.");
            return Err(ApiError::invalid("invalid_tool_arguments", message).with_param(param));
        };
        self.calls.push((call.id.clone(), call.name.clone()));
        Ok(json!({"id": call.id, "function": {"name": call.name, "arguments": arguments}}))
    }

    /// Ollama cannot be told to call: tools that must not be called are left out, and what must be is hoped for.
    fn tools(&mut self, request: &ChatRequest, body: &mut Fields) -> Result<(), ApiError> {
        let Some(tools) = request.tools.as_ref().filter(|tools| !tools.is_empty()) else { return Ok(()) };
        let only: Option<Vec<&str>> = match request.tool_choice.as_ref().map(|choice| &choice.mode) {
            None | Some(ToolMode::Auto) => None,
            Some(ToolMode::None) => Some(Vec::new()),
            Some(ToolMode::Required) => {
                self.ledger.note("tool_choice");
                None
            }
            Some(ToolMode::One { name }) => Some(vec![name]),
            Some(ToolMode::Allowed { names, .. }) => Some(names.iter().map(String::as_str).collect()),
        };
        if only.is_some() {
            self.ledger.note("tool_choice");
        }
        if request.parallel_tool_calls == Some(false) {
            self.ledger.note("parallel_tool_calls");
        }
        let mut written = Vec::new();
        for (at, tool) in tools.iter().enumerate() {
            match tool {
                Tool::Function(function) if only.as_ref().is_none_or(|only| only.contains(&&*function.name)) => {
                    written.push(write_tool(function, false));
                }
                Tool::Function(_) => {}
                Tool::Opaque(_) => return Err(self.ledger.refusal("tools", format!("tools[{at}]"))),
            }
        }
        if !written.is_empty() {
            body.insert("tools".to_owned(), Value::Array(written));
        }
        Ok(())
    }

    fn format(&mut self, request: &ChatRequest, body: &mut Fields) {
        match &request.response_format {
            Some(ResponseFormat::JsonObject) => drop(body.insert("format".to_owned(), Value::from("json"))),
            Some(ResponseFormat::JsonSchema { schema: Some(schema), .. }) => {
                body.insert("format".to_owned(), schema.clone());
            }
            _ => {}
        }
    }

    /// Whether to think, or how hard: a word where the caller said one that Ollama knows.
    fn think(&mut self, request: &ChatRequest) -> Option<Value> {
        match (request.effort.as_deref(), request.thinking.as_ref().map(|thinking| &thinking.mode)) {
            (Some("none"), _) | (None, Some(ThinkingMode::Off)) => Some(Value::from(false)),
            (Some(word @ ("low" | "medium" | "high")), _) => Some(Value::from(word)),
            (Some(word), _) => {
                self.ledger.note("reasoning_effort");
                Some(Value::from(if word == "minimal" { "low" } else { "high" }))
            }
            (None, Some(ThinkingMode::Adaptive)) => Some(Value::from(true)),
            (None, Some(ThinkingMode::Budget { .. })) => {
                self.ledger.note("thinking");
                Some(Value::from(true))
            }
            (None, None) => None,
        }
    }
}

fn words(block: &Block) -> Option<&str> {
    match block {
        Block::Text(text) | Block::Refusal(text) => Some(&text.text),
        _ => None,
    }
}

fn write_tool(tool: &ToolFunction, native: bool) -> Value {
    let mut inner = if native { tool.inner_rest.clone() } else { Fields::new() };
    inner.insert("name".to_owned(), Value::from(tool.name.as_str()));
    if let Some(description) = &tool.description {
        inner.insert("description".to_owned(), Value::from(description.as_str()));
    }
    match &tool.parameters {
        None if native => {}
        None => drop(inner.insert("parameters".to_owned(), json!({"type": "object", "properties": {}}))),
        Some(schema) => drop(inner.insert("parameters".to_owned(), schema.clone())),
    }
    let mut outer = if native { tool.rest.clone() } else { Fields::new() };
    if !native {
        outer.insert("type".to_owned(), Value::from("function"));
    }
    outer.insert("function".to_owned(), Value::Object(inner));
    Value::Object(outer)
}
