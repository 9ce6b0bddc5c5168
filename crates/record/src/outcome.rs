//! How a call ended.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a call ended: exactly one of these, exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The client was handed the whole answer.
    Complete,
    /// The gateway itself said no: bad key, bad request, a limit.
    Refused,
    /// The provider answered with an error, in the status or inside a stream, or could not be reached.
    UpstreamFailed,
    /// The answer began but stopped before its end.
    CutShort,
    /// The client left before it had the whole answer.
    ClientGone,
    /// The gateway's process died while the call was under way.
    Interrupted,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 6] =
        [Self::Complete, Self::Refused, Self::UpstreamFailed, Self::CutShort, Self::ClientGone, Self::Interrupted];

    /// The outcome's stable name, in rows and as a metric's label.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Refused => "refused",
            Self::UpstreamFailed => "upstream_failed",
            Self::CutShort => "cut_short",
            Self::ClientGone => "client_gone",
            Self::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A text that names no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownOutcome;

impl fmt::Display for UnknownOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not one of complete, refused, upstream_failed, cut_short, client_gone, interrupted")
    }
}

impl std::error::Error for UnknownOutcome {}

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(code: &str) -> Result<Self, UnknownOutcome> {
        Self::ALL.into_iter().find(|outcome| outcome.code() == code).ok_or(UnknownOutcome)
    }
}
