//! The `otel` branch: calls for others.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tachograph_telemetry::{Conventions, ExportOptions, WhenBehind};

use super::{Secret, Span};

/// Calls as spans and metrics of OpenTelemetry, sent on once they are stored.
#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtelConfig {
    /// A receiver of OTLP over HTTP, `http://…` or `https://…`; absent, nothing is sent. `/v1/traces` and `/v1/metrics` are
    /// added.
    pub endpoint: Option<String>,
    /// Headers of every export.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Secret>,
    /// In whose words: `1.36`, `1.41`, `genai-dev`, or `dual`, which is the latter two at once.
    pub conventions: Conventions,
    /// Whether with what was asked and answered, as far as it is kept.
    pub content: bool,
    /// Whether spans are sent.
    pub spans: bool,
    /// How often metrics are sent; `0s`: never.
    pub metrics: Span,
    /// Calls that may wait to be sent.
    pub queue: usize,
    /// What happens beyond: `drop_newest`, or `block` (rows wait, calls never).
    pub when_behind: WhenBehind,
    /// The name that the exports say they are from.
    pub service: String,
}

impl Default for OtelConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            headers: BTreeMap::new(),
            conventions: Conventions::default(),
            content: false,
            spans: true,
            metrics: Duration::from_secs(60).into(),
            queue: 10_000,
            when_behind: WhenBehind::default(),
            service: "tachograph".to_owned(),
        }
    }
}

impl OtelConfig {
    /// What is sent where, if anything is.
    #[must_use]
    pub fn options(&self) -> Option<ExportOptions> {
        let endpoint = self.endpoint.clone().filter(|endpoint| !endpoint.is_empty())?;
        let header = |(name, value): (&String, &Secret)| (name.clone(), value.expose().to_owned());
        Some(ExportOptions {
            endpoint,
            headers: self.headers.iter().map(header).collect(),
            conventions: self.conventions,
            content: self.content,
            spans: self.spans,
            metrics_every: Some(self.metrics.duration()).filter(|every| !every.is_zero()),
            queue: self.queue,
            when_behind: self.when_behind,
            service: self.service.clone(),
        })
    }
}
