//! `/api`: what the pages show, for everybody with a key.

mod conversation;
mod query;
mod refusal;
mod requests;
mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use axum::{Router, middleware};
use serde_json::Value;
use tachograph_store::Store;

pub(crate) use query::Question;
pub(crate) use refusal::Refusal;
pub(crate) use view::{Summary, cursor};

use crate::access::{Access, require_caller};
use crate::live::{self, Live};
use crate::{Closing, Health};

const OPENAPI: &str = include_str!("openapi.json");

/// All of `/api`. Only health is open to everybody: what watches it has no key.
pub(crate) fn routes(store: Arc<dyn Store>, access: &Access, health: Health, closing: Closing) -> Router {
    let rows = Router::new()
        .route("/requests", get(requests::list))
        .route("/requests/{id}", get(requests::one))
        .route("/totals", get(requests::totals))
        .with_state(store.clone());
    let live = Router::new().route("/live", get(live::listen)).with_state(Live::new(store, closing));
    let described = Router::new().route("/openapi.json", get(openapi));
    rows.merge(live)
        .merge(described)
        .layer(middleware::from_fn_with_state(access.clone(), require_caller))
        .merge(Router::new().route("/health", get(facts)).with_state(health))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn facts(State(health): State<Health>) -> Json<Value> {
    Json(health())
}

/// The answer to a path that is nobody's.
pub(crate) async fn not_found() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is nothing here; the console is at /, its API at /api/openapi.json",
    )
}

async fn method_not_allowed() -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this address answers GET alone")
}
