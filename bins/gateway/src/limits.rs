//! Limits as this process keeps them: where, since when, and how they stand for those who look.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tachograph_gateway::commands::CommandError;
use tachograph_gateway::config::Config;
use tachograph_gateway::{Endpoints, Limits, Router, model_without_provider};
use tachograph_logger::Gauges;
use tachograph_ratelimit::backend::{Backend, RedisBackend, RowBackend};
use tachograph_ratelimit::{EventSink, LimitEvent, Limiter, LimiterOptions, Past, RemoteOptions, Rules, Subject, What};
use tachograph_record::{Money, OrgId};
use tachograph_store::{Spending, Store};

/// So many events are remembered.
const LATEST: usize = 200;
/// So many accounts are shown at once.
const SHOWN: usize = 1_000;
/// How often records are compared with what is counted, for calls that a process that died had no time to count.
const COMPARE: Duration = Duration::from_secs(30);

/// The start waits at most so long for records of a former process to reach the store.
const CATCH_UP: Duration = Duration::from_secs(10);

/// The limits that a configuration describes. Nothing is connected yet.
pub(crate) fn of(
    config: &Config,
    store: &Arc<dyn Store>,
    router: Arc<Router>,
) -> Result<(Arc<Limits>, Events), CommandError> {
    let latest = Events::default();
    let rules = Rules {
        policies: config.limits.policies.clone(),
        budgets: config.budgets.iter().cloned().map(Arc::new).collect(),
        ..Rules::default()
    };
    let options = RemoteOptions {
        timeout: config.limits.timeout.duration(),
        on_unavailable: config.limits.on_unavailable,
        lease: config.limits.lease.duration(),
    };
    let shared = backend(config, store)?.map(|backend| (backend, options));
    let limiter =
        Limiter::new(LimiterOptions { rules, shared, events: Some(Box::new(Logged(latest.clone()))), clock: None });
    let unknown_model = config.pricing.unknown_model;
    Ok((Arc::new(Limits::new(limiter, router, unknown_model, config.limits.ceiling)), latest))
}

fn backend(config: &Config, store: &Arc<dyn Store>) -> Result<Option<Arc<dyn Backend>>, CommandError> {
    let url = config.limits.backend.expose();
    match url.split(':').next().unwrap_or_default() {
        "redis" | "rediss" => {
            let backend = RedisBackend::new(url);
            let backend = backend.map_err(|error| CommandError::Usage(format!("limits.backend: {error}")))?;
            Ok(Some(Arc::new(backend)))
        }
        "postgres" => Ok(Some(Arc::new(RowBackend::new(Rows(store.clone()))))),
        _ => Ok(None),
    }
}

/// The store's rows.
struct Rows(Arc<dyn Store>);

impl tachograph_ratelimit::backend::SharedRows for Rows {
    fn change<'a>(
        &'a self,
        keys: &'a [String],
        expires_s: i64,
        change: tachograph_ratelimit::backend::Change,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(async move { self.0.change_shared(keys, expires_s, change).await.map_err(|error| error.to_string()) })
    }
}

/// The events of late, the newest first.
pub(crate) type Events = Arc<Mutex<VecDeque<LimitEvent>>>;

/// Events go to the log, and the latest are shown to those who ask.
struct Logged(Events);

impl EventSink for Logged {
    fn tell(&self, event: LimitEvent) -> bool {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.truncate(LATEST - 1);
        latest.push_front(event.clone());
        drop(latest);
        let LimitEvent { budget, scope, spent, amount, .. } = &event;
        match event.what {
            What::Threshold(percent) => {
                tracing::warn!(budget, scope, %spent, %amount, percent, "a budget reached a threshold");
            }
            What::Overrun => {
                tracing::warn!(budget, scope, %spent, %amount, "a call cost more than was reserved for it")
            }
            what => tracing::debug!(budget, scope, %spent, %amount, ?what, "a budget is used up"),
        }
        true
    }
}

/// Waits until the store has what a former process left in the spool: what was spent by it counts too. A store that is
/// away does not keep the gateway from its start; what it lacks then is counted when it is compared with records.
pub(crate) async fn catch_up(limits: &Limits, gauges: &Gauges) {
    if limits.limiter().counts_since().is_none() {
        return;
    }
    let until = Instant::now() + CATCH_UP;
    while gauges.queued() > 0 {
        if Instant::now() > until || gauges.failures_in_a_row() > 0 {
            tracing::warn!(records = gauges.queued(), "budgets begin without what waits in the spool");
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Counts what records tell of the current periods.
pub(crate) async fn restore(limits: &Limits, store: &dyn Store, endpoints: &Endpoints) -> Result<(), CommandError> {
    let Some(since) = limits.limiter().counts_since() else { return Ok(()) };
    let rows = store.spending(since).await?;
    struct Text {
        org: String,
        key: Option<String>,
        model: Option<String>,
    }
    let text = |row: &Spending| Text {
        org: row.org.to_string(),
        key: row.key.map(|key| key.to_string()),
        model: row.model.as_deref().map(|name| model_without_provider(name, endpoints).to_owned()),
    };
    let texts: Vec<Text> = rows.iter().map(text).collect();
    let past: Vec<Past<'_>> = rows
        .iter()
        .zip(&texts)
        .filter(|(row, _)| row.cost > Money::ZERO)
        .map(|(row, text)| Past {
            subject: Subject {
                org: &text.org,
                key: text.key.as_deref(),
                user: row.user.as_deref(),
                model: text.model.as_deref(),
                properties: &row.properties,
            },
            at: row.at,
            cost: row.cost,
        })
        .collect();
    let counted = limits.limiter().restore(&past).await;
    counted.map_err(|error| CommandError::Unavailable(error.to_string()))
}

/// Keeps limits tended, and compares them with records from time to time.
pub(crate) async fn tend(limits: Arc<Limits>, store: Arc<dyn Store>, endpoints: Arc<Endpoints>) {
    let limiter = limits.limiter().clone();
    let compare = async {
        loop {
            tokio::time::sleep(COMPARE).await;
            if let Err(error) = restore(&limits, &*store, &endpoints).await {
                tracing::warn!(%error, "budgets could not be compared with the records");
            }
        }
    };
    tokio::select! {
        never = limiter.maintain() => match never {},
        () = compare => {}
    }
}

/// How an organisation's limits stand, for the console.
pub(crate) fn shown(limits: Arc<Limits>, latest: Events) -> tachograph_console::LimitsOf {
    Arc::new(move |org: OrgId| {
        let org = org.to_string();
        let mut standing = serde_json::to_value(limits.limiter().snapshot(&org, SHOWN)).unwrap_or_default();
        let latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
        let events: Vec<&LimitEvent> = latest.iter().filter(|event| event.org == org).collect();
        standing["events"] = serde_json::to_value(events).unwrap_or_default();
        standing
    })
}
