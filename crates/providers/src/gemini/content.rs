//! Parts, read and written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::chat::{
    Block, Form, Media, MediaKind, MediaSource, Opaque, Rest, Text, Thinking, ThinkingField, ToolCall, ToolResult,
};
use crate::object::text;
use crate::{DialectId, seal};

const OWN: DialectId = DialectId::GeminiGenerateContent;

/// A part as blocks. A proof that hangs on a call is a block of its own before it.
pub(super) fn part(value: Value) -> Vec<Block> {
    let Value::Object(mut fields) = value else { return Vec::new() };
    let raw = fields.clone();
    let opaque = || vec![Block::Opaque(Opaque { dialect: OWN, json: Value::Object(raw.clone()) })];
    let proof = match fields.shift_remove("thoughtSignature") {
        Some(Value::String(proof)) => Some(proof),
        _ => None,
    };
    let thought = fields.get("thought") == Some(&Value::Bool(true));
    if let (Some(Value::String(text)), true) = (fields.get("text"), thought) {
        let (text, signature) = (text.clone(), proof.as_deref().map(read_proof));
        fields.retain(|name, _| name != "text" && name != "thought");
        let field = ThinkingField::Part;
        return vec![Block::Thinking(Thinking { text, signature, redacted: None, rest: fields, field })];
    }
    if let Some(Value::String(text)) = fields.get("text") {
        let text = text.clone();
        fields.shift_remove("text");
        if let Some(proof) = proof {
            fields.insert("thoughtSignature".to_owned(), Value::from(proof));
        }
        return vec![Block::Text(Text { text, cache_control: None, rest: fields })];
    }
    let kinds: [(&str, ReadPart); 4] =
        [("functionCall", call), ("functionResponse", result), ("inlineData", bytes), ("fileData", file)];
    let Some((name, read)) = kinds.into_iter().find(|(name, _)| fields.contains_key(*name)) else { return opaque() };
    let Some(Value::Object(inner)) = fields.shift_remove(name) else { return opaque() };
    let Some(block) = read(inner, fields) else { return opaque() };
    let signature = match (proof, &block) {
        (None, _) => return vec![block],
        (Some(proof), Block::ToolCall(_)) => Some(read_proof(&proof)),
        (Some(_), _) => return opaque(),
    };
    vec![Block::Thinking(Thinking { signature, ..Thinking::default() }), block]
}

/// Reads what stands within a part of one kind, and what stands beside it.
type ReadPart = fn(Map<String, Value>, Rest) -> Option<Block>;

fn call(mut inner: Map<String, Value>, rest: Rest) -> Option<Block> {
    let name = text(inner.get("name"))?.to_owned();
    let id = text(inner.get("id")).unwrap_or_default().to_owned();
    let arguments =
        inner.shift_remove("args").filter(|args| !args.is_null()).map_or_else(String::new, |args| args.to_string());
    inner.retain(|name, _| name != "name" && name != "id");
    // What else stands in a call (pieces of arguments) this model has no place for.
    (inner.is_empty() && rest.is_empty())
        .then(|| Block::ToolCall(ToolCall { id, name, arguments, ..ToolCall::default() }))
}

/// An answer of a tool. It stays beside what it says, for it is an object of any shape.
fn result(inner: Map<String, Value>, rest: Rest) -> Option<Block> {
    if !rest.is_empty() {
        return None;
    }
    let id = text(inner.get("id")).unwrap_or_default().to_owned();
    let said = inner.get("response").unwrap_or(&Value::Null);
    let only = |name: &str| said.as_object().filter(|fields| fields.len() == 1).and_then(|fields| fields.get(name));
    let is_error = only("error").is_some().then_some(true);
    let value = ["output", "result", "error"].into_iter().find_map(only).unwrap_or(said);
    let words = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut content = vec![Block::text(words)];
    for extra in inner.get("parts").and_then(Value::as_array).into_iter().flatten() {
        content.extend(part(extra.clone()));
    }
    let form = if content.len() == 1 { Form::Text } else { Form::Parts };
    Some(Block::ToolResult(ToolResult { id, is_error, content, form, rest: inner, ..ToolResult::default() }))
}

/// Google takes base64 in both alphabets, and its Python client writes the one of URLs, which others do not read. As it
/// came it goes back to Google only.
fn bytes(mut inner: Map<String, Value>, mut rest: Rest) -> Option<Block> {
    let mime = text(inner.get("mimeType"))?.to_owned();
    let mut data = inner.get("data")?.as_str()?.to_owned();
    if data.contains(['-', '_']) {
        rest.insert("inlineData".to_owned(), Value::Object(inner.clone()));
        data = data.replace('-', "+").replace('_', "/");
    }
    let name = text(inner.get("displayName")).map(str::to_owned);
    inner.retain(|name, _| !matches!(name.as_str(), "mimeType" | "data" | "displayName"));
    let kind = kind(&mime)?;
    inner.is_empty().then_some(Block::Media(Media {
        kind,
        source: MediaSource::Base64 { mime, data },
        name,
        cache_control: None,
        rest,
        bare: false,
    }))
}

/// A file by its address. Those that Google keeps are no one else's to fetch.
fn file(inner: Map<String, Value>, mut rest: Rest) -> Option<Block> {
    let uri = text(inner.get("fileUri"))?.to_owned();
    let kind = kind(text(inner.get("mimeType"))?)?;
    let kept = uri.starts_with("gs://") || uri.contains("generativelanguage.googleapis.com/") || !uri.contains("://");
    let source = if kept { MediaSource::File(uri) } else { MediaSource::Url(uri) };
    rest.insert("fileData".to_owned(), Value::Object(inner));
    Some(Block::Media(Media { kind, source, name: None, cache_control: None, rest, bare: false }))
}

