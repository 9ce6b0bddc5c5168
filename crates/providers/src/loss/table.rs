//! The table: one line for each feature and pair of dialects that is not carried over whole as it stands.

use serde_json::Value;

use super::{Becomes, Loss, Verdict};
use crate::DialectId;
use crate::DialectId::{AnthropicMessages as Am, GeminiGenerateContent as Gg, OpenAiChat as Oc, OpenAiResponses as Or};

pub(super) const fn never(_: &Value) -> bool {
    false
}

pub(super) fn off(value: &Value) -> bool {
    matches!(value, Value::Bool(false)) || value.as_f64() == Some(0.0)
}

pub(super) fn one(value: &Value) -> bool {
    value.as_u64() == Some(1)
}

pub(super) fn empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

pub(super) fn text_only(value: &Value) -> bool {
    value.as_array().is_some_and(|words| words.iter().all(|word| word == "text"))
}

pub(super) fn medium(value: &Value) -> bool {
    value == "medium"
}

pub(super) fn speaks_text(value: &Value) -> bool {
    value.as_array().is_some_and(|words| {
        words.iter().all(|word| word.as_str().is_some_and(|word| word.eq_ignore_ascii_case("text")))
    })
}

pub(super) fn disabled(value: &Value) -> bool {
    value == "disabled"
}

pub(super) fn proofs_only(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(|item| item == "reasoning.encrypted_content"))
}

pub(super) const fn dropped(
    from: DialectId,
    to: DialectId,
    feature: &'static str,
    harmless: fn(&Value) -> bool,
) -> Loss {
    let how = "has no counterpart there and was left out";
    Loss { from, to, feature, verdict: Verdict::Dropped, how, harmless, becomes: None }
}

/// Left out for a reason of its own.
pub(super) const fn omitted(from: DialectId, to: DialectId, feature: &'static str, how: &'static str) -> Loss {
    Loss { from, to, feature, verdict: Verdict::Dropped, how, harmless: never, becomes: None }
}

pub(super) const fn refused(
    from: DialectId,
    to: DialectId,
    feature: &'static str,
    harmless: fn(&Value) -> bool,
    how: &'static str,
) -> Loss {
    Loss { from, to, feature, verdict: Verdict::Refused, how, harmless, becomes: None }
}

pub(super) const fn carried(
    from: DialectId,
    to: DialectId,
    feature: &'static str,
    how: &'static str,
    verdict: Verdict,
    becomes: Becomes,
) -> Loss {
    Loss { from, to, feature, verdict, how, harmless: never, becomes: Some(becomes) }
}

pub(super) const fn approximated(from: DialectId, to: DialectId, feature: &'static str, how: &'static str) -> Loss {
    Loss { from, to, feature, verdict: Verdict::Approximated, how, harmless: never, becomes: None }
}

