//! Composition: intake, store and console in one process.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use tachograph_console::{Closing, ConsoleOptions, KeyCheck, LoginTokens};
use tachograph_gateway::commands::{self, CommandError};
use tachograph_gateway::config::{Bodies, Config, Secret};
use tachograph_gateway::{
    Endpoints, Estimates, KeyRing, Priced, Scrape, metrics, privacy, process, serve as serve_connections,
};
use tachograph_logger::{
    Destination, Exporter, Fleet, Gauges, Ingest, LogRoutes, Logger, Retention, RouteOptions, ToStore, keep_rollups,
};
use tachograph_pricing::PriceBook;
use tachograph_record::{KeyId, OrgId};
use tachograph_telemetry::{Counted, Edited};
use tokio::task::JoinSet;

use crate::front::Front;

/// Batches under way get so long to be stored after a signal to stop.
const DRAIN: Duration = Duration::from_secs(30);
/// And what clients logged so long to reach the store; what does not stays in the spool.
const FLUSH: Duration = Duration::from_secs(15);
/// And what is left to be exported so long.
const EXPORT: Duration = Duration::from_secs(5);

pub(crate) async fn serve(config: Config) -> Result<(), CommandError> {
    let key = config.logger.key.as_ref().map(Secret::expose).filter(|key| !key.is_empty()).ok_or_else(|| {
        let message = "logger.key is not set: choose a secret, and give the gateways the same one beside logger.url";
        CommandError::Usage(message.to_owned())
    })?;
    let store = process::open_store(&config).await?;
    let first_key = commands::first_key(&config, &*store).await?;
    let keys = Arc::new(KeyRing::default());
    keys.reload(&*store).await?;
    let exporter = config.otel.options().map(Exporter::new).transpose();
    let exporter = exporter.map_err(|error| CommandError::Usage(format!("otel: {error}")))?;
    let mut destination: Arc<dyn Destination> = Arc::new(ToStore::new(store.clone()));
    if let Some(exporter) = &exporter {
        destination = Arc::new(exporter.behind(destination));
    }
    let ingest = Ingest::new(destination.clone(), key);
    let mut logger = Logger::start(config.spool.options(&config.data_dir), destination)
        .map_err(|error| CommandError::Unavailable(error.to_string()))?;
    let prices = PriceBook::open_with(config.pricing.sources())
        .map(Arc::new)
        .map_err(|faults| CommandError::Usage(faults.to_string()))?;
    let endpoints = Arc::new(Endpoints::new(&config.providers, &|_| None));
    let metrics = metrics(endpoints, prices.clone());
    let (checked, intake) = (keys.clone(), logger.intake());
    let sink = Counted::new(Edited::new(intake, privacy::edit(&config)?), metrics.clone());
    let estimates = Estimates::start()?;
    let logs = LogRoutes::new(RouteOptions {
        sink: Arc::new(Priced::new(sink, prices.clone()).estimating(estimates.clone())),
        callers: Arc::new(move |key: &str| checked.check(key).map(|holder| (holder.org, holder.key))),
        prices,
        keep_body: (config.logging.bodies == Bodies::Full).then_some(config.logging.max_body.bytes()),
    });
    let login = LoginTokens::new().map_err(|error| CommandError::Internal(error.to_string()))?;
    let (closing, fleet) = (Closing::default(), Fleet::default());
    let gauges = logger.intake().gauges().clone();
    let console = tachograph_console::router(ConsoleOptions {
        store: store.clone(),
        keys: Arc::new(Keys(keys.clone())),
        login: login.clone(),
        health: health(gauges.clone(), fleet.clone()),
        price_of: None,
        routing: None,
        limits: None,
        settings: None,
        closing: closing.clone(),
    });
    let [rows, bodies] = config.logging.retention.spans();
    let retention = Retention { rows, bodies };
    let counted = gauges.clone();
    let locked = (!config.listen.ip().is_loopback()).then(|| keys.clone());
    let exported = exporter.as_ref().map(Exporter::figures);
    let figures = move || {
        let mut all = counted.figures();
        all.extend(exported.iter().flat_map(|exported| exported()));
        all
    };
    let scrape = Scrape::new(metrics, figures, locked);
    let mut exporting = JoinSet::new();
    if let Some(exporter) = exporter {
        exporting.spawn(exporter.run());
    }
    let mut background = JoinSet::new();
    background.spawn(process::reload_keys(keys, store.clone()));
    background.spawn(fleet.watch(store.clone()));
    background.spawn(retention.run(store.clone()));
    background.spawn(keep_rollups(store.clone()));
    let listener = process::bind(config.listen).await?;
    let address = listener.local_addr()?;
    {
        let mut out = io::stdout().lock();
        writeln!(out, "Tachograph's logger listens on http://{address}")?;
        writeln!(out, "Console (this link logs you in once): http://{address}/login?token={}", login.issue())?;
        if let Some(key) = &first_key {
            writeln!(out, "\nYour first API key, shown this once: {}", key.expose())?;
        }
        writeln!(out, "\nGateways deliver here with  logger: {{ url: \"http://{address}\", key: … }}")?;
        out.flush()?;
    }
    let stop = async {
        process::stop_signal().await;
        closing.close();
    };
    serve_connections(listener, Front { ingest, logs, console, gauges, scrape }, stop, DRAIN).await?;
    estimates.finish(DRAIN).await;
    background.shutdown().await;
    logger.finish(FLUSH).await;
    if tokio::time::timeout(EXPORT, exporting.join_next()).await.is_err() {
        tracing::warn!("what was still to be exported is not: its receiver does not take it");
    }
    store.close().await?;
    Ok(())
}

fn health(gauges: Arc<Gauges>, fleet: Fleet) -> tachograph_console::Health {
    Arc::new(move || {
        let mut facts = serde_json::to_value(gauges.health()).unwrap_or_default();
        facts["gateways"] = serde_json::to_value(fleet.gateways()).unwrap_or_default();
        facts
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
