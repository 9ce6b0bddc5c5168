//! Streams, written.
//!
//! Parts of the content and calls are announced, filled and closed one after the other, each kind counted by itself; the
//! last event has the reason to stop and the usage. A call whose pieces come between those of another is held back.

use bytes::BytesMut;
use serde_json::{Value, json};
use tachograph_record::{FinishReason, Usage};
use tachograph_reply::{ApiError, ErrorShape};

use super::finish_word;
use super::response::cohere_usage;
use crate::chat::{StreamEvent, told_finish};
use crate::openai_chat::call_id;
use crate::{Answering, StreamWriter};

/// Writes one stream.
#[derive(Debug)]
pub(super) struct Writer {
    to: Answering,
    started: bool,
    over: bool,
    open: Option<Open>,
    parts: u64,
    calls: Vec<Call>,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
}

/// What is being filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
}

#[derive(Debug)]
struct Call {
    id: String,
    name: String,
    arguments: String,
}

impl Writer {
    pub(super) fn new(to: Answering) -> Self {
        let (parts, calls) = (0, Vec::new());
        Self { to, started: false, over: false, open: None, parts, calls, finish: None, usage: None }
    }

    fn emit(kind: &str, mut event: Value, out: &mut BytesMut) {
        event["type"] = Value::from(kind);
        out.extend_from_slice(format!("event: {kind}\ndata: {event}\n\n").as_bytes());
    }

    fn start(&mut self, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.started, true) {
            let message =
                json!({"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []});
            Self::emit("message-start", json!({"id": self.to.id, "delta": {"message": message}}), out);
        }
    }

    fn close(&mut self, out: &mut BytesMut) {
        if self.open.take().is_some() {
            Self::emit("content-end", json!({ "index": self.parts }), out);
            self.parts += 1;
        }
    }

    fn say(&mut self, kind: Open, text: &str, out: &mut BytesMut) {
        self.start(out);
        let word = if kind == Open::Text { "text" } else { "thinking" };
        if self.open != Some(kind) {
            self.close(out);
            self.open = Some(kind);
            let content = json!({"type": word, word: ""});
            Self::emit("content-start", json!({"index": self.parts, "delta": {"message": {"content": content}}}), out);
        }
        let delta = json!({"message": {"content": {word: text}}});
        Self::emit("content-delta", json!({"index": self.parts, "delta": delta}), out);
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.start(out);
        self.close(out);
        for (at, Call { id, name, arguments }) in self.calls.iter().enumerate() {
            let arguments = if arguments.is_empty() { "{}" } else { arguments };
            let call = json!({"id": id, "type": "function", "function": {"name": name, "arguments": ""}});
            Self::emit("tool-call-start", json!({"index": at, "delta": {"message": {"tool_calls": call}}}), out);
            let more = json!({"function": {"arguments": arguments}});
            Self::emit("tool-call-delta", json!({"index": at, "delta": {"message": {"tool_calls": more}}}), out);
            Self::emit("tool-call-end", json!({ "index": at }), out);
        }
        let word = finish_word(told_finish(self.finish, !self.calls.is_empty()));
        let mut delta = json!({ "finish_reason": word });
        if let Some(usage) = &self.usage {
            delta["usage"] = cohere_usage(usage);
        }
        Self::emit("message-end", json!({ "delta": delta }), out);
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, event: &StreamEvent, out: &mut BytesMut) {
        if self.over {
            return;
        }
        match event {
            StreamEvent::Start { id, usage, .. } => {
                if let (Some(id), false) = (id, self.started) {
                    self.to.id.clone_from(id);
                }
                self.usage.clone_from(usage);
                self.start(out);
            }
            StreamEvent::Text { choice: 0, text } | StreamEvent::Refusal { choice: 0, text } => {
                self.say(Open::Text, text, out);
            }
            StreamEvent::Thinking { choice: 0, text } => self.say(Open::Thinking, text, out),
            StreamEvent::CallStart { choice: 0, id, name, .. } => {
                self.close(out);
                self.calls.push(Call { id: call_id(id), name: name.clone(), arguments: String::new() });
            }
            StreamEvent::Arguments { choice: 0, call, text } => {
                let held = self.calls.get_mut(*call as usize);
                held.into_iter().for_each(|call| call.arguments.push_str(text));
            }
            StreamEvent::BlockEnd { choice: 0 } => self.close(out),
            StreamEvent::Finish { choice: 0, reason, .. } => self.finish = Some(*reason),
            StreamEvent::Usage(usage) => self.usage = Some(usage.clone()),
            StreamEvent::End => {
                self.over = true;
                self.end(out);
            }
            StreamEvent::Error(error) => self.fail(error, out),
            // An answer is one.
            _ => {}
        }
    }

    fn fail(&mut self, error: &ApiError, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.over, true) {
            out.extend_from_slice(&ErrorShape::Cohere.event(error));
        }
    }
}
