//! Parts of messages, read and written.

use serde_json::{Map, Value, json};

use crate::chat::{
    Block, Content, Form, Media, MediaKind, MediaSource, Opaque, Rest, Text, Thinking, ThinkingField, ToolCall,
};
use crate::object::{Object, text, wrong};
use crate::{ApiError, DialectId};

type Read<T> = Result<T, ApiError>;

/// Reads a part of one kind; `None` where it is not as that kind should be.
type ReadPart = fn(&mut Object) -> Read<Option<Block>>;

/// A message's `content`: a string or a list of parts.
pub(super) fn content(value: Option<Value>, path: &str) -> Read<Content> {
    match value {
        None => Ok(Content::default()),
        Some(Value::String(text)) => Ok(Content { blocks: vec![Block::text(text)], form: Form::Text }),
        Some(Value::Array(parts)) => {
            let read = |(at, value)| part(value, &format!("{path}[{at}]"));
            Ok(Content { blocks: parts.into_iter().enumerate().map(read).collect::<Read<_>>()?, form: Form::Parts })
        }
        Some(_) => Err(wrong(path, "a string or an array of parts")),
    }
}

fn part(value: Value, path: &str) -> Read<Block> {
    let opaque = |json| Block::Opaque(Opaque { dialect: DialectId::OpenAiChat, json });
    let Some(kind) = value.get("type").and_then(Value::as_str) else { return Err(wrong(path, "a part with a type")) };
    let known: Option<ReadPart> = match kind {
        "text" => Some(|part| Ok(part.string("text")?.map(Block::text))),
        "refusal" => {
            Some(|part| Ok(part.string("refusal")?.map(|text| Block::Refusal(Text { text, ..Text::default() }))))
        }
        "image_url" => Some(image),
        "file" => Some(file),
        "input_audio" => Some(audio),
        "thinking" => Some(thinking),
        _ => None,
    };
    let Some(read) = known else { return Ok(opaque(value)) };
    let mut object = Object::of(value.clone(), path)?;
    let Some(mut block) = read(&mut object)? else { return Ok(opaque(value)) };
    object.take("type");
    let cache = object.take("cache_control");
    let left = object.rest();
    match &mut block {
        Block::Text(Text { cache_control, rest, .. }) | Block::Refusal(Text { cache_control, rest, .. }) => {
            (*cache_control, *rest) = (cache, left);
        }
        // What stands around the inner object has no place of its own.
        Block::Media(_) if !left.is_empty() => return Ok(opaque(value)),
        Block::Media(media) => media.cache_control = cache,
        Block::Thinking(thinking) => thinking.rest = left,
        _ => {}
    }
    Ok(block)
}

fn media(kind: MediaKind, source: MediaSource, rest: Rest) -> Media {
    Media { kind, source, name: None, cache_control: None, rest, bare: false }
}

fn image(part: &mut Object) -> Read<Option<Block>> {
    if let Some(url) = part.get("image_url").and_then(Value::as_str).map(str::to_owned) {
        part.take("image_url");
        return Ok(Some(Block::Media(Media { bare: true, ..media(MediaKind::Image, address(url), Rest::new()) })));
    }
    let Some(mut inner) = part.object("image_url")? else { return Err(part.missing("image_url")) };
    let Some(url) = inner.string("url")? else { return Err(inner.missing("url")) };
    Ok(Some(Block::Media(media(MediaKind::Image, address(url), inner.rest()))))
}

fn file(part: &mut Object) -> Read<Option<Block>> {
    let Some(mut inner) = part.object("file")? else { return Err(part.missing("file")) };
    let name = inner.string("filename")?;
    let source = match (inner.string("file_data")?, inner.string("file_id")?) {
        (Some(data), None) => address(data),
        (None, Some(id)) => MediaSource::File(id),
        // Neither or both: kept as it came.
        _ => return Ok(None),
    };
    Ok(Some(Block::Media(Media { name, ..media(MediaKind::Document, source, inner.rest()) })))
}

fn audio(part: &mut Object) -> Read<Option<Block>> {
    let Some(mut inner) = part.object("input_audio")? else { return Ok(None) };
    let (Some(data), Some(format)) = (inner.string("data")?, inner.string("format")?) else { return Ok(None) };
    let source = MediaSource::Base64 { mime: format!("audio/{format}"), data };
    Ok(Some(Block::Media(media(MediaKind::Audio, source, inner.rest()))))
}

