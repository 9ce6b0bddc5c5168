//! Requests, written.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::content::{args, write_native, write_part, write_proof};
use crate::chat::{
    Block, ChatRequest, Media, MediaSource, Message, ResponseFormat, Role, Thinking, ThinkingMode, Tool, ToolCall,
    ToolFunction, ToolMode, ToolResult,
};
use crate::loss::Ledger;
use crate::{ApiError, DialectId, Encoded, Provider, effort, seal};

type Fields = Map<String, Value>;

/// Stop texts Google takes.
const MOST_STOPS: usize = 5;
/// What Google takes in the place of a proof that is lost.
const NO_PROOF: &str = "skip_thought_signature_validator";

pub(super) fn request(request: &ChatRequest, model: &str, provider: &Provider) -> Result<Encoded, ApiError> {
    let ledger = Ledger::new(request.dialect, DialectId::GeminiGenerateContent);
    if ledger.is_native() {
        return Ok(Encoded { body: Bytes::from(Value::Object(native(request)).to_string()), notes: Vec::new() });
    }
    let signs = provider.quirks.signs_calls(model);
    let mut writer = Writer { ledger, system: Vec::new(), turns: Vec::new(), calls: Vec::new(), signs };
    for block in request.system.iter().flat_map(|system| &system.blocks) {
        writer.system.extend(write_part(block).filter(|_| !block.is_empty_text()));
    }
    request.turns().iter().enumerate().try_for_each(|(at, message)| writer.message(at, message))?;
    let mut body = Fields::new();
    if !writer.system.is_empty() {
        body.insert("systemInstruction".to_owned(), json!({ "parts": writer.system }));
    }
    let content = |(role, parts): (&str, Vec<Value>)| json!({"role": role, "parts": parts});
    let contents: Vec<_> = std::mem::take(&mut writer.turns).into_iter().map(content).collect();
    if contents.is_empty() {
        let error = ApiError::invalid("missing_parameter", "messages needs at least one message of the user.");
        return Err(error.with_param("messages"));
    }
    body.insert("contents".to_owned(), Value::Array(contents));
    writer.tools(request, &mut body)?;
    let mut config = Fields::new();
    writer.generation(request, model, provider, &mut config);
    for (field, value) in &request.rest {
        let Some((name, value)) = writer.ledger.carry(field, value)? else { continue };
        match name.strip_prefix("generationConfig.") {
            Some(name) => drop(config.insert(name.to_owned(), value)),
            None => drop(body.insert(name.to_owned(), value)),
        }
    }
    if !config.is_empty() {
        body.insert("generationConfig".to_owned(), Value::Object(config));
    }
    Ok(Encoded { body: Bytes::from(Value::Object(body).to_string()), notes: writer.ledger.into_notes() })
}

/// A request that came in this dialect: back as it was, whatever model the path will name.
fn native(request: &ChatRequest) -> Fields {
    let parts = |blocks: &[Block]| {
        let mut pending = None;
        let parts: Vec<Value> = blocks.iter().filter_map(|block| write_native(block, &mut pending)).collect();
        Value::Array(parts)
    };
    let content = |message: &Message| {
        let mut fields = message.rest.clone();
        fields.insert("parts".to_owned(), parts(&message.content.blocks));
        Value::Object(fields)
    };
    let mut body = Fields::new();
    body.insert("contents".to_owned(), request.messages.iter().map(content).collect());
    if let Some(system) = &request.system {
        let mut fields =
            request.native.get("systemInstruction").and_then(Value::as_object).cloned().unwrap_or_default();
        fields.insert("parts".to_owned(), parts(&system.blocks));
        body.insert("systemInstruction".to_owned(), Value::Object(fields));
    }
    if let Some(tools) = &request.tools {
        body.insert("tools".to_owned(), write_tools(tools, true));
    }
    body.extend(request.native.clone().into_iter().filter(|(name, _)| name != "systemInstruction"));
    body.extend(request.rest.clone().into_iter().filter(|(name, _)| !name.contains('.')));
    body
}

