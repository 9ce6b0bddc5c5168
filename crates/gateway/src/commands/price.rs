//! `gateway price`

use std::io::{BufRead, BufWriter, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tachograph_pricing::{Card, PriceBook, PriceContext};
use tachograph_providers::usage::{ApiShape, UsageError, normalize, totals};
use tachograph_record::{CostLine, CostState, Money, Timestamp, Unit, Usage, UsageReading};

use super::CommandError;
use crate::config::Config;

/// One line of input; fields that are not known are left aside.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    provider: Option<String>,
    #[serde(default)]
    api: Option<String>,
    #[serde(default)]
    model: Option<String>,
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
        PriceBook::open_with(config.pricing.sources()).map_err(|faults| CommandError::Usage(faults.to_string()))?;
    let mut out = BufWriter::new(out);
    for (number, line) in input.lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let answered = match serde_json::from_str::<Asked>(&line) {
            Ok(asked) => answer(asked, &prices),
            Err(error) => unreadable(&line, format!("line {} is not a request to price: {error}", number + 1)),
        };
        serde_json::to_writer(&mut out, &answered).map_err(|error| CommandError::Internal(error.to_string()))?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

fn answer(asked: Asked, prices: &PriceBook) -> Answered {
    let mut warnings = Vec::new();
    let (provider, api) = (asked.provider.unwrap_or_default(), asked.api.unwrap_or_default());
    let model = asked.model.unwrap_or_default();
    let shape = ApiShape::of_api(&api).unwrap_or_else(|| {
        warnings.push(format!("api {api:?} is not known; read as chat_completions"));
        ApiShape::OpenAiChat
    });
    let reading = match normalize(shape, &provider, asked.usage.as_ref().unwrap_or(&Value::Null)) {
        Ok(usage) => UsageReading::Known(usage),
        Err(UsageError::NoUsage) => UsageReading::Absent,
        Err(invalid @ UsageError::Invalid { .. }) => UsageReading::Invalid(invalid.to_string()),
    };
    let context = Context::read(asked.context.as_ref(), asked.usage.as_ref(), &mut warnings);
    let attributes = context.attributes();
    let context = context.price_context(&attributes);
    let catalog = prices.current();
    let cost = match asked.price_card.map(serde_json::from_value::<Card>) {
        Some(Ok(card)) => {
            // The card says what it costs; whose model it is, the book knows under whatever name it was called.
            let listed = catalog.resolve(&provider, &model);
            let (provider, model) =
                listed.as_ref().map_or((&*provider, &*model), |found| (&*found.provider, &*found.model.id));
            card.cost(provider, model, &reading, &context)
        }
        Some(Err(error)) => {
            warnings.push(format!("the price card is not used: {error}"));
            CostState::UnknownModel
        }
        None => catalog.cost(&provider, &model, &reading, &context),
    };
    Answered { normalized: reading.known().map(inclusive), ..written(asked.id, cost, warnings) }
}

/// The answer to a line that is no request to price; under its id, where it has one.
fn unreadable(line: &str, why: String) -> Answered {
    let id = serde_json::from_str::<Value>(line).ok().and_then(|line| line.get("id").cloned());
    written(id, CostState::InvalidUsage { why }, Vec::new())
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
            // What is free is billed as nothing: it stands in the totals, not among the lines.
            answered.lines = cost.lines.into_iter().filter(|line| line.amount != Money::ZERO).collect();
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

/// Units of which a reader expects a count even where there were none.
const ALWAYS_TOLD: Unit = Unit::WebSearches;

/// The inclusive totals under their public names, those of 0 too; counts that are no whole numbers as decimals.
fn inclusive(usage: &Usage) -> Map<String, Value> {
    let totals = totals(&usage.billable());
    let tokens = totals.tokens.into_iter().map(|(name, count)| (name.to_owned(), Value::from(count)));
    let none = (ALWAYS_TOLD.name().to_owned(), Value::from(0));
    let units = totals.units.into_iter().map(|(name, count)| {
        let whole = count.micro().is_multiple_of(1_000_000).then(|| Value::from(count.micro() / 1_000_000));
        (name.to_owned(), whole.unwrap_or_else(|| Value::from(count.to_string())))
    });
    tokens.chain(std::iter::once(none)).chain(units).collect()
}

/// Where Vertex tells the tier that served.
const VERTEX_TIER: &str = "trafficType";

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
        // What was asked for or served stands in the usage itself at some APIs: the size of an image, the tier that
        // served, where. What the line's own context says goes before it.
        for (name, value) in usage.and_then(Value::as_object).into_iter().flatten() {
            if let (Value::String(text), None) = (value, context.text(name)) {
                context.texts.push((name.clone(), text.clone()));
            }
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
            service_tier: self.text("service_tier").or_else(|| self.text(VERTEX_TIER)),
            batch: self.batch,
            region: self.text("region"),
            deployment: self.text("deployment"),
            attributes,
            ..PriceContext::at(self.at)
        }
    }
}
