//! Whatever a provider puts into its usage object: no panic, and never a figure that the object does not bear out.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tachograph_providers::usage::{ApiShape, UsageError, normalize, reported_cost, totals};
use tachograph_record::{Leaf, Quantity, Unit, Usage};

const SHAPES: &[ApiShape] = &[
    ApiShape::OpenAiChat,
    ApiShape::OpenAiResponses,
    ApiShape::OpenAiEmbeddings,
    ApiShape::OpenAiImages,
    ApiShape::OpenAiRealtime,
    ApiShape::OpenAiTranscription,
    ApiShape::OpenAiSpeech,
    ApiShape::AnthropicMessages,
    ApiShape::GeminiGenerateContent,
    ApiShape::BedrockConverse,
    ApiShape::BedrockInvoke,
    ApiShape::CohereChat,
    ApiShape::CohereEmbed,
    ApiShape::Rerank,
    ApiShape::Ocr,
    ApiShape::Ollama,
];

/// The names that the shapes read, and some that none does.
const NAMES: &[&str] = &[
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cached_tokens_details",
    "input_token_details",
    "output_token_details",
    "server_side_tool_usage_details",
    "x_search_calls",
    "web_search_calls",
    "speed",
    "inference_geo",
    "cache_type",
    "tokens",
    "duration",
    "eval_count",
    "prompt_eval_count",
    "prompt_tokens_details",
    "completion_tokens_details",
    "input_tokens_details",
    "output_tokens_details",
    "reasoning_tokens",
    "audio_tokens",
    "image_tokens",
    "cache_write_tokens",
    "prompt_cache_hit_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
    "ephemeral_5m_input_tokens",
    "ephemeral_1h_input_tokens",
    "server_tool_use",
    "web_search_requests",
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "totalTokenCount",
    "cachedContentTokenCount",
    "toolUsePromptTokenCount",
    "promptTokensDetails",
    "cacheTokensDetails",
    "candidatesTokensDetails",
    "inputTokens",
    "outputTokens",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
    "cacheDetails",
    "billed_units",
    "search_units",
    "seconds",
    "characters",
    "pages_processed",
    "n",
    "num_search_queries",
    "citation_tokens",
    "modality",
    "tokenCount",
    "ttl",
    "cost",
    "cost_in_usd_ticks",
    "nobody_reads_this",
];

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(NAMES).prop_map(str::to_owned)
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => (0_u64..5_000).prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => (0_u64..5_000).prop_map(|count| Value::from(count.to_string())),
        1 => prop::sample::select(vec![json!(null), json!(true), json!(""), json!("-1"), json!("1e400"), json!("TEXT"), json!("AUDIO"), json!("5m"), json!("1h"), json!(1e30), json!("99999999999999999999999")]),
    ];
    leaf.prop_recursive(3, 40, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..8).prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

/// The object with its members in the opposite order, all the way down.
fn turned(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members.iter().rev().map(|(name, value)| (name.clone(), turned(value))).collect::<Map<_, _>>(),
        ),
        other => other.clone(),
    }
}

/// Leaves and units, in order.
type Counts = (Vec<(Leaf, u64)>, Vec<(Unit, Quantity)>);

