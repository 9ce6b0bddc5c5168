//! Requests, read.

use serde_json::Value;

use super::content::content;
use crate::chat::{
    ChatRequest, FormatField, Message, Opaque, ResponseFormat, Rest, Role, ThinkingMode, ThinkingRequest, Tool,
    ToolChoice, ToolFunction, ToolMode,
};
use crate::object::{Object, wrong};
use crate::{ApiError, DialectId};

type Read<T> = Result<T, ApiError>;

pub(super) fn request(body: &[u8]) -> Read<ChatRequest> {
    let mut fields = Object::parse(body)?;
    let mut request = ChatRequest::new(DialectId::AnthropicMessages);
    request.model = fields.string("model")?;
    let messages = fields.array("messages")?.ok_or_else(|| fields.missing("messages"))?;
    request.messages = messages.into_iter().enumerate().map(|(at, value)| message(value, at)).collect::<Read<_>>()?;
    request.system = match fields.take("system") {
        Some(system) => Some(content(Some(system), "system")?),
        None => None,
    };
    request.tools = match fields.array("tools")? {
        Some(tools) => Some(tools.into_iter().enumerate().map(|(at, value)| tool(value, at)).collect::<Read<_>>()?),
        None => None,
    };
    if let Some(choice) = fields.take("tool_choice") {
        let (choice, parallel) = tool_choice(choice)?;
        request.tool_choice = Some(choice);
        request.parallel_tool_calls = parallel;
    }
    request.max_tokens = fields.count("max_tokens")?;
    request.temperature = fields.number("temperature")?;
    request.top_p = fields.number("top_p")?;
    request.stop = match fields.array("stop_sequences")? {
        Some(items) => {
            let texts: Option<Vec<_>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            Some(texts.ok_or_else(|| wrong("stop_sequences", "an array of strings"))?)
        }
        None => None,
    };
    request.stream = fields.boolean("stream")?;
    request.user = user(&mut fields)?;
    output_config(&mut fields, &mut request)?;
    request.thinking = thinking(&mut fields)?;
    request.rest = fields.rest();
    Ok(request)
}

fn message(value: Value, at: usize) -> Read<Message> {
    let mut fields = Object::of(value, format!("messages[{at}]"))?;
    let role = match fields.string("role")?.ok_or_else(|| fields.missing("role"))?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(fields.wrong("role", "one of user, assistant, system")),
    };
    let path = fields.path("content");
    let said = fields.take("content").ok_or_else(|| fields.missing("content"))?;
    Ok(Message { role, content: content(Some(said), &path)?, rest: fields.rest() })
}

fn tool(value: Value, at: usize) -> Read<Tool> {
    let own = value.get("type").and_then(Value::as_str).is_none_or(|kind| kind == "custom");
    if !own {
        return Ok(Tool::Opaque(Opaque { dialect: DialectId::AnthropicMessages, json: value }));
    }
    let mut fields = Object::of(value, format!("tools[{at}]"))?;
    Ok(Tool::Function(Box::new(ToolFunction {
        name: fields.string("name")?.ok_or_else(|| fields.missing("name"))?,
        description: fields.string("description")?,
        parameters: fields.take("input_schema"),
        strict: fields.boolean("strict")?,
        cache_control: fields.take("cache_control"),
        rest: fields.rest(),
        inner_rest: Rest::new(),
    })))
}

fn tool_choice(native: Value) -> Read<(ToolChoice, Option<bool>)> {
    let mut fields = Object::of(native.clone(), "tool_choice")?;
    let mode = match fields.string("type")?.as_deref() {
        Some("auto") => ToolMode::Auto,
        Some("any") => ToolMode::Required,
        Some("none") => ToolMode::None,
        Some("tool") => ToolMode::One { name: fields.string("name")?.ok_or_else(|| fields.missing("name"))? },
        _ => return Err(wrong("tool_choice.type", "one of auto, any, tool, none")),
    };
    let parallel = fields.boolean("disable_parallel_tool_use")?.map(|off| !off);
    Ok((ToolChoice { mode, native }, parallel))
}

fn user(fields: &mut Object) -> Read<Option<String>> {
    let Some(mut metadata) = fields.object("metadata")? else { return Ok(None) };
    let user = metadata.string("user_id")?;
    let rest = metadata.rest();
    if user.is_none() || !rest.is_empty() {
        fields.put("metadata", Value::Object(rest));
    }
    Ok(user)
}

fn output_config(fields: &mut Object, request: &mut ChatRequest) -> Read<()> {
    if let Some(mut config) = fields.object("output_config")? {
        request.effort = config.string("effort")?;
        let path = config.path("format");
        request.response_format =
            config.take("format").map(|value| format(value, &path, FormatField::Usual)).transpose()?;
        let rest = config.rest();
        if !rest.is_empty() || (request.effort.is_none() && request.response_format.is_none()) {
            fields.put("output_config", Value::Object(rest));
        }
    }
    if let (None, Some(value)) = (&request.response_format, fields.take("output_format")) {
        request.response_format = Some(format(value, "output_format", FormatField::OutputFormat)?);
    }
    Ok(())
}

fn format(value: Value, path: &str, field: FormatField) -> Read<ResponseFormat> {
    if value.get("type").and_then(Value::as_str) != Some("json_schema") {
        return Err(wrong(path, "an object of type json_schema"));
    }
    let mut fields = Object::of(value, path)?;
    fields.take("type");
    let schema = fields.take("schema");
    Ok(ResponseFormat::JsonSchema { schema, name: None, rest: fields.rest(), field })
}

fn thinking(fields: &mut Object) -> Read<Option<ThinkingRequest>> {
    let Some(mut thinking) = fields.object("thinking")? else { return Ok(None) };
    let mode = match thinking.string("type")?.as_deref() {
        Some("enabled") => ThinkingMode::Budget {
            tokens: thinking.count("budget_tokens")?.ok_or_else(|| thinking.missing("budget_tokens"))?,
        },
        Some("adaptive") => ThinkingMode::Adaptive,
        Some("disabled") => ThinkingMode::Off,
        _ => return Err(wrong("thinking.type", "one of enabled, adaptive, disabled")),
    };
    Ok(Some(ThinkingRequest { mode, rest: thinking.rest() }))
}
