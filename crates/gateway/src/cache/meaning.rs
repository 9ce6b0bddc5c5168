//! Answers to questions of the same meaning: embeddings by a model that the gateway asks the way it asks all others.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tachograph_cache::{CacheKey, Neighbours};

use crate::aside::{Aside, Behalf};
use crate::call::Call;
use crate::config::SemanticConfig;

/// A longer question is its own, in bytes: embedding models take some 8,000 tokens, and no two long texts mean the same.
const LONGEST: usize = 8 << 10;
/// How long a call waits for its question's embedding at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is needed to find answers by their questions' meaning.
pub(super) struct Semantic {
    config: SemanticConfig,
    asked: Arc<Neighbours>,
}

impl Semantic {
    pub(super) fn of(config: &SemanticConfig) -> Self {
        Self { config: config.clone(), asked: Arc::new(Neighbours::new(config.max_entries)) }
    }

    /// The same with another configuration; what was asked is remembered.
    pub(super) fn with(&self, config: &SemanticConfig) -> Self {
        Self { config: config.clone(), asked: self.asked.clone() }
    }
}

/// What one call asks, and everything else about it as a key.
pub(super) struct Question {
    pub(super) semantic: Arc<Semantic>,
    pub(super) space: CacheKey,
    pub(super) text: String,
}

/// A question and what it means.
#[derive(Clone)]
pub(super) struct Embedded {
    asked: Arc<Neighbours>,
    space: CacheKey,
    embedding: Arc<[f32]>,
}

impl Question {
    /// What the question means; `None` where that cannot be told, which the call's record says.
    pub(super) async fn embedded(&self, aside: &Aside, call: &Call) -> Option<Embedded> {
        let body = json!({ "model": self.semantic.config.model, "input": self.text, "encoding_format": "float" });
        let asking =
            aside.ask(Behalf::of(call, "embedding"), "/v1/embeddings", &call.headers, Bytes::from(body.to_string()));
        let why = match tokio::time::timeout(PATIENCE, asking).await {
            Ok(Ok(told)) => match serde_json::from_slice::<Told>(&told) {
                Ok(Told { data }) if data.len() == 1 => {
                    let embedding = data.into_iter().next().map(|one| one.embedding).unwrap_or_default();
                    let asked = self.semantic.asked.clone();
                    return Some(Embedded { asked, space: self.space, embedding: embedding.into() });
                }
                _ => "its answer holds none".to_owned(),
            },
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it took longer than {} s", PATIENCE.as_secs()),
        };
        call.trip.note(format!("no answer of the same meaning was looked for: {}: {why}", self.semantic.config.model));
        None
    }

    /// The key of the answer to the nearest question, and how near it is.
    pub(super) fn nearest(&self, embedded: &Embedded) -> Option<(CacheKey, f32)> {
        self.semantic.asked.nearest(self.space, &embedded.embedding, self.semantic.config.threshold)
    }
}

impl Embedded {
    /// Remembers that the answer to this question is kept there.
    pub(super) fn remember(&self, key: CacheKey, ttl: Duration) {
        self.asked.remember(self.space, &self.embedding, key, ttl);
    }
}

#[derive(Deserialize)]
struct Told {
    data: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    embedding: Vec<f32>,
}

/// Takes out of a body the text of its last message, where that is the user's: the text, and the body without it. `None`
/// where there is none, or it is too long for its meaning to be told.
pub(super) fn question(body: &[u8]) -> Option<(String, Vec<u8>)> {
    let mut body: Value = serde_json::from_slice(body).ok()?;
    let turns = ["messages", "input", "contents"].into_iter().find(|name| body.get(*name).is_some())?;
    let text = match body.get_mut(turns)? {
        Value::String(text) => std::mem::take(text),
        Value::Array(turns) => {
            let last = turns.last_mut().filter(|turn| turn["role"] == "user")?;
            let name = ["content", "parts"].into_iter().find(|name| last.get(*name).is_some())?;
            match last.get_mut(name)? {
                Value::String(text) => std::mem::take(text),
                Value::Array(parts) => {
                    let texts = parts.iter_mut().filter_map(|part| match part.get_mut("text") {
                        Some(Value::String(text)) => Some(std::mem::take(text)),
                        _ => None,
                    });
                    texts.collect::<Vec<_>>().join("\n")
                }
                _ => return None,
            }
        }
        _ => return None,
    };
    let told = !text.trim().is_empty() && text.len() <= LONGEST;
    told.then(|| serde_json::to_vec(&body).ok()).flatten().map(|rest| (text, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_the_user_are_the_question_and_all_else_is_the_space() {
        let of = |body: Value| question(&serde_json::to_vec(&body).unwrap());
        let user = |content: Value| json!({ "model": "m", "messages": [{ "role": "system", "content": "s" }, { "role": "user", "content": content }] });
        let (text, rest) = of(user(json!("What is it?"))).unwrap();
        assert_eq!(text, "What is it?");
        assert_eq!(rest, of(user(json!("And what is that?"))).unwrap().1, "the same space");
        let picture = json!({ "type": "image_url", "image_url": { "url": "data:1" } });
        let (text, with_picture) =
            of(user(json!([{ "type": "text", "text": "a" }, picture, { "type": "text", "text": "b" }]))).unwrap();
        assert_eq!(text, "a\nb");
        assert!(String::from_utf8(with_picture).unwrap().contains("data:1"), "another picture is another space");
        assert_eq!(of(json!({ "input": "q", "instructions": "s" })).unwrap().0, "q");
        assert_eq!(of(json!({ "contents": [{ "role": "user", "parts": [{ "text": "q" }] }] })).unwrap().0, "q");
        for nothing in [
            json!({ "messages": [{ "role": "user", "content": "q" }, { "role": "assistant", "content": "a" }] }),
            json!({ "messages": [] }),
            json!({ "messages": [{ "role": "user", "content": " " }] }),
            json!({ "messages": [{ "role": "user", "content": "x".repeat(LONGEST + 1) }] }),
            json!({ "prompt": "q" }),
            json!([1]),
        ] {
            assert_eq!(of(nothing.clone()), None, "{nothing:.60}");
        }
    }
}
