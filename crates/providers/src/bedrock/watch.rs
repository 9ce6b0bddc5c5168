//! What goes on the record of an answer, found by scanning.

use serde_json::Value;
use tachograph_record::{Reading, RecordedError, UsageReading};

use super::finish_reason;
use crate::fault::Fault;
use crate::frames::EXCEPTION;
use crate::json;
use crate::sse::Event;
use crate::tap::Watch;
use crate::usage::{self, ApiShape};

/// Watches one answer.
#[derive(Debug, Default)]
pub(super) struct ConverseWatch {
    content: bool,
    ended: bool,
    finish: Option<String>,
    service_tier: Option<String>,
    usage: Value,
    error: Option<RecordedError>,
}

impl ConverseWatch {
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    pub(super) fn usage(&self) -> UsageReading {
        usage::reading(ApiShape::BedrockConverse, &self.usage)
    }

    fn members(&mut self, body: &[u8]) {
        if let Some(stop) = json::text_of(body, "stopReason") {
            self.finish = Some(stop.into_owned());
        }
        if let Some(span) = json::last(body, "usage") {
            self.usage = serde_json::from_slice(&body[span]).unwrap_or_default();
        }
        if let Some(span) = json::last(body, "serviceTier") {
            self.service_tier = json::text_of(&body[span], "type").map(|tier| tier.into_owned());
        }
    }

    fn delta(&mut self, delta: &[u8]) {
        for field in json::fields(delta).into_iter().flatten() {
            let value = &delta[field.value.clone()];
            match &delta[field.key] {
                b"text" | b"input" | b"redactedContent" if value.starts_with(b"\"") && value.len() > 2 => {
                    self.content = true;
                }
                b"toolUse" | b"reasoningContent" => self.delta(value),
                _ => {}
            }
        }
    }

    fn fault(&mut self, text: &[u8]) {
        let value = serde_json::from_slice::<Value>(text).unwrap_or_default();
        self.error = self.error.take().or_else(|| Fault::of_value(&value).map(|fault| fault.recorded(None)));
    }
}

impl Watch for ConverseWatch {
    const STREAMS_FRAMES: bool = true;

    fn event(&mut self, event: &Event<'_>) -> bool {
        let data = &event.data[..];
        match event.name {
            b"contentBlockDelta" => {
                if let Some(span) = json::last(data, "delta") {
                    self.delta(&data[span]);
                }
            }
            b"contentBlockStart" => self.content |= json::last(data, "start").is_some_and(|span| span.len() > 2),
            b"messageStop" => {
                self.ended = true;
                self.members(data);
            }
            b"metadata" => self.members(data),
            EXCEPTION => self.fault(data),
            _ => {}
        }
        self.content
    }

    fn document(&mut self, body: &[u8]) {
        if json::last(body, "output").is_none() && json::last(body, "message").is_some() {
            return self.fault(body);
        }
        self.members(body);
    }

    fn reading(&mut self) -> Reading {
        Reading {
            usage: self.usage(),
            model: None,
            finish_reason: self.finish.as_deref().map(finish_reason),
            native_finish_reason: self.finish.take(),
            service_tier: self.service_tier.take(),
            provider_cost: None,
            error: self.error.take(),
            ended: self.ended,
        }
    }
}
