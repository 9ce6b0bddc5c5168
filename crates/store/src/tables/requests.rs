//! Rows: one for each call.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};
use tachograph_record::{
    Attribution, BodyState, CacheStatus, Control, CostState, LogRecord, Money, PromptRef, RecordedError, SessionRef,
    Timestamp, Timing, Usage,
};
use uuid::Uuid;

use super::{Column, Source, Table, Value};
use crate::detail::{self, Detail};
use crate::query::{failed, nano_parts, retry_cost};
use crate::rollup::{DIMS, Dim, Fact, Measured, flag_word, is_unpriced, key_word};
use crate::row::clamped;
use crate::{Row, StoreError, StoredBody, text};

/// How a cost is written: what is summed, and what is too large to be.
pub(crate) struct CostColumns {
    pub(crate) state: &'static str,
    pub(crate) columns: Option<(i64, i64)>,
    pub(crate) outsize: Option<String>,
    /// Fresh input, cache read, cache write and output, in nano-dollars.
    pub(crate) parts: Option<[i64; 4]>,
}

impl CostColumns {
    pub(crate) fn of(cost: &CostState) -> Self {
        let total = cost.total();
        let columns = total.and_then(Money::to_columns);
        Self {
            state: cost.code(),
            columns,
            outsize: total.filter(|_| columns.is_none()).map(|total| total.to_string()),
            parts: nano_parts(cost),
        }
    }

    /// A cost's text with its working, where its state does not say all.
    pub(crate) fn text(cost: &CostState) -> Result<Option<String>, StoreError> {
        some_unless(says_all(cost), || json(cost))
    }
}

/// Whether a cost's state says all there is to say of it.
pub(crate) const fn says_all(cost: &CostState) -> bool {
    matches!(cost, CostState::UnknownModel | CostState::NoUsage)
}

/// A row with those of its parts that are stored as text already written.
pub(crate) struct Entry {
    row: Row,
    cost: CostColumns,
    retries: Option<(i64, i64)>,
    saved: Option<(i64, i64)>,
    properties: Option<String>,
    detail: Vec<u8>,
}

impl Entry {
    pub(crate) fn new(record: &LogRecord) -> Result<Self, StoreError> {
        let row = Row::from(record);
        let (properties, order) = write_properties(&row.attribution.properties)?;
        let served = row.control.cache.as_ref().filter(|cache| cache.status.served());
        Ok(Self {
            cost: CostColumns::of(&row.cost),
            retries: retry_cost(&row).and_then(Money::to_columns),
            saved: served.and_then(|cache| cache.saved).and_then(Money::to_columns),
            properties,
            detail: detail::write(&row, &record.asked.parameters, &order),
            row,
        })
    }

    pub(crate) fn row(&self) -> &Row {
        &self.row
    }

    /// Organisation and id.
    pub(crate) fn ids(&self) -> (Uuid, Uuid) {
        (self.row.org.uuid(), self.row.id.uuid())
    }

