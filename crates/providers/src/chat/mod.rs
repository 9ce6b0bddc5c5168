//! The one conversation that every dialect is read into and written from.
//!
//! A message is blocks *in order*, not a text with calls and reasoning beside it: OpenAI's chat format cannot say that
//! text came after a tool call, the others can. What a dialect says and this model does not know is kept: unknown fields
//! in `rest`, unknown blocks as [`Opaque`]. Both return when the target speaks the dialect they came from; else they are
//! left out *and reported* (see [`crate::loss`]).
//!
//! What a request did not say stays unsaid: an absent field is not null and not its default. Fields that were null are
//! kept in `rest` as null.

mod assemble;
mod block;
mod event;
mod request;
mod response;

pub use assemble::Assembler;
pub use block::{
    Block, Form, Media, MediaKind, MediaSource, Opaque, Text, Thinking, ThinkingField, ToolCall, ToolResult,
};
pub use event::StreamEvent;
pub use request::{
    ChatRequest, Content, FormatField, MaxTokensName, Message, ResponseFormat, Role, ThinkingMode, ThinkingRequest,
    Tool, ToolChoice, ToolFunction, ToolMode,
};
pub(crate) use response::told_finish;
pub use response::{ChatResponse, Choice};

/// Fields that a dialect has and this model does not, in the order they came.
pub type Rest = serde_json::Map<String, serde_json::Value>;
