//! Calls that are no conversations, shown as one: what was asked as a user's message, what came as an answer.

use serde_json::Value;
use tachograph_record::UsageReading;

use super::Plain;
use crate::array::Elements;
use crate::chat::{
    Block, ChatRequest, ChatResponse, Choice, Content, Form, Media, MediaKind, MediaSource, Message, Rest, Role,
};
use crate::conversation::{Conversation, read_answer};
use crate::json;
use crate::sse::Splitter;
use crate::{Api, dialect};

/// Shows a call of an API of this row. Bodies may be cut off anywhere.
pub(crate) fn shown(api: &'static Api, plain: &Plain, request: &[u8], response: &[u8]) -> Conversation {
    let mut read = Conversation::default();
    let whole = json::mend(request);
    read.truncated = whole != request;
    read.request = asked(api, plain, &whole);
    let usage = |choice: Choice| ChatResponse {
        dialect: api.family(),
        id: None,
        model: None,
        choices: vec![choice],
        usage: UsageReading::Absent,
        service_tier: None,
        provider_cost: None,
    };
    if let Some(own) = plain.own_shown {
        let whole = json::mend(response);
        let is_frames = response.first() == Some(&0);
        read.truncated |= !is_frames && whole != response;
        let choice = own(if is_frames { response } else { &whole });
        read.response = choice.filter(|choice| !choice.content.is_empty()).map(usage);
        return read;
    }
    if plain.own_tap.is_some() && plain.said.is_empty() {
        read_answer(api.family(), true, response, &mut read);
        return read;
    }
    let choice = match response.trim_ascii_start().first() {
        Some(b'{' | b'[') => {
            let whole = json::mend(response);
            read.truncated |= whole != response;
            document(plain, &whole)
        }
        Some(b'd' | b'e' | b':') if !plain.sound => streamed(plain, response),
        Some(_) if plain.said.contains(&"text") => {
            Some(Choice { content: vec![Block::text(String::from_utf8_lossy(response))], ..Choice::default() })
        }
        _ => None,
    };
    read.response = choice.filter(|choice| !choice.content.is_empty()).map(usage);
    read
}

fn asked(api: &Api, plain: &Plain, body: &[u8]) -> Option<ChatRequest> {
    if plain.only_counts
        && let Ok(request) = dialect(api.family()).decode_request(body)
    {
        return Some(request);
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    let mut blocks = Vec::new();
    plain.asked.iter().filter_map(|name| body.get(name)).for_each(|value| gather(value, &mut blocks));
    let mut request = ChatRequest::new(api.family());
    request.model = body.get("model").and_then(Value::as_str).map(str::to_owned);
    request.messages =
        vec![Message { role: Role::User, content: Content { blocks, form: Form::Parts }, rest: Rest::new() }];
    Some(request)
}

/// The texts and pictures in a value, whatever they are wrapped in.
fn gather(value: &Value, blocks: &mut Vec<Block>) {
    match value {
        Value::String(text) => blocks.push(Block::text(text.as_str())),
        Value::Array(items) => items.iter().for_each(|item| gather(item, blocks)),
        Value::Object(fields) => {
            let url = fields.get("image_url").map(|image| image.get("url").unwrap_or(image)).and_then(Value::as_str);
            let url = url.or_else(|| fields.get("url")?.as_str());
            match (url, fields.get("b64_json").and_then(Value::as_str)) {
                (Some(url), _) => blocks.push(picture(MediaSource::Url(url.to_owned()))),
                (None, Some(data)) => {
                    blocks.push(picture(MediaSource::Base64 { mime: "image/png".to_owned(), data: data.to_owned() }));
                }
                (None, None) => {
                    for name in ["text", "content", "parts", "document", "value"] {
                        fields.get(name).into_iter().for_each(|inner| gather(inner, blocks));
                    }
                }
            }
        }
        _ => {}
    }
}

fn picture(source: MediaSource) -> Block {
    let (name, cache_control, rest) = (None, None, Rest::new());
    Block::Media(Media { kind: MediaKind::Image, source, name, cache_control, rest, bare: false })
}

fn document(plain: &Plain, body: &[u8]) -> Option<Choice> {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return lines(plain, body) };
    let mut content = Vec::new();
    plain.said.iter().filter_map(|name| body.get(name)).for_each(|value| gather(value, &mut content));
    let word = plain.finish.and_then(|(name, _)| body.get(name)).and_then(Value::as_str);
    let finish_reason = word.zip(plain.finish).map(|(word, (_, meaning))| meaning(word));
    Some(Choice { content, finish_reason, native_finish_reason: word.map(str::to_owned), ..Choice::default() })
}

/// A stream of lines: what each adds.
fn lines(plain: &Plain, body: &[u8]) -> Option<Choice> {
    let (mut text, mut elements) = (String::new(), Elements::default());
    elements.push(body, |line| {
        let line = serde_json::from_slice::<Value>(line).unwrap_or_default();
        if let Some(piece) = plain.said.iter().find_map(|name| line.get(name)?.as_str()) {
            text.push_str(piece);
        }
    });
    let content = Some(text).filter(|text| !text.is_empty()).map(Block::text).into_iter().collect();
    Some(Choice { content, ..Choice::default() })
}

fn streamed(plain: &Plain, body: &[u8]) -> Option<Choice> {
    let (mut text, mut splitter) = (String::new(), Splitter::default());
    let mut pictures = Vec::new();
    let mut event = |data: &[u8]| {
        let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
        let is_last = value.get("type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with(".completed"));
        if is_last {
            gather(&value, &mut pictures);
        }
        // A `done` event has the whole text again.
        let piece = plain.content.iter().find_map(|name| value.get(name)?.as_str());
        let whole = value.get("type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with(".done"));
        if !whole && !plain.content.contains(&"b64_json") {
            text.push_str(piece.unwrap_or_default());
        }
    };
    splitter.push(body, |found| event(&found.data));
    splitter.finish(|found| event(&found.data));
    let text = Some(text).filter(|text| !text.is_empty()).map(Block::text);
    Some(Choice { content: text.into_iter().chain(pictures).collect(), ..Choice::default() })
}
