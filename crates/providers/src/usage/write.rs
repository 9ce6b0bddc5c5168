//! Usage in the words of a dialect, for translated answers.

use serde_json::{Map, Value, json};
use tachograph_record::{CacheTtl, Direction, Kind, Modality, Unit, Usage};

/// OpenAI's inclusive counts. Lifetimes of cache writes and web searches, for which it has no field, go by the names
/// other gateways use.
pub(crate) fn openai_usage(usage: &Usage) -> Value {
    let (prompt, completion) = (usage.input_total(), usage.output_total());
    let of = |direction, modality| usage.sum(|leaf| leaf.direction == direction && leaf.modality == modality);
    let write = |ttl| usage.sum(|leaf| leaf.kind == Kind::CacheWrite(ttl));
    let mut read = json!({ "cached_tokens": usage.cache_read_total() });
    put(&mut read, "audio_tokens", of(Direction::Input, Modality::Audio));
    put(&mut read, "image_tokens", of(Direction::Input, Modality::Image));
    put(&mut read, "video_tokens", of(Direction::Input, Modality::Video));
    put(&mut read, "cache_write_tokens", usage.cache_write_total());
    let (five, hour) = (write(CacheTtl::FiveMinutes), write(CacheTtl::OneHour));
    if five + hour > 0 {
        read["cache_write_details"] = json!({ "write_5m_tokens": five, "write_1h_tokens": hour });
    }
    let mut wrote = json!({ "reasoning_tokens": usage.reasoning_total() });
    put(&mut wrote, "audio_tokens", of(Direction::Output, Modality::Audio));
    put(&mut wrote, "image_tokens", of(Direction::Output, Modality::Image));
    let mut body = json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt.saturating_add(completion),
        "prompt_tokens_details": read,
        "completion_tokens_details": wrote,
    });
    if let Some(searches) = web_searches(usage) {
        body["server_tool_use"] = json!({ "web_search_requests": searches });
    }
    body
}

/// The counts of OpenAI's responses: the chat API's under other names.
pub(crate) fn responses_usage(usage: &Usage) -> Value {
    let chat = openai_usage(usage);
    json!({
        "input_tokens": chat["prompt_tokens"],
        "input_tokens_details": chat["prompt_tokens_details"],
        "output_tokens": chat["completion_tokens"],
        "output_tokens_details": chat["completion_tokens_details"],
        "total_tokens": chat["total_tokens"],
    })
}

/// Google's counts: thinking beside the visible answer, what tools brought in beside the prompt. Cache writes, for which it
/// has no field, go by a name of ours.
pub(crate) fn gemini_usage(usage: &Usage) -> Value {
    let tool = usage.sum(|leaf| leaf.kind == Kind::Tool);
    let thoughts = usage.reasoning_total();
    let mut body = json!({
        "promptTokenCount": usage.input_total() - tool,
        "candidatesTokenCount": usage.output_total() - thoughts,
        "totalTokenCount": usage.input_total().saturating_add(usage.output_total()),
    });
    put(&mut body, "thoughtsTokenCount", thoughts);
    put(&mut body, "toolUsePromptTokenCount", tool);
    put(&mut body, "cachedContentTokenCount", usage.cache_read_total());
    put(&mut body, "cacheWriteTokenCount", usage.cache_write_total());
    body
}

/// Bedrock Converse's counts, cached ones beside the others.
pub(crate) fn converse_usage(usage: &Usage) -> Value {
    let write = |ttl| usage.sum(|leaf| leaf.kind == Kind::CacheWrite(ttl));
    let (read, written) = (usage.cache_read_total(), usage.cache_write_total());
    let mut body = json!({
        "inputTokens": usage.input_total() - read - written,
        "outputTokens": usage.output_total(),
        "totalTokens": usage.input_total().saturating_add(usage.output_total()),
    });
    put(&mut body, "cacheReadInputTokens", read);
    put(&mut body, "cacheWriteInputTokens", written);
    let lifetimes = [("5m", write(CacheTtl::FiveMinutes)), ("1h", write(CacheTtl::OneHour))];
    if lifetimes.iter().any(|(_, tokens)| *tokens > 0) {
        let told = lifetimes.iter().filter(|(_, tokens)| *tokens > 0);
        body["cacheDetails"] = told.map(|(ttl, tokens)| json!({ "ttl": ttl, "inputTokens": tokens })).collect();
    }
    put(&mut body, "reasoningTokens", usage.reasoning_total());
    body
}

/// Anthropic's exclusive counts.
pub(crate) fn anthropic_usage(usage: &Usage) -> Value {
    let write = |ttl| usage.sum(|leaf| leaf.kind == Kind::CacheWrite(ttl));
    let (read, written) = (usage.cache_read_total(), usage.cache_write_total());
    let mut body = json!({
        "input_tokens": usage.input_total() - read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
    });
    let (five, hour) = (write(CacheTtl::FiveMinutes), write(CacheTtl::OneHour));
    if five + hour > 0 {
        body["cache_creation"] = json!({ "ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": hour });
    }
    body["output_tokens"] = json!(usage.output_total());
    if usage.reasoning_total() > 0 {
        body["output_tokens_details"] = json!({ "thinking_tokens": usage.reasoning_total() });
    }
    if let Some(searches) = web_searches(usage) {
        body["server_tool_use"] = json!({ "web_search_requests": searches });
    }
    body
}

fn web_searches(usage: &Usage) -> Option<u64> {
    const MILLION: u64 = 1_000_000;
    usage.units().iter().find(|(unit, _)| *unit == Unit::WebSearches).map(|(_, quantity)| quantity.micro() / MILLION)
}

fn put(body: &mut Value, name: &str, count: u64) {
    if let (Some(fields), 1..) = (body.as_object_mut(), count) {
        let mut more = Map::new();
        more.insert(name.to_owned(), Value::from(count));
        fields.extend(more);
    }
}
