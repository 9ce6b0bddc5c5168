//! Who may look: API keys, one-time login links, and the sessions that either of them opens.

mod cookie;
mod gate;
mod login;
mod login_tokens;
mod origin;
mod secrets;
mod sessions;

use std::sync::Arc;

use axum::routing::{get, post};
use axum::{Router, middleware};
use tachograph_record::{KeyId, OrgId};

pub(crate) use gate::require_caller;
pub use login_tokens::LoginTokens;
pub(crate) use origin::refuse_foreign_writes;
pub use secrets::NoRandomness;
use sessions::Sessions;

/// The program's knowledge of its API keys. Both questions are asked at each request: answer from memory.
pub trait KeyCheck: Send + Sync + 'static {
    /// Whose key this is, where it is one of ours and not revoked.
    fn verify(&self, key: &str) -> Option<(OrgId, KeyId)>;

    /// Whether the key still holds, so that revoking it ends the sessions it opened.
    fn is_active(&self, key: KeyId) -> bool;
}

/// Who is looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The organisation whose rows may be seen.
    pub(crate) org: OrgId,
    /// The key that opened the door; none where a login link did.
    pub(crate) key: Option<KeyId>,
}

/// Everything that decides who may look.
#[derive(Clone)]
pub(crate) struct Access {
    keys: Arc<dyn KeyCheck>,
    tokens: LoginTokens,
    sessions: Arc<Sessions>,
}

impl Access {
    pub(crate) fn new(keys: Arc<dyn KeyCheck>, tokens: LoginTokens) -> Self {
        Self { keys, tokens, sessions: Arc::default() }
    }
}

/// `/login` and `/logout`.
pub(crate) fn routes(access: &Access) -> Router {
    Router::new()
        .route("/login", get(login::page).post(login::with_key))
        .route("/logout", post(login::logout))
        .layer(middleware::from_fn(origin::refuse_foreign_writes))
        .with_state(access.clone())
}
