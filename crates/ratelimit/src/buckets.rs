//! The buckets of this process: all of them, or its part of those that are shared.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex, PoisonError};

use smallvec::SmallVec;

use crate::bucket::{Bucket, Shape};
use crate::policy::{GRAINS, Policy, Unit};

/// So many buckets are kept in one shard; beyond it the fullest go, which loses the least.
const MOST_PER_SHARD: usize = 4_096;
/// For how long what the shared limits told of a bucket that is only looked at is taken to hold, in ms.
const FRESH_MS: i64 = 250;

/// What a call wants of one bucket.
#[derive(Clone, Debug)]
pub(crate) struct BucketWant {
    pub(crate) key: Arc<str>,
    pub(crate) policy: Policy,
    pub(crate) shown: String,
    pub(crate) shape: Shape,
}

impl BucketWant {
    pub(crate) fn unit(&self) -> Unit {
        self.policy.unit()
    }
}

/// A bucket here.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) bucket: Bucket,
    /// Drawn from the shared bucket and not used yet, in grains.
    pub(crate) slice: i64,
    /// Used and not told to the shared bucket yet.
    pub(crate) owed: i64,
    /// What calls are just asking for.
    pub(crate) asking: i64,
    /// When the shared limits last told of it, in ms.
    pub(crate) learned_at: i64,
    pub(crate) used_at: i64,
    pub(crate) shape: Shape,
}

impl Held {
    fn new(shape: Shape, now: i64) -> Self {
        let bucket = Bucket::full(shape, now);
        Self { bucket, slice: 0, owed: 0, asking: 0, learned_at: i64::MIN, used_at: now, shape }
    }

    fn level(&self, shape: Shape, now: i64) -> i64 {
        self.bucket.level_at(shape, now).saturating_sub(self.owed).saturating_add(self.slice)
    }
}

/// What the buckets said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// All let the call through; what is left in each, in grains.
    Yes(SmallVec<[i64; 4]>),
    /// This one has not enough; what is left in each.
    No(usize, SmallVec<[i64; 4]>),
    /// These have to ask the shared limits first.
    Ask(SmallVec<[usize; 4]>),
}

/// How sure the buckets of this process have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// They are all there is.
    Own,
    /// They are part of shared ones, which can be asked.
    Ask,
    /// The shared ones were just asked.
    Asked,
}

type Shard = Mutex<HashMap<Arc<str>, Held>>;

pub(crate) struct Buckets {
    shards: Box<[Shard]>,
    hasher: BuildHasherDefault<DefaultHasher>,
}

impl Buckets {
    pub(crate) fn new(shards: usize) -> Self {
        let shards = (0..shards.max(1)).map(|_| Mutex::default()).collect();
        Self { shards, hasher: BuildHasherDefault::default() }
    }

    fn shard_of(&self, key: &str) -> usize {
        usize::try_from(self.hasher.hash_one(key) >> 32).unwrap_or(0) % self.shards.len()
    }

