//! From what a call asks for to who may serve it: model names, virtual models, and how each target is doing.

mod classify;
mod directory;
mod listing;
mod resolve;

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::Serialize;
use tachograph_pricing::{Catalog, PriceBook};
use tachograph_routing::{Backoff, Clock, LaneStatus, Lanes, RetryBudget, Routes};

use crate::config::RetriesConfig;
use crate::endpoint::Endpoints;
use crate::place::Place;

pub(crate) use classify::classify;
pub(crate) use listing::list;
pub(crate) use resolve::{Resolved, Wanted};

/// Who may serve what, and how everybody is doing.
pub struct Router {
    /// The providers.
    pub(crate) endpoints: Arc<Endpoints>,
    /// The price book, which knows whose model a bare name is.
    pub(crate) prices: Arc<PriceBook>,
    rules: ArcSwap<Rules>,
    tails: ArcSwap<directory::Tails>,
    lanes: Lanes,
    clock: Clock,
    budget: Arc<RetryBudget>,
}

/// What the configuration says, all of one moment.
struct Rules {
    routes: Routes,
    max_attempts: u32,
    backoff: Backoff,
}

impl Rules {
    fn new(routes: Routes, retries: &RetriesConfig) -> Self {
        Self { routes, max_attempts: retries.max_attempts, backoff: retries.backoff.backoff() }
    }
}

impl Router {
    /// Routes to these providers, by this book and these virtual models.
    #[must_use]
    pub fn new(endpoints: Arc<Endpoints>, prices: Arc<PriceBook>, routes: Routes, retries: &RetriesConfig) -> Self {
        Self {
            endpoints,
            prices,
            rules: ArcSwap::from_pointee(Rules::new(routes, retries)),
            tails: ArcSwap::default(),
            lanes: Lanes::default(),
            clock: Clock::start(),
            budget: Arc::new(RetryBudget::percent(retries.budget_percent)),
        }
    }

    /// Puts other virtual models and retries in force, all at once. How targets are doing is remembered.
    pub fn set_rules(&self, routes: Routes, retries: &RetriesConfig) {
        self.rules.store(Arc::new(Rules::new(routes, retries)));
        self.budget.set_percent(retries.budget_percent);
    }

    /// The price book.
    #[must_use]
    pub fn prices(&self) -> &Arc<PriceBook> {
        &self.prices
    }

    /// The clock that all deadlines are measured by.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    pub(crate) fn budget(&self) -> &Arc<RetryBudget> {
        &self.budget
    }

    /// How often a target is asked where the caller says nothing, and when again.
    pub(crate) fn retries(&self) -> (u32, Backoff) {
        let rules = self.rules.load();
        (rules.max_attempts, rules.backoff)
    }

    fn tails(&self, catalog: &Catalog) -> Arc<directory::Tails> {
        let tails = self.tails.load();
        if tails.version() == catalog.version() {
            return Arc::clone(&tails);
        }
        let tails = Arc::new(directory::Tails::of(catalog));
        self.tails.store(Arc::clone(&tails));
        tails
    }

    /// The model that is meant where nobody says one: the only virtual model or, where there is none, the only model that
    /// the configuration gives to a provider.
    pub(crate) fn only_model(&self) -> Option<String> {
        let rules = self.rules.load();
        let routes = rules.routes.keys().filter(|name| !name.contains('*')).cloned();
        let configured = || {
            let endpoints = self.endpoints.all().filter(|endpoint| endpoint.place != Place::Demo);
            let patterns: Vec<String> = endpoints.flat_map(|endpoint| endpoint.models().iter().cloned()).collect();
            patterns.into_iter().filter(|name| !name.contains('*'))
        };
        only(routes).or_else(|| if rules.routes.is_empty() { only(configured()) } else { None })
    }

    /// How every target and every set of keys is doing now.
    #[must_use]
    pub fn status(&self) -> RoutingStatus {
        let now = self.clock.now();
        let keys = self.endpoints.all().filter(|endpoint| endpoint.has_key()).map(|endpoint| {
            let (keys, benched) = endpoint.keys_status();
            KeysStatus { provider: endpoint.name().to_string(), keys, benched }
        });
        let mut keys: Vec<KeysStatus> = keys.collect();
        keys.sort_by(|a, b| a.provider.cmp(&b.provider));
        RoutingStatus {
            targets: self.lanes.status(now),
            keys,
            retries_left: self.budget.left(),
            routes: self.rules.load().routes.keys().cloned().collect(),
        }
    }
}

fn only(mut names: impl Iterator<Item = String>) -> Option<String> {
    let first = names.next()?;
    names.next().is_none().then_some(first)
}

/// How everybody is doing.
#[derive(Clone, Debug, Serialize)]
pub struct RoutingStatus {
    /// The targets that were asked so far.
    pub targets: Vec<LaneStatus>,
    /// The keys of each provider that has any.
    pub keys: Vec<KeysStatus>,
    /// Repetitions that the budget allows now.
    pub retries_left: u64,
    /// The virtual models.
    pub routes: Vec<String>,
}

/// How a provider's keys are doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeysStatus {
    /// The provider.
    pub provider: String,
    /// How many keys are set up.
    pub keys: usize,
    /// How many of them are benched.
    pub benched: usize,
}
