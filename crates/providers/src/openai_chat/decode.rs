//! Requests, read.

use serde_json::Value;

use super::content::{content, reasoning, tool_calls};
use crate::chat::{
    Block, ChatRequest, Content, FormatField, MaxTokensName, Message, Opaque, ResponseFormat, Role, Text, ThinkingMode,
    ThinkingRequest, Tool, ToolChoice, ToolFunction, ToolMode, ToolResult,
};
use crate::object::{Object, text, wrong};
use crate::{ApiError, DialectId};

type Read<T> = Result<T, ApiError>;

pub(super) fn request(body: &[u8]) -> Read<ChatRequest> {
    let mut fields = Object::parse(body)?;
    let mut request = ChatRequest::new(DialectId::OpenAiChat);
    request.model = fields.string("model")?;
    let messages = fields.array("messages")?.ok_or_else(|| fields.missing("messages"))?;
    request.messages =
        messages.into_iter().enumerate().map(|(at, value)| message(value, at)).collect::<Read<Vec<_>>>()?;
    request.tools = match fields.array("tools")? {
        Some(tools) => Some(tools.into_iter().enumerate().map(|(at, value)| tool(value, at)).collect::<Read<_>>()?),
        None => None,
    };
    request.tool_choice = fields.take("tool_choice").map(tool_choice).transpose()?;
    request.parallel_tool_calls = fields.boolean("parallel_tool_calls")?;
    (request.max_tokens, request.max_tokens_name) = match fields.count("max_completion_tokens")? {
        Some(most) => (Some(most), MaxTokensName::MaxCompletionTokens),
        None => (fields.count("max_tokens")?, MaxTokensName::MaxTokens),
    };
    request.temperature = fields.number("temperature")?;
    request.top_p = fields.number("top_p")?;
    (request.stop, request.stop_is_text) = stop(&mut fields)?;
    request.stream = fields.boolean("stream")?;
    request.include_usage = include_usage(&mut fields)?;
    request.user = fields.string("user")?;
    request.response_format = fields.take("response_format").map(response_format).transpose()?;
    request.effort = fields.string("reasoning_effort")?;
    request.thinking = thinking(&mut fields);
    request.rest = fields.rest();
    Ok(request)
}

fn message(value: Value, at: usize) -> Read<Message> {
    let mut fields = Object::of(value, format!("messages[{at}]"))?;
    let word = fields.string("role")?.ok_or_else(|| fields.missing("role"))?;
    let role = match word.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => return Err(fields.wrong("role", "one of system, developer, user, assistant, tool")),
    };
    let path = fields.path("content");
    let mut content = content(fields.take("content"), &path)?;
    if role == Role::Tool {
        let id = fields.string("tool_call_id")?.unwrap_or_default();
        let Content { blocks, form } = content;
        let result = ToolResult { id, content: blocks, form, rest: fields.rest(), ..ToolResult::default() };
        let content = Content { blocks: vec![Block::ToolResult(result)], form };
        return Ok(Message { role, content, rest: Default::default() });
    }
    if role == Role::Assistant {
        let mut blocks = reasoning(&mut fields);
        blocks.append(&mut content.blocks);
        if let Some(text) = fields.string("refusal")? {
            blocks.push(Block::Refusal(Text { text, ..Text::default() }));
        }
        let path = fields.path("tool_calls");
        let calls = fields.array("tool_calls")?;
        if calls.as_ref().is_some_and(Vec::is_empty) {
            // An empty list is refused by some and says nothing: it goes back as it came.
            fields.put("tool_calls", Value::Array(Vec::new()));
        }
        blocks.extend(tool_calls(calls.unwrap_or_default(), &path)?);
        content.blocks = blocks;
    }
    Ok(Message { role, content, rest: fields.rest() })
}

