//! Whole answers, read and written.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tachograph_record::{FinishReason, Usage};

use super::decode::{call_of, object};
use super::{finish_reason, finish_word};
use crate::chat::{Block, ChatResponse, Choice, Thinking, ThinkingField};
use crate::fault;
use crate::object::text;
use crate::openai_chat::call_id;
use crate::usage::{self, ApiShape};
use crate::{Answering, ApiError, DialectId};

pub(super) fn decode(body: &[u8]) -> Result<ChatResponse, ApiError> {
    let whole: Value = serde_json::from_slice(body).map_err(|_| fault::unreadable(body))?;
    let message = whole.get("message").filter(|message| message.is_object());
    let Some(message) = message.or_else(|| whole.get("response").map(|_| &whole)) else {
        return Err(fault::unreadable(body));
    };
    let mut content = Vec::new();
    if let Some(text) = text(message.get("thinking")) {
        let (text, field) = (text.to_owned(), ThinkingField::Reasoning);
        content.push(Block::Thinking(Thinking { text, field, ..Thinking::default() }));
    }
    content.extend(text(message.get("content")).or_else(|| text(message.get("response"))).map(Block::text));
    let calls = message.get("tool_calls").and_then(Value::as_array).cloned().unwrap_or_default();
    content.extend(calls.into_iter().filter_map(call_of));
    let called = content.iter().any(|block| matches!(block, Block::ToolCall(_)));
    let native = text(whole.get("done_reason")).map(str::to_owned);
    Ok(ChatResponse {
        dialect: DialectId::OllamaChat,
        id: None,
        model: text(whole.get("model")).map(str::to_owned),
        choices: vec![Choice {
            content,
            finish_reason: native.as_deref().map(|word| finish_reason(word, called)),
            native_finish_reason: native,
            ..Choice::default()
        }],
        usage: usage::reading(ApiShape::Ollama, &whole),
        service_tier: None,
        provider_cost: None,
    })
}

pub(super) fn encode(response: &ChatResponse, to: &Answering) -> Bytes {
    let unanswered = Choice::default();
    let choice = response.choices.first().unwrap_or(&unanswered);
    let (mut said, mut thought, mut calls) = (String::new(), String::new(), Vec::new());
    for block in &choice.content {
        match block {
            Block::Text(text) | Block::Refusal(text) => said.push_str(&text.text),
            Block::Thinking(thinking) => thought.push_str(&thinking.text),
            Block::ToolCall(call) => calls.push(call_line(calls.len(), &call.id, &call.name, &call.arguments)),
            Block::Media(_) | Block::ToolResult(_) | Block::Opaque(_) => {}
        }
    }
    let mut message = Map::new();
    message.insert("role".to_owned(), Value::from("assistant"));
    message.insert("content".to_owned(), Value::from(said));
    if !thought.is_empty() {
        message.insert("thinking".to_owned(), Value::from(thought));
    }
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    let last = last_line(to, Value::Object(message), choice.finish(), response.usage.known());
    Bytes::from(last.to_string())
}

/// A call as Ollama writes it. Arguments that are no object go under a name of ours, for the client to see them.
pub(super) fn call_line(at: usize, id: &str, name: &str, arguments: &str) -> Value {
    let arguments = object(arguments).unwrap_or_else(|()| json!({ "invalid_arguments": arguments }));
    json!({"id": call_id(id), "function": {"index": at, "name": name, "arguments": arguments}})
}

pub(super) fn line(to: &Answering, message: Value) -> Value {
    json!({"model": to.model, "created_at": date(to.created), "message": message, "done": false})
}

/// The line that ends an answer. What Ollama does not count goes by names of ours.
pub(super) fn last_line(to: &Answering, message: Value, finish: FinishReason, usage: Option<&Usage>) -> Value {
    let mut last = line(to, message);
    last["done"] = Value::from(true);
    last["done_reason"] = Value::from(finish_word(finish));
    let Some(usage) = usage else { return last };
    last["prompt_eval_count"] = Value::from(usage.input_total());
    last["eval_count"] = Value::from(usage.output_total());
    for (name, count) in [
        ("cached_prompt_eval_count", usage.cache_read_total()),
        ("written_prompt_eval_count", usage.cache_write_total()),
        ("thinking_eval_count", usage.reasoning_total()),
    ] {
        if count > 0 {
            last[name] = Value::from(count);
        }
    }
    last
}

/// Seconds since 1970 as RFC 3339 has them (days to dates as H. Hinnant shows).
fn date(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, want) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_000_000, "2026-11-18T11:06:40Z"),
        ] {
            assert_eq!(date(seconds), want);
        }
    }
}
