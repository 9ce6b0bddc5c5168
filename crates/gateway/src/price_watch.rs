//! Price files and contracts are picked up while the program runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use tachograph_pricing::{LoadError, PriceBook};

use crate::config::{Sources, load};

/// How often files are looked at. Looking is a few calls for their times; reading happens where one changed.
const EVERY: Duration = Duration::from_secs(2);

/// Watches the price files, and the `pricing` part of the configuration that names them. What is sound is swapped in
/// whole; what is not is told once, with every fault, and the prices that were in force stay.
#[derive(Debug)]
pub struct PriceWatch {
    prices: Arc<PriceBook>,
    config: Option<PathBuf>,
    faults: Arc<AtomicUsize>,
    config_faults: usize,
    seen: Vec<Option<SystemTime>>,
}

impl PriceWatch {
    /// Watches for this book. `config` is the configuration's file, where it was named.
    #[must_use]
    pub fn new(prices: Arc<PriceBook>, config: Option<PathBuf>) -> Self {
        let mut watch = Self { prices, config, faults: Arc::default(), config_faults: 0, seen: Vec::new() };
        watch.seen = watch.look();
        watch
    }

    /// The number of faults that keep files from being taken over, for health; 0 where prices are as the files say.
    #[must_use]
    pub fn faults(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.faults)
    }

    /// Looks every two seconds, for ever.
    pub async fn run(mut self) {
        loop {
            tokio::time::sleep(EVERY).await;
            // Reading files and decoding the book takes milliseconds that no call should wait for.
            let looked = tokio::task::spawn_blocking(move || {
                self.check();
                self
            });
            match looked.await {
                Ok(watch) => self = watch,
                Err(error) => return tracing::error!(%error, "price files are no longer watched"),
            }
        }
    }

    /// Looks once.
    pub fn check(&mut self) {
        let now = self.look();
        let outcome = if now == self.seen { self.prices.poll() } else { self.reconfigure() };
        self.seen = now;
        match outcome {
            Ok(true) => {
                tracing::info!(
                    version = self.prices.current().version(),
                    "prices changed; the new ones hold from now on"
                );
            }
            Ok(false) => {}
            Err(faults) => tracing::error!("prices are stale, the files have faults:\n{faults}"),
        }
        self.faults.store(self.config_faults + self.prices.faults(), Ordering::Relaxed);
    }

    /// Takes over the `pricing` part of a changed configuration.
    fn reconfigure(&mut self) -> Result<bool, LoadError> {
        match load(&Sources::of_process(self.config.clone())) {
            Ok(config) => {
                self.config_faults = 0;
                self.prices.replace(config.pricing.sources())
            }
            Err(faults) => {
                self.config_faults = faults.0.len();
                tracing::error!("prices stay as they were: {faults}");
                Ok(false)
            }
        }
    }

    /// When the configuration's files were written.
    fn look(&self) -> Vec<Option<SystemTime>> {
        let files = Sources::of_process(self.config.clone()).files();
        files.iter().map(|file| std::fs::metadata(file).and_then(|found| found.modified()).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES: &str = "[provider]\nid = \"acme\"\n[[model]]\nid = \"m\"\n[[model.price]]\ninput = \"3\"\n";

    fn price(watch: &PriceWatch) -> Option<String> {
        let found = watch.prices.current().resolve("acme", "m")?;
        Some(found.model.rates[0].price.text.to_string())
    }

    /// A file that is longer each time: its time alone may be the same within a tick of the clock.
    fn write(file: &std::path::Path, text: &str) {
        let old = std::fs::metadata(file).map_or(0, |found| found.len());
        let mut text = text.to_owned();
        while text.len() as u64 <= old {
            text.push_str("# \n");
        }
        std::fs::write(file, text).unwrap();
    }

    #[test]
    fn changed_files_are_taken_over_and_bad_ones_are_not() {
        let folder = std::env::temp_dir().join(format!("tachograph-watch-{}", tachograph_record::RecordId::generate()));
        std::fs::create_dir_all(folder.join("prices")).unwrap();
        let (file, config) = (folder.join("prices/acme.toml"), folder.join("tachograph.yaml"));
        write(&config, &format!("pricing: {{ overlays: [ {} ] }}", folder.join("prices").display()));
        let book = Arc::new(PriceBook::embedded());
        let mut watch = PriceWatch::new(Arc::clone(&book), Some(config.clone()));
        let faults = watch.faults();
        let checked = |watch: &mut PriceWatch| {
            watch.check();
            (price(watch), faults.load(Ordering::Relaxed))
        };

        assert_eq!(checked(&mut watch), (None, 0), "the configuration did not change since");
        write(&file, PRICES);
        watch.seen.clear();
        assert_eq!(checked(&mut watch), (Some("3".to_owned()), 0), "and then it did");
        write(&file, &PRICES.replace("\"3\"", "\"4\""));
        assert_eq!(checked(&mut watch), (Some("4".to_owned()), 0));
        write(&file, &PRICES.replace("\"3\"", "\"5e0\"\ninptu = 1"));
        assert_eq!(checked(&mut watch), (Some("4".to_owned()), 1), "the old book stays");
        assert_eq!(checked(&mut watch), (Some("4".to_owned()), 1), "and the alarm too");
        write(&file, &PRICES.replace("\"3\"", "\"5\""));
        assert_eq!(checked(&mut watch), (Some("5".to_owned()), 0));
        std::fs::write(&config, "pricing: { overlais: [] }").unwrap();
        watch.seen.clear();
        assert_eq!(checked(&mut watch), (Some("5".to_owned()), 1));
        std::fs::write(&config, "{}").unwrap();
        watch.seen.clear();
        assert_eq!(checked(&mut watch), (None, 0), "without overlays the built-in book holds");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
