//! Requests, written.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::content::{write_part, write_reasoning};
use crate::chat::{
    Block, ChatRequest, Content, Form, MaxTokensName, Media, MediaSource, Message, ResponseFormat, Role, Text,
    Thinking, ThinkingField, ThinkingMode, Tool, ToolCall, ToolFunction, ToolMode, ToolResult,
};
use crate::effort;
use crate::loss::Ledger;
use crate::provider::{MaxTokensField, StreamUsage, ThinkingReplay};
use crate::{ApiError, DialectId, Encoded, Provider};

type Fields = Map<String, Value>;

/// Stop texts OpenAI takes.
const MOST_STOPS: usize = 4;

pub(super) fn request(request: &ChatRequest, model: &str, provider: &Provider) -> Result<Encoded, ApiError> {
    let mut writer =
        Writer { provider, ledger: Ledger::new(request.dialect, DialectId::OpenAiChat), messages: Vec::new() };
    if let Some(system) = &request.system {
        writer.system(system);
    }
    let turns = if writer.ledger.is_native() { Cow::from(&request.messages) } else { Cow::from(request.turns()) };
    for message in turns.iter() {
        writer.message(message)?;
    }
    let mut body = Fields::new();
    set(&mut body, "model", Some(model).filter(|model| !model.is_empty()));
    body.insert("messages".to_owned(), Value::Array(std::mem::take(&mut writer.messages)));
    writer.parameters(request, &mut body)?;
    writer.tools(request, &mut body)?;
    if writer.ledger.is_native() {
        merge(&mut body, &request.rest);
    } else {
        for (field, value) in &request.rest {
            if let Some((name, value)) = writer.ledger.carry(field, value)? {
                body.insert(name.to_owned(), value);
            }
        }
    }
    Ok(Encoded { body: Bytes::from(Value::Object(body).to_string()), notes: writer.ledger.into_notes() })
}

/// Adds fields that are not there; objects that are there are added to.
fn merge(body: &mut Fields, rest: &Fields) {
    for (key, value) in rest {
        match (body.get_mut(key), value) {
            (Some(Value::Object(held)), Value::Object(more)) => held.extend(more.clone()),
            (Some(_), _) => {}
            (None, value) => drop(body.insert(key.clone(), value.clone())),
        }
    }
}

fn set<T: Into<Value>>(body: &mut Fields, name: &str, value: Option<T>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value.into());
    }
}

struct Writer<'a> {
    provider: &'a Provider,
    ledger: Ledger,
    messages: Vec<Value>,
}

