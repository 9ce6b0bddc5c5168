//! `/api/limits/rules`: the rate limits and budgets that an organisation keeps in the store, beside the configuration's.
//! It stands beside the console's API and is opened by the same keys.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde_json::{Value, json};
use tachograph_gateway::{KEPT_LIMIT, KeptRule, KeyRing, Limits};
use tachograph_record::{OrgId, RecordId, Timestamp};
use tachograph_store::{Document, Store, StoreError};
use uuid::Uuid;

use crate::quote::{holder, refused, unauthenticated};

/// So many rules an organisation may keep: each call is compared with all of them.
const MOST: usize = 200;
/// A rule that another process kept or took away counts after at most this long.
const RELOAD: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Keeping {
    limits: Arc<Limits>,
    keys: Arc<KeyRing>,
    store: Arc<dyn Store>,
}

/// The routes.
pub(crate) fn route(limits: Arc<Limits>, keys: Arc<KeyRing>, store: Arc<dyn Store>) -> Router {
    Router::new()
        .route("/api/limits/rules", get(list).post(add))
        .route("/api/limits/rules/{id}", put(replace).delete(remove))
        .with_state(Keeping { limits, keys, store })
}

/// Reads kept rules anew again and again, for ever.
pub(crate) async fn reload(limits: Arc<Limits>, keys: Arc<KeyRing>, store: Arc<dyn Store>) {
    loop {
        tokio::time::sleep(RELOAD).await;
        match limits.reload(&*store, &keys.orgs()).await {
            Ok(true) => tracing::info!("kept limits changed; the new ones are in force"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "kept limits could not be read anew; those known stay in force"),
        }
    }
}

async fn list(State(keeping): State<Keeping>, headers: HeaderMap) -> Response {
    let Some(holder) = holder(&keeping.keys, &headers) else { return unauthenticated() };
    match keeping.store.documents(holder.org, KEPT_LIMIT).await {
        Ok(kept) => Json(json!({ "rules": kept.iter().map(told).collect::<Vec<_>>() })).into_response(),
        Err(error) => unavailable(&error),
    }
}

async fn add(State(keeping): State<Keeping>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let Some(holder) = holder(&keeping.keys, &headers) else { return unauthenticated() };
    match keeping.store.documents(holder.org, KEPT_LIMIT).await {
        Ok(kept) if kept.len() >= MOST => {
            return refused(StatusCode::BAD_REQUEST, "too_many", &format!("at most {MOST} are kept; remove some"));
        }
        Ok(_) => {}
        Err(error) => return unavailable(&error),
    }
    let (id, at) = (RecordId::generate().uuid(), Timestamp::now());
    keeping.keep(holder.org, id, at, &body, StatusCode::CREATED).await
}

async fn replace(
    State(keeping): State<Keeping>,
    headers: HeaderMap,
    Path(id): Path<Uuid>,
    Json(body): Json<Value>,
) -> Response {
    let Some(holder) = holder(&keeping.keys, &headers) else { return unauthenticated() };
    let kept = match keeping.store.documents(holder.org, KEPT_LIMIT).await {
        Ok(kept) => kept,
        Err(error) => return unavailable(&error),
    };
    match kept.into_iter().find(|document| document.id == id) {
        Some(held) => keeping.keep(holder.org, id, held.at, &body, StatusCode::OK).await,
        None => gone(),
    }
}

async fn remove(State(keeping): State<Keeping>, headers: HeaderMap, Path(id): Path<Uuid>) -> Response {
    let Some(holder) = holder(&keeping.keys, &headers) else { return unauthenticated() };
    match keeping.store.remove_document(holder.org, KEPT_LIMIT, id).await {
        Ok(true) => {
            keeping.in_force().await;
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(false) => gone(),
        Err(error) => unavailable(&error),
    }
}

impl Keeping {
    async fn keep(&self, org: OrgId, id: Uuid, at: Timestamp, body: &Value, done: StatusCode) -> Response {
        let read = KeptRule::read(body, org).and_then(|rule| serde_json::to_value(rule).map_err(|why| why.to_string()));
        let body = match read {
            Ok(body) => body,
            Err(why) => return refused(StatusCode::BAD_REQUEST, "invalid_rule", &why),
        };
        let document = Document { org, kind: KEPT_LIMIT.to_owned(), id, at, body };
        if let Err(error) = self.store.put_document(&document).await {
            return unavailable(&error);
        }
        self.in_force().await;
        (done, Json(told(&document))).into_response()
    }

    /// What was changed here counts here at once.
    async fn in_force(&self) {
        if let Err(error) = self.limits.reload(&*self.store, &self.keys.orgs()).await {
            tracing::warn!(%error, "a kept limit counts a little later: the store could not be read");
        }
    }
}

fn told(document: &Document) -> Value {
    json!({ "id": document.id, "made_at": document.at, "rule": document.body })
}

fn gone() -> Response {
    refused(StatusCode::NOT_FOUND, "unknown_rule", "there is no rule of this id")
}

fn unavailable(error: &StoreError) -> Response {
    tracing::warn!(%error, "kept limits could not be read or written");
    refused(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "the store does not answer; try again")
}
