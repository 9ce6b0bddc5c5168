//! What is asked of a model.

use serde::Serialize;
use serde_json::{Number, Value};

use super::{Block, Form, Opaque, Rest};
use crate::DialectId;

/// A request for an answer to a conversation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChatRequest {
    /// The dialect it was read from: `rest` fields and opaque blocks are in its words.
    pub dialect: DialectId,
    /// The model, as the caller wrote it. Azure's and Bedrock's paths name it instead of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Instructions that stand apart from the messages (Anthropic's `system`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<Content>,
    /// The messages in order.
    pub messages: Vec<Message>,
    /// The tools that may be called, in order: providers' prompt caches depend on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Tool>>,
    /// Whether tools must or may be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Whether several calls may be made in one turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// The most tokens to write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Sampling temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Number>,
    /// Nucleus sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<Number>,
    /// Texts at which to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Vec<String>>,
    /// Whether to stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Whether usage is wanted at the end of a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_usage: Option<bool>,
    /// The end user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The shape the answer must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// How to think, where said in tokens or modes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<ThinkingRequest>,
    /// How hard to think, where said in a word (`none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// Other fields of its dialect.
    #[serde(skip_serializing_if = "Rest::is_empty")]
    pub rest: Rest,
    /// Fields as its dialect had them, where they are also read into the fields above; for going back only.
    #[serde(skip)]
    pub native: Rest,
    /// The name `max_tokens` went by.
    #[serde(skip)]
    pub max_tokens_name: MaxTokensName,
    /// `stop` was one string and no list.
    #[serde(skip)]
    pub stop_is_text: bool,
}

impl ChatRequest {
    /// A request of this dialect with nothing in it.
    #[must_use]
    pub fn new(dialect: DialectId) -> Self {
        Self {
            dialect,
            model: None,
            system: None,
            messages: Vec::new(),
            tools: None,
            tool_choice: None,
            parallel_tool_calls: None,
            max_tokens: None,
            temperature: None,
            top_p: None,
            stop: None,
            stream: None,
            include_usage: None,
            user: None,
            response_format: None,
            thinking: None,
            effort: None,
            rest: Rest::new(),
            native: Rest::new(),
            max_tokens_name: MaxTokensName::default(),
            stop_is_text: false,
        }
    }
}

impl ChatRequest {
    /// The messages for a target of another dialect: neighbouring ones of the model made one, for some dialects give every
    /// call a message of its own; and every call and its result with an id, for some have only names.
    #[must_use]
    pub fn turns(&self) -> Vec<Message> {
        let mut turns: Vec<Message> = Vec::with_capacity(self.messages.len());
        for message in &self.messages {
            match turns.last_mut() {
                Some(last) if last.role == Role::Assistant && message.role == Role::Assistant => {
                    last.content.blocks.extend(message.content.blocks.iter().cloned());
                    last.content.form = Form::Parts;
                }
                _ => turns.push(message.clone()),
            }
        }
        name_calls(&mut turns);
        turns
    }
}

/// Gives calls without an id one, and results without one that of the first open call of their name, else of the first.
fn name_calls(turns: &mut [Message]) {
    let mut open: Vec<(String, String)> = Vec::new();
    let mut made = 0;
    for block in turns.iter_mut().flat_map(|message| &mut message.content.blocks) {
        match block {
            Block::ToolCall(call) if call.id.is_empty() => {
                made += 1;
                call.id = format!("call_{made}");
                open.push((call.id.clone(), call.name.clone()));
            }
            Block::ToolResult(result) if result.id.is_empty() && !open.is_empty() => {
                let name = result.rest.get("name").and_then(Value::as_str);
                let at = open.iter().position(|(_, held)| Some(held.as_str()) == name).unwrap_or(0);
                result.id = open.remove(at).0;
            }
            _ => {}
        }
    }
}

/// The two names OpenAI's chat format has for one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaxTokensName {
    /// `max_tokens`
    #[default]
    MaxTokens,
    /// `max_completion_tokens`
    MaxCompletionTokens,
}

/// Blocks, and how they were written down.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Content {
    /// The blocks.
    pub blocks: Vec<Block>,
    /// How they were written down.
    #[serde(skip)]
    pub form: Form,
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The operator.
    System,
    /// The operator, in OpenAI's newer word.
    Developer,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool.
    Tool,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said, in order.
    pub content: Content,
    /// Other fields.
    #[serde(skip_serializing_if = "Rest::is_empty")]
    pub rest: Rest,
}

/// A tool that may be called.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tool {
    /// One that the client runs.
    Function(Box<ToolFunction>),
    /// One of its dialect only: run by the provider, or of a kind not known here.
    Opaque(Opaque),
}

/// A tool that the client runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ToolFunction {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON schema of its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Whether arguments must fit the schema exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// The mark that a prompt cache should end here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<Value>,
    /// Other fields of the declaration.
    #[serde(skip_serializing_if = "Rest::is_empty")]
    pub rest: Rest,
    /// Other fields of the object inside it, where the dialect has one.
    #[serde(skip_serializing_if = "Rest::is_empty")]
    pub inner_rest: Rest,
}

/// Whether tools must or may be called.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToolChoice {
    /// What is wanted.
    #[serde(flatten)]
    pub mode: ToolMode,
    /// As its dialect said it.
    #[serde(skip)]
    pub native: Value,
}

/// What is wanted of tools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "mode")]
pub enum ToolMode {
    /// The model decides.
    Auto,
    /// No calls.
    None,
    /// At least one call.
    Required,
    /// A call of this one.
    One {
        /// The tool.
        name: String,
    },
    /// Only these may be called.
    Allowed {
        /// The tools.
        names: Vec<String>,
        /// Whether one of them must be.
        required: bool,
    },
}

/// Where Anthropic's format was asked for: the field moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormatField {
    /// `response_format` (OpenAI) or `output_config.format` (Anthropic).
    #[default]
    Usual,
    /// `output_format`, Anthropic's field while it was in beta.
    OutputFormat,
}

/// The shape the answer must have.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Any text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON of a schema.
    JsonSchema {
        /// The schema.
        #[serde(skip_serializing_if = "Option::is_none")]
        schema: Option<Value>,
        /// Its name.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Other fields (`strict`, `description`).
        #[serde(skip_serializing_if = "Rest::is_empty")]
        rest: Rest,
        /// Where it stood.
        #[serde(skip)]
        field: FormatField,
    },
    /// A format of its dialect only.
    Opaque(Opaque),
}

/// How to think.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ThinkingRequest {
    /// Whether and how much.
    #[serde(flatten)]
    pub mode: ThinkingMode,
    /// Other fields (`display`).
    #[serde(skip_serializing_if = "Rest::is_empty")]
    pub rest: Rest,
}

/// Whether and how much to think.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum ThinkingMode {
    /// Not at all.
    Off,
    /// As the model sees fit.
    Adaptive,
    /// Up to so many tokens.
    Budget {
        /// Tokens.
        tokens: u64,
    },
}
