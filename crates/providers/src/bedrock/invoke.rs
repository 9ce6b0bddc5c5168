//! InvokeModel: a model's own API behind Bedrock's path, read by what the body looks like.
//!
//! Claude speaks Anthropic's messages, Nova what Converse speaks, newer models OpenAI's chat; those are read by their own
//! dialects. Older families have shapes of their own, each a row of a table. Streams are frames around the model's own
//! events. What nobody said in the body stands in the answer's headers or, of a stream, in its last event.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use tachograph_record::{FinishReason, Reading, RecordedError, Tap, UsageReading};

use super::watch::ConverseWatch;
use crate::anthropic::AnthropicWatch;
use crate::chat::{Assembler, Block, Choice, StreamEvent};
use crate::fault::Fault;
use crate::frames::{EXCEPTION, Frames};
use crate::openai_chat::OpenAiWatch;
use crate::sse::Event;
use crate::tap::{DialectTap, Watch};
use crate::usage::{self, ApiShape};
use crate::{DialectId, dialect};

/// Where one family says things, as JSON pointers; in streams the same members come piece by piece.
struct Own {
    text: &'static str,
    finish: &'static [&'static str],
    input: &'static str,
    output: &'static str,
}

const OWN: &[Own] = &[
    // Titan, whole and streamed.
    Own {
        text: "/results/0/outputText",
        finish: &["/results/0/completionReason"],
        input: "/inputTextTokenCount",
        output: "/results/0/tokenCount",
    },
    Own { text: "/outputText", finish: &["/completionReason"], input: "", output: "" },
    // Llama.
    Own {
        text: "/generation",
        finish: &["/stop_reason"],
        input: "/prompt_token_count",
        output: "/generation_token_count",
    },
    // Mistral.
    Own { text: "/outputs/0/text", finish: &["/outputs/0/stop_reason"], input: "", output: "" },
    // Cohere, with a conversation and without.
    Own { text: "/generations/0/text", finish: &["/generations/0/finish_reason"], input: "", output: "" },
    Own { text: "/text", finish: &["/finish_reason"], input: "", output: "" },
    // Jurassic.
    Own { text: "/completions/0/data/text", finish: &["/completions/0/finishReason/reason"], input: "", output: "" },
    // Claude's first API.
    Own { text: "/completion", finish: &["/stop_reason"], input: "", output: "" },
    // Titan's embeddings.
    Own { text: "", finish: &[], input: "/inputTextTokenCount", output: "" },
];

/// Words of all families in OpenAI's.
const WORDS: &[(&str, FinishReason)] = &[
    ("FINISH", FinishReason::Stop),
    ("FINISHED", FinishReason::Stop),
    ("COMPLETE", FinishReason::Stop),
    ("STOP_SEQUENCE", FinishReason::Stop),
    ("STOP_CRITERIA_MET", FinishReason::Stop),
    ("stop", FinishReason::Stop),
    ("stop_sequence", FinishReason::Stop),
    ("end_turn", FinishReason::Stop),
    ("endoftext", FinishReason::Stop),
    ("LENGTH", FinishReason::Length),
    ("length", FinishReason::Length),
    ("max_tokens", FinishReason::Length),
    ("MAX_TOKENS", FinishReason::Length),
    ("tool_calls", FinishReason::ToolCalls),
    ("CONTENT_FILTERED", FinishReason::ContentFilter),
    ("ERROR_TOXIC", FinishReason::ContentFilter),
    ("RAG_QUERY_WHEN_RAG_DISABLED", FinishReason::Error),
    ("ERROR", FinishReason::Error),
];

fn meaning(word: &str) -> FinishReason {
    WORDS.iter().find(|(known, _)| *known == word).map_or(FinishReason::Other, |&(_, reason)| reason)
}

fn at<'a>(body: &'a Value, pointer: &str) -> Option<&'a Value> {
    body.pointer(pointer).filter(|value| !pointer.is_empty() && !value.is_null())
}

/// The family whose members a body has.
fn own(body: &Value) -> Option<&'static Own> {
    OWN.iter().find(|own| {
        at(body, own.text).is_some_and(Value::is_string) || own.text.is_empty() && at(body, own.input).is_some()
    })
}

/// The tap of InvokeModel and its stream.
pub(crate) fn invoke_tap(stream: bool, status: u16) -> Box<dyn Tap> {
    Box::new(DialectTap::<InvokeWatch>::new(stream, status))
}

