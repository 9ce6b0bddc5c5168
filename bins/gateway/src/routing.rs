//! `GET /api/routing`: how every target, every set of keys and the retry budget are doing. It stands beside the console's
//! API and is opened by the same keys.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tachograph_gateway::{KeyRing, Router as Routing};

use crate::quote::{holder, unauthenticated};

/// The route.
pub(crate) fn route(routing: Arc<Routing>, keys: Arc<KeyRing>) -> Router {
    Router::new().route("/api/routing", get(answer)).with_state((routing, keys))
}

async fn answer(State((routing, keys)): State<(Arc<Routing>, Arc<KeyRing>)>, headers: HeaderMap) -> Response {
    match holder(&keys, &headers) {
        Some(_) => Json(routing.status()).into_response(),
        None => unauthenticated(),
    }
}
