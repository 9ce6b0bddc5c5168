//! Streams, read.

use serde_json::Value;
use tachograph_record::Reading;

use super::finish_reason;
use super::item::{answered, seal_item};
use super::response::status_word;
use super::watch::ResponsesWatch;
use crate::chat::{Block, StreamEvent};
use crate::fault::Fault;
use crate::object::text;
use crate::sse::{Event, Splitter};
use crate::tap::Watch;
use crate::usage::{self, ApiShape};
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

/// An item under way.
#[derive(Debug)]
struct Open {
    /// Its place in the output.
    at: u64,
    /// Whether something of it was told already: what its last event repeats is then no news.
    told: bool,
    /// Its number among the calls, if it is one.
    call: Option<u32>,
}

#[derive(Debug, Default)]
struct Parser {
    watch: ResponsesWatch,
    started: bool,
    over: bool,
    calls: u32,
    open: Vec<Open>,
    /// How many items were told to their end.
    told: usize,
}

impl Parser {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<StreamEvent>) {
        self.watch.event(event);
        if self.over {
            return;
        }
        let Ok(mut data) = serde_json::from_slice::<Value>(&event.data) else { return };
        let at = data.get("output_index").and_then(Value::as_u64).unwrap_or(0);
        let kind = data.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        match kind.as_str() {
            "response.created" => self.start(&data["response"], out),
            "response.output_item.added" => self.added(at, &data["item"], out),
            "response.output_text.delta" => self.said(at, &data, |text| StreamEvent::Text { choice: 0, text }, out),
            "response.refusal.delta" => self.said(at, &data, |text| StreamEvent::Refusal { choice: 0, text }, out),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.said(at, &data, |text| StreamEvent::Thinking { choice: 0, text }, out);
            }
            "response.function_call_arguments.delta" => {
                if let Some(call) = self.item(at).call {
                    self.said(at, &data, |text| StreamEvent::Arguments { choice: 0, call, text }, out);
                }
            }
            "response.output_item.done" => self.done(at, data["item"].take(), out),
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                self.end(data["response"].take(), out);
            }
            "error" => self.fault(&data, out),
            "" if data.get("error").is_some() => self.fault(&data, out),
            _ => {}
        }
        debug_assert!(!self.watch.ended() || self.over, "the watch and the reader see the same end");
    }

    fn start(&mut self, response: &Value, out: &mut Vec<StreamEvent>) {
        if !std::mem::replace(&mut self.started, true) {
            let string = |key| text(response.get(key)).map(str::to_owned);
            out.push(StreamEvent::Start { id: string("id"), model: string("model"), usage: None });
        }
    }

    fn item(&mut self, at: u64) -> &mut Open {
        let held = self.open.iter().position(|open| open.at == at).unwrap_or_else(|| {
            self.open.push(Open { at, told: false, call: None });
            self.open.len() - 1
        });
        &mut self.open[held]
    }

    fn said(&mut self, at: u64, data: &Value, event: impl Fn(String) -> StreamEvent, out: &mut Vec<StreamEvent>) {
        if let Some(text) = text(data.get("delta")) {
            self.item(at).told = true;
            out.push(event(text.to_owned()));
        }
    }

    fn added(&mut self, at: u64, item: &Value, out: &mut Vec<StreamEvent>) {
        // A place that is taken again is another item's now.
        self.open.retain(|open| open.at != at);
        if item["type"] == "function_call" {
            self.call(at, item, out);
        } else {
            self.item(at);
        }
    }

    fn call(&mut self, at: u64, item: &Value, out: &mut Vec<StreamEvent>) -> u32 {
        let call = self.calls;
        self.calls += 1;
        self.item(at).call = Some(call);
        let string = |key| text(item.get(key)).unwrap_or_default().to_owned();
        out.push(StreamEvent::CallStart { choice: 0, call, id: string("call_id"), name: string("name") });
        call
    }

    /// An item is whole. What of it was not told before is told now.
    fn done(&mut self, at: u64, item: Value, out: &mut Vec<StreamEvent>) {
        let (told, call) = {
            let open = self.item(at);
            (open.told, open.call)
        };
        self.open.retain(|open| open.at != at);
        self.told += 1;
        match item["type"].as_str().unwrap_or_default() {
            "function_call" => {
                let call = call.unwrap_or_else(|| self.call(at, &item, out));
                if let (Some(text), false) = (text(item.get("arguments")), told) {
                    out.push(StreamEvent::Arguments { choice: 0, call, text: text.to_owned() });
                }
                self.open.retain(|open| open.at != at);
            }
            "reasoning" => {
                let proof = text(item.get("encrypted_content"));
                let proof = proof.map(|proof| seal_item(text(item.get("id")).unwrap_or_default(), proof));
                if !told {
                    out.extend(answered(item).into_iter().filter_map(whole));
                }
                out.extend(proof.map(|signature| StreamEvent::Signature { choice: 0, signature }));
            }
            "message" if told => {}
            "message" => out.extend(answered(item).into_iter().filter_map(whole)),
            _ => out.push(StreamEvent::Opaque { choice: 0, dialect: DialectId::OpenAiResponses, json: item }),
        }
        out.push(StreamEvent::BlockEnd { choice: 0 });
    }

    fn end(&mut self, mut response: Value, out: &mut Vec<StreamEvent>) {
        self.start(&response, out);
        self.over = true;
        if response.get("error").is_some_and(Value::is_object) {
            return self.fault(&response, out);
        }
        // Some servers tell all at once, others leave the output out here; what was told is not told again.
        if let (0, Value::Array(items)) = (self.told, response["output"].take()) {
            let unseen = items.into_iter().enumerate().filter(|_| self.open.is_empty()).collect::<Vec<_>>();
            unseen.into_iter().for_each(|(at, item)| self.done(at as u64, item, out));
        }
        if let Some(native) = status_word(response.get("status"), response.get("incomplete_details")) {
            let reason = finish_reason(&native, self.watch.called());
            out.push(StreamEvent::Finish { choice: 0, reason, native, stop_sequence: None });
        }
        if let Ok(usage) = usage::normalize(ApiShape::OpenAiResponses, "", &response["usage"]) {
            out.push(StreamEvent::Usage(usage));
        }
        out.push(StreamEvent::End);
    }

    fn fault(&mut self, value: &Value, out: &mut Vec<StreamEvent>) {
        if let Some(fault) = Fault::of_value(value) {
            self.over = true;
            out.push(StreamEvent::Error(Box::new(fault.to_api_error(None))));
        }
    }
}

/// A whole block as one event.
fn whole(block: Block) -> Option<StreamEvent> {
    match block {
        Block::Text(text) => Some(StreamEvent::Text { choice: 0, text: text.text }),
        Block::Refusal(text) => Some(StreamEvent::Refusal { choice: 0, text: text.text }),
        Block::Thinking(thinking) if !thinking.text.is_empty() => {
            Some(StreamEvent::Thinking { choice: 0, text: thinking.text })
        }
        _ => None,
    }
}
