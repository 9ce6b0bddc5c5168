//! What an observer of an answer reads from its bytes.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Money, RecordedError, Usage};

/// Looks at the bytes of one answer as they pass to the client. It cannot fail and cannot alter them.
pub trait Tap: Send {
    /// Looks at the next piece. Returns whether content (text, a tool call, reasoning) has been seen so far.
    fn see(&mut self, piece: &Bytes) -> bool;

    /// Whether the answer's terminal event has passed: nothing that the record wants can follow. A tap that cannot tell
    /// says no, and the answer ends with its last byte.
    fn settled(&self) -> bool {
        false
    }

    /// What was read, once no more bytes will come.
    fn finish(&mut self) -> Reading;
}

/// What an answer said about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reading {
    /// The model that answered, as the answer names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What was used.
    pub usage: UsageReading,
    /// Why the model stopped, in OpenAI's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<FinishReason>,
    /// Why the model stopped, in the provider's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native_finish_reason: Option<String>,
    /// The service tier that served, as the answer names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// What the provider says it charges for the call, kept beside our own figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_cost: Option<Money>,
    /// An error the answer carried, in its status or inside a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<RecordedError>,
    /// Whether the answer reached its end: for a stream, its terminal event; for a document, its last byte.
    pub ended: bool,
}

/// What an answer said about usage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageReading {
    /// Nothing.
    #[default]
    Absent,
    /// This.
    Known(Usage),
    /// Numbers that cannot be.
    Invalid(String),
}

impl UsageReading {
    /// The usage, where it is known.
    #[must_use]
    pub fn known(&self) -> Option<&Usage> {
        match self {
            Self::Known(usage) => Some(usage),
            Self::Absent | Self::Invalid(_) => None,
        }
    }
}

/// Why a model stopped, in OpenAI's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// It was done.
    Stop,
    /// It reached a limit of tokens.
    Length,
    /// It wants tools called.
    ToolCalls,
    /// A filter, or its own refusal.
    ContentFilter,
    /// Something broke.
    Error,
    /// A reason that OpenAI has no word for.
    Other,
}

impl FinishReason {
    /// The reason's word.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Error => "error",
            Self::Other => "other",
        }
    }
}