    /// What rollups know of the row.
    pub(crate) fn fact(&self) -> Fact<'_> {
        let (row, told) = (&self.row, &self.row.attribution);
        let word = |text: &'static str| Some(Cow::Borrowed(text));
        let mut dims: [Option<Cow<'_, str>>; DIMS] = Default::default();
        for (dim, value) in [
            (Dim::Provider, row.provider.as_deref().map(Cow::Borrowed)),
            (Dim::Model, row.model.as_deref().map(Cow::Borrowed)),
            (Dim::RequestedModel, row.requested_model.as_deref().map(Cow::Borrowed)),
            (Dim::Key, row.key.map(|key| key_word(key.uuid()))),
            (Dim::Api, Some(Cow::Borrowed(row.api.as_str()))),
            (Dim::Outcome, word(row.outcome.code())),
            (Dim::Status, row.status.map(|status| Cow::Owned(status.to_string()))),
            (Dim::Error, row.error.as_ref().map(|error| Cow::Borrowed(error.kind.as_str()))),
            (Dim::ErrorCode, row.error.as_ref().and_then(|error| error.code.as_deref()).map(Cow::Borrowed)),
            (Dim::Cache, row.control.cache.as_ref().and_then(|cache| word(cache.status.code()))),
            (Dim::CostState, word(self.cost.state)),
            (Dim::Stream, Some(flag_word(row.stream))),
            (Dim::Origin, word(row.origin.code())),
            (Dim::Step, word(row.step.code())),
            (Dim::User, told.user.as_deref().map(Cow::Borrowed)),
            (Dim::SessionName, self.session().and_then(|session| session.name.as_deref()).map(Cow::Borrowed)),
            (Dim::Prompt, self.prompt().map(|prompt| Cow::Borrowed(&*prompt.id))),
            (Dim::PromptVersion, self.prompt().and_then(|prompt| prompt.version.as_deref()).map(Cow::Borrowed)),
        ] {
            dims[dim as usize] = value;
        }
        let properties = told.properties.iter();
        Fact {
            dims,
            properties: properties.map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect(),
            measured: Measured {
                received_at: row.timing.received_at.micros(),
                failed: failed(row.outcome),
                unpriced: is_unpriced(self.cost.state),
                cost: self.cost.columns,
                outsize: row.cost.total().filter(|_| self.cost.outsize.is_some()),
                retry: self.retries,
                saved: self.saved,
                saved_us: self.saved_us(),
                parts: self.cost.parts.map_or([None; 4], |parts| parts.map(Some)),
                attempts: i64::try_from(row.attempts.len()).ok(),
                cache: row.control.cache.as_ref().map(|cache| cache.status != CacheStatus::Miss),
                tokens: [
                    self.tokens(Usage::input_total),
                    self.tokens(Usage::cache_read_total),
                    self.tokens(Usage::cache_write_total),
                    self.tokens(Usage::output_total),
                    self.tokens(Usage::reasoning_total),
                ],
                first_token_us: row.timing.first_token_us.map(int),
                end_us: int(row.timing.end_us),
            },
        }
    }

    fn tokens(&self, count: fn(&Usage) -> u64) -> Option<i64> {
        self.row.usage.as_ref().map(|usage| int(count(usage)))
    }

    fn saved_us(&self) -> Option<i64> {
        let cache = self.row.control.cache.as_ref().filter(|cache| cache.status.served())?;
        cache.saved_us.map(int)
    }

    fn session(&self) -> Option<&SessionRef> {
        self.row.attribution.session.as_ref()
    }

    fn prompt(&self) -> Option<&PromptRef> {
        self.row.attribution.prompt.as_ref()
    }

    fn weight(&self) -> usize {
        let error = self.row.error.as_ref().map_or(0, |error| error.message.len());
        512 + self.detail.len() + self.properties.as_ref().map_or(0, String::len) + error + self.row.path.len()
    }
}

