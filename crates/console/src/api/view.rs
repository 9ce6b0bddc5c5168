//! Rows as the API shows them: money as decimal strings, moments and spans in µs, tokens both as sums and by leaf.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value};
use tachograph_record::{
    Attempt, BodyState, Control, Cost, CostState, KeyId, Meter, Money, PromptRef, RecordId, RecordedError, SessionRef,
    Timing, Usage, UsageSource,
};
use tachograph_store::{Cursor, FormerCost, Marks, Row, StoredBody, StoredRecord};

use super::conversation::{self, ConversationView};

/// One call in a list.
#[derive(Serialize)]
pub(crate) struct Summary<'a> {
    id: RecordId,
    /// The row's place in the order, for `before` and `after`.
    cursor: String,
    api: &'a str,
    method: &'a str,
    path: &'a str,
    provider: Option<&'a str>,
    model: Option<&'a str>,
    requested_model: Option<&'a str>,
    stream: bool,
    key: Option<KeyId>,
    user: Option<&'a str>,
    session: Option<&'a SessionRef>,
    prompt: Option<&'a PromptRef>,
    properties: Map<String, Value>,
    attempts: &'a [Attempt],
    status: Option<u16>,
    outcome: &'static str,
    error: Option<&'a RecordedError>,
    finish_reason: Option<&'a str>,
    service_tier: Option<&'a str>,
    timing: &'a Timing,
    usage: Option<UsageView>,
    cost: CostView<'a>,
    provider_cost: Option<Money>,
    trace_id: Option<&'a str>,
    span_id: Option<&'a str>,
    parent_span_id: Option<&'a str>,
    /// Which way it came to be on record.
    origin: &'static str,
    /// What kind of work it is.
    step: &'static str,
    /// What the caller calls this step.
    name: Option<&'a str>,
    native_finish_reason: Option<&'a str>,
    /// What the gateway decided: cache, limits, notes.
    control: &'a Control,
    /// Scores, tags and notes that were put on it; properties that were added stand in `properties`.
    marks: Value,
}

impl<'a> Summary<'a> {
    pub(crate) fn of(row: &'a Row, marks: Option<&Marks>) -> Self {
        let about = &row.attribution;
        let none = Marks::default();
        let marks = marks.unwrap_or(&none);
        let properties = marks.properties_of(row).into_iter();
        Self {
            id: row.id,
            cursor: cursor(row).to_string(),
            api: &row.api,
            method: &row.method,
            path: &row.path,
            provider: row.provider.as_deref(),
            model: row.model.as_deref(),
            requested_model: row.requested_model.as_deref(),
            stream: row.stream,
            key: row.key,
            user: about.user.as_deref(),
            session: about.session.as_ref(),
            prompt: about.prompt.as_ref(),
            properties: properties.map(|(name, value)| (name.to_owned(), value.into())).collect(),
            attempts: &row.attempts,
            status: row.status,
            outcome: row.outcome.code(),
            error: row.error.as_ref(),
            finish_reason: row.finish_reason.as_deref(),
            service_tier: row.service_tier.as_deref(),
            timing: &row.timing,
            usage: row.usage.as_ref().map(UsageView::of),
            cost: CostView::of(&row.cost),
            provider_cost: row.provider_cost,
            trace_id: row.trace_id.as_deref(),
            span_id: row.span_id.as_deref(),
            parent_span_id: row.parent_span_id.as_deref(),
            origin: row.origin.code(),
            step: row.step.code(),
            name: row.name.as_deref(),
            native_finish_reason: row.native_finish_reason.as_deref(),
            control: &row.control,
            marks: super::beside::told(marks),
        }
    }
}

/// A row's place in the order of rows.
pub(crate) fn cursor(row: &Row) -> Cursor {
    Cursor { received_at: row.timing.received_at, id: row.id }
}

/// One call with all that is known of it.
#[derive(Serialize)]
pub(crate) struct Detail<'a> {
    #[serde(flatten)]
    summary: Summary<'a>,
    parameters: &'a Map<String, Value>,
    /// The cost's working; absent where the cost is not known.
    receipt: Option<&'a Cost>,
    request: BodyView<'a>,
    response: BodyView<'a>,
    /// The messages and the answer in one form for every API; absent where the API is not understood or bodies were
    /// not kept.
    conversation: Option<ConversationView>,
    /// What it was said to cost before each restatement.
    former_costs: &'a [FormerCost],
}

