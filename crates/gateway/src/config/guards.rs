//! The `guards` branch.

use serde::{Deserialize, Serialize};

use super::Fault;

/// What looks at prompts before they are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardsConfig {
    /// OpenAI's moderation call.
    pub moderation: ModerationConfig,
    /// Prompt injections.
    pub injection: InjectionConfig,
    /// What becomes of a call whose guard could not say anything.
    pub on_error: OnGuardError,
}

/// OpenAI's moderation call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModerationConfig {
    /// For every call; else for those that ask (`Helicone-Moderations-Enabled`).
    pub enabled: bool,
    /// The model that is asked.
    pub model: String,
}

impl Default for ModerationConfig {
    fn default() -> Self {
        Self { enabled: false, model: "openai/omni-moderation-latest".to_owned() }
    }
}

/// Prompt injections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct InjectionConfig {
    /// For every call; else for those that ask (`Helicone-LLM-Security-Enabled`).
    pub enabled: bool,
    /// A model that judges prompts by a score or a word, beside the phrases that are built in: of every call where this is
    /// enabled, else of those that ask (`Helicone-LLM-Security-Advanced`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// What becomes of a call whose guard could not say anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnGuardError {
    /// It is served, and its row says so.
    #[default]
    Allow,
    /// It is refused (503).
    Deny,
}

pub(super) fn check(guards: &GuardsConfig, faults: &mut Vec<Fault>) {
    let mut fault = |path: &str| {
        faults.push(Fault { path: path.to_owned(), message: "an empty model name".to_owned() });
    };
    if guards.moderation.model.trim().is_empty() {
        fault("guards.moderation.model");
    }
    if guards.injection.model.as_ref().is_some_and(|model| model.trim().is_empty()) {
        fault("guards.injection.model");
    }
}
