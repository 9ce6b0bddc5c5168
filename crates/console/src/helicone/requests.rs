//! Requests, and what is put on them.

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tachograph_record::{RecordId, Timestamp};
use tachograph_store::query::MICRO;
use tachograph_store::{Fact, Field, Filter, Mark, MarkKind, Marked, Order, Predicate, Search};
use uuid::Uuid;

use super::rows::told;
use super::{Answer, Failed, created, filter, ok};
use crate::access::Caller;
use crate::api::{Desk, resolve};

/// Rows that lie this far ahead of the clock are not told, in µs.
const AHEAD: i64 = 5 * 60 * 1_000_000;

fn narrowed(body: &Value, caller: Caller) -> Result<Filter, Failed> {
    let mut only = filter::read(&body["filter"], caller.org)?;
    if let Some(cached) = body["isCached"].as_bool() {
        let leaf = json!({ "request_response_rmt": { "cached": { "equals": cached } } });
        only = only.and(filter::read(&leaf, caller.org)?);
    }
    let until = Timestamp::from_micros(Timestamp::now().micros().saturating_add(AHEAD));
    Ok(Filter { from: None, until: Some(until), only })
}

/// Names of orders and what they are here.
const ORDERS: [(&str, Fact); 9] = [
    ("created_at", Fact::Time),
    ("latency", Fact::Latency),
    ("time_to_first_token", Fact::FirstToken),
    ("total_tokens", Fact::TotalTokens),
    ("completion_tokens", Fact::OutputTokens),
    ("prompt_tokens", Fact::InputTokens),
    ("user_id", Fact::User),
    ("body_model", Fact::Model),
    ("cost", Fact::Cost),
];

fn order(body: &Value) -> Result<Option<Order>, Failed> {
    let Some((name, direction)) = body["sort"].as_object().and_then(|sort| sort.iter().next()) else { return Ok(None) };
    if let ("properties" | "values", Some((key, direction))) =
        (name.as_str(), direction.as_object().and_then(|keys| keys.iter().next()))
    {
        let is_name = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        return match is_name {
            true => Ok(Some(Order { by: Field::Property(key.clone()), descending: direction != "asc" })),
            false => Err(Failed::wrong("a property that is sorted by has letters, digits and _ alone")),
        };
    }
    let known = ORDERS.iter().find(|(known, _)| known == name).map(|&(_, fact)| fact);
    match (known, name.as_str()) {
        (Some(Fact::Time), _) if direction != "asc" => Ok(None),
        (Some(fact), _) => Ok(Some(Order { by: fact.into(), descending: direction != "asc" })),
        (None, "is_cached" | "request_prompt" | "response_text" | "random") => Ok(None),
        (None, _) => Err(Failed::wrong(format!("`{name}` is no order"))),
    }
}