impl Writer<'_> {
    fn parameters(&mut self, request: &ChatRequest, body: &mut Fields) -> Result<(), ApiError> {
        let name = match (self.provider.quirks.max_tokens_field, request.max_tokens_name) {
            (MaxTokensField::MaxTokens, _) | (MaxTokensField::AsAsked, MaxTokensName::MaxTokens) => "max_tokens",
            _ => "max_completion_tokens",
        };
        set(body, name, request.max_tokens);
        set(body, "temperature", request.temperature.clone());
        set(body, "top_p", request.top_p.clone());
        match &request.stop {
            Some(stops) if request.stop_is_text && stops.len() == 1 => set(body, "stop", Some(stops[0].as_str())),
            Some(stops) => {
                let most = if self.ledger.is_native() { stops.len() } else { MOST_STOPS };
                if stops.len() > most {
                    self.ledger.note("stop_sequences");
                }
                set(body, "stop", Some(stops.iter().take(most).cloned().collect::<Vec<_>>()));
            }
            None => {}
        }
        set(body, "user", request.user.as_deref());
        set(body, "stream", request.stream);
        let asks = !self.ledger.is_native()
            && request.stream == Some(true)
            && self.provider.quirks.stream_usage == StreamUsage::Inject;
        if let Some(include) = request.include_usage.or(asks.then_some(true)) {
            body.insert("stream_options".to_owned(), json!({ "include_usage": include }));
        }
        if let Some(format) = &request.response_format {
            set(body, "response_format", response_format(format));
        }
        let mut effort = request.effort.clone();
        match &request.thinking {
            Some(thinking) if self.ledger.is_native() => {
                if let ThinkingMode::Budget { tokens } = thinking.mode {
                    body.insert("thinking".to_owned(), json!({"type": "enabled", "budget_tokens": tokens}));
                }
            }
            Some(thinking) if effort.is_none() => {
                if let ThinkingMode::Budget { tokens } = thinking.mode {
                    self.ledger.note("thinking");
                    effort = Some(effort::of_budget(tokens).to_owned());
                }
            }
            _ => {}
        }
        set(body, "reasoning_effort", effort);
        Ok(())
    }

    fn tools(&mut self, request: &ChatRequest, body: &mut Fields) -> Result<(), ApiError> {
        let native = self.ledger.is_native();
        if let Some(tools) = &request.tools {
            let write = |(at, tool): (usize, &Tool)| match tool {
                Tool::Function(function) => Ok(self.tool(function)),
                Tool::Opaque(opaque) if native => Ok(opaque.json.clone()),
                Tool::Opaque(_) => Err(self.ledger.refusal("tools", format!("tools[{at}]"))),
            };
            let tools = tools.iter().enumerate().map(write).collect::<Result<Vec<_>, _>>()?;
            body.insert("tools".to_owned(), Value::Array(tools));
        }
        if let Some(choice) = &request.tool_choice {
            let written = match &choice.mode {
                _ if native => choice.native.clone(),
                ToolMode::Auto => json!("auto"),
                ToolMode::None => json!("none"),
                ToolMode::Required => json!("required"),
                ToolMode::One { name } => json!({"type": "function", "function": {"name": name}}),
                ToolMode::Allowed { names, required } => {
                    let tool = |name| json!({"type": "function", "function": {"name": name}});
                    let tools: Vec<_> = names.iter().map(tool).collect();
                    let mode = if *required { "required" } else { "auto" };
                    json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}})
                }
            };
            body.insert("tool_choice".to_owned(), written);
        }
        set(body, "parallel_tool_calls", request.parallel_tool_calls);
        Ok(())
    }

    fn tool(&self, tool: &ToolFunction) -> Value {
        let native = self.ledger.is_native();
        let mut inner = Fields::new();
        inner.insert("name".to_owned(), Value::from(tool.name.as_str()));
        set(&mut inner, "description", tool.description.as_deref());
        set(&mut inner, "parameters", tool.parameters.clone());
        set(&mut inner, "strict", tool.strict);
        let mut outer = Fields::new();
        if native {
            inner.extend(tool.inner_rest.clone());
            outer.extend(tool.rest.clone());
        } else {
            outer.insert("type".to_owned(), Value::from("function"));
        }
        outer.insert("function".to_owned(), Value::Object(inner));
        if native || self.provider.quirks.cache_control {
            set(&mut outer, "cache_control", tool.cache_control.clone());
        }
        Value::Object(outer)
    }

    fn system(&mut self, system: &Content) {
        let content = self.content(&system.blocks, system.form, "\n\n");
        self.messages.push(json!({ "role": "system", "content": content }));
    }

    fn message(&mut self, message: &Message) -> Result<(), ApiError> {
        let blocks = &message.content.blocks;
        if !self.ledger.is_native() && !blocks.is_empty() && blocks.iter().all(|b| matches!(b, Block::Opaque(_))) {
            self.ledger.note("messages.content");
            return Ok(());
        }
        let role = match message.role {
            Role::System => "system",
            Role::Developer if self.provider.quirks.developer_role => "developer",
            Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => return self.assistant(message),
            Role::Tool if self.ledger.is_native() => "tool",
            // What stands beside a result of a tool is said by whoever ran it.
            Role::Tool => "user",
        };
        let is_result = |block: &&Block| matches!(block, Block::ToolResult(_));
        // All results come before anything else is said: OpenAI wants every call answered first.
        let mut after = Vec::new();
        for block in message.content.blocks.iter().filter(is_result) {
            if let Block::ToolResult(result) = block {
                self.tool_result(result, &mut after);
            }
        }
        let native = self.ledger.is_native();
        let own = message.content.blocks.iter().filter(|block| !is_result(block)).cloned();
        after.extend(own);
        if after.is_empty() && message.content.blocks.iter().any(|block| is_result(&block)) {
            return Ok(());
        }
        self.check(&after)?;
        let mut fields = Fields::new();
        fields.insert("role".to_owned(), Value::from(role));
        if message.content.form != Form::Absent || !after.is_empty() {
            fields.insert("content".to_owned(), self.content(&after, message.content.form, "\n\n"));
        }
        if native {
            fields.extend(message.rest.clone());
        }
        self.messages.push(Value::Object(fields));
        Ok(())
    }

    /// Refuses media that cannot be said here.
    fn check(&self, blocks: &[Block]) -> Result<(), ApiError> {
        for block in blocks {
            let Block::Media(media) = block else { continue };
            if matches!(media.source, MediaSource::File(_)) && !self.ledger.is_native() {
                return Err(self.ledger.refusal("messages.file_id", "messages"));
            }
            if write_part(block, self.ledger.is_native(), false).is_none() {
                return Err(self.ledger.refusal("messages.document", "messages"));
            }
        }
        Ok(())
    }

    /// A result as a message of its own. Its pictures and documents, for which there is no place in it, go to `after`.
    fn tool_result(&mut self, result: &ToolResult, after: &mut Vec<Block>) {
        let native = self.ledger.is_native();
        let mut fields = Fields::new();
        fields.insert("role".to_owned(), Value::from("tool"));
        if native {
            if result.form != Form::Absent {
                fields.insert("content".to_owned(), self.content(&result.content, result.form, "\n"));
            }
            set(&mut fields, "tool_call_id", Some(result.id.as_str()).filter(|id| !id.is_empty()));
            fields.extend(result.rest.clone());
            self.messages.push(Value::Object(fields));
            return;
        }
        let (media, mut said): (Vec<_>, Vec<_>) =
            result.content.iter().cloned().partition(|block| matches!(block, Block::Media(Media { .. })));
        if !media.is_empty() {
            self.ledger.note("messages.tool_result.content");
            after.extend(media);
        }
        if result.is_error == Some(true) {
            self.ledger.note("messages.tool_result.is_error");
            said.insert(0, Block::text("The tool failed:"));
        }
        if result.cache_control.is_some() && !self.provider.quirks.cache_control {
            self.ledger.note("messages.cache_control");
        }
        fields.insert("content".to_owned(), self.content(&said, Form::Text, "\n"));
        fields.insert("tool_call_id".to_owned(), Value::from(result.id.as_str()));
        self.messages.push(Value::Object(fields));
    }

    fn assistant(&mut self, message: &Message) -> Result<(), ApiError> {
        let native = self.ledger.is_native();
        let mut fields = Fields::new();
        fields.insert("role".to_owned(), Value::from("assistant"));
        let (mut said, mut calls, mut thought, mut refusal) = (Vec::new(), Vec::new(), Vec::new(), None);
        for block in &message.content.blocks {
            match block {
                Block::Thinking(thinking) if thinking.field == ThinkingField::Part && native => {
                    said.push(block.clone())
                }
                Block::Thinking(thinking) => thought.push(thinking),
                Block::ToolCall(call) => calls.push(self.call(call)),
                Block::Opaque(opaque) if native && opaque.json.get("id").is_some() => calls.push(opaque.json.clone()),
                Block::Refusal(text) if !native || message.content.form != Form::Parts => {
                    refusal = Some(text.text.clone())
                }
                _ => said.push(block.clone()),
            }
        }
        self.check(&said)?;
        if !said.is_empty() || message.content.form == Form::Parts && native {
            fields.insert("content".to_owned(), self.content(&said, message.content.form, ""));
        } else if !native {
            fields.insert("content".to_owned(), Value::Null);
        }
        set(&mut fields, "refusal", refusal);
        self.thinking(&thought, &mut fields);
        if !calls.is_empty() {
            fields.insert("tool_calls".to_owned(), Value::Array(calls));
        }
        if native {
            fields.extend(message.rest.clone());
        }
        self.messages.push(Value::Object(fields));
        Ok(())
    }

    fn call(&self, call: &ToolCall) -> Value {
        let native = self.ledger.is_native();
        let mut fields = Fields::new();
        set(&mut fields, "id", Some(call.id.as_str()).filter(|id| !id.is_empty()));
        if native {
            fields.extend(call.rest.clone());
            set(&mut fields, "cache_control", call.cache_control.clone());
        } else {
            fields.insert("type".to_owned(), Value::from("function"));
        }
        let arguments = if native || !call.arguments.is_empty() { call.arguments.as_str() } else { "{}" };
        fields.insert("function".to_owned(), json!({ "name": call.name, "arguments": arguments }));
        Value::Object(fields)
    }

    fn thinking(&mut self, thought: &[&Thinking], fields: &mut Fields) {
        let Some(first) = thought.first() else { return };
        let field = if self.ledger.is_native() {
            first.field
        } else {
            match self.provider.quirks.thinking_replay {
                ThinkingReplay::None => {
                    self.ledger.note("messages.thinking");
                    return;
                }
                ThinkingReplay::ReasoningContent => ThinkingField::ReasoningContent,
                ThinkingReplay::Reasoning => ThinkingField::Reasoning,
                ThinkingReplay::ReasoningDetails => ThinkingField::ReasoningDetails,
            }
        };
        let name = match field {
            ThinkingField::ThinkingBlocks => "thinking_blocks",
            ThinkingField::ReasoningDetails => "reasoning_details",
            ThinkingField::Reasoning => "reasoning",
            _ => "reasoning_content",
        };
        let value = match field {
            ThinkingField::ThinkingBlocks | ThinkingField::ReasoningDetails => {
                Value::Array(thought.iter().map(|thinking| write_reasoning(thinking, field)).collect())
            }
            _ => Value::from(thought.iter().map(|thinking| thinking.text.as_str()).collect::<String>()),
        };
        fields.insert(name.to_owned(), value);
    }

    /// Blocks as a string where they were or must be one, else as parts.
    fn content(&mut self, blocks: &[Block], form: Form, joint: &str) -> Value {
        let native = self.ledger.is_native();
        if native && form == Form::Parts {
            return blocks.iter().filter_map(|block| write_part(block, true, true)).collect();
        }
        let cached = self.provider.quirks.cache_control;
        let mut texts = Some(Vec::new());
        for block in blocks {
            match block {
                Block::Text(Text { text, cache_control, rest }) => {
                    if cache_control.is_some() && !cached {
                        self.ledger.note("messages.cache_control");
                    }
                    if rest.get("citations").is_some_and(|citations| !citations.is_null()) {
                        self.ledger.note("messages.citations");
                    }
                    match &mut texts {
                        Some(texts) if !cached || cache_control.is_none() => texts.push(text.as_str()),
                        _ => texts = None,
                    }
                }
                Block::Opaque(_) if !native => self.ledger.note("messages.content"),
                _ => texts = None,
            }
        }
        match texts {
            Some(texts) => Value::from(texts.join(joint)),
            None => blocks.iter().filter_map(|block| write_part(block, native, cached)).collect(),
        }
    }
}

fn response_format(format: &ResponseFormat) -> Option<Value> {
    Some(match format {
        ResponseFormat::Text => json!({"type": "text"}),
        ResponseFormat::JsonObject => json!({"type": "json_object"}),
        ResponseFormat::JsonSchema { schema, name, rest, .. } => {
            let mut inner = Fields::new();
            // OpenAI wants a name; Anthropic's formats have none.
            inner.insert("name".to_owned(), Value::from(name.as_deref().unwrap_or("response")));
            set(&mut inner, "schema", schema.clone());
            inner.extend(rest.clone());
            json!({"type": "json_schema", "json_schema": inner})
        }
        ResponseFormat::Opaque(opaque) if opaque.dialect == DialectId::OpenAiChat => opaque.json.clone(),
        ResponseFormat::Opaque(_) => return None,
    })
}
