//! What a call costs at most.

use std::sync::Arc;

use serde_json::Value;
use tachograph_pricing::{Catalog, Match, PriceContext};
use tachograph_providers::chat::{ChatRequest, Tool};
use tachograph_providers::{Api, dialect};
use tachograph_record::{CacheTtl, CostState, Leaf, Money, Timestamp, Usage, UsageSource};
use tachograph_tokens::Counter;

use crate::call::{Call, Candidate};
use crate::estimate::{self, Prompt};

/// The longest answer where neither the request nor the price book limits it, in tokens.
const LONGEST_ANSWER: u64 = 16_384;
/// What a picture or a document comes to at most, in tokens.
const LARGEST_MEDIUM: u64 = 3_000;
/// So many bytes of a body count as a token each where that is more than what was counted: providers put more around a
/// short prompt than it is long.
const SHORT: u64 = 1_024;
/// How often a provider's own tool is used in one call at most, where the request does not say.
const TOOL_USES: u64 = 10;

/// The bounds of a call, at one candidate.
pub(super) struct Worst {
    catalog: Arc<Catalog>,
    found: Match,
    at: Timestamp,
    tier: Option<String>,
    input: u64,
    /// The longest answer, and how many there are.
    pub(super) output: u64,
    answers: u64,
    tools: u64,
}

/// Why a call has no bound.
pub(super) enum Unbounded {
    /// It costs nothing.
    Free,
    /// Its model has no price.
    UnknownModel(String),
    /// It is not paid by tokens, or cannot be read.
    NoTokens,
}

impl Worst {
    /// What a call uses at most if this candidate serves it.
    pub(super) fn of(call: &Call, candidate: &Candidate, catalog: Arc<Catalog>) -> Result<Self, Unbounded> {
        if call.method != http::Method::POST || call.api.is_some_and(Api::only_counts) {
            return Err(Unbounded::Free);
        }
        let Some(api) = call.api else { return Err(Unbounded::NoTokens) };
        let name = candidate.model.as_deref().or(call.model.as_deref()).unwrap_or_default();
        let found =
            catalog.resolve(candidate.endpoint.name(), name).ok_or_else(|| Unbounded::UnknownModel(name.to_owned()))?;
        let body = call.body_for(candidate);
        let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
        let (mut input, mut output, mut answers, mut tools, mut tier) = (bytes, 0, 1, 0, None);
        if let Some(id) = api.dialect() {
            let request = dialect(id).decode_request(body).map_err(|_| Unbounded::NoTokens)?;
            let counter = Counter::of_model(name);
            input = prompt(&counter, estimate::prompt(&counter, &request)).max(bytes.min(SHORT));
            output = longest(&request, &found, input);
            answers = request.rest.get("n").and_then(Value::as_u64).unwrap_or(1).clamp(1, 128);
            tools = tool_uses(&request);
            tier = request.rest.get("service_tier").and_then(Value::as_str).map(str::to_owned);
        } else if !api.name().ends_with("embeddings")
            && !api.name().ends_with("completions")
            && !api.name().ends_with("rerank")
        {
            return Err(Unbounded::NoTokens);
        } else if api.name().ends_with("completions") {
            output = found.model.limits.max_output.unwrap_or(LONGEST_ANSWER);
        }
        Ok(Self { catalog, found, at: Timestamp::now(), tier, input, output, answers, tools })
    }

    /// What it costs at most with answers of at most so many tokens. The dearest way of counting each side is taken: a
    /// prompt may be written to a cache, an answer may be all reasoning. `None`: it is not sold by tokens.
    pub(super) fn cost(&self, output: u64) -> Option<Money> {
        let inputs = [Leaf::INPUT, Leaf::CACHE_WRITE, Leaf::cache_write(CacheTtl::OneHour)];
        let dearest_input = inputs.into_iter().filter_map(|leaf| self.price(leaf, self.input)).max();
        let output = output.saturating_mul(self.answers);
        let outputs = [Leaf::OUTPUT, Leaf::REASONING];
        let dearest_output = outputs.into_iter().filter_map(|leaf| self.both(leaf, output)).max();
        let tools = self.tool_price();
        // Together for what depends on the whole, and never less than each side by itself.
        match (dearest_input, dearest_output) {
            (None, None) => None,
            (input, output) => Some([input, output, tools].into_iter().flatten().sum()),
        }
    }

    fn price(&self, leaf: Leaf, tokens: u64) -> Option<Money> {
        let mut usage = Usage::new(UsageSource::Estimated);
        usage.add(leaf, tokens);
        self.total(&usage)
    }

    /// The answer's part of the price, at the rates of a prompt of this length.
    fn both(&self, leaf: Leaf, tokens: u64) -> Option<Money> {
        let alone = self.price(leaf, tokens)?;
        let mut usage = Usage::new(UsageSource::Estimated);
        usage.add(Leaf::INPUT, self.input);
        usage.add(leaf, tokens);
        let with_prompt = self.total(&usage).zip(self.price(Leaf::INPUT, self.input));
        let part = with_prompt.and_then(|(both, prompt)| both.checked_sub(prompt));
        Some(part.map_or(alone, |part| part.max(alone)))
    }

    fn total(&self, usage: &Usage) -> Option<Money> {
        let context = PriceContext { service_tier: self.tier.as_deref(), ..PriceContext::at(self.at) };
        match self.catalog.price(&self.found, usage, &context) {
            CostState::Priced(cost) => Some(cost.total),
            _ => None,
        }
    }

    /// What the provider's own tools cost at most.
    fn tool_price(&self) -> Option<Money> {
        use tachograph_pricing::PriceMeter as Meter;
        if self.tools == 0 {
            return None;
        }
        let rates = [Meter::WebSearches, Meter::StorageSearches, Meter::CodeSessions];
        let dearest = rates.into_iter().flat_map(|meter| self.found.model.rates_of(meter)).map(|rate| {
            let price = &rate.price;
            let atto = price.atto.saturating_mul(i128::from(self.tools)) / i128::from(price.reduced_per.max(1));
            Money::from_atto(atto)
        });
        dearest.max()
    }
}

/// The prompt, as far off as the counter may be.
fn prompt(counter: &Counter, prompt: Prompt) -> u64 {
    let off = prompt.text.saturating_mul(counter.spread_percent()).div_ceil(100);
    prompt.text.saturating_add(off).saturating_add(prompt.media.saturating_mul(LARGEST_MEDIUM))
}

/// The longest answer: what the request allows and the model can.
fn longest(request: &ChatRequest, found: &Match, input: u64) -> u64 {
    let limits = found.model.limits;
    let room = limits.context.map(|context| context.saturating_sub(input).max(1));
    let able = [limits.max_output, room].into_iter().flatten().min();
    match (request.max_tokens, able) {
        (Some(asked), Some(able)) => asked.min(able),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => LONGEST_ANSWER,
    }
}

fn tool_uses(request: &ChatRequest) -> u64 {
    let own = request.tools.iter().flatten().filter_map(|tool| match tool {
        Tool::Opaque(tool) => Some(tool.json.get("max_uses").and_then(Value::as_u64).unwrap_or(TOOL_USES)),
        Tool::Function(_) => None,
    });
    own.fold(0, u64::saturating_add)
}
