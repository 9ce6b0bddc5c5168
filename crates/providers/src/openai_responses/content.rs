//! Parts of messages, read and written.

use serde_json::{Map, Value, json};

use crate::chat::{Block, Content, Form, Media, MediaKind, MediaSource, Opaque, Rest, Text};
use crate::object::{Object, wrong};
use crate::{ApiError, DialectId};

type Read<T> = Result<T, ApiError>;

/// A string or a list of parts.
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
    let opaque = |json| Block::Opaque(Opaque { dialect: DialectId::OpenAiResponses, json });
    let Some(kind) = value.get("type").and_then(Value::as_str).map(str::to_owned) else {
        return Err(wrong(path, "a part with a type"));
    };
    let mut fields = Object::of(value.clone(), path)?;
    let block = match kind.as_str() {
        "input_text" | "output_text" => fields.string("text")?.map(|text| {
            fields.take("type");
            (text, Block::Text as fn(Text) -> Block)
        }),
        "refusal" => fields.string("refusal")?.map(|text| {
            fields.take("type");
            (text, Block::Refusal as fn(Text) -> Block)
        }),
        "input_image" => return Ok(image(fields)?.map_or_else(|| opaque(value), Block::Media)),
        "input_file" => return Ok(file(fields)?.map_or_else(|| opaque(value), Block::Media)),
        "input_audio" => return Ok(audio(fields)?.map_or_else(|| opaque(value), Block::Media)),
        _ => None,
    };
    Ok(match block {
        Some((text, make)) => make(Text { text, cache_control: None, rest: fields.rest() }),
        None => opaque(value),
    })
}

fn media(kind: MediaKind, source: MediaSource, name: Option<String>, mut rest: Rest) -> Media {
    rest.shift_remove("type");
    Media { kind, source, name, cache_control: None, rest, bare: false }
}

fn image(mut part: Object) -> Read<Option<Media>> {
    let source = match (part.string("image_url")?, part.string("file_id")?) {
        (Some(url), None) => address(url),
        (None, Some(id)) => MediaSource::File(id),
        // Neither or both: kept as it came.
        _ => return Ok(None),
    };
    Ok(Some(media(MediaKind::Image, source, None, part.rest())))
}

fn file(mut part: Object) -> Read<Option<Media>> {
    let name = part.string("filename")?;
    let source = match (part.string("file_data")?, part.string("file_id")?, part.string("file_url")?) {
        (Some(data), None, None) => address(data),
        (None, Some(id), None) => MediaSource::File(id),
        (None, None, Some(url)) if !url.starts_with("data:") => MediaSource::Url(url),
        _ => return Ok(None),
    };
    Ok(Some(media(MediaKind::Document, source, name, part.rest())))
}

fn audio(mut part: Object) -> Read<Option<Media>> {
    let Some(mut inner) = part.object("input_audio")? else { return Ok(None) };
    let (Some(data), Some(format)) = (inner.string("data")?, inner.string("format")?) else { return Ok(None) };
    let source = MediaSource::Base64 { mime: format!("audio/{format}"), data };
    Ok(inner.rest().is_empty().then(|| media(MediaKind::Audio, source, None, part.rest())))
}

/// A data URI as its parts; every other address as it is.
fn address(url: String) -> MediaSource {
    match url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((mime, data)) if !mime.is_empty() && !mime.contains(';') => {
            MediaSource::Base64 { mime: mime.to_owned(), data: data.to_owned() }
        }
        _ => MediaSource::Url(url),
    }
}

/// Blocks as the content of a message or an output: a string where they were one, else parts. `said` is the word for
/// text: `input_text` or `output_text`.
pub(super) fn write_content(blocks: &[Block], form: Form, said: &str, native: bool) -> Value {
    let plain = |text: &Text| !native || text.rest.is_empty();
    match (blocks, form) {
        ([Block::Text(text)], Form::Text) if plain(text) => Value::from(text.text.as_str()),
        (blocks, _) => blocks.iter().filter_map(|block| write_part(block, said, native)).collect(),
    }
}

/// A block as a part, if the dialect has one for it.
pub(super) fn write_part(block: &Block, said: &str, native: bool) -> Option<Value> {
    let (mut part, rest) = match block {
        Block::Text(text) => (json!({"type": said, "text": text.text}), &text.rest),
        Block::Refusal(text) if said == "output_text" => (json!({"type": "refusal", "refusal": text.text}), &text.rest),
        Block::Refusal(text) => (json!({"type": said, "text": text.text}), &text.rest),
        Block::Media(media) => (Value::Object(write_media(media)?), &media.rest),
        Block::Opaque(opaque) => return native.then(|| opaque.json.clone()),
        Block::Thinking(_) | Block::ToolCall(_) | Block::ToolResult(_) => return None,
    };
    if native {
        part.as_object_mut()?.extend(rest.clone());
    } else if let (Block::Media(_), Some(detail)) = (block, rest.get("detail")) {
        part["detail"] = detail.clone();
    }
    Some(part)
}

fn write_media(media: &Media) -> Option<Map<String, Value>> {
    let (kind, bytes, url) = match media.kind {
        MediaKind::Image => ("input_image", "image_url", "image_url"),
        MediaKind::Document => ("input_file", "file_data", "file_url"),
        MediaKind::Audio => ("input_audio", "input_audio", ""),
    };
    let mut part = Map::new();
    part.insert("type".to_owned(), Value::from(kind));
    let (name, value) = match &media.source {
        MediaSource::Base64 { mime, data } if media.kind == MediaKind::Audio => {
            let format = mime.strip_prefix("audio/").unwrap_or(mime);
            (bytes, json!({"data": data, "format": format}))
        }
        MediaSource::Base64 { mime, data } => (bytes, Value::from(format!("data:{mime};base64,{data}"))),
        MediaSource::Text { data, .. } => {
            part.insert("type".to_owned(), Value::from("input_text"));
            ("text", Value::from(data.as_str()))
        }
        MediaSource::Url(address) if address.starts_with("data:") => (bytes, Value::from(address.as_str())),
        MediaSource::Url(_) if url.is_empty() => return None,
        // What is no address stood where bytes do; only this dialect's own clients send such.
        MediaSource::Url(address) if !address.contains("://") => (bytes, Value::from(address.as_str())),
        MediaSource::Url(address) => (url, Value::from(address.as_str())),
        MediaSource::File(id) => ("file_id", Value::from(id.as_str())),
    };
    let by_bytes = name == "file_data";
    part.insert(name.to_owned(), value);
    match &media.name {
        Some(file) if kind == "input_file" => drop(part.insert("filename".to_owned(), Value::from(file.as_str()))),
        // OpenAI refuses bytes without a name.
        None if by_bytes => drop(part.insert("filename".to_owned(), Value::from("document.pdf"))),
        _ => {}
    }
    Some(part)
}
