//! What goes on the record of an answer, found by scanning.

use serde_json::{Map, Value};
use tachograph_record::{Reading, RecordedError, UsageReading, UsageSource};

use super::finish_reason;
use super::response::served_tier;
use crate::fault::Fault;
use crate::json;
use crate::sse::Event;
use crate::tap::Watch;
use crate::usage::{self, ApiShape};

/// Watches one answer.
#[derive(Debug, Default)]
pub(crate) struct AnthropicWatch {
    content: bool,
    ended: bool,
    model: Option<String>,
    finish: Option<String>,
    /// Usage so far: `message_start`'s, and over it `message_delta`'s.
    usage: Map<String, Value>,
    /// Whether the final usage has come.
    settled: bool,
    /// Bytes of text, thinking and tool input that came.
    delivered: u64,
    error: Option<RecordedError>,
}

impl AnthropicWatch {
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Usage so far.
    pub(super) fn usage(&self) -> UsageReading {
        let reading = usage::reading(ApiShape::AnthropicMessages, &Value::Object(self.usage.clone()));
        match reading {
            UsageReading::Known(mut usage) if !self.settled => {
                // The stream was cut: its output count is the placeholder it began with. Four bytes a token is what
                // English text comes to; the mark says that this is an estimate.
                let counted = usage.output_total();
                let likely = self.delivered.div_ceil(4);
                usage.add(tachograph_record::Leaf::OUTPUT, likely.saturating_sub(counted));
                usage.source = UsageSource::Estimated;
                UsageReading::Known(usage)
            }
            reading => reading,
        }
    }

    /// Lays later usage over earlier. Counts are cumulative, so they replace and are never added; some servers restate
    /// as 0 or null what they do not know, which replaces nothing.
    fn overlay(&mut self, usage: &[u8]) {
        let Ok(Value::Object(later)) = serde_json::from_slice(usage) else { return };
        for (name, value) in later {
            let says_nothing = value.is_null() || value.as_u64() == Some(0) && self.usage.contains_key(&name);
            if !says_nothing {
                self.usage.insert(name, value);
            }
        }
    }

    fn message(&mut self, message: &[u8]) {
        self.model = json::text_of(message, "model").map(|model| model.into_owned());
        if let Some(span) = json::last(message, "usage") {
            self.overlay(&message[span]);
        }
        if let Some(stop) = json::text_of(message, "stop_reason") {
            self.finish = Some(stop.into_owned());
        }
    }

    fn block(&mut self, block: &[u8]) {
        let said = ["text", "thinking"].iter().any(|field| json::text_of(block, field).is_some());
        let kind = json::text_of(block, "type").unwrap_or_default();
        self.content |= said || kind.ends_with("tool_use") || kind == "redacted_thinking";
    }

    fn delta(&mut self, delta: &[u8]) {
        for field in json::fields(delta).into_iter().flatten() {
            if matches!(&delta[field.key.clone()], b"text" | b"thinking" | b"partial_json") && field.value.len() > 2 {
                self.content = true;
                self.delivered += field.value.len() as u64 - 2;
            }
        }
    }

    fn fault(&mut self, text: &[u8]) {
        let value = serde_json::from_slice::<Value>(text).unwrap_or_default();
        self.error = self.error.take().or_else(|| Fault::of_value(&value).map(|fault| fault.recorded(None)));
    }
}

impl Watch for AnthropicWatch {
    fn event(&mut self, event: &Event<'_>) -> bool {
        let data = &event.data[..];
        let member = |name: &str| json::last(data, name).map(|span| &data[span]);
        // The type is the first member, as a rule, so that finding it costs nothing.
        let first = json::fields(data).and_then(|mut fields| fields.find(|field| field.is(data, "type")));
        let Some(kind) = first.map(|field| &data[field.value]) else { return self.content };
        match kind {
            b"\"content_block_delta\"" => member("delta").into_iter().for_each(|delta| self.delta(delta)),
            b"\"content_block_start\"" => member("content_block").into_iter().for_each(|block| self.block(block)),
            b"\"message_start\"" => member("message").into_iter().for_each(|message| self.message(message)),
            b"\"message_delta\"" => {
                if let Some(stop) = member("delta").and_then(|delta| json::text_of(delta, "stop_reason")) {
                    self.finish = Some(stop.into_owned());
                }
                if let Some(usage) = member("usage") {
                    self.settled = true;
                    self.overlay(usage);
                }
            }
            b"\"message_stop\"" => self.ended = true,
            b"\"error\"" => self.fault(data),
            _ => {}
        }
        self.content
    }

    fn document(&mut self, body: &[u8]) {
        if json::text_of(body, "type").as_deref() == Some("error") {
            return self.fault(body);
        }
        self.message(body);
        self.settled = true;
    }

    fn is_over(&self) -> bool {
        self.ended
    }

    fn reading(&mut self) -> Reading {
        Reading {
            usage: self.usage(),
            model: self.model.take(),
            finish_reason: self.finish.as_deref().map(finish_reason),
            native_finish_reason: self.finish.take(),
            service_tier: served_tier(&Value::Object(std::mem::take(&mut self.usage))),
            provider_cost: None,
            error: self.error.take(),
            ended: self.ended,
        }
    }
}