/// Tools: functions that stand beside each other in one list, Google's own each by itself.
fn write_tools(tools: &[Tool], native: bool) -> Value {
    let mut written: Vec<Value> = Vec::new();
    let mut in_list = false;
    for tool in tools {
        match tool {
            Tool::Function(function) if in_list => {
                let last = written.last_mut().and_then(|tool| tool["functionDeclarations"].as_array_mut());
                last.into_iter().for_each(|list| list.push(write_tool(function, native)));
            }
            Tool::Function(function) => {
                written.push(json!({ "functionDeclarations": [write_tool(function, native)] }));
                in_list = true;
            }
            Tool::Opaque(opaque) => {
                written.push(opaque.json.clone());
                in_list = false;
            }
        }
    }
    Value::Array(written)
}

fn write_tool(tool: &ToolFunction, native: bool) -> Value {
    let mut fields = Fields::new();
    fields.insert("name".to_owned(), Value::from(tool.name.as_str()));
    if let Some(description) = &tool.description {
        fields.insert("description".to_owned(), Value::from(description.as_str()));
    }
    match (tool.inner_rest.get("parameters").filter(|_| native), &tool.parameters) {
        (Some(own), _) => drop(fields.insert("parameters".to_owned(), own.clone())),
        (None, Some(schema)) => drop(fields.insert("parametersJsonSchema".to_owned(), schema.clone())),
        (None, None) => {}
    }
    if native {
        fields.extend(tool.rest.clone());
    }
    Value::Object(fields)
}

struct Writer {
    ledger: Ledger,
    system: Vec<Value>,
    turns: Vec<(&'static str, Vec<Value>)>,
    /// Ids of calls and the tools they called: results have only ids, and Google wants names.
    calls: Vec<(String, String)>,
    /// Whether the model wants a proof on the first call of every turn.
    signs: bool,
}

impl Writer {
    fn message(&mut self, at: usize, message: &Message) -> Result<(), ApiError> {
        if message.rest.get("name").is_some_and(|name| !name.is_null()) {
            self.ledger.note("messages.name");
        }
        match message.role {
            Role::System | Role::Developer => {
                let leads = self.turns.is_empty();
                if !leads {
                    self.ledger.note("messages.system");
                }
                for block in message.content.blocks.iter().filter(|block| !block.is_empty_text()) {
                    match (block, leads) {
                        (block, true) => self.system.extend(write_part(block)),
                        (Block::Text(text), false) => {
                            let marked = format!("<system>\n{}\n</system>", text.text);
                            self.push("user", json!({ "text": marked }));
                        }
                        _ => {}
                    }
                }
                Ok(())
            }
            Role::User | Role::Tool => message.content.blocks.iter().try_for_each(|block| self.user(at, block)),
            Role::Assistant => self.model(at, &message.content.blocks),
        }
    }

    /// Adds a part to the turn of its role. Answers of tools come first in theirs.
    fn push(&mut self, role: &'static str, part: Value) {
        let is_answer = |part: &Value| part.get("functionResponse").is_some();
        match self.turns.last_mut() {
            Some((last, parts)) if *last == role => {
                let answers = parts.iter().take_while(|part| is_answer(part)).count();
                let at = if is_answer(&part) { answers } else { parts.len() };
                parts.insert(at, part);
            }
            _ => self.turns.push((role, vec![part])),
        }
    }

    fn user(&mut self, at: usize, block: &Block) -> Result<(), ApiError> {
        match block {
            Block::ToolResult(result) => self.answer(at, result),
            block => self.said("user", at, block),
        }
    }

