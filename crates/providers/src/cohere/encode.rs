//! Requests, written.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::chat::{
    Block, ChatRequest, Content, Form, FormatField, Media, MediaKind, MediaSource, Message, ResponseFormat, Role,
    Thinking, ThinkingField, ThinkingMode, Tool, ToolFunction, ToolMode, ToolResult,
};
use crate::loss::Ledger;
use crate::{ApiError, DialectId, Encoded, effort};

type Fields = Map<String, Value>;

/// Stop texts Cohere takes.
const MOST_STOPS: usize = 5;

pub(super) fn request(request: &ChatRequest, model: &str) -> Result<Encoded, ApiError> {
    let mut writer = Writer { ledger: Ledger::new(request.dialect, DialectId::CohereChat), messages: Vec::new() };
    let native = writer.ledger.is_native();
    let mut body = Fields::new();
    set(&mut body, "model", Some(model).filter(|model| !model.is_empty()));
    if native {
        request.messages.iter().for_each(|message| writer.native(message));
    } else {
        if let Some(system) = &request.system {
            writer.instruct(system);
        }
        request.turns().iter().enumerate().try_for_each(|(at, message)| writer.message(at, message))?;
    }
    body.insert("messages".to_owned(), Value::Array(std::mem::take(&mut writer.messages)));
    writer.tools(request, &mut body)?;
    writer.parameters(request, &mut body);
    for (field, value) in &request.rest {
        if native {
            body.insert(field.clone(), value.clone());
        } else if let Some((name, value)) = writer.ledger.carry(field, value)? {
            body.insert(name.to_owned(), value);
        }
    }
    Ok(Encoded { body: Bytes::from(Value::Object(body).to_string()), notes: writer.ledger.into_notes() })
}

fn set<T: Into<Value>>(body: &mut Fields, name: &str, value: Option<T>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value.into());
    }
}

struct Writer {
    ledger: Ledger,
    messages: Vec<Value>,
}

impl Writer {
    /// A message that came in this dialect: back as it was.
    fn native(&mut self, message: &Message) {
        let role = match message.role {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        let mut fields = message.rest.clone();
        fields.insert("role".to_owned(), Value::from(role));
        let (mut said, mut calls) = (Vec::new(), Vec::new());
        for block in &message.content.blocks {
            match block {
                Block::ToolResult(result) => {
                    fields.extend(result.rest.clone());
                    set(&mut fields, "tool_call_id", Some(result.id.as_str()).filter(|id| !id.is_empty()));
                    said.extend(result.content.iter().cloned());
                }
                Block::Thinking(Thinking { text, field: ThinkingField::ToolPlan, .. }) => {
                    set(&mut fields, "tool_plan", Some(text.as_str()));
                }
                Block::ToolCall(call) => {
                    let mut written = call.rest.clone();
                    set(&mut written, "id", Some(call.id.as_str()).filter(|id| !id.is_empty()));
                    written.insert("function".to_owned(), json!({"name": call.name, "arguments": call.arguments}));
                    calls.push(Value::Object(written));
                }
                block => said.push(block.clone()),
            }
        }
        if message.content.form != Form::Absent {
            fields.insert("content".to_owned(), content(&said, message.content.form, true));
        }
        if !calls.is_empty() {
            fields.insert("tool_calls".to_owned(), Value::Array(calls));
        }
        self.messages.push(Value::Object(fields));
    }

    fn instruct(&mut self, system: &Content) {
        let said: Vec<Block> = system.blocks.iter().filter(|block| !block.is_empty_text()).cloned().collect();
        self.marks(&said);
        if !said.is_empty() {
            self.messages.push(json!({"role": "system", "content": joined(&said, "\n\n")}));
        }
    }

    fn message(&mut self, at: usize, message: &Message) -> Result<(), ApiError> {
        if message.rest.get("name").is_some_and(|name| !name.is_null()) {
            self.ledger.note("messages.name");
        }
        match message.role {
            Role::System | Role::Developer => {
                self.instruct(&message.content);
                Ok(())
            }
            Role::User | Role::Tool => self.user(at, &message.content.blocks),
            Role::Assistant => self.assistant(at, &message.content.blocks),
        }
    }

    /// What a user says. Results of tools come first, each a message of its own.
    fn user(&mut self, at: usize, blocks: &[Block]) -> Result<(), ApiError> {
        let mut said = Vec::new();
        for block in blocks {
            match block {
                Block::ToolResult(result) => self.result(result, &mut said),
                block => said.push(block.clone()),
            }
        }
        let said = self.sayable(at, said)?;
        if !said.is_empty() {
            let form = if said.iter().all(|block| matches!(block, Block::Text(_))) { Form::Text } else { Form::Parts };
            self.messages.push(json!({"role": "user", "content": content(&said, form, false)}));
        }
        Ok(())
    }

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
        self.marks(&said);
        if result.cache_control.is_some() {
            self.ledger.note("messages.cache_control");
        }
        let content = joined(&said, "\n");
        self.messages.push(json!({"role": "tool", "tool_call_id": result.id, "content": content}));
    }