impl<'a> Detail<'a> {
    pub(crate) fn of(record: &'a StoredRecord, marks: Option<&Marks>, former: &'a [FormerCost]) -> Self {
        let row = &record.row;
        let receipt = match &row.cost {
            CostState::Priced(cost) => Some(&**cost),
            CostState::UnknownModel | CostState::NoUsage | CostState::InvalidUsage { .. } => None,
        };
        Self {
            summary: Summary::of(row, marks),
            parameters: &row.parameters,
            receipt,
            request: BodyView::of(row.request_body, &record.request),
            response: BodyView::of(row.response_body, &record.response),
            conversation: conversation::of(record),
            former_costs: former,
        }
    }
}

/// Inclusive sums, and the disjoint leaves they are made of.
#[derive(Serialize)]
struct UsageView {
    source: UsageSource,
    input_tokens: u64,
    output_tokens: u64,
    cache_read_tokens: u64,
    cache_write_tokens: u64,
    reasoning_tokens: u64,
    meters: Vec<MeterView>,
}

/// How many of what; the quantity is a decimal.
#[derive(Serialize)]
struct MeterView {
    meter: &'static str,
    quantity: String,
}

impl UsageView {
    fn of(usage: &Usage) -> Self {
        let tokens = usage.leaves().iter().map(|&(leaf, count)| (Meter::Tokens(leaf), count.to_string()));
        let units = usage.units().iter().map(|&(unit, count)| (Meter::Unit(unit), count.to_string()));
        let meters = tokens.chain(units).map(|(meter, quantity)| MeterView { meter: meter.name(), quantity });
        Self {
            source: usage.source,
            input_tokens: usage.input_total(),
            output_tokens: usage.output_total(),
            cache_read_tokens: usage.cache_read_total(),
            cache_write_tokens: usage.cache_write_total(),
            reasoning_tokens: usage.reasoning_total(),
            meters: meters.collect(),
        }
    }
}

/// What a call cost, where it is known; never a zero that means "unknown".
#[derive(Serialize)]
struct CostView<'a> {
    status: &'static str,
    total: Option<Money>,
    estimated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

impl<'a> CostView<'a> {
    fn of(cost: &'a CostState) -> Self {
        let (estimated, why) = match cost {
            CostState::Priced(cost) => (cost.estimated, None),
            CostState::InvalidUsage { why } => (false, Some(why.as_str())),
            CostState::UnknownModel | CostState::NoUsage => (false, None),
        };
        Self { status: cost.code(), total: cost.total(), estimated, why }
    }
}

/// A body: its text where it is text, else its bytes in base64.
#[derive(Serialize)]
pub(crate) struct BodyView<'a> {
    len: u64,
    state: BodyState,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl<'a> BodyView<'a> {
    pub(crate) fn of(about: StoredBody, kept: &'a [u8]) -> Self {
        let StoredBody { len, state } = about;
        let (text, base64) = match (kept, text_of(kept, state == BodyState::Truncated)) {
            ([], _) => (None, None),
            (_, Some(text)) => (Some(text), None),
            (bytes, None) => (None, Some(STANDARD.encode(bytes))),
        };
        Self { len, state, text, base64 }
    }
}

/// The bytes as text. The cap may have cut the last character of a body in two: then it goes without.
fn text_of(kept: &[u8], truncated: bool) -> Option<&str> {
    let error = match std::str::from_utf8(kept) {
        Ok(text) => return Some(text),
        Err(error) => error,
    };
    let cut_in_two = truncated && error.error_len().is_none();
    let whole = cut_in_two.then(|| &kept[..error.valid_up_to()])?;
    std::str::from_utf8(whole).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_text_and_the_rest_is_base64() {
        let euro = "€".as_bytes();
        assert_eq!(text_of(euro, false), Some("€"));
        assert_eq!(text_of(&euro[..2], true), Some(""));
        assert_eq!(text_of(&euro[..2], false), None);
        assert_eq!(text_of(b"\xff\xd8", true), None);
        let body = BodyView::of(StoredBody { len: 2, state: BodyState::Whole }, b"\xff\xd8");
        assert_eq!((body.text, body.base64.as_deref()), (None, Some("/9g=")));
    }
}
