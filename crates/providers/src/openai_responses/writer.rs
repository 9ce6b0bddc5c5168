//! Streams, written.
//!
//! Every event has a number and names its item; an item is announced, filled by deltas, repeated whole and closed; the
//! last event repeats the whole answer. Messages and reasoning come one after the other. Calls may be filled in turns, so
//! each stays open until another item comes and its arguments are whole.

use bytes::BytesMut;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tachograph_record::{FinishReason, Usage};
use tachograph_reply::{ApiError, ErrorShape};

use super::response::{
    call_item, item_id, message_item, proof, reasoning_item, skeleton, status_of, summary_part, text_part,
};
use crate::chat::{StreamEvent, told_finish};
use crate::openai_chat::call_id;
use crate::usage::responses_usage;
use crate::{Answering, DialectId, StreamWriter};

/// Writes one stream.
#[derive(Debug)]
pub(super) struct Writer {
    to: Answering,
    started: bool,
    over: bool,
    sequence: u64,
    items: Vec<Item>,
    usage: Option<Usage>,
    finish: Option<FinishReason>,
}

#[derive(Debug)]
struct Item {
    id: String,
    kind: Kind,
    /// All of it that came.
    text: String,
    /// As it was closed.
    done: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Thinking { signature: String },
    Call { call: u32, call_id: String, name: String },
    Opaque,
}

impl Kind {
    /// Whether pieces of this other kind belong to the same item.
    fn takes(&self, other: &Self) -> bool {
        self == other || matches!((self, other), (Self::Thinking { .. }, Self::Thinking { .. }))
    }
}

impl Writer {
    pub(super) fn new(to: Answering) -> Self {
        Self { to, started: false, over: false, sequence: 0, items: Vec::new(), usage: None, finish: None }
    }

    fn emit(&mut self, kind: &str, members: Value, out: &mut BytesMut) {
        let mut event = json!({"type": kind, "sequence_number": self.sequence});
        if let (Some(fields), Value::Object(members)) = (event.as_object_mut(), members) {
            fields.extend(members);
        }
        self.sequence += 1;
        out.extend_from_slice(format!("event: {kind}\ndata: {event}\n\n").as_bytes());
    }

