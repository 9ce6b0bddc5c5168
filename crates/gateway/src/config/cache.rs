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
    /// Answers to questions of the same meaning; absent, there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semantic: Option<SemanticConfig>,
}

/// Answers to questions of the same meaning.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SemanticConfig {
    /// The model that embeds questions: `openai/text-embedding-3-small`.
    pub model: String,
    /// Whether they are served where a caller's headers say nothing of it.
    #[serde(default)]
    pub enabled: bool,
    /// How near two questions must be: the cosine of their embeddings' angle, up to 1.
    #[serde(default = "usual_threshold")]
    pub threshold: f32,
    /// How many questions are remembered, in memory.
    #[serde(default = "usual_entries")]
    pub max_entries: usize,
}

fn usual_threshold() -> f32 {
    0.95
}

fn usual_entries() -> usize {
    10_000
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            ttl: USUAL_TTL.into(),
            max_bytes: ByteSize::mebibytes(256),
            backend: Secret::from("memory"),
            semantic: None,
        }
    }
}

impl CacheConfig {
    /// What holds where a caller says nothing.
    #[must_use]
    pub fn usual(&self) -> Usual {
        let similar = self.semantic.as_ref().is_some_and(|semantic| semantic.enabled);
        Usual { enabled: self.enabled, ttl: self.ttl.duration(), similar }
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
    if let Some(semantic) = &cache.semantic {
        if semantic.model.trim().is_empty() {
            fault("semantic.model", "an empty model name");
        }
        if !(0.0..=1.0).contains(&semantic.threshold) {
            fault("semantic.threshold", "from 0, where everything is alike, to 1");
        }
    }
    if cache.ttl.duration().is_zero() {
        fault("ttl", "nothing would ever be served; the default is 7d");
    }
}