    /// Text or media.
    fn said(&mut self, role: &'static str, at: usize, block: &Block) -> Result<(), ApiError> {
        let param = format!("messages[{at}].content");
        match block {
            block if block.is_empty_text() => return Ok(()),
            Block::Opaque(_) => {
                if !self.ledger.drops("messages.content") {
                    return Err(self.ledger.refusal("messages.content", param));
                }
                self.ledger.note("messages.content");
                return Ok(());
            }
            Block::Media(Media { source: MediaSource::File(_), .. }) => {
                return Err(self.ledger.refusal("messages.file_id", param));
            }
            Block::Media(Media { source: MediaSource::Url(_), .. }) => self.ledger.note("messages.url"),
            Block::Text(text) if text.cache_control.is_some() => self.ledger.note("messages.cache_control"),
            _ => {}
        }
        let Some(part) = write_part(block) else { return Err(self.ledger.refusal("messages.content", param)) };
        self.push(role, part);
        Ok(())
    }

    fn answer(&mut self, at: usize, result: &ToolResult) -> Result<(), ApiError> {
        let Some(name) = self.calls.iter().rfind(|(id, _)| *id == result.id).map(|(_, name)| name.clone()) else {
            let param = format!("messages[{at}]");
            let message = format!("{param} answers the call {:?}, which no earlier message makes.", result.id);
            return Err(ApiError::invalid("unknown_tool_call", message).with_param(param));
        };
        let (mut words, mut media) = (String::new(), Vec::new());
        for block in &result.content {
            match block {
                Block::Text(text) => {
                    words.push_str(if words.is_empty() { "" } else { "\n" });
                    words.push_str(&text.text);
                }
                block => media.push(block),
            }
        }
        let response = match serde_json::from_str(&words) {
            _ if result.is_error == Some(true) => json!({ "error": words }),
            Ok(Value::Object(fields)) => Value::Object(fields),
            _ => json!({ "output": words }),
        };
        self.push("user", json!({"functionResponse": {"name": name, "response": response}}));
        if !media.is_empty() {
            self.ledger.note("messages.tool_result.content");
        }
        media.into_iter().try_for_each(|block| self.said("user", at, block))
    }

    fn model(&mut self, at: usize, blocks: &[Block]) -> Result<(), ApiError> {
        // Proofs in the order they were given; a client may have kept them apart from the calls they belong to.
        let mut proofs = std::collections::VecDeque::new();
        let (mut called, mut calls) = (false, 0);
        for block in blocks {
            match block {
                Block::Thinking(Thinking { signature, .. }) => {
                    let own = |proof: &&String| seal::open(DialectId::GeminiGenerateContent, proof).is_some();
                    match signature.as_ref().filter(own) {
                        Some(proof) => proofs.push_back(write_proof(proof)),
                        None => self.ledger.note("messages.thinking"),
                    }
                }
                Block::ToolCall(call) => {
                    let param = format!("messages[{at}].tool_calls[{calls}].function.arguments");
                    calls += 1;
                    let proof = proofs.pop_front().or_else(|| carried_proof(call));
                    self.call(call, proof, !std::mem::replace(&mut called, true), param)?;
                }
                block => self.said("model", at, block)?,
            }
        }
        Ok(())
    }

    fn call(&mut self, call: &ToolCall, proof: Option<String>, first: bool, param: String) -> Result<(), ApiError> {
        let Ok(args) = args(&call.arguments) else {
            let message = format!("{param} must be the text of a JSON object.");
            return Err(ApiError::invalid("invalid_tool_arguments", message).with_param(param));
        };
        self.calls.push((call.id.clone(), call.name.clone()));
        let mut part = json!({"functionCall": {"name": call.name, "args": args}});
        let proof = proof.or_else(|| {
            (first && self.signs).then(|| {
                self.ledger.note("thought_signature");
                NO_PROOF.to_owned()
            })
        });
        if let Some(proof) = proof {
            part["thoughtSignature"] = Value::from(proof);
        }
        self.push("model", part);
        Ok(())
    }

