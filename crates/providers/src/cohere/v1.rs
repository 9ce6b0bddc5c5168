//! Version 1 of Cohere's chat, read only: one text under `text`, streams of lines or of events that name themselves in
//! `event_type` and end with the whole answer.

use serde_json::Value;
use tachograph_record::{Reading, RecordedError, Tap, UsageReading};

use super::finish_reason;
use crate::fault::Fault;
use crate::json;
use crate::sse::Event;
use crate::tap::{DialectTap, Watch};
use crate::usage::{self, ApiShape};

/// A tap of an answer.
pub(crate) fn tap(stream: bool, status: u16) -> Box<dyn Tap> {
    Box::new(DialectTap::<V1Watch>::new(stream, status))
}

#[derive(Debug, Default)]
struct V1Watch {
    content: bool,
    finish: Option<String>,
    usage: UsageReading,
    ended: bool,
    error: Option<RecordedError>,
}

impl V1Watch {
    fn answer(&mut self, body: &[u8]) {
        for field in json::fields(body).into_iter().flatten() {
            let value = &body[field.value.clone()];
            match &body[field.key.clone()] {
                b"finish_reason" if value.len() > 2 => self.finish = Some(json::string(value).into_owned()),
                b"meta" if value.starts_with(b"{") => {
                    let meta = serde_json::from_slice::<Value>(value).unwrap_or_default();
                    self.usage = usage::reading(ApiShape::CohereChat, &meta);
                }
                b"response" if value.starts_with(b"{") => self.answer(value),
                _ => {}
            }
        }
    }

    fn fault(&mut self, text: &[u8]) {
        let value = serde_json::from_slice::<Value>(text).unwrap_or_default();
        self.error = self.error.take().or_else(|| Fault::of_value(&value).map(|fault| fault.recorded(None)));
    }
}

impl Watch for V1Watch {
    const STREAMS_LINES: bool = true;

    fn event(&mut self, event: &Event<'_>) -> bool {
        let data = &event.data[..];
        let kind = json::text_of(data, "event_type").unwrap_or_default();
        match &*kind {
            "text-generation" => self.content |= json::text_of(data, "text").is_some(),
            "tool-calls-chunk" | "tool-calls-generation" => self.content = true,
            "stream-end" => {
                self.answer(data);
                self.ended = true;
                // What went wrong is told here too.
                if self.finish.as_deref().is_some_and(|word| word == "ERROR") {
                    self.fault(data);
                }
            }
            // No event: a whole answer, or what went wrong.
            "" if json::text_of(data, "message").is_some() && json::last(data, "text").is_none() => self.fault(data),
            "" => {
                self.answer(data);
                self.content = true;
                self.ended = true;
            }
            _ => {}
        }
        self.content
    }

    fn document(&mut self, body: &[u8]) {
        self.event(&Event { name: b"", data: body.into() });
    }

    fn reading(&mut self) -> Reading {
        Reading {
            usage: std::mem::take(&mut self.usage),
            finish_reason: self.finish.as_deref().map(finish_reason),
            native_finish_reason: self.finish.take(),
            ended: self.ended && self.error.is_none(),
            error: self.error.take(),
            ..Reading::default()
        }
    }
}