/// Between the four dialects that clients speak most. Features that are not in a table are unknown fields: dropped, and
/// noted.
pub(super) static LOSSES: &[Loss] = &[
    // OpenAI chat → Anthropic messages: fields
    refused(Oc, Am, "n", one, "Anthropic's API gives one answer a call; ask for n = 1 or make several calls"),
    refused(Oc, Am, "logprobs", off, "Anthropic's API gives no log probabilities; leave it out"),
    refused(Oc, Am, "top_logprobs", off, "Anthropic's API gives no log probabilities; leave it out"),
    refused(Oc, Am, "audio", never, "Anthropic's API does not speak; leave it out"),
    refused(Oc, Am, "modalities", text_only, "Anthropic's API answers in text only; ask for [\"text\"]"),
    refused(Oc, Am, "functions", empty, "functions are superseded; use tools"),
    refused(Oc, Am, "function_call", never, "function_call is superseded; use tool_choice"),
    refused(Oc, Am, "web_search_options", never, "Anthropic's web search is a tool of its own API; use /v1/messages"),
    dropped(Oc, Am, "seed", never),
    dropped(Oc, Am, "logit_bias", empty),
    dropped(Oc, Am, "frequency_penalty", off),
    dropped(Oc, Am, "presence_penalty", off),
    dropped(Oc, Am, "prediction", never),
    dropped(Oc, Am, "store", off),
    dropped(Oc, Am, "metadata", empty),
    dropped(Oc, Am, "prompt_cache_key", never),
    dropped(Oc, Am, "verbosity", medium),
    carried(Oc, Am, "top_k", "top_k", Verdict::Lossless, |value| Some(("top_k", value.clone()))),
    carried(
        Oc,
        Am,
        "service_tier",
        "Anthropic knows auto and standard_only; default became standard_only, all others auto",
        Verdict::Approximated,
        |value| Some(("service_tier", Value::from(if value == "default" { "standard_only" } else { "auto" }))),
    ),
    carried(Oc, Am, "safety_identifier", "metadata.user_id", Verdict::Lossless, |value| {
        Some(("metadata", serde_json::json!({ "user_id": value })))
    }),
    // OpenAI chat → Anthropic messages: features of messages and typed fields
    approximated(Oc, Am, "temperature", "Anthropic takes 0 to 1; values above became 1"),
    approximated(Oc, Am, "reasoning_effort", "became a budget of thinking tokens or Anthropic's own effort"),
    approximated(Oc, Am, "tool_choice", "with thinking on Anthropic takes no forced tool; it became auto"),
    approximated(Oc, Am, "allowed_tools", "only the allowed tools were declared"),
    approximated(Oc, Am, "messages.system", "a system message amid the conversation became a marked user text"),
    approximated(Oc, Am, "max_tokens", "was raised above the budget of thinking tokens"),
    omitted(Oc, Am, "temperature with thinking", "with thinking on Anthropic takes no temperature"),
    omitted(Oc, Am, "top_p", "newer models take either temperature or top_p, and neither with thinking on"),
    omitted(Oc, Am, "stop", "Anthropic takes no stop texts of white space only"),
    dropped(Oc, Am, "messages.name", never),
    omitted(Oc, Am, "messages.reasoning", "reasoning without Anthropic's signature cannot be sent back to it"),
    dropped(Oc, Am, "image_url.detail", never),
    approximated(
        Oc,
        Am,
        "thinking",
        "was switched off: the signed thinking of the last turn did not come back with it",
    ),
    approximated(Oc, Am, "response_format", "became an instruction to answer with a JSON object only"),
    approximated(Oc, Am, "tool_calls.id", "ids were rewritten to the letters Anthropic takes"),
    refused(Oc, Am, "messages.audio", never, "Anthropic's API takes no audio; send its transcript"),
    refused(Oc, Am, "messages.content", never, "this content part cannot be sent to Anthropic"),
    refused(Oc, Am, "tools", never, "only function tools can be sent to Anthropic"),
    refused(Oc, Am, "messages.file_id", never, "files held by OpenAI cannot be sent to Anthropic; send file_data"),
    // Anthropic messages → OpenAI chat: fields
    dropped(Am, Oc, "top_k", never),
    dropped(Am, Oc, "metadata", empty),
    dropped(Am, Oc, "context_management", never),
    dropped(Am, Oc, "cache_control", never),
    dropped(Am, Oc, "output_config", empty),
    dropped(Am, Oc, "inference_geo", never),
    dropped(Am, Oc, "speed", never),
    refused(Am, Oc, "container", never, "containers are Anthropic's own; leave it out"),
    refused(Am, Oc, "mcp_servers", empty, "MCP servers are called by Anthropic's own API only; leave them out"),
    carried(Am, Oc, "service_tier", "standard_only became default", Verdict::Approximated, |value| {
        Some(("service_tier", Value::from(if value == "standard_only" { "default" } else { "auto" })))
    }),
    // Anthropic messages → OpenAI chat: features of messages and typed fields
    approximated(Am, Oc, "thinking", "became the nearest reasoning_effort"),
    approximated(Am, Oc, "messages.tool_result.is_error", "the result's text says that it is an error"),
    approximated(Am, Oc, "messages.tool_result.content", "pictures and documents follow in a user message"),
    omitted(Am, Oc, "messages.thinking", "the provider takes no reasoning of earlier turns"),
    omitted(Am, Oc, "messages.cache_control", "the provider caches by itself"),
    dropped(Am, Oc, "messages.citations", never),
    refused(Am, Oc, "messages.document", never, "this document cannot be sent there by its address; send its bytes"),
    omitted(Am, Oc, "messages.content", "blocks of tools that Anthropic runs mean nothing elsewhere"),
    refused(Am, Oc, "messages.file_id", never, "files held by Anthropic cannot be sent elsewhere; send the bytes"),
    refused(
        Am,
        Oc,
        "tools",
        never,
        "this tool is run by Anthropic's own API and has no counterpart; declare tools of your own",
    ),
    approximated(Am, Oc, "stop_sequences", "only the first four were sent"),
    // OpenAI responses → OpenAI chat
    refused(
        Or,
        Oc,
        "previous_response_id",
        never,
        "earlier answers are kept by OpenAI only; send the whole conversation",
    ),
    refused(Or, Oc, "conversation", never, "conversations are kept by OpenAI only; send the whole conversation"),
    refused(Or, Oc, "prompt", never, "prompt templates are kept by OpenAI only; send what it says"),
    refused(Or, Oc, "background", off, "only OpenAI answers in the background; leave it out"),
    refused(Or, Oc, "context_management", empty, "only OpenAI compacts conversations; leave it out"),
    dropped(Or, Oc, "include", proofs_only),
    dropped(Or, Oc, "store", off),
    dropped(Or, Oc, "truncation", disabled),
    dropped(Or, Oc, "max_tool_calls", never),
    dropped(Or, Oc, "stream_options", never),
    dropped(Or, Oc, "reasoning", empty),
    dropped(Or, Oc, "top_logprobs", off),
    carried(Or, Oc, "text", "verbosity", Verdict::Lossless, |value| {
        Some(("verbosity", value.get("verbosity")?.clone()))
    }),
    carried(Or, Oc, "metadata", "metadata", Verdict::Lossless, |value| Some(("metadata", value.clone()))),
    carried(Or, Oc, "service_tier", "service_tier", Verdict::Lossless, |value| Some(("service_tier", value.clone()))),
    carried(Or, Oc, "safety_identifier", "safety_identifier", Verdict::Lossless, |value| {
        Some(("safety_identifier", value.clone()))
    }),
    carried(Or, Oc, "prompt_cache_key", "prompt_cache_key", Verdict::Lossless, |value| {
        Some(("prompt_cache_key", value.clone()))
    }),
    omitted(Or, Oc, "messages.thinking", "the provider takes no reasoning of earlier turns"),
    approximated(Or, Oc, "messages.tool_result.content", "pictures and documents follow in a user message"),
    omitted(Or, Oc, "messages.content", "items of tools that OpenAI runs mean nothing elsewhere"),
    refused(Or, Oc, "messages.document", never, "this document cannot be sent there by its address; send its bytes"),
    refused(Or, Oc, "messages.file_id", never, "files held by OpenAI cannot be sent elsewhere; send the bytes"),
    refused(Or, Oc, "tools", never, "this tool is run by OpenAI's responses only; declare tools of your own"),
    // OpenAI responses → Anthropic messages
    refused(
        Or,
        Am,
        "previous_response_id",
        never,
        "earlier answers are kept by OpenAI only; send the whole conversation",
    ),
    refused(Or, Am, "conversation", never, "conversations are kept by OpenAI only; send the whole conversation"),
    refused(Or, Am, "prompt", never, "prompt templates are kept by OpenAI only; send what it says"),
    refused(Or, Am, "background", off, "only OpenAI answers in the background; leave it out"),
    refused(Or, Am, "context_management", empty, "only OpenAI compacts conversations; leave it out"),
    refused(Or, Am, "top_logprobs", off, "Anthropic's API gives no log probabilities; leave it out"),
    dropped(Or, Am, "include", proofs_only),
    dropped(Or, Am, "store", off),
    dropped(Or, Am, "truncation", disabled),
    dropped(Or, Am, "max_tool_calls", never),
    dropped(Or, Am, "stream_options", never),
    dropped(Or, Am, "reasoning", empty),
    dropped(Or, Am, "text", never),
    dropped(Or, Am, "metadata", empty),
    dropped(Or, Am, "prompt_cache_key", never),
    carried(
        Or,
        Am,
        "service_tier",
        "Anthropic knows auto and standard_only; default became standard_only, all others auto",
        Verdict::Approximated,
        |value| Some(("service_tier", Value::from(if value == "default" { "standard_only" } else { "auto" }))),
    ),
    carried(Or, Am, "safety_identifier", "metadata.user_id", Verdict::Lossless, |value| {
        Some(("metadata", serde_json::json!({ "user_id": value })))
    }),
    approximated(Or, Am, "temperature", "Anthropic takes 0 to 1; values above became 1"),
    approximated(Or, Am, "reasoning_effort", "became a budget of thinking tokens or Anthropic's own effort"),
    approximated(Or, Am, "tool_choice", "with thinking on Anthropic takes no forced tool; it became auto"),
    approximated(Or, Am, "allowed_tools", "only the allowed tools were declared"),
    approximated(Or, Am, "messages.system", "a system message amid the conversation became a marked user text"),
    approximated(Or, Am, "max_tokens", "was raised above the budget of thinking tokens"),
    omitted(Or, Am, "temperature with thinking", "with thinking on Anthropic takes no temperature"),
    omitted(Or, Am, "top_p", "newer models take either temperature or top_p, and neither with thinking on"),
    omitted(Or, Am, "messages.reasoning", "reasoning without Anthropic's signature cannot be sent back to it"),
    dropped(Or, Am, "image_url.detail", never),
    approximated(
        Or,
        Am,
        "thinking",
        "was switched off: the signed thinking of the last turn did not come back with it",
    ),
    approximated(Or, Am, "response_format", "became an instruction to answer with a JSON object only"),
    approximated(Or, Am, "tool_calls.id", "ids were rewritten to the letters Anthropic takes"),
    refused(Or, Am, "messages.audio", never, "Anthropic's API takes no audio; send its transcript"),
    omitted(Or, Am, "messages.content", "items of tools that OpenAI runs mean nothing elsewhere"),
    refused(Or, Am, "messages.file_id", never, "files held by OpenAI cannot be sent to Anthropic; send the bytes"),
    refused(Or, Am, "tools", never, "this tool is run by OpenAI's responses only; declare tools of your own"),
    // OpenAI chat → OpenAI responses
    refused(Oc, Or, "n", one, "this API gives one answer a call; ask for n = 1 or make several calls"),
    refused(Oc, Or, "logprobs", off, "log probabilities are not carried over between these APIs; leave it out"),
    refused(Oc, Or, "top_logprobs", off, "log probabilities are not carried over between these APIs; leave it out"),
    refused(Oc, Or, "audio", never, "this API does not speak; leave it out"),
    refused(Oc, Or, "modalities", text_only, "this API answers in text only; ask for [\"text\"]"),
    refused(Oc, Or, "functions", empty, "functions are superseded; use tools"),
    refused(Oc, Or, "function_call", never, "function_call is superseded; use tool_choice"),
    refused(Oc, Or, "web_search_options", never, "web search is a tool of its own there; use /v1/responses"),
    dropped(Oc, Or, "stop", never),
    dropped(Oc, Or, "seed", never),
    dropped(Oc, Or, "logit_bias", empty),
    dropped(Oc, Or, "frequency_penalty", off),
    dropped(Oc, Or, "presence_penalty", off),
    dropped(Oc, Or, "prediction", never),
    dropped(Oc, Or, "top_k", never),
    dropped(Oc, Or, "stream_options", never),
    dropped(Oc, Or, "store", off),
    carried(Oc, Or, "verbosity", "text.verbosity", Verdict::Lossless, |value| {
        Some(("text", serde_json::json!({ "verbosity": value })))
    }),
    carried(Oc, Or, "metadata", "metadata", Verdict::Lossless, |value| Some(("metadata", value.clone()))),
    carried(Oc, Or, "service_tier", "service_tier", Verdict::Lossless, |value| Some(("service_tier", value.clone()))),
    carried(Oc, Or, "safety_identifier", "safety_identifier", Verdict::Lossless, |value| {
        Some(("safety_identifier", value.clone()))
    }),
    carried(Oc, Or, "prompt_cache_key", "prompt_cache_key", Verdict::Lossless, |value| {
        Some(("prompt_cache_key", value.clone()))
    }),
    dropped(Oc, Or, "messages.name", never),
    omitted(Oc, Or, "messages.thinking", "only reasoning with OpenAI's own proof can be sent back to it"),
    omitted(Oc, Or, "messages.content", "this part means nothing there"),
    omitted(Oc, Or, "messages.cache_control", "the provider caches by itself"),
    refused(Oc, Or, "messages.file_id", never, "files held by a provider cannot be sent to another; send file_data"),
    refused(Oc, Or, "tools", never, "only function tools can be sent there"),
    // Anthropic messages → OpenAI responses
    dropped(Am, Or, "top_k", never),
    dropped(Am, Or, "metadata", empty),
    dropped(Am, Or, "context_management", never),
    dropped(Am, Or, "cache_control", never),
    dropped(Am, Or, "output_config", empty),
    dropped(Am, Or, "inference_geo", never),
    dropped(Am, Or, "speed", never),
    dropped(Am, Or, "stop_sequences", never),
    refused(Am, Or, "container", never, "containers are Anthropic's own; leave it out"),
    refused(Am, Or, "mcp_servers", empty, "MCP servers are called by Anthropic's own API only; leave them out"),
    carried(Am, Or, "service_tier", "standard_only became default", Verdict::Approximated, |value| {
        Some(("service_tier", Value::from(if value == "standard_only" { "default" } else { "auto" })))
    }),
    approximated(Am, Or, "thinking", "became the nearest effort"),
    approximated(Am, Or, "messages.tool_result.is_error", "the result's text says that it is an error"),
    omitted(Am, Or, "messages.thinking", "only reasoning with OpenAI's own proof can be sent back to it"),
    omitted(Am, Or, "messages.cache_control", "the provider caches by itself"),
    dropped(Am, Or, "messages.citations", never),
    omitted(Am, Or, "messages.content", "blocks of tools that Anthropic runs mean nothing elsewhere"),
    refused(Am, Or, "messages.file_id", never, "files held by Anthropic cannot be sent elsewhere; send the bytes"),
    refused(
        Am,
        Or,
        "tools",
        never,
        "this tool is run by Anthropic's own API and has no counterpart; declare tools of your own",
    ),
    // Google → OpenAI chat
    refused(Gg, Oc, "cachedContent", never, "content that Google caches is not to be had elsewhere; send it"),
    dropped(Gg, Oc, "safetySettings", empty),
    dropped(Gg, Oc, "modelArmorConfig", empty),
    refused(
        Gg,
        Oc,
        "generationConfig.responseModalities",
        speaks_text,
        "the provider answers in text only; ask for [\"TEXT\"]",
    ),
    refused(Gg, Oc, "generationConfig.speechConfig", empty, "the provider does not speak; leave it out"),
    refused(
        Gg,
        Oc,
        "generationConfig.responseLogprobs",
        off,
        "log probabilities are not carried over between these APIs; leave it out",
    ),
    dropped(Gg, Oc, "generationConfig.logprobs", never),
    dropped(Gg, Oc, "generationConfig.mediaResolution", never),
    dropped(Gg, Oc, "generationConfig.audioTimestamp", off),
    carried(Gg, Oc, "generationConfig.candidateCount", "n", Verdict::Lossless, |value| Some(("n", value.clone()))),
    carried(Gg, Oc, "generationConfig.seed", "seed", Verdict::Lossless, |value| Some(("seed", value.clone()))),
    carried(Gg, Oc, "generationConfig.presencePenalty", "presence_penalty", Verdict::Lossless, |value| {
        Some(("presence_penalty", value.clone()))
    }),
    carried(Gg, Oc, "generationConfig.frequencyPenalty", "frequency_penalty", Verdict::Lossless, |value| {
        Some(("frequency_penalty", value.clone()))
    }),
    dropped(Gg, Oc, "generationConfig.topK", never),
    dropped(Gg, Oc, "labels", empty),
    omitted(Gg, Oc, "messages.thinking", "the provider takes no reasoning of earlier turns"),
    approximated(Gg, Oc, "messages.tool_result.is_error", "the result's text says that it is an error"),
    approximated(Gg, Oc, "messages.tool_result.content", "pictures and documents follow in a user message"),
    approximated(Gg, Oc, "stop_sequences", "only the first four were sent"),
    refused(Gg, Oc, "messages.document", never, "this file cannot be sent there by its address; send its bytes"),
    approximated(Gg, Oc, "thinking", "became the nearest effort"),
    omitted(Gg, Oc, "messages.content", "parts of tools that Google runs, and films, mean nothing there"),
    refused(Gg, Oc, "messages.file_id", never, "files held by Google cannot be sent elsewhere; send the bytes"),
    refused(Gg, Oc, "tools", never, "this tool is run by Google only; declare functions of your own"),
    // Google → OpenAI responses
    refused(Gg, Or, "cachedContent", never, "content that Google caches is not to be had elsewhere; send it"),
    dropped(Gg, Or, "safetySettings", empty),
    dropped(Gg, Or, "modelArmorConfig", empty),
    refused(
        Gg,
        Or,
        "generationConfig.responseModalities",
        speaks_text,
        "the provider answers in text only; ask for [\"TEXT\"]",
    ),
    refused(Gg, Or, "generationConfig.speechConfig", empty, "the provider does not speak; leave it out"),
    refused(
        Gg,
        Or,
        "generationConfig.responseLogprobs",
        off,
        "log probabilities are not carried over between these APIs; leave it out",
    ),
    dropped(Gg, Or, "generationConfig.logprobs", never),
    dropped(Gg, Or, "generationConfig.mediaResolution", never),
    dropped(Gg, Or, "generationConfig.audioTimestamp", off),
    refused(Gg, Or, "generationConfig.candidateCount", one, "the provider gives one answer a call; ask for one"),
    dropped(Gg, Or, "generationConfig.seed", never),
    dropped(Gg, Or, "generationConfig.presencePenalty", off),
    dropped(Gg, Or, "generationConfig.frequencyPenalty", off),
    dropped(Gg, Or, "labels", empty),
    dropped(Gg, Or, "generationConfig.topK", never),
    dropped(Gg, Or, "stop_sequences", never),
    omitted(Gg, Or, "messages.thinking", "only reasoning with OpenAI's own proof can be sent back to it"),
    approximated(Gg, Or, "messages.tool_result.is_error", "the result's text says that it is an error"),
    approximated(Gg, Or, "thinking", "became the nearest effort"),
    omitted(Gg, Or, "messages.content", "parts of tools that Google runs, and films, mean nothing there"),
    refused(Gg, Or, "messages.file_id", never, "files held by Google cannot be sent elsewhere; send the bytes"),
    refused(Gg, Or, "tools", never, "this tool is run by Google only; declare functions of your own"),
    // Google → Anthropic messages
    refused(Gg, Am, "cachedContent", never, "content that Google caches is not to be had elsewhere; send it"),
    dropped(Gg, Am, "safetySettings", empty),
    dropped(Gg, Am, "modelArmorConfig", empty),
    refused(
        Gg,
        Am,
        "generationConfig.responseModalities",
        speaks_text,
        "the provider answers in text only; ask for [\"TEXT\"]",
    ),
    refused(Gg, Am, "generationConfig.speechConfig", empty, "the provider does not speak; leave it out"),
    refused(
        Gg,
        Am,
        "generationConfig.responseLogprobs",
        off,
        "log probabilities are not carried over between these APIs; leave it out",
    ),
    dropped(Gg, Am, "generationConfig.logprobs", never),
    dropped(Gg, Am, "generationConfig.mediaResolution", never),
    dropped(Gg, Am, "generationConfig.audioTimestamp", off),
    refused(Gg, Am, "generationConfig.candidateCount", one, "the provider gives one answer a call; ask for one"),
    dropped(Gg, Am, "generationConfig.seed", never),
    dropped(Gg, Am, "generationConfig.presencePenalty", off),
    dropped(Gg, Am, "generationConfig.frequencyPenalty", off),
    dropped(Gg, Am, "labels", empty),
    carried(Gg, Am, "generationConfig.topK", "top_k", Verdict::Lossless, |value| Some(("top_k", value.clone()))),
    approximated(Gg, Am, "temperature", "Anthropic takes 0 to 1; values above became 1"),
    approximated(Gg, Am, "reasoning_effort", "became a budget of thinking tokens or Anthropic's own effort"),
    approximated(Gg, Am, "tool_choice", "with thinking on Anthropic takes no forced tool; it became auto"),
    approximated(Gg, Am, "allowed_tools", "only the allowed tools were declared"),
    approximated(Gg, Am, "messages.system", "a system message amid the conversation became a marked user text"),
    approximated(Gg, Am, "max_tokens", "was raised above the budget of thinking tokens"),
    omitted(Gg, Am, "temperature with thinking", "with thinking on Anthropic takes no temperature"),
    omitted(Gg, Am, "top_p", "newer models take either temperature or top_p, and neither with thinking on"),
    omitted(Gg, Am, "top_k", "with thinking on Anthropic takes no top_k"),
    omitted(Gg, Am, "stop", "Anthropic takes no stop texts of white space only"),
    omitted(Gg, Am, "messages.reasoning", "reasoning without Anthropic's signature cannot be sent back to it"),
    approximated(
        Gg,
        Am,
        "thinking",
        "was switched off: the signed thinking of the last turn did not come back with it",
    ),
    approximated(Gg, Am, "response_format", "became an instruction to answer with a JSON object only"),
    approximated(Gg, Am, "tool_calls.id", "ids were rewritten to the letters Anthropic takes"),
    refused(Gg, Am, "messages.audio", never, "Anthropic's API takes no audio; send its transcript"),
    omitted(Gg, Am, "messages.content", "parts of tools that Google runs, and films, mean nothing there"),
    refused(Gg, Am, "messages.file_id", never, "files held by Google cannot be sent elsewhere; send the bytes"),
    refused(Gg, Am, "tools", never, "this tool is run by Google only; declare functions of your own"),
    // OpenAI chat → Google
    carried(Oc, Gg, "n", "generationConfig.candidateCount", Verdict::Lossless, |value| {
        Some(("generationConfig.candidateCount", value.clone()))
    }),
    carried(Oc, Gg, "seed", "generationConfig.seed", Verdict::Lossless, |value| {
        Some(("generationConfig.seed", value.clone()))
    }),
    carried(Oc, Gg, "presence_penalty", "generationConfig.presencePenalty", Verdict::Lossless, |value| {
        Some(("generationConfig.presencePenalty", value.clone()))
    }),
    carried(Oc, Gg, "frequency_penalty", "generationConfig.frequencyPenalty", Verdict::Lossless, |value| {
        Some(("generationConfig.frequencyPenalty", value.clone()))
    }),
    carried(Oc, Gg, "top_k", "generationConfig.topK", Verdict::Lossless, |value| {
        Some(("generationConfig.topK", value.clone()))
    }),
    refused(Oc, Gg, "logprobs", off, "log probabilities are not carried over between these APIs; leave it out"),
    refused(Oc, Gg, "top_logprobs", off, "log probabilities are not carried over between these APIs; leave it out"),
    refused(Oc, Gg, "audio", never, "sound is not carried over between these APIs; leave it out"),
    refused(Oc, Gg, "modalities", text_only, "only text is carried over between these APIs; ask for [\"text\"]"),
    refused(Oc, Gg, "functions", empty, "functions are superseded; use tools"),
    refused(Oc, Gg, "function_call", never, "function_call is superseded; use tool_choice"),
    refused(Oc, Gg, "web_search_options", never, "Google's search is a tool of its own API; use :generateContent"),
    dropped(Oc, Gg, "logit_bias", empty),
    dropped(Oc, Gg, "prediction", never),
    dropped(Oc, Gg, "store", off),
    dropped(Oc, Gg, "metadata", empty),
    dropped(Oc, Gg, "prompt_cache_key", never),
    dropped(Oc, Gg, "safety_identifier", never),
    dropped(Oc, Gg, "service_tier", never),
    dropped(Oc, Gg, "verbosity", medium),
    dropped(Oc, Gg, "stream_options", never),
    dropped(Oc, Gg, "messages.name", never),
    approximated(Oc, Gg, "stop", "only the first five were sent"),
    refused(Oc, Gg, "messages.content", never, "this content part cannot be sent to Google"),
    refused(Oc, Gg, "tools", never, "only function tools can be sent to Google"),
    approximated(Oc, Gg, "messages.system", "a system message amid the conversation became a marked user text"),
    omitted(Oc, Gg, "messages.thinking", "only thinking with Google's own proof can be sent back to it"),
    approximated(Oc, Gg, "messages.tool_result.content", "pictures and documents follow beside the result"),
    approximated(Oc, Gg, "messages.url", "is fetched by Google, if the model can"),
    approximated(Oc, Gg, "thought_signature", "the proof of an earlier call is lost; Google was asked to do without"),
    approximated(Oc, Gg, "reasoning_effort", "became a level or a budget of thinking tokens"),
    omitted(Oc, Gg, "messages.cache_control", "the provider caches by itself"),
    dropped(Oc, Gg, "user", never),
    dropped(Oc, Gg, "parallel_tool_calls", never),
    refused(
        Oc,
        Gg,
        "messages.file_id",
        never,
        "files held by another provider cannot be sent to Google; send the bytes",
    ),
    // OpenAI responses → Google
    refused(
        Or,
        Gg,
        "previous_response_id",
        never,
        "earlier answers are kept by OpenAI only; send the whole conversation",
    ),
    refused(Or, Gg, "conversation", never, "conversations are kept by OpenAI only; send the whole conversation"),
    refused(Or, Gg, "prompt", never, "prompt templates are kept by OpenAI only; send what it says"),
    refused(Or, Gg, "background", off, "only OpenAI answers in the background; leave it out"),
    refused(Or, Gg, "context_management", empty, "only OpenAI compacts conversations; leave it out"),
    refused(Or, Gg, "top_logprobs", off, "log probabilities are not carried over between these APIs; leave it out"),
    dropped(Or, Gg, "include", proofs_only),
    dropped(Or, Gg, "store", off),
    dropped(Or, Gg, "truncation", disabled),
    dropped(Or, Gg, "max_tool_calls", never),
    dropped(Or, Gg, "stream_options", never),
    dropped(Or, Gg, "text", never),
    dropped(Or, Gg, "prompt_cache_key", never),
    dropped(Or, Gg, "safety_identifier", never),
    dropped(Or, Gg, "service_tier", never),
    dropped(Or, Gg, "reasoning", empty),
    dropped(Or, Gg, "metadata", empty),
    omitted(Or, Gg, "messages.content", "items of tools that OpenAI runs mean nothing elsewhere"),
    refused(Or, Gg, "tools", never, "this tool is run by OpenAI's responses only; declare tools of your own"),
    approximated(Or, Gg, "messages.system", "a system message amid the conversation became a marked user text"),
    omitted(Or, Gg, "messages.thinking", "only thinking with Google's own proof can be sent back to it"),
    approximated(Or, Gg, "messages.tool_result.content", "pictures and documents follow beside the result"),
    approximated(Or, Gg, "messages.url", "is fetched by Google, if the model can"),
    approximated(Or, Gg, "thought_signature", "the proof of an earlier call is lost; Google was asked to do without"),
    approximated(Or, Gg, "reasoning_effort", "became a level or a budget of thinking tokens"),
    omitted(Or, Gg, "messages.cache_control", "the provider caches by itself"),
    dropped(Or, Gg, "user", never),
    dropped(Or, Gg, "parallel_tool_calls", never),
    refused(
        Or,
        Gg,
        "messages.file_id",
        never,
        "files held by another provider cannot be sent to Google; send the bytes",
    ),
    // Anthropic messages → Google
    carried(Am, Gg, "top_k", "generationConfig.topK", Verdict::Lossless, |value| {
        Some(("generationConfig.topK", value.clone()))
    }),
    dropped(Am, Gg, "metadata", empty),
    dropped(Am, Gg, "context_management", never),
    dropped(Am, Gg, "cache_control", never),
    dropped(Am, Gg, "output_config", empty),
    dropped(Am, Gg, "inference_geo", never),
    dropped(Am, Gg, "speed", never),
    dropped(Am, Gg, "service_tier", never),
    refused(Am, Gg, "container", never, "containers are Anthropic's own; leave it out"),
    refused(Am, Gg, "mcp_servers", empty, "MCP servers are called by Anthropic's own API only; leave them out"),
    approximated(Am, Gg, "thinking", "became a level or a budget of thinking tokens"),
    approximated(Am, Gg, "stop", "only the first five were sent"),
    omitted(Am, Gg, "messages.content", "blocks of tools that Anthropic runs mean nothing elsewhere"),
    refused(
        Am,
        Gg,
        "tools",
        never,
        "this tool is run by Anthropic's own API and has no counterpart; declare tools of your own",
    ),
    approximated(Am, Gg, "messages.system", "a system message amid the conversation became a marked user text"),
    omitted(Am, Gg, "messages.thinking", "only thinking with Google's own proof can be sent back to it"),
    approximated(Am, Gg, "messages.tool_result.content", "pictures and documents follow beside the result"),
    approximated(Am, Gg, "messages.url", "is fetched by Google, if the model can"),
    approximated(Am, Gg, "thought_signature", "the proof of an earlier call is lost; Google was asked to do without"),
    approximated(Am, Gg, "reasoning_effort", "became a level or a budget of thinking tokens"),
    omitted(Am, Gg, "messages.cache_control", "the provider caches by itself"),
    dropped(Am, Gg, "user", never),
    dropped(Am, Gg, "parallel_tool_calls", never),
    refused(
        Am,
        Gg,
        "messages.file_id",
        never,
        "files held by another provider cannot be sent to Google; send the bytes",
    ),
];
