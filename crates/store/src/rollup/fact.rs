//! Rows as facts: what rollups know of a row.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tachograph_record::{CacheStatus, CostState};
use uuid::Uuid;

use super::block::{BlockWriter, NONE, Words};
use super::cube::{DIMS, Dim, FACTS, PLACES};
use super::span::MINUTE;
use super::sums::{Measured, Sums};
use super::{Block, FACT_PLACES};
use crate::StoreError;
use crate::query::failed_code;
use crate::tables::{CostColumns, Source};
use crate::text;

/// A row, told apart and measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact<'a> {
    pub(crate) dims: [Option<Cow<'a, str>>; DIMS],
    pub(crate) properties: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub(crate) measured: Measured,
}

/// The columns that a fact is read from.
pub(crate) const COLUMNS: &str = "r.received_at, r.provider, r.model, r.requested_model, r.key_id, r.api, r.outcome, \
    r.status, r.error_kind, r.error_code, r.cache_status, r.cost_state, r.stream, r.origin, r.step, r.user_id, \
    r.session_name, r.prompt_id, r.prompt_version, CAST(r.properties AS TEXT) AS properties, r.cost_nano, r.cost_rest, \
    r.cost_outsize, r.retry_nano, r.retry_rest, r.saved_nano, r.saved_rest, r.saved_us, r.input_nano, \
    r.cache_read_nano, r.cache_write_nano, r.output_nano, r.attempt_count, r.input_tokens, r.cache_read_tokens, \
    r.cache_write_tokens, r.output_tokens, r.reasoning_tokens, r.first_token_us, r.end_us";

/// The text columns, each with its dimension.
const TEXTS: [(Dim, &str); 15] = [
    (Dim::Provider, "provider"),
    (Dim::Model, "model"),
    (Dim::RequestedModel, "requested_model"),
    (Dim::Api, "api"),
    (Dim::Outcome, "outcome"),
    (Dim::Error, "error_kind"),
    (Dim::ErrorCode, "error_code"),
    (Dim::Cache, "cache_status"),
    (Dim::CostState, "cost_state"),
    (Dim::Origin, "origin"),
    (Dim::Step, "step"),
    (Dim::User, "user_id"),
    (Dim::SessionName, "session_name"),
    (Dim::Prompt, "prompt_id"),
    (Dim::PromptVersion, "prompt_version"),
];

impl Fact<'static> {
    /// From an answer with [`COLUMNS`].
    pub(crate) fn read(source: &impl Source) -> Result<Self, StoreError> {
        let mut dims: [Option<Cow<'static, str>>; DIMS] = Default::default();
        for (dim, column) in TEXTS {
            dims[dim as usize] = source.text(column)?.map(Cow::Owned);
        }
        dims[Dim::Key as usize] = source.id("key_id")?.map(key_word);
        dims[Dim::Status as usize] = source.int("status")?.map(|status| Cow::Owned(status.to_string()));
        dims[Dim::Stream as usize] = Some(flag_word(source.flag("stream")?));
        let properties: Map<String, Value> = match source.text("properties")? {
            Some(text) => serde_json::from_str(&text).map_err(|why| StoreError::unreadable("properties", why))?,
            None => Map::new(),
        };
        let owned = |text: String| Cow::Owned(text::restored(text));
        let properties = properties
            .into_iter()
            .filter_map(|(name, value)| match value {
                Value::String(value) => Some((owned(name), owned(value))),
                _ => None,
            })
            .collect();
        let word = |dim: Dim| dims[dim as usize].as_deref().unwrap_or_default();
        let pair = |nano: &str, rest: &str| -> Result<Option<(i64, i64)>, StoreError> {
            Ok(source.int(nano)?.zip(source.int(rest)?))
        };
        let outsize = source.text("cost_outsize")?.map(|text| text.parse()).transpose();
        let measured = Measured {
            received_at: source.some_int("received_at")?,
            failed: failed_code(word(Dim::Outcome)),
            unpriced: is_unpriced(word(Dim::CostState)),
            cost: pair("cost_nano", "cost_rest")?,
            outsize: outsize.map_err(|why| StoreError::unreadable("cost_outsize", why))?,
            retry: pair("retry_nano", "retry_rest")?,
            saved: pair("saved_nano", "saved_rest")?,
            saved_us: source.int("saved_us")?,
            parts: [
                source.int("input_nano")?,
                source.int("cache_read_nano")?,
                source.int("cache_write_nano")?,
                source.int("output_nano")?,
            ],
            attempts: source.int("attempt_count")?,
            cache: dims[Dim::Cache as usize].as_deref().map(|status| status != CacheStatus::Miss.code()),
            tokens: [
                source.int("input_tokens")?,
                source.int("cache_read_tokens")?,
                source.int("cache_write_tokens")?,
                source.int("output_tokens")?,
                source.int("reasoning_tokens")?,
            ],
            first_token_us: source.int("first_token_us")?,
            end_us: source.some_int("end_us")?,
        };
        Ok(Self { dims, properties, measured })
    }
}

