//! The conversation of a call in one form, whatever API it was made through.

use serde::Serialize;
use tachograph_providers::chat::{Block, Content, Message, Tool};
use tachograph_providers::{Conversation, conversation};
use tachograph_record::FinishReason;
use tachograph_store::StoredRecord;

/// The messages and the answers, as far as they could be read.
#[derive(Serialize)]
pub(crate) struct ConversationView {
    system: Vec<Block>,
    messages: Vec<MessageView>,
    tools: Vec<Tool>,
    answers: Vec<AnswerView>,
    /// The error that stood in the answer's place, or in its stream.
    error: Option<String>,
    /// Whether a body was cut off, so that only its beginning is shown.
    truncated: bool,
}

/// Who said what.
#[derive(Serialize)]
struct MessageView {
    role: tachograph_providers::chat::Role,
    content: Vec<Block>,
}

/// One answer; most requests want only one.
#[derive(Serialize)]
struct AnswerView {
    content: Vec<Block>,
    finish_reason: Option<FinishReason>,
}

/// The conversation; nothing where the API is no chat API, or no body was kept that could be read.
pub(crate) fn of(record: &StoredRecord) -> Option<ConversationView> {
    let row = &record.row;
    let Conversation { request, response, error, truncated } =
        conversation(&row.api, row.stream, &record.request, &record.response);
    if request.is_none() && response.is_none() {
        return None;
    }
    let (system, messages, tools) =
        request.map(|asked| (asked.system, asked.messages, asked.tools)).unwrap_or_default();
    let answers = response.map(|answer| answer.choices).unwrap_or_default();
    let message = |Message { role, content, .. }| MessageView { role, content: content.blocks };
    Some(ConversationView {
        system: system.map(|Content { blocks, .. }| blocks).unwrap_or_default(),
        messages: messages.into_iter().map(message).collect(),
        tools: tools.unwrap_or_default(),
        answers: answers
            .into_iter()
            .map(|answer| AnswerView { content: answer.content, finish_reason: answer.finish_reason })
            .collect(),
        error,
        truncated,
    })
}
