//! What a request will cost, before it is sent: a range, and the working of what is most likely.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tachograph_pricing::{Catalog, Match, PriceContext};
use tachograph_providers::chat::ChatRequest;
use tachograph_providers::{DialectId, dialect};
use tachograph_record::{CostLine, CostState, Leaf, Money, Timestamp, Usage, UsageSource};
use tachograph_reply::{ApiError, ErrorKind};
use tachograph_tokens::Counter;

use crate::estimate::{self, PER_MEDIUM, Prompt};

/// How long an answer is taken to be where nothing is known of it, in tokens.
const USUAL_ANSWER: u64 = 500;
/// The longest answer where neither the request nor the price book limits it.
const LONGEST_ANSWER: u64 = 16_384;
/// What a picture or a document comes to at least and at most.
const MEDIUM: (u64, u64) = (85, 3_000);

/// A request to quote.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuoteRequest {
    /// The request as it would be sent.
    pub request: Value,
    /// Its wire format.
    #[serde(default = "openai")]
    pub dialect: DialectId,
    /// The provider; absent, the one that the model's name tells.
    #[serde(default)]
    pub provider: Option<String>,
    /// The model; absent, the request's own.
    #[serde(default)]
    pub model: Option<String>,
}

const fn openai() -> DialectId {
    DialectId::OpenAiChat
}

/// At least, most likely, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Range<T> {
    /// At least.
    pub min: T,
    /// Most likely.
    pub expected: T,
    /// At most.
    pub max: T,
}

/// What a request will cost. All of it is an estimate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quote {
    /// The provider whose price list was used.
    pub provider: String,
    /// The model of that list.
    pub model: String,
    /// The rule by which the model's name was found there.
    pub matched_by: &'static str,
    /// The version of the prices.
    pub price_version: String,
    /// Always true: nothing was sent yet.
    pub estimated: bool,
    /// Tokens of the prompt.
    pub input_tokens: Range<u64>,
    /// Tokens of the answer.
    pub output_tokens: Range<u64>,
    /// In US dollars.
    pub cost_usd: Range<Money>,
    /// The lines of what is most likely.
    pub lines: Vec<CostLine>,
    /// What a careful reader should know.
    pub warnings: Vec<String>,
}

/// Quotes a request at these prices, as if it were sent at `at`.
///
/// # Errors
/// A 400 where the request cannot be read or names no model, a 404 where the price book does not know the model.
pub fn quote(prices: &Catalog, asked: &QuoteRequest, at: Timestamp) -> Result<Quote, ApiError> {
    let request = dialect(asked.dialect).decode_request(asked.request.to_string().as_bytes())?;
    let name = asked.model.as_deref().or(request.model.as_deref()).ok_or_else(|| {
        ApiError::new(ErrorKind::InvalidRequest, "model_missing", "Name a model, in `model` or in the request.")
    })?;
    let found = prices.resolve(asked.provider.as_deref().unwrap_or_default(), name).ok_or_else(|| {
        let message =
            format!("The price book knows no model {name:?}. Name its provider in `provider`, or add its price.");
        ApiError::new(ErrorKind::NotFound, "unknown_model", message)
    })?;
    let counter = Counter::of_model(name);
    let prompt = estimate::prompt(&counter, &request);
    let input_tokens = input(&counter, prompt);
    let mut warnings = Vec::new();
    let output_tokens = output(&request, &found, input_tokens.expected, &mut warnings);
    if prompt.media > 0 {
        warnings.push(format!("{} pictures or documents are counted as {PER_MEDIUM} tokens each", prompt.media));
    }
    if counter.spread_percent() > 0 {
        warnings.push("the model's vocabulary is not published: its tokens are estimated".to_owned());
    }
    let context =
        PriceContext { service_tier: request.rest.get("service_tier").and_then(Value::as_str), ..PriceContext::at(at) };
    let price = |input: u64, output: u64| {
        let mut usage = Usage::new(UsageSource::Estimated);
        usage.add(Leaf::INPUT, input);
        usage.add(Leaf::OUTPUT, output);
        match prices.price(&found, &usage, &context) {
            CostState::Priced(cost) => Ok(*cost),
            _ => Err(ApiError::new(
                ErrorKind::InvalidRequest,
                "not_sold_by_tokens",
                format!("{} is not sold by tokens; it cannot be quoted.", found.model.id),
            )),
        }
    };
    let likely = price(input_tokens.expected, output_tokens.expected)?;
    let min = price(input_tokens.min, output_tokens.min)?.total;
    let max = price(input_tokens.max, output_tokens.max)?.total;
    warnings.extend(likely.warnings);
    Ok(Quote {
        provider: likely.provider,
        model: likely.model,
        matched_by: found.matched_by(),
        price_version: likely.price_version,
        estimated: true,
        input_tokens,
        output_tokens,
        cost_usd: Range { min, expected: likely.total, max },
        lines: likely.lines,
        warnings,
    })
}

