//! What is tested: one limiter or several that share their limits.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tachograph_ratelimit::backend::{Backend, Change, InProcess, RedisBackend, RowBackend, SharedRows};
use tachograph_ratelimit::{Clock, Limiter, LimiterOptions, OnUnavailable, RemoteOptions, Rules};
use tachograph_record::Timestamp;

/// A moment of a day, in ms: 2026-11-24, noon (UTC).
pub(crate) const NOON: i64 = 1_795_521_600_000;

/// Rows in a map, as a database would keep them.
#[derive(Default)]
pub(crate) struct MapRows(Mutex<HashMap<String, String>>);

impl SharedRows for MapRows {
    fn change<'a>(
        &'a self,
        keys: &'a [String],
        _expires_s: i64,
        change: Change,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(async move {
            let mut map = self.0.lock().unwrap();
            let mut rows: Vec<Option<String>> = keys.iter().map(|key| map.get(key).cloned()).collect();
            change(Timestamp::now().micros() / 1_000, &mut rows);
            for (key, row) in keys.iter().zip(rows) {
                map.extend(row.map(|row| (key.clone(), row)));
            }
            Ok(())
        })
    }
}

/// A clock that a test moves.
#[derive(Clone)]
pub(crate) struct Hands(Arc<AtomicI64>);

impl Hands {
    pub(crate) fn at(ms: i64) -> Self {
        Self(Arc::new(AtomicI64::new(ms)))
    }

    pub(crate) fn forward(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) fn clock(&self) -> Clock {
        let hands = self.0.clone();
        Arc::new(move || Timestamp::from_micros(hands.load(Ordering::SeqCst) * 1_000))
    }
}

/// One way of keeping limits.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    backend: Option<Arc<dyn Backend>>,
}

impl Way {
    /// A limiter of this way.
    pub(crate) fn limiter(&self, rules: Rules, hands: &Hands) -> Limiter {
        let options = RemoteOptions {
            timeout: Duration::from_secs(10),
            on_unavailable: OnUnavailable::Deny,
            ..RemoteOptions::default()
        };
        let shared = self.backend.clone().map(|backend| (backend, options));
        Limiter::new(LimiterOptions { rules, shared, clock: Some(hands.clock()), events: None })
    }
}

/// A prefix of its own for each test: the server is shared.
fn redis() -> Option<Arc<dyn Backend>> {
    let Ok(url) = std::env::var("TACHOGRAPH_TEST_REDIS") else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "Redis must be there under CI");
        eprintln!("skipped for Redis: set TACHOGRAPH_TEST_REDIS");
        return None;
    };
    let prefix = format!("test:{}:", uuid::Uuid::now_v7());
    Some(Arc::new(RedisBackend::new(&url).unwrap().with_prefix(&prefix)))
}

/// The rows of a real Postgres, opened when they are first needed.
struct StoreRows {
    url: String,
    store: tokio::sync::OnceCell<Arc<dyn tachograph_store::Store>>,
}

impl StoreRows {
    async fn open(&self) -> Result<Arc<dyn tachograph_store::Store>, tachograph_store::StoreError> {
        let store = tachograph_store::open(&self.url, std::path::Path::new("nowhere")).await?;
        store.migrate().await?;
        Ok(store)
    }
}

impl SharedRows for StoreRows {
    fn change<'a>(
        &'a self,
        keys: &'a [String],
        expires_s: i64,
        change: Change,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(async move {
            let store = self.store.get_or_try_init(|| self.open()).await.map_err(|error| error.to_string())?;
            store.change_shared(keys, expires_s, change).await.map_err(|error| error.to_string())
        })
    }
}

/// A database of its own for each test.
fn postgres() -> Option<Arc<dyn Backend>> {
    const VARIABLE: &str = "TACHOGRAPH_TEST_POSTGRES";
    let Ok(server) = std::env::var(VARIABLE) else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "Postgres must be there under CI");
        eprintln!("skipped for Postgres: set {VARIABLE}");
        return None;
    };
    let name = format!("limits_{}", uuid::Uuid::now_v7().simple());
    let made = std::process::Command::new("psql").args([&server, "-qc", &format!("CREATE DATABASE {name}")]).status();
    assert!(made.unwrap().success());
    let (before, query) = server.split_once('?').map_or((&*server, String::new()), |(b, q)| (b, format!("?{q}")));
    let authority = before.split_once("://").unwrap().1.split('/').next().unwrap();
    let url = format!("postgres://{authority}/{name}{query}");
    Some(Arc::new(RowBackend::new(StoreRows { url, store: tokio::sync::OnceCell::new() })))
}

/// All ways, each fresh.
pub(crate) fn all() -> Vec<Way> {
    let mut ways = vec![Way { name: "alone", backend: None }];
    ways.extend(shared());
    ways
}

/// The ways in which several limiters share.
pub(crate) fn shared() -> Vec<Way> {
    let mut ways = vec![
        Way { name: "in process", backend: Some(Arc::new(InProcess::default())) },
        Way { name: "rows", backend: Some(Arc::new(RowBackend::new(MapRows::default()))) },
    ];
    ways.extend(redis().map(|backend| Way { name: "Redis", backend: Some(backend) }));
    ways.extend(postgres().map(|backend| Way { name: "Postgres", backend: Some(backend) }));
    ways
}

/// The backends themselves.
pub(crate) fn raw() -> Vec<(&'static str, Arc<dyn Backend>)> {
    shared().into_iter().filter_map(|way| Some((way.name, way.backend?))).collect()
}
