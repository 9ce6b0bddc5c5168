//! Rows, and one row in full.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;
use tachograph_record::RecordId;

use super::question::Asked;
use super::text::resolve;
use super::view::{Detail, Summary};
use super::{Desk, Refusal};
use crate::access::Caller;

/// `GET|POST /api/requests`.
pub(crate) async fn list(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Asked(question): Asked,
) -> Result<Response, Refusal> {
    let mut search = question.search(caller.org)?;
    let (filter, searched) = resolve(&*desk.store, caller.org, search.filter).await?;
    search.filter = filter;
    let page = desk.store.search(&search).await?;
    let ids: Vec<RecordId> = page.rows.iter().map(|row| row.id).collect();
    let marks = desk.store.marks(caller.org, &ids).await?;
    let rows: Vec<_> = page.rows.iter().map(|row| Summary::of(row, marks.get(&row.id))).collect();
    let next = page.next.map(|cursor| cursor.to_string());
    let mut told = json!({ "rows": rows, "next": next });
    if let Some(searched) = searched {
        told["searched"] = json!(searched);
    }
    Ok(Json(told).into_response())
}

/// `GET /api/requests/{id}`.
pub(crate) async fn one(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let id = read_id(&id)?;
    let Some(record) = desk.store.fetch(caller.org, id).await? else {
        let message = "there is no such request, or it is older than rows are kept";
        return Err(Refusal::new(StatusCode::NOT_FOUND, "unknown_request", message));
    };
    let marks = desk.store.marks(caller.org, &[id]).await?.remove(&id);
    let former = desk.store.former_costs(caller.org, id).await?;
    // Bodies may be many megabytes: reading them must not hold up the calls that share these threads.
    let told =
        tokio::task::spawn_blocking(move || Json(Detail::of(&record, marks.as_ref(), &former)).into_response()).await;
    told.map_err(|error| {
        tracing::error!(%error, %id, "console: a request cannot be shown");
        Refusal::failed()
    })
}

pub(super) fn read_id(id: &str) -> Result<RecordId, Refusal> {
    id.parse().map_err(|_| Refusal::bad_request("the id of a request is a UUID"))
}
