//! One try at one target.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Money, RecordedError, Usage};

/// One try at serving a call: a target, its answer and its own clocks (µs since the call was received).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
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
    /// When its first content-bearing event was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_us: Option<u64>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_us: Option<u64>,
    /// Which of the provider's configured keys it used, counted from 0; absent, the caller's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<u32>,
    /// The answer's HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What it used, where it did not serve in the end but was charged for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What that cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// Why there was no answer, or what the answer said was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<RecordedError>,
}
