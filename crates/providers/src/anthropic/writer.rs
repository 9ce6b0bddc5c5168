//! Streams, written.
//!
//! Blocks come strictly one after the other: the open one is closed before another opens. Other dialects may go back
//! and forth between calls; what comes for a block that is not open yet waits until it is its turn.

use std::collections::VecDeque;

use bytes::BytesMut;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tachograph_record::{FinishReason, Usage};
use tachograph_reply::{ApiError, ErrorShape};

use super::response::tool_use_id;
use super::stop_reason;
use crate::chat::{StreamEvent, told_finish};
use crate::usage::anthropic_usage;
use crate::{Answering, StreamWriter};

/// Writes one stream.
#[derive(Debug)]
pub(super) struct Writer {
    to: Answering,
    started: bool,
    over: bool,
    /// The block that is open, and those that wait.
    blocks: VecDeque<Slot>,
    /// The open block's index, or the next one's.
    index: u32,
    called: bool,
    refused: bool,
    usage: Option<Usage>,
    finish: Option<(FinishReason, String, Option<String>)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Redacted(String),
    Call { call: u32, id: String, name: String },
}

#[derive(Debug)]
struct Slot {
    kind: Kind,
    open: bool,
    /// What came and was not written yet.
    waiting: String,
    /// Of a call, all arguments so far: when they are whole, the next block may open.
    arguments: String,
    signature: Option<String>,
    /// Nothing more comes for it.
    complete: bool,
}

impl Writer {
    pub(super) fn new(to: Answering) -> Self {
        Self {
            to,
            started: false,
            over: false,
            blocks: VecDeque::new(),
            index: 0,
            called: false,
            refused: false,
            usage: None,
            finish: None,
        }
    }

    fn start(&mut self, id: Option<&str>, usage: Option<&Usage>, out: &mut BytesMut) {
        if self.started {
            return;
        }
        self.started = true;
        // Other dialects tell usage at the end; what is told there stands in `message_delta`, which counts.
        let usage = usage.map_or_else(|| json!({"input_tokens": 0, "output_tokens": 0}), anthropic_usage);
        let message = json!({
            "id": id.unwrap_or(&self.to.id),
            "type": "message",
            "role": "assistant",
            "model": self.to.model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": usage,
        });
        emit("message_start", json!({"type": "message_start", "message": message}), out);
    }

    /// The block that a piece of this kind belongs to: the last, if it is of the kind and not complete, else a new one.
    fn slot(&mut self, kind: Kind) -> &mut Slot {
        let fits = self.blocks.back().is_some_and(|slot| slot.kind == kind && !slot.complete);
        if !fits {
            self.push(kind);
        }
        let last = self.blocks.len() - 1;
        &mut self.blocks[last]
    }

    fn push(&mut self, kind: Kind) {
        let fresh = Slot {
            kind,
            open: false,
            waiting: String::new(),
            arguments: String::new(),
            signature: None,
            complete: false,
        };
        self.blocks.push_back(fresh);
    }

    /// Writes what can be written: the first block as far as it came, and the next ones once the first can be closed.
    fn pump(&mut self, all: bool, out: &mut BytesMut) {
        self.start(None, None, out);
        while let Some(slot) = self.blocks.front_mut() {
            let index = self.index;
            if !slot.open {
                slot.open = true;
                let block = match &slot.kind {
                    Kind::Text => json!({"type": "text", "text": ""}),
                    Kind::Thinking => json!({"type": "thinking", "thinking": "", "signature": ""}),
                    Kind::Redacted(data) => json!({"type": "redacted_thinking", "data": data}),
                    Kind::Call { id, name, .. } => json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
                };
                let event = json!({"type": "content_block_start", "index": index, "content_block": block});
                emit("content_block_start", event, out);
            }
            if !slot.waiting.is_empty() {
                let text = std::mem::take(&mut slot.waiting);
                let delta = match &slot.kind {
                    Kind::Text => json!({"type": "text_delta", "text": text}),
                    Kind::Thinking => json!({"type": "thinking_delta", "thinking": text}),
                    Kind::Call { .. } | Kind::Redacted(_) => json!({"type": "input_json_delta", "partial_json": text}),
                };
                emit(
                    "content_block_delta",
                    json!({"type": "content_block_delta", "index": index, "delta": delta}),
                    out,
                );
            }
            if let Some(signature) = slot.signature.take() {
                let delta = json!({"type": "signature_delta", "signature": signature});
                emit(
                    "content_block_delta",
                    json!({"type": "content_block_delta", "index": index, "delta": delta}),
                    out,
                );
            }
            let is_call = matches!(slot.kind, Kind::Call { .. });
            let whole = !is_call || serde_json::from_str::<IgnoredAny>(&slot.arguments).is_ok();
            if !(all || self.blocks.len() > 1 && whole) {
                return;
            }
            emit("content_block_stop", json!({"type": "content_block_stop", "index": index}), out);
            self.index += 1;
            self.blocks.pop_front();
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.pump(true, out);
        let (said, native, stop) = match self.finish.take() {
            Some((reason, native, stop)) => (Some(reason), Some(native), stop),
            None => (None, None, None),
        };
        let reason = match stop_reason(told_finish(said, self.called), stop.as_deref(), native.as_deref()) {
            "end_turn" if self.refused => "refusal",
            reason => reason,
        };
        let usage = self.usage.as_ref().map_or_else(|| json!({"output_tokens": 0}), anthropic_usage);
        let delta = json!({"stop_reason": reason, "stop_sequence": stop});
        emit("message_delta", json!({"type": "message_delta", "delta": delta, "usage": usage}), out);
        emit("message_stop", json!({"type": "message_stop"}), out);
    }
}

fn emit(name: &str, event: Value, out: &mut BytesMut) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    out.extend_from_slice(event.to_string().as_bytes());
    out.extend_from_slice(b"\n\n");
}

