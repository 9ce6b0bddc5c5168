//! What a told answer says about itself, by the readers that look at answers on their way through a gateway.

use bytes::Bytes;
use serde_json::Value;
use tachograph_providers::usage::{ApiShape, UsageError, normalize, reported_cost};
use tachograph_providers::{Api, opaque_tap};
use tachograph_record::{Reading, UsageReading};

/// What tells an API by its bodies, where no URL does. The first line that fits counts.
struct Sign {
    api: &'static str,
    /// Members of the request that must be there.
    asked: &'static [&'static str],
    /// Members of the answer (or of a stream's first event) of which one must be there; none: any answer.
    answered: &'static [&'static str],
    /// The provider that the route or the client named, where it matters.
    provider: Option<&'static str>,
}

const SIGNS: &[Sign] = &[
    Sign { api: "anthropic.messages", asked: &["messages"], answered: &["stop_reason", "message"], provider: None },
    Sign { api: "anthropic.messages", asked: &["messages"], answered: &[], provider: Some("anthropic") },
    Sign { api: "gemini.generateContent", asked: &["contents"], answered: &[], provider: None },
    Sign { api: "gemini.generateContent", asked: &[], answered: &["candidates", "usageMetadata"], provider: None },
    Sign { api: "openai.responses", asked: &["input"], answered: &["output", "response"], provider: None },
    Sign { api: "openai.embeddings", asked: &["input"], answered: &["data"], provider: None },
    Sign { api: "openai.images", asked: &["prompt"], answered: &["data"], provider: None },
    Sign { api: "openai.completions", asked: &["prompt"], answered: &["choices"], provider: None },
    Sign { api: "openai.chat", asked: &["messages"], answered: &[], provider: None },
    Sign { api: "openai.chat", asked: &[], answered: &["choices"], provider: None },
];

/// The API that a call spoke: by its URL's path, else by what its bodies look like.
pub(super) fn api(url: &str, provider: Option<&str>, request: &Value, answer: &Value) -> Option<&'static Api> {
    let by_path = url.contains("://").then(|| Api::of_path(url)).flatten();
    let has = |value: &Value, names: &[&str]| names.iter().any(|name| value.get(name).is_some());
    let fits = |sign: &&Sign| {
        sign.asked.iter().all(|name| request.get(name).is_some())
            && (sign.answered.is_empty() || has(answer, sign.answered))
            && sign.provider.is_none_or(|wanted| provider == Some(wanted))
    };
    by_path.or_else(|| Api::named(SIGNS.iter().find(fits)?.api))
}

/// Reads an answer. What no reader of an API finds, one reader of usage objects of any shape may.
pub(super) fn read(api: Option<&'static Api>, stream: bool, status: u16, body: &Bytes, answer: &Value) -> Reading {
    let mut tap = api.map_or_else(opaque_tap, |api| api.tap(stream, status));
    tap.see(body);
    let mut reading = tap.finish();
    if reading.usage == UsageReading::Absent && status < 400 {
        reading.usage = usage_of_any_shape(answer);
    }
    if reading.provider_cost.is_none() {
        reading.provider_cost = answer.get("usage").and_then(reported_cost);
    }
    if reading.model.is_none() {
        reading.model = answer.get("model").and_then(Value::as_str).map(Into::into);
    }
    reading
}

/// Where a usage object may stand; the last is the answer itself.
const PLACES: [&str; 5] = ["/usage", "/usageMetadata", "/usage_metadata", "/response/usage", ""];
/// By which member a usage object's shape is told.
const SHAPES: [(&str, ApiShape); 5] = [
    ("prompt_tokens", ApiShape::OpenAiChat),
    ("completion_tokens", ApiShape::OpenAiChat),
    ("promptTokenCount", ApiShape::GeminiGenerateContent),
    ("prompt_token_count", ApiShape::BedrockInvoke),
    ("inputTokens", ApiShape::BedrockConverse),
];
/// `input_tokens` is Anthropic's where these stand beside it, which it does not contain; else OpenAI's.
const ANTHROPICS: [&str; 2] = ["cache_read_input_tokens", "cache_creation_input_tokens"];

fn usage_of_any_shape(answer: &Value) -> UsageReading {
    for usage in PLACES.iter().filter_map(|place| answer.pointer(place)) {
        let by_member = SHAPES.iter().find(|(member, _)| usage.get(member).is_some()).map(|(_, shape)| *shape);
        let bare = || {
            usage.get("input_tokens").or_else(|| usage.get("output_tokens")).map(|_| {
                let anthropic = ANTHROPICS.iter().any(|name| usage.get(name).is_some());
                if anthropic { ApiShape::AnthropicMessages } else { ApiShape::OpenAiResponses }
            })
        };
        let Some(shape) = by_member.or_else(bare) else { continue };
        match normalize(shape, "", usage) {
            Ok(usage) => return UsageReading::Known(usage),
            Err(UsageError::NoUsage) => {}
            Err(error) => return UsageReading::Invalid(error.to_string()),
        }
    }
    UsageReading::Absent
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn usage_of_every_shape_that_helicone_reads() {
        for (answer, tokens) in [
            (json!({"usage": {"prompt_tokens": 3, "completion_tokens": 4}}), (3, 4)),
            (json!({"usage": {"input_tokens": 3, "output_tokens": 4}}), (3, 4)),
            (json!({"usage": {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 10}}), (13, 4)),
            (json!({"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}}), (3, 4)),
            (json!({"prompt_token_count": 3, "generation_token_count": 4}), (3, 4)),
        ] {
            let read = usage_of_any_shape(&answer);
            let usage = read.known().unwrap_or_else(|| panic!("{answer}: {read:?}"));
            assert_eq!((usage.input_total(), usage.output_total()), tokens, "{answer}");
        }
        assert_eq!(usage_of_any_shape(&json!({"usage": {}})), UsageReading::Absent);
    }

    #[test]
    fn apis_are_told_by_url_and_by_bodies() {
        let told =
            |url: &str, provider, request: Value, answer: Value| api(url, provider, &request, &answer).map(Api::name);
        let nowhere = "custom-model-nopath";
        let messages = || json!({"messages": []});
        assert_eq!(told("https://x/v1/embeddings", None, messages(), json!({})), Some("openai.embeddings"));
        assert_eq!(told(nowhere, None, messages(), json!({})), Some("openai.chat"));
        assert_eq!(told(nowhere, Some("anthropic"), messages(), json!({})), Some("anthropic.messages"));
        assert_eq!(told(nowhere, None, messages(), json!({"stop_reason": "end_turn"})), Some("anthropic.messages"));
        assert_eq!(told(nowhere, None, json!({"contents": []}), json!({})), Some("gemini.generateContent"));
        assert_eq!(told(nowhere, None, json!({"input": "x"}), json!({"output": []})), Some("openai.responses"));
        assert_eq!(told(nowhere, None, json!({"input": "x"}), json!({"data": []})), Some("openai.embeddings"));
        assert_eq!(told(nowhere, None, json!({"anything": 1}), json!({})), None);
    }
}
