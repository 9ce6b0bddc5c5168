//! Composition: store, logger, gateway and console in one process.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use tachograph_console::{Closing, ConsoleOptions, Health, KeyCheck, LoginTokens};
use tachograph_gateway::commands::{
    self, CommandError, KeysCommand, ProviderKeysCommand, ReconcileCommand, ReportCommand, RepriceCommand,
    WhatIfCommand,
};
use tachograph_gateway::config::{Bodies, Config, Secret};
use tachograph_gateway::{
    AnswerCache, CacheWriter, ConfigState, ConfigWatch, Door, Endpoints, Estimates, Gateway, Guards, KeyRing, Leaving,
    Limits, Priced, Router, Scrape, Uploads, Upstream, Vault, metrics, privacy, process, reload_vault,
    serve as serve_connections, stack,
};
use tachograph_logger::{Exporter, Fleet, Gauges, Intake, LogRoutes, Retention, RouteOptions, keep_rollups};
use tachograph_pricing::PriceBook;
use tachograph_record::{KeyId, OrgId};
use tachograph_telemetry::{Counted, Edited, Figure};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::front::Front;
use crate::vault::{self, Keeping};
use crate::{desk, keeping, limits, quote, rules};

/// Where records go: priced, counted, edited, kept.
type Sink = Priced<Counted<Edited<Intake>>>;

/// Streams under way get so long to finish after a signal to stop.
const DRAIN: Duration = Duration::from_secs(30);
/// And answers that are read on without their clients so long.
const LEFT_BEHIND: Duration = Duration::from_secs(15);
/// And the records still queued so long to reach the store.
const FLUSH: Duration = Duration::from_secs(15);
/// And what is left to be exported so long.
const EXPORT: Duration = Duration::from_secs(5);
/// A provider's key that another process kept or forgot counts after at most this long.
const VAULT_RELOAD: Duration = Duration::from_secs(2);

