//! What goes on the record of an answer, found by scanning.

use serde_json::Value;
use tachograph_record::{Reading, RecordedError};

use super::{CLIENT_CALLS, finish_reason};
use crate::fault::Fault;
use crate::json;
use crate::sse::Event;
use crate::tap::Watch;
use crate::usage::{self, ApiShape};

/// Watches one answer.
#[derive(Debug, Default)]
pub(super) struct ResponsesWatch {
    content: bool,
    ended: bool,
    called: bool,
    model: Option<String>,
    service_tier: Option<String>,
    /// The status, and why the answer is incomplete, if it is.
    status: Option<String>,
    reason: Option<String>,
    /// The last usage object, as JSON.
    usage: Vec<u8>,
    error: Option<RecordedError>,
}

impl ResponsesWatch {
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Whether the client is to make calls, as far as was seen.
    pub(super) fn called(&self) -> bool {
        self.called
    }

    fn response(&mut self, body: &[u8]) {
        for field in json::fields(body).into_iter().flatten() {
            let value = &body[field.value.clone()];
            let word = || (value.starts_with(b"\"") && value.len() > 2).then(|| json::string(value).into_owned());
            match &body[field.key.clone()] {
                b"model" => self.model = word().or(self.model.take()),
                b"status" => self.status = word(),
                b"service_tier" => self.service_tier = word().or(self.service_tier.take()),
                b"incomplete_details" => self.reason = json::text_of(value, "reason").map(|word| word.into_owned()),
                b"usage" if value.starts_with(b"{") => self.usage = value.to_vec(),
                b"output" => json::elements(value).for_each(|span| self.item(&value[span])),
                b"error" if value.starts_with(b"{") || value.starts_with(b"\"") => self.fault(body),
                _ => {}
            }
        }
    }

    fn item(&mut self, item: &[u8]) {
        let Some(kind) = json::text_of(item, "type") else { return };
        self.called |= CLIENT_CALLS.contains(&&*kind);
        // A call is something to wait for, whoever makes it; a message or reasoning only once it says something.
        self.content |= kind.ends_with("_call");
    }

    fn fault(&mut self, text: &[u8]) {
        let value = serde_json::from_slice::<Value>(text).unwrap_or_default();
        self.error = self.error.take().or_else(|| Fault::of_value(&value).map(|fault| fault.recorded(None)));
    }
}

impl Watch for ResponsesWatch {
    fn event(&mut self, event: &Event<'_>) -> bool {
        let data = &event.data[..];
        let member = |name: &str| json::last(data, name).map(|span| &data[span]);
        let Some(kind) = json::text_of(data, "type") else {
            if json::last(data, "error").is_some() {
                self.fault(data);
            }
            return self.content;
        };
        // A stream that breaks off within its last event has not ended.
        let whole = || json::is_object(data);
        match &*kind {
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" if whole() => {
                self.ended = true;
                member("response").into_iter().for_each(|response| self.response(response));
            }
            "response.created" => member("response").into_iter().for_each(|response| self.response(response)),
            "response.output_item.added" | "response.output_item.done" => {
                member("item").into_iter().for_each(|item| self.item(item));
            }
            "error" => self.fault(data),
            kind if !self.content && kind.ends_with(".delta") => {
                self.content = json::text_of(data, "delta").is_some();
            }
            _ => {}
        }
        self.content
    }

    fn document(&mut self, body: &[u8]) {
        self.response(body);
    }

    fn is_over(&self) -> bool {
        self.ended
    }

    fn reading(&mut self) -> Reading {
        // An answer that was only created has not ended in any way yet.
        let pending = |word: &String| matches!(word.as_str(), "in_progress" | "queued");
        let word = self.reason.take().or_else(|| self.status.take()).filter(|word| !pending(word));
        let word = word.filter(|_| self.error.is_none() || self.ended);
        let told = usage::told(ApiShape::OpenAiResponses, &self.usage);
        Reading {
            model: self.model.take(),
            usage: told.usage,
            finish_reason: word.as_deref().map(|word| finish_reason(word, self.called)),
            native_finish_reason: word,
            service_tier: self.service_tier.take(),
            provider_cost: told.cost,
            error: self.error.take(),
            ended: self.ended,
        }
    }
}