/// The columns. Counts beyond `i64::MAX` are written as that; the exact ones are in the texts.
pub(crate) const REQUESTS: Table<Entry> = Table {
    name: "requests",
    columns: &[
        Column { name: "org_id", value: Value::Id(|e| Some(e.row.org.uuid())) },
        Column { name: "id", value: Value::Id(|e| Some(e.row.id.uuid())) },
        Column { name: "received_at", value: Value::Int(|e| Some(e.row.timing.received_at.micros())) },
        Column { name: "key_id", value: Value::Id(|e| e.row.key.map(|key| key.uuid())) },
        Column { name: "origin", value: Value::Text(|e| Some(e.row.origin.code())) },
        Column { name: "step", value: Value::Text(|e| Some(e.row.step.code())) },
        Column { name: "name", value: Value::Text(|e| e.row.name.as_deref()) },
        Column { name: "api", value: Value::Text(|e| Some(&e.row.api)) },
        Column { name: "method", value: Value::Text(|e| Some(&e.row.method)) },
        Column { name: "path", value: Value::Text(|e| Some(&e.row.path)) },
        Column { name: "model", value: Value::Text(|e| e.row.model.as_deref()) },
        Column { name: "requested_model", value: Value::Text(|e| e.row.requested_model.as_deref()) },
        Column { name: "provider", value: Value::Text(|e| e.row.provider.as_deref()) },
        Column { name: "stream", value: Value::Flag(|e| e.row.stream) },
        Column { name: "status", value: Value::Small(|e| e.row.status.map(Into::into)) },
        Column { name: "outcome", value: Value::Text(|e| Some(e.row.outcome.code())) },
        Column { name: "user_id", value: Value::Text(|e| e.row.attribution.user.as_deref()) },
        Column { name: "session_id", value: Value::Text(|e| e.session().map(|session| &*session.id)) },
        Column { name: "session_path", value: Value::Text(|e| e.session()?.path.as_deref()) },
        Column { name: "session_name", value: Value::Text(|e| e.session()?.name.as_deref()) },
        Column { name: "prompt_id", value: Value::Text(|e| e.prompt().map(|prompt| &*prompt.id)) },
        Column { name: "prompt_version", value: Value::Text(|e| e.prompt()?.version.as_deref()) },
        Column { name: "first_byte_us", value: Value::Int(|e| e.row.timing.first_byte_us.map(int)) },
        Column { name: "first_token_us", value: Value::Int(|e| e.row.timing.first_token_us.map(int)) },
        Column { name: "end_us", value: Value::Int(|e| Some(int(e.row.timing.end_us))) },
        Column { name: "input_tokens", value: Value::Int(|e| e.tokens(Usage::input_total)) },
        Column { name: "cache_read_tokens", value: Value::Int(|e| e.tokens(Usage::cache_read_total)) },
        Column { name: "cache_write_tokens", value: Value::Int(|e| e.tokens(Usage::cache_write_total)) },
        Column { name: "output_tokens", value: Value::Int(|e| e.tokens(Usage::output_total)) },
        Column { name: "reasoning_tokens", value: Value::Int(|e| e.tokens(Usage::reasoning_total)) },
        Column { name: "cost_state", value: Value::Text(|e| Some(e.cost.state)) },
        Column { name: "cost_nano", value: Value::Int(|e| e.cost.columns.map(|(nano, _)| nano)) },
        Column { name: "cost_rest", value: Value::Int(|e| e.cost.columns.map(|(_, rest)| rest)) },
        Column { name: "cost_outsize", value: Value::Text(|e| e.cost.outsize.as_deref()) },
        Column { name: "finish_reason", value: Value::Text(|e| e.row.finish_reason.as_deref()) },
        Column { name: "service_tier", value: Value::Text(|e| e.row.service_tier.as_deref()) },
        Column { name: "error_kind", value: Value::Text(|e| e.row.error.as_ref().map(|error| &*error.kind)) },
        Column { name: "error_code", value: Value::Text(|e| e.row.error.as_ref()?.code.as_deref()) },
        Column { name: "error_message", value: Value::Text(|e| e.row.error.as_ref().map(|error| &*error.message)) },
        Column { name: "trace_id", value: Value::Text(|e| e.row.trace_id.as_deref()) },
        Column { name: "span_id", value: Value::Text(|e| e.row.span_id.as_deref()) },
        Column { name: "parent_span_id", value: Value::Text(|e| e.row.parent_span_id.as_deref()) },
        Column {
            name: "cache_status",
            value: Value::Text(|e| e.row.control.cache.as_ref().map(|cache| cache.status.code())),
        },
        Column { name: "attempt_count", value: Value::Int(|e| i64::try_from(e.row.attempts.len()).ok()) },
        Column { name: "retry_nano", value: Value::Int(|e| e.retries.map(|(nano, _)| nano)) },
        Column { name: "retry_rest", value: Value::Int(|e| e.retries.map(|(_, rest)| rest)) },
        Column { name: "saved_nano", value: Value::Int(|e| e.saved.map(|(nano, _)| nano)) },
        Column { name: "saved_rest", value: Value::Int(|e| e.saved.map(|(_, rest)| rest)) },
        Column { name: "saved_us", value: Value::Int(Entry::saved_us) },
        Column { name: "input_nano", value: Value::Int(|e| e.cost.parts.map(|[input, ..]| input)) },
        Column { name: "cache_read_nano", value: Value::Int(|e| e.cost.parts.map(|[_, read, ..]| read)) },
        Column { name: "cache_write_nano", value: Value::Int(|e| e.cost.parts.map(|[_, _, write, _]| write)) },
        Column { name: "output_nano", value: Value::Int(|e| e.cost.parts.map(|[.., output]| output)) },
        Column { name: "request_len", value: Value::Int(|e| Some(int(e.row.request_body.len))) },
        Column { name: "request_state", value: Value::Text(|e| Some(state_code(e.row.request_body.state))) },
        Column { name: "response_len", value: Value::Int(|e| Some(int(e.row.response_body.len))) },
        Column { name: "response_state", value: Value::Text(|e| Some(state_code(e.row.response_body.state))) },
        Column { name: "properties", value: Value::Object(|e| e.properties.as_deref()) },
        Column { name: "detail", value: Value::Bytes(|e| &e.detail) },
    ],
    also_read: &[
        "upstream_sent_us",
        "provider_cost",
        "native_finish_reason",
        "control",
        "usage",
        "cost",
        "attempts",
        "parameters",
        "property_order",
    ],
    weight: Entry::weight,
};