    /// What of these can be said here.
    fn sayable(&mut self, at: usize, blocks: Vec<Block>) -> Result<Vec<Block>, ApiError> {
        self.marks(&blocks);
        let param = || format!("messages[{at}].content");
        let mut said = Vec::new();
        for block in blocks {
            match &block {
                block if block.is_empty_text() => {}
                Block::Opaque(_) if self.ledger.drops("messages.content") => self.ledger.note("messages.content"),
                Block::Opaque(_) => return Err(self.ledger.refusal("messages.content", param())),
                Block::Media(Media { source: MediaSource::File(_), .. }) => {
                    return Err(self.ledger.refusal("messages.file_id", param()));
                }
                Block::Media(Media { kind: MediaKind::Audio, .. }) => {
                    return Err(self.ledger.refusal("messages.audio", param()));
                }
                Block::Media(Media { source: MediaSource::Text { data, .. }, .. }) => said.push(Block::text(data)),
                Block::Media(Media { kind: MediaKind::Document, .. }) => {
                    return Err(self.ledger.refusal("messages.document", param()));
                }
                _ => said.push(block),
            }
        }
        Ok(said)
    }

    fn marks(&mut self, blocks: &[Block]) {
        let marked = |block: &Block| match block {
            Block::Text(text) => text.cache_control.is_some(),
            Block::Media(media) => media.cache_control.is_some(),
            _ => false,
        };
        if blocks.iter().any(marked) {
            self.ledger.note("messages.cache_control");
        }
        let cites = |block: &Block| matches!(block, Block::Text(text) if text.rest.get("citations").is_some_and(|cites| !cites.is_null()));
        if blocks.iter().any(cites) {
            self.ledger.note("messages.citations");
        }
    }

    fn assistant(&mut self, at: usize, blocks: &[Block]) -> Result<(), ApiError> {
        let (mut said, mut calls) = (Vec::new(), Vec::new());
        for block in blocks {
            match block {
                // Only what thinks sends it back, and it needs no earlier thinking.
                Block::Thinking(_) => self.ledger.note("messages.thinking"),
                Block::ToolCall(call) => {
                    let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
                    let function = json!({"name": call.name, "arguments": arguments});
                    calls.push(json!({"id": call.id, "type": "function", "function": function}));
                }
                Block::Refusal(text) => said.push(Block::text(text.text.as_str())),
                block => said.push(block.clone()),
            }
        }
        let said = self.sayable(at, said)?;
        let mut fields = Fields::new();
        fields.insert("role".to_owned(), Value::from("assistant"));
        if !said.is_empty() {
            fields.insert("content".to_owned(), content(&said, Form::Text, false));
        }
        if !calls.is_empty() {
            fields.insert("tool_calls".to_owned(), Value::Array(calls));
        }
        if fields.len() > 1 {
            self.messages.push(Value::Object(fields));
        }
        Ok(())
    }

    fn tools(&mut self, request: &ChatRequest, body: &mut Fields) -> Result<(), ApiError> {
        let native = self.ledger.is_native();
        let mode = request.tool_choice.as_ref().map(|choice| &choice.mode);
        let only: Option<Vec<&str>> = match mode {
            Some(ToolMode::One { name }) => Some(vec![name]),
            Some(ToolMode::Allowed { names, .. }) => Some(names.iter().map(String::as_str).collect()),
            _ => None,
        };
        if only.is_some() {
            self.ledger.note("tool_choice");
        }
        if let Some(tools) = request.tools.as_ref().filter(|tools| native || !tools.is_empty()) {
            let mut written = Vec::with_capacity(tools.len());
            for (at, tool) in tools.iter().enumerate() {
                match tool {
                    Tool::Function(function) if only.as_ref().is_none_or(|only| only.contains(&&*function.name)) => {
                        written.push(write_tool(function, native));
                    }
                    Tool::Function(_) => {}
                    Tool::Opaque(opaque) if native => written.push(opaque.json.clone()),
                    Tool::Opaque(_) => return Err(self.ledger.refusal("tools", format!("tools[{at}]"))),
                }
            }
            body.insert("tools".to_owned(), Value::Array(written));
        }
        if request.parallel_tool_calls == Some(false) {
            self.ledger.note("parallel_tool_calls");
        }
        let choice = match mode {
            Some(ToolMode::None) => Some("NONE"),
            Some(ToolMode::Required | ToolMode::One { .. } | ToolMode::Allowed { required: true, .. }) => {
                Some("REQUIRED")
            }
            Some(ToolMode::Auto | ToolMode::Allowed { required: false, .. }) | None => None,
        };
        // Without tools there is nothing to choose, and Cohere refuses the choice.
        set(body, "tool_choice", choice.filter(|_| native || body.contains_key("tools")));
        Ok(())
    }

