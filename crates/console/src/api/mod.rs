//! `/api`: what the pages show, for everybody with a key.

mod beside;
mod conversation;
mod export;
mod kept;
mod lists;
mod moved;
mod question;
mod refusal;
mod requests;
mod sessions;
mod settings;
mod sql;
mod sums;
mod text;
mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use axum::{Router, middleware};
use serde_json::Value;
use tachograph_store::Store;

pub(crate) use question::Question;
pub(crate) use refusal::Refusal;
pub(crate) use sql::{sql_as_csv, with_bodies};
pub(crate) use text::resolve;
pub(crate) use view::{BodyView, Summary, cursor};

use crate::access::{Access, refuse_foreign_writes, require_caller};
use crate::live::{self, Live};
use crate::{ConsoleOptions, Health, LimitsOf, PriceOf, Settings};

const OPENAPI: &str = include_str!("openapi.json");

/// What handlers are given.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) price_of: Option<PriceOf>,
    pub(crate) limits: Option<LimitsOf>,
    pub(crate) routing: Option<Health>,
    pub(crate) settings: Option<Settings>,
}

impl Desk {
    pub(crate) fn of(options: &ConsoleOptions) -> Self {
        let ConsoleOptions { store, price_of, limits, routing, settings, .. } = options.clone();
        Self { store, price_of, limits, routing, settings }
    }
}

/// All of `/api`. Only health is open to everybody: what watches it has no key.
pub(crate) fn routes(options: &ConsoleOptions, desk: Desk, access: &Access) -> Router {
    let ConsoleOptions { store, health, closing, .. } = options;
    let data = Router::new()
        .route("/requests", get(requests::list).post(requests::list))
        .route("/requests/{id}", get(requests::one))
        .route("/requests/{id}/marks", get(beside::of_request).post(beside::mark_request))
        .route("/requests/{id}/marks/{kind}/{name}", axum::routing::delete(beside::unmark_request))
        .route("/totals", get(sums::totals).post(sums::totals))
        .route("/series", get(sums::series).post(sums::series))
        .route("/breakdown", get(sums::breakdown).post(sums::breakdown))
        .route("/facets", get(sums::facets).post(sums::facets))
        .route("/histogram", get(sums::histogram).post(sums::histogram))
        .route("/fields", get(sums::known_fields))
        .route("/sessions", get(sessions::list).post(sessions::list))
        .route("/sessions/{id}", get(sessions::one))
        .route("/sessions/{id}/marks", get(beside::of_session).post(beside::mark_session))
        .route("/sessions/{id}/marks/{kind}/{name}", axum::routing::delete(beside::unmark_session))
        .route("/users", get(lists::users))
        .route("/prompts", get(lists::prompts))
        .route("/models", get(lists::models))
        .route("/properties", get(lists::properties))
        .route("/cache", get(lists::cache))
        .route("/limits", get(lists::limits))
        .route("/routing", get(lists::routing))
        .route("/sql", axum::routing::post(sql::run))
        .route("/sql/schema", get(sql::schema))
        .route("/why", get(moved::why))
        .route("/forecast", get(moved::forecast))
        .route("/repricings", get(lists::repricings))
        .route("/export", get(export::rows))
        .route("/keys", get(settings::keys).post(settings::make_key))
        .route("/keys/{id}", axum::routing::delete(settings::revoke_key))
        .route("/settings", get(settings::shown))
        .route("/kept/{kind}", get(kept::list).post(kept::put))
        .route("/kept/{kind}/{id}", axum::routing::put(kept::replace).delete(kept::remove))
        .with_state(desk);
    let live = Router::new().route("/live", get(live::listen)).with_state(Live::new(store.clone(), closing.clone()));
    let described = Router::new().route("/openapi.json", get(openapi));
    data.merge(live)
        .merge(described)
        .layer(middleware::from_fn_with_state(access.clone(), require_caller))
        .merge(Router::new().route("/health", get(facts)).with_state(health.clone()))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(refuse_foreign_writes))
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
    let message = "this address does not answer that method; /api/openapi.json says which it does";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
