//! Streams, read.

use serde_json::Value;
use tachograph_record::{FinishReason, Reading, UsageReading};

use super::content::part;
use super::finish_reason;
use super::response::{blocked, word};
use super::schema::camelize;
use super::watch::GeminiWatch;
use crate::array::Elements;
use crate::chat::{Block, StreamEvent};
use crate::fault::Fault;
use crate::object::text;
use crate::sse::{Event, Splitter};
use crate::tap::Watch;
use crate::{DialectId, StreamReader};

/// Reads one stream, of events or of one array: the first byte tells.
#[derive(Debug, Default)]
pub(super) struct Reader {
    is_array: Option<bool>,
    splitter: Splitter,
    elements: Elements,
    parser: Parser,
}

impl StreamReader for Reader {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<StreamEvent>) {
        let Self { is_array, splitter, elements, parser } = self;
        if is_array.is_none() {
            *is_array = bytes.iter().find(|byte| !byte.is_ascii_whitespace()).map(|&first| first == b'[');
        }
        if *is_array == Some(true) {
            elements.push(bytes, |element| parser.event(element, out));
        } else {
            splitter.push(bytes, |event| parser.event(&event.data, out));
        }
    }

    fn finish(&mut self, out: &mut Vec<StreamEvent>) {
        let Self { splitter, parser, .. } = self;
        splitter.finish(|event| parser.event(&event.data, out));
        parser.end(out);
    }

    fn reading(&mut self) -> Reading {
        self.parser.reading()
    }
}

#[derive(Debug, Default)]
pub(super) struct Parser {
    watch: GeminiWatch,
    started: bool,
    over: bool,
    calls: u32,
    /// The usage that was told last.
    usage: UsageReading,
}

impl Parser {
    fn event(&mut self, data: &[u8], out: &mut Vec<StreamEvent>) {
        self.see(data);
        let Ok(mut piece) = serde_json::from_slice::<Value>(data) else { return };
        camelize(&mut piece);
        self.piece(&piece, out);
    }

    /// Has the watch look at a piece, before it is read.
    pub(super) fn see(&mut self, data: &[u8]) {
        self.watch.event(&Event { name: b"", data: data.into() });
    }

    pub(super) fn reading(&mut self) -> Reading {
        self.watch.reading()
    }

    /// Reads a piece of an answer.
    pub(super) fn piece(&mut self, piece: &Value, out: &mut Vec<StreamEvent>) {
        if self.over {
            return;
        }
        if piece.get("error").is_some_and(|error| error.is_object() || error.is_string()) {
            if let Some(fault) = Fault::of_value(piece) {
                self.over = true;
                out.push(StreamEvent::Error(Box::new(fault.to_api_error(None))));
            }
            return;
        }
        if !std::mem::replace(&mut self.started, true) {
            let string = |key| text(piece.get(key)).map(str::to_owned);
            out.push(StreamEvent::Start { id: string("responseId"), model: string("modelVersion"), usage: None });
        }
        for candidate in piece.get("candidates").and_then(Value::as_array).into_iter().flatten() {
            self.candidate(candidate, out);
        }
        if let Some(native) = blocked(piece.get("promptFeedback")) {
            let reason = FinishReason::ContentFilter;
            out.push(StreamEvent::Finish { choice: 0, reason, native, stop_sequence: None });
        }
        let usage = self.watch.usage();
        if let (UsageReading::Known(known), true) = (&usage, usage != self.usage) {
            out.push(StreamEvent::Usage(known.clone()));
            self.usage = usage;
        }
    }

    /// No more pieces will come.
    pub(super) fn end(&mut self, out: &mut Vec<StreamEvent>) {
        if !self.over && self.watch.ended() {
            self.over = true;
            out.push(StreamEvent::End);
        }
    }

    fn candidate(&mut self, candidate: &Value, out: &mut Vec<StreamEvent>) {
        let index = candidate.get("index").and_then(Value::as_u64).unwrap_or(0);
        let choice = u32::try_from(index).unwrap_or(u32::MAX);
        let parts = candidate.get("content").and_then(|content| content.get("parts")).and_then(Value::as_array);
        for block in parts.into_iter().flatten().cloned().flat_map(part) {
            self.block(choice, block, out);
        }
        if let Some(native) = word(candidate.get("finishReason")) {
            let reason = finish_reason(&native, self.watch.called());
            out.push(StreamEvent::Finish { choice, reason, native, stop_sequence: None });
        }
    }

    fn block(&mut self, choice: u32, block: Block, out: &mut Vec<StreamEvent>) {
        match block {
            Block::Text(text) if !text.text.is_empty() => out.push(StreamEvent::Text { choice, text: text.text }),
            Block::Thinking(thinking) => {
                if !thinking.text.is_empty() {
                    out.push(StreamEvent::Thinking { choice, text: thinking.text });
                }
                if let Some(signature) = thinking.signature {
                    out.push(StreamEvent::Signature { choice, signature });
                    out.push(StreamEvent::BlockEnd { choice });
                }
            }
            Block::ToolCall(made) => {
                let call = self.calls;
                self.calls += 1;
                out.push(StreamEvent::CallStart { choice, call, id: made.id, name: made.name });
                if !made.arguments.is_empty() {
                    out.push(StreamEvent::Arguments { choice, call, text: made.arguments });
                }
                out.push(StreamEvent::BlockEnd { choice });
            }
            Block::Opaque(opaque) => {
                let dialect = DialectId::GeminiGenerateContent;
                out.push(StreamEvent::Opaque { choice, dialect, json: opaque.json });
            }
            _ => {}
        }
    }
}
