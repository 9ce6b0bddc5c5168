//! Requests, written.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::content::{write_content, write_part};
use super::decode::BARE;
use super::item::write_item;
use crate::chat::{
    Block, ChatRequest, Content, Form, Media, MediaSource, Message, ResponseFormat, Role, Text, ThinkingMode, Tool,
    ToolFunction, ToolMode,
};
use crate::effort;
use crate::loss::Ledger;
use crate::{ApiError, DialectId, Encoded, Provider};

type Fields = Map<String, Value>;

pub(super) fn request(request: &ChatRequest, model: &str, provider: &Provider) -> Result<Encoded, ApiError> {
    let ledger = Ledger::new(request.dialect, DialectId::OpenAiResponses);
    let mut writer = Writer { provider, ledger, items: Vec::new() };
    let mut body = Fields::new();
    set(&mut body, "model", Some(model).filter(|model| !model.is_empty()));
    if let Some(system) = &request.system {
        body.insert("instructions".to_owned(), Value::from(joined(system)));
    }
    if let Some(input) = writer.input(request)? {
        body.insert("input".to_owned(), input);
    }
    writer.parameters(request, &mut body)?;
    writer.tools(request, &mut body)?;
    for (field, value) in &request.rest {
        let (name, value) = match writer.ledger.is_native() {
            true => (field.as_str(), value.clone()),
            false => match writer.ledger.carry(field, value)? {
                Some(carried) => carried,
                None => continue,
            },
        };
        match (body.get_mut(name), value) {
            (Some(Value::Object(held)), Value::Object(more)) => held.extend(more),
            (Some(_), _) => {}
            (None, value) => drop(body.insert(name.to_owned(), value)),
        }
    }
    Ok(Encoded { body: Bytes::from(Value::Object(body).to_string()), notes: writer.ledger.into_notes() })
}

fn set<T: Into<Value>>(body: &mut Fields, name: &str, value: Option<T>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value.into());
    }
}

fn joined(content: &Content) -> String {
    let text = |block: &Block| match block {
        Block::Text(Text { text, .. }) => Some(text.clone()),
        _ => None,
    };
    content.blocks.iter().filter_map(text).collect::<Vec<_>>().join("\n\n")
}

struct Writer<'a> {
    provider: &'a Provider,
    ledger: Ledger,
    items: Vec<Value>,
}