/// What the gateway decided, of a row of which the columns `detail` and `control` were asked for.
pub(crate) fn read_control(source: &impl Source) -> Result<Control, StoreError> {
    let detail = Detail::read(source.bytes("detail")?)?;
    Ok(read_json(source, "control")?.unwrap_or(detail.control))
}

pub(crate) fn read_row(source: &impl Source) -> Result<Row, StoreError> {
    let id: Uuid = source.some_id("id")?;
    let row = || -> Result<Row, StoreError> {
        // A column of its own goes first: the row was written before there was a detail, or changed since.
        let detail = Detail::read(source.bytes("detail")?)?;
        let parameters = source.text("parameters")?.map(|text| read_parameters(&text)).transpose()?;
        let provider_cost = source.text("provider_cost")?.map(|text| read_code("provider_cost", &text)).transpose()?;
        Ok(Row {
            id: id.into(),
            org: source.some_id("org_id")?.into(),
            key: source.id("key_id")?.map(Into::into),
            origin: read_code("origin", &source.some_text("origin")?)?,
            step: read_code("step", &source.some_text("step")?)?,
            name: source.text("name")?,
            api: source.some_text("api")?,
            method: source.some_text("method")?,
            path: source.some_text("path")?,
            model: source.text("model")?,
            requested_model: source.text("requested_model")?,
            provider: source.text("provider")?,
            stream: source.flag("stream")?,
            parameters: parameters.unwrap_or_else(|| detail.parameters.to_json()),
            attribution: read_attribution(source, detail.order)?,
            attempts: read_json(source, "attempts")?.unwrap_or(detail.attempts),
            status: source.int("status")?.map(|status| read_number("status", status)).transpose()?,
            outcome: read_code("outcome", &source.some_text("outcome")?)?,
            error: read_error(source)?,
            finish_reason: source.text("finish_reason")?,
            native_finish_reason: source.text("native_finish_reason")?.or(detail.native_finish_reason),
            service_tier: source.text("service_tier")?,
            timing: read_timing(source, detail.sent_us)?,
            usage: read_json(source, "usage")?.or(detail.usage),
            cost: read_cost(source, detail.cost)?,
            provider_cost: provider_cost.or(detail.provider_cost),
            control: read_json(source, "control")?.unwrap_or(detail.control),
            trace_id: source.text("trace_id")?,
            span_id: source.text("span_id")?,
            parent_span_id: source.text("parent_span_id")?,
            request_body: read_stored_body(source, "request_len", "request_state")?,
            response_body: read_stored_body(source, "response_len", "response_state")?,
        })
    };
    row().map_err(|error| StoreError::Failed(format!("row {id}: {error}")))
}

fn int(count: u64) -> i64 {
    clamped(count).cast_signed()
}

fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|why| StoreError::Failed(format!("a row cannot be written: {why}")))
}

fn some_unless(empty: bool, write: impl FnOnce() -> Result<String, StoreError>) -> Result<Option<String>, StoreError> {
    if empty { Ok(None) } else { write().map(Some) }
}

const STATES: [(BodyState, &str); 4] = [
    (BodyState::Empty, "empty"),
    (BodyState::Whole, "whole"),
    (BodyState::Truncated, "truncated"),
    (BodyState::Omitted, "omitted"),
];

fn state_code(state: BodyState) -> &'static str {
    STATES.iter().find(|(held, _)| *held == state).map_or("empty", |(_, code)| code)
}

fn read_stored_body(source: &impl Source, len: &str, state: &str) -> Result<StoredBody, StoreError> {
    let code = source.some_text(state)?;
    let known = STATES.iter().find(|(_, held)| *held == code);
    let &(known, _) = known.ok_or_else(|| StoreError::unreadable(state, "an unknown state"))?;
    Ok(StoredBody { len: source.some_count(len)?, state: known })
}

