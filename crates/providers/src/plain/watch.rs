//! What goes on the record of an answer that is no conversation.

use serde_json::{Value, json};
use tachograph_record::{Reading, RecordedError, UsageReading};

use super::Plain;
use crate::fault::Fault;
use crate::json;
use crate::sse::Event;
use crate::tap::Watch;
use crate::usage;

/// Watches one answer.
#[derive(Debug)]
pub(super) struct PlainWatch {
    plain: &'static Plain,
    content: bool,
    ended: bool,
    model: Option<String>,
    finish: Option<String>,
    service_tier: Option<String>,
    usage: Value,
    images: usize,
    error: Option<RecordedError>,
}

impl PlainWatch {
    pub(super) fn new(plain: &'static Plain) -> Self {
        Self {
            plain,
            content: false,
            ended: false,
            model: None,
            finish: None,
            service_tier: None,
            usage: Value::Null,
            images: 0,
            error: None,
        }
    }

    fn members(&mut self, body: &[u8]) {
        let plain = self.plain;
        for field in json::fields(body).into_iter().flatten() {
            let value = &body[field.value.clone()];
            let Ok(key) = std::str::from_utf8(&body[field.key.clone()]) else { continue };
            match key {
                "model" if self.model.is_none() && value.len() > 2 => {
                    self.model = Some(json::string(value).into_owned());
                }
                "service_tier" if value.starts_with(b"\"") => {
                    self.service_tier = Some(json::string(value).into_owned());
                }
                "error" if value.starts_with(b"{") || value.starts_with(b"\"") => self.fault(body),
                _ => {}
            }
            if plain.usage.contains(&key) && value.starts_with(b"{") {
                self.usage = serde_json::from_slice(value).unwrap_or_default();
            }
            if plain.images == Some(key) {
                self.images = json::elements(value).count();
            }
            if plain.finish.is_some_and(|(name, _)| name == key) && value.starts_with(b"\"") {
                self.finish = Some(json::string(value).into_owned());
            }
            self.content |= plain.content.contains(&key) && value.starts_with(b"\"") && value.len() > 2;
        }
    }

    fn fault(&mut self, text: &[u8]) {
        let value = serde_json::from_slice::<Value>(text).unwrap_or_default();
        self.error = self.error.take().or_else(|| Fault::of_value(&value).map(|fault| fault.recorded(None)));
    }

    /// The usage that was told, or how many images were made.
    fn used(&self) -> UsageReading {
        match usage::reading(self.plain.shape, &self.usage) {
            UsageReading::Absent if self.images > 0 => usage::reading(self.plain.shape, &json!({ "n": self.images })),
            reading => reading,
        }
    }
}

impl Watch for PlainWatch {
    fn event(&mut self, event: &Event<'_>) -> bool {
        if event.data.trim_ascii() == b"[DONE]" {
            self.ended = true;
            return self.content;
        }
        self.members(&event.data);
        let kind = json::text_of(&event.data, "type").unwrap_or_default();
        // Streams of these APIs end with a `….done` or `….completed` event, or with a reason to stop.
        self.ended |= kind.ends_with(".done") || kind.ends_with(".completed") || self.finish.is_some();
        if event.name == b"error" || kind == "error" {
            self.fault(&event.data);
        }
        self.content
    }

    fn document(&mut self, body: &[u8]) {
        self.members(body);
        if self.usage.is_null() && self.plain.usage.contains(&"") {
            self.usage = serde_json::from_slice(body).unwrap_or_default();
        }
    }

    fn reading(&mut self) -> Reading {
        let tier = self.service_tier.take().or_else(|| self.usage.get("service_tier")?.as_str().map(str::to_owned));
        let meaning = self.plain.finish.map(|(_, meaning)| meaning);
        Reading {
            model: self.model.take(),
            usage: self.used(),
            finish_reason: self.finish.as_deref().and_then(|word| Some(meaning?(word))),
            native_finish_reason: self.finish.take(),
            service_tier: tier,
            provider_cost: usage::reported_cost(&self.usage),
            error: self.error.take(),
            ended: self.ended,
        }
    }
}
