//! What can go wrong with a store.

use std::fmt::Display;

use sqlx::error::DatabaseError;
use thiserror::Error;

/// What can go wrong with a store. No message holds a password or the values of a row.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The URL names no kind of store that is known here, or is malformed. The text says which, without the URL's secrets.
    #[error("store.url {0}; it is one of sqlite:, sqlite:<path>, postgres://<user>:<password>@<host>/<database>")]
    UnknownUrl(String),
    /// The store cannot be reached now, or has no room or time: nothing was changed, or it is not known whether it was;
    /// the same batch may be sent again.
    #[error("the store is unreachable: {0}")]
    Unreachable(String),
    /// The store refused or holds what cannot be read. Trying again will not help.
    #[error("the store failed: {0}")]
    Failed(String),
}

impl StoreError {
    /// A value that was read back and makes no sense.
    pub(crate) fn unreadable(what: &str, why: impl Display) -> Self {
        Self::Failed(format!("{what} cannot be read: {why}"))
    }

    /// Sorts what sqlx says by whether trying again can help; `passes` knows the codes of one database.
    pub(crate) fn sort(error: &sqlx::Error, passes: fn(&dyn DatabaseError) -> bool) -> Self {
        use sqlx::Error as E;
        let may_pass = match error {
            E::Io(_) | E::Tls(_) | E::Protocol(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed => true,
            E::BeginFailed => true,
            E::Database(said) => passes(said.as_ref()),
            _ => false,
        };
        if may_pass { Self::Unreachable(error.to_string()) } else { Self::Failed(error.to_string()) }
    }
}
