//! Limits: a call is let through by its rate limits and budgets, or it is not sent.
//!
//! What a call costs at most is reserved before it is sent, and settled when its record is priced
//! ([`Priced`](crate::Priced)), which happens once for every call, however it ends.

mod layer;
mod open;
mod rules;
mod shrink;
mod worst;

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use tachograph_ratelimit::{Limiter, Rules, Spent, Subject};
use tachograph_record::{Asked, CostState, LogRecord, Money, UsageReading};

pub(crate) use layer::LimitLayer;

use crate::config::UnknownModel;
use crate::endpoint::Endpoints;
use crate::router::Router;
use open::OpenCalls;
use rules::Book;
pub use rules::{KEPT, KeptRule};

/// A gateway's limits, and what is reserved for its calls under way.
pub struct Limits {
    limiter: Limiter,
    open: OpenCalls,
    router: Arc<Router>,
    terms: ArcSwap<Terms>,
    book: Mutex<Book>,
}

/// What becomes of calls whose cost has no bound or no price.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    unknown_model: UnknownModel,
    ceiling: Money,
}

impl Limits {
    /// Limits by this limiter, of calls that this router serves.
    #[must_use]
    pub fn new(limiter: Limiter, router: Arc<Router>, unknown_model: UnknownModel, ceiling: Money) -> Self {
        let terms = ArcSwap::from_pointee(Terms { unknown_model, ceiling });
        let book = Mutex::new(Book::of(&limiter.rules()));
        Self { limiter, open: OpenCalls::default(), router, terms, book }
    }

    /// No limits but those that calls bring themselves.
    #[must_use]
    pub fn none(router: Arc<Router>) -> Self {
        Self::new(Limiter::in_memory(Rules::default()), router, UnknownModel::default(), Money::ZERO)
    }

    /// The limiter.
    #[must_use]
    pub fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// Settles a call whose record is priced. A call that nothing was reserved for, because another program made it and
    /// told of it afterwards, is counted all the same.
    pub fn settle(&self, record: &LogRecord) {
        let spent = self.spent(record);
        if let Some(reservation) = self.open.take(record.asked.org, record.id) {
            return reservation.settle(spent);
        }
        if (spent.cost > Money::ZERO || spent.unpriced) && self.limiter.has_rules() {
            let who = Who::of(&record.asked, None, &self.router.endpoints);
            self.limiter.charge(&who.subject(), record.timing.received_at, spent);
        }
    }

    fn spent(&self, record: &LogRecord) -> Spent {
        let is_hit = record.control.cache.as_ref().is_some_and(|cache| cache.status.served());
        // Attempts that were charged for and did not serve cost money too.
        let attempts = record.attempts.iter().filter_map(|attempt| attempt.cost);
        let known = if is_hit { Money::ZERO } else { record.cost.total().into_iter().chain(attempts).sum() };
        let tokens = match (&record.reading.usage, is_hit) {
            (UsageReading::Known(usage), false) => usage.input_total().saturating_add(usage.output_total()),
            _ => 0,
        };
        let is_unknown = matches!(record.cost, CostState::UnknownModel | CostState::InvalidUsage { .. });
        Spent { cost: known, tokens, counts: !is_hit, unpriced: is_unknown && !is_hit }
    }
}

/// Who a call is charged to, as its record says.
pub(crate) struct Who {
    org: String,
    key: Option<String>,
    user: Option<String>,
    model: Option<String>,
    properties: Vec<(String, String)>,
}

impl Who {
    pub(crate) fn of(asked: &Asked, model: Option<&str>, endpoints: &Endpoints) -> Self {
        let attribution = &asked.attribution;
        let model =
            model.map(str::to_owned).or_else(|| asked.model.as_deref().map(|name| bare(name, endpoints).to_owned()));
        Self {
            org: asked.org.to_string(),
            key: asked.key.map(|key| key.to_string()),
            user: attribution.user.clone(),
            model,
            properties: attribution.properties.clone(),
        }
    }

    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            org: &self.org,
            key: self.key.as_deref(),
            user: self.user.as_deref(),
            model: self.model.as_deref(),
            properties: &self.properties,
        }
    }
}

/// A model's name without the provider's: `openai/gpt-4o` and `gpt-4o` are one model to a limit.
#[must_use]
pub fn bare<'a>(name: &'a str, endpoints: &Endpoints) -> &'a str {
    let first = name.split_once('/').filter(|(provider, _)| endpoints.get(provider).is_some()).map(|(_, model)| model);
    let last =
        || name.rsplit_once('/').filter(|(_, provider)| endpoints.get(provider).is_some()).map(|(model, _)| model);
    first.or_else(last).unwrap_or(name)
}
