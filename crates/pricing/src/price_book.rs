//! The catalogs of a running program.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tachograph_record::OrgId;

use crate::contract::{Contract, ContractHolder};
use crate::footprint::Footprint;
use crate::{Catalog, LoadError};

/// Which files lie over the built-in prices, for all and for some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceSources {
    /// Price files or directories of them, the last on top.
    pub overlays: Vec<PathBuf>,
    /// What organisations pay instead.
    pub contracts: BTreeMap<ContractHolder, Contract>,
}

/// The catalogs of a running program: read without a lock, swapped whole when their files change.
///
/// ```
/// use tachograph_pricing::PriceBook;
///
/// let book = PriceBook::embedded();
/// let catalog = book.current();
/// assert!(catalog.resolve("anthropic", "claude-sonnet-4-5").is_some());
/// ```
#[derive(Debug)]
pub struct PriceBook {
    shelf: ArcSwap<Shelf>,
    /// The files as they were when they were last read, well or not.
    seen: Mutex<Footprint>,
    faults: AtomicUsize,
}

/// All catalogs of one moment.
#[derive(Debug)]
struct Shelf {
    sources: PriceSources,
    list: Arc<Catalog>,
    contracts: HashMap<OrgId, Arc<Catalog>>,
    default: Option<Arc<Catalog>>,
}

impl PriceBook {
    /// The built-in prices alone.
    #[must_use]
    pub fn embedded() -> Self {
        Self::of(Shelf {
            sources: PriceSources::default(),
            list: Arc::clone(Catalog::embedded()),
            contracts: HashMap::new(),
            default: None,
        })
    }

    /// The built-in prices with files or directories of price files laid over them, the last on top.
    ///
    /// # Errors
    ///
    /// Every fault of every file.
    pub fn open(overlays: Vec<PathBuf>) -> Result<Self, LoadError> {
        Self::open_with(PriceSources { overlays, ..PriceSources::default() })
    }

    /// The built-in prices with overlays and contracts.
    ///
    /// # Errors
    ///
    /// Every fault of every file.
    pub fn open_with(sources: PriceSources) -> Result<Self, LoadError> {
        let seen = sources.footprint();
        let book = Self::of(Shelf::load(sources)?);
        *book.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(book)
    }

    fn of(shelf: Shelf) -> Self {
        Self { shelf: ArcSwap::from_pointee(shelf), seen: Mutex::default(), faults: AtomicUsize::new(0) }
    }

    /// The list prices now. Hold it for one request: a later one may see newer prices.
    #[must_use]
    pub fn current(&self) -> Arc<Catalog> {
        Arc::clone(&self.shelf.load().list)
    }

    /// What an organisation pays now: by its contract, else by the default one, else the list prices.
    #[must_use]
    pub fn for_org(&self, org: OrgId) -> Arc<Catalog> {
        let shelf = self.shelf.load();
        Arc::clone(shelf.contracts.get(&org).or(shelf.default.as_ref()).unwrap_or(&shelf.list))
    }

    /// The files and contracts that are in force.
    #[must_use]
    pub fn sources(&self) -> PriceSources {
        self.shelf.load().sources.clone()
    }

    /// How many faults kept the last reload from being taken over; 0 where the files are what is in force.
    #[must_use]
    pub fn faults(&self) -> usize {
        self.faults.load(Ordering::Relaxed)
    }

    /// Reads the files again and puts the new catalogs in place of the old, all at once. Returns whether a price changed.
    ///
    /// # Errors
    ///
    /// Every fault of every file. The old catalogs then stay: raise an alarm, the prices are stale.
    pub fn reload(&self) -> Result<bool, LoadError> {
        self.replace(self.sources())
    }

    /// [`reload`](Self::reload), if a file changed since the last time; else `Ok(false)` without reading any. A fault is
    /// told once for each change. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// As of [`reload`](Self::reload).
    pub fn poll(&self) -> Result<bool, LoadError> {
        let sources = self.sources();
        let is_unchanged = *self.seen.lock().unwrap_or_else(PoisonError::into_inner) == sources.footprint();
        if is_unchanged { Ok(false) } else { self.replace(sources) }
    }

    /// Puts other files and contracts in place, as a changed configuration names them. Returns whether a price changed.
    ///
    /// # Errors
    ///
    /// Every fault of every file; the old files and prices then stay in force.
    pub fn replace(&self, sources: PriceSources) -> Result<bool, LoadError> {
        // Before they are read: what is written meanwhile is then seen as a change the next time.
        let seen = sources.footprint();
        let loaded = Shelf::load(sources);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        self.faults.store(loaded.as_ref().map_or_else(|error| error.faults.len(), |_| 0), Ordering::Relaxed);
        let new = loaded?;
        let old = self.shelf.load();
        let changed = new.versions() != old.versions();
        if changed || new.sources != old.sources {
            self.shelf.store(Arc::new(new));
        }
        Ok(changed)
    }
}

impl PriceSources {
    fn footprint(&self) -> Footprint {
        Footprint::of(self.overlays.iter().chain(self.contracts.values().flat_map(|contract| &contract.overlays)))
    }
}

impl Shelf {
    fn load(sources: PriceSources) -> Result<Self, LoadError> {
        let list = match &sources.overlays[..] {
            [] => Arc::clone(Catalog::embedded()),
            overlays => Arc::new(Catalog::with_overlays(overlays)?),
        };
        let mut faults = Vec::new();
        let mut shelf = Self { sources: PriceSources::default(), list, contracts: HashMap::new(), default: None };
        for (holder, contract) in &sources.contracts {
            match shelf.by_contract(&sources.overlays, contract) {
                Err(error) => faults.extend(error.faults),
                Ok(catalog) => match *holder {
                    ContractHolder::Default => shelf.default = Some(Arc::new(catalog)),
                    ContractHolder::Org(org) => drop(shelf.contracts.insert(org, Arc::new(catalog))),
                },
            }
        }
        shelf.sources = sources;
        if faults.is_empty() { Ok(shelf) } else { Err(LoadError { faults }) }
    }

    fn by_contract(&self, below: &[PathBuf], contract: &Contract) -> Result<Catalog, LoadError> {
        let discount = contract.discount_percent.as_ref();
        if contract.overlays.is_empty() {
            return Ok(self.list.discounted(discount));
        }
        let overlays: Vec<PathBuf> = below.iter().chain(&contract.overlays).cloned().collect();
        Ok(Catalog::with_overlays(&overlays)?.discounted(discount))
    }

    fn versions(&self) -> (Vec<&str>, BTreeMap<OrgId, &str>) {
        let shared = std::iter::once(&self.list).chain(&self.default).map(|catalog| catalog.version()).collect();
        (shared, self.contracts.iter().map(|(org, catalog)| (*org, catalog.version())).collect())
    }
}
