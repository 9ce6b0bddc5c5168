//! Which row of the book a model name means.
//!
//! Names come as providers, gateways and people write them: ` GPT-4o `, `bedrock/us.anthropic.claude-…-v1:0`,
//! `publishers/anthropic/models/…`, `ft:gpt-4o-…:org::id`. The rules are tried from the exact one to the most lenient,
//! and none of them matches by a part of a name: a price that is not known is better than one of another model.

mod cache;
mod date;
mod wrapper;

use std::sync::Arc;

use smallvec::SmallVec;

use crate::book::{Condition, Model};
use crate::catalog::{Index, ModelName, ProviderRow};

pub(crate) use cache::MatchCache;
use wrapper::Form;
pub(crate) use wrapper::unwrapped;

/// A row of the book, and how it was found.
#[derive(Clone, Debug)]
pub struct Match {
    /// The provider's id.
    pub provider: Arc<str>,
    /// The row.
    pub model: Arc<Model>,
    /// The rule that led to it, the most lenient where several did.
    pub rule: MatchRule,
    /// Whether the provider was not named but found by the model's name.
    pub inferred: bool,
    /// A region that the name told: `eu` of `eu.anthropic.…` or of `azure/eu/gpt-4o`.
    pub region: Option<Arc<str>>,
}

/// The rules, from the strictest to the most lenient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MatchRule {
    /// The operator mapped the name. This goes before all others: an Azure deployment called `gpt-4o` can serve
    /// anything.
    UserMapping,
    /// The id, letter by letter.
    Exact,
    /// The id but for case and blanks around it.
    CaseFolded,
    /// An alias.
    Alias,
    /// The id or an alias in a known wrapper: a gateway's prefix, a publisher path, an ARN.
    Wrapped,
    /// The same snapshot date written otherwise: `-20251211` for `-2025-12-11`.
    DateForm,
    /// A fine-tuned model, billed as the base model's fine-tunes are.
    FineTune,
    /// The undated name of a snapshot that is not listed, where no other snapshot of it has another price.
    DateDropped,
    /// A Bedrock id without its geographic prefix, where none is listed with it.
    GeoPrefix,
}

impl MatchRule {
    /// The rule's stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.codes().0
    }

    /// The name, and the one for a match whose provider was inferred.
    const fn codes(self) -> (&'static str, &'static str) {
        match self {
            Self::UserMapping => ("user_mapping", "provider_inferred+user_mapping"),
            Self::Exact => ("exact", "provider_inferred+exact"),
            Self::CaseFolded => ("case_folded", "provider_inferred+case_folded"),
            Self::Alias => ("alias", "provider_inferred+alias"),
            Self::Wrapped => ("wrapped", "provider_inferred+wrapped"),
            Self::DateForm => ("date_form", "provider_inferred+date_form"),
            Self::FineTune => ("fine_tune", "provider_inferred+fine_tune"),
            Self::DateDropped => ("date_dropped", "provider_inferred+date_dropped"),
            Self::GeoPrefix => ("geo_prefix", "provider_inferred+geo_prefix"),
        }
    }
}

impl Match {
    /// How the row was found, in a word: what goes onto the cost.
    #[must_use]
    pub const fn matched_by(&self) -> &'static str {
        let (plain, inferred) = self.rule.codes();
        if self.inferred { inferred } else { plain }
    }
}

/// Finds a row, without the cache.
pub(crate) fn find(index: &Index, provider: &str, model: &str) -> Option<Match> {
    if provider.trim().is_empty() {
        return infer(index, model).map(|found| Match { inferred: true, ..found });
    }
    find_at(index, index.provider(provider)?, model)
}

/// Bedrock's geographic prefixes: where an inference profile may run a request.
const GEO_PREFIXES: &[&str] =
    &["us", "us-gov", "eu", "apac", "global", "jp", "au", "ca", "in", "sa", "me", "af", "uk", "kr"];
const BEDROCK: &str = "aws-bedrock";

fn find_at(index: &Index, row: &ProviderRow, model: &str) -> Option<Match> {
    let id = model.trim();
    if let Some(found) = mapped(index, row, model).or_else(|| mapped(index, row, id)) {
        return Some(found);
    }
    let forms = wrapper::forms(index, row, id);
    listed(row, model, &forms)
        .or_else(|| re_dated(row, &forms))
        .or_else(|| fine_tuned(row, &forms))
        .or_else(|| undated(row, &forms))
        .or_else(|| without_geo_prefix(row, &forms))
}

fn mapped(index: &Index, row: &ProviderRow, name: &str) -> Option<Match> {
    let (provider, model) = row.mapped(name)?;
    let target = index.provider(provider)?;
    let at = target.named(&model.trim().to_ascii_lowercase())?.model;
    found(target, at, MatchRule::UserMapping, None)
}

fn found(row: &ProviderRow, at: u32, rule: MatchRule, region: Option<&str>) -> Option<Match> {
    let region = region.map(|region| region.to_ascii_lowercase().into());
    Some(Match { provider: Arc::clone(row.id()), model: Arc::clone(row.model(at)?), rule, inferred: false, region })
}

/// The rule that a listed name is found by.
fn rule_of(row: &ProviderRow, name: ModelName, written: &str) -> MatchRule {
    let is_verbatim = row.model(name.model).is_some_and(|model| *model.id == *written);
    match name.is_alias {
        true => MatchRule::Alias,
        false if is_verbatim => MatchRule::Exact,
        false => MatchRule::CaseFolded,
    }
}