pub(crate) async fn serve(config: Config, config_file: Option<PathBuf>) -> Result<(), CommandError> {
    let store = process::open_store(&config).await?;
    let first_key = commands::first_key(&config, &*store).await?;
    let keys = Arc::new(KeyRing::default());
    keys.reload(&*store).await?;
    let exporter = keeping::exporter(&config)?;
    let mut logger = keeping::start(&config, store.clone(), exporter.as_ref())?;
    let prices = prices(&config)?;
    let endpoints = endpoints(&config);
    let vault = Arc::new(Vault::open(&config.data_dir, &|name| std::env::var(name).ok())?);
    let redacting = privacy::edit(&config)?;
    vault.load(&*store, &endpoints, &redacting).await?;
    let mut watch = ConfigWatch::new(prices.clone(), config_file, &config);
    let metrics = metrics(endpoints.clone(), prices.clone());
    let sink = Counted::new(Edited::new(logger.intake(), redacting.clone()), metrics.clone());
    let router = router(&config, endpoints.clone(), prices.clone());
    let (limits, events) = limits::of(&config, &store, router.clone())?;
    limits.reload(&*store, &keys.orgs()).await?;
    limits::catch_up(&limits, logger.intake().gauges()).await;
    if let Err(error) = limits::restore(&limits, &*store, &endpoints).await {
        tracing::warn!(%error, "budgets begin without what was spent before; it is counted as soon as it can be read");
    }
    let estimates = Estimates::start()?;
    let priced = Priced::new(sink, prices.clone()).settling(limits.clone()).estimating(estimates.clone());
    let logs = logs(&config, keys.clone(), prices.clone(), priced.clone());
    let leaving = Leaving::new(&config.streams);
    let (cache, writer) = cache(&config)?;
    let guards = Guards::of(&config.guards);
    reconfigure(&mut watch, router.clone(), limits.clone(), cache.clone(), guards.clone());
    let door = door(&config, keys.clone(), router.clone(), limits.clone(), cache, guards);
    let gateway = gateway(&config, door, priced, leaving.clone())?;
    let login = LoginTokens::new().map_err(|error| CommandError::Internal(error.to_string()))?;
    let closing = Closing::default();
    let quotes = quote::route(prices.clone(), keys.clone(), config.max_request_body.bytes());
    let rules = rules::route(limits.clone(), keys.clone(), store.clone());
    let config_health = ConfigHealth { prices: prices.clone(), state: watch.state() };
    let (gauges, fleet) = (logger.intake().gauges().clone(), Fleet::default());
    let options = ConsoleOptions {
        store: store.clone(),
        keys: Arc::new(Keys(keys.clone())),
        login: login.clone(),
        health: health(gauges.clone(), fleet.clone(), config_health),
        price_of: Some(desk::price_of(prices)),
        limits: Some(limits::shown(limits.clone(), events)),
        routing: Some(desk::routing(router)),
        settings: Some(desk::settings(watch.state())),
        closing: closing.clone(),
    };
    let kept = vault::routes(Keeping {
        vault: vault.clone(),
        store: store.clone(),
        endpoints: endpoints.clone(),
        keys: keys.clone(),
    });
    let console = tachograph_console::router(options).merge(quotes).merge(rules).merge(kept);

    let [rows, bodies] = config.logging.retention.spans();
    let retention = Retention { rows, bodies };
    let counted = gauges.clone();
    let locked = (!config.listen.ip().is_loopback()).then(|| keys.clone());
    let exported = exporter.as_ref().map(Exporter::figures);
    let scrape = Scrape::new(metrics, move || figures(&counted, exported.as_ref()), locked);

    let mut exporting = JoinSet::new();
    if let Some(exporter) = exporter {
        exporting.spawn(exporter.run());
    }
    let mut background = JoinSet::new();
    background.spawn(reload_vault(vault, endpoints.clone(), store.clone(), redacting, VAULT_RELOAD));
    if let Some(writer) = writer {
        background.spawn(writer.run());
    }
    background.spawn(rules::reload(limits.clone(), keys.clone(), store.clone()));
    background.spawn(process::reload_keys(keys, store.clone()));
    background.spawn(fleet.clone().watch(store.clone()));
    background.spawn(retention.run(store.clone()));
    background.spawn(keep_rollups(store.clone()));
    background.spawn(watch.run());
    background.spawn(limits::tend(limits.clone(), store.clone(), endpoints.clone()));
    let apart = config.console.listen.filter(|&address| address != config.listen);
    let mut console_at = config.listen;
    if let Some(address) = apart {
        let listener = process::bind(address).await?;
        console_at = listener.local_addr()?;
        background.spawn(serve_console(listener, console.clone()));
    }
    let listener = process::bind(config.listen).await?;
    let address = listener.local_addr()?;
    if apart.is_none() {
        console_at = address;
    }
    welcome(first_key.as_ref(), &endpoints, address, console_at, &login)?;

    let front = Front { gateway, console: apart.is_none().then_some(console), endpoints, logs, gauges, scrape };
    let stop = async {
        process::stop_signal().await;
        closing.close();
    };
    serve_connections(listener, front, stop, DRAIN).await?;
    leaving.finish(LEFT_BEHIND).await;
    estimates.finish(LEFT_BEHIND).await;
    background.shutdown().await;
    limits.limiter().finish().await;
    let left = logger.finish(FLUSH).await;
    if left > 0 {
        tracing::warn!(records = left, "these records stay in the spool and are stored after the next start");
    }
    // With the logger the exporter's last sender is gone: it sends what is left and ends.
    if tokio::time::timeout(EXPORT, exporting.join_next()).await.is_err() {
        tracing::warn!("what was still to be exported is not: its receiver does not take it");
    }
    store.close().await?;
    Ok(())
}

/// What becomes of records, and of exports.
fn figures(gauges: &Gauges, exported: Option<&impl Fn() -> Vec<Figure>>) -> Vec<Figure> {
    let mut all = gauges.figures();
    all.extend(exported.into_iter().flat_map(|exported| exported()));
    all
}

