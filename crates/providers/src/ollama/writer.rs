//! Streams, written: a line for each piece. Calls come whole, so their arguments are held until the stream ends; the last
//! line has the reason to stop and the usage.

use bytes::BytesMut;
use serde_json::{Value, json};
use tachograph_record::{FinishReason, Usage};
use tachograph_reply::{ApiError, ErrorShape};

use super::response::{call_line, last_line, line};
use crate::chat::{StreamEvent, told_finish};
use crate::{Answering, StreamWriter};

/// Writes one stream.
#[derive(Debug)]
pub(super) struct Writer {
    to: Answering,
    over: bool,
    calls: Vec<(String, String, String)>,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
}

impl Writer {
    pub(super) fn new(to: Answering) -> Self {
        Self { to, over: false, calls: Vec::new(), finish: None, usage: None }
    }

    fn say(&self, message: Value, out: &mut BytesMut) {
        out.extend_from_slice(format!("{}\n", line(&self.to, message)).as_bytes());
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, event: &StreamEvent, out: &mut BytesMut) {
        if self.over {
            return;
        }
        match event {
            StreamEvent::Start { usage, .. } => self.usage.clone_from(usage),
            StreamEvent::Text { choice: 0, text } | StreamEvent::Refusal { choice: 0, text } => {
                self.say(json!({"role": "assistant", "content": text}), out);
            }
            StreamEvent::Thinking { choice: 0, text } => {
                self.say(json!({"role": "assistant", "content": "", "thinking": text}), out);
            }
            StreamEvent::CallStart { choice: 0, id, name, .. } => {
                self.calls.push((id.clone(), name.clone(), String::new()));
            }
            StreamEvent::Arguments { choice: 0, call, text } => {
                let held = self.calls.get_mut(*call as usize);
                held.into_iter().for_each(|call| call.2.push_str(text));
            }
            StreamEvent::Finish { choice: 0, reason, .. } => self.finish = Some(*reason),
            StreamEvent::Usage(usage) => self.usage = Some(usage.clone()),
            StreamEvent::End => {
                self.over = true;
                for (at, (id, name, arguments)) in self.calls.iter().enumerate() {
                    let call = call_line(at, id, name, arguments);
                    self.say(json!({"role": "assistant", "content": "", "tool_calls": [call]}), out);
                }
                let finish = told_finish(self.finish, !self.calls.is_empty());
                let message = json!({"role": "assistant", "content": ""});
                let last = last_line(&self.to, message, finish, self.usage.as_ref());
                out.extend_from_slice(format!("{last}\n").as_bytes());
            }
            StreamEvent::Error(error) => self.fail(error, out),
            // An answer is one.
            _ => {}
        }
    }

    fn fail(&mut self, error: &ApiError, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.over, true) {
            out.extend_from_slice(&ErrorShape::Ollama.event(error));
        }
    }
}
