//! What the demo's models say, how fast, and how they fail.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tachograph_providers::chat::{Block, ChatRequest, Role};
use tachograph_record::RecordId;

/// One of the demo's models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Model {
    name: &'static str,
    first_token_ms: u64,
    per_token_us: u64,
    /// Of 100 calls so many fail in each way: rate limit, server error, cut short.
    failures: [u64; 3],
}

const MODELS: [Model; 3] = [
    Model { name: "demo/echo", first_token_ms: 80, per_token_us: 6_000, failures: [0, 0, 0] },
    Model { name: "demo/slow", first_token_ms: 1_200, per_token_us: 35_000, failures: [0, 0, 0] },
    Model { name: "demo/flaky", first_token_ms: 150, per_token_us: 8_000, failures: [14, 10, 10] },
];

/// The longest answer, in tokens.
const LONGEST: usize = 400;
/// From so many prompt tokens on, the first half counts as read from the provider's cache.
const CACHED_FROM: u64 = 1024;

/// The models' names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    MODELS.iter().map(|model| model.name)
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Answered,
    RateLimited,
    ServerError,
    CutShort,
}

impl Model {
    /// The model of this name, with or without its provider before it.
    pub(super) fn named(name: &str) -> Option<Self> {
        MODELS.into_iter().find(|model| model.name == name || model.name.strip_prefix("demo/") == Some(name))
    }

    pub(super) fn first_token(self) -> Duration {
        Duration::from_millis(self.first_token_ms)
    }

    pub(super) fn per_token(self) -> Duration {
        Duration::from_micros(self.per_token_us)
    }

    pub(super) fn fate_of(self, id: RecordId) -> Fate {
        let [limited, error, cut] = self.failures;
        match spread(id) % 100 {
            drawn if drawn < limited => Fate::RateLimited,
            drawn if drawn < limited + error => Fate::ServerError,
            drawn if drawn < limited + error + cut => Fate::CutShort,
            _ => Fate::Answered,
        }
    }
}

/// A number that is evenly spread over ids.
fn spread(id: RecordId) -> u64 {
    let (high, low) = id.uuid().as_u64_pair();
    let mut mixed = (high ^ low.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^= mixed >> 32;
    mixed.wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 16
}

/// An answer, ready to be sent at a model's pace.
pub(super) struct Answer {
    id: String,
    model: &'static str,
    pieces: Vec<String>,
    finish: &'static str,
    prompt_tokens: u64,
}

impl Answer {
    /// Says back what the last user message says.
    pub(super) fn to(asked: &ChatRequest, id: RecordId, model: Model) -> Self {
        let said = last_words(asked);
        let said = if said.is_empty() { "nothing" } else { &said };
        let limit =
            asked.max_tokens.map_or(LONGEST, |limit| usize::try_from(limit).unwrap_or(LONGEST)).clamp(1, LONGEST);
        let text = format!("You said: {said}");
        let mut pieces: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
        let finish = if pieces.len() > limit { "length" } else { "stop" };
        pieces.truncate(limit);
        Self {
            id: format!("chatcmpl-{}", id.uuid().simple()),
            model: model.name,
            pieces,
            finish,
            prompt_tokens: prompt_tokens(asked),
        }
    }

    /// How long the whole answer takes.
    pub(super) fn duration(&self, model: Model) -> Duration {
        model.first_token() + model.per_token() * u32::try_from(self.pieces.len()).unwrap_or(u32::MAX)
    }

    fn usage(&self) -> Value {
        let written = self.pieces.len() as u64;
        let cached = if self.prompt_tokens >= CACHED_FROM { self.prompt_tokens / 2 / 128 * 128 } else { 0 };
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": written,
            "total_tokens": self.prompt_tokens + written,
            "prompt_tokens_details": { "cached_tokens": cached },
        })
    }

    pub(super) fn document(&self) -> Bytes {
        let message = json!({ "role": "assistant", "content": self.pieces.concat(), "refusal": null });
        let document = json!({
            "id": self.id,
            "object": "chat.completion",
            "created": created(),
            "model": self.model,
            "choices": [{ "index": 0, "message": message, "finish_reason": self.finish }],
            "usage": self.usage(),
        });
        Bytes::from(document.to_string())
    }

    pub(super) fn events(&self, with_usage: bool) -> Vec<Bytes> {
        let created = created();
        let event = |choices: Value, usage: Option<Value>| {
            let mut chunk = json!({
                "id": self.id,
                "object": "chat.completion.chunk",
                "created": created,
                "model": self.model,
                "choices": choices,
            });
            if let (true, Some(chunk)) = (with_usage, chunk.as_object_mut()) {
                chunk.insert("usage".to_owned(), usage.unwrap_or(Value::Null));
            }
            Bytes::from(format!("data: {chunk}\n\n"))
        };
        let choice =
            |delta: Value, finish: Option<&str>| json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
        let mut events = vec![event(choice(json!({ "role": "assistant", "content": "" }), None), None)];
        events.extend(self.pieces.iter().map(|piece| event(choice(json!({ "content": piece }), None), None)));
        events.push(event(choice(json!({}), Some(self.finish)), None));
        if with_usage {
            events.push(event(json!([]), Some(self.usage())));
        }
        events.push(Bytes::from_static(b"data: [DONE]\n\n"));
        events
    }
}

fn created() -> i64 {
    tachograph_record::Timestamp::now().micros() / 1_000_000
}

fn last_words(asked: &ChatRequest) -> String {
    let last = asked.messages.iter().rev().find(|message| message.role == Role::User);
    last.map(|message| texts(&message.content.blocks)).unwrap_or_default()
}

fn texts(blocks: &[Block]) -> String {
    let texts = blocks.iter().filter_map(|block| match block {
        Block::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join(" ")
}

/// About four characters make a token, and each message costs a few more for its frame: near what real models count.
fn prompt_tokens(asked: &ChatRequest) -> u64 {
    let characters: usize = asked.messages.iter().map(|message| texts(&message.content.blocks).chars().count()).sum();
    (characters.div_ceil(4) + 4 * asked.messages.len() + 3) as u64
}
