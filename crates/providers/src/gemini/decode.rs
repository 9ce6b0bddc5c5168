//! Requests, read.

use serde_json::{Map, Value};

use super::content::part;
use super::schema::{camelize, json_schema};
use crate::chat::{
    Block, ChatRequest, Content, Form, FormatField, Message, Opaque, ResponseFormat, Rest, Role, Thinking,
    ThinkingField, ThinkingMode, ThinkingRequest, Tool, ToolChoice, ToolFunction, ToolMode,
};
use crate::object::{Object, text, wrong};
use crate::{ApiError, DialectId};

type Read<T> = Result<T, ApiError>;

pub(super) fn request(body: &[u8]) -> Read<ChatRequest> {
    let mut whole = Value::Object(Object::parse(body)?.rest());
    camelize(&mut whole);
    let mut fields = Object::of(whole, "")?;
    let mut request = ChatRequest::new(DialectId::GeminiGenerateContent);
    request.model = fields.string("model")?;
    let contents = match fields.take("contents") {
        Some(Value::Array(contents)) => contents,
        Some(content @ Value::Object(_)) => vec![content],
        // Counting tokens wraps the whole request.
        None => match fields.get("generateContentRequest") {
            Some(inner) => return request_of(inner.clone()),
            None => return Err(fields.missing("contents")),
        },
        Some(_) => return Err(wrong("contents", "an array of contents")),
    };
    request.messages = contents.into_iter().enumerate().map(|(at, value)| message(value, at)).collect::<Read<_>>()?;
    if let Some(mut system) = fields.object("systemInstruction")? {
        let blocks = parts(&mut system, "systemInstruction.parts")?;
        request.system = Some(Content { blocks, form: Form::Parts });
        fields.put("systemInstruction", Value::Object(system.rest()));
    }
    request.tools = match fields.array("tools")? {
        Some(tools) => Some(self::tools(tools)?),
        None => None,
    };
    if let Some(config) = fields.take("toolConfig") {
        request.tool_choice = tool_choice(&config);
        request.native.insert("toolConfig".to_owned(), config);
    }
    let config = fields.take("generationConfig");
    request.rest = fields.rest();
    if let Some(config) = config {
        generation(&config, &mut request)?;
        request.native.insert("generationConfig".to_owned(), config);
    }
    if let Some(system) = request.rest.shift_remove("systemInstruction") {
        request.native.insert("systemInstruction".to_owned(), system);
    }
    Ok(request)
}

fn request_of(inner: Value) -> Read<ChatRequest> {
    request(inner.to_string().as_bytes())
}

fn message(value: Value, at: usize) -> Read<Message> {
    let mut fields = Object::of(value, format!("contents[{at}]"))?;
    let role = match fields.get("role").and_then(Value::as_str) {
        Some("model" | "assistant") => Role::Assistant,
        Some("system") => Role::System,
        // Tools' answers come from the user; so does what names no one.
        _ => Role::User,
    };
    let path = fields.path("parts");
    let blocks = parts(&mut fields, &path)?;
    Ok(Message { role, content: Content { blocks, form: Form::Parts }, rest: fields.rest() })
}

fn parts(fields: &mut Object, path: &str) -> Read<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    for (at, value) in fields.array("parts")?.unwrap_or_default().into_iter().enumerate() {
        if !value.is_object() {
            return Err(wrong(&format!("{path}[{at}]"), "a part"));
        }
        for block in part(value) {
            match (blocks.last_mut(), block) {
                // The proof of another's thinking came in an event of its own; the two belong together.
                (Some(Block::Thinking(held)), Block::Thinking(proof)) if belongs(held, &proof) => {
                    held.signature = proof.signature;
                }
                (_, block) => blocks.push(block),
            }
        }
    }
    Ok(blocks)
}

fn belongs(held: &Thinking, proof: &Thinking) -> bool {
    let own = |signature: &String| crate::seal::open(DialectId::GeminiGenerateContent, signature).is_some();
    let parts = held.field == ThinkingField::Part && proof.field == ThinkingField::Part;
    parts && held.signature.is_none() && proof.text.is_empty() && proof.signature.as_ref().is_some_and(|s| !own(s))
}

