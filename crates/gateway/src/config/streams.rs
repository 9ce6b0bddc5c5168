//! The `streams` branch.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ByteSize, Span};

/// Streams to clients.
#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamsConfig {
    /// A client of an event stream that is silent for so long gets a comment, which keeps middleboxes from cutting it; `0s`:
    /// never.
    pub keep_alive: Span,
    /// What becomes of an answer whose client has left; a call's `Tachograph-On-Disconnect` says otherwise.
    pub on_disconnect: OnDisconnect,
    /// How long an answer is read on at most.
    pub drain_for: Span,
    /// How many bytes of an answer are read on at most.
    pub drain_bytes: ByteSize,
}

/// What becomes of an answer whose client has left before its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDisconnect {
    /// The provider's connection is closed at once. Where it has not told what was used, that is estimated, and says so.
    #[default]
    Cancel,
    /// The answer is read on to its end, within bounds, so that its usage and cost are the provider's own.
    Drain,
}

impl OnDisconnect {
    /// By its name in configurations and headers.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name.trim() {
            name if name.eq_ignore_ascii_case("cancel") => Some(Self::Cancel),
            name if name.eq_ignore_ascii_case("drain") => Some(Self::Drain),
            _ => None,
        }
    }
}

impl Default for StreamsConfig {
    fn default() -> Self {
        Self {
            keep_alive: Duration::from_secs(15).into(),
            on_disconnect: OnDisconnect::Cancel,
            drain_for: Duration::from_secs(60).into(),
            drain_bytes: ByteSize::mebibytes(8),
        }
    }
}

impl StreamsConfig {
    /// How often a silent stream gets a comment, if it does.
    #[must_use]
    pub fn keep_alive(&self) -> Option<Duration> {
        Some(self.keep_alive.duration()).filter(|every| !every.is_zero())
    }
}
