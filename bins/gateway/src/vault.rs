//! `/v1/vault/…`: an organisation's own keys of providers, as Helicone's clients keep them. A key is never given out again:
//! where Helicone shows it there is its end alone.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tachograph_gateway::config::Secret;
use tachograph_gateway::{
    Endpoints, KeyChange, KeyRing, ProviderKey, Vault, VaultError, forget_provider_key, provider_keys,
};
use tachograph_record::OrgId;
use tachograph_store::Store;
use uuid::Uuid;

use crate::quote::{holder, unauthenticated};

/// What keeping keys needs.
#[derive(Clone)]
pub(crate) struct Keeping {
    pub(crate) vault: Arc<Vault>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) keys: Arc<KeyRing>,
}

/// The routes, opened by the keys that the console's API is opened by.
pub(crate) fn routes(keeping: Keeping) -> Router {
    Router::new()
        .route("/v1/vault/add", post(add))
        .route("/v1/vault/keys", get(list))
        .route("/v1/vault/key/{id}", get(one).delete(forget))
        .route("/v1/vault/update/{id}", patch(update))
        .with_state(keeping)
}

#[derive(Deserialize)]
struct Added {
    provider: String,
    key: Secret,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Updated {
    key: Option<Secret>,
    name: Option<String>,
    active: Option<bool>,
}

type Answer = Result<Response, Response>;

async fn add(
    State(keeping): State<Keeping>,
    headers: HeaderMap,
    body: Result<Json<Added>, axum::extract::rejection::JsonRejection>,
) -> Answer {
    let org = org(&keeping, &headers).ok_or_else(unauthenticated)?;
    let Ok(Json(added)) = body else {
        return Err(refused(
            StatusCode::BAD_REQUEST,
            "send {\"provider\": \"openai\", \"key\": \"…\", \"name\"?: \"…\"} as JSON",
        ));
    };
    let Some(endpoint) = keeping.endpoints.get(&added.provider.to_ascii_lowercase()) else {
        let message = format!("no provider is called {:?} here", added.provider);
        return Err(refused(StatusCode::BAD_REQUEST, &message));
    };
    if added.key.expose().trim().is_empty() {
        return Err(refused(StatusCode::BAD_REQUEST, "the key is empty"));
    }
    let kept = keeping.vault.add(&*keeping.store, org, endpoint.name(), &added.name, &added.key).await;
    let kept = kept.map_err(|error| failed(&error))?;
    Ok((StatusCode::CREATED, Json(json!({ "data": { "id": kept.id }, "error": null }))).into_response())
}

async fn list(State(keeping): State<Keeping>, headers: HeaderMap) -> Answer {
    let org = org(&keeping, &headers).ok_or_else(unauthenticated)?;
    let keys = provider_keys(&*keeping.store, org).await.map_err(|error| failed(&error.into()))?;
    Ok(ok(keys.iter().map(|key| shown(org, key)).collect()))
}

async fn one(State(keeping): State<Keeping>, headers: HeaderMap, Path(id): Path<Uuid>) -> Answer {
    let org = org(&keeping, &headers).ok_or_else(unauthenticated)?;
    let keys = provider_keys(&*keeping.store, org).await.map_err(|error| failed(&error.into()))?;
    keys.iter().find(|key| key.id == id).map(|key| ok(shown(org, key))).ok_or_else(none)
}

async fn update(
    State(keeping): State<Keeping>,
    headers: HeaderMap,
    Path(id): Path<Uuid>,
    body: Result<Json<Updated>, axum::extract::rejection::JsonRejection>,
) -> Answer {
    let org = org(&keeping, &headers).ok_or_else(unauthenticated)?;
    let Ok(Json(Updated { key, name, active })) = body else {
        return Err(refused(
            StatusCode::BAD_REQUEST,
            "send {\"key\"?: \"…\", \"name\"?: \"…\", \"active\"?: true} as JSON",
        ));
    };
    if key.as_ref().is_some_and(|key| key.expose().trim().is_empty()) {
        return Err(refused(StatusCode::BAD_REQUEST, "the key is empty"));
    }
    let changed = keeping.vault.change(&*keeping.store, org, id, &KeyChange { key, name, active }).await;
    if changed.map_err(|error| failed(&error))? { Ok(ok(Value::Null)) } else { Err(none()) }
}

async fn forget(State(keeping): State<Keeping>, headers: HeaderMap, Path(id): Path<Uuid>) -> Answer {
    let org = org(&keeping, &headers).ok_or_else(unauthenticated)?;
    let forgotten = forget_provider_key(&*keeping.store, org, id).await.map_err(|error| failed(&error.into()))?;
    if forgotten { Ok(ok(Value::Null)) } else { Err(none()) }
}

fn org(keeping: &Keeping, headers: &HeaderMap) -> Option<OrgId> {
    holder(&keeping.keys, headers).map(|holder| holder.org)
}

fn shown(org: OrgId, key: &ProviderKey) -> Value {
    json!({
        "id": key.id, "org_id": org.uuid(), "provider_name": key.provider, "provider_key_name": key.name,
        "provider_key": format!("…{}", key.hint), "soft_delete": !key.active,
    })
}

fn ok(data: Value) -> Response {
    Json(json!({ "data": data, "error": null })).into_response()
}

fn none() -> Response {
    refused(StatusCode::NOT_FOUND, "no key of this id is kept")
}

/// What went wrong inside stays in the log.
fn failed(error: &VaultError) -> Response {
    tracing::warn!(%error, "the vault did not do what it was asked");
    refused(StatusCode::INTERNAL_SERVER_ERROR, "the vault did not answer; the gateway's log says why")
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "data": null, "error": message }))).into_response()
}