pub(crate) async fn demo(config: Config, days: u16, calls: usize, seed: u64) -> Result<(), CommandError> {
    let store = process::open_store(&config).await?;
    let (key, row) =
        tachograph_gateway::generate("demo traffic").map_err(|error| CommandError::Internal(error.to_string()))?;
    store.insert_key(&row).await?;
    let keys = Arc::new(KeyRing::default());
    keys.reload(&*store).await?;
    let mut logger = keeping::start(&config, store.clone(), None)?;
    let (endpoints, prices) = (endpoints(&config), prices(&config)?);
    let metrics = metrics(endpoints.clone(), prices.clone());
    let router = router(&config, endpoints, prices.clone());
    let (limits, _events) = limits::of(&config, &store, router.clone())?;
    let sink = Counted::new(Edited::new(logger.intake(), privacy::edit(&config)?), metrics);
    let sink = Priced::new(sink, prices).settling(limits.clone());
    let (cache, _nothing_is_shared) = cache(&config)?;
    let door = door(&config, keys, router, limits, cache, Guards::of(&config.guards));
    let gateway = gateway(&config, door, sink, Leaving::new(&config.streams))?;
    let mut out = io::stdout();
    let report = commands::demo(gateway, &key, days, calls, seed, &mut out).await?;
    let left = logger.finish(FLUSH).await;
    store.revoke_key(row.id, tachograph_record::Timestamp::now()).await?;
    store.close().await?;
    writeln!(out, "{} calls, {} answered to their end, {left} not stored", report.calls, report.answered)?;
    if left == 0 { Ok(()) } else { Err(CommandError::Unavailable("the store did not take all records".to_owned())) }
}

pub(crate) async fn migrate(config: Config) -> Result<(), CommandError> {
    process::open_store(&config).await?.close().await?;
    Ok(())
}

pub(crate) async fn keys(config: Config, command: KeysCommand) -> Result<(), CommandError> {
    let store = process::open_store(&config).await?;
    commands::keys(command, &*store, &mut io::stdout()).await?;
    store.close().await?;
    Ok(())
}

pub(crate) async fn provider_keys(config: Config, command: ProviderKeysCommand) -> Result<(), CommandError> {
    let store = process::open_store(&config).await?;
    commands::provider_keys(command, &config, &*store, &mut io::stdin(), &mut io::stdout()).await?;
    store.close().await?;
    Ok(())
}

pub(crate) async fn reprice(config: Config, command: RepriceCommand) -> Result<(), CommandError> {
    let store = process::open_store(&config).await?;
    commands::reprice(&command, &*prices(&config)?, &*store, &mut io::stdout()).await?;
    store.close().await?;
    Ok(())
}

pub(crate) async fn report(config: Config, command: ReportCommand) -> Result<(), CommandError> {
    let store = process::open_store(&config).await?;
    commands::report(&command, &*store, &mut io::stdout()).await?;
    store.close().await?;
    Ok(())
}

pub(crate) async fn reconcile(config: Config, command: ReconcileCommand) -> Result<(), CommandError> {
    let store = process::open_store(&config).await?;
    commands::reconcile(&command, &*prices(&config)?, &*store, &mut io::stdout()).await?;
    store.close().await?;
    Ok(())
}

pub(crate) async fn what_if(config: Config, command: WhatIfCommand) -> Result<(), CommandError> {
    let store = process::open_store(&config).await?;
    commands::what_if(&command, &*prices(&config)?, &*store, &mut io::stdout()).await?;
    store.close().await?;
    Ok(())
}

fn prices(config: &Config) -> Result<Arc<PriceBook>, CommandError> {
    PriceBook::open_with(config.pricing.sources())
        .map(Arc::new)
        .map_err(|faults| CommandError::Usage(faults.to_string()))
}

fn endpoints(config: &Config) -> Arc<Endpoints> {
    let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    Arc::new(Endpoints::new(&config.providers, &environment).allowing(&config.upstream.allow_targets))
}

fn cache(config: &Config) -> Result<(AnswerCache, Option<CacheWriter>), CommandError> {
    AnswerCache::of(&config.cache).map_err(|error| CommandError::Usage(format!("cache.backend: {error}")))
}

fn router(config: &Config, endpoints: Arc<Endpoints>, prices: Arc<PriceBook>) -> Arc<Router> {
    Arc::new(Router::new(endpoints, prices, config.routes.clone(), &config.retries))
}

fn door(
    config: &Config,
    keys: Arc<KeyRing>,
    router: Arc<Router>,
    limits: Arc<Limits>,
    cache: AnswerCache,
    guards: Guards,
) -> Door {
    let keep_body = (config.logging.bodies == Bodies::Full).then_some(config.logging.max_body.bytes());
    let uploads = Uploads { most: config.max_upload.bytes() as u64, folder: config.data_dir.clone() };
    let max_body = config.max_request_body.bytes();
    Door { keys, router, max_body, keep_body, limits, cache, guards, uploads }
}

