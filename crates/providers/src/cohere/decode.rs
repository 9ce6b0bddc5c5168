//! Requests, read.

use serde_json::{Map, Value};

use crate::chat::{
    Block, ChatRequest, Content, Form, FormatField, Media, MediaKind, Message, Opaque, ResponseFormat, Rest, Role,
    Text, Thinking, ThinkingField, ThinkingMode, ThinkingRequest, Tool, ToolCall, ToolChoice, ToolFunction, ToolMode,
    ToolResult,
};
use crate::object::{Object, wrong};
use crate::openai_chat::{address, arguments};
use crate::{ApiError, DialectId};

type Read<T> = Result<T, ApiError>;

const OWN: DialectId = DialectId::CohereChat;

pub(super) fn request(body: &[u8]) -> Read<ChatRequest> {
    let mut fields = Object::parse(body)?;
    let mut request = ChatRequest::new(OWN);
    request.model = fields.string("model")?;
    let messages = fields.array("messages")?.ok_or_else(|| fields.missing("messages"))?;
    request.messages = messages.into_iter().enumerate().map(|(at, value)| message(value, at)).collect::<Read<_>>()?;
    request.tools = match fields.array("tools")? {
        Some(tools) => Some(tools.into_iter().enumerate().map(|(at, value)| tool(value, at)).collect::<Read<_>>()?),
        None => None,
    };
    if let Some(native) = fields.take("tool_choice") {
        let mode = match native.as_str() {
            Some("REQUIRED") => ToolMode::Required,
            Some("NONE") => ToolMode::None,
            _ => return Err(fields.wrong("tool_choice", "one of REQUIRED, NONE")),
        };
        request.tool_choice = Some(ToolChoice { mode, native });
    }
    request.max_tokens = fields.count("max_tokens")?;
    request.temperature = fields.number("temperature")?;
    request.top_p = fields.number("p")?;
    request.stop = match fields.array("stop_sequences")? {
        Some(items) => {
            let texts: Option<Vec<_>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            Some(texts.ok_or_else(|| wrong("stop_sequences", "an array of strings"))?)
        }
        None => None,
    };
    request.stream = fields.boolean("stream")?;
    request.response_format = fields.take("response_format").map(response_format);
    request.thinking = thinking(&mut fields)?;
    request.rest = fields.rest();
    Ok(request)
}

fn message(value: Value, at: usize) -> Read<Message> {
    let mut fields = Object::of(value, format!("messages[{at}]"))?;
    let role = match fields.string("role")?.ok_or_else(|| fields.missing("role"))?.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => return Err(fields.wrong("role", "one of system, user, assistant, tool")),
    };
    let path = fields.path("content");
    let mut content = content(fields.take("content"), &path)?;
    if role == Role::Tool {
        let id = fields.string("tool_call_id")?.unwrap_or_default();
        let Content { blocks, form } = content;
        let result = ToolResult { id, content: blocks, form, rest: fields.rest(), ..ToolResult::default() };
        let content = Content { blocks: vec![Block::ToolResult(result)], form };
        return Ok(Message { role, content, rest: Rest::new() });
    }
    if role == Role::Assistant {
        if let Some(text) = fields.string("tool_plan")? {
            content.blocks.insert(0, plan(text));
        }
        let path = fields.path("tool_calls");
        let calls = fields.array("tool_calls")?.unwrap_or_default();
        for (at, value) in calls.into_iter().enumerate() {
            content.blocks.push(call(value, &format!("{path}[{at}]"))?);
        }
    }
    Ok(Message { role, content, rest: fields.rest() })
}

/// What the model means to do, said before a call.
pub(super) fn plan(text: String) -> Block {
    Block::Thinking(Thinking { text, field: ThinkingField::ToolPlan, ..Thinking::default() })
}

/// Content: a string or a list of parts.
fn content(value: Option<Value>, path: &str) -> Read<Content> {
    match value {
        None => Ok(Content::default()),
        Some(Value::String(text)) => Ok(Content { blocks: vec![Block::text(text)], form: Form::Text }),
        Some(Value::Array(parts)) => {
            if let Some(at) = parts.iter().position(|part| !part.is_object()) {
                return Err(wrong(&format!("{path}[{at}]"), "a part with a type"));
            }
            Ok(Content { blocks: parts.into_iter().map(part).collect(), form: Form::Parts })
        }
        Some(_) => Err(wrong(path, "a string or an array of parts")),
    }
}