fn tool(value: Value, at: usize) -> Read<Tool> {
    let kind = value.get("type").and_then(Value::as_str);
    if kind.is_some_and(|kind| kind != "function") || value.get("function").is_none() {
        return Ok(Tool::Opaque(Opaque { dialect: DialectId::OpenAiChat, json: value }));
    }
    let mut outer = Object::of(value, format!("tools[{at}]"))?;
    let mut inner = outer.object("function")?.ok_or_else(|| outer.missing("function"))?;
    Ok(Tool::Function(Box::new(ToolFunction {
        name: inner.string("name")?.ok_or_else(|| inner.missing("name"))?,
        description: inner.string("description")?,
        parameters: inner.take("parameters"),
        strict: inner.boolean("strict")?,
        cache_control: outer.take("cache_control"),
        rest: outer.rest(),
        inner_rest: inner.rest(),
    })))
}

fn tool_choice(native: Value) -> Read<ToolChoice> {
    const WHAT: &str = "auto, none, required or an object that names a function";
    let name = |value: &Value| text(value.get("function")?.get("name")).map(str::to_owned);
    let mode = match native.as_str() {
        Some("auto") => ToolMode::Auto,
        Some("none") => ToolMode::None,
        // Mistral's word.
        Some("required" | "any") => ToolMode::Required,
        Some(_) => return Err(wrong("tool_choice", WHAT)),
        None if native.get("type").is_some_and(|kind| kind == "allowed_tools") => {
            let inner = native.get("allowed_tools").unwrap_or(&native);
            let tools = inner.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let required = inner.get("mode").is_some_and(|mode| mode == "required");
            ToolMode::Allowed { names: tools.iter().filter_map(name).collect(), required }
        }
        None => ToolMode::One { name: name(&native).ok_or_else(|| wrong("tool_choice", WHAT))? },
    };
    Ok(ToolChoice { mode, native })
}

fn stop(fields: &mut Object) -> Read<(Option<Vec<String>>, bool)> {
    const WHAT: &str = "a string or an array of strings";
    match fields.take("stop") {
        None => Ok((None, false)),
        Some(Value::String(text)) => Ok((Some(vec![text]), true)),
        Some(Value::Array(items)) => {
            let texts: Option<Vec<_>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            texts.map(|texts| (Some(texts), false)).ok_or_else(|| wrong("stop", WHAT))
        }
        Some(_) => Err(wrong("stop", WHAT)),
    }
}

fn include_usage(fields: &mut Object) -> Read<Option<bool>> {
    let Some(mut options) = fields.object("stream_options")? else { return Ok(None) };
    let include = options.boolean("include_usage")?;
    let rest = options.rest();
    if include.is_none() || !rest.is_empty() {
        fields.put("stream_options", Value::Object(rest));
    }
    Ok(include)
}

fn response_format(value: Value) -> Read<ResponseFormat> {
    let opaque = |json| ResponseFormat::Opaque(Opaque { dialect: DialectId::OpenAiChat, json });
    let plain = value.as_object().is_some_and(|fields| fields.len() == 1);
    match value.get("type").and_then(Value::as_str) {
        Some("text") if plain => Ok(ResponseFormat::Text),
        Some("json_object") if plain => Ok(ResponseFormat::JsonObject),
        Some("json_schema") if value.as_object().is_some_and(|fields| fields.len() == 2) => {
            let mut inner = Object::of(value["json_schema"].clone(), "response_format.json_schema")?;
            let (schema, name) = (inner.take("schema"), inner.string("name")?);
            Ok(ResponseFormat::JsonSchema { schema, name, rest: inner.rest(), field: FormatField::Usual })
        }
        Some(_) => Ok(opaque(value)),
        None => Err(wrong("response_format", "an object with a type")),
    }
}

/// Anthropic's field in OpenAI's format. Other vendors' fields of this name are left to them.
fn thinking(fields: &mut Object) -> Option<ThinkingRequest> {
    let native = fields.get("thinking")?.as_object()?;
    let tokens = native.get("budget_tokens").and_then(Value::as_u64)?;
    if native.len() != 2 || native.get("type").is_none_or(|kind| kind != "enabled") {
        return None;
    }
    fields.take("thinking");
    Some(ThinkingRequest { mode: ThinkingMode::Budget { tokens }, rest: Default::default() })
}