fn gateway<B>(config: &Config, door: Door, sink: Sink, leaving: Leaving) -> Result<Gateway<B>, CommandError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let upstream = Upstream::new(&config.upstream).map_err(|error| CommandError::Internal(error.to_string()))?;
    let keep = config.logging.max_body.bytes();
    Ok(stack(door, upstream, sink, keep, config.streams.keep_alive(), leaving))
}

/// The routes on which calls are told of that passed no gateway.
fn logs(config: &Config, keys: Arc<KeyRing>, prices: Arc<PriceBook>, sink: Sink) -> LogRoutes {
    LogRoutes::new(RouteOptions {
        sink: Arc::new(sink),
        callers: Arc::new(move |key: &str| keys.check(key).map(|holder| (holder.org, holder.key))),
        prices,
        keep_body: (config.logging.bodies == Bodies::Full).then_some(config.logging.max_body.bytes()),
    })
}

struct Keys(Arc<KeyRing>);

impl KeyCheck for Keys {
    fn verify(&self, key: &str) -> Option<(OrgId, KeyId)> {
        self.0.check(key).map(|holder| (holder.org, holder.key))
    }

    fn is_active(&self, key: KeyId) -> bool {
        self.0.is_active(key)
    }
}

/// What changes while the process runs when the configuration's file does.
fn reconfigure(watch: &mut ConfigWatch, router: Arc<Router>, limits: Arc<Limits>, cache: AnswerCache, guards: Guards) {
    watch.on_change(move |config| {
        router.set_rules(config.routes.clone(), &config.retries);
        limits.configure(config);
        cache.set_usual(&config.cache);
        guards.configure(&config.guards);
    });
}

/// What health tells of prices and of the configuration.
struct ConfigHealth {
    prices: Arc<PriceBook>,
    state: ConfigState,
}

fn health(gauges: Arc<Gauges>, fleet: Fleet, config: ConfigHealth) -> Health {
    Arc::new(move || {
        let mut facts = serde_json::to_value(gauges.health()).unwrap_or_default();
        facts["gateways"] = serde_json::to_value(fleet.gateways()).unwrap_or_default();
        facts["price_version"] = config.prices.current().version().into();
        // More than 0: price files or the configuration have faults, and older prices are in force.
        facts["price_faults"] = config.state.price_faults().into();
        // Faults of the configuration's file, and what of it waits for the next start.
        facts["config"] = config.state.health();
        facts
    })
}

async fn serve_console(listener: TcpListener, console: axum::Router) {
    if let Err(error) = serve_connections(listener, console, std::future::pending(), DRAIN).await {
        tracing::error!(%error, "the console stopped");
    }
}

/// What a newcomer needs to know, on standard output.
fn welcome(
    first_key: Option<&Secret>,
    endpoints: &Endpoints,
    address: SocketAddr,
    console_at: SocketAddr,
    login: &LoginTokens,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let token = login.issue();
    writeln!(out, "Tachograph listens on http://{address}")?;
    writeln!(out, "Console (this link logs you in once): http://{console_at}/login?token={token}")?;
    if let Some(key) = first_key {
        writeln!(out, "\nYour first API key, shown this once: {}", key.expose())?;
    }
    writeln!(out, "\nChange one line in your client, and use your Tachograph key:")?;
    writeln!(
        out,
        "  OpenAI     base_url=\"http://{address}/v1\"          any model: \"openai/gpt-4o-mini\", \"anthropic/claude-haiku-4-5\""
    )?;
    writeln!(out, "  Anthropic  base_url=\"http://{address}/anthropic\"")?;
    let with_keys = endpoints.with_keys();
    if with_keys.is_empty() {
        writeln!(
            out,
            "\nNo provider has a key yet: set OPENAI_API_KEY, ANTHROPIC_API_KEY, … or `providers` in tachograph.yaml. \
             Until then the models demo/echo, demo/slow and demo/flaky answer without any, and `gateway demo` fills the console."
        )?;
    } else {
        writeln!(out, "\nProviders with keys: {}", with_keys.join(", "))?;
    }
    out.flush()
}
