//! Guards before every call: moderation, prompt injections, and whoever else was given to the gateway.

mod layer;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tachograph_guard::{Classifier, Guard, Injection, Moderation};
use tachograph_providers::chat::{Block, Role};
use tachograph_providers::{Api, dialect};

pub(crate) use layer::GuardLayer;

use crate::call::Call;
use crate::config::{GuardsConfig, OnGuardError};

/// What a caller asks of guards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Guarding {
    pub(crate) moderation: bool,
    pub(crate) injection: bool,
    /// The classifying model too.
    pub(crate) advanced: bool,
}

/// The guards of a gateway.
#[derive(Clone)]
pub struct Guards {
    own: Arc<ArcSwap<Own>>,
    /// Those of whoever built the gateway; they look at every call.
    others: Arc<[Arc<dyn Guard>]>,
}

/// What the configuration says of the guards that are built in.
struct Own {
    always: Guarding,
    moderation: Moderation,
    classifier: Option<Classifier>,
    injection: Injection,
    on_error: OnGuardError,
}

impl Own {
    fn of(config: &GuardsConfig) -> Self {
        Self {
            always: Guarding {
                moderation: config.moderation.enabled,
                injection: config.injection.enabled,
                advanced: config.injection.enabled && config.injection.model.is_some(),
            },
            moderation: Moderation::new(&*config.moderation.model),
            classifier: config.injection.model.as_deref().map(Classifier::new),
            injection: Injection,
            on_error: config.on_error,
        }
    }
}

impl Guards {
    /// The guards that a configuration describes.
    #[must_use]
    pub fn of(config: &GuardsConfig) -> Self {
        Self { own: Arc::new(ArcSwap::from_pointee(Own::of(config))), others: Arc::new([]) }
    }

    /// And these, which look at every call.
    #[must_use]
    pub fn and(mut self, others: impl IntoIterator<Item = Arc<dyn Guard>>) -> Self {
        self.others = self.others.iter().cloned().chain(others).collect();
        self
    }

    /// Puts in force what a configuration says.
    pub fn configure(&self, config: &GuardsConfig) {
        self.own.store(Arc::new(Own::of(config)));
    }
}

/// The text of the last message in each body that may be sent for a call, where it is the user's; nothing where there is
/// none, or it is not understood.
fn last_words(call: &Call) -> Vec<String> {
    let Some(api) = call.api else { return Vec::new() };
    let bodies = call.candidates.iter().map(|candidate| call.body_for(candidate));
    let mut texts: Vec<String> = bodies.filter_map(|body| said_last(api, body)).collect();
    texts.dedup();
    texts
}

fn said_last(api: &Api, body: &[u8]) -> Option<String> {
    if let Some(id) = api.dialect() {
        let request = dialect(id).decode_request(body).ok()?;
        let last = request.messages.last().filter(|message| message.role == Role::User)?;
        let words: Vec<&str> = last
            .content
            .blocks
            .iter()
            .filter_map(|block| match block {
                Block::Text(text) => Some(text.text.as_str()),
                _ => None,
            })
            .collect();
        let text = words.join("\n");
        return (!text.trim().is_empty()).then_some(text);
    }
    // Completions and images have a prompt of one text.
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let is_asked = api.name().ends_with("completions") || api.name().contains("images");
    body.get("prompt").filter(|_| is_asked)?.as_str().map(str::to_owned)
}
