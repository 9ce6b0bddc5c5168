//! What goes on the record of an answer, found by scanning.

use serde_json::Value;
use tachograph_record::{Reading, RecordedError, UsageReading};

use super::finish_reason;
use crate::fault::Fault;
use crate::json;
use crate::sse::Event;
use crate::tap::Watch;
use crate::usage::{self, ApiShape};

/// Watches one answer, of the chat or of `/api/generate`: a whole one is a stream of one line.
#[derive(Debug, Default)]
pub(super) struct OllamaWatch {
    content: bool,
    called: bool,
    model: Option<String>,
    finish: Option<String>,
    usage: UsageReading,
    done: bool,
    error: Option<RecordedError>,
}

impl OllamaWatch {
    pub(super) fn ended(&self) -> bool {
        self.done && self.error.is_none()
    }

    pub(super) fn called(&self) -> bool {
        self.called
    }

    pub(super) fn usage(&self) -> &UsageReading {
        &self.usage
    }

    fn line(&mut self, line: &[u8]) {
        let mut done = false;
        for field in json::fields(line).into_iter().flatten() {
            let value = &line[field.value.clone()];
            match &line[field.key.clone()] {
                b"model" if self.model.is_none() && value.len() > 2 => {
                    self.model = Some(json::string(value).into_owned())
                }
                b"message" => self.message(value),
                b"response" | b"thinking" => self.content |= value.starts_with(b"\"") && value.len() > 2,
                b"done" => done = value == b"true",
                b"done_reason" if value.starts_with(b"\"") && value.len() > 2 => {
                    self.finish = Some(json::string(value).into_owned());
                }
                b"error" if value.starts_with(b"\"") || value.starts_with(b"{") => self.fault(line),
                _ => {}
            }
        }
        if done {
            self.done = true;
            let line = serde_json::from_slice::<Value>(line).unwrap_or_default();
            self.usage = usage::reading(ApiShape::Ollama, &line);
        }
    }

    fn message(&mut self, message: &[u8]) {
        for field in json::fields(message).into_iter().flatten() {
            let value = &message[field.value.clone()];
            match &message[field.key.clone()] {
                b"content" | b"thinking" => self.content |= value.starts_with(b"\"") && value.len() > 2,
                b"tool_calls" if json::elements(value).next().is_some() => {
                    (self.content, self.called) = (true, true);
                }
                _ => {}
            }
        }
    }

    fn fault(&mut self, text: &[u8]) {
        let value = serde_json::from_slice::<Value>(text).unwrap_or_default();
        self.error = self.error.take().or_else(|| Fault::of_value(&value).map(|fault| fault.recorded(None)));
    }
}

impl Watch for OllamaWatch {
    const STREAMS_LINES: bool = true;

    fn event(&mut self, event: &Event<'_>) -> bool {
        self.line(&event.data);
        self.content
    }

    fn document(&mut self, body: &[u8]) {
        self.line(body);
    }

    fn reading(&mut self) -> Reading {
        Reading {
            model: self.model.take(),
            usage: std::mem::take(&mut self.usage),
            finish_reason: self.finish.as_deref().map(|word| finish_reason(word, self.called)),
            native_finish_reason: self.finish.take(),
            ended: self.ended(),
            error: self.error.take(),
            ..Reading::default()
        }
    }
}
