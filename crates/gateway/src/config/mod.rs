//! The configuration: one typed tree.
//!
//! Defaults, then a file (YAML or TOML by its ending), then the environment (`TACHOGRAPH__SECTION__KEY`), then flags. It
//! is read whole or not at all: [`load`] reports every fault at once, each with its path. Loading binds nothing and opens
//! nothing but the file, and `Config::default()` runs.

mod cache;
mod fault;
mod guards;
mod keeping;
mod limits;
mod load;
mod otel;
mod provider;
mod retries;
mod secret;
mod streams;
mod target;
mod units;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tachograph_pricing::{Contract, ContractHolder, PriceSources};
use tachograph_ratelimit::Budget;
use tachograph_redact::{BadRule, Policy, Privacy, Redactor, Rule};
use tachograph_routing::Routes;

pub use cache::{CacheConfig, SemanticConfig};
pub use fault::{Fault, Faults};
pub use guards::{GuardsConfig, InjectionConfig, ModerationConfig, OnGuardError};
pub use keeping::{LoggerConfig, RetentionConfig, SpoolConfig};
pub use limits::{LimitsConfig, UnknownModel};
pub use load::{Environment, Sources, load};
pub use otel::OtelConfig;
pub use provider::{KeyConfig, ProviderConfig};
pub use retries::{BackoffConfig, RetriesConfig};
pub use secret::Secret;
pub use streams::{OnDisconnect, StreamsConfig};
pub use target::{AllowedTarget, Origin};
pub use units::{ByteSize, Span};

/// Everything that can be configured, with its defaults.
#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the gateway listens.
    pub listen: SocketAddr,
    /// Where the embedded store and the queue of records live.
    pub data_dir: PathBuf,
    /// A first API key given from outside, for containers.
    pub api_key: Option<Secret>,
    /// The largest request body that is taken, where it is needed whole.
    pub max_request_body: ByteSize,
    /// The largest upload (a form, sound, a file) that is taken; its bytes pass and are not held.
    pub max_upload: ByteSize,
    /// The console.
    pub console: ConsoleConfig,
    /// Where rows are kept.
    pub store: StoreConfig,
    /// Providers: additions to the built-in rows, or rows of their own.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// Virtual models.
    pub routes: Routes,
    /// How often a target is asked, and when again.
    pub retries: RetriesConfig,
    /// Connections to providers.
    pub upstream: UpstreamConfig,
    /// Answers that are kept.
    pub cache: CacheConfig,
    /// Rate limits.
    pub limits: LimitsConfig,
    /// Budgets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
    /// What looks at prompts before they are sent.
    pub guards: GuardsConfig,
    /// Streams to clients.
    pub streams: StreamsConfig,
    /// What of a call is kept.
    pub logging: LoggingConfig,
    /// The queue of records on disk.
    pub spool: SpoolConfig,
    /// Where records are delivered.
    pub logger: LoggerConfig,
    /// Calls as spans and metrics of OpenTelemetry, for others.
    pub otel: OtelConfig,
    /// Prices.
    pub pricing: PricingConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8787)),
            data_dir: PathBuf::from("./tachograph-data"),
            api_key: None,
            max_request_body: ByteSize::mebibytes(64),
            max_upload: ByteSize::mebibytes(2048),
            console: ConsoleConfig::default(),
            store: StoreConfig::default(),
            providers: BTreeMap::new(),
            routes: Routes::new(),
            retries: RetriesConfig::default(),
            upstream: UpstreamConfig::default(),
            cache: CacheConfig::default(),
            limits: LimitsConfig::default(),
            budgets: Vec::new(),
            guards: GuardsConfig::default(),
            streams: StreamsConfig::default(),
            logging: LoggingConfig::default(),
            spool: SpoolConfig::default(),
            logger: LoggerConfig::default(),
            otel: OtelConfig::default(),
            pricing: PricingConfig::default(),
        }
    }
}

/// The console.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsoleConfig {
    /// An address of its own; absent, the gateway's.
    pub listen: Option<SocketAddr>,
}

/// Where rows are kept.
#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sqlite:` (in `data_dir`), `sqlite:<path>` or `postgres://…`; it may hold a password.
    pub url: Secret,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { url: Secret::from("sqlite:") }
    }
}

/// Connections to providers.
#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamConfig {
    /// How long a connection may take to come up.
    pub connect_timeout: Span,
    /// How long an answer's head may take: a model that thinks long before it streams is silent so long.
    pub head_timeout: Span,
    /// How long an answer's body may be silent.
    pub idle_timeout: Span,
    /// Where callers may send a call by URL (`Helicone-Target-Url`) besides the public hosts of known providers: an origin
    /// (`http://10.0.0.5:8000`), which may be private, or a domain (`*.example.com`), which must resolve to public
    /// addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_targets: Vec<AllowedTarget>,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        let minutes = |minutes: u64| Span::from(Duration::from_secs(60 * minutes));
        Self {
            connect_timeout: Duration::from_secs(10).into(),
            head_timeout: minutes(10),
            idle_timeout: minutes(5),
            allow_targets: Vec::new(),
        }
    }
}

/// What of a call is kept.
#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoggingConfig {
    /// Whether bodies are kept.
    pub bodies: Bodies,
    /// How much of each body is kept.
    pub max_body: ByteSize,
    /// How long rows and bodies are kept.
    pub retention: RetentionConfig,
    /// What is taken out of every record before it is written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<Rule>,
    /// The percentage of calls whose bodies are kept; of calls that failed they always are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_bodies: Option<u8>,
    /// What holds beyond that for the calls of some keys, users or properties.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Policy>,
}

impl LoggingConfig {
    /// What takes out of records what must not be kept: the rules, and secrets that are known as they are.
    ///
    /// # Errors
    /// All rules that cannot be run.
    pub fn redactor<'a>(&self, known: impl IntoIterator<Item = &'a str>) -> Result<Redactor, Vec<BadRule>> {
        let privacy =
            Privacy { redact: self.redact.clone(), sample_bodies: self.sample_bodies, policies: self.policies.clone() };
        Redactor::new(&privacy, known)
    }
}

impl Default for LoggingConfig {
    fn default() -> Self {
        Self {
            bodies: Bodies::Full,
            max_body: ByteSize::mebibytes(4),
            retention: RetentionConfig::default(),
            redact: Vec::new(),
            sample_bodies: None,
            policies: Vec::new(),
        }
    }
}

/// Whether bodies are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bodies {
    /// Requests and answers, up to the cap.
    #[default]
    Full,
    /// Neither; lengths, tokens and cost are kept all the same.
    None,
}

/// Prices.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PricingConfig {
    /// Directories of price files that go over the built-in ones, the later over the earlier.
    pub overlays: Vec<PathBuf>,
    /// What happens to a call under a budget whose model has no price.
    pub unknown_model: UnknownModel,
    /// What organisations pay instead, by their id; `default` is for all that have no contract of their own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub contracts: BTreeMap<ContractHolder, Contract>,
}

impl PricingConfig {
    /// The files that prices are read from.
    #[must_use]
    pub fn sources(&self) -> PriceSources {
        PriceSources { overlays: self.overlays.clone(), contracts: self.contracts.clone() }
    }
}