/// One part; one that is not known here is kept as it came.
pub(super) fn part(value: Value) -> Block {
    let opaque = |json| Block::Opaque(Opaque { dialect: OWN, json });
    let Value::Object(mut fields) = value.clone() else { return opaque(value) };
    let kind = fields.shift_remove("type").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
    let taken = |fields: &mut Map<String, Value>| match fields.shift_remove(&kind) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    match kind.as_str() {
        "text" => match taken(&mut fields) {
            Some(text) => Block::Text(Text { text, cache_control: None, rest: fields }),
            None => opaque(value),
        },
        "thinking" => match taken(&mut fields) {
            Some(text) => {
                let field = ThinkingField::Part;
                Block::Thinking(Thinking { text, rest: fields, field, ..Thinking::default() })
            }
            None => opaque(value),
        },
        "image_url" => match (fields.shift_remove("image_url"), fields.is_empty()) {
            (Some(Value::Object(mut inner)), true) => match inner.shift_remove("url") {
                Some(Value::String(url)) => {
                    let (kind, source, rest) = (MediaKind::Image, address(url), inner);
                    Block::Media(Media { kind, source, name: None, cache_control: None, rest, bare: false })
                }
                _ => opaque(value),
            },
            _ => opaque(value),
        },
        _ => opaque(value),
    }
}

/// A call as a message holds it.
pub(super) fn call(value: Value, path: &str) -> Read<Block> {
    let mut fields = Object::of(value, path)?;
    let id = fields.string("id")?.unwrap_or_default();
    let mut function = fields.object("function")?.ok_or_else(|| fields.missing("function"))?;
    let name = function.string("name")?.ok_or_else(|| function.missing("name"))?;
    let arguments = arguments(function.take("arguments").as_ref());
    Ok(Block::ToolCall(ToolCall { id, name, arguments, cache_control: None, rest: fields.rest() }))
}

fn tool(value: Value, at: usize) -> Read<Tool> {
    if value.get("function").is_none() {
        return Ok(Tool::Opaque(Opaque { dialect: OWN, json: value }));
    }
    let mut outer = Object::of(value, format!("tools[{at}]"))?;
    let mut inner = outer.object("function")?.ok_or_else(|| outer.missing("function"))?;
    Ok(Tool::Function(Box::new(ToolFunction {
        name: inner.string("name")?.ok_or_else(|| inner.missing("name"))?,
        description: inner.string("description")?,
        parameters: inner.take("parameters"),
        strict: inner.boolean("strict")?,
        cache_control: None,
        rest: outer.rest(),
        inner_rest: inner.rest(),
    })))
}

/// A format; the schema goes by two names.
fn response_format(value: Value) -> ResponseFormat {
    let fields = value.as_object().cloned().unwrap_or_default();
    let of = |names: &[&str]| fields.len() == names.len() && names.iter().all(|name| fields.contains_key(*name));
    match fields.get("type").and_then(Value::as_str) {
        Some("text") if of(&["type"]) => ResponseFormat::Text,
        Some("json_object") if of(&["type"]) => ResponseFormat::JsonObject,
        Some("json_object") if of(&["type", "json_schema"]) => ResponseFormat::JsonSchema {
            schema: fields.get("json_schema").cloned(),
            name: None,
            rest: Rest::new(),
            field: FormatField::Usual,
        },
        Some("json_object") if of(&["type", "schema"]) => ResponseFormat::JsonSchema {
            schema: fields.get("schema").cloned(),
            name: None,
            rest: Rest::new(),
            field: FormatField::OutputFormat,
        },
        _ => ResponseFormat::Opaque(Opaque { dialect: OWN, json: value }),
    }
}

fn thinking(fields: &mut Object) -> Read<Option<ThinkingRequest>> {
    let Some(mut thinking) = fields.object("thinking")? else { return Ok(None) };
    let budget = thinking.count("token_budget")?;
    let mode = match (thinking.string("type")?.as_deref(), budget) {
        (Some("disabled"), _) => ThinkingMode::Off,
        (Some("enabled"), Some(tokens)) => ThinkingMode::Budget { tokens },
        (Some("enabled"), None) => ThinkingMode::Adaptive,
        _ => return Err(wrong("thinking.type", "one of enabled, disabled")),
    };
    Ok(Some(ThinkingRequest { mode, rest: thinking.rest() }))
}
