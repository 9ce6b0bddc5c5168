//! Helicone's REST API over our own rows, so that existing scripts work: the same paths, bodies, envelope and statuses.
//!
//! Answers are `{"data": …, "error": null}` or `{"data": null, "error": "…"}`. The tenant is that of the key.

mod explore;
mod figures;
mod filter;
mod keys;
mod metrics;
mod requests;
mod rows;
mod sql;
mod steps;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post, put};
use serde_json::{Value, json};
use tachograph_store::{BadQuery, StoreError};

use crate::access::{Access, refuse_foreign_writes, require_caller};
use crate::api::Desk;

/// An answer, or why there is none.
pub(super) type Answer = Result<Response, Failed>;

/// A refusal in Helicone's envelope.
#[derive(Debug)]
pub(crate) struct Failed(StatusCode, String);

impl Failed {
    pub(super) fn wrong(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, message.into())
    }
}

impl From<BadQuery> for Failed {
    fn from(bad: BadQuery) -> Self {
        Self::wrong(bad.to_string())
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "console: the store did not answer");
        Self(StatusCode::INTERNAL_SERVER_ERROR, "the store did not answer; the gateway's log says why".into())
    }
}

impl From<crate::api::Refusal> for Failed {
    fn from(refusal: crate::api::Refusal) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, format!("{refusal:?}"))
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "data": null, "error": self.1 }))).into_response()
    }
}

pub(super) fn ok(data: &Value) -> Response {
    Json(json!({ "data": data, "error": null })).into_response()
}

/// What was made or asked by POST: Helicone answers those with 201.
pub(super) fn created(data: &Value) -> Response {
    (StatusCode::CREATED, ok(data)).into_response()
}

/// All of it, below `/v1`.
pub(crate) fn routes(desk: Desk, access: &Access) -> Router {
    Router::new()
        .route("/request/query", post(requests::query))
        .route("/request/query-clickhouse", post(requests::query))
        .route("/request/count/query", post(requests::count))
        .route("/request/query-ids", post(requests::by_ids))
        .route("/request/{id}", get(requests::one))
        .route("/request/{id}/feedback", post(requests::feedback))
        .route("/request/{id}/property", put(requests::property))
        .route("/request/{id}/score", post(requests::score))
        .route("/request/{id}/inputs", get(requests::inputs))
        .route("/feedback", post(requests::plain_feedback))
        .route("/session/query", post(metrics::sessions))
        .route("/session/name/query", post(metrics::session_names))
        .route("/session/count", post(figures::session_count))
        .route("/session/metrics/query", post(figures::session_metrics))
        .route("/session/{id}/feedback", post(requests::session_feedback))
        .route("/session/{id}/tag", get(requests::session_tag).post(requests::set_session_tag))
        .route("/user/metrics/query", post(metrics::users))
        .route("/user/query", post(metrics::users_in))
        .route("/user/metrics-overview/query", post(figures::user_overview))
        .route("/property/query", post(explore::names))
        .route("/property/hide", post(explore::hide))
        .route("/property/hidden", get(explore::hidden_names))
        .route("/property/restore", post(explore::restore))
        .route("/property/properties/over-time", post(explore::over_time))
        .route("/property/{key}/search", post(explore::search))
        .route("/property/{key}/top-costs/query", post(explore::top_costs))
        .route("/property/{key}/top-requests/query", post(explore::top_requests))
        .route("/metrics/{which}", post(metrics::metric))
        .route("/helicone-sql/schema", get(sql::schema))
        .route("/helicone-sql/execute", post(sql::execute))
        .route("/helicone-sql/download", post(sql::download))
        .route("/helicone-sql/saved-queries", get(sql::saved))
        .route("/helicone-sql/saved-query", post(sql::save))
        .route("/helicone-sql/saved-query/{id}", get(sql::one_saved).put(sql::replace_saved).delete(sql::remove_saved))
        .route("/api-keys", get(keys::list).post(keys::create))
        .route("/api-keys/{id}", axum::routing::patch(keys::rename).delete(keys::revoke))
        .with_state(desk)
        .layer(middleware::from_fn_with_state(access.clone(), require_caller))
        .layer(middleware::from_fn(refuse_foreign_writes))
}
