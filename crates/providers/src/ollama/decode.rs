//! Requests, read.

use serde_json::{Number, Value, json};

use crate::chat::{
    Block, ChatRequest, Content, Form, FormatField, Media, MediaKind, MediaSource, Message, Opaque, ResponseFormat,
    Rest, Role, Thinking, ThinkingField, ThinkingMode, ThinkingRequest, Tool, ToolCall, ToolFunction, ToolResult,
};
use crate::object::{Object, wrong};
use crate::openai_chat::arguments;
use crate::{ApiError, DialectId};

type Read<T> = Result<T, ApiError>;

const OWN: DialectId = DialectId::OllamaChat;
/// Options that are read into fields of the canonical request.
const TYPED: [&str; 4] = ["num_predict", "temperature", "top_p", "stop"];

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
    // What else there is goes back as it came, whatever is read from it.
    let native = fields.rest();
    request.native = native.clone();
    let mut fields = Object::of(Value::Object(native), "")?;
    // A stream is what comes unless the request says otherwise.
    request.stream = Some(fields.boolean("stream")?.unwrap_or(true));
    match fields.take("format") {
        Some(Value::String(word)) if word == "json" => request.response_format = Some(ResponseFormat::JsonObject),
        Some(schema @ Value::Object(_)) => {
            let (schema, field) = (Some(schema), FormatField::Usual);
            let format = ResponseFormat::JsonSchema { schema, name: None, rest: Rest::new(), field };
            request.response_format = Some(format);
        }
        Some(Value::String(word)) if word.is_empty() => {}
        None => {}
        Some(_) => return Err(fields.wrong("format", "\"json\" or a schema")),
    }
    let thinks = |mode| Some(ThinkingRequest { mode, rest: Rest::new() });
    match fields.take("think") {
        Some(Value::Bool(true)) => request.thinking = thinks(ThinkingMode::Adaptive),
        Some(Value::Bool(false)) => request.thinking = thinks(ThinkingMode::Off),
        Some(Value::String(word)) => request.effort = Some(word),
        _ => {}
    }
    options(&mut fields, &mut request)?;
    request.rest = fields.rest();
    Ok(request)
}

fn options(fields: &mut Object, request: &mut ChatRequest) -> Read<()> {
    let Some(mut options) = fields.object("options")? else { return Ok(()) };
    // A negative limit is none.
    request.max_tokens = options.number("num_predict")?.as_ref().and_then(Number::as_u64);
    request.temperature = options.number("temperature")?;
    request.top_p = options.number("top_p")?;
    request.stop = match options.take("stop") {
        Some(Value::String(text)) => Some(vec![text]),
        Some(Value::Array(items)) => {
            let texts: Option<Vec<_>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            Some(texts.ok_or_else(|| wrong("options.stop", "an array of strings"))?)
        }
        Some(_) => return Err(wrong("options.stop", "an array of strings")),
        None => None,
    };
    for (name, value) in options.rest() {
        if !TYPED.contains(&name.as_str()) {
            fields.put(&format!("options.{name}"), value);
        }
    }
    Ok(())
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
    let said = fields.string("content")?;
    let form = if said.is_some() { Form::Text } else { Form::Absent };
    if role == Role::Tool {
        let id = fields.string("tool_call_id")?.unwrap_or_default();
        let mut rest = fields.rest();
        // The name of the tool, by which calls without ids are told apart.
        if let Some(name) = rest.get("tool_name").cloned() {
            rest.insert("name".to_owned(), name);
        }
        let content = said.into_iter().map(Block::text).collect();
        let result = ToolResult { id, content, form, rest, ..ToolResult::default() };
        let content = Content { blocks: vec![Block::ToolResult(result)], form };
        return Ok(Message { role, content, rest: Rest::new() });
    }
    let mut blocks = Vec::new();
    if let Some(text) = fields.string("thinking")? {
        blocks.push(Block::Thinking(Thinking { text, field: ThinkingField::Reasoning, ..Thinking::default() }));
    }
    blocks.extend(said.map(Block::text));
    for image in fields.array("images")?.unwrap_or_default() {
        let Value::String(data) = image else { return Err(fields.wrong("images", "an array of base64 strings")) };
        let source = MediaSource::Base64 { mime: mime(&data).to_owned(), data };
        let (kind, name, cache_control, rest) = (MediaKind::Image, None, None, Rest::new());
        blocks.push(Block::Media(Media { kind, source, name, cache_control, rest, bare: true }));
    }
    for call in fields.array("tool_calls")?.unwrap_or_default() {
        blocks.extend(call_of(call));
    }
    Ok(Message { role, content: Content { blocks, form }, rest: fields.rest() })
}

/// The type of a picture, by how its bytes begin in base64.
fn mime(data: &str) -> &'static str {
    const KINDS: [(&str, &str); 3] = [("/9j/", "image/jpeg"), ("R0lG", "image/gif"), ("UklG", "image/webp")];
    KINDS.iter().find(|(begin, _)| data.starts_with(begin)).map_or("image/png", |(_, mime)| mime)
}

/// A call; what is no call is kept as it came.
pub(super) fn call_of(value: Value) -> Option<Block> {
    let mut rest = value.as_object().cloned()?;
    let Some(Value::Object(mut function)) = rest.shift_remove("function") else {
        return Some(Block::Opaque(Opaque { dialect: OWN, json: value }));
    };
    let Some(Value::String(name)) = function.shift_remove("name") else {
        return Some(Block::Opaque(Opaque { dialect: OWN, json: value }));
    };
    let arguments = arguments(function.shift_remove("arguments").as_ref());
    let id = match rest.shift_remove("id") {
        Some(Value::String(id)) => id,
        _ => String::new(),
    };
    if !function.is_empty() {
        // Its place among the calls of a turn.
        rest.insert("function".to_owned(), Value::Object(function));
    }
    Some(Block::ToolCall(ToolCall { id, name, arguments, cache_control: None, rest }))
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
        strict: None,
        cache_control: None,
        rest: outer.rest(),
        inner_rest: inner.rest(),
    })))
}

/// Arguments as the object that Ollama wants.
///
/// # Errors
///
/// If the text is no JSON object.
pub(super) fn object(arguments: &str) -> Result<Value, ()> {
    if arguments.trim().is_empty() {
        return Ok(json!({}));
    }
    match serde_json::from_str(arguments) {
        Ok(Value::Object(fields)) => Ok(Value::Object(fields)),
        _ => Err(()),
    }
}
