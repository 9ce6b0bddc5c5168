//! The price book in memory, with its indexes.

mod index;
mod overlay;

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use sha2::{Digest, Sha256};
use tachograph_record::{CostState, Usage, UsageReading};

use crate::PriceContext;
use crate::book::{self, Fault, Model, Provider};
use crate::contract::Discount;
use crate::engine::{self, Header};
use crate::matching::{Match, MatchCache};

pub use index::ProviderRow;
pub(crate) use index::{Index, ModelName};

/// The price book: providers, their models and prices. It does not change; see [`PriceBook`](crate::PriceBook) for one
/// that does.
#[derive(Debug)]
pub struct Catalog {
    index: Arc<Index>,
    version: Arc<str>,
    warnings: Vec<Fault>,
    matches: MatchCache,
    discount: Option<Discount>,
}

/// Why price files cannot be used: everything that is wrong with them, each fault with its file and line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct LoadError {
    /// The faults, by file.
    pub faults: Vec<Fault>,
}

/// How much of a version is shown: the first 16 hex digits of the digest.
const VERSION_DIGITS: usize = 16;

static EMBEDDED: LazyLock<Arc<Catalog>> = LazyLock::new(|| {
    let version: &str = include_str!(concat!(env!("OUT_DIR"), "/book.digest"));
    let version = version.get(..VERSION_DIGITS).unwrap_or(version);
    // The names in the built-in files do not collide: a test of this module sees to it.
    Arc::new(Catalog::new(Index::new(embedded_providers()).0, version, embedded_warnings()))
});

/// `file<tab>line<tab>message`, as `build.rs` wrote them.
fn embedded_warnings() -> Vec<Fault> {
    let written = include_str!(concat!(env!("OUT_DIR"), "/book.warnings"));
    let read = |line: &str| {
        let mut parts = line.splitn(3, '\t');
        let (file, line, message) = (parts.next()?, parts.next()?, parts.next()?);
        let line = line.parse().ok().filter(|&line: &usize| line > 0);
        Some(Fault { file: file.to_owned(), line, message: message.to_owned() })
    };
    written.lines().filter_map(read).collect()
}

fn embedded_providers() -> Vec<Provider> {
    // `build.rs` wrote these bytes with the encoder of this very source, so they decode.
    book::decode(include_bytes!(concat!(env!("OUT_DIR"), "/book.bin"))).unwrap_or_default()
}

impl Catalog {
    fn new(index: Index, version: &str, warnings: Vec<Fault>) -> Self {
        Self { index: index.into(), version: version.into(), warnings, matches: MatchCache::default(), discount: None }
    }

