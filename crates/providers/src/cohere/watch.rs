//! What goes on the record of an answer, found by scanning.

use serde_json::Value;
use tachograph_record::{Reading, RecordedError, UsageReading};

use super::finish_reason;
use crate::fault::Fault;
use crate::json;
use crate::sse::Event;
use crate::tap::Watch;
use crate::usage::{self, ApiShape};

/// Watches one answer.
#[derive(Debug, Default)]
pub(super) struct CohereWatch {
    content: bool,
    finish: Option<String>,
    usage: UsageReading,
    ended: bool,
    error: Option<RecordedError>,
}

impl CohereWatch {
    pub(super) fn ended(&self) -> bool {
        self.ended && self.error.is_none()
    }

    pub(super) fn usage(&self) -> &UsageReading {
        &self.usage
    }

    /// Where an answer, or the last event's delta, says why it ended and what was used.
    fn end(&mut self, body: &[u8]) {
        for field in json::fields(body).into_iter().flatten() {
            let value = &body[field.value.clone()];
            match &body[field.key.clone()] {
                b"finish_reason" if value.len() > 2 => self.finish = Some(json::string(value).into_owned()),
                b"usage" if value.starts_with(b"{") => {
                    let usage = serde_json::from_slice::<Value>(value).unwrap_or_default();
                    self.usage = usage::reading(ApiShape::CohereChat, &usage);
                }
                b"error" if value.len() > 2 && value.starts_with(b"\"") => self.fault(body),
                _ => {}
            }
        }
    }

    fn fault(&mut self, text: &[u8]) {
        let value = serde_json::from_slice::<Value>(text).unwrap_or_default();
        self.error = self.error.take().or_else(|| Fault::of_value(&value).map(|fault| fault.recorded(None)));
    }
}

impl Watch for CohereWatch {
    fn event(&mut self, event: &Event<'_>) -> bool {
        let data = &event.data[..];
        let kind = json::text_of(data, "type").unwrap_or_default();
        match &*kind {
            "content-start" | "content-delta" if !self.content => self.content = says(data),
            "tool-plan-delta" | "tool-call-start" | "tool-call-delta" => self.content = true,
            "message-end" => {
                self.ended = true;
                if let Some(span) = json::last(data, "delta") {
                    self.end(&data[span]);
                }
            }
            "" if json::last(data, "message").is_some() || json::last(data, "error").is_some() => self.fault(data),
            _ => {}
        }
        self.content
    }

    fn document(&mut self, body: &[u8]) {
        self.end(body);
        if json::last(body, "message").is_some_and(|span| body[span].starts_with(b"\"")) {
            self.fault(body);
        }
    }

    fn reading(&mut self) -> Reading {
        Reading {
            usage: std::mem::take(&mut self.usage),
            finish_reason: self.finish.as_deref().map(finish_reason),
            native_finish_reason: self.finish.take(),
            ended: self.ended(),
            error: self.error.take(),
            ..Reading::default()
        }
    }
}

/// Whether a piece of content holds any text.
fn says(event: &[u8]) -> bool {
    let inner = |text: &[u8], name: &str| json::last(text, name).map(|span| text[span].to_vec());
    let content = inner(event, "delta").and_then(|delta| inner(&delta, "message"));
    let content = content.and_then(|message| inner(&message, "content"));
    content.is_some_and(|content| ["text", "thinking"].iter().any(|name| json::text_of(&content, name).is_some()))
}