    fn start(&mut self, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.started, true) {
            let response = skeleton(&self.to.id, &self.to, "in_progress", &[]);
            self.emit("response.created", json!({ "response": response }), out);
            self.emit("response.in_progress", json!({ "response": response }), out);
        }
    }

    /// The item that a piece of this kind belongs to: the last one if it is open and of the kind, else a new one.
    fn item(&mut self, kind: Kind, out: &mut BytesMut) -> usize {
        self.start(out);
        let fits = self.items.last().is_some_and(|item| item.done.is_none() && item.kind.takes(&kind));
        if fits {
            return self.items.len() - 1;
        }
        self.close(false, out);
        let at = self.items.len();
        let word = match &kind {
            Kind::Text | Kind::Refusal => "msg",
            Kind::Thinking { .. } => "rs",
            Kind::Call { .. } | Kind::Opaque => "fc",
        };
        self.items.push(Item { id: item_id(word, &self.to.id, at), kind, text: String::new(), done: None });
        self.announce(at, out);
        at
    }

    fn announce(&mut self, at: usize, out: &mut BytesMut) {
        let Item { id, kind, .. } = &self.items[at];
        let id = id.clone();
        let (item, part) = match kind {
            Kind::Text => (message_item(&id, "in_progress", Vec::new()), Some(text_part(""))),
            Kind::Refusal => {
                (message_item(&id, "in_progress", Vec::new()), Some(json!({"type": "refusal", "refusal": ""})))
            }
            Kind::Thinking { .. } => (reasoning_item(&id, "", None), None),
            Kind::Call { call_id, name, .. } => (call_item(&id, "in_progress", call_id, name, ""), None),
            Kind::Opaque => return,
        };
        let thinks = matches!(kind, Kind::Thinking { .. });
        self.emit("response.output_item.added", json!({"output_index": at, "item": item}), out);
        if let Some(part) = part {
            let event = json!({"item_id": id, "output_index": at, "content_index": 0, "part": part});
            self.emit("response.content_part.added", event, out);
        } else if thinks {
            let event = json!({"item_id": id, "output_index": at, "summary_index": 0, "part": summary_part("")});
            self.emit("response.reasoning_summary_part.added", event, out);
        }
    }

    fn piece(&mut self, at: usize, text: &str, out: &mut BytesMut) {
        let item = &mut self.items[at];
        item.text.push_str(text);
        let mut event = json!({"item_id": item.id, "output_index": at});
        let kind = match &item.kind {
            Kind::Text => "response.output_text.delta",
            Kind::Refusal => "response.refusal.delta",
            Kind::Thinking { .. } => "response.reasoning_summary_text.delta",
            Kind::Call { .. } => "response.function_call_arguments.delta",
            Kind::Opaque => return,
        };
        match &item.kind {
            Kind::Text => {
                event["content_index"] = Value::from(0);
                event["logprobs"] = json!([]);
            }
            Kind::Refusal => event["content_index"] = Value::from(0),
            Kind::Thinking { .. } => event["summary_index"] = Value::from(0),
            Kind::Call { .. } | Kind::Opaque => {}
        }
        event["delta"] = Value::from(text);
        self.emit(kind, event, out);
    }

    /// Closes what is open; calls that are not whole only if all is to be closed.
    fn close(&mut self, all: bool, out: &mut BytesMut) {
        for at in 0..self.items.len() {
            let Item { kind, text, done, .. } = &self.items[at];
            let is_call = matches!(kind, Kind::Call { .. });
            let whole = !is_call || serde_json::from_str::<IgnoredAny>(text).is_ok();
            if done.is_none() && (all || whole) {
                self.close_one(at, out);
            }
        }
    }

    fn close_one(&mut self, at: usize, out: &mut BytesMut) {
        let Item { id, kind, text, .. } = &self.items[at];
        let (id, kind, text) = (id.clone(), kind.clone(), text.clone());
        let place = |index: &str| json!({"item_id": id, "output_index": at, index: 0});
        let with = |mut event: Value, name: &str, value: Value| {
            event[name] = value;
            event
        };
        let item = match kind {
            Kind::Text => {
                let part = text_part(&text);
                let event = with(place("content_index"), "text", Value::from(text));
                self.emit("response.output_text.done", with(event, "logprobs", json!([])), out);
                self.emit("response.content_part.done", with(place("content_index"), "part", part.clone()), out);
                message_item(&id, "completed", vec![part])
            }
            Kind::Refusal => {
                let part = json!({"type": "refusal", "refusal": text});
                self.emit("response.refusal.done", with(place("content_index"), "refusal", Value::from(text)), out);
                self.emit("response.content_part.done", with(place("content_index"), "part", part.clone()), out);
                message_item(&id, "completed", vec![part])
            }
            Kind::Thinking { signature } => {
                let part = summary_part(&text);
                let event = with(place("summary_index"), "text", Value::from(text.as_str()));
                self.emit("response.reasoning_summary_text.done", event, out);
                self.emit("response.reasoning_summary_part.done", with(place("summary_index"), "part", part), out);
                reasoning_item(&id, &text, Some(signature).filter(|proof| !proof.is_empty()))
            }
            Kind::Call { call_id, name, .. } => {
                let item = call_item(&id, "completed", &call_id, &name, &text);
                let event = json!({"item_id": id, "output_index": at, "arguments": item["arguments"]});
                self.emit("response.function_call_arguments.done", event, out);
                item
            }
            Kind::Opaque => return,
        };
        self.emit("response.output_item.done", json!({"output_index": at, "item": item}), out);
        self.items[at].done = Some(item);
    }

    /// An item that comes whole.
    fn whole(&mut self, item: Value, out: &mut BytesMut) {
        self.start(out);
        self.close(false, out);
        let at = self.items.len();
        self.emit("response.output_item.added", json!({"output_index": at, "item": item}), out);
        self.emit("response.output_item.done", json!({"output_index": at, "item": item}), out);
        self.items.push(Item { id: String::new(), kind: Kind::Opaque, text: String::new(), done: Some(item) });
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.start(out);
        self.close(true, out);
        let called = self.items.iter().any(|item| matches!(item.kind, Kind::Call { .. }));
        let (status, details) = status_of(told_finish(self.finish, called));
        let output: Vec<Value> = self.items.iter_mut().filter_map(|item| item.done.take()).collect();
        let mut response = skeleton(&self.to.id, &self.to, status, &output);
        response["incomplete_details"] = details;
        if let Some(usage) = &self.usage {
            response["usage"] = responses_usage(usage);
        }
        let kind = if status == "completed" { "response.completed" } else { "response.incomplete" };
        self.emit(kind, json!({ "response": response }), out);
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
            StreamEvent::Text { choice: 0, text } => {
                let at = self.item(Kind::Text, out);
                self.piece(at, text, out);
            }
            StreamEvent::Refusal { choice: 0, text } => {
                let at = self.item(Kind::Refusal, out);
                self.piece(at, text, out);
            }
            StreamEvent::Thinking { choice: 0, text } => {
                let at = self.item(Kind::Thinking { signature: String::new() }, out);
                self.piece(at, text, out);
            }
            StreamEvent::Signature { choice: 0, signature } => {
                let at = self.item(Kind::Thinking { signature: String::new() }, out);
                self.items[at].kind = Kind::Thinking { signature: proof(Some(signature), None).unwrap_or_default() };
            }
            StreamEvent::Redacted { choice: 0, data } => {
                let id = item_id("rs", &self.to.id, self.items.len());
                self.whole(reasoning_item(&id, "", proof(None, Some(data))), out);
            }
            StreamEvent::CallStart { choice: 0, call, id, name } => {
                self.item(Kind::Call { call: *call, call_id: call_id(id), name: name.clone() }, out);
            }
            StreamEvent::Arguments { choice: 0, call, text } => {
                let is = |item: &Item| matches!(item.kind, Kind::Call { call: held, .. } if held == *call);
                if let Some(at) = self.items.iter().position(|item| item.done.is_none() && is(item)) {
                    self.piece(at, text, out);
                }
            }
            StreamEvent::Opaque { choice: 0, dialect: DialectId::OpenAiResponses, json } => {
                self.whole(json.clone(), out);
            }
            StreamEvent::BlockEnd { choice: 0 } => self.close(false, out),
            StreamEvent::Finish { choice: 0, reason, .. } => self.finish = Some(*reason),
            StreamEvent::Usage(usage) => self.usage = Some(usage.clone()),
            StreamEvent::End => {
                self.over = true;
                self.end(out);
            }
            StreamEvent::Error(error) => self.fail(error, out),
            // An answer is one; requests for several were refused.
            _ => {}
        }
    }

    fn fail(&mut self, error: &ApiError, out: &mut BytesMut) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let told = serde_json::from_slice::<Value>(&ErrorShape::OpenAi.body(error)).unwrap_or_default();
        let mut event = json!({"code": error.code(), "message": error.message(), "param": error.param()});
        event["error"] = told["error"].clone();
        self.emit("error", event, out);
    }
}
