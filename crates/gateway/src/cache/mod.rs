//! Answers that are kept, and calls that several requests share.
//!
//! An answer is kept when the record of its call is closed as complete, by the one who answers for the call; so a stream
//! that was cut, or told of an error, never is.

mod layer;
mod meaning;
mod plan;
mod tap;

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use http::HeaderMap;
use tachograph_cache::backend::{BadUrl, Memory, Redis, Writer};
use tachograph_cache::{Cache, Usual, Wish};
use tachograph_reply::ApiError;

pub(crate) use layer::CacheLayer;

use crate::answer::AnswerBody;
use crate::config::CacheConfig;
use meaning::Semantic;

/// Answers that are kept, and what holds for callers who say nothing.
#[derive(Clone)]
pub struct AnswerCache {
    cache: Cache<AnswerBody>,
    usual: Arc<ArcSwap<Usual>>,
    semantic: Arc<ArcSwapOption<Semantic>>,
}

impl AnswerCache {
    /// The cache that a configuration describes. Where it is in Redis, answers are kept while the [`Writer`] runs.
    ///
    /// # Errors
    /// Where the backend's URL is none.
    pub fn of(config: &CacheConfig) -> Result<(Self, Option<Writer>), BadUrl> {
        let url = config.backend.expose();
        let (cache, writer) = if url == "memory" {
            let bytes = u64::try_from(config.max_bytes.bytes()).unwrap_or(u64::MAX);
            (Cache::new(Arc::new(Memory::new(bytes))), None)
        } else {
            let (redis, writer) = Redis::new(url)?;
            (Cache::new(Arc::new(redis)), Some(writer))
        };
        let semantic = config.semantic.as_ref().map(Semantic::of);
        let semantic = Arc::new(ArcSwapOption::from_pointee(semantic));
        Ok((Self { cache, usual: Arc::new(ArcSwap::from_pointee(config.usual())), semantic }, writer))
    }

    /// Puts in force what a configuration says of callers who say nothing. Where answers are kept, and how many, stays.
    pub fn set_usual(&self, config: &CacheConfig) {
        let before = self.semantic.load_full();
        let semantic = config.semantic.as_ref().map(|config| match &before {
            Some(before) => before.with(config),
            None => Semantic::of(config),
        });
        self.semantic.store(semantic.map(Arc::new));
        self.usual.store(Arc::new(config.usual()));
    }

    /// What a caller wants.
    pub(crate) fn wish(&self, headers: &HeaderMap) -> Result<Wish, ApiError> {
        Wish::of(headers, **self.usual.load())
    }
}
