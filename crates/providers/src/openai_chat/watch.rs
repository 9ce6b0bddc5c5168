//! What goes on the record of an answer, found by scanning.

use serde_json::Value;
use tachograph_record::{Reading, RecordedError};

use super::finish_reason;
use crate::fault::Fault;
use crate::json::{self, Field};
use crate::sse::Event;
use crate::tap::Watch;
use crate::usage::{self, ApiShape};

/// The answers whose ends are waited for; more than this many are never asked for.
const MOST_CHOICES: u32 = 128;

/// Watches one answer.
#[derive(Debug, Default)]
pub(crate) struct OpenAiWatch {
    content: bool,
    done: bool,
    model: Option<String>,
    service_tier: Option<String>,
    /// The reason of the first choice.
    finish: Option<String>,
    /// Bits of the choices that began and that finished.
    begun: u128,
    finished: u128,
    /// The last usage object, as JSON.
    usage: Vec<u8>,
    error: Option<RecordedError>,
}

impl OpenAiWatch {
    /// Whether the stream got as far as it goes: its terminal event, or, since some servers send none, a reason to stop
    /// for every answer that began.
    pub(super) fn ended(&self) -> bool {
        self.done || (self.begun != 0 && self.begun == self.finished)
    }

    pub(super) fn done(&self) -> bool {
        self.done
    }

    fn member(&mut self, text: &[u8], field: &Field) {
        let value = &text[field.value.clone()];
        match &text[field.key.clone()] {
            b"choices" => json::elements(value).for_each(|span| self.choice(&value[span])),
            b"usage" if value.starts_with(b"{") => self.usage = value.to_vec(),
            b"x_groq" => {
                if let Some(span) = json::last(value, "usage").filter(|span| value[span.clone()].starts_with(b"{")) {
                    self.usage = value[span].to_vec();
                }
            }
            b"model" if self.model.is_none() && value.len() > 2 => self.model = Some(json::string(value).into_owned()),
            b"service_tier" if self.service_tier.is_none() && value.starts_with(b"\"") => {
                self.service_tier = Some(json::string(value).into_owned()).filter(|tier| !tier.is_empty());
            }
            b"error" if value.starts_with(b"{") || value.starts_with(b"\"") => self.fault(text),
            _ => {}
        }
    }

    fn choice(&mut self, choice: &[u8]) {
        let (mut index, mut finish, mut content) = (0, None, false);
        for field in json::fields(choice).into_iter().flatten() {
            let value = &choice[field.value.clone()];
            match &choice[field.key.clone()] {
                b"index" => index = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(0),
                b"finish_reason" if value.len() > 2 && value.starts_with(b"\"") => finish = Some(json::string(value)),
                b"delta" | b"message" if !self.content => content |= has_content(value),
                // The completions API has the text where the chat API has a delta.
                b"text" if value.starts_with(b"\"") => content |= value.len() > 2,
                b"usage" if value.starts_with(b"{") => self.usage = value.to_vec(),
                b"error" if value.starts_with(b"{") => self.fault(choice),
                _ => {}
            }
        }
        self.content |= content;
        let bit = 1_u128 << u32::min(index, MOST_CHOICES - 1);
        self.begun |= bit;
        if let Some(finish) = finish {
            self.finished |= bit;
            if index == 0 {
                self.finish = Some(finish.into_owned());
            }
        }
    }

    fn fault(&mut self, text: &[u8]) {
        if self.error.is_none() {
            let value = serde_json::from_slice::<Value>(text).unwrap_or_default();
            self.error = Fault::of_value(&value).map(|fault| fault.recorded(None));
        }
    }

    fn members(&mut self, text: &[u8]) {
        for field in json::fields(text).into_iter().flatten() {
            self.member(text, &field);
        }
    }
}

impl Watch for OpenAiWatch {
    fn event(&mut self, event: &Event<'_>) -> bool {
        if event.data.trim_ascii() == b"[DONE]" {
            self.done = true;
        } else {
            self.members(&event.data);
            if event.name == b"error" {
                self.fault(&event.data);
            }
        }
        self.content
    }

    fn document(&mut self, body: &[u8]) {
        self.members(body);
    }

    fn is_over(&self) -> bool {
        self.done
    }

    fn reading(&mut self) -> Reading {
        let told = usage::told(ApiShape::OpenAiChat, &self.usage);
        Reading {
            model: self.model.take(),
            usage: told.usage,
            finish_reason: self.finish.as_deref().map(finish_reason),
            native_finish_reason: self.finish.take(),
            service_tier: self.service_tier.take().or(told.service_tier),
            provider_cost: told.cost,
            error: self.error.take(),
            ended: self.ended(),
        }
    }
}

/// Whether a delta holds text, reasoning, a refusal, or a name or arguments of a call. A role or empty text is none.
fn has_content(delta: &[u8]) -> bool {
    json::fields(delta).into_iter().flatten().any(|field| {
        let value = &delta[field.value.clone()];
        match &delta[field.key.clone()] {
            b"content" | b"reasoning_content" | b"reasoning" | b"refusal" => match value.first() {
                Some(b'"') => value.len() > 2,
                Some(b'[') => json::elements(value).next().is_some(),
                _ => false,
            },
            b"tool_calls" => json::elements(value).any(|span| calls(&value[span])),
            b"function_call" => named(value),
            b"audio" => json::text_of(value, "data").is_some(),
            _ => false,
        }
    })
}

fn calls(call: &[u8]) -> bool {
    ["function", "custom"].iter().any(|kind| json::last(call, kind).is_some_and(|span| named(&call[span])))
}

fn named(function: &[u8]) -> bool {
    ["name", "arguments", "input"].iter().any(|field| {
        json::last(function, field).is_some_and(|span| match &function[span] {
            [b'"', rest @ ..] => rest.len() > 1,
            [b'{', ..] => true,
            _ => false,
        })
    })
}
