//! Streams, written.

use bytes::BytesMut;
use serde_json::{Map, Value, json};
use tachograph_record::{FinishReason, Usage};
use tachograph_reply::{ApiError, ErrorShape};

use super::finish_word;
use super::response::call_id;
use crate::chat::{StreamEvent, told_finish};
use crate::usage::openai_usage;
use crate::{Answering, StreamWriter};

/// Writes one stream. What ends an answer is held back until the provider's stream ends, because some providers send
/// content after their reason to stop.
#[derive(Debug)]
pub(super) struct Writer {
    to: Answering,
    include_usage: bool,
    started: bool,
    over: bool,
    usage: Option<Usage>,
    choices: Vec<ChoiceState>,
    calls: Vec<CallState>,
}

#[derive(Debug, Default)]
struct ChoiceState {
    begun: bool,
    calls: u32,
    /// Reasoning since the last signature: the signature is of all of it.
    thought: String,
    finish: Option<(FinishReason, String, Option<String>)>,
}

/// A call of the stream.
#[derive(Debug)]
struct CallState {
    choice: u32,
    /// Its index within its choice.
    index: u32,
    /// Whether it has had arguments.
    argued: bool,
}

impl Writer {
    pub(super) fn new(to: Answering, include_usage: bool) -> Self {
        Self { to, include_usage, started: false, over: false, usage: None, choices: Vec::new(), calls: Vec::new() }
    }

    fn state(&mut self, choice: u32) -> &mut ChoiceState {
        let at = choice.min(127) as usize;
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, ChoiceState::default);
        }
        &mut self.choices[at]
    }

    fn chunk(&self, choices: Value, usage: Option<Value>, out: &mut BytesMut) {
        let mut chunk = json!({
            "id": self.to.id,
            "object": "chat.completion.chunk",
            "created": self.to.created,
            "model": self.to.model,
            "choices": choices,
        });
        if self.include_usage {
            chunk["usage"] = usage.unwrap_or_default();
        }
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(chunk.to_string().as_bytes());
        out.extend_from_slice(b"\n\n");
    }

    fn delta(&mut self, choice: u32, mut delta: Value, out: &mut BytesMut) {
        let state = self.state(choice);
        if !state.begun {
            state.begun = true;
            let mut first = Map::new();
            first.insert("role".to_owned(), Value::from("assistant"));
            first.insert("content".to_owned(), Value::from(""));
            let first = json!([{"index": choice, "delta": first, "logprobs": null, "finish_reason": null}]);
            self.chunk(first, None, out);
        }
        if delta.as_object().is_some_and(|fields| !fields.is_empty()) {
            let choices = json!([{"index": choice, "delta": delta.take(), "logprobs": null, "finish_reason": null}]);
            self.chunk(choices, None, out);
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        if self.choices.is_empty() {
            self.delta(0, json!({}), out);
        }
        // A call without arguments is a call with no members: clients parse what they were given.
        for CallState { choice, index, .. } in std::mem::take(&mut self.calls).into_iter().filter(|call| !call.argued) {
            let call = json!({"index": index, "function": {"arguments": "{}"}});
            self.delta(choice, json!({ "tool_calls": [call] }), out);
        }
        for index in 0..self.choices.len() {
            let state = &mut self.choices[index];
            let (called, held) = (state.calls > 0, state.finish.take());
            let finish = finish_word(told_finish(held.as_ref().map(|held| held.0), called));
            let mut choice = json!({"index": index, "delta": {}, "logprobs": null, "finish_reason": finish});
            if let Some((_, native, stop)) = held {
                if native != finish {
                    choice["native_finish_reason"] = Value::from(native);
                }
                if let Some(stop) = stop {
                    choice["stop_sequence"] = Value::from(stop);
                }
            }
            self.chunk(json!([choice]), None, out);
        }
        if let (true, Some(usage)) = (self.include_usage, self.usage.take()) {
            self.chunk(json!([]), Some(openai_usage(&usage)), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
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
                self.started = true;
                self.usage.clone_from(usage);
                self.delta(0, json!({}), out);
            }
            StreamEvent::Text { choice, text } => self.delta(*choice, json!({ "content": text }), out),
            StreamEvent::Refusal { choice, text } => self.delta(*choice, json!({ "refusal": text }), out),
            StreamEvent::Thinking { choice, text } => {
                self.state(*choice).thought.push_str(text);
                self.delta(*choice, json!({ "reasoning_content": text }), out);
            }
            StreamEvent::Signature { choice, signature } => {
                let thought = std::mem::take(&mut self.state(*choice).thought);
                let block = json!({"type": "thinking", "thinking": thought, "signature": signature});
                self.delta(*choice, json!({ "thinking_blocks": [block] }), out);
            }
            StreamEvent::Redacted { choice, data } => {
                let block = json!({"type": "redacted_thinking", "data": data});
                self.delta(*choice, json!({ "thinking_blocks": [block] }), out);
            }
            StreamEvent::CallStart { choice, id, name, .. } => {
                let state = self.state(*choice);
                let index = state.calls;
                state.calls += 1;
                self.calls.push(CallState { choice: *choice, index, argued: false });
                let id = call_id(id);
                let call =
                    json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}});
                self.delta(*choice, json!({ "tool_calls": [call] }), out);
            }
            StreamEvent::Arguments { choice, call, text } => {
                let Some(state) = self.calls.get_mut(*call as usize) else { return };
                state.argued = true;
                let index = state.index;
                let call = json!({"index": index, "function": {"arguments": text}});
                self.delta(*choice, json!({ "tool_calls": [call] }), out);
            }
            StreamEvent::Finish { choice, reason, native, stop_sequence } => {
                self.state(*choice).finish = Some((*reason, native.clone(), stop_sequence.clone()));
            }
            StreamEvent::Usage(usage) => self.usage = Some(usage.clone()),
            StreamEvent::End => {
                self.over = true;
                self.end(out);
            }
            StreamEvent::Error(error) => self.fail(error, out),
            StreamEvent::Opaque { .. } | StreamEvent::BlockEnd { .. } => {}
        }
    }

    fn fail(&mut self, error: &ApiError, out: &mut BytesMut) {
        if !self.over {
            self.over = true;
            out.extend_from_slice(&ErrorShape::OpenAi.event(error));
        }
    }
}
