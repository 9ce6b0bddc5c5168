//! Rows and their sums.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;
use tachograph_record::RecordId;
use tachograph_store::{Store, Totals};

use super::view::{Detail, Summary};
use super::{Question, Refusal};
use crate::access::Caller;

/// `GET /api/requests`.
pub(crate) async fn list(
    State(store): State<Arc<dyn Store>>,
    Extension(caller): Extension<Caller>,
    question: Question,
) -> Result<Response, Refusal> {
    let page = store.search(&question.search(caller.org)).await?;
    let rows: Vec<_> = page.rows.iter().map(Summary::of).collect();
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(Json(json!({ "rows": rows, "next": next })).into_response())
}

/// `GET /api/requests/{id}`.
pub(crate) async fn one(
    State(store): State<Arc<dyn Store>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let id: RecordId = id.parse().map_err(|_| Refusal::bad_request("the id of a request is a UUID"))?;
    let Some(record) = store.fetch(caller.org, id).await? else {
        let message = "there is no such request, or it is older than rows are kept";
        return Err(Refusal::new(StatusCode::NOT_FOUND, "unknown_request", message));
    };
    // Bodies may be many megabytes: reading them must not hold up the calls that share these threads.
    let told = tokio::task::spawn_blocking(move || Json(Detail::of(&record)).into_response()).await;
    told.map_err(|error| {
        tracing::error!(%error, %id, "console: a request cannot be shown");
        Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "unreadable",
            "this request cannot be shown; the gateway's log says why",
        )
    })
}

/// `GET /api/totals`.
pub(crate) async fn totals(
    State(store): State<Arc<dyn Store>>,
    Extension(caller): Extension<Caller>,
    question: Question,
) -> Result<Json<Totals>, Refusal> {
    let filter = question.filter_only()?;
    Ok(Json(store.totals(caller.org, &filter).await?))
}