pub(crate) fn key_word(key: Uuid) -> Cow<'static, str> {
    Cow::Owned(key.to_string())
}

pub(crate) fn flag_word(flag: bool) -> Cow<'static, str> {
    Cow::Borrowed(if flag { "true" } else { "false" })
}

pub(crate) fn is_unpriced(cost_state: &str) -> bool {
    cost_state == CostState::UnknownModel.code() || cost_state == "invalid_usage"
}

impl Fact<'_> {
    /// The same row with what no longer counts left out, as `join::stop_counting` leaves it.
    pub(crate) fn not_counting(&self) -> Self {
        let measured = Measured {
            cost: None,
            outsize: None,
            retry: None,
            parts: [None; 4],
            tokens: [None; 5],
            ..self.measured.clone()
        };
        Self { measured, ..self.clone() }
    }
}

impl<'a> Fact<'a> {
    /// The same row at another cost; nothing where it is told apart by that.
    pub(crate) fn with_cost(&self, cost: &CostColumns) -> Option<Self> {
        let same = self.dims[Dim::CostState as usize].as_deref() == Some(cost.state);
        let outsize = cost.outsize.as_ref().map(|amount| amount.parse().ok());
        let measured = Measured {
            cost: cost.columns,
            outsize: match outsize {
                None => None,
                Some(amount) => Some(amount?),
            },
            parts: cost.parts.map_or([None; 4], |parts| parts.map(Some)),
            ..self.measured.clone()
        };
        same.then(|| Self { measured, ..self.clone() })
    }
}

/// Facts on their way into blocks, by organisation and minute.
#[derive(Default)]
pub(crate) struct FactBlocks {
    open: BTreeMap<(Uuid, i64), Open>,
}

struct Open {
    words: Words,
    writer: BlockWriter,
    /// The last fact's words with their numbers: mostly the next has the same.
    before: [(String, u32); DIMS],
}

impl FactBlocks {
    /// Adds a row.
    pub(crate) fn add(&mut self, org: Uuid, fact: &Fact<'_>) {
        self.push(org, fact, &Sums::of(&fact.measured));
    }

    /// Adds what a row's change makes of the sums. What it is told apart by stays.
    pub(crate) fn correct(&mut self, org: Uuid, before: &Fact<'_>, after: &Fact<'_>) {
        let difference = Sums::of(&after.measured).less(&Sums::of(&before.measured));
        if !difference.is_nothing() {
            self.push(org, after, &difference);
        }
    }

    fn push(&mut self, org: Uuid, fact: &Fact<'_>, sums: &Sums) {
        let at = MINUTE.floor(fact.measured.received_at);
        let open = self.open.entry((org, at)).or_insert_with(|| Open {
            words: Words::default(),
            writer: BlockWriter::new(at, &FACT_PLACES),
            before: Default::default(),
        });
        let mut values = [NONE; PLACES];
        for (dim, word) in fact.dims.iter().enumerate() {
            let Some(word) = word else { continue };
            let before = &mut open.before[dim];
            if before.1 == NONE || before.0 != **word {
                before.1 = open.words.number(word);
                before.0.clear();
                before.0.push_str(word);
            }
            values[dim] = before.1;
        }
        let properties: Vec<(u32, u32)> =
            fact.properties.iter().map(|(name, value)| (open.words.number(name), open.words.number(value))).collect();
        open.writer.push(&values, &properties, sums);
    }

    /// The blocks, in order.
    pub(crate) fn finish(self) -> Vec<Block> {
        let block = |((org, at), open): ((Uuid, i64), Open)| Block {
            org,
            cube: FACTS,
            level: 0,
            at,
            merged: false,
            data: open.writer.finish(&open.words),
        };
        self.open.into_iter().map(block).collect()
    }
}
