//! A conversation of another dialect as Bedrock's turns.
//!
//! As with Anthropic: instructions at the front become `system`, later ones stay where they are as marked user text, turns
//! of one role are merged, results of tools stand first in theirs, texts without text are left out. Besides, a document
//! wants a text beside it, and models that keep no prompt cache refuse its marks.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};

use serde_json::{Value, json};

use super::Family;
use super::content::{input, write_marked};
use super::encode::is_said;
use crate::ApiError;
use crate::chat::{Block, ChatRequest, MediaKind, MediaSource, Message, Role, Thinking, ToolCall, ToolResult};
use crate::loss::Ledger;
use crate::{DialectId, seal};

/// The longest id of a call.
const LONGEST_ID: usize = 64;

/// The turns of a request.
#[derive(Debug, Default)]
pub(super) struct Turns {
    pub(super) system: Vec<Value>,
    pub(super) turns: Vec<(&'static str, Vec<Value>)>,
    /// The tools that were called, each once.
    pub(super) tool_names: Vec<String>,
    /// The conversation ends with results of tools, and the turn that called them holds no thinking with its proof.
    pub(super) unsigned_tools: bool,
}

pub(super) fn takes_marks(family: Family) -> bool {
    family != Family::Other
}

pub(super) fn write(request: &ChatRequest, family: Family, ledger: &mut Ledger) -> Result<Turns, ApiError> {
    let mut writer = Writer { ledger, family, turns: Turns::default(), open_calls: VecDeque::new(), calls: 0 };
    for block in request.system.iter().flat_map(|system| &system.blocks) {
        writer.system(block);
    }
    for (at, message) in request.turns().iter().enumerate() {
        writer.message(at, message)?;
    }
    writer.accompany_documents();
    let mut turns = writer.turns;
    trim_prefill(&mut turns);
    turns.unsigned_tools = unsigned_tools(&turns.turns);
    if !turns.turns.iter().any(|(role, _)| *role == "user") {
        let message = "messages needs at least one message of the user.";
        return Err(ApiError::invalid("missing_parameter", message).with_param("messages"));
    }
    Ok(turns)
}

struct Writer<'a> {
    ledger: &'a mut Ledger,
    family: Family,
    turns: Turns,
    /// Ids of calls that were not answered yet.
    open_calls: VecDeque<String>,
    calls: usize,
}

