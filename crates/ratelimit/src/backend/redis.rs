//! Shared limits in Redis or Valkey: one script, one round trip.

use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, RedisError, Script};
use tachograph_record::{Money, Timestamp};

use super::{AccountReply, Backend, BackendFuture, BucketReply, Reply, Step, Unavailable};

const SCRIPT: &str = include_str!("step.lua");
/// A micro-dollar in atto-dollars: how the script counts money.
const MICRO: i128 = 1_000_000_000_000;
/// How long a connection may take to come up. Nobody waits for it: a call waits for as long as its limiter says.
const CONNECT: Duration = Duration::from_secs(2);

/// Shared limits in Redis or Valkey, of version 6 or later. Connections are made when they are first needed, and made
/// again when they break.
pub struct RedisBackend {
    connection: ConnectionManager,
    script: Script,
    prefix: String,
}

impl RedisBackend {
    /// The server that a `redis://` or `rediss://` URL names. Nothing is sent yet.
    ///
    /// # Errors
    /// Where the text is no such URL. The message does not repeat it, for it may hold a password.
    pub fn new(url: &str) -> Result<Self, Unavailable> {
        let client = Client::open(url).map_err(|_| Unavailable("not a redis:// URL".to_owned()))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(CONNECT))
            .set_max_delay(Duration::from_millis(500));
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(|error| sort(&error))?;
        Ok(Self { connection, script: Script::new(SCRIPT), prefix: "tachograph:".to_owned() })
    }

    /// The same, with its keys under another prefix than `tachograph:`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    async fn run(&self, step: &Step) -> Result<Reply, Unavailable> {
        let mut call = self.script.prepare_invoke();
        for key in step.buckets.iter().map(|bucket| &bucket.key).chain(step.accounts.iter().map(|account| &account.key))
        {
            call.key(format!("{}{key}", self.prefix));
        }
        call.arg(&step.holder).arg(step.lease_ms);
        call.arg(step.now.map(|now| now.to_string()).unwrap_or_default()).arg(step.buckets.len());
        for bucket in &step.buckets {
            call.arg(bucket.shape.capacity).arg(bucket.shape.window_ms).arg(bucket.draw).arg(bucket.owe);
        }
        // A row is kept for a day beyond its period, for what is told late.
        let longest = Timestamp::now().micros() / 1_000_000 + 400 * 86_400;
        for account in &step.accounts {
            let money = |amount: Money| [amount.atto().div_euclid(MICRO), amount.atto().rem_euclid(MICRO)];
            for number in money(account.limit) {
                call.arg(number.to_string());
            }
            let expires = account.expires_s.saturating_add(86_400).min(longest);
            call.arg(account.slot).arg(account.oldest).arg(expires).arg(account.seq);
            for number in money(account.total).into_iter().chain(money(account.want)) {
                call.arg(number.to_string());
            }
        }
        let mut connection = self.connection.clone();
        let told: Vec<i64> = call.invoke_async(&mut connection).await.map_err(|error| sort(&error))?;
        read(step, &told).ok_or_else(|| Unavailable("Redis gave an answer of another form".to_owned()))
    }
}

fn read(step: &Step, told: &[i64]) -> Option<Reply> {
    let mut told = told.iter().copied();
    let mut reply = Reply::default();
    for _ in &step.buckets {
        reply.buckets.push(BucketReply { level: told.next()?, drawn: told.next()? });
    }
    fn money(told: &mut impl Iterator<Item = i64>) -> Option<Money> {
        Some(Money::from_atto(i128::from(told.next()?) * MICRO + i128::from(told.next()?)))
    }
    for _ in &step.accounts {
        let (held, others, total) = (money(&mut told)?, money(&mut told)?, money(&mut told)?);
        let seq = u64::try_from(told.next()?).ok()?;
        let slots = told.next()?;
        let spent = (0..slots).map(|_| Some((told.next()?, money(&mut told)?))).collect::<Option<_>>()?;
        reply.accounts.push(AccountReply { spent, held, others, total, seq });
    }
    told.next().is_none().then_some(reply)
}

/// The error without its URL.
fn sort(error: &RedisError) -> Unavailable {
    Unavailable(
        error.detail().map_or_else(|| error.category().to_owned(), |detail| format!("{}: {detail}", error.category())),
    )
}

impl Backend for RedisBackend {
    fn step<'a>(&'a self, step: &'a Step) -> BackendFuture<'a, Reply> {
        Box::pin(self.run(step))
    }
}
