//! Streams, read.

use serde_json::Value;
use tachograph_record::{Reading, UsageReading};

use super::decode::call_of;
use super::finish_reason;
use super::watch::OllamaWatch;
use crate::StreamReader;
use crate::array::Elements;
use crate::chat::{Block, StreamEvent};
use crate::fault::Fault;
use crate::object::text;
use crate::sse::{Event, Splitter};
use crate::tap::Watch;

/// Reads one stream of lines, or of events that hold them, as some proxies make of it: the first byte tells.
#[derive(Debug, Default)]
pub(super) struct Reader {
    is_lines: Option<bool>,
    lines: Elements,
    splitter: Splitter,
    parser: Parser,
}

impl StreamReader for Reader {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<StreamEvent>) {
        let Self { is_lines, lines, splitter, parser } = self;
        if is_lines.is_none() {
            *is_lines = bytes.iter().find(|byte| !byte.is_ascii_whitespace()).map(|&first| first == b'{');
        }
        if *is_lines == Some(true) {
            lines.push(bytes, |line| parser.line(line, out));
        } else {
            splitter.push(bytes, |event| parser.line(&event.data, out));
        }
    }

    fn finish(&mut self, out: &mut Vec<StreamEvent>) {
        let Self { splitter, parser, .. } = self;
        splitter.finish(|event| parser.line(&event.data, out));
        parser.end(out);
    }

    fn reading(&mut self) -> Reading {
        self.parser.watch.reading()
    }
}

#[derive(Debug, Default)]
struct Parser {
    watch: OllamaWatch,
    started: bool,
    over: bool,
    calls: u32,
}

impl Parser {
    fn line(&mut self, data: &[u8], out: &mut Vec<StreamEvent>) {
        self.watch.event(&Event { name: b"", data: data.into() });
        if self.over {
            return;
        }
        let Ok(line) = serde_json::from_slice::<Value>(data) else { return };
        if line.get("error").is_some_and(|error| !error.is_null()) {
            if let Some(fault) = Fault::of_value(&line) {
                self.over = true;
                out.push(StreamEvent::Error(Box::new(fault.to_api_error(None))));
            }
            return;
        }
        if !std::mem::replace(&mut self.started, true) {
            let model = text(line.get("model")).map(str::to_owned);
            out.push(StreamEvent::Start { id: None, model, usage: None });
        }
        let message = line.get("message").unwrap_or(&line);
        if let Some(text) = text(message.get("thinking")) {
            out.push(StreamEvent::Thinking { choice: 0, text: text.to_owned() });
        }
        if let Some(text) = text(message.get("content")).or_else(|| text(line.get("response"))) {
            out.push(StreamEvent::Text { choice: 0, text: text.to_owned() });
        }
        for value in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            let Some(Block::ToolCall(made)) = call_of(value.clone()) else { continue };
            let call = self.calls;
            self.calls += 1;
            out.push(StreamEvent::CallStart { choice: 0, call, id: made.id, name: made.name });
            if !made.arguments.is_empty() {
                out.push(StreamEvent::Arguments { choice: 0, call, text: made.arguments });
            }
            out.push(StreamEvent::BlockEnd { choice: 0 });
        }
        if line.get("done") == Some(&Value::Bool(true)) {
            self.last(&line, out);
        }
    }

    fn last(&mut self, line: &Value, out: &mut Vec<StreamEvent>) {
        if let Some(native) = text(line.get("done_reason")) {
            let (reason, native) = (finish_reason(native, self.watch.called()), native.to_owned());
            out.push(StreamEvent::Finish { choice: 0, reason, native, stop_sequence: None });
        }
        if let UsageReading::Known(usage) = self.watch.usage() {
            out.push(StreamEvent::Usage(usage.clone()));
        }
        self.end(out);
    }

    fn end(&mut self, out: &mut Vec<StreamEvent>) {
        if !self.over && self.watch.ended() {
            self.over = true;
            out.push(StreamEvent::End);
        }
    }
}