    /// Takes one call from every bucket of calls, if none of them all is empty; else from none.
    pub(crate) fn take(&self, wants: &[BucketWant], trust: Trust, now: i64) -> Said {
        let places: SmallVec<[usize; 4]> = wants.iter().map(|want| self.shard_of(&want.key)).collect();
        let mut order = places.clone();
        order.sort_unstable();
        order.dedup();
        let mut locked: SmallVec<[_; 4]> =
            order.iter().map(|&place| self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)).collect();
        let (mut levels, mut ask, mut empty) = (SmallVec::new(), SmallVec::new(), None);
        for (at, want) in wants.iter().enumerate() {
            let Some(shard) = order.iter().position(|place| *place == places[at]) else { continue };
            let held = entry(&mut locked[shard], want, now);
            let level = held.level(want.shape, now);
            let counts_calls = want.unit() == Unit::Request;
            let is_there = match trust {
                Trust::Own if counts_calls => level >= GRAINS,
                Trust::Own => level > 0,
                _ if counts_calls => held.slice >= GRAINS,
                _ => level > 0,
            };
            let is_stale = trust == Trust::Ask
                && if counts_calls { !is_there } else { now.saturating_sub(held.learned_at) > FRESH_MS };
            if is_stale {
                ask.push(at);
            } else if !is_there && empty.is_none() {
                empty = Some(at);
            }
            levels.push(level);
        }
        if !ask.is_empty() {
            return Said::Ask(ask);
        }
        if let Some(at) = empty {
            return Said::No(at, levels);
        }
        for (at, want) in wants.iter().enumerate().filter(|(_, want)| want.unit() == Unit::Request) {
            let Some(shard) = order.iter().position(|place| *place == places[at]) else { continue };
            if let Some(held) = locked[shard].get_mut(&want.key) {
                if trust == Trust::Own {
                    held.bucket.take(want.shape, now, GRAINS);
                } else {
                    held.slice -= GRAINS;
                }
                levels[at] -= GRAINS;
            }
        }
        Said::Yes(levels)
    }

    /// Uses an amount after the fact, which may leave a debt; negative, gives back what was taken.
    pub(crate) fn use_up(&self, want: &BucketWant, is_shared: bool, amount: i64, now: i64) {
        self.with(want, now, |held| match (is_shared, amount < 0) {
            (false, _) => held.bucket.take(want.shape, now, amount),
            (true, true) => held.slice = held.slice.saturating_sub(amount),
            (true, false) => held.owed = held.owed.saturating_add(amount),
        });
    }

    /// What is left, in grains.
    pub(crate) fn level(&self, want: &BucketWant, now: i64) -> i64 {
        let shard = self.shards[self.shard_of(&want.key)].lock().unwrap_or_else(PoisonError::into_inner);
        shard.get(&want.key).map_or(want.shape.capacity, |held| held.level(want.shape, now))
    }

    pub(crate) fn with<T>(&self, want: &BucketWant, now: i64, work: impl FnOnce(&mut Held) -> T) -> T {
        let mut shard = self.shards[self.shard_of(&want.key)].lock().unwrap_or_else(PoisonError::into_inner);
        work(entry(&mut shard, want, now))
    }

    /// Works on one bucket, if it is there.
    pub(crate) fn if_there(&self, key: &str, work: impl FnOnce(&mut Held)) {
        let mut shard = self.shards[self.shard_of(key)].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = shard.get_mut(key) {
            work(held);
        }
    }

    /// Looks at every bucket, one shard at a time, and keeps those for which `keep` says so.
    pub(crate) fn sweep(&self, mut keep: impl FnMut(&Arc<str>, &mut Held) -> bool) {
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, held| keep(key, held));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

fn entry<'a>(shard: &'a mut HashMap<Arc<str>, Held>, want: &BucketWant, now: i64) -> &'a mut Held {
    if shard.len() >= MOST_PER_SHARD && !shard.contains_key(&want.key) {
        make_room(shard, now);
    }
    let held = match shard.entry(want.key.clone()) {
        Entry::Occupied(there) => there.into_mut(),
        Entry::Vacant(free) => free.insert(Held::new(want.shape, now)),
    };
    (held.used_at, held.shape) = (now, want.shape);
    held
}

/// Drops buckets that are full again, which are the same as new ones; where that is not enough, the least used up eighth.
fn make_room(shard: &mut HashMap<Arc<str>, Held>, now: i64) {
    shard.retain(|_, held| held.owed > 0 || held.asking > 0 || !held.bucket.is_full(now));
    if shard.len() < MOST_PER_SHARD {
        return;
    }
    let part = |held: &Held| held.level(held.shape, now).saturating_mul(1_000) / held.shape.capacity.max(1);
    let mut parts: Vec<i64> = shard.values().map(part).collect();
    parts.sort_unstable();
    let cut = parts[parts.len() - MOST_PER_SHARD / 8];
    shard.retain(|_, held| held.owed > 0 || held.asking > 0 || part(held) < cut);
}
