//! What a model answered.

use serde::{Serialize, Serializer};
use tachograph_record::{FinishReason, Money, UsageReading};

use super::{Block, Rest};
use crate::DialectId;

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChatResponse {
    /// The dialect it was read from.
    pub dialect: DialectId,
    /// The provider's id for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The model that answered, as the answer names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The answers, of which most requests want one.
    pub choices: Vec<Choice>,
    /// What was used.
    #[serde(serialize_with = "usage")]
    pub usage: UsageReading,
    /// The service tier that served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// What the provider says it charges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_cost: Option<Money>,
}

/// One answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Choice {
    /// What was said, in order.
    pub content: Vec<Block>,
    /// Why the model stopped, in OpenAI's words, as the provider says. See [`Choice::finish`] for what a client is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<FinishReason>,
    /// Why the model stopped, in the provider's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native_finish_reason: Option<String>,
    /// The stop text that was met, where the provider says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_sequence: Option<String>,
    /// Other fields.
    #[serde(skip_serializing_if = "Rest::is_empty")]
    pub rest: Rest,
}

impl Choice {
    /// Why the model stopped, as a client of another dialect has to be told.
    #[must_use]
    pub fn finish(&self) -> FinishReason {
        told_finish(self.finish_reason, self.content.iter().any(|block| matches!(block, Block::ToolCall(_))))
    }

    /// All text, joined.
    #[must_use]
    pub fn text(&self) -> String {
        let text = |block: &Block| match block {
            Block::Text(text) => Some(text.text.clone()),
            _ => None,
        };
        self.content.iter().filter_map(text).collect()
    }
}

/// The reason a translated answer gives. Agents act on it, and several providers say `stop` on turns with calls, so
/// that a call was made counts for more than the word.
pub(crate) fn told_finish(said: Option<FinishReason>, called: bool) -> FinishReason {
    match said {
        None | Some(FinishReason::Stop | FinishReason::Other) if called => FinishReason::ToolCalls,
        None => FinishReason::Stop,
        Some(reason) => reason,
    }
}

fn usage<S: Serializer>(usage: &UsageReading, serializer: S) -> Result<S::Ok, S::Error> {
    usage.known().serialize(serializer)
}
