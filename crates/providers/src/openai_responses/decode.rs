//! Requests, read.

use serde_json::Value;

use super::item;
use crate::chat::{
    Block, ChatRequest, Content, Form, FormatField, Message, Opaque, ResponseFormat, Rest, Role, Tool, ToolChoice,
    ToolFunction, ToolMode,
};
use crate::object::{Object, text, wrong};
use crate::{ApiError, DialectId};

type Read<T> = Result<T, ApiError>;

pub(super) fn request(body: &[u8]) -> Read<ChatRequest> {
    let mut fields = Object::parse(body)?;
    let mut request = ChatRequest::new(DialectId::OpenAiResponses);
    request.model = fields.string("model")?;
    request.messages = input(&mut fields)?;
    request.system =
        fields.string("instructions")?.map(|text| Content { blocks: vec![Block::text(text)], form: Form::Text });
    request.tools = match fields.array("tools")? {
        Some(tools) => Some(tools.into_iter().enumerate().map(|(at, value)| tool(value, at)).collect::<Read<_>>()?),
        None => None,
    };
    request.tool_choice = fields.take("tool_choice").map(tool_choice).transpose()?;
    request.parallel_tool_calls = fields.boolean("parallel_tool_calls")?;
    request.max_tokens = fields.count("max_output_tokens")?;
    request.temperature = fields.number("temperature")?;
    request.top_p = fields.number("top_p")?;
    request.stream = fields.boolean("stream")?;
    request.user = fields.string("user")?;
    if let Some(mut reasoning) = fields.object("reasoning")? {
        request.effort = reasoning.string("effort")?;
        let rest = reasoning.rest();
        if !rest.is_empty() || request.effort.is_none() {
            fields.put("reasoning", Value::Object(rest));
        }
    }
    if let Some(mut text) = fields.object("text")? {
        request.response_format = text.take("format").map(format).transpose()?;
        let rest = text.rest();
        if !rest.is_empty() || request.response_format.is_none() {
            fields.put("text", Value::Object(rest));
        }
    }
    request.rest = fields.rest();
    Ok(request)
}

/// One text is a user's message without a list around it; the prompt templates of OpenAI's own need none at all.
fn input(fields: &mut Object) -> Read<Vec<Message>> {
    match fields.take("input") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => {
            let content = Content { blocks: vec![Block::text(text)], form: Form::Text };
            // An absent role is what tells it from the same text within a list.
            Ok(vec![Message {
                role: Role::User,
                content,
                rest: Rest::from_iter([(BARE.to_owned(), Value::from(true))]),
            }])
        }
        Some(Value::Array(items)) => {
            let read = |(at, value)| item::message(value, &format!("input[{at}]"));
            items.into_iter().enumerate().map(read).collect()
        }
        Some(_) => Err(wrong("input", "a string or an array of items")),
    }
}

/// Marks, among the other fields of a message, that it was the whole input, as a string.
pub(super) const BARE: &str = "input_is_text";

fn tool(value: Value, at: usize) -> Read<Tool> {
    if value.get("type").and_then(Value::as_str) != Some("function") {
        return Ok(Tool::Opaque(Opaque { dialect: DialectId::OpenAiResponses, json: value }));
    }
    let mut fields = Object::of(value, format!("tools[{at}]"))?;
    fields.take("type");
    Ok(Tool::Function(Box::new(ToolFunction {
        name: fields.string("name")?.ok_or_else(|| fields.missing("name"))?,
        description: fields.string("description")?,
        parameters: fields.take("parameters"),
        strict: fields.boolean("strict")?,
        rest: fields.rest(),
        ..ToolFunction::default()
    })))
}

fn tool_choice(native: Value) -> Read<ToolChoice> {
    const WHAT: &str = "auto, none, required or an object that names a tool";
    let name = |value: &Value| text(value.get("name")).map(str::to_owned);
    let mode = match native.as_str() {
        Some("auto") => ToolMode::Auto,
        Some("none") => ToolMode::None,
        Some("required") => ToolMode::Required,
        Some(_) => return Err(wrong("tool_choice", WHAT)),
        None if native.get("type").is_some_and(|kind| kind == "allowed_tools") => {
            let tools = native.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let required = native.get("mode").is_some_and(|mode| mode == "required");
            ToolMode::Allowed { names: tools.iter().filter_map(name).collect(), required }
        }
        None if native.get("type").is_some() => match name(&native) {
            Some(name) => ToolMode::One { name },
            // A tool of OpenAI's own.
            None => ToolMode::Required,
        },
        None => return Err(wrong("tool_choice", WHAT)),
    };
    Ok(ToolChoice { mode, native })
}

fn format(value: Value) -> Read<ResponseFormat> {
    let opaque = |json| ResponseFormat::Opaque(Opaque { dialect: DialectId::OpenAiResponses, json });
    let plain = value.as_object().is_some_and(|fields| fields.len() == 1);
    match value.get("type").and_then(Value::as_str) {
        Some("text") if plain => Ok(ResponseFormat::Text),
        Some("json_object") if plain => Ok(ResponseFormat::JsonObject),
        Some("json_schema") => {
            let mut fields = Object::of(value, "text.format")?;
            fields.take("type");
            let (schema, name) = (fields.take("schema"), fields.string("name")?);
            Ok(ResponseFormat::JsonSchema { schema, name, rest: fields.rest(), field: FormatField::Usual })
        }
        Some(_) => Ok(opaque(value)),
        None => Err(wrong("text.format", "an object with a type")),
    }
}
