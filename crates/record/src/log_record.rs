//! The row.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Asked, Attempt, Body, Control, CostState, Outcome, Reading, RecordId, Timing};

/// One call, from the moment it reached the edge until it was over, however it ended.
///
/// What serde writes of it leaves out what may be large: both bodies and the request's parameters.
/// [`encode`](Self::encode) writes everything.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogRecord {
    /// The call's id; also in the answer's `Helicone-Id` header.
    pub id: RecordId,
    /// What was asked, by whom and what for.
    pub asked: Asked,
    /// The provider that served, or was asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Arc<str>>,
    /// The model as that provider was asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_model: Option<String>,
    /// Each try at serving it, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// The HTTP status the client got; absent where it left before the head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong, if anything did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RecordedError>,
    /// The clocks.
    pub timing: Timing,
    /// What the answer said about itself: model, usage, finish reason.
    #[serde(default)]
    pub reading: Reading,
    /// What it cost.
    #[serde(default)]
    pub cost: CostState,
    /// What the gateway itself decided on the way.
    #[serde(default, skip_serializing_if = "Control::is_empty")]
    pub control: Control,
    /// The answer's body as the client got it.
    #[serde(skip)]
    pub response: Body,
}

impl LogRecord {
    /// The model that did the work, as precisely as is known: as answered, else as asked of the provider, else as asked.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        let answered = self.reading.model.as_deref();
        answered.or(self.provider_model.as_deref()).or(self.asked.model.as_deref())
    }
}

/// What went wrong with a call, in words that may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedError {
    /// The error's type: the provider's word for it, or ours.
    pub kind: String,
    /// A code more precise than the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What it said.
    pub message: String,
}
