//! Streams, written.
//!
//! Blocks come one after the other, as clients expect: what comes for a call that is not open yet waits until it is its
//! turn. Only calls are announced; a text begins with its first piece.

use std::collections::VecDeque;

use bytes::BytesMut;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tachograph_record::{FinishReason, UsageReading};
use tachograph_reply::{ApiError, ErrorShape};

use super::content::tool_use_id;
use super::response::told;
use super::stop_reason;
use crate::chat::{StreamEvent, told_finish};
use crate::{DialectId, StreamWriter, frames, seal};

/// Writes one stream.
#[derive(Debug, Default)]
pub(super) struct Writer {
    started: bool,
    over: bool,
    /// The block that is open, and those that wait.
    blocks: VecDeque<Slot>,
    /// The open block's index, or the next one's.
    index: u32,
    called: bool,
    refused: bool,
    usage: UsageReading,
    finish: Option<(FinishReason, Option<String>)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Redacted,
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
    fn start(&mut self, out: &mut BytesMut) {
        if !self.started {
            self.started = true;
            frames::write("messageStart", &json!({"role": "assistant"}), out);
        }
    }

    /// The block that a piece of this kind belongs to: the last, if it is of the kind and not complete, else a new one.
    fn slot(&mut self, kind: Kind) -> &mut Slot {
        let fits = self.blocks.back().is_some_and(|slot| slot.kind == kind && !slot.complete);
        if !fits {
            let (open, complete, signature) = (false, false, None);
            let (waiting, arguments) = (String::new(), String::new());
            self.blocks.push_back(Slot { kind, open, waiting, arguments, signature, complete });
        }
        let last = self.blocks.len() - 1;
        &mut self.blocks[last]
    }

    /// Writes what can be written: the first block as far as it came, and the next ones once the first can be closed.
    fn pump(&mut self, all: bool, out: &mut BytesMut) {
        self.start(out);
        while let Some(slot) = self.blocks.front_mut() {
            let index = self.index;
            if let (Kind::Call { id, name, .. }, false) = (&slot.kind, slot.open) {
                let start = json!({"toolUse": { "toolUseId": id, "name": name }});
                frames::write("contentBlockStart", &json!({"contentBlockIndex": index, "start": start}), out);
            }
            slot.open = true;
            let mut delta = |delta: Value| {
                frames::write("contentBlockDelta", &json!({"contentBlockIndex": index, "delta": delta}), out);
            };
            if !slot.waiting.is_empty() {
                let text = std::mem::take(&mut slot.waiting);
                delta(match &slot.kind {
                    Kind::Text => json!({ "text": text }),
                    Kind::Thinking => json!({"reasoningContent": { "text": text }}),
                    Kind::Redacted => json!({"reasoningContent": { "redactedContent": text }}),
                    Kind::Call { .. } => json!({"toolUse": { "input": text }}),
                });
            }
            if let Some(signature) = slot.signature.take() {
                delta(json!({"reasoningContent": { "signature": signature }}));
            }
            let is_call = matches!(slot.kind, Kind::Call { .. });
            let whole = !is_call || serde_json::from_str::<IgnoredAny>(&slot.arguments).is_ok();
            if !(all || self.blocks.len() > 1 && whole) {
                return;
            }
            frames::write("contentBlockStop", &json!({ "contentBlockIndex": index }), out);
            self.index += 1;
            self.blocks.pop_front();
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.pump(true, out);
        let (said, stop) = match self.finish.take() {
            Some((reason, stop)) => (Some(reason), stop),
            None => (None, None),
        };
        let reason = match told_finish(said, self.called) {
            FinishReason::Stop if self.refused => FinishReason::ContentFilter,
            reason => reason,
        };
        let mut event = json!({ "stopReason": stop_reason(reason, stop.as_deref()) });
        if let Some(stop) = stop {
            event["additionalModelResponseFields"] = json!({ "stop_sequence": stop });
        }
        frames::write("messageStop", &event, out);
        frames::write("metadata", &json!({ "usage": told(&self.usage) }), out);
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, event: &StreamEvent, out: &mut BytesMut) {
        if self.over {
            return;
        }
        match event {
            StreamEvent::Start { usage, .. } => {
                self.start(out);
                self.usage = usage.clone().map_or(UsageReading::Absent, UsageReading::Known);
                return;
            }
            StreamEvent::Finish { choice: 0, reason, stop_sequence, .. } => {
                self.finish = Some((*reason, stop_sequence.clone()));
                return;
            }
            StreamEvent::Usage(usage) => {
                self.usage = UsageReading::Known(usage.clone());
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
                self.slot(Kind::Thinking).signature.get_or_insert_default().push_str(signature);
            }
            StreamEvent::Redacted { data, .. } => {
                let data = seal::open(DialectId::BedrockConverse, data).unwrap_or(data).to_owned();
                let slot = self.slot(Kind::Redacted);
                (slot.waiting, slot.complete) = (data, true);
            }
            StreamEvent::BlockEnd { .. } => {
                // Calls are known by their number; only what grows by kind has to be told where it ends.
                let last = self.blocks.back_mut().filter(|slot| matches!(slot.kind, Kind::Text | Kind::Thinking));
                last.into_iter().for_each(|slot| slot.complete = true);
            }
            StreamEvent::CallStart { call, id, name, .. } => {
                self.called = true;
                self.slot(Kind::Call { call: *call, id: tool_use_id(id), name: name.clone() });
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
            out.extend_from_slice(&ErrorShape::Bedrock.event(error));
        }
    }
}
