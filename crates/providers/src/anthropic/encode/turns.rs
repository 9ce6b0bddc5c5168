//! A conversation of another dialect as Anthropic's turns.
//!
//! Instructions at the front become `system`; later ones stay where they are, as marked user text, for moving them
//! would change what they mean. Turns of one role are merged, all results of tools stand first in theirs, texts without
//! text are left out.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::super::content::{input, write_block};
use crate::ApiError;
use crate::chat::{Block, ChatRequest, Media, MediaKind, MediaSource, Message, Role, Thinking, ToolCall, ToolResult};
use crate::loss::Ledger;
use crate::seal;

/// The turns of a request.
#[derive(Debug, Default)]
pub(super) struct Turns {
    pub(super) system: Vec<Value>,
    pub(super) turns: Vec<(&'static str, Vec<Value>)>,
    /// The conversation ends with results of tools, and the turn that called them holds no thinking of Anthropic's own.
    pub(super) unsigned_tools: bool,
}

pub(super) fn write(request: &ChatRequest, ledger: &mut Ledger) -> Result<Turns, ApiError> {
    let mut writer = Writer { ledger, turns: Turns::default(), open_calls: VecDeque::new(), calls: 0 };
    for block in request.system.iter().flat_map(|system| &system.blocks) {
        writer.system(block);
    }
    for (at, message) in request.turns().iter().enumerate() {
        writer.message(at, message)?;
    }
    let mut turns = writer.turns;
    trim_prefill(&mut turns);
    turns.unsigned_tools = unsigned_tools(&turns.turns);
    if turns.turns.is_empty() {
        return Err(ApiError::invalid("missing_parameter", "messages needs at least one message of the user.")
            .with_param("messages"));
    }
    Ok(turns)
}

struct Writer<'a> {
    ledger: &'a mut Ledger,
    turns: Turns,
    /// Ids of calls that were not answered yet.
    open_calls: VecDeque<String>,
    calls: usize,
}

impl Writer<'_> {
    fn system(&mut self, block: &Block) {
        if let (Block::Text(_), false) = (block, block.is_empty_text()) {
            self.turns.system.extend(write_block(block, false));
        }
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
                        self.push("user", json!({"type": "text", "text": marked}));
                    }
                }
                Ok(())
            }
            Role::User | Role::Tool => blocks.iter().try_for_each(|block| self.user(at, block)),
            Role::Assistant => self.assistant(at, blocks),
        }
    }

    fn push(&mut self, role: &'static str, block: Value) {
        match self.turns.turns.last_mut() {
            Some((last, blocks)) if *last == role => {
                let is_result = |block: &Value| block["type"] == "tool_result";
                // Results come first in their turn.
                let at =
                    if is_result(&block) { blocks.iter().take_while(|b| is_result(b)).count() } else { blocks.len() };
                blocks.insert(at, block);
            }
            _ => self.turns.turns.push((role, vec![block])),
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
    fn said(&mut self, at: usize, block: &Block) -> Result<Value, ApiError> {
        let param = format!("messages[{at}].content");
        match block {
            Block::Media(Media { kind: MediaKind::Audio, .. }) => Err(self.ledger.refusal("messages.audio", param)),
            Block::Media(Media { source: MediaSource::File(_), .. }) => {
                Err(self.ledger.refusal("messages.file_id", param))
            }
            Block::Media(media) if media.rest.contains_key("detail") => {
                self.ledger.note("image_url.detail");
                write_block(block, false).ok_or_else(|| self.ledger.refusal("messages.content", param))
            }
            block => write_block(block, false).ok_or_else(|| self.ledger.refusal("messages.content", param)),
        }
    }

    fn result(&mut self, at: usize, result: &ToolResult) -> Result<Value, ApiError> {
        for block in &result.content {
            if !matches!(block, Block::Text(_)) {
                self.said(at, block)?;
            }
        }
        let id = if result.id.is_empty() {
            self.open_calls.pop_front().unwrap_or_default()
        } else {
            let id = self.safe_id(&result.id);
            self.open_calls.retain(|open| *open != id);
            id
        };
        let mut own = result.clone();
        own.id = id;
        // A mark on the only text of a result is a mark on the result.
        if let [Block::Text(text)] = &own.content[..] {
            own.cache_control = own.cache_control.take().or_else(|| text.cache_control.clone());
        }
        write_block(&Block::ToolResult(own), false).ok_or_else(|| self.ledger.refusal("messages.content", "messages"))
    }

    fn assistant(&mut self, at: usize, blocks: &[Block]) -> Result<(), ApiError> {
        self.open_calls.clear();
        // Thinking comes first, or Anthropic refuses it.
        for block in blocks {
            let Block::Thinking(thinking) = block else { continue };
            let Thinking { signature, redacted, .. } = thinking;
            // Only Anthropic's own can go back; others' reasoning has no proof, or one that it refuses.
            let is_own = |proof: &&str| !proof.is_empty() && !seal::is_marked(proof);
            if signature.as_deref().or(redacted.as_deref()).filter(is_own).is_some() {
                self.push("assistant", write_block(block, false).unwrap_or_default());
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

    fn call(&mut self, call: &ToolCall, param: String) -> Result<Value, ApiError> {
        let Ok(input) = input(&call.arguments) else {
            let message = format!("{param} must be the text of a JSON object.");
            return Err(ApiError::invalid("invalid_tool_arguments", message).with_param(param));
        };
        self.calls += 1;
        let id = if call.id.is_empty() { format!("call_{}", self.calls) } else { self.safe_id(&call.id) };
        self.open_calls.push_back(id.clone());
        let mut written = json!({"type": "tool_use", "id": id, "name": call.name, "input": input});
        if let Some(cache) = &call.cache_control {
            written["cache_control"] = cache.clone();
        }
        Ok(written)
    }

    /// An id in the letters Anthropic takes. Equal ids stay equal and different ones different, so that calls and
    /// results still find each other.
    fn safe_id(&mut self, id: &str) -> String {
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if id.bytes().all(is_safe) {
            return id.to_owned();
        }
        self.ledger.note("tool_calls.id");
        id.bytes().fold(String::with_capacity(id.len() + 8), |mut safe, byte| {
            if is_safe(byte) {
                safe.push(char::from(byte));
            } else {
                safe.push_str(&format!("_x{byte:02x}"));
            }
            safe
        })
    }
}

/// Anthropic refuses white space at the end of an answer it is to go on with.
fn trim_prefill(turns: &mut Turns) {
    let Some(("assistant", blocks)) = turns.turns.last_mut() else { return };
    let Some(last) = blocks.last_mut().filter(|block| block["type"] == "text") else { return };
    let trimmed = last["text"].as_str().map(|text| text.trim_end().to_owned()).unwrap_or_default();
    last["text"] = Value::from(trimmed);
}

fn unsigned_tools(turns: &[(&'static str, Vec<Value>)]) -> bool {
    let [.., (_, called), ("user", answers)] = turns else { return false };
    let answers_tools = answers.first().is_some_and(|block| block["type"] == "tool_result");
    let thought =
        called.first().is_some_and(|block| block["type"] == "thinking" || block["type"] == "redacted_thinking");
    answers_tools && !thought
}
