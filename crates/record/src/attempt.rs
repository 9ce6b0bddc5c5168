//! One try at one target.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::RecordedError;

/// One try at serving a call: a target, its answer and its own clocks (µs since the call was received).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The provider's name.
    pub provider: Arc<str>,
    /// The model as the provider was asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// When the request was handed to the connection.
    pub sent_us: u64,
    /// When the answer's head was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_us: Option<u64>,
    /// The answer's HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why there was no answer, or what the answer said was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<RecordedError>,
}