impl Writer<'_> {
    fn system(&mut self, block: &Block) {
        if is_said(block) {
            let marked = self.marked(block);
            self.turns.system.extend(marked);
        }
    }

    /// A block and its mark for the cache, where the model keeps one.
    fn marked(&mut self, block: &Block) -> Vec<Value> {
        let Some([written, mark]) = write_marked(block, false) else { return Vec::new() };
        let kept = mark.as_ref().is_none_or(|_| takes_marks(self.family));
        if !kept {
            self.ledger.note("cache_control");
        }
        written.into_iter().chain(mark.filter(|_| kept)).collect()
    }

    fn message(&mut self, at: usize, message: &Message) -> Result<(), ApiError> {
        if message.rest.get("name").is_some_and(|name| !name.is_null()) {
            self.ledger.note("messages.name");
        }
        let foreign = |block: &Block| matches!(block, Block::Opaque(_)) && self.ledger.drops("messages.content");
        let kept: Vec<Block> = message.content.blocks.iter().filter(|block| !foreign(block)).cloned().collect();
        if kept.len() < message.content.blocks.len() {
            self.ledger.note("messages.content");
        }
        let blocks = &kept[..];
        match message.role {
            Role::System | Role::Developer if self.turns.turns.is_empty() => {
                blocks.iter().for_each(|block| self.system(block));
                Ok(())
            }
            Role::System | Role::Developer => {
                self.ledger.note("messages.system");
                for block in blocks {
                    if let (Block::Text(text), false) = (block, block.is_empty_text()) {
                        let marked = format!("<system>\n{}\n</system>", text.text);
                        self.push("user", [json!({ "text": marked })]);
                    }
                }
                Ok(())
            }
            Role::User | Role::Tool => blocks.iter().try_for_each(|block| self.user(at, block)),
            Role::Assistant => self.assistant(at, blocks),
        }
    }

    fn push(&mut self, role: &'static str, written: impl IntoIterator<Item = Value>) {
        let written: Vec<Value> = written.into_iter().collect();
        let is_result = |block: &Value| block.get("toolResult").is_some();
        match self.turns.turns.last_mut() {
            Some((last, blocks)) if *last == role => {
                // Results, and the marks behind them, come first in their turn.
                let of_results = |b: &&Value| is_result(b) || b.get("cachePoint").is_some();
                let results = blocks.iter().take_while(of_results).count();
                let at = if written.first().is_some_and(is_result) { results } else { blocks.len() };
                blocks.splice(at..at, written);
            }
            _ if written.is_empty() => {}
            _ => self.turns.turns.push((role, written)),
        }
    }

    fn user(&mut self, at: usize, block: &Block) -> Result<(), ApiError> {
        if block.is_empty_text() {
            return Ok(());
        }
        let written = match block {
            Block::ToolResult(result) => self.result(at, result)?,
            block => self.said(at, block)?,
        };
        self.push("user", written);
        Ok(())
    }

    /// A block that is neither a call nor a result.
    fn said(&mut self, at: usize, block: &Block) -> Result<Vec<Value>, ApiError> {
        let param = format!("messages[{at}].content");
        if let Block::Media(media) = block {
            if media.kind == MediaKind::Audio {
                return Err(self.ledger.refusal("messages.audio", param));
            }
            match &media.source {
                MediaSource::File(_) => return Err(self.ledger.refusal("messages.file_id", param)),
                MediaSource::Url(_) => return Err(self.ledger.refusal("messages.url", param)),
                MediaSource::Base64 { .. } | MediaSource::Text { .. } => {}
            }
            if media.rest.contains_key("detail") {
                self.ledger.note("image_url.detail");
            }
        }
        let written = self.marked(block);
        if written.is_empty() { Err(self.ledger.refusal("messages.content", param)) } else { Ok(written) }
    }

    fn result(&mut self, at: usize, result: &ToolResult) -> Result<Vec<Value>, ApiError> {
        let mut own = result.clone();
        own.id = if result.id.is_empty() {
            self.open_calls.pop_front().unwrap_or_default()
        } else {
            let id = self.safe_id(&result.id);
            self.open_calls.retain(|open| *open != id);
            id
        };
        for block in &mut own.content {
            if !matches!(block, Block::Text(_)) {
                self.said(at, block)?;
            }
            // There are no marks inside results; one on a text in it is one on the result.
            if let Block::Text(text) = block {
                let mark = text.cache_control.take();
                own.cache_control = own.cache_control.take().or(mark);
            }
            if let Block::Media(media) = block {
                media.cache_control = None;
            }
        }
        Ok(self.marked(&Block::ToolResult(own)))
    }

    fn assistant(&mut self, at: usize, blocks: &[Block]) -> Result<(), ApiError> {
        self.open_calls.clear();
        // Thinking comes first, or Claude refuses it.
        for block in blocks {
            let Block::Thinking(Thinking { signature, redacted, .. }) = block else { continue };
            let signed = signature.as_deref().is_some_and(|proof| !proof.is_empty() && !seal::is_marked(proof));
            let sealed = redacted.as_deref().is_some_and(|data| seal::open(DialectId::BedrockConverse, data).is_some());
            if sealed || signed && redacted.is_none() {
                let written = self.marked(block);
                self.push("assistant", written);
            } else {
                self.ledger.note("messages.reasoning");
            }
        }
        let mut calls = 0;
        for block in blocks {
            let written = match block {
                Block::Thinking(_) => continue,
                block if block.is_empty_text() => continue,
                Block::ToolCall(call) => {
                    let param = format!("messages[{at}].tool_calls[{calls}].function.arguments");
                    calls += 1;
                    self.call(call, param)?
                }
                block => self.said(at, block)?,
            };
            self.push("assistant", written);
        }
        Ok(())
    }

    fn call(&mut self, call: &ToolCall, param: String) -> Result<Vec<Value>, ApiError> {
        if input(&call.arguments).is_err() {
            let message = format!("{param} must be the text of a JSON object.");
            return Err(ApiError::invalid("invalid_tool_arguments", message).with_param(param));
        }
        self.calls += 1;
        let id = if call.id.is_empty() { format!("call_{}", self.calls) } else { self.safe_id(&call.id) };
        self.open_calls.push_back(id.clone());
        if !self.turns.tool_names.contains(&call.name) {
            self.turns.tool_names.push(call.name.clone());
        }
        Ok(self.marked(&Block::ToolCall(ToolCall { id, ..call.clone() })))
    }

    /// An id in the letters and of the length Bedrock takes. Equal ids stay equal and different ones different, so that
    /// calls and results still find each other.
    fn safe_id(&mut self, id: &str) -> String {
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if id.len() <= LONGEST_ID && id.bytes().all(is_safe) {
            return id.to_owned();
        }
        self.ledger.note("tool_calls.id");
        // A name made of the whole id, so that what had to be left out counts too.
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u8(salt);
            hasher.write(id.as_bytes());
            hasher.finish()
        };
        format!("call_{:016x}{:016x}", half(0), half(1))
    }

    /// A document is refused without a text in the same turn.
    fn accompany_documents(&mut self) {
        for (_, blocks) in &mut self.turns.turns {
            let has = |name: &str| blocks.iter().any(|block| block.get(name).is_some());
            if has("document") && !has("text") {
                self.ledger.note("messages.document");
                blocks.push(json!({ "text": "(document)" }));
            }
        }
    }
}

