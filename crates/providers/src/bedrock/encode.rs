//! Requests, written.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::content::{cache_point, write_marked};
use super::{Family, fields, turns};
use crate::chat::{Block, ChatRequest, Content, Message, ResponseFormat, Role, Tool, ToolFunction, ToolMode};
use crate::loss::Ledger;
use crate::{ApiError, DialectId, Encoded, Provider};

type Fields = Map<String, Value>;

pub(super) fn request(
    request: &ChatRequest,
    model: &str,
    provider: &Provider,
    max_output_default: u64,
) -> Result<Encoded, ApiError> {
    let mut ledger = Ledger::new(request.dialect, DialectId::BedrockConverse);
    let body = if ledger.is_native() {
        native(request)
    } else {
        translated(request, model, provider, max_output_default, &mut ledger)?
    };
    Ok(Encoded { body: Bytes::from(Value::Object(body).to_string()), notes: ledger.into_notes() })
}

fn native(request: &ChatRequest) -> Fields {
    let mut body = Fields::new();
    let message = |message: &Message| {
        let role = if message.role == Role::Assistant { "assistant" } else { "user" };
        let mut fields = Fields::new();
        fields.insert("role".to_owned(), Value::from(role));
        fields.insert("content".to_owned(), native_content(&message.content));
        fields.extend(message.rest.clone());
        Value::Object(fields)
    };
    body.insert("messages".to_owned(), request.messages.iter().map(message).collect());
    if let Some(system) = &request.system {
        body.insert("system".to_owned(), native_content(system));
    }
    body.extend(request.native.clone());
    for (field, value) in &request.rest {
        // What was taken apart for other dialects stands in the fields as they came.
        if !["top_k", "service_tier", "additionalModelRequestFields"].contains(&field.as_str()) {
            body.entry(field.as_str()).or_insert_with(|| value.clone());
        }
    }
    body
}

fn native_content(content: &Content) -> Value {
    content.blocks.iter().filter_map(|block| write_marked(block, true)).flatten().flatten().collect()
}

fn translated(
    request: &ChatRequest,
    model: &str,
    provider: &Provider,
    max_output_default: u64,
    ledger: &mut Ledger,
) -> Result<Fields, ApiError> {
    let mut body = Fields::new();
    let mut turns = turns::write(request, Family::of(model), ledger)?;
    let mut more = Fields::new();
    let thinks =
        fields::write_thinking(request, model, provider, max_output_default, turns.unsigned_tools, ledger, &mut more);
    response_format(request, &mut turns.system, ledger, &mut body);
    if !turns.system.is_empty() {
        body.insert("system".to_owned(), Value::Array(turns.system));
    }
    let message = |(role, content): (&str, Vec<Value>)| json!({ "role": role, "content": content });
    body.insert("messages".to_owned(), turns.turns.into_iter().map(message).collect());
    let inference = inference(request, model, &thinks, ledger);
    if !inference.is_empty() {
        body.insert("inferenceConfig".to_owned(), Value::Object(inference));
    }
    tools(request, model, thinks.on, &turns.tool_names, ledger, &mut body, &mut more)?;
    for (field, value) in &request.rest {
        if ["top_k", "generationConfig.topK"].contains(&field.as_str()) && !value.is_null() {
            if thinks.on {
                ledger.note("top_k");
            } else {
                fields::write_top_k(value, model, &mut more);
            }
        } else if let Some((name, value)) = ledger.carry(field, value)? {
            body.insert(name.to_owned(), value);
        }
    }
    if !more.is_empty() {
        body.insert("additionalModelRequestFields".to_owned(), Value::Object(more));
    }
    user(request, ledger, &mut body);
    Ok(body)
}

/// The end user goes among the metadata of the request, as far as its letters are taken there.
fn user(request: &ChatRequest, ledger: &mut Ledger, body: &mut Fields) {
    const LONGEST: usize = 256;
    let Some(user) = &request.user else { return };
    let is_taken = |c: char| c.is_ascii_alphanumeric() || " :_@$#=/+,-.".contains(c);
    if user.len() <= LONGEST && user.chars().all(is_taken) {
        body.insert("requestMetadata".to_owned(), json!({ "user": user }));
    } else {
        ledger.note("user");
    }
}

fn inference(request: &ChatRequest, model: &str, thinks: &fields::Thinks, ledger: &mut Ledger) -> Fields {
    let mut config = Fields::new();
    if let Some(most) = thinks.most {
        config.insert("maxTokens".to_owned(), Value::from(most));
    }
    if let Some(temperature) = &request.temperature {
        let degrees = temperature.as_f64();
        if thinks.on {
            if degrees != Some(1.0) {
                ledger.note("temperature with thinking");
            }
        } else if degrees.is_some_and(|degrees| degrees > 1.0) {
            ledger.note("temperature");
            config.insert("temperature".to_owned(), Value::from(1));
        } else {
            config.insert("temperature".to_owned(), Value::Number(temperature.clone()));
        }
    }
    if let Some(top_p) = &request.top_p {
        let asks = top_p.as_f64() != Some(1.0);
        // Newer models of Claude refuse both at once, and any of it with thinking.
        let too_much = thinks.on || request.temperature.is_some() && Family::of(model) == Family::Claude;
        if asks && too_much {
            ledger.note("top_p");
        } else if asks {
            config.insert("topP".to_owned(), Value::Number(top_p.clone()));
        }
    }
    if let Some(stops) = &request.stop {
        let kept: Vec<_> = stops.iter().filter(|stop| !stop.trim().is_empty()).cloned().collect();
        if kept.len() < stops.len() {
            ledger.note("stop");
        }
        if !kept.is_empty() {
            config.insert("stopSequences".to_owned(), Value::from(kept));
        }
    }
    config
}

