//! Names to rows.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, OnceLock};

use smallvec::SmallVec;
use tachograph_record::Timestamp;

use crate::book::{Listed, Model, Name, Provider};
use crate::matching;

/// A provider of the book.
#[derive(Debug)]
pub struct ProviderRow {
    id: Arc<str>,
    name: Box<str>,
    aliases: Box<[Box<str>]>,
    makes: Box<[Box<str>]>,
    regions: Box<[Box<str>]>,
    models: Vec<Slot>,
    names: HashMap<Name, ModelName>,
    bare: HashMap<Box<str>, Option<u32>>,
    mappings: HashMap<Box<str>, (Box<str>, Box<str>)>,
    as_of: Option<Timestamp>,
}

/// A model's place: its names, and its prices once somebody asked for them.
#[derive(Debug)]
struct Slot {
    listed: Listed,
    model: OnceLock<Arc<Model>>,
}

impl Slot {
    fn new(listed: Listed) -> Self {
        Self { listed, model: OnceLock::new() }
    }

    fn model(&self) -> &Arc<Model> {
        self.model.get_or_init(|| Arc::new(self.listed.unpacked()))
    }
}

/// What a name of a model is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ModelName {
    /// The model's place.
    pub(crate) model: u32,
    /// Whether it is an alias; else it is the id, but for its case.
    pub(crate) is_alias: bool,
}

impl ProviderRow {
    /// The id: `aws-bedrock`.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The name to show: `Amazon Bedrock`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Other names that mean it, in lower case.
    #[must_use]
    pub fn aliases(&self) -> &[Box<str>] {
        &self.aliases
    }

    /// Whether a model of this name, in lower case, is one that it made itself, should it list it.
    #[must_use]
    pub fn makes(&self, lower: &str) -> bool {
        self.makes.iter().any(|start| lower.starts_with(&**start))
    }

    /// Its models. Those of the built-in book are unpacked by this, each once; for their ids alone see
    /// [`model_ids`](Self::model_ids).
    pub fn models(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.models.iter().map(Slot::model)
    }

    /// The ids of its models.
    pub fn model_ids(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(|slot| &*slot.listed.id)
    }

    /// When the newest of the sources of its prices was read (a UTC midnight), where the file says so.
    #[must_use]
    pub fn as_of(&self) -> Option<Timestamp> {
        self.as_of
    }

    /// Whether a price of it is for this region.
    pub(crate) fn prices_region(&self, region: &str) -> bool {
        self.regions.iter().any(|held| held.eq_ignore_ascii_case(region))
    }

    /// Whether a text names it.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.id.eq_ignore_ascii_case(name) || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    }

    /// What a name in lower case means.
    pub(crate) fn named(&self, lower: &str) -> Option<ModelName> {
        self.names.get(lower).copied()
    }

    /// The one model whose id, without the wrappers it is listed in, is this.
    pub(crate) fn bare(&self, lower: &str) -> Option<u32> {
        self.bare.get(lower).copied().flatten()
    }

    /// Where the operator mapped a name to: a provider and a model.
    pub(crate) fn mapped(&self, name: &str) -> Option<(&str, &str)> {
        self.mappings.get(name).map(|(provider, model)| (&**provider, &**model))
    }

    /// The model at a place.
    pub(crate) fn model(&self, at: u32) -> Option<&Arc<Model>> {
        self.models.get(usize::try_from(at).ok()?).map(Slot::model)
    }

    /// The models whose id a condition picks.
    pub(crate) fn models_by_id(&self, picks: impl Fn(&str) -> bool) -> impl Iterator<Item = &Arc<Model>> {
        self.models.iter().filter(move |slot| picks(&slot.listed.id)).map(Slot::model)
    }
}

/// All providers, and where a model name occurs anywhere.
#[derive(Debug)]
pub(crate) struct Index {
    providers: Vec<ProviderRow>,
    names: HashMap<Box<str>, u32>,
    anywhere: HashMap<Name, SmallVec<[u32; 2]>>,
}