    /// The book that is built into the binary: its names are read on first use (some milliseconds), a model's prices when it
    /// is first asked for.
    #[must_use]
    pub fn embedded() -> &'static Arc<Self> {
        &EMBEDDED
    }

    /// The built-in book with price files laid over it: each path is a file or a directory whose `*.toml` are read in
    /// the order of their names; the last one is on top. A model in an overlay replaces the whole model of that id.
    ///
    /// # Errors
    ///
    /// Every fault of every file, and paths that cannot be read.
    pub fn with_overlays(paths: &[PathBuf]) -> Result<Self, LoadError> {
        overlay::load(Self::embedded().version(), embedded_providers(), paths)
    }

    /// A book of these files alone, without the built-in one: what a refreshed folder of price files would be.
    ///
    /// # Errors
    ///
    /// Every fault of every file, and paths that cannot be read.
    pub fn of_files(paths: &[PathBuf]) -> Result<Self, LoadError> {
        overlay::load("", Vec::new(), paths)
    }

    /// The same book at a discount, under a version of its own.
    pub(crate) fn discounted(&self, discount: Option<&Discount>) -> Self {
        let version = discount.map_or_else(
            || self.version.to_string(),
            |discount| hex::encode(Sha256::digest(format!("{} less {discount} %", self.version))),
        );
        Self {
            index: Arc::clone(&self.index),
            version: version[..VERSION_DIGITS.min(version.len())].into(),
            warnings: self.warnings.clone(),
            matches: MatchCache::default(),
            discount: discount.cloned(),
        }
    }

    /// The version of the book: a digest of its files. Two books with the same version give the same costs.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What is odd in the files that were read last, though usable: in those of the built-in book, or in the overlays
    /// where there are any.
    #[must_use]
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    /// The providers, by id.
    #[must_use]
    pub fn providers(&self) -> &[ProviderRow] {
        self.index.providers()
    }

    /// The provider of an id or alias, whatever its case: `bedrock` is `aws-bedrock`.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&ProviderRow> {
        self.index.provider(name)
    }

    /// The model that a name means at a provider, and by which rule. An empty provider is inferred where the name leaves
    /// no doubt. Results are cached, known or not, in bounded memory.
    #[must_use]
    pub fn resolve(&self, provider: &str, model: &str) -> Option<Match> {
        self.matches.get_or(provider, model, || crate::matching::find(&self.index, provider, model))
    }

    /// Whether any provider lists a model under this very name, whatever its case, as an id or an alias.
    #[must_use]
    pub fn is_listed(&self, model: &str) -> bool {
        self.index.listing(&model.trim().to_ascii_lowercase()).next().is_some()
    }

    /// The cost of usage at a match's prices.
    ///
    /// It is [`CostState::UnknownModel`] where nothing of what was used has a price there (tokens of a model that is
    /// sold by the page), and [`CostState::InvalidUsage`] where the amount is beyond any ledger.
    #[must_use]
    pub fn price(&self, found: &Match, usage: &Usage, context: &PriceContext<'_>) -> CostState {
        let region = context.region.or(found.region.as_deref());
        let context = PriceContext { region, ..*context };
        let header = Header {
            provider: &found.provider,
            model: &found.model.id,
            matched_by: found.matched_by(),
            price_version: &self.version,
            discount: self.discount.as_ref(),
        };
        let is_nothing = usage.leaves().is_empty() && usage.units().is_empty();
        match engine::bill(&found.model, usage, &context, &header) {
            CostState::Priced(cost) if cost.lines.is_empty() && !is_nothing => CostState::UnknownModel,
            known => known,
        }
    }

    /// The cost of what an answer said about its usage: [`resolve`](Self::resolve) and [`price`](Self::price) in one.
    /// Without usage it is [`CostState::NoUsage`], whatever the model.
    #[must_use]
    pub fn cost(&self, provider: &str, model: &str, reading: &UsageReading, context: &PriceContext<'_>) -> CostState {
        match reading {
            UsageReading::Absent => CostState::NoUsage,
            UsageReading::Invalid(why) => CostState::InvalidUsage { why: why.clone() },
            UsageReading::Known(usage) => match self.resolve(provider, model) {
                Some(found) => self.price(&found, usage, context),
                None => CostState::UnknownModel,
            },
        }
    }

    /// Every provider with every one of its models, unpacked.
    pub fn models(&self) -> impl Iterator<Item = (&ProviderRow, &Arc<Model>)> {
        self.providers().iter().flat_map(|provider| provider.models().map(move |model| (provider, model)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_built_in_book_do_not_collide() {
        let (_, clashes) = Index::new(embedded_providers());
        assert_eq!(clashes, Vec::<String>::new());
    }

    #[test]
    fn the_built_in_book_is_large_and_every_model_in_it_has_a_price() {
        let book = Catalog::embedded();
        let (providers, models) = (book.providers().len(), book.models().count());
        assert!(providers >= 150, "{providers} providers");
        assert!(models >= 9_000, "{models} models");
        assert!(book.models().all(|(_, model)| !model.rates.is_empty()));
        assert_eq!(book.version().len(), VERSION_DIGITS);
    }
}
