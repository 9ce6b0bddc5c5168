//! Streams, written.
//!
//! Every event is a whole answer with what is new in it. Calls come whole, so their arguments are held until the stream
//! ends; the last event has the reason to stop and the usage.

use bytes::BytesMut;
use serde_json::{Value, json};
use tachograph_record::{FinishReason, Usage};
use tachograph_reply::{ApiError, ErrorShape};

use super::content::write_proof;
use super::finish_word;
use super::response::call_part;
use crate::chat::{StreamEvent, told_finish};
use crate::usage::gemini_usage;
use crate::{Answering, DialectId, StreamWriter};

/// Writes one stream.
#[derive(Debug)]
pub(super) struct Writer {
    to: Answering,
    over: bool,
    calls: Vec<Call>,
    choices: Vec<Option<FinishReason>>,
    /// A proof that hangs on no part yet.
    proof: Option<String>,
    usage: Option<Usage>,
}

#[derive(Debug)]
struct Call {
    choice: u32,
    id: String,
    name: String,
    arguments: String,
    proof: Option<String>,
}

impl Writer {
    pub(super) fn new(to: Answering) -> Self {
        Self { to, over: false, calls: Vec::new(), choices: vec![None], proof: None, usage: None }
    }

    fn emit(&self, candidates: Vec<Value>, usage: Option<Value>, out: &mut BytesMut) {
        let mut event = json!({ "candidates": candidates });
        if let Some(usage) = usage {
            event["usageMetadata"] = usage;
        }
        event["modelVersion"] = Value::from(self.to.model.as_str());
        event["responseId"] = Value::from(self.to.id.as_str());
        out.extend_from_slice(format!("data: {event}\r\n\r\n").as_bytes());
    }

    fn part(&mut self, choice: u32, part: Value, out: &mut BytesMut) {
        self.choice(choice);
        let candidate = json!({"content": {"parts": [part], "role": "model"}, "index": choice});
        self.emit(vec![candidate], None, out);
    }

    fn choice(&mut self, choice: u32) -> &mut Option<FinishReason> {
        let at = choice.min(127) as usize;
        if self.choices.len() <= at {
            self.choices.resize(at + 1, None);
        }
        &mut self.choices[at]
    }

    /// Says a proof that no call came for.
    fn flush_proof(&mut self, choice: u32, out: &mut BytesMut) {
        if let Some(proof) = self.proof.take() {
            self.part(choice, json!({"text": "", "thought": true, "thoughtSignature": proof}), out);
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        let calls = std::mem::take(&mut self.calls);
        for call in &calls {
            let part = call_part(&call.id, &call.name, &call.arguments, call.proof.clone());
            self.part(call.choice, part, out);
        }
        self.flush_proof(0, out);
        let last = |(at, said): (usize, &Option<FinishReason>)| {
            let called = calls.iter().any(|call| call.choice as usize == at);
            let word = finish_word(told_finish(*said, called));
            json!({"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": word, "index": at})
        };
        let candidates = self.choices.iter().enumerate().map(last).collect();
        self.emit(candidates, self.usage.as_ref().map(gemini_usage), out);
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, event: &StreamEvent, out: &mut BytesMut) {
        if self.over {
            return;
        }
        match event {
            StreamEvent::Start { id, usage, .. } => {
                if let Some(id) = id {
                    self.to.id.clone_from(id);
                }
                self.usage.clone_from(usage);
            }
            StreamEvent::Text { choice, text } | StreamEvent::Refusal { choice, text } => {
                self.flush_proof(*choice, out);
                self.part(*choice, json!({ "text": text }), out);
            }
            StreamEvent::Thinking { choice, text } => {
                self.part(*choice, json!({"text": text, "thought": true}), out);
            }
            StreamEvent::Signature { signature, choice } => {
                self.flush_proof(*choice, out);
                self.proof = Some(write_proof(signature));
                // Another's proof belongs to its thinking; Google's hangs on the call that follows.
                if crate::seal::open(DialectId::GeminiGenerateContent, signature).is_none() {
                    self.flush_proof(*choice, out);
                }
            }
            StreamEvent::CallStart { choice, id, name, .. } => {
                let (id, name, proof) = (id.clone(), name.clone(), self.proof.take());
                self.calls.push(Call { choice: *choice, id, name, arguments: String::new(), proof });
            }
            StreamEvent::Arguments { call, text, .. } => {
                let held = self.calls.get_mut(*call as usize);
                held.into_iter().for_each(|call| call.arguments.push_str(text));
            }
            StreamEvent::Opaque { choice, dialect: DialectId::GeminiGenerateContent, json } => {
                self.part(*choice, json.clone(), out);
            }
            StreamEvent::Finish { choice, reason, .. } => *self.choice(*choice) = Some(*reason),
            StreamEvent::Usage(usage) => self.usage = Some(usage.clone()),
            StreamEvent::End => {
                self.over = true;
                self.end(out);
            }
            StreamEvent::Error(error) => self.fail(error, out),
            StreamEvent::Redacted { .. } | StreamEvent::Opaque { .. } | StreamEvent::BlockEnd { .. } => {}
        }
    }

    fn fail(&mut self, error: &ApiError, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.over, true) {
            out.extend_from_slice(&ErrorShape::Gemini.event(error));
        }
    }
}