/// Watches one answer; which part of it fills, its events tell.
#[derive(Debug, Default)]
struct InvokeWatch {
    claude: AnthropicWatch,
    nova: ConverseWatch,
    openai: OpenAiWatch,
    speaks: Speaks,
    content: bool,
    ended: bool,
    finish: Option<String>,
    usage: Value,
    /// What a stream's last event says was used.
    metered: Value,
    error: Option<RecordedError>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Speaks {
    #[default]
    Own,
    Claude,
    Nova,
    OpenAi,
}

impl InvokeWatch {
    fn own(&mut self, body: &Value) {
        let Some(own) = own(body) else { return };
        self.content |= at(body, own.text).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
        let word = own.finish.iter().find_map(|pointer| at(body, pointer)?.as_str());
        if let Some(word) = word.or_else(|| at(body, "/completionReason")?.as_str()) {
            self.finish = Some(word.to_owned());
            self.ended = true;
        }
        let counts = [("inputTokens", own.input), ("outputTokens", own.output)];
        let counts =
            counts.into_iter().filter_map(|(name, pointer)| Some((name.to_owned(), at(body, pointer)?.clone())));
        let counts: Map<String, Value> = counts.collect();
        if !counts.is_empty() {
            self.usage = Value::Object(counts);
        }
    }

    /// An event of the model's own, out of its frame.
    fn native(&mut self, mut body: Value, text: &[u8]) {
        if let Some(metrics) =
            body.as_object_mut().and_then(|body| body.shift_remove("amazon-bedrock-invocationMetrics"))
        {
            let renamed = [
                ("inputTokens", "inputTokenCount"),
                ("outputTokens", "outputTokenCount"),
                ("cacheReadInputTokens", "cacheReadInputTokenCount"),
                ("cacheWriteInputTokens", "cacheWriteInputTokenCount"),
            ];
            let counts =
                renamed.into_iter().filter_map(|(name, held)| Some((name.to_owned(), metrics.get(held)?.clone())));
            self.metered = Value::Object(counts.collect());
            self.ended = true;
        }
        // A guardrail that steps in ends the answer without a reason of the model's.
        self.ended |= body.get("amazon-bedrock-guardrailAction").is_some_and(|action| action == "INTERVENED");
        let first = body.as_object().and_then(|body| body.iter().next());
        match first {
            _ if body.get("type").is_some_and(Value::is_string) && body.get("completion").is_none() => {
                self.speaks = Speaks::Claude;
                self.content |= self.claude.event(&Event { name: b"", data: text.into() });
            }
            _ if body.get("choices").is_some_and(Value::is_array) => {
                self.speaks = Speaks::OpenAi;
                self.content |= self.openai.event(&Event { name: b"", data: text.into() });
            }
            Some((name, inner)) if inner.is_object() && EVENTS.contains(&name.as_str()) => {
                self.speaks = Speaks::Nova;
                let data = inner.to_string();
                self.content |= self.nova.event(&Event { name: name.as_bytes(), data: data.as_bytes().into() });
            }
            _ => self.own(&body),
        }
    }
}

/// The events of Converse, which Nova wraps as members.
const EVENTS: &[&str] =
    &["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"];

/// The model's own event in a frame's payload.
fn unwrap(payload: &[u8]) -> Option<Vec<u8>> {
    let payload: Value = serde_json::from_slice(payload).ok()?;
    STANDARD.decode(payload.get("bytes")?.as_str()?).ok()
}

impl Watch for InvokeWatch {
    const STREAMS_FRAMES: bool = true;

    fn event(&mut self, event: &Event<'_>) -> bool {
        if event.name == EXCEPTION {
            let value = serde_json::from_slice::<Value>(&event.data).unwrap_or_default();
            self.error = self.error.take().or_else(|| Fault::of_value(&value).map(|fault| fault.recorded(None)));
        } else if let Some(text) = unwrap(&event.data)
            && let Ok(body) = serde_json::from_slice::<Value>(&text)
        {
            self.native(body, &text);
        }
        self.content
    }

    fn document(&mut self, body: &[u8]) {
        let Ok(value) = serde_json::from_slice::<Value>(body) else { return };
        if value.get("type").is_some_and(|kind| kind == "message") {
            self.speaks = Speaks::Claude;
            self.claude.document(body);
        } else if value.pointer("/output/message").is_some() {
            self.speaks = Speaks::Nova;
            self.nova.document(body);
        } else if value.pointer("/choices/0").is_some() {
            self.speaks = Speaks::OpenAi;
            self.openai.document(body);
        } else {
            self.own(&value);
        }
    }

