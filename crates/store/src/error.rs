//! What can go wrong with a store.

use thiserror::Error;

/// What can go wrong with a store.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The URL names no kind of store that is known here.
    #[error("store.url {0:?} is none of sqlite:, sqlite:<path>, postgres://…")]
    UnknownUrl(String),
    /// The store cannot be reached now; the same batch may be sent again.
    #[error("the store is unreachable: {0}")]
    Unreachable(String),
    /// The store refused or holds what cannot be read.
    #[error("the store failed: {0}")]
    Failed(String),
}
