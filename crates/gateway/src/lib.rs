//! The gateway: configuration, Admit, the stack, the upstream, and the commands around them.
//!
//! [`stack`] is the architecture; read it first. A process composes it with a sink for records and serves it:
//!
//! ```no_run
//! # async fn example(sink: impl tachograph_telemetry::RecordSink + Clone) -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use std::time::Duration;
//! use tachograph_gateway::config::{Config, Sources, load};
//! use tachograph_gateway::{
//!     AnswerCache, Door, Endpoints, Guards, KeyRing, Leaving, Limits, Router, Uploads, Upstream, serve, stack,
//! };
//! use tachograph_pricing::PriceBook;
//!
//! let config = load(&Sources::of_process(None))?;
//! let endpoints = Arc::new(Endpoints::new(&config.providers, &|name| std::env::var(name).ok()));
//! let prices = Arc::new(PriceBook::embedded());
//! let router = Arc::new(Router::new(endpoints, prices, config.routes.clone(), &config.retries));
//! let limits = Arc::new(Limits::none(router.clone()));
//! let door = Door {
//!     keys: Arc::new(KeyRing::default()),
//!     router,
//!     max_body: config.max_request_body.bytes(),
//!     keep_body: Some(config.logging.max_body.bytes()),
//!     limits,
//!     cache: AnswerCache::of(&config.cache)?.0,
//!     uploads: Uploads { most: config.max_upload.bytes() as u64, folder: config.data_dir.clone() },
//!     guards: Guards::of(&config.guards),
//! };
//! let (upstream, leaving) = (Upstream::new(&config.upstream)?, Leaving::new(&config.streams));
//! let keep = config.logging.max_body.bytes();
//! let gateway = stack(door, upstream, sink, keep, config.streams.keep_alive(), leaving.clone());
//! let listener = tokio::net::TcpListener::bind(config.listen).await?;
//! serve(listener, gateway, std::future::pending(), Duration::from_secs(30)).await?;
//! leaving.finish(Duration::from_secs(15)).await;
//! # Ok(()) }
//! ```

mod admit;
mod answer;
mod aside;
mod cache;
mod call;
mod codec;
pub mod commands;
pub mod config;
mod config_watch;
mod credential;
mod demo;
mod endpoint;
mod estimate;
mod estimates;
mod fallback;
mod fit;
mod form;
mod guards;
mod hold;
mod keep_alive;
mod keys;
mod leaving;
mod ledger;
mod limits;
mod mirror;
mod panic;
mod place;
pub mod privacy;
pub mod process;
mod quote;
mod request_id;
mod router;
mod scrape;
mod serve;
mod session;
mod stack;
mod target;
mod upload;
mod upstream;
mod vault;

pub use admit::Door;
pub use cache::AnswerCache;
pub use config_watch::{ConfigState, ConfigWatch};
pub use endpoint::{Endpoint, Endpoints};
pub use estimates::Estimates;
pub use guards::Guards;
pub use keys::{Holder, KEY_PREFIX, KeyRing, generate, row_of};
pub use leaving::Leaving;
pub use ledger::Priced;
pub use limits::{KEPT as KEPT_LIMIT, KeptRule, Limits, bare as model_without_provider};
pub use place::Place;
pub use quote::{Quote, QuoteRequest, Range, quote};
pub use router::{KeysStatus, Router, RoutingStatus};
pub use scrape::{Scrape, metrics};
pub use serve::serve;
pub use stack::{EdgeBody, Gateway, stack};
pub use tachograph_cache::backend::Writer as CacheWriter;
pub use target::names_target;
pub use upload::Uploads;
pub use upstream::Upstream;
pub use vault::{KeyChange, ProviderKey, Vault, VaultError, forget_provider_key, provider_keys, reload_vault};