    fn parameters(&mut self, request: &ChatRequest, body: &mut Fields) {
        let native = self.ledger.is_native();
        set(body, "stream", request.stream);
        set(body, "max_tokens", request.max_tokens);
        let hot =
            request.temperature.as_ref().and_then(serde_json::Number::as_f64).is_some_and(|degrees| degrees > 1.0);
        if hot && !native {
            self.ledger.note("temperature");
            set(body, "temperature", Some(1));
        } else {
            set(body, "temperature", request.temperature.clone());
        }
        set(body, "p", request.top_p.clone());
        if let Some(stops) = &request.stop {
            let most = if native { stops.len() } else { MOST_STOPS };
            if stops.len() > most {
                self.ledger.note("stop");
            }
            set(body, "stop_sequences", Some(stops.iter().take(most).cloned().collect::<Vec<_>>()));
        }
        if request.user.is_some() {
            self.ledger.note("user");
        }
        match &request.response_format {
            Some(ResponseFormat::Text) if native => set(body, "response_format", Some(json!({"type": "text"}))),
            Some(ResponseFormat::JsonObject) => set(body, "response_format", Some(json!({"type": "json_object"}))),
            Some(ResponseFormat::JsonSchema { schema: Some(schema), field, .. }) => {
                let name = if native && *field == FormatField::OutputFormat { "schema" } else { "json_schema" };
                set(body, "response_format", Some(json!({"type": "json_object", name: schema})));
            }
            Some(ResponseFormat::Opaque(opaque)) if native => {
                set(body, "response_format", Some(opaque.json.clone()));
            }
            _ => {}
        }
        set(body, "thinking", self.thinking(request));
    }

    fn thinking(&mut self, request: &ChatRequest) -> Option<Value> {
        let on = |tokens: u64| json!({"type": "enabled", "token_budget": tokens});
        if let Some(thinking) = &request.thinking {
            let mut written = match thinking.mode {
                ThinkingMode::Off => json!({"type": "disabled"}),
                ThinkingMode::Adaptive => json!({"type": "enabled"}),
                ThinkingMode::Budget { tokens } => on(tokens),
            };
            if let (true, Some(fields)) = (self.ledger.is_native(), written.as_object_mut()) {
                fields.extend(thinking.rest.clone());
            }
            return Some(written);
        }
        match request.effort.as_deref()? {
            "none" => Some(json!({"type": "disabled"})),
            word => {
                let budget = effort::budget(word)?;
                self.ledger.note("reasoning_effort");
                Some(on(budget))
            }
        }
    }
}

fn write_tool(tool: &ToolFunction, native: bool) -> Value {
    let mut inner = if native { tool.inner_rest.clone() } else { Fields::new() };
    inner.insert("name".to_owned(), Value::from(tool.name.as_str()));
    set(&mut inner, "description", tool.description.as_deref());
    match &tool.parameters {
        None if native => {}
        None => drop(inner.insert("parameters".to_owned(), json!({"type": "object", "properties": {}}))),
        Some(schema) => drop(inner.insert("parameters".to_owned(), schema.clone())),
    }
    set(&mut inner, "strict", tool.strict.filter(|_| native));
    let mut outer = if native { tool.rest.clone() } else { Fields::new() };
    if !native {
        outer.insert("type".to_owned(), Value::from("function"));
    }
    outer.insert("function".to_owned(), Value::Object(inner));
    Value::Object(outer)
}

/// The texts among blocks, as one.
fn joined(blocks: &[Block], joint: &str) -> String {
    let text = |block: &Block| match block {
        Block::Text(text) | Block::Refusal(text) => Some(text.text.clone()),
        _ => None,
    };
    blocks.iter().filter_map(text).collect::<Vec<_>>().join(joint)
}

fn content(blocks: &[Block], form: Form, native: bool) -> Value {
    match form {
        Form::Text => Value::from(joined(blocks, if native { "" } else { "\n\n" })),
        _ => blocks.iter().filter_map(|block| write_part(block, native)).collect(),
    }
}

fn write_part(block: &Block, native: bool) -> Option<Value> {
    let (mut part, rest) = match block {
        Block::Text(text) | Block::Refusal(text) => (json!({"type": "text", "text": text.text}), Some(&text.rest)),
        Block::Thinking(thinking) => (json!({"type": "thinking", "thinking": thinking.text}), Some(&thinking.rest)),
        Block::Media(media) => {
            let url = match &media.source {
                MediaSource::Base64 { mime, data } => format!("data:{mime};base64,{data}"),
                MediaSource::Url(url) => url.clone(),
                MediaSource::File(_) | MediaSource::Text { .. } => return None,
            };
            let mut inner = if native { media.rest.clone() } else { Fields::new() };
            inner.insert("url".to_owned(), Value::from(url));
            if let (false, Some(detail)) = (native, media.rest.get("detail")) {
                inner.insert("detail".to_owned(), detail.clone());
            }
            (json!({"type": "image_url", "image_url": inner}), None)
        }
        Block::Opaque(opaque) => return native.then(|| opaque.json.clone()),
        Block::ToolCall(_) | Block::ToolResult(_) => return None,
    };
    if let (true, Some(rest)) = (native, rest) {
        part.as_object_mut()?.extend(rest.clone());
    }
    Some(part)
}
