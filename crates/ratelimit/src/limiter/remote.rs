//! The shared limits, as one process uses them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tachograph_record::Money;
use tokio::sync::Notify;

use super::{Inner, PATIENCE};
use crate::backend::{AccountReply, AccountStep, Backend, BucketReply, BucketStep, Reply, Step, Unavailable};
use crate::buckets::{BucketWant, Held};
use crate::budget::Share;
use crate::events::Counters;
use crate::ledger::{Account, Key};
use crate::policy::{GRAINS, Unit};

/// After the shared limits did not answer, no call asks them for so long; [`maintain`](crate::Limiter::maintain) asks
/// again much earlier, and calls go on asking as soon as it has got an answer.
const PAUSE: Duration = Duration::from_secs(5);
/// A process draws so much of what is left beyond what it needs, and at most so many calls, so that not every call has to
/// ask: little enough that others are not kept waiting for it.
const SLICE: i64 = 64;
const MOST_CALLS: i64 = 32;

/// What happens while the shared limits do not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnavailable {
    /// Calls go on: each process limits rates for itself, and lets budgets be exceeded.
    #[default]
    Allow,
    /// Calls that this process has no part of a limit left for are refused.
    Deny,
}

/// How the shared limits are used.
#[derive(Clone, Copy, Debug)]
pub struct RemoteOptions {
    /// How long a call waits for them at most.
    pub timeout: Duration,
    /// What happens then.
    pub on_unavailable: OnUnavailable,
    /// How long what a process holds stays held after it was last heard of.
    pub lease: Duration,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self { timeout: PATIENCE, on_unavailable: OnUnavailable::default(), lease: Duration::from_secs(30) }
    }
}

pub(super) struct Remote {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) options: RemoteOptions,
    pub(super) holder: String,
    pub(super) wake: Notify,
    began: Instant,
    /// Until when calls do not ask, in ms since it began; 0 where they do.
    paused_until: AtomicU64,
}

impl Remote {
    pub(super) fn new(backend: Arc<dyn Backend>, options: RemoteOptions) -> Self {
        let holder = uuid::Uuid::now_v7().simple().to_string();
        Self { backend, options, holder, wake: Notify::new(), began: Instant::now(), paused_until: AtomicU64::new(0) }
    }

    fn is_paused(&self) -> bool {
        self.paused_until.load(Ordering::Relaxed) > ms(self.began.elapsed())
    }

    /// Sends a step and waits for its answer no longer than `patience`.
    pub(super) async fn send(&self, step: &Step, patience: Duration) -> Result<Reply, Unavailable> {
        let answered = tokio::time::timeout(patience, self.backend.step(step)).await;
        let answered = answered.unwrap_or_else(|_| Err(Unavailable(format!("no answer within {patience:?}"))));
        let complete = answered.and_then(|reply| {
            let fits = reply.buckets.len() == step.buckets.len() && reply.accounts.len() == step.accounts.len();
            if fits { Ok(reply) } else { Err(Unavailable("an answer of another form".to_owned())) }
        });
        match &complete {
            Ok(_) => {
                if self.paused_until.swap(0, Ordering::Relaxed) > 0 {
                    tracing::info!("the shared limits answer again");
                }
            }
            Err(error) => {
                let until = ms(self.began.elapsed() + PAUSE);
                if self.paused_until.swap(until, Ordering::Relaxed) == 0 {
                    tracing::warn!(%error, on_unavailable = ?self.options.on_unavailable, "limits are not shared for now");
                }
            }
        }
        complete
    }

    pub(super) fn step(&self, now: Option<i64>) -> Step {
        let lease_ms = i64::try_from(self.options.lease.as_millis()).unwrap_or(i64::MAX);
        Step { holder: self.holder.clone(), lease_ms, now, ..Step::default() }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What a call is just asking for; given up when it has an answer, or leaves.
struct Asking<'a> {
    inner: &'a Inner,
    buckets: Vec<Arc<str>>,
    accounts: Vec<Key>,
    amount: i128,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        for key in &self.buckets {
            self.inner.buckets.if_there(key, |held| held.asking -= GRAINS);
        }
        for key in &self.accounts {
            self.inner.ledger.with(key, |account| account.shared.asking -= self.amount);
        }
    }
}

impl Inner {
    pub(super) fn on_unavailable(&self) -> OnUnavailable {
        self.remote.as_ref().map(|remote| remote.options.on_unavailable).unwrap_or_default()
    }

    /// The moment that is told to the shared limits: a simulation's; else they have a clock of their own, which is the
    /// same for all.
    pub(super) fn told_now(&self) -> Option<i64> {
        self.is_simulated.then(|| self.now_ms())
    }

    pub(super) fn wake(&self) {
        if let Some(remote) = &self.remote {
            remote.wake.notify_one();
        }
    }

