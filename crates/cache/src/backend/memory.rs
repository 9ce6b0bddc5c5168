//! Answers in this process's memory, bounded by bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache;

use super::{Backend, Found};
use crate::{Answer, CacheKey};

/// Answers in memory. Where there are too many bytes, the least useful go first (TinyLFU).
pub struct Memory(Cache<CacheKey, Kept>);

#[derive(Clone)]
struct Kept {
    answer: Arc<Answer>,
    ttl: Duration,
}

struct ByItsOwn;

impl Expiry<CacheKey, Kept> for ByItsOwn {
    fn expire_after_create(&self, _key: &CacheKey, kept: &Kept, _now: Instant) -> Option<Duration> {
        Some(kept.ttl)
    }

    fn expire_after_update(
        &self,
        _key: &CacheKey,
        kept: &Kept,
        _now: Instant,
        _left: Option<Duration>,
    ) -> Option<Duration> {
        Some(kept.ttl)
    }
}

impl Memory {
    /// At most so many bytes, what it takes to hold them included.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        let weigh = |_: &CacheKey, kept: &Kept| u32::try_from(kept.answer.weight() + 256).unwrap_or(u32::MAX);
        Self(Cache::builder().max_capacity(max_bytes).weigher(weigh).expire_after(ByItsOwn).build())
    }

    /// Does now what is done now and then: puts out what is too much or out of date.
    pub fn settle(&self) {
        self.0.run_pending_tasks();
    }
}

impl Backend for Memory {
    fn get<'a>(&'a self, keys: &'a [CacheKey]) -> Found<'a> {
        let found = |key| self.0.get(key).map(|kept| kept.answer).filter(|answer| answer.is_good());
        Box::pin(std::future::ready(keys.iter().map(found).collect()))
    }

    fn put(&self, key: CacheKey, answer: Arc<Answer>, ttl: Duration) {
        self.0.insert(key, Kept { answer, ttl });
    }

    fn holds(&self) -> Option<(u64, u64)> {
        Some((self.0.entry_count(), self.0.weighted_size()))
    }
}
