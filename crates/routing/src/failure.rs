//! What kind of failure it was, whose fault, and what to do then.

use std::time::Duration;

use serde::Serialize;

/// The kinds of failure that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Too many calls or tokens for now (429).
    RateLimited,
    /// Nothing left to spend at the provider (402, `insufficient_quota`).
    QuotaSpent,
    /// The key is not taken, or may not do this (401, 403).
    BadKey,
    /// The provider says that it has too much to do (503, 529), also as the first event of a stream.
    Overloaded,
    /// The provider failed (500), also as the first event of a stream.
    ServerError,
    /// Something in between failed; the request may have been taken (502, 504).
    InBetween,
    /// No connection came about: the request was not sent.
    Unreachable,
    /// The request was sent, and no answer began in time or the connection ended.
    NoAnswer,
    /// The provider does not have this model or path (404).
    NoSuchModel,
    /// The prompt is too long for the model.
    ContextWindow,
    /// The provider's filter refused the prompt.
    ContentPolicy,
    /// This target cannot express what was asked.
    CannotSay,
    /// The request itself is wrong (400, 413, 422).
    BadRequest,
    /// The caller's own credentials were refused.
    CallersKey,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The target's: it counts against its circuit breaker.
    Target,
    /// The key's: it is benched, and its provider is as good as before.
    Key,
    /// The request's or the caller's: nobody is benched.
    Request,
}

/// One failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its kind.
    pub class: Class,
    /// When the target says that asking again makes sense.
    pub retry_after: Option<Duration>,
    /// Whether the target can be asked at once with another key.
    pub another_key: bool,
    /// Whether others are to be asked then, where the caller itself has said so: its word counts more than the kind's, and
    /// the last failure is the one it is told.
    pub moves_on: Option<bool>,
}

impl Failure {
    /// A failure of this kind that says nothing more.
    #[must_use]
    pub const fn of(class: Class) -> Self {
        Self { class, retry_after: None, another_key: false, moves_on: None }
    }
}

impl Class {
    /// Whose fault it is.
    #[must_use]
    pub const fn blame(self) -> Blame {
        match self {
            Self::RateLimited | Self::QuotaSpent | Self::BadKey => Blame::Key,
            Self::Overloaded | Self::ServerError | Self::InBetween | Self::Unreachable | Self::NoAnswer => {
                Blame::Target
            }
            Self::NoSuchModel
            | Self::ContextWindow
            | Self::ContentPolicy
            | Self::CannotSay
            | Self::BadRequest
            | Self::CallersKey => Blame::Request,
        }
    }

    /// Whether another target may do better. A request that is wrong is wrong everywhere.
    #[must_use]
    pub const fn moves_on(self) -> bool {
        !matches!(self, Self::BadRequest | Self::CallersKey | Self::ContextWindow | Self::ContentPolicy)
    }

    /// Whether the same target may do better a little later. Where the provider may have taken the request already, it
    /// would be served, and paid for, twice: that is for `idempotent` requests alone.
    #[must_use]
    pub const fn repeats(self, idempotent: bool) -> bool {
        match self {
            Self::RateLimited | Self::Overloaded | Self::ServerError | Self::Unreachable => true,
            Self::InBetween | Self::NoAnswer => idempotent,
            _ => false,
        }
    }

    /// How much a caller learns from it when everything failed: the highest is told.
    pub(crate) const fn tells(self) -> u8 {
        match self {
            Self::BadRequest | Self::CallersKey | Self::ContextWindow | Self::ContentPolicy => 6,
            Self::ServerError => 5,
            Self::Overloaded | Self::RateLimited => 4,
            Self::InBetween | Self::NoAnswer | Self::Unreachable => 3,
            Self::NoSuchModel | Self::CannotSay => 2,
            Self::QuotaSpent | Self::BadKey => 1,
        }
    }
}
