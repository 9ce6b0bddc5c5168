//! What goes on the record of an answer, found by scanning.

use serde_json::Value;
use tachograph_record::{Quantity, Reading, RecordedError, Unit, UsageReading};

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
    /// The provider's own tools that ran, which its usage object does not count.
    tools: [u64; TOOLS.len()],
    error: Option<RecordedError>,
}

/// Items of the output that stand for a run of the provider's own tool, and what that is billed as.
const TOOLS: [(&str, Unit); 3] = [
    ("web_search_call", Unit::WebSearches),
    ("file_search_call", Unit::FileSearches),
    ("code_interpreter_call", Unit::CodeSessions),
];

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
                b"output" => {
                    let mut tools = [0; TOOLS.len()];
                    for span in json::elements(value) {
                        self.item(&value[span.clone()]);
                        count(&mut tools, &value[span]);
                    }
                    // The whole output tells again what its items told one by one; some servers leave it empty at the end.
                    if tools != [0; TOOLS.len()] {
                        self.tools = tools;
                    }
                }
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

/// Counts an item that is a finished run of a tool. A search is one that searched: opening a page that was found, or
/// looking through it, is no other.
fn count(tools: &mut [u64; TOOLS.len()], item: &[u8]) {
    let Some(kind) = json::text_of(item, "type") else { return };
    let Some(at) = TOOLS.iter().position(|(name, _)| *name == kind) else { return };
    let failed = json::text_of(item, "status").is_some_and(|status| status == "failed");
    let action = json::last(item, "action").and_then(|span| json::text_of(&item[span], "type"));
    if !failed && action.is_none_or(|action| action == "search") {
        tools[at] += 1;
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
            "response.output_item.added" => member("item").into_iter().for_each(|item| self.item(item)),
            "response.output_item.done" => {
                if let Some(item) = member("item") {
                    self.item(item);
                    count(&mut self.tools, item);
                }
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
        let mut told = usage::told(ApiShape::OpenAiResponses, &self.usage);
        if let UsageReading::Known(usage) = &mut told.usage {
            for (&(_, unit), &runs) in TOOLS.iter().zip(&self.tools) {
                let is_told = usage.units().iter().any(|(held, _)| *held == unit);
                if let Some(runs) = Quantity::whole(runs).filter(|_| !is_told) {
                    usage.add_unit(unit, runs);
                }
            }
        }
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
