//! The configuration's file, price files and contracts are picked up while the program runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use serde_json::{Value, json};
use tachograph_pricing::{LoadError, PriceBook};
use tachograph_record::Timestamp;

use crate::config::{Config, Sources, load};

/// How often files are looked at. Looking is a few calls for their times; reading happens where one changed.
const EVERY: Duration = Duration::from_secs(2);
/// The parts of the configuration that hold from the moment their file is sound again; all others hold from the next start.
const AT_ONCE: [&str; 7] = ["routes", "retries", "cache", "limits", "budgets", "guards", "pricing"];
/// What of those parts is built once, at the start.
const AT_START: [&str; 6] = [
    "/cache/backend",
    "/cache/max_bytes",
    "/limits/backend",
    "/limits/on_unavailable",
    "/limits/timeout",
    "/limits/lease",
];

/// Takes over what it needs of a configuration that is sound.
type Apply = Box<dyn Fn(&Config) + Send>;

/// Watches the configuration's file and the price files that it names. What is sound is swapped in whole; what is not is
/// told once, with every fault, and what was in force stays.
pub struct ConfigWatch {
    prices: Arc<PriceBook>,
    file: Option<PathBuf>,
    at_start: Value,
    state: ConfigState,
    apply: Vec<Apply>,
    config_faults: usize,
    seen: Vec<Option<SystemTime>>,
}

/// How the files are, for those who look.
#[derive(Clone)]
pub struct ConfigState {
    prices: Arc<AtomicUsize>,
    told: Arc<ArcSwap<Told>>,
}

struct Told {
    shown: Value,
    loaded_at: Timestamp,
    faults: Vec<String>,
    waiting: Vec<String>,
}

impl ConfigState {
    /// The number of faults that keep price files from being taken over; 0 where prices are as the files say.
    #[must_use]
    pub fn price_faults(&self) -> usize {
        self.prices.load(Ordering::Relaxed)
    }

    /// The configuration in force, its secrets hidden.
    #[must_use]
    pub fn shown(&self) -> Value {
        self.told.load().shown.clone()
    }

    /// What health tells of the configuration: since when it is in force, where the file's faults are that keep a newer one
    /// out, and which changed parts wait for the next start.
    #[must_use]
    pub fn health(&self) -> Value {
        let told = self.told.load();
        json!({ "loaded_at": told.loaded_at, "faults": told.faults, "needs_restart": told.waiting })
    }
}

impl ConfigWatch {
    /// Watches for this book. `file` is the configuration's file, where it was named; `config` is what it said at the start.
    #[must_use]
    pub fn new(prices: Arc<PriceBook>, file: Option<PathBuf>, config: &Config) -> Self {
        let shown = serde_json::to_value(config).unwrap_or_default();
        let told = Told { shown: shown.clone(), loaded_at: Timestamp::now(), faults: Vec::new(), waiting: Vec::new() };
        let state = ConfigState { prices: Arc::default(), told: Arc::new(ArcSwap::from_pointee(told)) };
        let mut watch =
            Self { prices, file, at_start: shown, state, apply: Vec::new(), config_faults: 0, seen: Vec::new() };
        watch.seen = watch.look();
        watch
    }

    /// Has this done with every sound configuration that comes.
    pub fn on_change(&mut self, apply: impl Fn(&Config) + Send + 'static) {
        self.apply.push(Box::new(apply));
    }

    /// How the files are, as the watch goes on.
    #[must_use]
    pub fn state(&self) -> ConfigState {
        self.state.clone()
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
                Err(error) => return tracing::error!(%error, "the configuration is no longer watched"),
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
        self.state.prices.store(self.config_faults + self.prices.faults(), Ordering::Relaxed);
    }

