//! What spans say was used: disjoint leaves from counts of which some contain others.

use serde_json::Value;
use tachograph_record::{CacheTtl, Direction, Kind, Leaf, Modality, Money, Usage, UsageReading};

use super::aliases::{Aliases, UsageKeys};
use super::attributes::{Attributes, parsed, whole};

/// The usage that a span of a model's call tells.
///
/// The conventions' `input_tokens` contain what was read from and written to a cache, and `output_tokens` the reasoning.
/// Not all senders keep to it: where a total is told it decides, and where the parts are more than the whole they stand
/// beside it.
pub(super) fn read(attributes: &Attributes) -> UsageReading {
    let keys = &Aliases::builtin().usage;
    if let Some(usage) = attributes.first(&keys.details).and_then(parsed).and_then(|details| disjoint(&details)) {
        return UsageReading::Known(usage);
    }
    match counted(attributes, keys) {
        Ok(None) => UsageReading::Absent,
        Ok(Some(usage)) => UsageReading::Known(usage),
        Err(why) => UsageReading::Invalid(why),
    }
}

/// What the sender says it cost.
pub(super) fn cost(attributes: &Attributes) -> Option<Money> {
    let keys = &Aliases::builtin().usage;
    let of_details = || {
        let details = attributes.first(&keys.cost_details).and_then(parsed)?;
        let parts = details.as_object()?;
        if let Some(total) = parts.get("total") {
            return usd(total);
        }
        parts.values().filter_map(usd).try_fold(Money::ZERO, Money::checked_add)
    };
    attributes.first(&keys.cost).and_then(usd).or_else(of_details)
}

fn usd(value: &Value) -> Option<Money> {
    let text = match value {
        Value::Number(number) => {
            number.as_u64().map_or_else(|| number.as_f64().map(|f| f.to_string()), |n| Some(n.to_string()))?
        }
        Value::String(text) => text.clone(),
        _ => return None,
    };
    text.parse().ok().filter(|money| *money >= Money::ZERO)
}

fn counted(attributes: &Attributes, keys: &UsageKeys) -> Result<Option<Usage>, String> {
    let count = |name: &str, keys: &[String]| match attributes.count(keys) {
        Some(count) => u64::try_from(count).map(Some).map_err(|_| format!("{name} is negative")),
        None => Ok(None),
    };
    let (input, output) = (count("input tokens", &keys.input)?, count("output tokens", &keys.output)?);
    let total = count("total tokens", &keys.total)?;
    let Some((input, output)) = totals(input, output, total) else { return Ok(None) };
    let read = count("cache reads", &keys.cache_read)?.unwrap_or(0);
    let short = count("cache writes", &keys.cache_write_5m)?.unwrap_or(0);
    let long = count("cache writes", &keys.cache_write_1h)?.unwrap_or(0);
    let written = count("cache writes", &keys.cache_write)?.unwrap_or(0).max(short.saturating_add(long));
    let cached = read.saturating_add(written);
    let beside = cached > input
        || total.is_some_and(|total| cached > 0 && total == input.saturating_add(cached).saturating_add(output));
    let mut rest_in = if beside { input } else { input - cached };
    let thought = count("reasoning tokens", &keys.reasoning)?.unwrap_or(0);
    let mut rest_out = if thought > output { output } else { output - thought };

    let mut usage = Usage::reported([
        (Leaf::CACHE_READ, read),
        (Leaf::cache_write(CacheTtl::FiveMinutes), short),
        (Leaf::cache_write(CacheTtl::OneHour), long),
        (Leaf::CACHE_WRITE, written.saturating_sub(short).saturating_sub(long)),
        (Leaf::REASONING, thought),
    ]);
    // Of other modalities a span tells the whole; which of them were cached it does not.
    for (rest, direction, keys) in [
        (&mut rest_in, Direction::Input, [&keys.input_audio, &keys.input_image]),
        (&mut rest_out, Direction::Output, [&keys.output_audio, &keys.output_image]),
    ] {
        for (modality, keys) in [Modality::Audio, Modality::Image].into_iter().zip(keys) {
            let part = count("a modality's tokens", keys)?.unwrap_or(0).min(*rest);
            *rest -= part;
            usage.add(Leaf::new(direction, Kind::Plain, modality), part);
        }
    }
    usage.add(Leaf::INPUT, rest_in);
    usage.add(Leaf::OUTPUT, rest_out);
    Ok(Some(usage))
}