fn read_number<T: TryFrom<i64, Error: fmt::Display>>(column: &str, number: i64) -> Result<T, StoreError> {
    T::try_from(number).map_err(|why| StoreError::unreadable(column, why))
}

fn read_code<T: std::str::FromStr<Err: fmt::Display>>(column: &str, code: &str) -> Result<T, StoreError> {
    code.parse().map_err(|why| StoreError::unreadable(column, why))
}

fn read_json<T: serde::de::DeserializeOwned>(source: &impl Source, column: &str) -> Result<Option<T>, StoreError> {
    let value = source.text(column)?.map(|text| serde_json::from_str(&text)).transpose();
    value.map_err(|why| StoreError::unreadable(column, why))
}

fn read_timing(source: &impl Source, sent_us: Option<u64>) -> Result<Timing, StoreError> {
    Ok(Timing {
        received_at: Timestamp::from_micros(source.some_int("received_at")?),
        upstream_sent_us: source.count("upstream_sent_us")?.or(sent_us),
        first_byte_us: source.count("first_byte_us")?,
        first_token_us: source.count("first_token_us")?,
        end_us: source.some_count("end_us")?,
    })
}

fn read_error(source: &impl Source) -> Result<Option<RecordedError>, StoreError> {
    let Some(kind) = source.text("error_kind")? else { return Ok(None) };
    Ok(Some(RecordedError { kind, code: source.text("error_code")?, message: source.some_text("error_message")? }))
}

fn read_cost(source: &impl Source, told: Option<CostState>) -> Result<CostState, StoreError> {
    let code = source.some_text("cost_state")?;
    if let Some(known) = [CostState::UnknownModel, CostState::NoUsage].into_iter().find(|state| state.code() == code) {
        return Ok(known);
    }
    read_json(source, "cost")?.or(told).ok_or_else(|| StoreError::unreadable("cost_state", "an unknown state"))
}

fn read_attribution(source: &impl Source, order: Vec<String>) -> Result<Attribution, StoreError> {
    let session = match source.text("session_id")? {
        Some(id) => Some(SessionRef { id, path: source.text("session_path")?, name: source.text("session_name")? }),
        None => None,
    };
    let prompt = match source.text("prompt_id")? {
        Some(id) => Some(PromptRef { id, version: source.text("prompt_version")? }),
        None => None,
    };
    let order = read_json(source, "property_order")?.or((!order.is_empty()).then_some(order));
    let properties = read_properties(read_json(source, "properties")?.unwrap_or_default(), order)?;
    Ok(Attribution { user: source.text("user_id")?, session, prompt, properties })
}

/// Properties as a JSON object, and their names in the order they came where there are several: jsonb keeps no order.
/// Names and values are in their stored form, since jsonb knows no U+0000 either.
fn write_properties(properties: &[(String, String)]) -> Result<(Option<String>, Vec<String>), StoreError> {
    if properties.is_empty() {
        return Ok((None, Vec::new()));
    }
    let object: Map<String, Json> = properties
        .iter()
        .map(|(name, value)| (text::stored(name).into_owned(), text::stored(value).into_owned().into()))
        .collect();
    let object_text = json(&object)?;
    let names = if object.len() < 2 { Vec::new() } else { object.keys().cloned().collect() };
    Ok((Some(object_text), names))
}

fn read_properties(object: Map<String, Json>, order: Option<Vec<String>>) -> Result<Vec<(String, String)>, StoreError> {
    let names = order.unwrap_or_else(|| object.keys().cloned().collect());
    let property = |name: String| match object.get(&name) {
        Some(Json::String(value)) => Ok((text::restored(name), text::restored(value.clone()))),
        _ => Err(StoreError::unreadable("properties", "names and values do not go together")),
    };
    names.into_iter().map(property).collect()
}

/// Reads an object member by member. A value as deeply nested as a request may be would, one level further down inside
/// the object, be refused as too deep.
pub(crate) fn read_parameters(text: &str) -> Result<Map<String, Json>, StoreError> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Map<String, Json>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            let mut read = Map::new();
            while let Some((name, value)) = members.next_entry::<String, &RawValue>()? {
                read.insert(name, serde_json::from_str(value.get()).map_err(serde::de::Error::custom)?);
            }
            Ok(read)
        }
    }
    let read = serde_json::Deserializer::from_str(text).deserialize_map(Members);
    read.map_err(|why| StoreError::unreadable("parameters", why))
}
