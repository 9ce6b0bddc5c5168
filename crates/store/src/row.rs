//! Rows as they are read back.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};
use tachograph_record::{
    Attempt, Attribution, BodyState, CostState, KeyId, Money, OrgId, Outcome, RecordId, RecordedError, Timing, Usage,
};

/// One call without its bodies, as in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The call's id.
    pub id: RecordId,
    /// The tenant.
    pub org: OrgId,
    /// The key that called.
    pub key: Option<KeyId>,
    /// The API: `openai.chat`, `anthropic.messages`, `other`.
    pub api: String,
    /// The request's method.
    pub method: String,
    /// The request's path.
    pub path: String,
    /// The model that did the work, as precisely as is known.
    pub model: Option<String>,
    /// The model as the caller wrote it.
    pub requested_model: Option<String>,
    /// The provider that served, or was asked last.
    pub provider: Option<String>,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// The request's other top-level fields.
    pub parameters: Map<String, Value>,
    /// User, session, prompt, properties.
    pub attribution: Attribution,
    /// Each try at serving it.
    pub attempts: Vec<Attempt>,
    /// The HTTP status the client got.
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong.
    pub error: Option<RecordedError>,
    /// Why the model stopped, in OpenAI's words.
    pub finish_reason: Option<String>,
    /// The service tier that served.
    pub service_tier: Option<String>,
    /// The clocks.
    pub timing: Timing,
    /// What was used, where it is known.
    pub usage: Option<Usage>,
    /// What it cost.
    pub cost: CostState,
    /// What the provider says it charges.
    pub provider_cost: Option<Money>,
    /// W3C trace id of the caller.
    pub trace_id: Option<String>,
    /// W3C span id of the caller.
    pub parent_span_id: Option<String>,
    /// The request's body: how long, how much kept.
    pub request_body: StoredBody,
    /// The answer's body: how long, how much kept.
    pub response_body: StoredBody,
}

/// What is known of a body without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StoredBody {
    /// The whole body's length in bytes, kept or not.
    pub len: u64,
    /// How much was kept.
    pub state: BodyState,
}

/// One call with its bodies.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRecord {
    /// The row.
    pub row: Row,
    /// What was kept of the request's body.
    pub request: Bytes,
    /// What was kept of the answer's body.
    pub response: Bytes,
}
