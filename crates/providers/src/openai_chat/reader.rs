//! Streams, read.

use serde_json::Value;
use tachograph_record::Reading;

use super::content::{arguments, reasoning_details, thinking_blocks};
use super::finish_reason;
use super::watch::OpenAiWatch;
use crate::StreamReader;
use crate::chat::{StreamEvent, Thinking};
use crate::fault::Fault;
use crate::object::text;
use crate::sse::{Event, Splitter};
use crate::tap::Watch;
use crate::usage::{self, ApiShape};

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
        parser.end(out);
    }

    fn reading(&mut self) -> Reading {
        self.parser.watch.reading()
    }
}

/// A call under way.
#[derive(Debug)]
struct Call {
    choice: u32,
    /// The index its pieces name, if they name one.
    index: Option<u64>,
    id: String,
}

#[derive(Debug, Default)]
struct Parser {
    watch: OpenAiWatch,
    started: bool,
    over: bool,
    calls: Vec<Call>,
    /// Choices that have had readable reasoning.
    reasoned: Vec<u32>,
}

impl Parser {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<StreamEvent>) {
        self.watch.event(event);
        if self.over {
            return;
        }
        if self.watch.done() {
            return self.end(out);
        }
        let Ok(chunk) = serde_json::from_slice::<Value>(&event.data) else { return };
        let choices = chunk.get("choices").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if !self.started && chunk.get("choices").is_some() {
            self.started = true;
            let string = |key| text(chunk.get(key)).map(str::to_owned);
            out.push(StreamEvent::Start { id: string("id"), model: string("model"), usage: None });
        }
        for choice in choices {
            self.choice(choice, out);
        }
        let nested = chunk.get("x_groq").and_then(|nested| nested.get("usage"));
        let in_choice = choices.iter().find_map(|choice| choice.get("usage"));
        for usage in [chunk.get("usage"), nested, in_choice].into_iter().flatten().filter(|usage| usage.is_object()) {
            if let Ok(usage) = usage::normalize(ApiShape::OpenAiChat, "", usage) {
                out.push(StreamEvent::Usage(usage));
                break;
            }
        }
        let told = |value: &Value| value.get("error").is_some_and(|error| error.is_object() || error.is_string());
        let at_fault = choices.iter().find(|choice| told(choice)).or(Some(&chunk));
        let is_error = event.name == b"error" || at_fault.is_some_and(told);
        if let Some(fault) = at_fault.filter(|_| is_error).and_then(Fault::of_value) {
            self.over = true;
            out.push(StreamEvent::Error(Box::new(fault.to_api_error(None))));
        }
    }

    fn end(&mut self, out: &mut Vec<StreamEvent>) {
        if !self.over && self.watch.ended() {
            self.over = true;
            out.push(StreamEvent::End);
        }
    }

    fn choice(&mut self, value: &Value, out: &mut Vec<StreamEvent>) {
        let index = value.get("index").and_then(Value::as_u64).unwrap_or(0);
        let choice = u32::try_from(index).unwrap_or(u32::MAX);
        // Some servers send the message so far beside the delta; the delta is what is new.
        if let Some(delta) = value.get("delta").or_else(|| value.get("message")).filter(|delta| delta.is_object()) {
            self.delta(choice, delta, out);
        } else if let Some(text) = text(value.get("text")) {
            // The completions API.
            out.push(StreamEvent::Text { choice, text: text.to_owned() });
        }
        if let Some(word) = text(value.get("finish_reason")) {
            let stop_sequence = text(value.get("stop_sequence")).map(str::to_owned);
            let (reason, native) = (finish_reason(word), word.to_owned());
            out.push(StreamEvent::Finish { choice, reason, native, stop_sequence });
        }
    }

    fn delta(&mut self, choice: u32, delta: &Value, out: &mut Vec<StreamEvent>) {
        self.reasoning(choice, delta, out);
        match delta.get("content") {
            Some(Value::String(text)) if !text.is_empty() => out.push(StreamEvent::Text { choice, text: text.clone() }),
            Some(Value::Array(parts)) => parts.iter().for_each(|part| Self::part(choice, part, out)),
            _ => {}
        }
        if let Some(text) = text(delta.get("refusal")) {
            out.push(StreamEvent::Refusal { choice, text: text.to_owned() });
        }
        let calls = delta.get("tool_calls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for call in calls {
            let index = call.get("index").and_then(Value::as_u64);
            let id = text(call.get("id")).unwrap_or_default();
            if let Some(function) = call.get("function") {
                self.call(choice, index, id, function, out);
            }
        }
        if let Some(function) = delta.get("function_call").filter(|function| function.is_object()) {
            self.call(choice, Some(0), "", function, out);
        }
    }

    /// A part of a delta whose content is a list (Mistral).
    fn part(choice: u32, part: &Value, out: &mut Vec<StreamEvent>) {
        if let Some(text) = text(part.get("text")) {
            out.push(StreamEvent::Text { choice, text: text.to_owned() });
        }
        for inner in part.get("thinking").and_then(Value::as_array).into_iter().flatten() {
            if let Some(text) = text(inner.get("text")) {
                out.push(StreamEvent::Thinking { choice, text: text.to_owned() });
            }
        }
    }

    /// Reasoning in any of its fields. The same words may stand in two of them; they are taken once.
    fn reasoning(&mut self, choice: u32, delta: &Value, out: &mut Vec<StreamEvent>) {
        let plain = text(delta.get("reasoning_content")).or_else(|| text(delta.get("reasoning")));
        let blocks = delta.get("thinking_blocks").and_then(thinking_blocks);
        let details = delta.get("reasoning_details").and_then(reasoning_details);
        let whole = blocks.is_some();
        let signed = blocks.or(details).unwrap_or_default();
        let seen = plain.is_some() || (whole && self.reasoned.contains(&choice));
        let mut say = |text: &str, out: &mut Vec<StreamEvent>| {
            if !self.reasoned.contains(&choice) {
                self.reasoned.push(choice);
            }
            out.push(StreamEvent::Thinking { choice, text: text.to_owned() });
        };
        if let Some(text) = plain {
            say(text, out);
        }
        for Thinking { text, signature, redacted, .. } in signed {
            if !seen && !text.is_empty() {
                say(&text, out);
            }
            if let Some(signature) = signature.filter(|signature| !signature.is_empty()) {
                out.push(StreamEvent::Signature { choice, signature });
                out.push(StreamEvent::BlockEnd { choice });
            }
            if let Some(data) = redacted {
                out.push(StreamEvent::Redacted { choice, data });
            }
        }
    }

    /// A piece of a call. Pieces are told apart by index, by id, by order, or not at all, as servers please.
    fn call(&mut self, choice: u32, index: Option<u64>, id: &str, function: &Value, out: &mut Vec<StreamEvent>) {
        let name = text(function.get("name"));
        let by_id = || self.calls.iter().rposition(|call| call.choice == choice && !id.is_empty() && call.id == id);
        let by_index = || self.calls.iter().rposition(|call| call.choice == choice && call.index == index);
        let last = || self.calls.iter().rposition(|call| call.choice == choice);
        let held = match index {
            // A new id with a name at an index that is taken is a new call; without a name it is only a new id.
            Some(_) => by_index().filter(|&at| {
                let held = &self.calls[at].id;
                id.is_empty() || name.is_none() || held.is_empty() || *held == id
            }),
            None if !id.is_empty() => by_id(),
            None if name.is_some() => None,
            None => last(),
        };
        let at = match (held, name) {
            (Some(at), _) => at,
            (None, None) => return,
            (None, Some(name)) => {
                let call = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
                self.calls.push(Call { choice, index, id: id.to_owned() });
                out.push(StreamEvent::CallStart { choice, call, id: id.to_owned(), name: name.to_owned() });
                self.calls.len() - 1
            }
        };
        let text = arguments(function.get("arguments"));
        if !text.is_empty() {
            let call = u32::try_from(at).unwrap_or(u32::MAX);
            out.push(StreamEvent::Arguments { choice, call, text });
        }
    }
}
