//! What names mean here: which are providers, whose model a bare name is, and what a provider calls it.

use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use std::collections::HashMap;
use tachograph_pricing::{Catalog, Match, MatchRule, Model, PriceMeter};
use tachograph_record::OrgId;
use tachograph_routing::{Directory, Routes, find};

use super::Router;
use crate::endpoint::Endpoint;

/// Whom to ask first where several serve a model: who made it, then others, then those who only pass it on.
const MAKER: u8 = 3;
const OTHERS: u8 = 4;
const RANKS: [(&str, u8); 11] = [
    ("gemini", 5),
    ("openrouter", 10),
    ("helicone", 10),
    ("vercel", 10),
    ("requesty", 10),
    ("litellm", 10),
    ("aihubmix", 10),
    ("302ai", 10),
    ("huggingface", 10),
    ("poe", 10),
    ("github", 10),
];

/// Names that mean another one, and what providers call a model of a well-known name: rows of `models.toml`.
#[derive(Deserialize)]
struct Names {
    aliases: HashMap<String, String>,
    models: HashMap<String, HashMap<String, String>>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    // A test of this module reads the same text.
    toml::from_str(include_str!("models.toml"))
        .unwrap_or_else(|_| Names { aliases: HashMap::new(), models: HashMap::new() })
});

/// The name that another one means.
#[cfg(test)]
pub(super) fn alias(name: &str) -> Option<&'static str> {
    NAMES.aliases.get(name).map(String::as_str)
}

/// Reads names with the providers, routes and prices of one moment.
pub(super) struct Known<'a> {
    pub(super) router: &'a Router,
    pub(super) catalog: &'a Catalog,
    pub(super) routes: &'a Routes,
    /// Whose keys count.
    pub(super) org: OrgId,
}

impl Directory for Known<'_> {
    fn is_provider(&self, name: &str) -> bool {
        self.router.endpoints.get(name).is_some()
    }

    fn is_route(&self, name: &str) -> bool {
        find(self.routes, name).is_some()
    }

    fn is_model(&self, name: &str) -> bool {
        self.router.endpoints.serving(name).is_some()
            || NAMES.aliases.contains_key(name)
            || NAMES.models.contains_key(name)
            || self.catalog.is_listed(name)
    }
}

/// A provider that serves a model, and what it calls it.
pub(super) struct Serving {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) model: String,
    pub(super) price: Option<f64>,
    rank: u8,
}

impl Known<'_> {
    /// A model at a provider that was named. What the provider does not list is asked for as it was written.
    pub(super) fn at(&self, endpoint: &Arc<Endpoint>, name: &str) -> Serving {
        let found = self.sent_as(endpoint, name);
        let (model, price) = found.unwrap_or_else(|| (name.to_owned(), None));
        Serving { endpoint: endpoint.clone(), model, price, rank: OTHERS }
    }

    /// All that serve a bare name and can be asked, the best first: those whose configuration lists it; then those with
    /// keys of ours, the maker first, then by price; then, where nobody has a key, whoever the book says made it, for
    /// the caller may bring a key.
    pub(super) fn anywhere(&self, name: &str) -> Vec<Serving> {
        let configured: Vec<Serving> = self
            .router
            .endpoints
            .all_serving(name)
            .map(|endpoint| Serving { endpoint: endpoint.clone(), model: name.to_owned(), price: None, rank: 0 })
            .collect();
        let with_keys = self.router.endpoints.all().filter(|endpoint| endpoint.has_key_for(self.org));
        let with_keys =
            with_keys.filter(|endpoint| !configured.iter().any(|held| Arc::ptr_eq(&held.endpoint, endpoint)));
        let mut serving: Vec<Serving> = with_keys
            .filter_map(|endpoint| {
                let (model, price) = self.sent_as(endpoint, name)?;
                Some(Serving { rank: self.rank(endpoint, name), endpoint: endpoint.clone(), model, price })
            })
            .collect();
        let by_price = |price: Option<f64>| price.unwrap_or(f64::INFINITY);
        serving.sort_by(|a, b| {
            let by_name = || a.endpoint.name().cmp(b.endpoint.name());
            a.rank.cmp(&b.rank).then_with(|| by_price(a.price).total_cmp(&by_price(b.price))).then_with(by_name)
        });
        let mut all = configured;
        all.append(&mut serving);
        if all.is_empty() {
            all.extend(self.without_keys(name));
        }
        all
    }

    fn without_keys(&self, name: &str) -> Option<Serving> {
        let alias = NAMES.aliases.get(name).map(String::as_str);
        let inferred = [Some(name), alias].into_iter().flatten().find_map(|name| {
            let endpoint = self.router.endpoints.get(&self.catalog.resolve("", name)?.provider)?;
            Some((endpoint, name))
        });
        if let Some((endpoint, name)) = inferred {
            return Some(self.at(endpoint, name));
        }
        // Several list it: who made it is meant, else the first by price.
        let endpoints = self.router.endpoints.all().filter(|endpoint| &*endpoint.provider.name != "demo");
        let listing = endpoints.filter_map(|endpoint| {
            let (model, price) = self.sent_as(endpoint, name)?;
            Some(Serving { rank: self.rank(endpoint, name), endpoint: endpoint.clone(), model, price })
        });
        let by_price = |price: Option<f64>| price.unwrap_or(f64::INFINITY);
        listing.min_by(|a, b| {
            let by_name = || a.endpoint.name().cmp(b.endpoint.name());
            a.rank.cmp(&b.rank).then_with(|| by_price(a.price).total_cmp(&by_price(b.price))).then_with(by_name)
        })
    }

    fn rank(&self, endpoint: &Endpoint, name: &str) -> u8 {
        let lower = name.to_ascii_lowercase();
        let row = RANKS.iter().find(|(provider, _)| *provider == &**endpoint.name());
        let makes = || self.catalog.provider(endpoint.name()).is_some_and(|provider| provider.makes(&lower));
        row.map_or_else(|| if makes() { MAKER } else { OTHERS }, |(_, rank)| *rank)
    }

    /// What a provider calls a model of this name, and what it costs there; `None` where the provider does not list it.
    fn sent_as(&self, endpoint: &Endpoint, name: &str) -> Option<(String, Option<f64>)> {
        let provider = endpoint.name();
        let table = |name: &str| NAMES.models.get(name)?.get(&**provider).cloned();
        let listed = |name: &str| self.catalog.resolve(provider, name);
        let priced = |id: String| {
            let price = listed(&id).and_then(|found| price(&found.model));
            (id, price)
        };
        if let Some(id) = table(name) {
            return Some(priced(id));
        }
        if let Some(found) = listed(name).filter(|found| found.rule == MatchRule::Exact) {
            return Some((name.to_owned(), price(&found.model)));
        }
        if let Some(alias) = NAMES.aliases.get(name)
            && let Some(id) = table(alias).or_else(|| listed(alias).map(|found| own_name(&found, alias)))
        {
            return Some(priced(id));
        }
        if let Some(found) = listed(name) {
            let price = price(&found.model);
            return Some((own_name(&found, name), price));
        }
        // Hosts of open models list them under their makers: `Qwen/Qwen3-30B-A3B`.
        let tails = self.router.tails(self.catalog);
        let tail = tails.get(self.catalog.provider(provider)?.id(), name)?;
        Some(priced(tail))
    }
}