/// The name as it is, then out of its wrappers.
fn listed(row: &ProviderRow, written: &str, forms: &[Form<'_>]) -> Option<Match> {
    forms.iter().find_map(|form| {
        let lower = form.id.to_ascii_lowercase();
        let in_another_path = row.bare(&lower).filter(|_| form.is_out_of_path);
        if let Some(at) = in_another_path {
            return found(row, at, MatchRule::Wrapped, form.region);
        }
        if let Some(name) = row.named(&lower) {
            let rule = if form.is_whole { rule_of(row, name, written) } else { MatchRule::Wrapped };
            return found(row, name.model, rule, form.region);
        }
        found(row, row.bare(&lower)?, MatchRule::Wrapped, form.region)
    })
}

fn re_dated(row: &ProviderRow, forms: &[Form<'_>]) -> Option<Match> {
    forms.iter().find_map(|form| {
        let lower = form.id.to_ascii_lowercase();
        let name = date::other_forms(&lower).into_iter().find_map(|other| row.named(&other))?;
        found(row, name.model, MatchRule::DateForm, form.region)
    })
}

/// `ft:<base>:<organisation>:<name>:<id>` is billed by the row `ft:<base>`.
fn fine_tuned(row: &ProviderRow, forms: &[Form<'_>]) -> Option<Match> {
    forms.iter().find_map(|form| {
        let lower = form.id.to_ascii_lowercase();
        let (base, _) = lower.strip_prefix("ft:")?.split_once(':')?;
        let base = format!("ft:{base}");
        let dated = || date::other_forms(&base).into_iter().find_map(|other| row.named(&other));
        let at = row.named(&base).or_else(dated).map(|name| name.model).or_else(|| family(row, &base))?;
        found(row, at, MatchRule::FineTune, form.region)
    })
}

fn undated(row: &ProviderRow, forms: &[Form<'_>]) -> Option<Match> {
    forms.iter().find_map(|form| {
        let at = family(row, &form.id.to_ascii_lowercase())?;
        found(row, at, MatchRule::DateDropped, form.region)
    })
}

/// The undated model of a dated name, where no snapshot of it has a price of its own.
fn family(row: &ProviderRow, lower: &str) -> Option<u32> {
    let base = date::without_date(lower)?;
    let at = row.named(base)?.model;
    let model = row.model(at)?;
    let is_snapshot = |id: &str| date::without_date(&id.to_ascii_lowercase()) == Some(base);
    let is_alike = row.models_by_id(is_snapshot).all(|other| same_prices(model, other));
    is_alike.then_some(at)
}

/// Whether two models cost the same where both have a standard price.
fn same_prices(one: &Model, other: &Model) -> bool {
    let is_standard = |model: &Model, condition: u32| {
        let held = usize::try_from(condition).ok().and_then(|at| model.conditions.get(at));
        held.is_some_and(|held| *held == Condition::default())
    };
    one.rates
        .iter()
        .filter(|rate| is_standard(one, rate.condition))
        .all(|rate| other.base_rate(rate.meter).is_none_or(|held| held.price == rate.price))
}

fn without_geo_prefix(row: &ProviderRow, forms: &[Form<'_>]) -> Option<Match> {
    if **row.id() != *BEDROCK {
        return None;
    }
    forms.iter().find_map(|form| {
        let (prefix, rest) = form.id.split_once('.')?;
        let prefix = GEO_PREFIXES.iter().find(|known| known.eq_ignore_ascii_case(prefix))?;
        let bare: SmallVec<[Form<'_>; 1]> =
            smallvec::smallvec![Form { id: rest, region: Some(prefix), is_whole: false, is_out_of_path: false }];
        let hit = listed(row, rest, &bare).or_else(|| re_dated(row, &bare)).or_else(|| undated(row, &bare))?;
        Some(Match { rule: MatchRule::GeoPrefix, ..hit })
    })
}

/// Finds provider and row by the model's name alone: a wrapper or prefix that names the provider, else the only provider
/// that lists the name, else the only one of several that made the model.
fn infer<'i>(index: &'i Index, model: &str) -> Option<Match> {
    let id = model.trim();
    if let Some(row) = wrapper::owner(index, id) {
        return find_at(index, row, model);
    }
    let lower = id.to_ascii_lowercase();
    let named_by = |name: &str| {
        let only = |rows: &mut dyn Iterator<Item = &'i ProviderRow>| {
            let first = rows.next();
            first.filter(|_| rows.next().is_none())
        };
        only(&mut index.listing(name)).or_else(|| only(&mut index.listing(name).filter(|row| row.makes(name))))
    };
    if index.listing(&lower).next().is_some() {
        let row = named_by(&lower)?;
        return found(row, row.named(&lower)?.model, rule_of(row, row.named(&lower)?, model), None);
    }
    let other = date::other_forms(&lower).into_iter().find_map(|other| Some((named_by(&other)?, other)));
    if let Some((row, other)) = other {
        return found(row, row.named(&other)?.model, MatchRule::DateForm, None);
    }
    let (base, _) = lower.strip_prefix("ft:")?.split_once(':')?;
    let base = format!("ft:{base}");
    let row = named_by(&base)?;
    found(row, row.named(&base)?.model, MatchRule::FineTune, None)
}
