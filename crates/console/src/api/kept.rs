//! Small things that people keep: saved queries and saved views.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde_json::{Value, json};
use tachograph_record::{RecordId, Timestamp};
use tachograph_store::Document;
use uuid::Uuid;

use super::{Desk, Refusal};
use crate::access::Caller;

/// What can be kept.
const KINDS: [&str; 2] = ["saved_query", "saved_view"];
/// How many of a kind, and how large one may be in bytes.
const MOST: usize = 1_000;
const LARGEST: usize = 64 << 10;

fn known(kind: &str) -> Result<&str, Refusal> {
    KINDS.contains(&kind).then_some(kind).ok_or_else(|| {
        Refusal::new(StatusCode::NOT_FOUND, "not_found", format!("what can be kept is one of {}", KINDS.join(", ")))
    })
}

fn small(body: &Value) -> Result<(), Refusal> {
    if !body.is_object() || body.to_string().len() > LARGEST {
        return Err(Refusal::bad_request("send a JSON object of at most 64 KiB"));
    }
    Ok(())
}

fn told(document: &Document) -> Value {
    json!({ "id": document.id, "made_at": document.at, "body": document.body })
}

/// `GET /api/kept/{kind}`.
pub(crate) async fn list(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(kind): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let documents = desk.store.documents(caller.org, known(&kind)?).await?;
    Ok(Json(json!({ "kept": documents.iter().map(told).collect::<Vec<_>>() })))
}

/// `POST /api/kept/{kind}`.
pub(crate) async fn put(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(kind): Path<String>,
    Json(body): Json<Value>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let kind = known(&kind)?;
    small(&body)?;
    if desk.store.documents(caller.org, kind).await?.len() >= MOST {
        return Err(Refusal::bad_request(format!("at most {MOST} are kept; remove some")));
    }
    let id = RecordId::generate().uuid();
    let document = Document { org: caller.org, kind: kind.to_owned(), id, at: Timestamp::now(), body };
    desk.store.put_document(&document).await?;
    Ok((StatusCode::CREATED, Json(told(&document))))
}

/// `PUT /api/kept/{kind}/{id}`.
pub(crate) async fn replace(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path((kind, id)): Path<(String, Uuid)>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Refusal> {
    let kind = known(&kind)?;
    small(&body)?;
    let held = desk.store.documents(caller.org, kind).await?.into_iter().find(|held| held.id == id);
    let Some(held) = held else { return Err(gone()) };
    let document = Document { body, ..held };
    desk.store.put_document(&document).await?;
    Ok(Json(told(&document)))
}

/// `DELETE /api/kept/{kind}/{id}`.
pub(crate) async fn remove(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path((kind, id)): Path<(String, Uuid)>,
) -> Result<StatusCode, Refusal> {
    let there = desk.store.remove_document(caller.org, known(&kind)?, id).await?;
    if there { Ok(StatusCode::NO_CONTENT) } else { Err(gone()) }
}

fn gone() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "unknown_document", "there is nothing of this id")
}
