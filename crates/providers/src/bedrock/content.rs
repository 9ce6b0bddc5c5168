//! Blocks, read and written.

use serde_json::{Map, Value, json};

use crate::chat::{Block, Form, Media, MediaKind, MediaSource, Opaque, Rest, Text, Thinking, ToolCall, ToolResult};
use crate::object::{Object, text, wrong};
use crate::{ApiError, DialectId, seal};

type Read<T> = Result<T, ApiError>;

/// Formats, and the media types that they stand for.
const FORMATS: &[(MediaKind, &str, &str)] = &[
    (MediaKind::Image, "png", "image/png"),
    (MediaKind::Image, "jpeg", "image/jpeg"),
    (MediaKind::Image, "gif", "image/gif"),
    (MediaKind::Image, "webp", "image/webp"),
    (MediaKind::Document, "pdf", "application/pdf"),
    (MediaKind::Document, "csv", "text/csv"),
    (MediaKind::Document, "doc", "application/msword"),
    (MediaKind::Document, "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (MediaKind::Document, "xls", "application/vnd.ms-excel"),
    (MediaKind::Document, "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (MediaKind::Document, "html", "text/html"),
    (MediaKind::Document, "txt", "text/plain"),
    (MediaKind::Document, "md", "text/markdown"),
];
/// Where citations of an answer are kept on a text.
pub(super) const CITED: &str = "citationsContent";

/// Blocks of a message or of the instructions. A mark for the cache belongs to the block before it.
pub(super) fn blocks(values: Vec<Value>, path: &str) -> Read<Vec<Block>> {
    let mut read: Vec<Block> = Vec::with_capacity(values.len());
    for (at, value) in values.into_iter().enumerate() {
        match (value.get("cachePoint").and_then(cache_control), read.last_mut().and_then(mark)) {
            (Some(cache), Some(held)) if held.is_none() => *held = Some(cache),
            _ => read.push(block(value, &format!("{path}[{at}]"))?),
        }
    }
    Ok(read)
}

/// Where a block bears its mark for the cache.
fn mark(block: &mut Block) -> Option<&mut Option<Value>> {
    match block {
        Block::Text(Text { cache_control, .. })
        | Block::Media(Media { cache_control, .. })
        | Block::ToolCall(ToolCall { cache_control, .. })
        | Block::ToolResult(ToolResult { cache_control, .. }) => Some(cache_control),
        Block::Thinking(_) | Block::Refusal(_) | Block::Opaque(_) => None,
    }
}

/// The mark in Anthropic's words, which all others use. Nothing where there is more to it than can be said so.
pub(super) fn cache_control(point: &Value) -> Option<Value> {
    let fields = point.as_object()?;
    let known = fields.iter().all(|(name, value)| name == "type" && value == "default" || name == "ttl");
    if !known || !fields.contains_key("type") {
        return None;
    }
    let mut cache = json!({"type": "ephemeral"});
    if let Some(ttl) = fields.get("ttl") {
        cache["ttl"] = ttl.clone();
    }
    Some(cache)
}

/// The block behind one that bears this mark.
pub(super) fn cache_point(cache: &Value) -> Value {
    let mut point = json!({"type": "default"});
    if let Some(ttl) = cache.get("ttl") {
        point["ttl"] = ttl.clone();
    }
    json!({ "cachePoint": point })
}

/// One block; one of a kind not known here is kept as it came.
pub(super) fn block(value: Value, path: &str) -> Read<Block> {
    let Some(fields) = value.as_object() else { return Err(wrong(path, "an object")) };
    let mut members = fields.iter();
    // A block has one member, but for nulls that some clients send beside it.
    let (Some((kind, inner)), None) = (members.next(), members.next()) else { return Ok(opaque(value)) };
    let read = match (kind.as_str(), inner) {
        ("text", Value::String(text)) => Some(Block::text(text.as_str())),
        ("image", inner) => media(inner, MediaKind::Image),
        ("document", inner) => media(inner, MediaKind::Document),
        ("toolUse", inner) => tool_use(inner),
        ("toolResult", inner) => tool_result(inner, &format!("{path}.toolResult"))?,
        ("reasoningContent", inner) => reasoning(inner),
        ("citationsContent", inner) => Some(cited(inner)),
        _ => None,
    };
    Ok(read.unwrap_or_else(|| opaque(value)))
}

fn opaque(json: Value) -> Block {
    Block::Opaque(Opaque { dialect: DialectId::BedrockConverse, json })
}

/// Text with where it is from.
fn cited(inner: &Value) -> Block {
    let said = inner.get("content").and_then(Value::as_array).into_iter().flatten();
    let text = said.filter_map(|part| part.get("text")?.as_str()).collect();
    let rest = [(CITED.to_owned(), inner.clone())].into_iter().collect();
    Block::Text(Text { text, cache_control: None, rest })
}

fn media(inner: &Value, kind: MediaKind) -> Option<Block> {
    let mut fields = inner.as_object()?.clone();
    let format = fields.shift_remove("format")?;
    let mime = FORMATS.iter().find(|row| row.0 == kind && Some(row.1) == format.as_str())?.2.to_owned();
    let source = fields.shift_remove("source")?;
    let name = match fields.shift_remove("name") {
        Some(Value::String(name)) => Some(name),
        Some(_) => return None,
        None => None,
    };
    let mut members = source.as_object()?.iter();
    let source = match (members.next()?, members.next()) {
        ((key, Value::String(data)), None) if key == "bytes" => MediaSource::Base64 { mime, data: data.clone() },
        ((key, Value::String(data)), None) if key == "text" && kind == MediaKind::Document => {
            MediaSource::Text { mime, data: data.clone() }
        }
        _ => return None,
    };
    Some(Block::Media(Media { kind, source, name, cache_control: None, rest: fields, bare: false }))
}

fn tool_use(inner: &Value) -> Option<Block> {
    let mut fields = inner.as_object()?.clone();
    let (Value::String(id), Value::String(name)) = (fields.shift_remove("toolUseId")?, fields.shift_remove("name")?)
    else {
        return None;
    };
    // What the provider ran itself is no call of the client's.
    if fields.get("type").is_some_and(|kind| kind == "server_tool_use") {
        return None;
    }
    let arguments = fields.shift_remove("input").map_or_else(String::new, |input| input.to_string());
    Some(Block::ToolCall(ToolCall { id, name, arguments, rest: fields, ..ToolCall::default() }))
}

fn tool_result(inner: &Value, path: &str) -> Read<Option<Block>> {
    let mut object = Object::of(inner.clone(), path)?;
    let id = object.string("toolUseId")?.ok_or_else(|| object.missing("toolUseId"))?;
    let status = object.string("status")?;
    let is_error = match status.as_deref() {
        None => None,
        Some("success") => Some(false),
        Some("error") => Some(true),
        Some(_) => return Err(object.wrong("status", "success or error")),
    };
    let parts = object.array("content")?;
    let form = if parts.is_some() { Form::Parts } else { Form::Absent };
    let content = blocks(parts.unwrap_or_default(), &format!("{path}.content"))?;
    let content = content.into_iter().map(said_as_json).collect();
    let (rest, cache_control) = (object.rest(), None);
    Ok(Some(Block::ToolResult(ToolResult { id, is_error, content, cache_control, rest, form })))
}

/// A tool may answer with any JSON, which other dialects know as its text.
fn said_as_json(block: Block) -> Block {
    match block {
        Block::Opaque(Opaque { json, .. }) if json.get("json").is_some() => {
            let text = json.get("json").map(Value::to_string).unwrap_or_default();
            Block::Text(Text { text, cache_control: None, rest: [("json".to_owned(), json)].into_iter().collect() })
        }
        block => block,
    }
}

fn reasoning(inner: &Value) -> Option<Block> {
    let fields = inner.as_object()?;
    if let Some(Value::String(data)) = fields.get("redactedContent") {
        let redacted = Some(seal::seal(DialectId::BedrockConverse, data));
        return Some(Block::Thinking(Thinking { redacted, ..Thinking::default() }));
    }
    let said = fields.get("reasoningText")?.as_object()?;
    let signature = said.get("signature").and_then(Value::as_str).map(str::to_owned);
    let text = said.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
    let rest = said.iter().filter(|(name, _)| !["text", "signature"].contains(&name.as_str()));
    let rest: Rest = rest.map(|(name, value)| (name.clone(), value.clone())).collect();
    Some(Block::Thinking(Thinking { text, signature, rest, ..Thinking::default() }))
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

/// A block as Bedrock takes it, without its mark for the cache. `native` blocks came from this dialect and keep what only
/// it knows. `None` where it cannot be said; calls whose arguments are no JSON object are the caller's to refuse.
pub(super) fn write_block(block: &Block, native: bool) -> Option<Value> {
    match block {
        Block::Text(text) => Some(match text.rest.get(CITED).filter(|_| native) {
            Some(cited) => json!({ CITED: cited }),
            None => json!({ "text": text.text }),
        }),
        Block::Refusal(text) => Some(json!({ "text": text.text })),
        Block::Media(media) => write_media(media, native),
        Block::Thinking(thinking) => write_thinking(thinking, native),
        Block::ToolCall(call) => {
            let mut fields = Map::new();
            fields.insert("toolUseId".to_owned(), json!(call.id));
            fields.insert("name".to_owned(), json!(call.name));
            if !(native && call.arguments.is_empty()) {
                let input =
                    if native { serde_json::from_str(&call.arguments).ok()? } else { input(&call.arguments).ok()? };
                fields.insert("input".to_owned(), input);
            }
            if native {
                fields.extend(call.rest.clone());
            }
            Some(json!({ "toolUse": fields }))
        }
        Block::ToolResult(result) => Some(write_result(result, native)),
        Block::Opaque(opaque) => native.then(|| opaque.json.clone()),
    }
}

/// Blocks with their marks behind them.
pub(super) fn write_marked(block: &Block, native: bool) -> Option<[Option<Value>; 2]> {
    let cache = match block {
        Block::Text(Text { cache_control, .. })
        | Block::Media(Media { cache_control, .. })
        | Block::ToolCall(ToolCall { cache_control, .. })
        | Block::ToolResult(ToolResult { cache_control, .. }) => cache_control.as_ref(),
        Block::Thinking(_) | Block::Refusal(_) | Block::Opaque(_) => None,
    };
    Some([Some(write_block(block, native)?), cache.map(cache_point)])
}

fn write_thinking(thinking: &Thinking, native: bool) -> Option<Value> {
    if let Some(data) = &thinking.redacted {
        let data = seal::open(DialectId::BedrockConverse, data)?;
        return Some(json!({ "reasoningContent": { "redactedContent": data } }));
    }
    let mut said = Map::new();
    said.insert("text".to_owned(), json!(thinking.text));
    if let Some(signature) = &thinking.signature {
        said.insert("signature".to_owned(), json!(signature));
    }
    if native {
        said.extend(thinking.rest.clone());
    }
    Some(json!({ "reasoningContent": { "reasoningText": said } }))
}

fn write_media(media: &Media, native: bool) -> Option<Value> {
    let (mime, source) = match &media.source {
        MediaSource::Base64 { mime, data } => (mime, json!({ "bytes": data })),
        MediaSource::Text { mime, data } => (mime, json!({ "text": data })),
        MediaSource::Url(_) | MediaSource::File(_) => return None,
    };
    let bare = mime.split(';').next().unwrap_or_default().trim();
    let bare = if bare == "image/jpg" { "image/jpeg" } else { bare };
    let format = FORMATS.iter().find(|row| row.0 == media.kind && row.2 == bare)?.1;
    let mut fields = Map::new();
    fields.insert("format".to_owned(), json!(format));
    let kind = match media.kind {
        MediaKind::Image => "image",
        MediaKind::Document => {
            let name = media.name.clone().filter(|_| native);
            let name = name.or_else(|| (!native).then(|| document_name(media.name.as_deref())));
            fields.extend(name.map(|name| ("name".to_owned(), Value::from(name))));
            "document"
        }
        MediaKind::Audio => return None,
    };
    fields.insert("source".to_owned(), source);
    if native {
        fields.extend(media.rest.clone());
    }
    Some(json!({ kind: fields }))
}

/// A name in the letters that Bedrock takes: no file's ending, no two spaces in a row. It demands one.
fn document_name(name: Option<&str>) -> String {
    const LONGEST: usize = 200;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-()[]".contains(c);
    let spaced: String = name.unwrap_or_default().chars().map(|c| if allowed(c) { c } else { ' ' }).collect();
    let name = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() { "document".to_owned() } else { name.chars().take(LONGEST).collect() }
}

fn write_result(result: &ToolResult, native: bool) -> Value {
    let mut fields = Map::new();
    fields.insert("toolUseId".to_owned(), json!(result.id));
    if !(native && result.form == Form::Absent) {
        let mut content = Vec::new();
        for block in result.content.iter().filter(|block| native || !block.is_empty_text()) {
            let as_json = |block: &Block| match block {
                Block::Text(text) if native => text.rest.get("json").cloned(),
                _ => None,
            };
            match as_json(block) {
                Some(json) => content.push(json),
                None => content.extend(write_marked(block, native).into_iter().flatten().flatten()),
            }
        }
        if content.is_empty() && !native {
            // It wants something, and to no text it answers with an error.
            content.push(json!({"json": {}}));
        }
        fields.insert("content".to_owned(), Value::Array(content));
    }
    if let Some(is_error) = result.is_error {
        fields.insert("status".to_owned(), json!(if is_error { "error" } else { "success" }));
    }
    if native {
        fields.extend(result.rest.clone());
    }
    json!({ "toolResult": fields })
}

/// The id of a call, or a made one: clients cannot answer a call without.
pub(super) fn tool_use_id(id: &str) -> String {
    if id.is_empty() { format!("tooluse_{}", uuid::Uuid::now_v7().simple()) } else { id.to_owned() }
}

/// A string member that is not empty.
pub(super) fn member<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    text(value.get(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_get_names_that_bedrock_takes() {
        for (name, want) in [
            (Some("Report (2026)_v1.pdf"), "Report (2026) v1 pdf"),
            (Some("über/../etc"), "ber etc"),
            (Some("  "), "document"),
            (None, "document"),
        ] {
            assert_eq!(document_name(name), want);
        }
    }

    #[test]
    fn a_mark_belongs_to_the_block_before_it() {
        let parts = json!([{"text": "a"}, {"cachePoint": {"type": "default", "ttl": "1h"}}, {"cachePoint": {"type": "default"}}]);
        let read = blocks(parts.as_array().unwrap().clone(), "content").unwrap();
        let written: Vec<_> = read.iter().filter_map(|block| write_marked(block, true)).flatten().flatten().collect();
        assert_eq!(Value::Array(written), parts);
        let Block::Text(text) = &read[0] else { panic!() };
        assert_eq!(text.cache_control, Some(json!({"type": "ephemeral", "ttl": "1h"})));
        assert!(matches!(read[1], Block::Opaque(_)), "a second mark has no block to belong to");
    }
}