/// White space at the end of an answer to go on with is refused.
fn trim_prefill(turns: &mut Turns) {
    let Some(("assistant", blocks)) = turns.turns.last_mut() else { return };
    let Some(text) = blocks.last_mut().and_then(|block| block.get_mut("text")) else { return };
    let trimmed = text.as_str().map(|text| text.trim_end().to_owned()).unwrap_or_default();
    *text = Value::from(trimmed);
}

fn unsigned_tools(turns: &[(&'static str, Vec<Value>)]) -> bool {
    let [.., (_, called), ("user", answers)] = turns else { return false };
    let answers_tools = answers.first().is_some_and(|block| block.get("toolResult").is_some());
    let thought = called.first().is_some_and(|block| block.get("reasoningContent").is_some());
    answers_tools && !thought
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Registry, dialect};

    fn from_openai(body: &Value, model: &str) -> (Value, Vec<String>) {
        let request = dialect(DialectId::OpenAiChat).decode_request(body.to_string().as_bytes()).unwrap();
        let provider = Registry::builtin().get("bedrock").unwrap();
        let encoded = dialect(DialectId::BedrockConverse).encode_request(&request, model, provider, 4096).unwrap();
        let notes = encoded.notes.into_iter().map(|note| note.feature).collect();
        (serde_json::from_slice(&encoded.body).unwrap(), notes)
    }

    #[test]
    fn long_ids_are_cut_so_that_calls_and_results_still_find_each_other() {
        let id = "call_".to_owned() + &"x".repeat(80);
        let asked = json!({"model": "m", "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": {"name": "t", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": id, "content": ""},
        ]});
        let (body, notes) = from_openai(&asked, "amazon.nova-lite-v1:0");
        let called = &body["messages"][1]["content"][0]["toolUse"]["toolUseId"];
        assert!(called.as_str().unwrap().len() <= LONGEST_ID);
        assert_eq!(&body["messages"][2]["content"][0]["toolResult"]["toolUseId"], called);
        assert_eq!(body["messages"][2]["content"][0]["toolResult"]["content"], json!([{"json": {}}]));
        assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"]["name"], "t", "a tool of the past is declared");
        assert!(notes.contains(&"tool_calls.id".to_owned()));
    }

    #[test]
    fn marks_go_only_to_models_that_keep_a_cache() {
        let mark = json!({"type": "ephemeral"});
        let asked = json!({"model": "m", "messages": [
            {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": mark}, {"type": "text", "text": "b"}]},
        ]});
        let (claude, notes) = from_openai(&asked, "us.anthropic.claude-sonnet-4-5-20250929-v1:0");
        assert_eq!(claude["messages"][0]["content"][1], json!({"cachePoint": {"type": "default"}}));
        assert!(notes.is_empty(), "{notes:?}");
        let (llama, notes) = from_openai(&asked, "meta.llama3-1-70b-instruct-v1:0");
        assert_eq!(llama["messages"][0]["content"], json!([{"text": "a"}, {"text": "b"}]));
        assert_eq!(notes, ["cache_control"]);
    }

    #[test]
    fn a_document_gets_a_name_and_a_text_beside_it() {
        let file =
            json!({"type": "file", "file": {"filename": "a_b.pdf", "file_data": "data:application/pdf;base64,AA=="}});
        let asked = json!({"model": "m", "messages": [{"role": "user", "content": [file]}]});
        let (body, notes) = from_openai(&asked, "amazon.nova-lite-v1:0");
        let document = &body["messages"][0]["content"][0]["document"];
        assert_eq!(document, &json!({"format": "pdf", "name": "a b pdf", "source": {"bytes": "AA=="}}));
        assert!(body["messages"][0]["content"][1]["text"].is_string());
        assert_eq!(notes, ["messages.document"]);
    }
}