    fn reading(&mut self) -> Reading {
        let mut reading = match self.speaks {
            Speaks::Claude => self.claude.reading(),
            Speaks::Nova => self.nova.reading(),
            Speaks::OpenAi => self.openai.reading(),
            Speaks::Own => Reading {
                usage: usage::reading(ApiShape::BedrockConverse, &self.usage),
                finish_reason: self.finish.as_deref().map(meaning),
                native_finish_reason: self.finish.take(),
                ended: self.ended,
                ..Reading::default()
            },
        };
        if reading.usage == UsageReading::Absent {
            reading.usage = usage::reading(ApiShape::BedrockConverse, &self.metered);
        }
        reading.ended |= self.ended;
        reading.error = self.error.take().or(reading.error);
        reading
    }
}

/// What was said, whole or streamed, for people to read.
pub(crate) fn invoked(response: &[u8]) -> Option<Choice> {
    if response.first() != Some(&0) {
        let body: Value = serde_json::from_slice(response).ok()?;
        let read = |id| dialect(id).decode_response(response).ok()?.choices.into_iter().next();
        if body.get("type").is_some_and(|kind| kind == "message") {
            return read(DialectId::AnthropicMessages);
        }
        if body.pointer("/output/message").is_some() {
            return read(DialectId::BedrockConverse);
        }
        if body.pointer("/choices/0/message").is_some() {
            return read(DialectId::OpenAiChat);
        }
        let text = at(&body, own(&body)?.text)?.as_str()?.to_owned();
        return Some(Choice { content: vec![Block::text(text)], ..Choice::default() });
    }
    streamed(response)
}

fn streamed(response: &[u8]) -> Option<Choice> {
    let mut natives = Vec::new();
    Frames::default().push(response, |event| natives.extend(unwrap(&event.data)));
    let mut text = String::new();
    // Claude's and OpenAI's events are read as they would come from themselves, Nova's as Converse's.
    let (mut as_events, mut as_frames) = (Vec::new(), bytes::BytesMut::new());
    let mut id = None;
    for native in &natives {
        let body: Value = serde_json::from_slice(native).unwrap_or_default();
        let first = body.as_object().and_then(|body| body.iter().next());
        match first {
            Some((name, inner)) if EVENTS.contains(&name.as_str()) => crate::frames::write(name, inner, &mut as_frames),
            _ if body.get("choices").is_some() => id = Some(DialectId::OpenAiChat),
            _ if body.get("type").is_some_and(Value::is_string) => id = Some(DialectId::AnthropicMessages),
            _ => text.push_str(own(&body).and_then(|own| at(&body, own.text)?.as_str()).unwrap_or_default()),
        }
        as_events.extend_from_slice(&[b"data: ", &native[..], b"\n\n"].concat());
    }
    let (id, bytes) = match id {
        Some(id) => (id, as_events),
        None if !as_frames.is_empty() => (DialectId::BedrockConverse, as_frames.to_vec()),
        None => return Some(Choice { content: vec![Block::text(text)], ..Choice::default() }),
    };
    let (mut reader, mut events) = (dialect(id).reader(), Vec::<StreamEvent>::new());
    reader.push(&bytes, &mut events);
    reader.finish(&mut events);
    let mut assembler = Assembler::new(id);
    events.iter().for_each(|event| assembler.push(event));
    assembler.into_response().choices.into_iter().next()
}

/// The texts and pictures of a request, whatever the family calls them.
pub(crate) const ASKED: &[&str] =
    &["system", "messages", "inputText", "prompt", "message", "texts", "inputs", "singleEmbeddingParams"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_family_is_read_by_its_own_members() {
        let rows = [
            (
                json!({"inputTextTokenCount": 5, "results": [{"tokenCount": 2, "outputText": "a", "completionReason": "LENGTH"}]}),
                Some("length"),
                Some((5, 2)),
            ),
            (
                json!({"generation": "a", "prompt_token_count": 8, "generation_token_count": 3, "stop_reason": "stop"}),
                Some("stop"),
                Some((8, 3)),
            ),
            (json!({"outputs": [{"text": "a", "stop_reason": "length"}]}), Some("length"), None),
            (json!({"text": "a", "finish_reason": "COMPLETE"}), Some("stop"), None),
            (json!({"completion": "a", "stop_reason": "stop_sequence", "type": "completion"}), Some("stop"), None),
            (json!({"inputTextTokenCount": 5, "embedding": [0.5]}), None, Some((5, 0))),
        ];
        for (body, finish, usage) in rows {
            let mut watch = InvokeWatch::default();
            watch.document(body.to_string().as_bytes());
            let reading = watch.reading();
            assert_eq!(reading.finish_reason.map(FinishReason::code), finish, "{body}");
            let counted = reading.usage.known().map(|usage| (usage.input_total(), usage.output_total()));
            assert_eq!(counted, usage, "{body}");
            let said = invoked(body.to_string().as_bytes()).map(|choice| choice.text());
            assert_eq!(said.is_some(), finish.is_some(), "{body}");
        }
    }
}
