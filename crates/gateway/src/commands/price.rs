//! `gateway price`

use std::io::{BufRead, BufWriter, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tachograph_pricing::{Card, PriceBook, PriceContext};
use tachograph_providers::usage::{ApiShape, UsageError, normalize, totals};
use tachograph_record::{CostLine, CostState, Money, Timestamp, UsageReading};

use super::CommandError;
use crate::config::Config;

/// One line of input; fields that are not known are left aside.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    provider: String,
    #[serde(default)]
    api: String,
    model: String,
    #[serde(default)]
    usage: Option<Value>,
    #[serde(default)]
    context: Option<Map<String, Value>>,
    #[serde(default)]
    price_card: Option<Value>,
}

/// One line of output.
#[derive(Serialize)]
struct Answered {
    id: Option<Value>,
    status: &'static str,
    cost_usd: Option<Money>,
    normalized: Option<Map<String, Value>>,
    lines: Vec<CostLine>,
    resolves_to: Option<Target>,
    matched_by: Option<String>,
    price_version: Option<String>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Target {
    provider: String,
    model: String,
}

/// Prices each JSON line of `input` and writes one JSON line for it, in order.
///
/// # Errors
/// Where a price file is wrong, or reading or writing fails.
pub fn price(config: &Config, input: impl BufRead, out: &mut impl Write) -> Result<(), CommandError> {
    let prices =
        PriceBook::open(config.pricing.overlays.clone()).map_err(|faults| CommandError::Usage(faults.to_string()))?;
    let mut out = BufWriter::new(out);
    for (number, line) in input.lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let answered = match serde_json::from_str::<Asked>(&line) {
            Ok(asked) => answer(asked, &prices),
            Err(error) => unreadable(format!("line {} is not a request to price: {error}", number + 1)),
        };
        serde_json::to_writer(&mut out, &answered).map_err(|error| CommandError::Internal(error.to_string()))?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

fn answer(asked: Asked, prices: &PriceBook) -> Answered {
    let mut warnings = Vec::new();
    let shape = ApiShape::of_api(&asked.api).unwrap_or_else(|| {
        warnings.push(format!("api {:?} is not known; read as chat_completions", asked.api));
        ApiShape::OpenAiChat
    });
    let reading = match normalize(shape, &asked.provider, asked.usage.as_ref().unwrap_or(&Value::Null)) {
        Ok(usage) => UsageReading::Known(usage),
        Err(UsageError::NoUsage) => UsageReading::Absent,
        Err(invalid @ UsageError::Invalid { .. }) => UsageReading::Invalid(invalid.to_string()),
    };
    let context = Context::read(asked.context.as_ref(), asked.usage.as_ref(), &mut warnings);
    let attributes = context.attributes();
    let context = context.price_context(&attributes);
    let cost = match asked.price_card.map(serde_json::from_value::<Card>) {
        Some(Ok(card)) => card.cost(&asked.provider, &asked.model, &reading, &context),
        Some(Err(error)) => {
            warnings.push(format!("the price card is not used: {error}"));
            CostState::UnknownModel
        }
        None => prices.current().cost(&asked.provider, &asked.model, &reading, &context),
    };
    Answered { normalized: reading.known().map(inclusive), ..written(asked.id, cost, warnings) }
}

fn unreadable(why: String) -> Answered {
    written(None, CostState::InvalidUsage { why }, Vec::new())
}

fn written(id: Option<Value>, cost: CostState, mut warnings: Vec<String>) -> Answered {
    let status = cost.code();
    let mut answered = Answered {
        id,
        status,
        cost_usd: cost.total(),
        normalized: None,
        lines: Vec::new(),
        resolves_to: None,
        matched_by: None,
        price_version: None,
        warnings: Vec::new(),
    };
    match cost {
        CostState::Priced(cost) => {
            warnings.extend(cost.warnings);
            answered.lines = cost.lines;
            answered.resolves_to = Some(Target { provider: cost.provider, model: cost.model });
            answered.matched_by = Some(cost.matched_by);
            answered.price_version = Some(cost.price_version);
        }
        CostState::InvalidUsage { why } => warnings.push(why),
        CostState::UnknownModel | CostState::NoUsage => {}
    }
    answered.warnings = warnings;
    answered
}

/// The inclusive totals under their public names; counts that are no whole numbers as decimals.
fn inclusive(usage: &tachograph_record::Usage) -> Map<String, Value> {
    let totals = totals(usage);
    let told = |&(name, count): &(&str, u64)| count > 0 || matches!(name, "input_tokens" | "output_tokens");
    let tokens = totals.tokens.into_iter().filter(told).map(|(name, count)| (name.to_owned(), Value::from(count)));
    let units = totals.units.into_iter().map(|(name, count)| {
        let whole = count.micro().is_multiple_of(1_000_000).then(|| Value::from(count.micro() / 1_000_000));
        (name.to_owned(), whole.unwrap_or_else(|| Value::from(count.to_string())))
    });
    tokens.chain(units).collect()
}

/// What decides between a model's prices, as the line tells it.
struct Context {
    at: Timestamp,
    batch: bool,
    texts: Vec<(String, String)>,
}

impl Context {
    fn read(given: Option<&Map<String, Value>>, usage: Option<&Value>, warnings: &mut Vec<String>) -> Self {
        let mut context = Self { at: Timestamp::now(), batch: false, texts: Vec::new() };
        for (name, value) in given.into_iter().flatten() {
            match (name.as_str(), value) {
                ("at", Value::String(at)) => match at.parse::<jiff::Timestamp>() {
                    Ok(at) => context.at = Timestamp::from_micros(at.as_microsecond()),
                    Err(_) => warnings
                        .push(format!("context.at {at:?} is no time such as 2026-11-20T12:00:00Z; priced as of now")),
                },
                ("batch", Value::Bool(batch)) => context.batch = *batch,
                (_, Value::String(text)) => context.texts.push((name.clone(), text.clone())),
                (_, Value::Number(number)) => context.texts.push((name.clone(), number.to_string())),
                _ => {}
            }
        }
        // Some providers tell the served tier inside the usage itself.
        let told = usage.and_then(|usage| usage.get("service_tier")?.as_str());
        if let (Some(tier), None) = (told, context.text("service_tier")) {
            context.texts.push(("service_tier".to_owned(), tier.to_owned()));
        }
        context
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().find(|(held, _)| held == name).map(|(_, text)| text.as_str())
    }

    fn attributes(&self) -> Vec<(&str, &str)> {
        self.texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect()
    }

    fn price_context<'a>(&'a self, attributes: &'a [(&'a str, &'a str)]) -> PriceContext<'a> {
        PriceContext {
            service_tier: self.text("service_tier"),
            batch: self.batch,
            region: self.text("region"),
            deployment: self.text("deployment"),
            attributes,
            ..PriceContext::at(self.at)
        }
    }
}