impl Writer<'_> {
    /// The input; nothing where there was none.
    fn input(&mut self, request: &ChatRequest) -> Result<Option<Value>, ApiError> {
        if let [Message { content, rest, .. }] = &request.messages[..]
            && rest.contains_key(BARE)
        {
            return Ok(Some(Value::from(joined(content))));
        }
        if self.ledger.is_native() {
            request.messages.iter().for_each(|message| self.native(message));
        } else {
            request.turns().iter().try_for_each(|message| self.translated(message))?;
        }
        let none = self.items.is_empty() && self.ledger.is_native() && !request.rest.contains_key("input");
        // An empty list and no list are told apart by what else says what to answer.
        let templated = ["prompt", "previous_response_id", "conversation"];
        let absent = none && templated.iter().any(|field| request.rest.contains_key(*field));
        if request.rest.contains_key("input") || absent {
            return Ok(None);
        }
        Ok(Some(Value::Array(std::mem::take(&mut self.items))))
    }

    fn native(&mut self, message: &Message) {
        if let [block] = &message.content.blocks[..]
            && message.rest.is_empty()
            && let Some(item) = write_item(block, true)
        {
            return self.items.push(item);
        }
        let (role, said) = (self.role(message.role, true), said(message.role));
        let mut fields = Fields::new();
        fields.insert("role".to_owned(), Value::from(role));
        if message.content.form != Form::Absent {
            let content = write_content(&message.content.blocks, message.content.form, said, true);
            fields.insert("content".to_owned(), content);
        }
        fields.extend(message.rest.clone());
        self.items.push(Value::Object(fields));
    }

    fn role(&self, role: Role, native: bool) -> &'static str {
        match role {
            Role::System => "system",
            Role::Developer if native || self.provider.quirks.developer_role => "developer",
            Role::Developer => "system",
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        }
    }

    /// A message of another dialect: its calls, results and reasoning become items, what is said around them messages.
    fn translated(&mut self, message: &Message) -> Result<(), ApiError> {
        if message.rest.get("name").is_some_and(|name| !name.is_null()) {
            self.ledger.note("messages.name");
        }
        let (role, word) = (self.role(message.role, false), said(message.role));
        let (mut parts, mut results) = (Vec::new(), 0);
        for block in message.content.blocks.iter().filter(|block| !block.is_empty_text()) {
            match block {
                Block::ToolCall(_) => {
                    self.flush(role, word, &mut parts);
                    self.items.extend(write_item(block, false));
                }
                Block::ToolResult(result) => {
                    let mut result = result.clone();
                    result.content.iter().try_for_each(|block| self.check(block))?;
                    if result.is_error == Some(true) {
                        self.ledger.note("messages.tool_result.is_error");
                        result.content.insert(0, Block::text("The tool failed:"));
                    }
                    if result.content.len() != 1 {
                        result.form = Form::Parts;
                    }
                    // Results come before what is said beside them, as each answers a call.
                    self.items.extend(write_item(&Block::ToolResult(result), false));
                    results += 1;
                }
                Block::Thinking(_) => match write_item(block, false) {
                    Some(item) => {
                        self.flush(role, word, &mut parts);
                        self.items.push(item);
                    }
                    None => self.ledger.note("messages.thinking"),
                },
                Block::Opaque(_) => self.ledger.note("messages.content"),
                block => {
                    self.check(block)?;
                    parts.push(block.clone());
                }
            }
        }
        if parts.is_empty() && results == 0 && message.content.blocks.iter().all(Block::is_empty_text) {
            return Ok(());
        }
        self.flush(role, word, &mut parts);
        Ok(())
    }

    /// Refuses media that cannot be said here, and notes what goes with a block and is lost.
    fn check(&mut self, block: &Block) -> Result<(), ApiError> {
        match block {
            Block::Media(Media { source: MediaSource::File(_), .. }) => {
                return Err(self.ledger.refusal("messages.file_id", "messages"));
            }
            Block::Media(media) if media.cache_control.is_some() => self.ledger.note("messages.cache_control"),
            Block::Text(text) => {
                if text.cache_control.is_some() {
                    self.ledger.note("messages.cache_control");
                }
                if text.rest.get("citations").is_some_and(|citations| !citations.is_null()) {
                    self.ledger.note("messages.citations");
                }
            }
            _ => {}
        }
        if matches!(block, Block::Media(_)) && write_part(block, "input_text", false).is_none() {
            return Err(self.ledger.refusal("messages.content", "messages"));
        }
        Ok(())
    }

    fn flush(&mut self, role: &str, word: &str, parts: &mut Vec<Block>) {
        let blocks = std::mem::take(parts);
        if blocks.is_empty() {
            return;
        }
        let content = write_content(&blocks, Form::Text, word, false);
        self.items.push(json!({"role": role, "content": content}));
    }

    fn parameters(&mut self, request: &ChatRequest, body: &mut Fields) -> Result<(), ApiError> {
        let native = self.ledger.is_native();
        set(body, "max_output_tokens", request.max_tokens);
        set(body, "temperature", request.temperature.clone());
        set(body, "top_p", request.top_p.clone());
        if request.stop.as_ref().is_some_and(|stops| !stops.is_empty()) {
            self.ledger.note(if request.dialect == DialectId::OpenAiChat { "stop" } else { "stop_sequences" });
        }
        set(body, "user", request.user.as_deref());
        set(body, "stream", request.stream);
        let mut effort = request.effort.clone();
        if let (None, Some(thinking)) = (&effort, &request.thinking)
            && let ThinkingMode::Budget { tokens } = thinking.mode
        {
            self.ledger.note("thinking");
            effort = Some(effort::of_budget(tokens).to_owned());
        }
        if !native {
            // The API keeps answers unless told otherwise; no other API does, so no caller of one expects it.
            body.insert("store".to_owned(), Value::from(false));
            if effort.is_some() {
                body.insert("include".to_owned(), json!(["reasoning.encrypted_content"]));
            }
        }
        if let Some(effort) = effort {
            body.insert("reasoning".to_owned(), json!({ "effort": effort }));
        }
        if let Some(format) = request.response_format.as_ref().and_then(write_format) {
            body.insert("text".to_owned(), json!({ "format": format }));
        }
        Ok(())
    }

    fn tools(&mut self, request: &ChatRequest, body: &mut Fields) -> Result<(), ApiError> {
        let native = self.ledger.is_native();
        if let Some(tools) = &request.tools {
            let write = |(at, tool): (usize, &Tool)| match tool {
                Tool::Function(function) => Ok(write_tool(function, native)),
                Tool::Opaque(opaque) if native => Ok(opaque.json.clone()),
                Tool::Opaque(_) => Err(self.ledger.refusal("tools", format!("tools[{at}]"))),
            };
            let tools = tools.iter().enumerate().map(write).collect::<Result<Vec<_>, _>>()?;
            body.insert("tools".to_owned(), Value::Array(tools));
        }
        if let Some(choice) = &request.tool_choice {
            let named = |name: &str| json!({"type": "function", "name": name});
            let written = match &choice.mode {
                _ if native => choice.native.clone(),
                ToolMode::Auto => json!("auto"),
                ToolMode::None => json!("none"),
                ToolMode::Required => json!("required"),
                ToolMode::One { name } => named(name),
                ToolMode::Allowed { names, required } => {
                    let tools: Vec<_> = names.iter().map(|name| named(name)).collect();
                    json!({"type": "allowed_tools", "mode": if *required { "required" } else { "auto" }, "tools": tools})
                }
            };
            body.insert("tool_choice".to_owned(), written);
        }
        set(body, "parallel_tool_calls", request.parallel_tool_calls);
        Ok(())
    }
}