impl Index {
    /// The index, and the names that several providers or models claim. The first one then has it.
    pub(crate) fn new(providers: Vec<Provider>) -> (Self, Vec<String>) {
        let mut clashes = Vec::new();
        let mut names: HashMap<Box<str>, u32> = HashMap::new();
        for (at, provider) in (0..).zip(&providers) {
            if names.insert(provider.id.clone(), at).is_some() {
                clashes.push(format!("provider {:?} is listed twice", provider.id));
            }
        }
        for (at, provider) in (0..).zip(&providers) {
            for alias in &provider.aliases {
                if *names.entry(alias.clone()).or_insert(at) != at {
                    clashes.push(format!("{alias:?}, an alias of provider {:?}, is also another's name", provider.id));
                }
            }
        }
        let rows: Vec<ProviderRow> = providers.into_iter().map(|provider| row(provider, &mut clashes)).collect();
        let mut anywhere: HashMap<Name, SmallVec<[u32; 2]>> = HashMap::new();
        for (at, row) in (0..).zip(&rows) {
            for name in row.names.keys() {
                anywhere.entry(name.clone()).or_default().push(at);
            }
        }
        (Self { providers: rows, names, anywhere }, clashes)
    }

    pub(crate) fn providers(&self) -> &[ProviderRow] {
        &self.providers
    }

    /// The provider of an id or alias, whatever its case.
    pub(crate) fn provider(&self, name: &str) -> Option<&ProviderRow> {
        let name = name.trim();
        let at = self.names.get(name).or_else(|| self.names.get(&*name.to_ascii_lowercase()))?;
        self.providers.get(usize::try_from(*at).ok()?)
    }

    /// The providers that list a name in lower case.
    pub(crate) fn listing(&self, lower: &str) -> impl Iterator<Item = &ProviderRow> {
        let places = self.anywhere.get(lower).map_or(&[][..], SmallVec::as_slice);
        places.iter().filter_map(|&at| self.providers.get(usize::try_from(at).ok()?))
    }
}

/// The name in lower case, without what stands around it; borrowed where it is so already.
fn lower(name: &Name) -> Name {
    match name {
        Cow::Borrowed(text) if text.trim() == *text && !text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            Cow::Borrowed(text)
        }
        other => Cow::Owned(other.trim().to_ascii_lowercase()),
    }
}

fn row(provider: Provider, clashes: &mut Vec<String>) -> ProviderRow {
    let mut names: HashMap<Name, ModelName> = HashMap::with_capacity(provider.models.len() * 2);
    for (model, listed) in (0..).zip(&provider.models) {
        names.insert(lower(&listed.id), ModelName { model, is_alias: false });
    }
    for (model, listed) in (0..).zip(&provider.models) {
        for alias in &listed.aliases {
            match names.entry(lower(alias)) {
                Entry::Vacant(free) => drop(free.insert(ModelName { model, is_alias: true })),
                Entry::Occupied(taken) if taken.get().model == model => {}
                Entry::Occupied(_) => {
                    clashes.push(format!(
                        "{}: {alias:?}, an alias of model {:?}, is also another's name",
                        provider.id, listed.id
                    ));
                }
            }
        }
    }
    let mappings = provider.mappings.into_iter().map(|map| (map.from, (map.provider, map.model))).collect();
    let mut row = ProviderRow {
        id: (&*provider.id).into(),
        name: provider.name,
        aliases: provider.aliases,
        makes: provider.makes,
        regions: provider.regions,
        models: provider.models.into_iter().map(Slot::new).collect(),
        names,
        bare: HashMap::new(),
        mappings,
        as_of: provider.as_of.map(|second| Timestamp::from_micros(second.saturating_mul(1_000_000))),
    };
    let mut bare: HashMap<Box<str>, Option<u32>> = HashMap::new();
    for (at, id) in (0..).zip(row.model_ids()) {
        let inner = matching::unwrapped(&row, id);
        if inner != id {
            bare.entry(inner.to_ascii_lowercase().into()).and_modify(|held| *held = None).or_insert(Some(at));
        }
    }
    row.bare = bare;
    row
}
