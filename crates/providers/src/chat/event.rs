//! What happens in a streamed answer.

use serde_json::Value;
use tachograph_record::{FinishReason, Usage};
use tachograph_reply::ApiError;

use crate::DialectId;

/// One thing that happens in a streamed answer. `choice` counts the answers from 0, `call` the tool calls of the whole
/// stream from 0, whatever indices the provider uses.
#[derive(Clone, Debug)]
pub enum StreamEvent {
    /// The answer begins. Comes once, first.
    Start {
        /// The provider's id for it.
        id: Option<String>,
        /// The model that answers, as the provider names it.
        model: Option<String>,
        /// Usage known so far: the input, at providers that say so first.
        usage: Option<Usage>,
    },
    /// Text, never empty.
    Text {
        /// Which answer.
        choice: u32,
        /// What is added.
        text: String,
    },
    /// Reasoning, never empty.
    Thinking {
        /// Which answer.
        choice: u32,
        /// What is added.
        text: String,
    },
    /// The reasoning so far is the provider's own; ends its block.
    Signature {
        /// Which answer.
        choice: u32,
        /// The proof.
        signature: String,
    },
    /// A block of reasoning that only the provider can read.
    Redacted {
        /// Which answer.
        choice: u32,
        /// The block.
        data: String,
    },
    /// Declining words, never empty.
    Refusal {
        /// Which answer.
        choice: u32,
        /// What is added.
        text: String,
    },
    /// A tool call begins.
    CallStart {
        /// Which answer.
        choice: u32,
        /// Which call.
        call: u32,
        /// Its id; empty where the provider gave none.
        id: String,
        /// The tool.
        name: String,
    },
    /// A piece of a call's arguments, never empty.
    Arguments {
        /// Which answer.
        choice: u32,
        /// Which call.
        call: u32,
        /// What is added.
        text: String,
    },
    /// A whole block that only its own dialect understands.
    Opaque {
        /// Which answer.
        choice: u32,
        /// The dialect.
        dialect: DialectId,
        /// The block.
        json: Value,
    },
    /// A block ends; what comes is a new one even if of the same kind.
    BlockEnd {
        /// Which answer.
        choice: u32,
    },
    /// The model stopped. Content may still come (some providers send it late).
    Finish {
        /// Which answer.
        choice: u32,
        /// Why, as the provider says.
        reason: FinishReason,
        /// Why, in the provider's word.
        native: String,
        /// The stop text that was met.
        stop_sequence: Option<String>,
    },
    /// What was used so far; a later one replaces it.
    Usage(Usage),
    /// The answer is complete. Nothing follows.
    End,
    /// The provider reports an error inside its stream. Nothing follows.
    Error(Box<ApiError>),
}