fn kind(mime: &str) -> Option<MediaKind> {
    match mime.split('/').next()? {
        "image" => Some(MediaKind::Image),
        "audio" => Some(MediaKind::Audio),
        "application" | "text" => Some(MediaKind::Document),
        _ => None,
    }
}

/// Google's proof, marked as its own; another's, that a client carried for us, as it was.
fn read_proof(proof: &str) -> String {
    let carried = STANDARD.decode(proof).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match carried.filter(|carried| seal::is_marked(carried)) {
        Some(marked) => match seal::open(DialectId::AnthropicMessages, &marked) {
            Some(bare) => bare.to_owned(),
            None => marked,
        },
        None => seal::seal(OWN, proof),
    }
}

/// A proof as Google's clients carry it: its own as it was, another's marked, and in base64, which they expect.
pub(super) fn write_proof(signature: &str) -> String {
    match seal::open(OWN, signature) {
        Some(own) => own.to_owned(),
        None if seal::is_marked(signature) => STANDARD.encode(signature),
        None => STANDARD.encode(seal::seal(DialectId::AnthropicMessages, signature)),
    }
}

/// A part of an own request, back as it was. Proofs that stood on calls are handed over in `pending`.
pub(super) fn write_native(block: &Block, pending: &mut Option<String>) -> Option<Value> {
    Some(match block {
        Block::Thinking(thinking) if thinking.field == ThinkingField::Block && thinking.text.is_empty() => {
            *pending = thinking.signature.as_deref().map(write_proof);
            return None;
        }
        Block::Thinking(thinking) => {
            let mut fields = Map::new();
            fields.insert("text".to_owned(), Value::from(thinking.text.as_str()));
            fields.insert("thought".to_owned(), Value::from(true));
            if let Some(signature) = &thinking.signature {
                fields.insert("thoughtSignature".to_owned(), Value::from(write_proof(signature)));
            }
            fields.extend(thinking.rest.clone());
            Value::Object(fields)
        }
        Block::Text(text) => {
            let mut fields = Map::new();
            fields.insert("text".to_owned(), Value::from(text.text.as_str()));
            fields.extend(text.rest.clone());
            Value::Object(fields)
        }
        Block::ToolCall(call) => {
            let mut inner = json!({ "name": call.name });
            if !call.arguments.is_empty() {
                inner["args"] = serde_json::from_str(&call.arguments).ok()?;
            }
            if !call.id.is_empty() {
                inner["id"] = Value::from(call.id.as_str());
            }
            let mut written = json!({ "functionCall": inner });
            if let Some(proof) = pending.take() {
                written["thoughtSignature"] = Value::from(proof);
            }
            written
        }
        Block::ToolResult(result) => json!({ "functionResponse": result.rest }),
        Block::Media(media) => {
            let mut fields = media.rest.clone();
            if let MediaSource::Base64 { mime, data } = &media.source
                && !fields.contains_key("inlineData")
            {
                let mut inner = json!({"mimeType": mime, "data": data});
                if let Some(name) = &media.name {
                    inner["displayName"] = Value::from(name.as_str());
                }
                fields.insert("inlineData".to_owned(), inner);
            }
            Value::Object(fields)
        }
        Block::Opaque(opaque) => opaque.json.clone(),
        Block::Refusal(text) => json!({ "text": text.text }),
    })
}

/// Another dialect's text or media as a part, if there is one for it.
pub(super) fn write_part(block: &Block) -> Option<Value> {
    match block {
        Block::Text(text) | Block::Refusal(text) => Some(json!({ "text": text.text })),
        Block::Media(media) => match &media.source {
            MediaSource::Base64 { mime, data } => Some(json!({"inlineData": {"mimeType": mime, "data": data}})),
            MediaSource::Text { data, .. } => Some(json!({ "text": data })),
            MediaSource::Url(url) if url.starts_with("http") => {
                Some(json!({"fileData": {"fileUri": url, "mimeType": mime_of(url, media.kind)}}))
            }
            MediaSource::Url(_) | MediaSource::File(_) => None,
        },
        _ => None,
    }
}

/// The media type that an address' ending stands for.
fn mime_of(url: &str, kind: MediaKind) -> &'static str {
    const ENDINGS: &[(&str, &str)] = &[
        (".png", "image/png"),
        (".webp", "image/webp"),
        (".gif", "image/gif"),
        (".heic", "image/heic"),
        (".jpg", "image/jpeg"),
        (".jpeg", "image/jpeg"),
        (".pdf", "application/pdf"),
        (".txt", "text/plain"),
        (".wav", "audio/wav"),
        (".mp3", "audio/mp3"),
    ];
    let path = url.split(['?', '#']).next().unwrap_or(url).to_ascii_lowercase();
    let usual = match kind {
        MediaKind::Image => "image/jpeg",
        MediaKind::Document => "application/pdf",
        MediaKind::Audio => "audio/mp3",
    };
    ENDINGS.iter().find(|(ending, _)| path.ends_with(ending)).map_or(usual, |&(_, mime)| mime)
}

/// A call's arguments as the object Google wants. No text at all is no members.
///
/// # Errors
///
/// If they are not the text of a JSON object.
pub(super) fn args(arguments: &str) -> Result<Value, ()> {
    if arguments.trim().is_empty() {
        return Ok(json!({}));
    }
    match serde_json::from_str(arguments) {
        Ok(Value::Object(fields)) => Ok(Value::Object(fields)),
        _ => Err(()),
    }
}
