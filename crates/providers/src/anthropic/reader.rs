//! Streams, read.

use serde_json::{Value, json};
use tachograph_record::{Reading, UsageReading};

use super::finish_reason;
use super::watch::AnthropicWatch;
use crate::chat::StreamEvent;
use crate::fault::Fault;
use crate::object::text;
use crate::sse::{Event, Splitter};
use crate::tap::Watch;
use crate::{DialectId, StreamReader};

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
    }

    fn reading(&mut self) -> Reading {
        self.parser.watch.reading()
    }
}

/// A block under way.
#[derive(Debug)]
enum Open {
    /// Text or thinking, whose deltas are events of their own.
    Said,
    /// A tool call, and the input it started with, until other comes.
    Call { call: u32, input: Option<Value> },
    /// A block only this dialect knows, with its input as far as it came.
    Opaque { block: Value, input: String },
}

#[derive(Debug, Default)]
struct Parser {
    watch: AnthropicWatch,
    over: bool,
    calls: u32,
    open: Vec<(u64, Open)>,
}

impl Parser {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<StreamEvent>) {
        self.watch.event(event);
        if self.over {
            return;
        }
        let Ok(mut data) = serde_json::from_slice::<Value>(&event.data) else { return };
        let index = data.get("index").and_then(Value::as_u64).unwrap_or(0);
        match data.get("type").and_then(Value::as_str).unwrap_or_default() {
            "message_start" => {
                let message = &data["message"];
                let string = |key| text(message.get(key)).map(str::to_owned);
                let usage = self.watch.usage().known().cloned();
                out.push(StreamEvent::Start { id: string("id"), model: string("model"), usage });
            }
            "content_block_start" => self.start(index, data["content_block"].take(), out),
            "content_block_delta" => self.delta(index, &data["delta"], out),
            "content_block_stop" => self.stop(index, out),
            "message_delta" => {
                let delta = &data["delta"];
                if let Some(word) = text(delta.get("stop_reason")) {
                    let stop_sequence = text(delta.get("stop_sequence")).map(str::to_owned);
                    let (reason, native) = (finish_reason(word), word.to_owned());
                    out.push(StreamEvent::Finish { choice: 0, reason, native, stop_sequence });
                }
                if let UsageReading::Known(usage) = self.watch.usage() {
                    out.push(StreamEvent::Usage(usage));
                }
            }
            "message_stop" => {
                self.over = true;
                out.push(StreamEvent::End);
            }
            "error" => {
                if let Some(fault) = Fault::of_value(&data) {
                    self.over = true;
                    out.push(StreamEvent::Error(Box::new(fault.to_api_error(None))));
                }
            }
            _ => {}
        }
        debug_assert!(!self.watch.ended() || self.over, "the watch and the reader see the same end");
    }

    fn start(&mut self, index: u64, block: Value, out: &mut Vec<StreamEvent>) {
        let string = |key| text(block.get(key)).unwrap_or_default().to_owned();
        let open = match block.get("type").and_then(Value::as_str).unwrap_or_default() {
            "text" => {
                let text = string("text");
                if !text.is_empty() {
                    out.push(StreamEvent::Text { choice: 0, text });
                }
                Open::Said
            }
            "thinking" => {
                let (text, signature) = (string("thinking"), string("signature"));
                if !text.is_empty() {
                    out.push(StreamEvent::Thinking { choice: 0, text });
                }
                if !signature.is_empty() {
                    out.push(StreamEvent::Signature { choice: 0, signature });
                }
                Open::Said
            }
            "redacted_thinking" => {
                out.push(StreamEvent::Redacted { choice: 0, data: string("data") });
                Open::Said
            }
            "tool_use" => {
                let call = self.calls;
                self.calls += 1;
                out.push(StreamEvent::CallStart { choice: 0, call, id: string("id"), name: string("name") });
                // Usually `{}`, with the input to come in pieces; compatible servers send it whole.
                // Of a call without arguments no piece comes, and the empty object stands.
                Open::Call { call, input: Some(block.get("input").cloned().unwrap_or_else(|| json!({}))) }
            }
            _ => Open::Opaque { block, input: String::new() },
        };
        self.open.retain(|(held, _)| *held != index);
        self.open.push((index, open));
    }

    fn delta(&mut self, index: u64, delta: &Value, out: &mut Vec<StreamEvent>) {
        let string = |key| text(delta.get(key)).map(str::to_owned);
        if let Some(text) = string("text") {
            out.push(StreamEvent::Text { choice: 0, text });
        } else if let Some(text) = string("thinking") {
            out.push(StreamEvent::Thinking { choice: 0, text });
        } else if let Some(signature) = string("signature") {
            out.push(StreamEvent::Signature { choice: 0, signature });
        } else if let Some(text) = string("partial_json") {
            match self.open.iter_mut().find(|(held, _)| *held == index).map(|(_, open)| open) {
                Some(Open::Call { call, input }) => {
                    *input = None;
                    out.push(StreamEvent::Arguments { choice: 0, call: *call, text });
                }
                Some(Open::Opaque { input, .. }) => input.push_str(&text),
                Some(Open::Said) | None => {}
            }
        }
    }

    fn stop(&mut self, index: u64, out: &mut Vec<StreamEvent>) {
        let Some(at) = self.open.iter().position(|(held, _)| *held == index) else { return };
        match self.open.swap_remove(at).1 {
            Open::Call { call, input: Some(input) } => {
                out.push(StreamEvent::Arguments { choice: 0, call, text: input.to_string() });
            }
            Open::Opaque { mut block, input } => {
                if let (Ok(input), Some(fields)) = (serde_json::from_str::<Value>(&input), block.as_object_mut()) {
                    fields.insert("input".to_owned(), input);
                }
                out.push(StreamEvent::Opaque { choice: 0, dialect: DialectId::AnthropicMessages, json: block });
            }
            Open::Said | Open::Call { .. } => {}
        }
        out.push(StreamEvent::BlockEnd { choice: 0 });
    }
}