fn all(usage: &Usage) -> Counts {
    let (mut leaves, mut units) = (usage.leaves().to_vec(), usage.units().to_vec());
    leaves.sort_unstable();
    units.sort_unstable();
    (leaves, units)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_panics_and_the_order_of_members_is_nothing(
        members in prop::collection::vec((name(), anything()), 0..12),
        shape in prop::sample::select(SHAPES),
        provider in prop::sample::select(vec!["", "openai", "xai", "perplexity", "deepseek"]),
    ) {
        let usage = Value::Object(members.into_iter().collect());
        let _ = reported_cost(&usage);
        let read = normalize(shape, provider, &usage);
        if let Ok(read) = &read {
            let _ = totals(read);
        }
        match (read, normalize(shape, provider, &turned(&usage))) {
            (Ok(one), Ok(other)) => prop_assert_eq!(all(&one), all(&other)),
            (one, other) => prop_assert_eq!(one.is_err(), other.is_err()),
        }
    }

    /// What is read is never more than what was sent: every leaf comes from a number of the object, and what is billed of a
    /// direction is no more than all of its numbers together.
    #[test]
    fn no_figure_is_larger_than_what_was_sent(
        members in prop::collection::vec((name(), anything()), 0..12),
        shape in prop::sample::select(SHAPES),
    ) {
        fn sum(value: &Value) -> u128 {
            match value {
                Value::Object(members) => members.values().map(sum).fold(0, u128::saturating_add),
                Value::Array(entries) => entries.iter().map(sum).fold(0, u128::saturating_add),
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bound, and floats saturate")]
                Value::Number(number) => number.as_u64().map_or_else(|| number.as_f64().unwrap_or(0.0).max(0.0) as u128, u128::from),
                Value::String(text) => text.parse().unwrap_or(0),
                _ => 0,
            }
        }
        let usage = Value::Object(members.into_iter().collect());
        if let Ok(read) = normalize(shape, "", &usage) {
            let counted: u128 = read.leaves().iter().map(|(_, count)| u128::from(*count)).sum();
            prop_assert!(counted <= sum(&usage), "{} of {}", counted, usage);
            prop_assert!(read.leaves().iter().all(|(_, count)| *count > 0));
        }
    }

    /// A realtime session splits its cached tokens by modality; each token is in one leaf, and all of them add up.
    #[test]
    fn realtime_leaves_add_up(
        text in 0_u64..1 << 30, audio in 0_u64..1 << 30, read_text in 0_u64..1 << 30, read_audio in 0_u64..1 << 30,
        said in 0_u64..1 << 30, spoken in 0_u64..1 << 30,
    ) {
        let (read_text, read_audio) = (read_text.min(text), read_audio.min(audio));
        let usage = json!({
            "total_tokens": text + audio + said + spoken, "input_tokens": text + audio, "output_tokens": said + spoken,
            "input_token_details": { "text_tokens": text, "audio_tokens": audio, "cached_tokens": read_text + read_audio,
                "cached_tokens_details": { "text_tokens": read_text, "audio_tokens": read_audio } },
            "output_token_details": { "text_tokens": said, "audio_tokens": spoken },
        });
        let read = normalize(ApiShape::OpenAiRealtime, "openai", &usage).expect("nothing is wrong with it");
        let of = |direction, kind, modality| read.leaf(Leaf::new(direction, kind, modality));
        use tachograph_record::{Direction::{Input, Output}, Kind::{CacheRead, Plain}, Modality::{Audio, Text}};
        prop_assert_eq!((of(Input, Plain, Text), of(Input, Plain, Audio)), (text - read_text, audio - read_audio));
        prop_assert_eq!((of(Input, CacheRead, Text), of(Input, CacheRead, Audio)), (read_text, read_audio));
        prop_assert_eq!((of(Output, Plain, Text), of(Output, Plain, Audio)), (said, spoken));
    }

    /// Whole counts that contradict nothing come out as they went in, whether sent as numbers, as texts or as floats.
    #[test]
    fn numbers_are_the_same_in_every_writing(
        input in 0_u64..1 << 40,
        output in 0_u64..1 << 40,
        cached in 0_u64..1 << 40,
        reasoning in 0_u64..1 << 40,
        writing in 0_u8..3,
    ) {
        let (cached, reasoning) = (cached.min(input), reasoning.min(output));
        #[allow(clippy::cast_precision_loss, reason = "counts below 2^40 are exact")]
        let count = |count: u64| match writing {
            0 => Value::from(count),
            1 => Value::from(count.to_string()),
            _ => Value::from(count as f64),
        };
        let usage = json!({
            "prompt_tokens": count(input), "completion_tokens": count(output), "total_tokens": null,
            "prompt_tokens_details": { "cached_tokens": count(cached), "audio_tokens": null },
            "completion_tokens_details": { "reasoning_tokens": count(reasoning) },
        });
        let read = normalize(ApiShape::OpenAiChat, "openai", &usage).expect("nothing is wrong with it");
        prop_assert_eq!((read.input_total(), read.output_total()), (input, output));
        prop_assert_eq!((read.cache_read_total(), read.reasoning_total()), (cached, reasoning));
    }

    /// What cannot be is refused with the field that says it, and never made smaller.
    #[test]
    fn more_cached_than_read_and_less_than_nothing_are_refused(input in 0_u64..1 << 40, over in 1_u64..1 << 40, below in i64::MIN..0) {
        let more = json!({ "prompt_tokens": input, "completion_tokens": 1, "prompt_tokens_details": { "cached_tokens": input + over } });
        let refused = normalize(ApiShape::OpenAiChat, "openai", &more);
        prop_assert!(matches!(refused, Err(UsageError::Invalid { .. })), "{:?}", refused);
        let negative = json!({ "input_tokens": below, "output_tokens": 1 });
        let refused = normalize(ApiShape::AnthropicMessages, "anthropic", &negative);
        prop_assert_eq!(refused, Err(UsageError::Invalid { field: "input_tokens", why: "is negative" }));
    }
}