/// The prompt, as far off as the counter may be.
fn input(counter: &Counter, prompt: Prompt) -> Range<u64> {
    let off = (prompt.text * counter.spread_percent()).div_ceil(100);
    Range {
        min: prompt.text - off + prompt.media * MEDIUM.0,
        expected: prompt.tokens(),
        max: prompt.text + off + prompt.media * MEDIUM.1,
    }
}

/// The answer: one token at least, at most what the request allows and the model can, for each answer asked for.
fn output(request: &ChatRequest, found: &Match, input: u64, warnings: &mut Vec<String>) -> Range<u64> {
    let limits = found.model.limits;
    let room = limits.context.map(|context| context.saturating_sub(input).max(1));
    let able = [limits.max_output, room].into_iter().flatten().min();
    let most = match (request.max_tokens, able) {
        (Some(asked), Some(able)) => asked.min(able),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => {
            warnings.push(format!("nothing limits the answer; {LONGEST_ANSWER} tokens are taken for the most"));
            LONGEST_ANSWER
        }
    };
    let answers = request.rest.get("n").and_then(Value::as_u64).unwrap_or(1).clamp(1, 128);
    let each = Range { min: most.min(1), expected: most.min(USUAL_ANSWER), max: most };
    Range { min: each.min * answers, expected: each.expected * answers, max: each.max.saturating_mul(answers) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AT: Timestamp = Timestamp::from_micros(1_795_176_000_000_000);

    fn quoted(body: Value) -> Result<Quote, ApiError> {
        quote(Catalog::embedded(), &serde_json::from_value(body).unwrap(), AT)
    }

    #[test]
    fn a_request_is_quoted_as_a_range() {
        let messages = json!([{"role": "user", "content": "Hello world"}]);
        let told =
            quoted(json!({"request": {"model": "gpt-4o-mini", "messages": messages, "max_tokens": 1000}})).unwrap();
        assert_eq!(told.input_tokens, Range { min: 9, expected: 9, max: 9 });
        assert_eq!(told.output_tokens, Range { min: 1, expected: 500, max: 1000 });
        let usd = |amount: &str| amount.parse::<Money>().unwrap();
        // 0.15 and 0.60 for a million.
        let range = Range { min: usd("0.00000195"), expected: usd("0.00030135"), max: usd("0.00060135") };
        assert_eq!((told.cost_usd, told.lines.len(), told.estimated), (range, 2, true));
        assert_eq!((told.provider.as_str(), told.model.as_str()), ("openai", "gpt-4o-mini"));

        let twice = json!({"request": {"model": "gpt-4o-mini", "messages": messages, "max_tokens": 10, "n": 2}});
        assert_eq!(quoted(twice).unwrap().output_tokens, Range { min: 2, expected: 20, max: 20 });
    }

    #[test]
    fn another_model_or_provider_may_be_asked_about() {
        let request =
            json!({"max_tokens": 100, "system": "Be brief.", "messages": [{"role": "user", "content": "Hello"}]});
        let told = quoted(json!({
            "request": request, "dialect": "anthropic.messages", "provider": "bedrock",
            "model": "us.anthropic.claude-sonnet-4-6"
        }))
        .unwrap();
        assert_eq!(told.provider, "aws-bedrock");
        let Range { min, expected, max } = told.input_tokens;
        assert!(min < expected && expected < max, "the vocabulary is not known: {min} {expected} {max}");
        assert!(told.warnings.iter().any(|warning| warning.contains("estimated")), "{:?}", told.warnings);
    }

    #[test]
    fn what_cannot_be_quoted_is_refused() {
        let code = |body: Value| quoted(body).unwrap_err().code().to_owned();
        let messages = json!([{"role": "user", "content": "Hello"}]);
        assert_eq!(code(json!({"request": {"messages": messages}})), "model_missing");
        assert_eq!(code(json!({"request": {"model": "no-such-model", "messages": messages}})), "unknown_model");
        let ocr = json!({"request": {"messages": messages}, "provider": "mistral", "model": "mistral-ocr-latest"});
        assert_eq!(code(ocr), "not_sold_by_tokens");
        assert!(quoted(json!({"request": {"model": "gpt-4o", "messages": 7}})).is_err());
    }
}
