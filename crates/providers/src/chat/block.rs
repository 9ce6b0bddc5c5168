//! What messages are made of.

use serde::Serialize;
use serde_json::Value;

use super::Rest;
use crate::DialectId;

/// One part of a message.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    /// Text.
    Text(Text),
    /// A picture, sound, film or document.
    Media(Media),
    /// Reasoning.
    Thinking(Thinking),
    /// The model wants a tool called.
    ToolCall(ToolCall),
    /// What a tool answered.
    ToolResult(ToolResult),
    /// The model declined.
    Refusal(Text),
    /// A block of one dialect that this model does not know.
    Opaque(Opaque),
}

impl Block {
    /// A text block of nothing but this text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Text { text: text.into(), ..Text::default() })
    }

    /// Whether it is a text block without any text, which some providers refuse.
    #[must_use]
    pub fn is_empty_text(&self) -> bool {
        matches!(self, Self::Text(text) if text.text.is_empty())
    }
}

/// Whether content was given as one string, as a list of parts, or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// There was none.
    #[default]
    Absent,
    /// One string.
    Text,
    /// A list.
    Parts,
}

/// Text with what was said about it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Text {
    /// The text.
    pub text: String,
    /// The mark that a prompt cache should end here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<Value>,
    /// Other fields (`citations`).
    #[serde(skip_serializing_if = "Rest::is_empty")]
    pub rest: Rest,
}

/// What kind of media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// Sound.
    Audio,
    /// A document.
    Document,
}

/// Where media is to be had from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaSource {
    /// Its bytes in base64.
    Base64 {
        /// The media type, such as `image/png`.
        mime: String,
        /// The bytes in base64.
        data: String,
    },
    /// An address.
    Url(String),
    /// A file that the provider holds.
    File(String),
    /// A document's plain text.
    Text {
        /// The media type.
        mime: String,
        /// The text.
        data: String,
    },
}

/// A picture, sound or document.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Media {
    /// What kind.
    pub kind: MediaKind,
    /// Where from.
    pub source: MediaSource,
    /// Its file name or title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The mark that a prompt cache should end here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<Value>,
    /// Other fields (`detail`, `citations`).
    #[serde(skip_serializing_if = "Rest::is_empty")]
    pub rest: Rest,
    /// Written as a bare string where the dialect usually has an object around it.
    #[serde(skip)]
    pub bare: bool,
}

/// The field reasoning stood in; OpenAI-compatible providers use five.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThinkingField {
    /// A content block of its own kind (Anthropic).
    #[default]
    Block,
    /// A part of `content` with `type: thinking` (Mistral).
    Part,
    /// `reasoning_content` (DeepSeek, Z.ai, Moonshot, …).
    ReasoningContent,
    /// `reasoning` (Groq, OpenRouter, Ollama).
    Reasoning,
    /// `reasoning_details` (OpenRouter, Snowflake).
    ReasoningDetails,
    /// `thinking_blocks`: Anthropic's blocks, passed through OpenAI's format with their signatures.
    ThinkingBlocks,
    /// An item of its own (OpenAI Responses).
    Item,
    /// `tool_plan`: what the model means to do, said before a call (Cohere).
    ToolPlan,
}

/// Reasoning. Anthropic demands it back unchanged, signature and all, when tool results follow.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Thinking {
    /// The readable reasoning; may be empty beside a signature.
    pub text: String,
    /// The provider's proof that it is its own; marked with its dialect, if it is not Anthropic's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Reasoning that only the provider can read, instead of text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redacted: Option<String>,
    /// Other fields.
    #[serde(skip_serializing_if = "Rest::is_empty")]
    pub rest: Rest,
    /// The field it stood in.
    #[serde(skip)]
    pub field: ThinkingField,
}

/// A call the model wants made.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ToolCall {
    /// Its id; empty where the provider gave none.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments as JSON text, as the model wrote them: they may be empty or not even JSON.
    pub arguments: String,
    /// The mark that a prompt cache should end here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<Value>,
    /// Other fields.
    #[serde(skip_serializing_if = "Rest::is_empty")]
    pub rest: Rest,
}

/// What a tool answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ToolResult {
    /// The id of the call; empty where none was given.
    pub id: String,
    /// Whether the tool failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_error: Option<bool>,
    /// The answer.
    pub content: Vec<Block>,
    /// The mark that a prompt cache should end here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<Value>,
    /// Other fields.
    #[serde(skip_serializing_if = "Rest::is_empty")]
    pub rest: Rest,
    /// How the answer was given.
    #[serde(skip)]
    pub form: Form,
}

/// A block that only its own dialect understands, kept as it came.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Opaque {
    /// The dialect.
    pub dialect: DialectId,
    /// The block.
    pub json: Value,
}

impl Opaque {
    /// What the block calls itself.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.json.get("type").and_then(Value::as_str).unwrap_or("unknown")
    }
}
