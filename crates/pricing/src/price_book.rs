//! The catalog of a running program.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::{Catalog, LoadError};

/// The catalog of a running program: read without a lock, swapped whole when its overlay files change.
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
    overlays: Vec<PathBuf>,
    current: ArcSwap<Catalog>,
}

impl PriceBook {
    /// The built-in prices alone.
    #[must_use]
    pub fn embedded() -> Self {
        Self { overlays: Vec::new(), current: ArcSwap::new(Arc::clone(Catalog::embedded())) }
    }

    /// The built-in prices with files or directories of price files laid over them, the last on top.
    ///
    /// # Errors
    ///
    /// Every fault of every file.
    pub fn open(overlays: Vec<PathBuf>) -> Result<Self, LoadError> {
        if overlays.is_empty() {
            return Ok(Self::embedded());
        }
        let catalog = Catalog::with_overlays(&overlays)?;
        Ok(Self { overlays, current: ArcSwap::from_pointee(catalog) })
    }

    /// The catalog now. Hold it for one request: a later one may see newer prices.
    #[must_use]
    pub fn current(&self) -> Arc<Catalog> {
        self.current.load_full()
    }

    /// The files and directories that are laid over the built-in prices: what to watch.
    #[must_use]
    pub fn overlays(&self) -> &[PathBuf] {
        &self.overlays
    }

    /// Reads the overlays again and puts the new catalog in place of the old. Returns whether any price file changed.
    ///
    /// # Errors
    ///
    /// Every fault of every file. The old catalog then stays: raise an alarm, the prices are stale.
    pub fn reload(&self) -> Result<bool, LoadError> {
        let new = Catalog::with_overlays(&self.overlays)?;
        let changed = new.version() != self.current.load().version();
        if changed {
            self.current.store(Arc::new(new));
        }
        Ok(changed)
    }
}