    fn tools(&mut self, request: &ChatRequest, body: &mut Fields) -> Result<(), ApiError> {
        let Some(tools) = request.tools.as_ref().filter(|tools| !tools.is_empty()) else { return Ok(()) };
        if let Some(at) = tools.iter().position(|tool| matches!(tool, Tool::Opaque(_))) {
            return Err(self.ledger.refusal("tools", format!("tools[{at}]")));
        }
        body.insert("tools".to_owned(), write_tools(tools, false));
        if request.parallel_tool_calls == Some(false) {
            self.ledger.note("parallel_tool_calls");
        }
        let calling = match request.tool_choice.as_ref().map(|choice| &choice.mode) {
            Some(ToolMode::Auto) => json!({"mode": "AUTO"}),
            Some(ToolMode::None) => json!({"mode": "NONE"}),
            Some(ToolMode::Required) => json!({"mode": "ANY"}),
            Some(ToolMode::One { name }) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
            Some(ToolMode::Allowed { names, required }) => {
                let mode = if *required { "ANY" } else { "VALIDATED" };
                json!({"mode": mode, "allowedFunctionNames": names})
            }
            None => return Ok(()),
        };
        body.insert("toolConfig".to_owned(), json!({ "functionCallingConfig": calling }));
        Ok(())
    }

    fn generation(&mut self, request: &ChatRequest, model: &str, provider: &Provider, config: &mut Fields) {
        let mut set = |name: &str, value: Option<Value>| value.map(|value| config.insert(name.to_owned(), value));
        set("maxOutputTokens", request.max_tokens.map(Value::from));
        set("temperature", request.temperature.clone().map(Value::Number));
        set("topP", request.top_p.clone().map(Value::Number));
        if let Some(stops) = request.stop.as_ref().filter(|stops| !stops.is_empty()) {
            if stops.len() > MOST_STOPS {
                self.ledger.note("stop");
            }
            set("stopSequences", Some(stops.iter().take(MOST_STOPS).cloned().collect()));
        }
        match &request.response_format {
            Some(ResponseFormat::JsonObject) => drop(set("responseMimeType", Some(json!("application/json")))),
            Some(ResponseFormat::JsonSchema { schema: Some(schema), .. }) => {
                set("responseMimeType", Some(json!("application/json")));
                set("responseJsonSchema", Some(schema.clone()));
            }
            _ => {}
        }
        if request.user.is_some() {
            self.ledger.note("user");
        }
        set("thinkingConfig", self.thinking(request, provider.quirks.thinks_to_a_budget(model)));
    }

    /// How to think: a budget for models that have one, else a level.
    fn thinking(&mut self, request: &ChatRequest, by_budget: bool) -> Option<Value> {
        let mode = request.thinking.as_ref().map(|thinking| &thinking.mode);
        let effort = request.effort.as_deref();
        let off = effort == Some("none") || effort.is_none() && mode == Some(&ThinkingMode::Off);
        if off {
            return Some(if by_budget { json!({"thinkingBudget": 0}) } else { json!({"thinkingLevel": "minimal"}) });
        }
        let budget = match (effort, mode) {
            (Some(word), _) => effort::budget(word)?,
            (None, Some(ThinkingMode::Budget { tokens })) => *tokens,
            (None, Some(ThinkingMode::Adaptive)) => return Some(json!({"includeThoughts": true})),
            (None, _) => return None,
        };
        self.ledger.note(if effort.is_some() { "reasoning_effort" } else { "thinking" });
        Some(if by_budget {
            json!({"thinkingBudget": budget, "includeThoughts": true})
        } else {
            json!({"thinkingLevel": effort::of_budget(budget), "includeThoughts": true})
        })
    }
}

/// The proof that clients of Google's OpenAI-compatible API keep on a call.
fn carried_proof(call: &ToolCall) -> Option<String> {
    let google = call.rest.get("extra_content")?.get("google")?;
    google.get("thought_signature")?.as_str().map(str::to_owned)
}
