//! What the page of settings shows and does: keys, and the configuration in force.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde::Deserialize;
use serde_json::{Value, json};
use tachograph_record::{KeyId, OrgId, Timestamp};
use tachograph_store::KeyRow;

use super::{Desk, Refusal};
use crate::access::Caller;

/// Bytes of a key's name at most.
const LONGEST_NAME: usize = 200;

/// What a new key is called.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    name: String,
}

fn told(row: &KeyRow, caller: Caller) -> Value {
    json!({
        "id": row.id, "name": row.name, "hint": row.hint, "made_at": row.created_at, "revoked_at": row.revoked_at,
        "is_yours": caller.key == Some(row.id),
    })
}

/// `GET /api/keys`: names and hints; the keys themselves are not known any more.
pub(crate) async fn keys(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Refusal> {
    let rows = desk.store.keys().await?;
    let own = rows.iter().filter(|row| row.org == caller.org).map(|row| told(row, caller));
    Ok(Json(json!({ "keys": own.collect::<Vec<_>>(), "can_make": desk.settings.is_some() })))
}

/// `POST /api/keys`: makes one and tells it, this once.
pub(crate) async fn make_key(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(Named { name }): Json<Named>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let name = name.trim();
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(Refusal::bad_request(format!("`name` has 1 to {LONGEST_NAME} bytes")));
    }
    let settings = desk.settings.as_ref().ok_or_else(|| absent("keys are not made here; see `gateway keys create`"))?;
    let (key, row) = (settings.new_key)(name).ok_or_else(Refusal::failed)?;
    let row = KeyRow { org: caller.org, ..row };
    desk.store.insert_key(&row).await?;
    let mut told = told(&row, caller);
    told["key"] = json!(key);
    Ok((StatusCode::CREATED, Json(told)))
}

/// `DELETE /api/keys/{id}`: refuses it from now on.
pub(crate) async fn revoke_key(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let unknown = || Refusal::new(StatusCode::NOT_FOUND, "unknown_key", "there is no valid key of this id");
    let id: KeyId = id.parse().map_err(|_| unknown())?;
    if caller.key == Some(id) {
        let message = "this is the key that you ask with; revoke it with another one";
        return Err(Refusal::new(StatusCode::CONFLICT, "own_key", message));
    }
    let is_own = desk.store.keys().await?.iter().any(|row| row.id == id && row.org == caller.org);
    if is_own && desk.store.revoke_key(id, Timestamp::now()).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(unknown())
}

/// `GET /api/settings`: the configuration in force, its secrets hidden. It is the gateway's, so only its own organisation
/// sees it.
pub(crate) async fn shown(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Refusal> {
    if caller.org != OrgId::HOME {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "not_yours", "the gateway's settings are its operator's"));
    }
    let settings = desk.settings.as_ref().ok_or_else(|| absent("settings are not told here"))?;
    Ok(Json((settings.shown)()))
}

fn absent(message: &'static str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "not_found", message)
}
