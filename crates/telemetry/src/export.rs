//! How calls are told to others.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A generation of OpenTelemetry's GenAI conventions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Conventions {
    /// 1.36.0: `gen_ai.system`; what was said stands in events.
    #[serde(rename = "1.36")]
    V1_36,
    /// 1.41.0: `gen_ai.provider.name`; what was said stands in attributes.
    #[serde(rename = "1.41")]
    V1_41,
    /// The GenAI conventions after they moved: `cache_write`, one counter for each kind of token.
    #[serde(rename = "genai-dev")]
    GenAiDev,
    /// Spans in the words of both 1.41.0 and after, which add to each other; metrics in those of 1.41.0.
    #[default]
    #[serde(rename = "dual")]
    Dual,
}

/// What happens when a receiver is behind and the queue before it is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenBehind {
    /// The newest calls are not exported, and counted. Rows do not wait.
    #[default]
    DropNewest,
    /// Rows wait, in the spool, until the receiver takes more; calls do not.
    Block,
}

/// Where calls are exported to, and how.
#[derive(Clone)]
pub struct ExportOptions {
    /// The receiver: `/v1/traces` and `/v1/metrics` are added, as with `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: String,
    /// Headers of every export; they may hold keys.
    pub headers: Vec<(String, String)>,
    /// In whose words.
    pub conventions: Conventions,
    /// Whether with what was asked and answered.
    pub content: bool,
    /// Whether spans are sent.
    pub spans: bool,
    /// How often metrics are sent, if they are.
    pub metrics_every: Option<Duration>,
    /// Calls that may wait to be sent.
    pub queue: usize,
    /// And what happens beyond.
    pub when_behind: WhenBehind,
    /// `service.name` of the exports.
    pub service: String,
}

impl ExportOptions {
    /// Spans and metrics to this receiver, without content.
    #[must_use]
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            headers: Vec::new(),
            conventions: Conventions::default(),
            content: false,
            spans: true,
            metrics_every: Some(Duration::from_secs(60)),
            queue: 10_000,
            when_behind: WhenBehind::default(),
            service: "tachograph".to_owned(),
        }
    }
}
