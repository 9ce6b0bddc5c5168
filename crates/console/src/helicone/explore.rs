//! Properties, one at a time: their values, what each costs, and which are hidden.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Json;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tachograph_record::Timestamp;
use tachograph_store::{Breakdown, Document, Field, Filter, Group, Measure, Predicate};
use uuid::Uuid;

use super::metrics::{at, filtered, number, usd};
use super::steps::{Step, series};
use super::{Answer, Failed, created, ok};
use crate::access::Caller;
use crate::api::Desk;

/// Documents that name what is hidden.
const HIDDEN: &str = "hidden_property";
const LONGEST: usize = 200;

fn field(name: &str) -> Field {
    Field::Property(name.to_owned())
}

async fn hidden(desk: &Desk, caller: Caller) -> Result<Vec<String>, Failed> {
    let documents = desk.store.documents(caller.org, HIDDEN).await?;
    Ok(documents.iter().filter_map(|document| document.body["key"].as_str().map(str::to_owned)).collect())
}

/// `POST /v1/property/query`: names of properties that are not hidden.
pub(crate) async fn names(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(_): Json<Value>,
) -> Answer {
    let hidden = hidden(&desk, caller).await?;
    let names = desk.store.property_names(caller.org, &Filter::default(), 1_000).await?;
    let shown = names.iter().filter(|(name, _)| !hidden.contains(name));
    Ok(ok(&json!(shown.map(|(name, _)| json!({ "property": name })).collect::<Vec<_>>())))
}

/// `GET /v1/property/hidden`.
pub(crate) async fn hidden_names(State(desk): State<Desk>, Extension(caller): Extension<Caller>) -> Answer {
    let names = hidden(&desk, caller).await?;
    Ok(ok(&json!(names.iter().map(|name| json!({ "property": name })).collect::<Vec<_>>())))
}

/// The document that hides a name: one for each.
fn document(caller: Caller, body: &Value) -> Result<Document, Failed> {
    let key = body["key"].as_str().filter(|key| !key.is_empty() && key.len() <= LONGEST);
    let key = key.ok_or_else(|| Failed::wrong(format!("`key` is the name of a property, of 1 to {LONGEST} bytes")))?;
    let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    Ok(Document {
        org: caller.org,
        kind: HIDDEN.to_owned(),
        id: uuid::Builder::from_custom_bytes(id).into_uuid(),
        at: Timestamp::now(),
        body: json!({ "key": key }),
    })
}

/// `POST /v1/property/hide {key}`.
pub(crate) async fn hide(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Answer {
    desk.store.put_document(&document(caller, &body)?).await?;
    Ok(created(&Value::Null))
}

/// `POST /v1/property/restore {key}`.
pub(crate) async fn restore(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Answer {
    let id: Uuid = document(caller, &body)?.id;
    desk.store.remove_document(caller.org, HIDDEN, id).await?;
    Ok(created(&Value::Null))
}

async fn values(
    desk: &Desk,
    caller: Caller,
    name: &str,
    filter: Filter,
    order: Measure,
    limit: u32,
) -> Result<Vec<Group>, Failed> {
    let present = Predicate::present(field(name));
    let asked = Breakdown { by: vec![field(name)], order, limit, ..Breakdown::whole(caller.org, filter.and(present)) };
    Ok(desk.store.groups(&asked).await?.groups)
}

/// `POST /v1/property/{key}/search {searchTerm}`: values that hold a text.
pub(crate) async fn search(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    let mut filter = filtered(&desk, caller, &body).await?;
    if let Some(term) = body["searchTerm"].as_str().filter(|term| !term.is_empty()) {
        filter = filter.and(Predicate::condition(field(&name), "contains", &json!(term))?);
    }
    let groups =
        values(&desk, caller, &name, filter, Measure::Requests, number(&body, "limit", 100, 1_000).max(1)).await?;
    Ok(ok(&json!(groups.iter().filter_map(|group| group.keys[0].clone()).collect::<Vec<_>>())))
}

/// `POST /v1/property/{key}/top-costs/query`.
pub(crate) async fn top_costs(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    let filter = filtered(&desk, caller, &body).await?;
    let groups = values(&desk, caller, &name, filter, Measure::Cost, number(&body, "limit", 10, 1_000).max(1)).await?;
    let told = |group: &Group| json!({ "value": group.keys[0], "cost": usd(group.totals.cost) });
    Ok(ok(&json!(groups.iter().map(told).collect::<Vec<_>>())))
}

/// `POST /v1/property/{key}/top-requests/query`.
pub(crate) async fn top_requests(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    let filter = filtered(&desk, caller, &body).await?;
    let groups =
        values(&desk, caller, &name, filter, Measure::Requests, number(&body, "limit", 10, 1_000).max(1)).await?;
    let told = |group: &Group| json!({ "value": group.keys[0], "count": group.totals.requests });
    Ok(ok(&json!(groups.iter().map(told).collect::<Vec<_>>())))
}

/// `POST /v1/property/properties/over-time {key, …}`: requests and costs of a property's values.
pub(crate) async fn over_time(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Answer {
    let name = body["key"].as_str().or_else(|| body["propertyKey"].as_str()).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Failed::wrong("`key` is the name of a property"))?;
    let present = Predicate::present(field(name));
    let filter = filtered(&desk, caller, &body).await?.and(present);
    let asked = Breakdown { by: vec![field(name)], ..Breakdown::whole(caller.org, filter) };
    let groups = series(&desk, asked, Step::read(&body)?).await?;
    let told = |group: &Group| {
        json!({
            "time": at(group.at), "property": group.keys[0], "count": group.totals.requests, "cost": usd(group.totals.cost),
        })
    };
    Ok(created(&json!(groups.iter().map(told).collect::<Vec<_>>())))
}
