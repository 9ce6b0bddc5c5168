//! Where answers are kept.

mod memory;
#[cfg(feature = "redis")]
mod redis;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use memory::Memory;
#[cfg(feature = "redis")]
pub use redis::{BadUrl, Redis, Writer};

use crate::{Answer, CacheKey};

/// What a backend found, in the order of the keys that it was asked for.
pub type Found<'a> = Pin<Box<dyn Future<Output = Vec<Option<Arc<Answer>>>> + Send + 'a>>;

/// Keeps answers. Whatever is wrong with it is a miss: it fails no request and holds none up.
pub trait Backend: Send + Sync + 'static {
    /// Looks for answers. One that is out of date is none.
    fn get<'a>(&'a self, keys: &'a [CacheKey]) -> Found<'a>;

    /// Keeps an answer, at once or soon. Nobody waits for it, and if it cannot be kept it is not.
    fn put(&self, key: CacheKey, answer: Arc<Answer>, ttl: Duration);

    /// How many answers it knows of itself to hold, and how many bytes they take, where it can tell.
    fn holds(&self) -> Option<(u64, u64)> {
        None
    }
}
