//! Blocks, read and written.

use serde_json::{Map, Value, json};

use crate::chat::{
    Block, Content, Form, Media, MediaKind, MediaSource, Opaque, Rest, Text, Thinking, ToolCall, ToolResult,
};
use crate::object::{Object, wrong};
use crate::{ApiError, DialectId};

type Read<T> = Result<T, ApiError>;

/// Content: a string or a list of blocks.
pub(super) fn content(value: Option<Value>, path: &str) -> Read<Content> {
    match value {
        None => Ok(Content::default()),
        Some(Value::String(text)) => Ok(Content { blocks: vec![Block::text(text)], form: Form::Text }),
        Some(Value::Array(blocks)) => {
            let read = |(at, value)| block(value, &format!("{path}[{at}]"));
            Ok(Content { blocks: blocks.into_iter().enumerate().map(read).collect::<Read<_>>()?, form: Form::Parts })
        }
        Some(_) => Err(wrong(path, "a string or an array of blocks")),
    }
}

/// One block; one of a kind not known here is kept as it came.
pub(super) fn block(value: Value, path: &str) -> Read<Block> {
    let Some(kind) = value.get("type").and_then(Value::as_str) else { return Err(wrong(path, "a block with a type")) };
    let read: fn(&mut Object) -> Read<Option<Block>> = match kind {
        "text" => text,
        "image" => |block| media(block, MediaKind::Image),
        "document" => |block| media(block, MediaKind::Document),
        "thinking" => thinking,
        "redacted_thinking" => redacted,
        "tool_use" => tool_use,
        "tool_result" => tool_result,
        _ => return Ok(opaque(value)),
    };
    let mut object = Object::of(value.clone(), path)?;
    object.take("type");
    let Some(mut block) = read(&mut object)? else { return Ok(opaque(value)) };
    let cache = object.take("cache_control");
    let left = object.rest();
    match &mut block {
        Block::Text(Text { cache_control, rest, .. })
        | Block::Media(Media { cache_control, rest, .. })
        | Block::ToolCall(ToolCall { cache_control, rest, .. })
        | Block::ToolResult(ToolResult { cache_control, rest, .. }) => (*cache_control, *rest) = (cache, left),
        Block::Thinking(thinking) => thinking.rest = left,
        Block::Refusal(_) | Block::Opaque(_) => {}
    }
    Ok(block)
}

fn opaque(json: Value) -> Block {
    Block::Opaque(Opaque { dialect: DialectId::AnthropicMessages, json })
}

fn text(block: &mut Object) -> Read<Option<Block>> {
    Ok(Some(Block::text(block.string("text")?.ok_or_else(|| block.missing("text"))?)))
}

fn thinking(block: &mut Object) -> Read<Option<Block>> {
    let text = block.string("thinking")?.unwrap_or_default();
    let signature = block.string("signature")?;
    Ok(Some(Block::Thinking(Thinking { text, signature, ..Thinking::default() })))
}

fn redacted(block: &mut Object) -> Read<Option<Block>> {
    let data = block.string("data")?;
    Ok(data.map(|data| Block::Thinking(Thinking { redacted: Some(data), ..Thinking::default() })))
}

fn media(block: &mut Object, kind: MediaKind) -> Read<Option<Block>> {
    let Some(mut from) = block.object("source")? else { return Err(block.missing("source")) };
    let word = from.string("type")?.unwrap_or_default();
    let source = match word.as_str() {
        "base64" | "text" => {
            let mime = from.string("media_type")?.ok_or_else(|| from.missing("media_type"))?;
            let data = from.string("data")?.ok_or_else(|| from.missing("data"))?;
            if word == "text" { MediaSource::Text { mime, data } } else { MediaSource::Base64 { mime, data } }
        }
        "url" => MediaSource::Url(from.string("url")?.ok_or_else(|| from.missing("url"))?),
        "file" => MediaSource::File(from.string("file_id")?.ok_or_else(|| from.missing("file_id"))?),
        _ => return Ok(None),
    };
    if !from.rest().is_empty() {
        return Ok(None);
    }
    let name = block.string("title")?;
    Ok(Some(Block::Media(Media { kind, source, name, cache_control: None, rest: Rest::new(), bare: false })))
}

fn tool_use(block: &mut Object) -> Read<Option<Block>> {
    let id = block.string("id")?.ok_or_else(|| block.missing("id"))?;
    let name = block.string("name")?.ok_or_else(|| block.missing("name"))?;
    let arguments = block.take("input").map_or_else(String::new, |input| input.to_string());
    Ok(Some(Block::ToolCall(ToolCall { id, name, arguments, ..ToolCall::default() })))
}

