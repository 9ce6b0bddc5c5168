//! Requests, read.

use serde_json::Value;

use super::content::{blocks, cache_control};
use super::fields;
use crate::chat::{
    ChatRequest, Content, Form, FormatField, Message, Opaque, ResponseFormat, Rest, Role, Tool, ToolChoice,
    ToolFunction, ToolMode,
};
use crate::object::{Object, wrong};
use crate::{ApiError, DialectId};

pub(super) fn request(body: &[u8]) -> Result<ChatRequest, ApiError> {
    let mut object = Object::parse(body)?;
    let mut request = ChatRequest::new(DialectId::BedrockConverse);
    // Whatever is read into typed fields also goes back as it was, to whom speaks this dialect.
    for name in ["inferenceConfig", "toolConfig", "outputConfig", "additionalModelRequestFields", "serviceTier"] {
        if let Some(value) = object.get(name) {
            request.native.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(system) = object.array("system")? {
        request.system = Some(Content { blocks: blocks(system, "system")?, form: Form::Parts });
    }
    let Some(messages) = object.array("messages")? else { return Err(object.missing("messages")) };
    request.messages = messages.into_iter().enumerate().map(message).collect::<Result<_, _>>()?;
    inference(&mut object, &mut request)?;
    tools(&mut object, &mut request)?;
    output(&mut object, &mut request)?;
    if let Some(more) = object.object("additionalModelRequestFields")? {
        fields::read(more.rest(), &mut request);
    }
    if let Some(mut tier) = object.object("serviceTier")?
        && let Some(word) = tier.string("type")?
    {
        request.rest.insert("service_tier".to_owned(), Value::from(word));
    }
    if let Some(about) = object.get("requestMetadata")
        && let Some(user) = about.get("user").and_then(Value::as_str)
    {
        request.user = Some(user.to_owned());
    }
    request.rest.extend(object.rest());
    Ok(request)
}

fn message((at, value): (usize, Value)) -> Result<Message, ApiError> {
    let path = format!("messages[{at}]");
    let mut object = Object::of(value, path.as_str())?;
    let role = match object.string("role")?.as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some(_) => return Err(object.wrong("role", "user or assistant")),
        None => return Err(object.missing("role")),
    };
    let Some(parts) = object.array("content")? else { return Err(object.missing("content")) };
    let content = Content { blocks: blocks(parts, &format!("{path}.content"))?, form: Form::Parts };
    Ok(Message { role, content, rest: object.rest() })
}

fn inference(object: &mut Object, request: &mut ChatRequest) -> Result<(), ApiError> {
    let Some(mut config) = object.object("inferenceConfig")? else { return Ok(()) };
    request.max_tokens = config.count("maxTokens")?;
    request.temperature = config.number("temperature")?;
    request.top_p = config.number("topP")?;
    if let Some(stops) = config.array("stopSequences")? {
        let stop = |stop: Value| match stop {
            Value::String(text) => Ok(text),
            _ => Err(wrong("inferenceConfig.stopSequences", "an array of strings")),
        };
        request.stop = Some(stops.into_iter().map(stop).collect::<Result<_, _>>()?);
    }
    Ok(())
}

fn tools(object: &mut Object, request: &mut ChatRequest) -> Result<(), ApiError> {
    let Some(mut config) = object.object("toolConfig")? else { return Ok(()) };
    let mut tools: Vec<Tool> = Vec::new();
    for (at, mut value) in config.array("tools")?.unwrap_or_default().into_iter().enumerate() {
        let cache = value.get("cachePoint").and_then(cache_control);
        match (cache, tools.last_mut(), value.get_mut("toolSpec").map(Value::take)) {
            (Some(cache), Some(Tool::Function(before)), _) => before.cache_control = Some(cache),
            (_, _, Some(spec)) => {
                tools.push(Tool::Function(Box::new(tool(spec, &format!("toolConfig.tools[{at}].toolSpec"))?)));
            }
            (..) => tools.push(Tool::Opaque(Opaque { dialect: DialectId::BedrockConverse, json: value })),
        }
    }
    request.tools = Some(tools);
    let Some(native) = config.take("toolChoice") else { return Ok(()) };
    let named = native.get("tool").and_then(|tool| tool.get("name")?.as_str());
    let mode = match (&native, named) {
        (_, Some(name)) => ToolMode::One { name: name.to_owned() },
        (choice, None) if choice.get("any").is_some() => ToolMode::Required,
        (choice, None) if choice.get("auto").is_some() => ToolMode::Auto,
        _ => return Err(wrong("toolConfig.toolChoice", "auto, any or a tool with its name")),
    };
    request.tool_choice = Some(ToolChoice { mode, native });
    Ok(())
}

fn tool(spec: Value, path: &str) -> Result<ToolFunction, ApiError> {
    let mut object = Object::of(spec, path)?;
    let name = object.string("name")?.ok_or_else(|| object.missing("name"))?;
    let description = object.string("description")?;
    let strict = object.boolean("strict")?;
    let parameters = match object.object("inputSchema")? {
        Some(mut schema) => schema.take("json"),
        None => None,
    };
    let (cache_control, rest, inner_rest) = (None, object.rest(), Rest::new());
    Ok(ToolFunction { name, description, parameters, strict, cache_control, rest, inner_rest })
}

/// The schema of an answer stands there as text.
fn output(object: &mut Object, request: &mut ChatRequest) -> Result<(), ApiError> {
    let Some(mut config) = object.object("outputConfig")? else { return Ok(()) };
    let Some(mut format) = config.object("textFormat")? else { return Ok(()) };
    let Some(mut structure) = format.object("structure")? else { return Ok(()) };
    let Some(mut json) = structure.object("jsonSchema")? else { return Ok(()) };
    let schema = match json.string("schema")? {
        Some(text) => Some(serde_json::from_str(&text).map_err(|_| json.wrong("schema", "the text of a JSON schema"))?),
        None => None,
    };
    let (name, field) = (json.string("name")?, FormatField::Usual);
    request.response_format = Some(ResponseFormat::JsonSchema { schema, name, rest: json.rest(), field });
    Ok(())
}
