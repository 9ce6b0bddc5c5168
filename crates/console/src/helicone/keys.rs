//! API keys, in Helicone's form.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde_json::{Value, json};
use tachograph_record::{KeyId, Timestamp};
use tachograph_store::KeyRow;

use super::rows::moment;
use super::{Answer, Failed, created, ok};
use crate::access::Caller;
use crate::api::Desk;

const LONGEST_NAME: usize = 200;

fn told(key: &KeyRow) -> Value {
    json!({
        "id": key.id, "api_key_name": key.name, "api_key_hash": key.hint,
        "created_at": moment(key.created_at.micros()), "organization_id": key.org,
        "key_permissions": "rw", "soft_delete": key.revoked_at.is_some(),
    })
}

fn name(body: &Value) -> Result<&str, Failed> {
    let name = body["api_key_name"].as_str().unwrap_or_default().trim();
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(Failed::wrong(format!("`api_key_name` has 1 to {LONGEST_NAME} bytes")));
    }
    Ok(name)
}

/// The caller's own key of this id that is valid.
async fn own(desk: &Desk, caller: Caller, id: &str) -> Result<KeyRow, Failed> {
    let unknown = || Failed(StatusCode::NOT_FOUND, "there is no valid key of this id".into());
    let id: KeyId = id.parse().map_err(|_| unknown())?;
    let keys = desk.store.keys().await?;
    keys.into_iter().find(|key| key.id == id && key.org == caller.org && key.revoked_at.is_none()).ok_or_else(unknown)
}

/// `GET /v1/api-keys`: names and hints, never keys.
pub(crate) async fn list(State(desk): State<Desk>, Extension(caller): Extension<Caller>) -> Answer {
    let keys = desk.store.keys().await?;
    let own = keys.iter().filter(|key| key.org == caller.org && key.revoked_at.is_none());
    Ok(ok(&json!(own.map(told).collect::<Vec<_>>())))
}

/// `POST /v1/api-keys {api_key_name, key_permissions}`: the key itself is told this once. Keys that may only write are not
/// made: every key here reads and writes.
pub(crate) async fn create(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Answer {
    if let Some(other) = body["key_permissions"].as_str().filter(|permissions| *permissions != "rw") {
        return Err(Failed::wrong(format!("keys here read and write: `key_permissions` is `rw`, not `{other}`")));
    }
    let name = name(&body)?;
    let settings =
        desk.settings.as_ref().ok_or_else(|| Failed::wrong("keys are not made here; see `gateway keys create`"))?;
    let failed = || Failed(StatusCode::INTERNAL_SERVER_ERROR, "no key could be made; the log says why".into());
    let (key, row) = (settings.new_key)(name).ok_or_else(failed)?;
    let row = KeyRow { org: caller.org, ..row };
    desk.store.insert_key(&row).await?;
    let mut told = told(&row);
    told["apiKey"] = json!(key);
    told["hashedKey"] = told["api_key_hash"].clone();
    Ok(created(&told))
}

/// `PATCH /v1/api-keys/{id} {api_key_name}`.
pub(crate) async fn rename(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    let name = name(&body)?.to_owned();
    let key = own(&desk, caller, &id).await?;
    desk.store.rename_key(key.id, &name).await?;
    Ok(ok(&told(&KeyRow { name, ..key })))
}

/// `DELETE /v1/api-keys/{id}`: it is refused from now on.
pub(crate) async fn revoke(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Answer {
    let key = own(&desk, caller, &id).await?;
    if caller.key == Some(key.id) {
        return Err(Failed(
            StatusCode::CONFLICT,
            "this is the key that you ask with; revoke it with another one".into(),
        ));
    }
    desk.store.revoke_key(key.id, Timestamp::now()).await?;
    Ok(ok(&Value::Null))
}
