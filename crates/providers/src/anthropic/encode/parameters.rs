//! A request's parameters, as Anthropic takes them.

use serde_json::{Value, json};

use super::Fields;
use super::turns::Turns;
use crate::chat::{ChatRequest, FormatField, ResponseFormat, ThinkingMode, Tool, ToolFunction, ToolMode};
use crate::effort::{self, LEAST_BUDGET};
use crate::loss::Ledger;
use crate::{ApiError, Provider};

/// Parameters that came in this dialect: back as they were.
pub(super) fn native(request: &ChatRequest, body: &mut Fields, max_output_default: u64) {
    body.insert("max_tokens".to_owned(), Value::from(request.max_tokens.unwrap_or(max_output_default)));
    if let Some(tools) = &request.tools {
        let write = |tool: &Tool| match tool {
            Tool::Function(function) => write_tool(function, true),
            Tool::Opaque(opaque) => opaque.json.clone(),
        };
        body.insert("tools".to_owned(), tools.iter().map(write).collect());
    }
    set(body, "tool_choice", request.tool_choice.as_ref().map(|choice| choice.native.clone()));
    set(body, "temperature", request.temperature.clone());
    set(body, "top_p", request.top_p.clone());
    set(body, "stop_sequences", request.stop.clone());
    set(body, "stream", request.stream);
    if let Some(user) = &request.user {
        body.insert("metadata".to_owned(), json!({ "user_id": user }));
    }
    let mut config = Fields::new();
    set(&mut config, "effort", request.effort.clone());
    if let Some(ResponseFormat::JsonSchema { schema, rest, field, .. }) = &request.response_format {
        let mut format = Fields::new();
        format.insert("type".to_owned(), Value::from("json_schema"));
        set(&mut format, "schema", schema.clone());
        format.extend(rest.clone());
        let (place, name) = match field {
            FormatField::Usual => (&mut config, "format"),
            FormatField::OutputFormat => (&mut *body, "output_format"),
        };
        place.insert(name.to_owned(), Value::Object(format));
    }
    if !config.is_empty() {
        body.insert("output_config".to_owned(), Value::Object(config));
    }
    if let Some(thinking) = &request.thinking {
        let mut written = match thinking.mode {
            ThinkingMode::Off => json!({"type": "disabled"}),
            ThinkingMode::Adaptive => json!({"type": "adaptive"}),
            ThinkingMode::Budget { tokens } => json!({"type": "enabled", "budget_tokens": tokens}),
        };
        if let Some(fields) = written.as_object_mut() {
            fields.extend(thinking.rest.clone());
        }
        body.insert("thinking".to_owned(), written);
    }
    for (field, value) in &request.rest {
        match (body.get_mut(field), value) {
            (Some(Value::Object(held)), Value::Object(more)) => held.extend(more.clone()),
            (Some(_), _) => {}
            (None, value) => drop(body.insert(field.clone(), value.clone())),
        }
    }
}

fn set<T: Into<Value>>(body: &mut Fields, name: &str, value: Option<T>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value.into());
    }
}

/// Parameters that came in another dialect.
pub(super) fn translated(
    request: &ChatRequest,
    model: &str,
    provider: &Provider,
    max_output_default: u64,
    turns: &mut Turns,
    ledger: &mut Ledger,
    body: &mut Fields,
) -> Result<(), ApiError> {
    let mut most = request.max_tokens.unwrap_or(max_output_default);
    let thinks = thinking(request, model, provider, turns, &mut most, ledger, body);
    body.insert("max_tokens".to_owned(), Value::from(most));
    sampling(request, thinks, ledger, body);
    response_format(request, turns, ledger, body);
    tools(request, thinks, ledger, body)?;
    set(body, "stream", request.stream);
    for (field, value) in &request.rest {
        if thinks && field == "top_k" && !value.is_null() {
            ledger.note("top_k");
        } else if let Some((name, value)) = ledger.carry(field, value)? {
            body.insert(name.to_owned(), value);
        }
    }
    if let Some(user) = &request.user {
        body.insert("metadata".to_owned(), json!({ "user_id": user }));
    }
    Ok(())
}

/// Whether and how the model is to think; returns whether it is.
fn thinking(
    request: &ChatRequest,
    model: &str,
    provider: &Provider,
    turns: &Turns,
    most: &mut u64,
    ledger: &mut Ledger,
    body: &mut Fields,
) -> bool {
    let word = request.effort.as_deref();
    let budget = match (&request.thinking, word) {
        (Some(thinking), _) => match thinking.mode {
            ThinkingMode::Budget { tokens } => Some(tokens),
            ThinkingMode::Adaptive | ThinkingMode::Off => None,
        },
        (None, Some(word)) => effort::budget(word),
        (None, None) => None,
    };
    let Some(budget) = budget else { return false };
    if turns.unsigned_tools {
        // The turn that called the tools has lost its thinking on the way; Anthropic refuses it with thinking on.
        ledger.note("thinking");
        return false;
    }
    if word.is_some() {
        ledger.note("reasoning_effort");
    }
    if request.thinking.is_none() && !provider.quirks.thinks_to_a_budget(model) {
        body.insert("thinking".to_owned(), json!({"type": "adaptive"}));
        let effort = match word {
            Some("minimal") => "low",
            Some("xhigh") => "high",
            word => word.unwrap_or("medium"),
        };
        body.insert("output_config".to_owned(), json!({ "effort": effort }));
        return true;
    }
    // The budget is part of the limit and has a least size; where both do not fit, the limit gives way.
    if *most <= LEAST_BUDGET {
        *most += LEAST_BUDGET;
        ledger.note("max_tokens");
    }
    // An effort must leave room for the answer itself; a budget that the caller named is only kept possible.
    let room = if word.is_some() { *most / 4 } else { 1 };
    let tokens = budget.clamp(LEAST_BUDGET, (*most - room).max(LEAST_BUDGET));
    body.insert("thinking".to_owned(), json!({"type": "enabled", "budget_tokens": tokens}));
    true
}