/// Mistral's reasoning: a list with one text.
fn thinking(part: &mut Object) -> Read<Option<Block>> {
    let Some(Value::Array(items)) = part.take("thinking") else { return Ok(None) };
    let [Value::Object(item)] = &items[..] else { return Ok(None) };
    let plain = item.len() == 2 && item.get("type").is_some_and(|kind| kind == "text");
    let Some(text) = item.get("text").and_then(Value::as_str).filter(|_| plain) else { return Ok(None) };
    let thinking = Thinking { text: text.to_owned(), field: ThinkingField::Part, ..Thinking::default() };
    Ok(Some(Block::Thinking(thinking)))
}

/// A data URI as its parts; every other address as it is.
pub(crate) fn address(url: String) -> MediaSource {
    let parts = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match parts {
        Some((mime, data)) if !mime.is_empty() && !mime.contains(';') => {
            MediaSource::Base64 { mime: mime.to_owned(), data: data.to_owned() }
        }
        _ => MediaSource::Url(url),
    }
}

/// A block as a part of `content`, if the dialect has one for it. `cached` keeps marks of the prompt cache.
pub(super) fn write_part(block: &Block, native: bool, cached: bool) -> Option<Value> {
    let (mut part, cache, rest) = match block {
        Block::Text(Text { text, cache_control, rest }) => {
            (json!({"type": "text", "text": text}), cache_control, Some(rest))
        }
        Block::Refusal(Text { text, cache_control, rest }) => {
            (json!({"type": "refusal", "refusal": text}), cache_control, Some(rest))
        }
        Block::Media(media) => (write_media(media, native)?, &media.cache_control, None),
        Block::Thinking(Thinking { text, rest, .. }) => {
            (json!({"type": "thinking", "thinking": [{"type": "text", "text": text}]}), &None, Some(rest))
        }
        Block::Opaque(opaque) => return native.then(|| opaque.json.clone()),
        Block::ToolCall(_) | Block::ToolResult(_) => return None,
    };
    let fields = part.as_object_mut()?;
    if let (Some(rest), true) = (rest, native) {
        fields.extend(rest.clone());
    }
    if let (Some(cache), true) = (cache, native || cached) {
        fields.insert("cache_control".to_owned(), cache.clone());
    }
    Some(part)
}

fn write_media(media: &Media, native: bool) -> Option<Value> {
    let url = match &media.source {
        MediaSource::Base64 { mime, data } => format!("data:{mime};base64,{data}"),
        MediaSource::Url(url) => url.clone(),
        MediaSource::File(id) => id.clone(),
        MediaSource::Text { data, .. } => return Some(json!({"type": "text", "text": data})),
    };
    if media.bare && native {
        let mut part = json!({"type": "image_url", "image_url": url});
        part.as_object_mut()?.extend(media.rest.clone());
        return Some(part);
    }
    let (kind, mut inner) = match (media.kind, &media.source) {
        (MediaKind::Image, MediaSource::File(_)) => return None,
        (MediaKind::Image, _) => ("image_url", json!({ "url": url })),
        (MediaKind::Document, MediaSource::File(_)) => ("file", json!({ "file_id": url })),
        (MediaKind::Document, MediaSource::Url(_)) if !native => return None,
        (MediaKind::Document, _) => ("file", json!({ "file_data": url })),
        (MediaKind::Audio, MediaSource::Base64 { mime, data }) => {
            let format = mime.strip_prefix("audio/").unwrap_or(mime);
            ("input_audio", json!({ "data": data, "format": format }))
        }
        (MediaKind::Audio, _) => return None,
    };
    let fields = inner.as_object_mut()?;
    match &media.name {
        Some(name) => drop(fields.insert("filename".to_owned(), Value::from(name.as_str()))),
        // OpenAI refuses bytes without a name.
        None if kind == "file" && !native => drop(fields.insert("filename".to_owned(), Value::from("document.pdf"))),
        None => {}
    }
    if native {
        fields.extend(media.rest.clone());
    } else if let (MediaKind::Image, Some(detail)) = (media.kind, media.rest.get("detail")) {
        fields.insert("detail".to_owned(), detail.clone());
    }
    let mut part = Map::new();
    part.insert("type".to_owned(), Value::from(kind));
    part.insert(kind.to_owned(), inner);
    Some(Value::Object(part))
}