/// A provider's models by the last part of their ids; absent, where several end in it.
type Ends = HashMap<Box<str>, Option<Box<str>>>;

/// The models of each provider by the last part of their ids, in lower case; those that only one model ends in.
#[derive(Debug, Default)]
pub(super) struct Tails {
    version: Box<str>,
    of_provider: HashMap<Arc<str>, Ends>,
}

impl Tails {
    /// Those of a catalog. It takes some milliseconds, once for each version of the prices.
    pub(super) fn of(catalog: &Catalog) -> Self {
        let mut tails = Self { version: catalog.version().into(), ..Self::default() };
        let ids = catalog.providers().iter().flat_map(|provider| provider.model_ids().map(move |id| (provider, id)));
        for (provider, id) in ids {
            let Some((_, tail)) = id.rsplit_once('/') else { continue };
            let held = tails.of_provider.entry(Arc::clone(provider.id())).or_default();
            held.entry(tail.to_ascii_lowercase().into())
                .and_modify(|several| *several = None)
                .or_insert_with(|| Some(id.into()));
        }
        tails
    }

    /// The version of the prices that they were made from.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    fn get(&self, provider: &Arc<str>, name: &str) -> Option<String> {
        let held = self.of_provider.get(provider)?.get(&*name.to_ascii_lowercase())?;
        held.as_ref().map(ToString::to_string)
    }
}

/// What the provider calls what was found: a name without the path it is listed under gets that path, one in another
/// case the provider's case. Other names go on as they were written, for the provider knows them too.
fn own_name(found: &Match, written: &str) -> String {
    match found.rule {
        MatchRule::CaseFolded => found.model.id.to_string(),
        MatchRule::Wrapped if !written.contains('/') && found.model.id.contains('/') => found.model.id.to_string(),
        _ => written.to_owned(),
    }
}

/// Input and output of a token, in attodollars: enough to compare by.
#[allow(clippy::cast_precision_loss, reason = "prices are only compared")]
fn price(model: &Model) -> Option<f64> {
    let of = |meter| {
        let price = &model.base_rate(meter)?.price;
        Some(price.atto as f64 / price.reduced_per.max(1) as f64)
    };
    Some(of(PriceMeter::Input)? + of(PriceMeter::Output).unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_names_can_be_read() {
        let names: Names = toml::from_str(include_str!("models.toml")).unwrap();
        assert_eq!(names.aliases["kimi-k2"], "kimi-k2-0905");
        let providers = tachograph_providers::Registry::builtin();
        for (model, ids) in &names.models {
            for provider in ids.keys() {
                assert!(providers.get(provider).is_some(), "{model}: no provider is called {provider}");
            }
        }
    }
}
