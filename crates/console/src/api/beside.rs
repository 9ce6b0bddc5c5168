//! Scores, tags, notes and properties that are put on requests and sessions later.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tachograph_record::{RecordId, Timestamp};
use tachograph_store::query::{read_decimal, write_decimal};
use tachograph_store::{Mark, MarkKind, Marked, Marks};

use super::requests::read_id;
use super::{Desk, Refusal};
use crate::access::Caller;

/// Bytes of a note or a property at most.
const LONGEST_TEXT: usize = 64 << 10;
/// Bytes of a session's id at most, where something is put on it.
const LONGEST_SESSION: usize = 1_000;

/// What is to be put there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMark {
    kind: String,
    /// A score's or a property's name, a tag's word; a note that is to be written anew names the old one's id.
    name: Option<String>,
    /// A note's or a property's text.
    text: Option<String>,
    /// A score: a number, true or false.
    value: Option<Value>,
}

/// A score as it is told.
pub(crate) fn score(micro: i64) -> Value {
    write_decimal(micro).parse().map_or(Value::Null, Value::Number)
}

/// Reads a score: a number with up to six digits behind the point, true or false.
fn read_score(value: &Value) -> Result<i64, Refusal> {
    let bad = || Refusal::bad_request("a score is a number with up to six digits behind the point, true or false");
    match value {
        Value::Bool(flag) => Ok(i64::from(*flag) * tachograph_store::query::MICRO),
        Value::Number(number) => read_decimal(&number.to_string()).map_err(|_| bad()),
        Value::String(text) => read_decimal(text).map_err(|_| bad()),
        _ => Err(bad()),
    }
}

impl NewMark {
    fn on(self, on: Marked, caller: Caller) -> Result<Mark, Refusal> {
        let bad = |message: &'static str| Refusal::bad_request(message);
        let kind: MarkKind = self.kind.parse().map_err(|why| Refusal::bad_request(format!("`kind` is {why}")))?;
        if let Marked::Session(id) = &on
            && id.len() > LONGEST_SESSION
        {
            return Err(bad("the session's id is too long to put anything on it"));
        }
        let name = match (kind, self.name) {
            (MarkKind::Note, None) => RecordId::generate().to_string(),
            (_, Some(name)) if !name.is_empty() && name.len() <= Mark::LONGEST_NAME => name,
            _ => return Err(Refusal::bad_request(format!("`name` has 1 to {} bytes", Mark::LONGEST_NAME))),
        };
        let text = self.text.filter(|_| matches!(kind, MarkKind::Note | MarkKind::Property));
        if text.as_ref().is_some_and(|text| text.len() > LONGEST_TEXT) {
            return Err(bad("`text` is longer than 64 KiB"));
        }
        if matches!(kind, MarkKind::Note | MarkKind::Property) && text.is_none() {
            return Err(bad("a note or a property has a `text`"));
        }
        let micro = match (kind, self.value) {
            (MarkKind::Score, Some(value)) => Some(read_score(&value)?),
            (MarkKind::Score, None) => return Err(bad("a score has a `value`")),
            _ => None,
        };
        Ok(Mark { on, kind, name, text, micro, at: Timestamp::now(), key: caller.key })
    }
}

/// Marks as they are told.
pub(crate) fn told(marks: &Marks) -> Value {
    let scores: Map<String, Value> = marks.scores.iter().map(|(name, micro)| (name.clone(), score(*micro))).collect();
    json!({ "scores": scores, "tags": marks.tags, "notes": marks.notes, "properties": marks.properties })
}

async fn put(desk: &Desk, caller: Caller, on: Marked, mark: NewMark) -> Result<Response, Refusal> {
    let mark = mark.on(on, caller)?;
    desk.store.put_marks(caller.org, std::slice::from_ref(&mark)).await?;
    Ok((StatusCode::CREATED, Json(json!({ "kind": mark.kind.code(), "name": mark.name }))).into_response())
}

async fn take(desk: &Desk, caller: Caller, on: Marked, kind: &str, name: &str) -> Result<StatusCode, Refusal> {
    let kind: MarkKind = kind.parse().map_err(|why| Refusal::bad_request(format!("the kind is {why}")))?;
    if desk.store.remove_mark(caller.org, &on, kind, name).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Refusal::new(StatusCode::NOT_FOUND, "unknown_mark", "there is no such mark"))
}

/// `GET /api/requests/{id}/marks`.
pub(crate) async fn of_request(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let id = read_id(&id)?;
    let marks = desk.store.marks(caller.org, &[id]).await?.remove(&id).unwrap_or_default();
    Ok(Json(told(&marks)))
}

/// `POST /api/requests/{id}/marks`.
pub(crate) async fn mark_request(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Json(mark): Json<NewMark>,
) -> Result<Response, Refusal> {
    put(&desk, caller, Marked::Request(read_id(&id)?), mark).await
}

/// `DELETE /api/requests/{id}/marks/{kind}/{name}`.
pub(crate) async fn unmark_request(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path((id, kind, name)): Path<(String, String, String)>,
) -> Result<StatusCode, Refusal> {
    take(&desk, caller, Marked::Request(read_id(&id)?), &kind, &name).await
}

/// `GET /api/sessions/{id}/marks`.
pub(crate) async fn of_session(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    Ok(Json(told(&desk.store.session_marks(caller.org, &id).await?)))
}

/// `POST /api/sessions/{id}/marks`.
pub(crate) async fn mark_session(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Json(mark): Json<NewMark>,
) -> Result<Response, Refusal> {
    put(&desk, caller, Marked::Session(id), mark).await
}

/// `DELETE /api/sessions/{id}/marks/{kind}/{name}`.
pub(crate) async fn unmark_session(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path((id, kind, name)): Path<(String, String, String)>,
) -> Result<StatusCode, Refusal> {
    take(&desk, caller, Marked::Session(id), &kind, &name).await
}