const fn said(role: Role) -> &'static str {
    match role {
        Role::Assistant => "output_text",
        _ => "input_text",
    }
}

fn write_tool(tool: &ToolFunction, native: bool) -> Value {
    let mut fields = Fields::new();
    fields.insert("type".to_owned(), Value::from("function"));
    set(&mut fields, "name", Some(tool.name.as_str()));
    set(&mut fields, "description", tool.description.as_deref());
    let empty = || json!({"type": "object", "properties": {}});
    set(&mut fields, "parameters", tool.parameters.clone().or_else(|| (!native).then(empty)));
    // Unlike all others, this API is strict unless told otherwise.
    set(&mut fields, "strict", tool.strict.or((!native).then_some(false)));
    if native {
        fields.extend(tool.rest.clone());
    }
    Value::Object(fields)
}

fn write_format(format: &ResponseFormat) -> Option<Value> {
    Some(match format {
        ResponseFormat::Text => json!({"type": "text"}),
        ResponseFormat::JsonObject => json!({"type": "json_object"}),
        ResponseFormat::JsonSchema { schema, name, rest, .. } => {
            let mut fields = Fields::new();
            fields.insert("type".to_owned(), Value::from("json_schema"));
            fields.insert("name".to_owned(), Value::from(name.as_deref().unwrap_or("response")));
            set(&mut fields, "schema", schema.clone());
            fields.extend(rest.clone());
            Value::Object(fields)
        }
        ResponseFormat::Opaque(opaque) if opaque.dialect == DialectId::OpenAiResponses => opaque.json.clone(),
        ResponseFormat::Opaque(_) => return None,
    })
}