fn response_format(request: &ChatRequest, system: &mut Vec<Value>, ledger: &mut Ledger, body: &mut Fields) {
    match &request.response_format {
        Some(ResponseFormat::JsonSchema { schema: Some(schema), name, .. }) => {
            let name = name.as_deref().unwrap_or("answer");
            let structure = json!({ "jsonSchema": { "name": name, "schema": schema.to_string() } });
            let format = json!({ "type": "json_schema", "structure": structure });
            body.insert("outputConfig".to_owned(), json!({ "textFormat": format }));
        }
        Some(ResponseFormat::JsonObject) => {
            ledger.note("response_format");
            let instruction = "Answer with one JSON object and nothing else: no text around it, no code fence.";
            system.push(json!({ "text": instruction }));
        }
        Some(ResponseFormat::JsonSchema { .. } | ResponseFormat::Text | ResponseFormat::Opaque(_)) | None => {}
    }
}

/// The declared tools. Bedrock refuses calls and results in the conversation without a declaration, and has no word for
/// "none": where there are neither calls nor results, the tools are left out.
fn tools(
    request: &ChatRequest,
    model: &str,
    thinks: bool,
    used: &[String],
    ledger: &mut Ledger,
    body: &mut Fields,
    more: &mut Fields,
) -> Result<(), ApiError> {
    let mode = request.tool_choice.as_ref().map(|choice| &choice.mode);
    let allowed = match mode {
        Some(ToolMode::Allowed { names, .. }) => {
            ledger.note("allowed_tools");
            Some(names)
        }
        _ => None,
    };
    let none = mode == Some(&ToolMode::None);
    let mut written = Vec::new();
    for (at, tool) in request.tools.iter().flatten().enumerate() {
        match tool {
            Tool::Function(function) if allowed.is_none_or(|names| names.contains(&function.name)) => {
                written.extend(write_tool(function, Family::of(model), ledger));
            }
            Tool::Function(_) => {}
            Tool::Opaque(_) => return Err(ledger.refusal("tools", format!("tools[{at}]"))),
        }
    }
    if none {
        if used.is_empty() {
            return Ok(());
        }
        ledger.note("tool_choice none");
    }
    if written.is_empty() {
        if used.is_empty() {
            return Ok(());
        }
        // The conversation speaks of tools that the request does not declare.
        let bare = |name: &String| json!({"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}});
        written = used.iter().map(bare).collect();
    }
    let mut config = json!({ "tools": written });
    let forced =
        matches!(mode, Some(ToolMode::Required | ToolMode::One { .. } | ToolMode::Allowed { required: true, .. }));
    if forced && thinks {
        ledger.note("tool_choice");
    }
    let mode = mode.filter(|_| !(forced && thinks));
    let serial = request.parallel_tool_calls == Some(false) && !none;
    if serial && fields::write_serial(mode, model, more) {
        body.insert("toolConfig".to_owned(), config);
        return Ok(());
    }
    if serial {
        ledger.note("parallel_tool_calls");
    }
    let choice = match mode {
        Some(ToolMode::Auto | ToolMode::Allowed { required: false, .. }) => Some(json!({"auto": {}})),
        Some(ToolMode::Required | ToolMode::Allowed { required: true, .. }) => Some(json!({"any": {}})),
        Some(ToolMode::One { name }) => Some(json!({"tool": {"name": name}})),
        Some(ToolMode::None) | None => None,
    };
    if let Some(choice) = choice {
        config["toolChoice"] = choice;
    }
    body.insert("toolConfig".to_owned(), config);
    Ok(())
}

fn write_tool(tool: &ToolFunction, family: Family, ledger: &mut Ledger) -> Vec<Value> {
    let mut spec = Fields::new();
    spec.insert("name".to_owned(), Value::from(tool.name.as_str()));
    if let Some(description) = tool.description.as_deref().filter(|text| !text.is_empty()) {
        spec.insert("description".to_owned(), Value::from(description));
    }
    let schema = tool.parameters.clone().unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    spec.insert("inputSchema".to_owned(), json!({ "json": schema }));
    if tool.strict == Some(true) && family == Family::Claude {
        spec.insert("strict".to_owned(), Value::from(true));
    }
    let mut written = vec![json!({ "toolSpec": spec })];
    if let Some(cache) = &tool.cache_control {
        if turns::takes_marks(family) {
            written.push(cache_point(cache));
        } else {
            ledger.note("cache_control");
        }
    }
    written
}

/// Whether a block is a text with something in it.
pub(super) fn is_said(block: &Block) -> bool {
    matches!(block, Block::Text(_)) && !block.is_empty_text()
}
