//! The `cache` branch.

use serde::{Deserialize, Serialize};
use tachograph_cache::{USUAL_TTL, Usual};

use super::{ByteSize, Fault, Secret, Span};

/// Answers that are kept.
#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Whether answers are kept and served where a caller's headers say nothing.
    pub enabled: bool,
    /// For how long, where a caller's headers say nothing.
    pub ttl: Span,
    /// How much of them is held in memory.
    pub max_bytes: ByteSize,
    /// Where they are kept: `memory` or `redis://…`; it may hold a password.
    pub backend: Secret,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            ttl: USUAL_TTL.into(),
            max_bytes: ByteSize::mebibytes(256),
            backend: Secret::from("memory"),
        }
    }
}

impl CacheConfig {
    /// What holds where a caller says nothing.
    #[must_use]
    pub fn usual(&self) -> Usual {
        Usual { enabled: self.enabled, ttl: self.ttl.duration() }
    }
}

pub(super) fn check(cache: &CacheConfig, faults: &mut Vec<Fault>) {
    let mut fault = |path: &str, message: &str| {
        faults.push(Fault { path: format!("cache.{path}"), message: message.to_owned() });
    };
    let scheme = cache.backend.expose().split(':').next().unwrap_or_default();
    if !matches!(scheme, "memory" | "redis" | "rediss") {
        fault("backend", "not memory or redis://…");
    }
    if cache.ttl.duration().is_zero() {
        fault("ttl", "nothing would ever be served; the default is 7d");
    }
}
