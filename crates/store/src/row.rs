//! Rows as they are read back.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};
use tachograph_record::{
    Attempt, Attribution, Body, BodyState, Control, CostState, KeyId, LogRecord, Money, OrgId, Origin, Outcome,
    RecordId, RecordedError, Step, Timing, Usage,
};

/// One call without its bodies, as in a list.
///
/// `Row::from(&record)` says what a store keeps of a [`LogRecord`], and every backend gives back exactly that. It differs
/// from the record in two things only, both out of reach of a real call: clocks and lengths beyond `i64::MAX` are that,
/// and of two properties of one name the first keeps its place and the last its value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The call's id.
    pub id: RecordId,
    /// The tenant.
    pub org: OrgId,
    /// The key that called.
    pub key: Option<KeyId>,
    /// Which way the call came to be on record.
    pub origin: Origin,
    /// What kind of work it is.
    pub step: Step,
    /// What the caller calls this step.
    pub name: Option<String>,
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
    /// Why the model stopped, in the provider's words.
    pub native_finish_reason: Option<String>,
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
    /// What the gateway itself decided on the way.
    pub control: Control,
    /// W3C trace id of the caller.
    pub trace_id: Option<String>,
    /// The step's own W3C span id.
    pub span_id: Option<String>,
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

impl From<&Body> for StoredBody {
    fn from(body: &Body) -> Self {
        Self { len: clamped(body.len()), state: body.state() }
    }
}

impl From<&LogRecord> for Row {
    fn from(record: &LogRecord) -> Self {
        let asked = &record.asked;
        Self {
            id: record.id,
            org: asked.org,
            key: asked.key,
            origin: asked.origin,
            step: asked.step,
            name: asked.name.clone(),
            api: asked.api.clone().into_owned(),
            method: asked.method.clone().into_owned(),
            path: asked.path.clone(),
            model: record.model().map(Into::into),
            requested_model: asked.model.clone(),
            provider: record.provider.as_deref().map(Into::into),
            stream: asked.stream,
            parameters: asked.parameters.to_json(),
            attribution: with_unique_properties(&asked.attribution),
            attempts: record.attempts.clone(),
            status: record.status,
            outcome: record.outcome,
            error: record.error.clone(),
            finish_reason: record.reading.finish_reason.map(|reason| reason.code().into()),
            native_finish_reason: record.reading.native_finish_reason.clone(),
            service_tier: record.reading.service_tier.clone(),
            timing: within_i64(&record.timing),
            usage: record.reading.usage.known().cloned(),
            cost: record.cost.clone(),
            provider_cost: record.reading.provider_cost,
            control: record.control.clone(),
            trace_id: asked.trace_id.clone(),
            span_id: asked.span_id.clone(),
            parent_span_id: asked.parent_span_id.clone(),
            request_body: StoredBody::from(&asked.body),
            response_body: StoredBody::from(&record.response),
        }
    }
}

fn with_unique_properties(told: &Attribution) -> Attribution {
    let mut held = Attribution { properties: Vec::with_capacity(told.properties.len()), ..told.clone() };
    for (name, value) in &told.properties {
        held.set_property(name.as_str(), value.as_str());
    }
    held
}

fn within_i64(timing: &Timing) -> Timing {
    Timing {
        received_at: timing.received_at,
        upstream_sent_us: timing.upstream_sent_us.map(clamped),
        first_byte_us: timing.first_byte_us.map(clamped),
        first_token_us: timing.first_token_us.map(clamped),
        end_us: clamped(timing.end_us),
    }
}

/// What a signed 64-bit column can hold of a count.
pub(crate) fn clamped(count: u64) -> u64 {
    count.min(i64::MAX.unsigned_abs())
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

impl From<&LogRecord> for StoredRecord {
    fn from(record: &LogRecord) -> Self {
        Self { row: Row::from(record), request: record.asked.body.bytes(), response: record.response.bytes() }
    }
}