    /// Asks the shared limits for what a call needs of these buckets and accounts, in one message.
    pub(super) async fn ask_shared(
        &self,
        wants: &[BucketWant],
        buckets: &[usize],
        shares: &[Share],
        accounts: &[usize],
        amount: i128,
    ) -> Result<(), Unavailable> {
        let Some(remote) = self.remote.as_ref().filter(|remote| !remote.is_paused()) else {
            return Err(Unavailable("not asked".to_owned()));
        };
        let now = self.now_ms();
        let mut step = remote.step(self.told_now());
        let mut asking = Asking { inner: self, buckets: Vec::new(), accounts: Vec::new(), amount };
        for want in buckets.iter().filter_map(|&at| wants.get(at)) {
            let calls = want.unit() == Unit::Request;
            step.buckets.push(self.buckets.with(want, now, |held| {
                held.asking += GRAINS;
                let more = (held.bucket.level_at(want.shape, now) / SLICE / GRAINS).clamp(0, MOST_CALLS) * GRAINS;
                let draw = if calls { (held.asking + more - held.slice).max(0) } else { 0 };
                bucket_step(&want.key, held, draw)
            }));
            asking.buckets.push(want.key.clone());
        }
        for share in accounts.iter().filter_map(|&at| shares.get(at)) {
            let key = &share.want.key;
            step.accounts.extend(self.ledger.with(key, |account| {
                account.shared.asking += amount;
                account_step(key, account, Some(amount))
            }));
            asking.accounts.push(key.clone());
        }
        let reply = remote.send(&step, remote.options.timeout).await;
        match &reply {
            Ok(reply) => self.learn(&step, reply),
            Err(_) => self.forget_owed(&step),
        }
        drop(asking);
        reply.map(drop)
    }

    /// Takes over what the shared limits said.
    pub(super) fn learn(&self, step: &Step, reply: &Reply) {
        let now = self.now_ms();
        for (asked, told) in step.buckets.iter().zip(&reply.buckets) {
            self.buckets.if_there(&asked.key, |held| learn_bucket(held, asked, *told, now));
        }
        for (asked, told) in step.accounts.iter().zip(&reply.accounts) {
            self.ledger.with(&asked.key.as_str().into(), |account| learn_account(account, told, now));
        }
    }

    /// A message that was not answered may have counted or not: what was used is told again, and given back is nothing.
    pub(super) fn forget_owed(&self, step: &Step) {
        for asked in &step.buckets {
            self.buckets.if_there(&asked.key, |held| {
                held.owed = held.owed.saturating_add(asked.owe);
                held.slice = held.slice.saturating_sub(asked.draw.min(0));
            });
        }
        Counters::add(&self.counters.unavailable);
    }
}

/// A bucket's part of a message. What is owed is on its way with it.
pub(super) fn bucket_step(key: &str, held: &mut Held, draw: i64) -> BucketStep {
    if draw < 0 {
        held.slice = held.slice.saturating_add(draw);
    }
    BucketStep { key: key.to_owned(), shape: held.shape, draw, owe: std::mem::take(&mut held.owed) }
}

fn learn_bucket(held: &mut Held, asked: &BucketStep, told: BucketReply, now: i64) {
    held.bucket.level = told.level;
    (held.bucket.at, held.bucket.capacity, held.bucket.window_ms) = (now, asked.shape.capacity, asked.shape.window_ms);
    held.learned_at = now;
    held.slice = held.slice.saturating_add(told.drawn.max(0));
}

/// An account's part of a message: what it needs for calls under way and asking, and with `more` a slice for later ones.
pub(super) fn account_step(key: &Key, account: &mut Account, more: Option<i128>) -> Option<AccountStep> {
    let slots = account.shared.slots?;
    let needed = account.in_flight().saturating_add(account.shared.asking);
    let shared = &account.shared;
    let left =
        shared.limit.saturating_sub(account.known_spent(slots)).saturating_sub(shared.others).saturating_sub(needed);
    let slice = more.map_or(0, |amount| (left.max(0) / i128::from(SLICE)).min(amount.saturating_mul(8)));
    account.shared.sent += 1;
    Some(AccountStep {
        key: key.to_string(),
        limit: Money::from_atto(account.shared.limit),
        slot: slots.now,
        oldest: slots.oldest,
        expires_s: account.shared.ends_s,
        seq: account.shared.sent,
        total: Money::from_atto(account.shared.total),
        want: Money::from_atto(needed.saturating_add(slice)),
    })
}

fn learn_account(account: &mut Account, told: &AccountReply, now: i64) {
    let shared = &mut account.shared;
    if told.seq < shared.answered {
        return;
    }
    shared.answered = told.seq;
    shared.acknowledged = shared.acknowledged.max(told.total.atto());
    (shared.held, shared.others, shared.renewed_at) = (told.held.atto(), told.others.atto(), now);
    account.learn(told.spent.iter().map(|(slot, amount)| (*slot, amount.atto())).collect());
}