/// Input and output, where one is told, or both by a total.
fn totals(input: Option<u64>, output: Option<u64>, total: Option<u64>) -> Option<(u64, u64)> {
    match (input, output, total) {
        (None, None, None) => None,
        // One number for both: an embedding's, which is all input.
        (None, None, Some(total)) => Some((total, 0)),
        (Some(input), None, Some(total)) => Some((input, total.saturating_sub(input))),
        (None, Some(output), Some(total)) => Some((total.saturating_sub(output), output)),
        (input, output, _) => Some((input.unwrap_or(0), output.unwrap_or(0))),
    }
}

/// Counts by name that do not contain each other, as Langfuse keeps them.
fn disjoint(details: &Value) -> Option<Usage> {
    const LEAVES: &[(&str, Leaf)] = &[
        ("input", Leaf::INPUT),
        ("output", Leaf::OUTPUT),
        ("cache_read_input_tokens", Leaf::CACHE_READ),
        ("input_cached_tokens", Leaf::CACHE_READ),
        ("input_cache_read", Leaf::CACHE_READ),
        ("cache_creation_input_tokens", Leaf::CACHE_WRITE),
        ("input_cache_creation", Leaf::CACHE_WRITE),
        ("output_reasoning_tokens", Leaf::REASONING),
        ("output_reasoning", Leaf::REASONING),
    ];
    let counts = details.as_object()?;
    let count = |names: &[&str]| names.iter().find_map(|name| u64::try_from(whole(counts.get(*name)?)?).ok());
    // OpenAI's own names, of which the whole contains its parts.
    if count(&["prompt_tokens", "completion_tokens"]).is_some() {
        return tachograph_providers::usage::normalize(tachograph_providers::usage::ApiShape::OpenAiChat, "", details)
            .ok();
    }
    let leaves: Vec<_> = LEAVES.iter().filter_map(|(name, leaf)| Some((*leaf, count(&[name])?))).collect();
    (!leaves.is_empty()).then(|| Usage::reported(leaves))
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};

    use super::*;

    fn of(pairs: &[(&str, i64)]) -> UsageReading {
        let attributes: Vec<KeyValue> = pairs
            .iter()
            .map(|(key, value)| KeyValue {
                key: (*key).to_owned(),
                value: Some(AnyValue { value: Some(any_value::Value::IntValue(*value)) }),
                ..KeyValue::default()
            })
            .collect();
        read(&Attributes::read(&attributes))
    }

    fn known(pairs: &[(&str, i64)]) -> Usage {
        of(pairs).known().unwrap().clone()
    }

    #[test]
    fn cached_tokens_are_counted_once_in_every_convention() {
        // The conventions: the input contains them.
        let usage = known(&[
            ("gen_ai.usage.input_tokens", 500),
            ("gen_ai.usage.output_tokens", 300),
            ("gen_ai.usage.cache_read.input_tokens", 100),
            ("gen_ai.usage.reasoning.output_tokens", 40),
        ]);
        assert_eq!((usage.leaf(Leaf::INPUT), usage.cache_read_total(), usage.input_total()), (400, 100, 500));
        assert_eq!((usage.reasoning_total(), usage.output_total()), (40, 300));
        // More than the whole: they stand beside it.
        let usage = known(&[("gen_ai.usage.input_tokens", 4), ("gen_ai.usage.cache_read_input_tokens", 1000)]);
        assert_eq!((usage.leaf(Leaf::INPUT), usage.input_total()), (4, 1004));
        // The total says so too.
        let usage = known(&[
            ("ai.usage.inputTokens", 50),
            ("ai.usage.outputTokens", 10),
            ("ai.usage.cachedInputTokens", 20),
            ("ai.usage.totalTokens", 80),
        ]);
        assert_eq!(usage.input_total(), 70);
    }

    #[test]
    fn every_generation_and_dialect_tells_the_same() {
        let wanted = known(&[("gen_ai.usage.input_tokens", 9), ("gen_ai.usage.output_tokens", 2)]);
        for (input, output) in [
            ("gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"),
            ("llm.token_count.prompt", "llm.token_count.completion"),
            ("llm.usage.prompt_tokens", "llm.usage.completion_tokens"),
            ("ai.usage.promptTokens", "ai.usage.completionTokens"),
        ] {
            assert_eq!(known(&[(input, 9), (output, 2)]), wanted, "{input}");
        }
    }

    #[test]
    fn what_cannot_be_is_invalid_and_nothing_is_nothing() {
        assert_eq!(of(&[]), UsageReading::Absent);
        assert!(matches!(of(&[("gen_ai.usage.input_tokens", -1)]), UsageReading::Invalid(_)));
        assert_eq!(known(&[("llm.usage.total_tokens", 8)]).input_total(), 8);
    }
}
