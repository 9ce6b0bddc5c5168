//! Answers in Redis or Valkey, for several processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, cmd};
use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{Backend, Found};
use crate::answer::millis;
use crate::{Answer, CacheKey};

/// How long a call waits for an answer from there.
const WAIT: Duration = Duration::from_millis(25);
/// How long it is left alone once it did not answer, so that few calls wait in vain.
const LEFT_ALONE: Duration = Duration::from_secs(1);
/// How long a connection may take to come up, and a write to be done. Nobody waits for either.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many answers wait to be written; one more is not kept.
const WAITING: usize = 256;
const PREFIX: &str = "tachograph:cache:";

/// The text is no `redis://` or `rediss://` URL. It is not repeated, for it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("not a redis:// or rediss:// URL")]
pub struct BadUrl;

/// Answers in Redis. Slow is a miss, and so is gone.
pub struct Redis {
    connection: ConnectionManager,
    writes: Sender<Write>,
    started: Instant,
    quiet_until_ms: AtomicU64,
}

struct Write {
    key: CacheKey,
    answer: Arc<Answer>,
    ttl: Duration,
}

/// Writes what is to be kept.
#[must_use = "nothing is kept unless it runs"]
pub struct Writer {
    connection: ConnectionManager,
    writes: Receiver<Write>,
}

impl Redis {
    /// The server at this URL, and who writes to it: [`Writer::run`] has to run beside. Nothing is sent yet; connections
    /// are made when they are needed.
    ///
    /// # Errors
    /// Where the text is no such URL.
    pub fn new(url: &str) -> Result<(Self, Writer), BadUrl> {
        let client = Client::open(url).map_err(|_| BadUrl)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_max_delay(Duration::from_millis(500));
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(|_| BadUrl)?;
        let (sender, writes) = channel(WAITING);
        let writer = Writer { connection: connection.clone(), writes };
        Ok((Self { connection, writes: sender, started: Instant::now(), quiet_until_ms: AtomicU64::new(0) }, writer))
    }

    async fn look(&self, keys: &[CacheKey]) -> Vec<Option<Arc<Answer>>> {
        let none = || vec![None; keys.len()];
        let now = millis(self.started.elapsed());
        if now < self.quiet_until_ms.load(Ordering::Relaxed) {
            return none();
        }
        let mut ask = cmd("MGET");
        for key in keys {
            ask.arg(name(*key));
        }
        let mut connection = self.connection.clone();
        let asked = tokio::time::timeout(WAIT, ask.query_async::<Vec<Option<Vec<u8>>>>(&mut connection)).await;
        let why = match asked {
            Ok(Ok(found)) if found.len() == keys.len() => {
                let read = |bytes: Option<Vec<u8>>| Answer::decode(Bytes::from(bytes?)).filter(Answer::is_good);
                return found.into_iter().map(|bytes| read(bytes).map(Arc::new)).collect();
            }
            Ok(Ok(_)) => "another answer than was asked for".to_owned(),
            Ok(Err(error)) => error.category().to_owned(),
            Err(_) => format!("no answer within {} ms", WAIT.as_millis()),
        };
        self.quiet_until_ms.store(millis(self.started.elapsed() + LEFT_ALONE), Ordering::Relaxed);
        tracing::warn!(why, "the cache in Redis is left alone for a second");
        none()
    }
}

impl Backend for Redis {
    fn get<'a>(&'a self, keys: &'a [CacheKey]) -> Found<'a> {
        Box::pin(self.look(keys))
    }

    fn put(&self, key: CacheKey, answer: Arc<Answer>, ttl: Duration) {
        if self.writes.try_send(Write { key, answer, ttl }).is_err() {
            tracing::debug!("an answer is not kept: too many wait to be written to Redis");
        }
    }
}

impl Writer {
    /// Writes until the backend is gone.
    pub async fn run(mut self) {
        while let Some(Write { key, answer, ttl }) = self.writes.recv().await {
            let mut set = cmd("SET");
            set.arg(name(key)).arg(&answer.encode()[..]).arg("PX").arg(millis(ttl).max(1));
            let written = tokio::time::timeout(PATIENCE, set.query_async::<()>(&mut self.connection)).await;
            match written {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(why = error.category(), "Redis did not keep an answer"),
                Err(_) => tracing::debug!("Redis did not keep an answer in time"),
            }
        }
    }
}

fn name(key: CacheKey) -> Vec<u8> {
    [PREFIX.as_bytes(), key.bytes()].concat()
}
