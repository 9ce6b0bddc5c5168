//! What limits that several processes share are kept in: one interface, and its meaning as plain functions.
//!
//! A process asks for as many buckets and accounts at once as it needs, in one [`Step`], and every message can be sent
//! again without harm: what a process spent is told as the total so far, and what it wants to hold as a whole amount, each
//! under a number that grows. A hold ends with its lease, so that a process that died holds nothing back.

mod memory;
#[cfg(feature = "redis")]
mod redis;
mod rows;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};
use tachograph_record::Money;

pub use memory::InProcess;
#[cfg(feature = "redis")]
pub use redis::RedisBackend;
pub use rows::{Change, RowBackend, SharedRows};

use crate::bucket::{Bucket, Shape};
use crate::policy::GRAINS;

/// Why a backend did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shared limits cannot be reached: {0}")]
pub struct Unavailable(pub String);

/// A boxed future of a backend.
pub type BackendFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unavailable>> + Send + 'a>>;

/// Where limits are that several processes share.
pub trait Backend: Send + Sync + 'static {
    /// Does everything of a step, each part atomically, and answers part by part.
    fn step<'a>(&'a self, step: &'a Step) -> BackendFuture<'a, Reply>;
}

/// One message to the shared limits.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// The process that asks.
    pub holder: String,
    /// How long what it holds stays held without another message, in ms.
    pub lease_ms: i64,
    /// The moment, in ms since the epoch; absent, by the backend's own clock, which all processes share.
    pub now: Option<i64>,
    /// Buckets.
    pub buckets: Vec<BucketStep>,
    /// Accounts.
    pub accounts: Vec<AccountStep>,
}

/// What is wanted of a bucket.
#[derive(Clone, Debug)]
pub struct BucketStep {
    /// Its key.
    pub key: String,
    /// Its shape.
    pub shape: Shape,
    /// So much is wanted, in grains, and as many whole units of it as there are are given; negative, given back.
    pub draw: i64,
    /// So much was used already, in grains, and may leave a debt.
    pub owe: i64,
}

/// What is wanted of an account.
#[derive(Clone, Debug)]
pub struct AccountStep {
    /// Its key.
    pub key: String,
    /// Its limit.
    pub limit: Money,
    /// The slot that is now.
    pub slot: i64,
    /// The oldest slot that still counts.
    pub oldest: i64,
    /// When nothing of it counts any more, in seconds of the epoch.
    pub expires_s: i64,
    /// The message's number, of this process for this account, from 1.
    pub seq: u64,
    /// All that this process has spent.
    pub total: Money,
    /// What it wants to hold from now on, for calls under way and to come.
    pub want: Money,
}

/// The answer to a [`Step`], in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Of buckets.
    pub buckets: Vec<BucketReply>,
    /// Of accounts.
    pub accounts: Vec<AccountReply>,
}

/// How a bucket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketReply {
    /// What is left in it, in grains.
    pub level: i64,
    /// What was given, in grains.
    pub drawn: i64,
}

/// How an account stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountReply {
    /// What all have spent, by slot.
    pub spent: Vec<(i64, Money)>,
    /// What this process holds.
    pub held: Money,
    /// What others hold.
    pub others: Money,
    /// How much of this process's spending is in it.
    pub total: Money,
    /// The number of the last message that counted.
    pub seq: u64,
}

/// What is kept of one bucket or account: the state that [`InProcess`] and databases hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bucket: Option<Bucket>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    spent: BTreeMap<i64, Money>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    holders: BTreeMap<String, Holder>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    held: Money,
    total: Money,
    seq: u64,
    until: i64,
}

impl Kept {
    /// Does one bucket's part of a step.
    pub fn draw(&mut self, step: &BucketStep, now: i64) -> BucketReply {
        let bucket = self.bucket.get_or_insert_with(|| Bucket::full(step.shape, now));
        let level = bucket.level_at(step.shape, now);
        let there = level.saturating_sub(step.owe).max(0) / GRAINS * GRAINS;
        let drawn = step.draw.min(there);
        bucket.take(step.shape, now, step.owe.saturating_add(drawn));
        BucketReply { level: bucket.level_at(step.shape, now), drawn }
    }

    /// Does one account's part of a step.
    pub fn hold(&mut self, step: &AccountStep, holder: &str, lease_ms: i64, now: i64) -> AccountReply {
        self.spent.retain(|slot, _| *slot >= step.oldest);
        for (name, other) in &mut self.holders {
            if name != holder && other.until <= now {
                other.held = Money::ZERO;
            }
        }
        let others: Money = self.holders.iter().filter(|(name, _)| *name != holder).map(|(_, other)| other.held).sum();
        let me = self.holders.entry(holder.to_owned()).or_default();
        if step.seq > me.seq {
            let more = Money::from_atto(step.total.atto().saturating_sub(me.total.atto()).max(0));
            if more > Money::ZERO {
                let slot = self.spent.entry(step.slot).or_default();
                *slot = [*slot, more].into_iter().sum();
            }
            let spent: Money = self.spent.values().copied().sum();
            let room = step.limit.atto().saturating_sub(spent.atto()).saturating_sub(others.atto()).max(0);
            let held = Money::from_atto(step.want.atto().clamp(0, room));
            *me = Holder { held, total: step.total.max(me.total), seq: step.seq, until: now.saturating_add(lease_ms) };
        }
        AccountReply {
            held: if me.until > now { me.held } else { Money::ZERO },
            others,
            total: me.total,
            seq: me.seq,
            spent: self.spent.iter().map(|(slot, amount)| (*slot, *amount)).collect(),
        }
    }
}
