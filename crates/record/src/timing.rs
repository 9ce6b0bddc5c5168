//! When things happened.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A moment in µs since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Now, by the wall clock.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// The moment so many µs after the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// µs since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }
}

/// The clocks of one call: µs since it was received, monotonic. A clock is absent where its moment never came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// When the call was received, by the wall clock.
    pub received_at: Timestamp,
    /// When the request was handed to the upstream connection of the first attempt.
    pub upstream_sent_us: Option<u64>,
    /// When the answer's first byte was handed to the client.
    pub first_byte_us: Option<u64>,
    /// When the first content-bearing event (text, tool call, reasoning) of a stream was handed to the client.
    pub first_token_us: Option<u64>,
    /// When the call was over, however it ended.
    pub end_us: u64,
}
