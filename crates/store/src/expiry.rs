//! What is too old to be kept.

use serde::Serialize;
use tachograph_record::Timestamp;

/// What is let go of: rows, with all that stands beside them, and bodies alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expiry {
    /// Rows of calls that were received before this.
    pub rows: Option<Timestamp>,
    /// Bodies of calls that were received before this.
    pub bodies: Option<Timestamp>,
}

/// What was let go of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Expired {
    /// Rows.
    pub rows: u64,
    /// Bodies by themselves; those of rows that went are not counted.
    pub bodies: u64,
    /// Parts that bodies of conversations were made of.
    pub chunks: u64,
}

impl Expired {
    /// Whether nothing was too old.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}