/// `POST /v1/request/query` and `/v1/request/query-clickhouse`.
pub(crate) async fn query(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Answer {
    let number = |name: &str, most: u64, default: u64| match &body[name] {
        Value::Null => Ok(default),
        value => value
            .as_u64()
            .filter(|number| *number <= most)
            .ok_or_else(|| Failed::wrong(format!("`{name}` is a whole number up to {most}"))),
    };
    let (offset, limit) = (number("offset", 10_000, 0)?, number("limit", 1_000, 10)?);
    let (filter, _) = resolve(&*desk.store, caller.org, narrowed(&body, caller)?).await?;
    let mut search = Search::new(caller.org, filter);
    search.order = order(&body)?;
    search.limit = u32::try_from(limit.max(1)).unwrap_or(1_000);
    search.skip = u32::try_from(offset).unwrap_or(0);
    let rows = if limit == 0 { Vec::new() } else { desk.store.search(&search).await?.rows };
    let ids: Vec<RecordId> = rows.iter().map(|row| row.id).collect();
    let marks = desk.store.marks(caller.org, &ids).await?;
    let none = tachograph_store::Marks::default();
    let data: Vec<Value> = rows.iter().map(|row| told(row, marks.get(&row.id).unwrap_or(&none), None)).collect();
    Ok(created(&json!(data)))
}

/// `POST /v1/request/count/query`.
pub(crate) async fn count(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Answer {
    let (filter, _) = resolve(&*desk.store, caller.org, narrowed(&body, caller)?).await?;
    Ok(created(&json!(desk.store.totals(caller.org, &filter).await?.requests)))
}

/// `POST /v1/request/query-ids`.
pub(crate) async fn by_ids(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Answer {
    let ids = body["requestIds"].as_array().ok_or_else(|| Failed::wrong("`requestIds` is a list of UUIDs"))?;
    if ids.len() > 1_000 {
        return Err(Failed::wrong("at most 1000 ids at a time"));
    }
    let condition = Predicate::condition(Fact::Id.into(), "in", &Value::Array(ids.clone()))?;
    let rows = desk.store.search(&Search::new(caller.org, condition.into())).await?.rows;
    let none = tachograph_store::Marks::default();
    let data: Vec<Value> = rows.iter().map(|row| told(row, &none, None)).collect();
    Ok(created(&json!(data)))
}

#[derive(Deserialize)]
pub(crate) struct WithBody {
    #[serde(rename = "includeBody", default)]
    include_body: Option<String>,
}

fn read_id(id: &str) -> Result<RecordId, Failed> {
    id.parse::<Uuid>().map(Into::into).map_err(|_| Failed::wrong("the id of a request is a UUID"))
}

/// `GET /v1/request/{id}`.
pub(crate) async fn one(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(with): Query<WithBody>,
) -> Answer {
    let id = read_id(&id)?;
    let record = desk.store.fetch(caller.org, id).await?;
    let Some(record) = record else { return Err(Failed(StatusCode::NOT_FOUND, "Request not found".into())) };
    let marks = desk.store.marks(caller.org, &[id]).await?.remove(&id).unwrap_or_default();
    let wanted = with.include_body.as_deref() == Some("true");
    let bodies = wanted.then_some((&record.request[..], &record.response[..]));
    Ok(ok(&told(&record.row, &marks, bodies)))
}

async fn put(desk: &Desk, caller: Caller, marks: Vec<Mark>) -> Answer {
    if marks.iter().any(|mark| mark.name.is_empty() || mark.name.len() > Mark::LONGEST_NAME) {
        return Err(Failed::wrong(format!("a name has 1 to {} bytes", Mark::LONGEST_NAME)));
    }
    desk.store.put_marks(caller.org, &marks).await?;
    Ok(created(&Value::Null))
}

fn mark(on: Marked, kind: MarkKind, name: impl Into<String>, caller: Caller) -> Mark {
    Mark { on, kind, name: name.into(), text: None, micro: None, at: Timestamp::now(), key: caller.key }
}

fn rated(on: Marked, body: &Value, caller: Caller) -> Result<Vec<Mark>, Failed> {
    let rating = body["rating"].as_bool().ok_or_else(|| Failed::wrong("`rating` is true or false"))?;
    let micro = Some(i64::from(rating) * MICRO);
    Ok(vec![Mark { micro, ..mark(on, MarkKind::Score, Mark::FEEDBACK, caller) }])
}

/// `POST /v1/request/{id}/feedback`.
pub(crate) async fn feedback(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    put(&desk, caller, rated(Marked::Request(read_id(&id)?), &body, caller)?).await
}

/// `POST /v1/feedback`, of the old clients.
pub(crate) async fn plain_feedback(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Answer {
    let id = read_id(body["helicone-id"].as_str().unwrap_or_default())?;
    put(&desk, caller, rated(Marked::Request(id), &body, caller)?).await
}

/// `PUT /v1/request/{id}/property`.
pub(crate) async fn property(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    let (Some(key), Some(value)) = (body["key"].as_str(), body["value"].as_str()) else {
        return Err(Failed::wrong("`key` and `value` are texts"));
    };
    let on = Marked::Request(read_id(&id)?);
    let text = Some(value.to_owned());
    put(&desk, caller, vec![Mark { text, ..mark(on, MarkKind::Property, key, caller) }]).await
}

/// `POST /v1/request/{id}/score`: whole numbers, true and false.
pub(crate) async fn score(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    let on = Marked::Request(read_id(&id)?);
    let empty = Map::new();
    let scores = body["scores"].as_object().unwrap_or(&empty);
    if scores.is_empty() {
        return Err(Failed::wrong("`scores` holds names with whole numbers, true or false"));
    }
    let one = |(name, value): (&String, &Value)| {
        let whole = value.as_bool().map(i64::from).or_else(|| value.as_i64());
        let micro = whole.and_then(|whole| whole.checked_mul(MICRO));
        let micro = micro.ok_or_else(|| Failed::wrong(format!("`{name}` is no whole number, true or false")))?;
        Ok(Mark { micro: Some(micro), ..mark(on.clone(), MarkKind::Score, name.as_str(), caller) })
    };
    let marks: Result<Vec<Mark>, Failed> = scores.iter().map(one).collect();
    put(&desk, caller, marks?).await
}

/// `POST /v1/session/{id}/feedback`.
pub(crate) async fn session_feedback(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    put(&desk, caller, rated(Marked::Session(id), &body, caller)?).await
}

/// `GET /v1/session/{id}/tag`.
pub(crate) async fn session_tag(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Answer {
    let marks = desk.store.session_marks(caller.org, &id).await?;
    Ok(ok(&json!(marks.tags.first())))
}

/// `POST /v1/session/{id}/tag`: a session has one tag in Helicone, so it takes the place of those before.
pub(crate) async fn set_session_tag(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    let tag = body["tag"].as_str().ok_or_else(|| Failed::wrong("`tag` is a text"))?;
    let on = Marked::Session(id.clone());
    for old in desk.store.session_marks(caller.org, &id).await?.tags {
        desk.store.remove_mark(caller.org, &on, MarkKind::Tag, &old).await?;
    }
    put(&desk, caller, vec![mark(on, MarkKind::Tag, tag, caller)]).await
}

/// `GET /v1/request/{id}/inputs`: what a prompt was filled with, as the request says.
pub(crate) async fn inputs(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Answer {
    let record = desk.store.fetch(caller.org, read_id(&id)?).await?;
    let Some(record) = record else { return Err(Failed(StatusCode::NOT_FOUND, "Request not found".into())) };
    let asked: Value = serde_json::from_slice(&record.request).unwrap_or_default();
    let prompt = record.row.attribution.prompt.as_ref();
    let id = asked["prompt_id"].as_str().or(prompt.map(|prompt| prompt.id.as_str()));
    let version = asked["version_id"].as_str().or(prompt.and_then(|prompt| prompt.version.as_deref()));
    let Some(id) = id else { return Ok(ok(&Value::Null)) };
    let inputs = if asked["inputs"].is_object() { asked["inputs"].clone() } else { json!({}) };
    Ok(ok(&json!({ "inputs": inputs, "prompt_id": id, "version_id": version, "environment": asked["environment"] })))
}