    /// Takes over a changed configuration: all of it that can change at run time, or nothing.
    fn reconfigure(&mut self) -> Result<bool, LoadError> {
        match load(&Sources::of_process(self.file.clone())) {
            Ok(config) => {
                self.config_faults = 0;
                for apply in &self.apply {
                    apply(&config);
                }
                let shown = serde_json::to_value(&config).unwrap_or_default();
                let waiting = needs_restart(&self.at_start, &shown);
                tracing::info!(needs_restart = ?waiting, "the configuration changed; the new one is in force");
                let told = Told { shown, loaded_at: Timestamp::now(), faults: Vec::new(), waiting };
                self.state.told.store(Arc::new(told));
                self.prices.replace(config.pricing.sources())
            }
            Err(faults) => {
                self.config_faults = faults.0.len();
                tracing::error!("the configuration stays as it was: {faults}");
                let before = self.state.told.load();
                let told = Told {
                    shown: before.shown.clone(),
                    loaded_at: before.loaded_at,
                    // Where they are, not what stands there, which may be a secret.
                    faults: faults.0.iter().map(|fault| fault.path.clone()).collect(),
                    waiting: before.waiting.clone(),
                };
                self.state.told.store(Arc::new(told));
                Ok(false)
            }
        }
    }

    /// When the configuration's files were written.
    fn look(&self) -> Vec<Option<SystemTime>> {
        let files = Sources::of_process(self.file.clone()).files();
        files.iter().map(|file| std::fs::metadata(file).and_then(|found| found.modified()).ok()).collect()
    }
}

/// The parts that differ and hold from the next start only. A secret that changed shows nowhere, and so not here.
fn needs_restart(before: &Value, now: &Value) -> Vec<String> {
    let names = |tree: &Value| tree.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
    let mut all: Vec<String> = [before, now].into_iter().filter_map(names).flatten().collect();
    all.sort_unstable();
    all.dedup();
    let whole = all.into_iter().filter(|name| !AT_ONCE.contains(&name.as_str()) && before[name] != now[name]);
    let parts = AT_START.iter().filter(|path| before.pointer(path) != now.pointer(path));
    whole.chain(parts.map(|path| path.trim_start_matches('/').replace('/', "."))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES: &str = "[provider]\nid = \"acme\"\n[[model]]\nid = \"m\"\n[[model.price]]\ninput = \"3\"\n";

    fn price(watch: &ConfigWatch) -> Option<String> {
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
        let mut watch = ConfigWatch::new(Arc::clone(&book), Some(config.clone()), &Config::default());
        let state = watch.state();
        let checked = |watch: &mut ConfigWatch| {
            watch.check();
            (price(watch), state.price_faults())
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

    #[test]
    fn a_sound_file_is_applied_whole_and_a_bad_one_not_at_all() {
        let folder = std::env::temp_dir().join(format!("tachograph-watch-{}", tachograph_record::RecordId::generate()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("tachograph.yaml");
        std::fs::write(&file, "{}").unwrap();
        let mut watch = ConfigWatch::new(Arc::new(PriceBook::embedded()), Some(file.clone()), &Config::default());
        let seen: Arc<std::sync::Mutex<Vec<(usize, u32)>>> = Arc::default();
        let seer = seen.clone();
        watch.on_change(move |config| seer.lock().unwrap().push((config.routes.len(), config.retries.max_attempts)));
        let state = watch.state();
        let mut turn = |text: &str| {
            std::fs::write(&file, text).unwrap();
            watch.seen.clear();
            watch.check();
            (seen.lock().unwrap().last().copied(), state.health())
        };
        let (applied, health) = turn(
            "routes: { fast: openai/gpt-4o-mini }\nretries: { max_attempts: 4 }\nlisten: 127.0.0.1:1\nlimits: { timeout: 1ms }",
        );
        assert_eq!(applied, Some((1, 4)));
        assert_eq!(health["needs_restart"], json!(["listen", "limits.timeout"]));
        assert_eq!(state.shown()["routes"]["fast"]["targets"][0]["model"], "openai/gpt-4o-mini");
        let (applied, health) = turn("routes: { fast: openai/gpt-4o }\nretries: { max_attempts: 0 }");
        assert_eq!(applied, Some((1, 4)), "nothing of it holds");
        assert_eq!(health["faults"], json!(["retries.max_attempts"]));
        assert_eq!(state.shown()["retries"]["max_attempts"], 4);
        let (applied, health) = turn("{}");
        assert_eq!((applied, &health["faults"], &health["needs_restart"]), (Some((0, 2)), &json!([]), &json!([])));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
