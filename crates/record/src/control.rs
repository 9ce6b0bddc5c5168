//! What the gateway itself decided about a call: cache, limits, and what was changed on the way.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Money, RecordId, UnknownCode};

/// What the gateway decided about a call on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Control {
    /// What the cache said; absent where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheVerdict>,
    /// What each limit and budget that applied said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitVerdict>,
    /// What a careful reader should know of how the call was served: what a translation dropped, what a policy changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The record that counts what this one tells too: usage and cost of one call are counted once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted_by: Option<RecordId>,
    /// The record that this one is a part of, where it was told apart from it: a call's messages apart from its span. On a
    /// row it says that the two were never put together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_of: Option<RecordId>,
    /// Bodies of this call are not kept, by sampling or a policy: not those either that are told apart from it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bodies_withheld: bool,
    /// What was taken out of the record before it was written: rules, and how often each found something.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub redacted: Vec<(String, u32)>,
}

impl Control {
    /// Whether nothing was decided.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counted_by.is_none()
            && self.part_of.is_none()
            && !self.bodies_withheld
            && self.cache.is_none()
            && self.limits.is_empty()
            && self.notes.is_empty()
            && self.redacted.is_empty()
    }
}

/// What the cache said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheVerdict {
    /// Whether it served.
    pub status: CacheStatus,
    /// The call whose answer was served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<RecordId>,
    /// What that answer had cost, which is what this call saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<Money>,
    /// How long that answer had taken, in µs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_us: Option<u64>,
    /// Which of several stored answers was served, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<u32>,
}

/// Whether the cache served a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheStatus {
    /// From a stored answer.
    Hit,
    /// It had none.
    Miss,
    /// From the answer to an identical call that was under way.
    Joined,
    /// From the stored answer to a call of the same meaning.
    Semantic,
}

impl CacheStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hit, Self::Miss, Self::Joined, Self::Semantic];

    /// Its stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Joined => "joined",
            Self::Semantic => "semantic",
        }
    }

    /// Whether the call was served without a provider.
    #[must_use]
    pub const fn served(self) -> bool {
        !matches!(self, Self::Miss)
    }
}

impl fmt::Display for CacheStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for CacheStatus {
    type Err = UnknownCode;

    fn from_str(code: &str) -> Result<Self, UnknownCode> {
        Self::ALL.into_iter().find(|status| status.code() == code).ok_or(UnknownCode("hit, miss, joined, semantic"))
    }
}

/// What one limit or budget said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitVerdict {
    /// The limit: a policy's canonical text, or a budget's name.
    pub limit: String,
    /// Whose share it was: `user:alice`, `property:team:search`, `organisation`.
    pub scope: String,
    /// What it said: `allowed`, `denied`, `warned`, `downgraded`, `unavailable`.
    pub verdict: String,
    /// What was left then, in the limit's own unit, as a decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<String>,
}