fn tool_result(block: &mut Object) -> Read<Option<Block>> {
    let id = block.string("tool_use_id")?.ok_or_else(|| block.missing("tool_use_id"))?;
    let path = block.path("content");
    let Content { blocks, form } = content(block.take("content"), &path)?;
    let is_error = block.boolean("is_error")?;
    Ok(Some(Block::ToolResult(ToolResult { id, is_error, content: blocks, form, ..ToolResult::default() })))
}

/// A tool's input from its arguments' text. No text at all is no members.
///
/// # Errors
///
/// If the text is not a JSON object.
pub(super) fn input(arguments: &str) -> Result<Value, ()> {
    if arguments.trim().is_empty() {
        return Ok(json!({}));
    }
    match serde_json::from_str(arguments) {
        Ok(Value::Object(fields)) => Ok(Value::Object(fields)),
        _ => Err(()),
    }
}

/// A block as Anthropic writes it. `native` blocks came from this dialect and keep the fields only it knows. `None`
/// where it cannot be said; calls whose arguments are no JSON object are the caller's to refuse.
pub(super) fn write_block(block: &Block, native: bool) -> Option<Value> {
    let (mut fields, cache, rest) = match block {
        Block::Text(text) => {
            (fields([("type", json!("text")), ("text", json!(text.text))]), &text.cache_control, &text.rest)
        }
        Block::Refusal(text) => {
            (fields([("type", json!("text")), ("text", json!(text.text))]), &text.cache_control, &text.rest)
        }
        Block::Media(media) => {
            let mut written = write_media(media)?;
            if let Some(title) = media.name.as_deref().filter(|_| media.kind == MediaKind::Document) {
                written.insert("title".to_owned(), Value::from(title));
            }
            (written, &media.cache_control, &media.rest)
        }
        Block::Thinking(thinking) => (write_thinking(thinking), &None, &thinking.rest),
        Block::ToolCall(call) => {
            let mut written = fields([("type", json!("tool_use")), ("id", json!(call.id)), ("name", json!(call.name))]);
            if !(native && call.arguments.is_empty()) {
                written.insert("input".to_owned(), input(&call.arguments).ok()?);
            }
            (written, &call.cache_control, &call.rest)
        }
        Block::ToolResult(result) => (write_result(result, native), &result.cache_control, &result.rest),
        Block::Opaque(opaque) => return native.then(|| opaque.json.clone()),
    };
    if native {
        fields.extend(rest.clone());
    }
    if let Some(cache) = cache {
        fields.insert("cache_control".to_owned(), cache.clone());
    }
    Some(Value::Object(fields))
}

fn fields<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn write_thinking(thinking: &Thinking) -> Map<String, Value> {
    if let Some(data) = &thinking.redacted {
        return fields([("type", json!("redacted_thinking")), ("data", json!(data))]);
    }
    let mut written = fields([("type", json!("thinking")), ("thinking", json!(thinking.text))]);
    if let Some(signature) = &thinking.signature {
        written.insert("signature".to_owned(), Value::from(signature.as_str()));
    }
    written
}

fn write_media(media: &Media) -> Option<Map<String, Value>> {
    let source = match &media.source {
        MediaSource::Base64 { mime, data } => json!({"type": "base64", "media_type": mime, "data": data}),
        MediaSource::Text { mime, data } => json!({"type": "text", "media_type": mime, "data": data}),
        MediaSource::Url(url) if url.starts_with("data:") => return None,
        MediaSource::Url(url) => json!({"type": "url", "url": url}),
        MediaSource::File(id) => json!({"type": "file", "file_id": id}),
    };
    let kind = match media.kind {
        MediaKind::Image => "image",
        MediaKind::Document => "document",
        MediaKind::Audio => return None,
    };
    Some(fields([("type", json!(kind)), ("source", source)]))
}

fn write_result(result: &ToolResult, native: bool) -> Map<String, Value> {
    let mut written = fields([("type", json!("tool_result")), ("tool_use_id", json!(result.id))]);
    let content = match (&result.content[..], result.form) {
        ([], Form::Absent) => None,
        ([Block::Text(text)], Form::Text) => Some(json!(text.text)),
        (blocks, _) => {
            let said = blocks.iter().filter(|block| native || !block.is_empty_text());
            Some(said.filter_map(|block| write_block(block, native)).collect())
        }
    };
    if let Some(content) = content {
        written.insert("content".to_owned(), content);
    }
    if let Some(is_error) = result.is_error {
        written.insert("is_error".to_owned(), Value::from(is_error));
    }
    written
}