/// Calls as a message holds them.
pub(super) fn tool_calls(calls: Vec<Value>, path: &str) -> Read<Vec<Block>> {
    let read = |(at, value)| {
        let mut call = Object::of(value, format!("{path}[{at}]"))?;
        let id = call.string("id")?.unwrap_or_default();
        let cache_control = call.take("cache_control");
        let Some(mut function) = call.object("function")? else {
            // A call of another kind (custom tools): kept as it came.
            if !id.is_empty() {
                call.put("id", Value::from(id));
            }
            let json = Value::Object(call.rest());
            return Ok(Block::Opaque(Opaque { dialect: DialectId::OpenAiChat, json }));
        };
        let Some(name) = function.string("name")? else { return Err(function.missing("name")) };
        let arguments = arguments(function.take("arguments").as_ref());
        Ok(Block::ToolCall(ToolCall { id, name, arguments, cache_control, rest: call.rest() }))
    };
    calls.into_iter().enumerate().map(read).collect()
}

/// Arguments as text, whatever they were sent as.
pub(crate) fn arguments(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Reasoning as a message holds it, in whichever field; the field is taken from the object.
pub(super) fn reasoning(message: &mut Object) -> Vec<Block> {
    for (field, read) in [
        ("thinking_blocks", thinking_blocks as fn(&Value) -> Option<Vec<Thinking>>),
        ("reasoning_details", reasoning_details),
        ("reasoning_content", |value| plain_reasoning(value, ThinkingField::ReasoningContent)),
        ("reasoning", |value| plain_reasoning(value, ThinkingField::Reasoning)),
    ] {
        let found = message.get(field).and_then(read);
        if let Some(blocks) = found {
            message.take(field);
            return blocks.into_iter().map(Block::Thinking).collect();
        }
    }
    Vec::new()
}

fn plain_reasoning(value: &Value, field: ThinkingField) -> Option<Vec<Thinking>> {
    let text = value.as_str().filter(|text| !text.is_empty())?.to_owned();
    Some(vec![Thinking { text, field, ..Thinking::default() }])
}

/// Anthropic's blocks in OpenAI's format.
pub(super) fn thinking_blocks(value: &Value) -> Option<Vec<Thinking>> {
    let items = value.as_array().filter(|items| !items.is_empty())?;
    items.iter().map(|item| block(item, "thinking", "redacted_thinking", ThinkingField::ThinkingBlocks)).collect()
}

/// OpenRouter's details.
pub(super) fn reasoning_details(value: &Value) -> Option<Vec<Thinking>> {
    let items = value.as_array().filter(|items| !items.is_empty())?;
    items
        .iter()
        .map(|item| block(item, "reasoning.text", "reasoning.encrypted", ThinkingField::ReasoningDetails))
        .collect()
}

fn block(item: &Value, open: &str, hidden: &str, field: ThinkingField) -> Option<Thinking> {
    let mut rest = item.as_object()?.clone();
    let kind = rest.shift_remove("type")?;
    let mut string = |key: &str| match rest.get(key) {
        Some(Value::String(_)) => rest.shift_remove(key).and_then(|value| value.as_str().map(str::to_owned)),
        _ => None,
    };
    let (text_key, summary) =
        if open == "thinking" { ("thinking", false) } else { ("text", kind == "reasoning.summary") };
    if summary {
        // A summary is readable, but nobody's proof: it goes back in its own words only.
        let text = string("summary")?;
        rest.insert("type".to_owned(), kind);
        return Some(Thinking { text, rest, field, ..Thinking::default() });
    }
    if kind == open {
        let (text, signature) = (string(text_key)?, string("signature"));
        return Some(Thinking { text, signature, rest, field, ..Thinking::default() });
    }
    (kind == hidden).then(|| string("data")).flatten().map(|data| Thinking {
        redacted: Some(data),
        rest,
        field,
        ..Thinking::default()
    })
}

/// A block of reasoning as an item of `thinking_blocks` or `reasoning_details`.
pub(super) fn write_reasoning(thinking: &Thinking, field: ThinkingField) -> Value {
    let blocks = field == ThinkingField::ThinkingBlocks;
    let summary = text(thinking.rest.get("type")).is_some();
    let mut item = match (&thinking.redacted, blocks) {
        (Some(data), true) => json!({"type": "redacted_thinking", "data": data}),
        (Some(data), false) => json!({"type": "reasoning.encrypted", "data": data}),
        (None, true) => json!({"type": "thinking", "thinking": thinking.text}),
        (None, false) if summary => json!({"summary": thinking.text}),
        (None, false) => json!({"type": "reasoning.text", "text": thinking.text}),
    };
    if let Some(fields) = item.as_object_mut() {
        if let Some(signature) = &thinking.signature {
            fields.insert("signature".to_owned(), Value::from(signature.as_str()));
        }
        if thinking.field == field {
            fields.extend(thinking.rest.clone());
        }
    }
    item
}
