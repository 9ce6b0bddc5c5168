//! Streams, read.

use serde_json::Value;
use tachograph_record::{Reading, UsageReading};

use super::finish_reason;
use super::watch::CohereWatch;
use crate::StreamReader;
use crate::chat::StreamEvent;
use crate::fault::Fault;
use crate::object::text;
use crate::sse::{Event, Splitter};
use crate::tap::Watch;

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    splitter: Splitter,
    parser: Parser,
}

impl StreamReader for Reader {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<StreamEvent>) {
        let Self { splitter, parser } = self;
        splitter.push(bytes, |event| parser.event(&event, out));
    }

    fn finish(&mut self, out: &mut Vec<StreamEvent>) {
        let Self { splitter, parser } = self;
        splitter.finish(|event| parser.event(&event, out));
        parser.end(out);
    }

    fn reading(&mut self) -> Reading {
        self.parser.watch.reading()
    }
}

#[derive(Debug, Default)]
struct Parser {
    watch: CohereWatch,
    started: bool,
    over: bool,
    /// The index of each call.
    calls: Vec<u64>,
}

impl Parser {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<StreamEvent>) {
        self.watch.event(event);
        if self.over {
            return;
        }
        let Ok(event) = serde_json::from_slice::<Value>(&event.data) else { return };
        let delta = event.get("delta").unwrap_or(&Value::Null);
        let message = delta.get("message").unwrap_or(&Value::Null);
        let kind = text(event.get("type")).unwrap_or_default();
        if kind.is_empty() && (event.get("message").is_some() || event.get("error").is_some()) {
            return self.fail(&event, out);
        }
        if !std::mem::replace(&mut self.started, true) {
            let id = text(event.get("id")).map(str::to_owned);
            out.push(StreamEvent::Start { id, model: None, usage: None });
        }
        match kind {
            "content-start" | "content-delta" => {
                let content = message.get("content").unwrap_or(&Value::Null);
                if let Some(text) = text(content.get("thinking")) {
                    out.push(StreamEvent::Thinking { choice: 0, text: text.to_owned() });
                }
                if let Some(text) = text(content.get("text")) {
                    out.push(StreamEvent::Text { choice: 0, text: text.to_owned() });
                }
            }
            "content-end" | "tool-call-end" => out.push(StreamEvent::BlockEnd { choice: 0 }),
            "tool-plan-delta" => {
                if let Some(text) = text(message.get("tool_plan")) {
                    out.push(StreamEvent::Thinking { choice: 0, text: text.to_owned() });
                }
            }
            "tool-call-start" | "tool-call-delta" => {
                self.call(kind == "tool-call-start", event.get("index"), message.get("tool_calls"), out);
            }
            "message-end" => self.last(delta, out),
            _ => {}
        }
    }

    /// A piece of a call. Two servers write a list where Cohere writes the call itself.
    fn call(&mut self, starts: bool, index: Option<&Value>, call: Option<&Value>, out: &mut Vec<StreamEvent>) {
        let call = call.map(|call| call.get(0).unwrap_or(call)).unwrap_or(&Value::Null);
        let function = call.get("function").unwrap_or(&Value::Null);
        let index = index.and_then(Value::as_u64).unwrap_or(0);
        if starts {
            let at = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
            self.calls.push(index);
            let word = |value: Option<&Value>| text(value).unwrap_or_default().to_owned();
            let (id, name) = (word(call.get("id")), word(function.get("name")));
            out.push(StreamEvent::CallStart { choice: 0, call: at, id, name });
        }
        let Some(at) = self.calls.iter().rposition(|held| *held == index) else { return };
        if let Some(text) = text(function.get("arguments")) {
            let call = u32::try_from(at).unwrap_or(u32::MAX);
            out.push(StreamEvent::Arguments { choice: 0, call, text: text.to_owned() });
        }
    }

    fn last(&mut self, delta: &Value, out: &mut Vec<StreamEvent>) {
        if let Some(native) = text(delta.get("finish_reason")) {
            let (reason, native) = (finish_reason(native), native.to_owned());
            out.push(StreamEvent::Finish { choice: 0, reason, native, stop_sequence: None });
        }
        if let UsageReading::Known(usage) = self.watch.usage() {
            out.push(StreamEvent::Usage(usage.clone()));
        }
        if text(delta.get("error")).is_some() {
            return self.fail(delta, out);
        }
        self.end(out);
    }

    fn fail(&mut self, told: &Value, out: &mut Vec<StreamEvent>) {
        if let Some(fault) = Fault::of_value(told) {
            self.over = true;
            out.push(StreamEvent::Error(Box::new(fault.to_api_error(None))));
        }
    }

    fn end(&mut self, out: &mut Vec<StreamEvent>) {
        if !self.over && self.watch.ended() {
            self.over = true;
            out.push(StreamEvent::End);
        }
    }
}
