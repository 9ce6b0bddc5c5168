//! Streams, read.

use serde_json::Value;
use tachograph_record::{Reading, UsageReading};

use super::content::{block, member};
use super::finish_reason;
use super::watch::ConverseWatch;
use crate::chat::{Block, StreamEvent};
use crate::fault::Fault;
use crate::frames::{EXCEPTION, Frames};
use crate::sse::Event;
use crate::tap::Watch;
use crate::{DialectId, StreamReader, seal};

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    frames: Frames,
    parser: Parser,
}

impl StreamReader for Reader {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<StreamEvent>) {
        let Self { frames, parser } = self;
        frames.push(bytes, |event| parser.event(&event, out));
    }

    fn finish(&mut self, out: &mut Vec<StreamEvent>) {
        self.parser.end(out);
    }

    fn reading(&mut self) -> Reading {
        self.parser.watch.reading()
    }
}

/// A tool call under way.
#[derive(Debug)]
struct Open {
    index: u64,
    call: u32,
    began: bool,
}

#[derive(Debug, Default)]
struct Parser {
    watch: ConverseWatch,
    over: bool,
    calls: u32,
    open: Vec<Open>,
}

impl Parser {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<StreamEvent>) {
        self.watch.event(event);
        if self.over {
            return;
        }
        let Ok(mut data) = serde_json::from_slice::<Value>(&event.data) else { return };
        let index = data.get("contentBlockIndex").and_then(Value::as_u64).unwrap_or(0);
        match event.name {
            b"messageStart" => out.push(StreamEvent::Start { id: None, model: None, usage: None }),
            b"contentBlockStart" => self.start(index, data["start"].take(), out),
            b"contentBlockDelta" => self.delta(index, &data["delta"], out),
            b"contentBlockStop" => self.stop(index, out),
            b"messageStop" => {
                let word = member(&data, "stopReason").unwrap_or_default();
                let stop = data.get("additionalModelResponseFields").and_then(|more| member(more, "stop_sequence"));
                let (reason, native) = (finish_reason(word), word.to_owned());
                out.push(StreamEvent::Finish { choice: 0, reason, native, stop_sequence: stop.map(str::to_owned) });
            }
            b"metadata" => {
                if let UsageReading::Known(usage) = self.watch.usage() {
                    out.push(StreamEvent::Usage(usage));
                }
                self.end(out);
            }
            EXCEPTION => {
                if let Some(fault) = Fault::of_value(&data) {
                    self.over = true;
                    out.push(StreamEvent::Error(Box::new(fault.to_api_error(None))));
                }
            }
            _ => {}
        }
    }

    /// Usage comes behind the reason to stop, and is not waited for where nothing more comes.
    fn end(&mut self, out: &mut Vec<StreamEvent>) {
        if !self.over && self.watch.ended() {
            self.over = true;
            out.push(StreamEvent::End);
        }
    }

    fn start(&mut self, index: u64, start: Value, out: &mut Vec<StreamEvent>) {
        let call = start.get("toolUse").filter(|call| member(call, "type") != Some("server_tool_use"));
        if let Some(call) = call {
            let string = |key| member(call, key).unwrap_or_default().to_owned();
            let number = self.calls;
            self.calls += 1;
            self.open.retain(|open| open.index != index);
            self.open.push(Open { index, call: number, began: false });
            let (id, name) = (string("toolUseId"), string("name"));
            out.push(StreamEvent::CallStart { choice: 0, call: number, id, name });
        } else if start.is_object() {
            let json = start;
            out.push(StreamEvent::Opaque { choice: 0, dialect: DialectId::BedrockConverse, json });
        }
    }

    fn delta(&mut self, index: u64, delta: &Value, out: &mut Vec<StreamEvent>) {
        if let Some(text) = member(delta, "text") {
            out.push(StreamEvent::Text { choice: 0, text: text.to_owned() });
        } else if let Some(text) = delta.get("toolUse").and_then(|call| member(call, "input")) {
            if let Some(open) = self.open.iter_mut().find(|open| open.index == index) {
                open.began = true;
                out.push(StreamEvent::Arguments { choice: 0, call: open.call, text: text.to_owned() });
            }
        } else if let Some(thought) = delta.get("reasoningContent") {
            if let Some(text) = member(thought, "text") {
                out.push(StreamEvent::Thinking { choice: 0, text: text.to_owned() });
            }
            if let Some(signature) = member(thought, "signature") {
                out.push(StreamEvent::Signature { choice: 0, signature: signature.to_owned() });
            }
            if let Some(data) = member(thought, "redactedContent") {
                let data = seal::seal(DialectId::BedrockConverse, data);
                out.push(StreamEvent::Redacted { choice: 0, data });
            }
        } else if let Ok(Block::Text(text)) = block(delta.clone(), "delta")
            && !text.text.is_empty()
        {
            out.push(StreamEvent::Text { choice: 0, text: text.text });
        }
    }

    fn stop(&mut self, index: u64, out: &mut Vec<StreamEvent>) {
        if let Some(at) = self.open.iter().position(|open| open.index == index) {
            let Open { call, began, .. } = self.open.swap_remove(at);
            if !began {
                // Of a call without arguments no piece comes.
                out.push(StreamEvent::Arguments { choice: 0, call, text: "{}".to_owned() });
            }
        }
        out.push(StreamEvent::BlockEnd { choice: 0 });
    }
}