impl StreamWriter for Writer {
    fn write(&mut self, event: &StreamEvent, out: &mut BytesMut) {
        if self.over {
            return;
        }
        match event {
            StreamEvent::Start { id, usage, .. } => {
                self.start(id.as_deref(), usage.as_ref(), out);
                self.usage.clone_from(usage);
                return;
            }
            StreamEvent::Finish { choice: 0, reason, native, stop_sequence } => {
                self.finish = Some((*reason, native.clone(), stop_sequence.clone()));
                return;
            }
            StreamEvent::Usage(usage) => {
                self.usage = Some(usage.clone());
                return;
            }
            StreamEvent::End => {
                self.over = true;
                return self.end(out);
            }
            StreamEvent::Error(error) => return self.fail(error, out),
            // A message is one answer; requests for several were refused.
            StreamEvent::Text { choice: 1.., .. }
            | StreamEvent::Thinking { choice: 1.., .. }
            | StreamEvent::Signature { choice: 1.., .. }
            | StreamEvent::Redacted { choice: 1.., .. }
            | StreamEvent::Refusal { choice: 1.., .. }
            | StreamEvent::CallStart { choice: 1.., .. }
            | StreamEvent::Arguments { choice: 1.., .. }
            | StreamEvent::BlockEnd { choice: 1.. }
            | StreamEvent::Finish { .. }
            | StreamEvent::Opaque { .. } => return,
            StreamEvent::Text { text, .. } => self.slot(Kind::Text).waiting.push_str(text),
            StreamEvent::Refusal { text, .. } => {
                self.refused = true;
                self.slot(Kind::Text).waiting.push_str(text);
            }
            StreamEvent::Thinking { text, .. } => self.slot(Kind::Thinking).waiting.push_str(text),
            StreamEvent::Signature { signature, .. } => {
                let slot = self.slot(Kind::Thinking);
                slot.signature.get_or_insert_default().push_str(signature);
            }
            StreamEvent::Redacted { data, .. } => {
                self.push(Kind::Redacted(data.clone()));
                self.blocks.back_mut().into_iter().for_each(|slot| slot.complete = true);
            }
            StreamEvent::BlockEnd { .. } => {
                // Calls are known by their number; only what grows by kind has to be told where it ends.
                let last = self.blocks.back_mut().filter(|slot| matches!(slot.kind, Kind::Text | Kind::Thinking));
                last.into_iter().for_each(|slot| slot.complete = true);
            }
            StreamEvent::CallStart { call, id, name, .. } => {
                self.called = true;
                self.push(Kind::Call { call: *call, id: tool_use_id(id), name: name.clone() });
            }
            StreamEvent::Arguments { call, text, .. } => {
                let is = |slot: &&mut Slot| matches!(&slot.kind, Kind::Call { call: held, .. } if held == call);
                if let Some(slot) = self.blocks.iter_mut().find(is) {
                    slot.waiting.push_str(text);
                    slot.arguments.push_str(text);
                }
            }
        }
        self.pump(false, out);
    }

    fn fail(&mut self, error: &ApiError, out: &mut BytesMut) {
        if !self.over {
            self.over = true;
            out.extend_from_slice(&ErrorShape::Anthropic.event(error));
        }
    }
}