fn tools(tools: Vec<Value>) -> Read<Vec<Tool>> {
    let mut read = Vec::new();
    for (at, tool) in tools.into_iter().enumerate() {
        let mut fields = Object::of(tool, format!("tools[{at}]"))?;
        let path = fields.path("functionDeclarations");
        for (at, declared) in fields.array("functionDeclarations")?.unwrap_or_default().into_iter().enumerate() {
            read.push(function(Object::of(declared, format!("{path}[{at}]"))?)?);
        }
        let rest = fields.rest();
        if !rest.is_empty() {
            read.push(Tool::Opaque(Opaque { dialect: DialectId::GeminiGenerateContent, json: Value::Object(rest) }));
        }
    }
    Ok(read)
}

/// A function. Its schema in Google's own dialect stays beside it.
fn function(mut fields: Object) -> Read<Tool> {
    let name = fields.string("name")?.ok_or_else(|| fields.missing("name"))?;
    let description = fields.string("description")?;
    let mut inner_rest = Rest::new();
    let parameters = match (fields.take("parametersJsonSchema"), fields.get("parameters")) {
        (Some(schema), _) => Some(schema),
        (None, Some(schema)) if !schema.is_null() => {
            let translated = json_schema(schema);
            inner_rest.extend(fields.take("parameters").map(|schema| ("parameters".to_owned(), schema)));
            Some(translated)
        }
        (None, _) => None,
    };
    let rest = fields.rest();
    Ok(Tool::Function(Box::new(ToolFunction { name, description, parameters, rest, inner_rest, ..Default::default() })))
}

fn tool_choice(config: &Value) -> Option<ToolChoice> {
    let calling = config.get("functionCallingConfig")?;
    let names: Vec<String> = calling["allowedFunctionNames"]
        .as_array()
        .map(|names| names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
        .unwrap_or_default();
    let mode = calling["mode"].as_str().unwrap_or_default().to_ascii_uppercase();
    let mode = match (mode.as_str(), &names[..]) {
        ("NONE", _) => ToolMode::None,
        ("ANY", []) => ToolMode::Required,
        ("ANY", [name]) => ToolMode::One { name: name.clone() },
        (_, []) => ToolMode::Auto,
        (mode, _) => ToolMode::Allowed { required: mode == "ANY", names },
    };
    Some(ToolChoice { mode, native: config.clone() })
}

/// What `generationConfig` asks for. What this model has no field for goes to the other fields under its own name.
fn generation(config: &Value, request: &mut ChatRequest) -> Read<()> {
    let mut fields = Object::of(config.clone(), "generationConfig")?;
    request.max_tokens = fields.count("maxOutputTokens")?;
    request.temperature = fields.number("temperature")?;
    request.top_p = fields.number("topP")?;
    request.stop = fields
        .array("stopSequences")?
        .map(|stops| stops.iter().filter_map(|stop| stop.as_str().map(str::to_owned)).collect());
    let json = fields.string("responseMimeType")?.is_some_and(|mime| mime == "application/json");
    let schema = fields.take("responseJsonSchema");
    let schema = schema.or_else(|| fields.take("responseSchema").as_ref().map(json_schema));
    request.response_format = match (json, schema) {
        (_, Some(schema)) => Some(ResponseFormat::JsonSchema {
            schema: Some(schema),
            name: None,
            rest: Rest::new(),
            field: FormatField::Usual,
        }),
        (true, None) => Some(ResponseFormat::JsonObject),
        (false, None) => None,
    };
    if let Some(thinking) = fields.object("thinkingConfig")? {
        let thinking = thinking.rest();
        request.effort = text(thinking.get("thinkingLevel")).map(str::to_ascii_lowercase);
        request.thinking = thinking_mode(&thinking).map(|mode| ThinkingRequest { mode, rest: Rest::new() });
    }
    for (name, value) in fields.rest() {
        request.rest.insert(format!("generationConfig.{name}"), value);
    }
    Ok(())
}

fn thinking_mode(thinking: &Map<String, Value>) -> Option<ThinkingMode> {
    match thinking.get("thinkingBudget")?.as_i64()? {
        0 => Some(ThinkingMode::Off),
        budget => Some(u64::try_from(budget).map_or(ThinkingMode::Adaptive, |tokens| ThinkingMode::Budget { tokens })),
    }
}
