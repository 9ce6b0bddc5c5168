//! Fresh stores to test with.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Once};

use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tachograph_record::RecordId;
use tachograph_store::{Store, open};

const VARIABLE: &str = "TACHOGRAPH_TEST_POSTGRES";

/// An empty place for a store, cleared away when it is dropped.
pub(crate) struct Backend {
    pub(crate) name: &'static str,
    pub(crate) url: String,
    pub(crate) place: Place,
}

pub(crate) enum Place {
    Memory,
    Directory(PathBuf),
    Database { admin_url: String, name: String },
}

/// Runs a test on every backend, each with an empty place.
pub(crate) async fn on_each(test: impl AsyncFn(&Backend)) {
    for backend in all().await {
        eprintln!("on {}", backend.name);
        test(&backend).await;
    }
}

/// Runs a test on every backend, each with a migrated store.
pub(crate) async fn with_each(test: impl AsyncFn(&Backend, Arc<dyn Store>)) {
    on_each(async |backend| {
        let store = backend.open().await;
        store.migrate().await.unwrap();
        test(backend, Arc::clone(&store)).await;
        store.close().await.unwrap();
    })
    .await;
}

async fn all() -> Vec<Backend> {
    let directory = std::env::temp_dir().join(format!("tachograph-store-{}", RecordId::generate()));
    let mut backends = vec![
        Backend { name: "SQLite in memory", url: "sqlite::memory:".into(), place: Place::Memory },
        Backend { name: "SQLite", url: "sqlite:".into(), place: Place::Directory(directory) },
    ];
    match std::env::var(VARIABLE) {
        Ok(admin_url) => backends.push(fresh_database(admin_url).await),
        Err(_) => skip_postgres(),
    }
    backends
}

fn skip_postgres() {
    static ONCE: Once = Once::new();
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{VARIABLE} must name a Postgres server under CI=true");
    // Past the capture of passing tests' output, so that it is seen.
    let line = format!("skipped Postgres: {VARIABLE} does not name a server on which databases may be made\n");
    ONCE.call_once(|| std::io::stderr().write_all(line.as_bytes()).unwrap());
}

async fn fresh_database(admin_url: String) -> Backend {
    let name = format!("tachograph_{}", RecordId::generate().uuid().simple());
    let mut admin = PgConnection::connect(&admin_url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.unwrap();
    let (before, query) = admin_url.split_once('?').map_or((&*admin_url, String::new()), |(b, q)| (b, format!("?{q}")));
    let server = before.split_once("://").unwrap().1.split('/').next().unwrap();
    let url = format!("postgres://{server}/{name}{query}");
    Backend { name: "Postgres", url, place: Place::Database { admin_url, name } }
}

impl Backend {
    /// Opens what was written before, or an empty store. In memory it is always an empty one.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        let directory = match &self.place {
            Place::Directory(directory) => directory.as_path(),
            Place::Memory | Place::Database { .. } => "nowhere".as_ref(),
        };
        open(&self.url, directory).await.unwrap()
    }

    /// Whether what was written is there when the store is opened again, and a second store sees what one wrote.
    pub(crate) fn lasts(&self) -> bool {
        !matches!(self.place, Place::Memory)
    }

    /// Runs SQL past the store: one text for SQLite, one for Postgres.
    pub(crate) async fn tamper(&self, sqlite: &'static str, postgres: &'static str) {
        match &self.place {
            Place::Memory => panic!("nothing but the store itself reaches its memory"),
            Place::Directory(directory) => {
                let file = directory.join("tachograph.db");
                let mut connection = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
                sqlx::raw_sql(sqlite).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            Place::Database { .. } => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                sqlx::raw_sql(postgres).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        match &self.place {
            Place::Memory => {}
            Place::Directory(directory) => drop(std::fs::remove_dir_all(directory)),
            Place::Database { admin_url, name } => {
                let (admin_url, name) = (admin_url.clone(), name.clone());
                let dropped = std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                    runtime.block_on(async {
                        let mut admin = PgConnection::connect(&admin_url).await?;
                        let drop = format!("DROP DATABASE {name} WITH (FORCE)");
                        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut admin).await
                    })?;
                    Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
                });
                if let Ok(Err(error)) = dropped.join() {
                    eprintln!("a database of this test is left behind: {error}");
                }
            }
        }
    }
}