fn sampling(request: &ChatRequest, thinks: bool, ledger: &mut Ledger, body: &mut Fields) {
    if let Some(temperature) = &request.temperature {
        let hot = temperature.as_f64().is_some_and(|degrees| degrees > 1.0);
        if thinks {
            if temperature.as_f64() != Some(1.0) {
                ledger.note("temperature with thinking");
            }
        } else if hot {
            ledger.note("temperature");
            body.insert("temperature".to_owned(), Value::from(1));
        } else {
            body.insert("temperature".to_owned(), Value::Number(temperature.clone()));
        }
    }
    if let Some(top_p) = &request.top_p {
        // Newer models refuse both at once, and any of it with thinking; 1 asks for nothing.
        let asks = top_p.as_f64() != Some(1.0);
        if asks && (thinks || request.temperature.is_some()) {
            ledger.note("top_p");
        } else if asks {
            body.insert("top_p".to_owned(), Value::Number(top_p.clone()));
        }
    }
    if let Some(stops) = &request.stop {
        let kept: Vec<_> = stops.iter().filter(|stop| !stop.trim().is_empty()).cloned().collect();
        if kept.len() < stops.len() {
            ledger.note("stop");
        }
        if !kept.is_empty() {
            body.insert("stop_sequences".to_owned(), Value::from(kept));
        }
    }
}

fn response_format(request: &ChatRequest, turns: &mut Turns, ledger: &mut Ledger, body: &mut Fields) {
    match &request.response_format {
        Some(ResponseFormat::JsonSchema { schema: Some(schema), .. }) => {
            let config = body.entry("output_config").or_insert_with(|| json!({}));
            config["format"] = json!({"type": "json_schema", "schema": schema});
        }
        Some(ResponseFormat::JsonObject) => {
            ledger.note("response_format");
            let instruction = "Answer with one JSON object and nothing else: no text around it, no code fence.";
            turns.system.push(json!({"type": "text", "text": instruction}));
        }
        Some(ResponseFormat::JsonSchema { .. } | ResponseFormat::Text | ResponseFormat::Opaque(_)) | None => {}
    }
}

fn tools(request: &ChatRequest, thinks: bool, ledger: &mut Ledger, body: &mut Fields) -> Result<(), ApiError> {
    let Some(tools) = request.tools.as_ref().filter(|tools| !tools.is_empty()) else { return Ok(()) };
    let mode = request.tool_choice.as_ref().map(|choice| &choice.mode);
    let allowed = match mode {
        Some(ToolMode::Allowed { names, .. }) => {
            ledger.note("allowed_tools");
            Some(names)
        }
        _ => None,
    };
    let mut written = Vec::with_capacity(tools.len());
    for (at, tool) in tools.iter().enumerate() {
        match tool {
            Tool::Function(function) if allowed.is_none_or(|names| names.contains(&function.name)) => {
                written.push(write_tool(function, false));
            }
            Tool::Function(_) => {}
            Tool::Opaque(_) => return Err(ledger.refusal("tools", format!("tools[{at}]"))),
        }
    }
    body.insert("tools".to_owned(), Value::Array(written));
    let forced =
        matches!(mode, Some(ToolMode::Required | ToolMode::One { .. } | ToolMode::Allowed { required: true, .. }));
    if forced && thinks {
        ledger.note("tool_choice");
    }
    let mut choice = match mode {
        _ if forced && thinks => Some(json!({"type": "auto"})),
        Some(ToolMode::Auto | ToolMode::Allowed { required: false, .. }) => Some(json!({"type": "auto"})),
        Some(ToolMode::None) => Some(json!({"type": "none"})),
        Some(ToolMode::Required | ToolMode::Allowed { required: true, .. }) => Some(json!({"type": "any"})),
        Some(ToolMode::One { name }) => Some(json!({"type": "tool", "name": name})),
        None => None,
    };
    if request.parallel_tool_calls == Some(false) && !matches!(mode, Some(ToolMode::None)) {
        // It is said within a choice, so there has to be one.
        choice.get_or_insert_with(|| json!({"type": "auto"}))["disable_parallel_tool_use"] = Value::from(true);
    }
    set(body, "tool_choice", choice);
    Ok(())
}

fn write_tool(tool: &ToolFunction, native: bool) -> Value {
    let mut fields = Fields::new();
    fields.insert("name".to_owned(), Value::from(tool.name.as_str()));
    set(&mut fields, "description", tool.description.as_deref());
    let schema = match &tool.parameters {
        None if native => None,
        None => Some(json!({"type": "object", "properties": {}})),
        Some(schema) => Some(schema.clone()),
    };
    set(&mut fields, "input_schema", schema);
    set(&mut fields, "strict", tool.strict.filter(|strict| native || *strict));
    if native {
        fields.extend(tool.rest.clone());
    }
    set(&mut fields, "cache_control", tool.cache_control.clone());
    Value::Object(fields)
}
