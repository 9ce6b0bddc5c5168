//! SQL over one's own rows.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};
use tachograph_record::{RecordId, Timestamp};
use tachograph_store::{Document, SqlLimits, UserSql, VIEWS};
use uuid::Uuid;

use super::{Answer, Failed, ok};
use crate::access::Caller;
use crate::api::{Desk, sql_as_csv, with_bodies};

const KIND: &str = "saved_query";

fn statement(body: &Value) -> Result<&str, Failed> {
    body["sql"].as_str().ok_or_else(|| Failed::wrong("`sql` is a text"))
}

fn refused(bad: &tachograph_store::BadSql) -> Failed {
    Failed(StatusCode::BAD_REQUEST, format!("[{}] {}", bad.code, bad.message))
}

/// `GET /v1/helicone-sql/schema`.
pub(crate) async fn schema() -> Response {
    let tables: Vec<Value> = VIEWS
        .iter()
        .map(|view| {
            let columns: Vec<Value> = view
                .columns
                .iter()
                .map(|column| json!({ "name": column.name, "type": column.kind, "default_type": "", "comment": "" }))
                .collect();
            json!({ "table_name": view.name, "columns": columns })
        })
        .collect();
    ok(&json!(tables))
}

/// `POST /v1/helicone-sql/execute`.
pub(crate) async fn execute(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Answer {
    let started = std::time::Instant::now();
    let asked = UserSql::read(statement(&body)?).map_err(|bad| refused(&bad))?;
    let limits = SqlLimits { rows: 100, ..SqlLimits::default() };
    let mut table = desk.store.ask(caller.org, &asked, limits).await?.map_err(|bad| refused(&bad))?;
    with_bodies(&*desk.store, caller.org, &mut table).await?;
    let rows: Vec<Value> = table
        .rows
        .iter()
        .map(|row| {
            let cells = table.columns.iter().cloned().zip(row.iter().map(|cell| json!(cell)));
            Value::Object(cells.collect())
        })
        .collect();
    let elapsed = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(ok(&json!({
        "rows": rows, "elapsedMilliseconds": elapsed, "size": table.bytes, "rowCount": rows.len(),
    })))
}

/// `POST /v1/helicone-sql/download`: the CSV itself, and not the address of one.
pub(crate) async fn download(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Answer {
    let asked = UserSql::read(statement(&body)?).map_err(|bad| refused(&bad))?;
    let limits = SqlLimits { rows: 300_000, bytes: 64 << 20, time: std::time::Duration::from_secs(30) };
    let table = desk.store.ask(caller.org, &asked, limits).await?.map_err(|bad| refused(&bad))?;
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], sql_as_csv(&table)).into_response())
}

fn told(document: &Document) -> Value {
    json!({
        "id": document.id, "organization_id": document.org, "name": document.body["name"], "sql": document.body["sql"],
        "created_at": super::rows::moment(document.at.micros()), "updated_at": super::rows::moment(document.at.micros()),
    })
}

fn named(body: &Value) -> Result<Value, Failed> {
    let name =
        body["name"].as_str().filter(|name| name.len() <= 512).ok_or_else(|| Failed::wrong("`name` is a text"))?;
    let sql = statement(body)?;
    if sql.len() > 60_000 {
        return Err(Failed::wrong("`sql` is too long"));
    }
    Ok(json!({ "name": name, "sql": sql }))
}

async fn held(desk: &Desk, caller: Caller, id: Uuid) -> Result<Document, Failed> {
    let all = desk.store.documents(caller.org, KIND).await?;
    all.into_iter()
        .find(|one| one.id == id)
        .ok_or_else(|| Failed(StatusCode::NOT_FOUND, "there is no such query".into()))
}

/// `GET /v1/helicone-sql/saved-queries`.
pub(crate) async fn saved(State(desk): State<Desk>, Extension(caller): Extension<Caller>) -> Answer {
    let all = desk.store.documents(caller.org, KIND).await?;
    Ok(ok(&json!(all.iter().map(told).collect::<Vec<_>>())))
}

/// `POST /v1/helicone-sql/saved-query`.
pub(crate) async fn save(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Answer {
    if desk.store.documents(caller.org, KIND).await?.len() >= 1_000 {
        return Err(Failed::wrong("at most 1000 queries are kept; remove some"));
    }
    let id = RecordId::generate().uuid();
    let document = Document { org: caller.org, kind: KIND.into(), id, at: Timestamp::now(), body: named(&body)? };
    desk.store.put_document(&document).await?;
    Ok(ok(&json!([told(&document)])))
}

/// `GET /v1/helicone-sql/saved-query/{id}`.
pub(crate) async fn one_saved(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
) -> Answer {
    Ok(ok(&told(&held(&desk, caller, id).await?)))
}

/// `PUT /v1/helicone-sql/saved-query/{id}`.
pub(crate) async fn replace_saved(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
    Json(body): Json<Value>,
) -> Answer {
    let document = Document { body: named(&body)?, ..held(&desk, caller, id).await? };
    desk.store.put_document(&document).await?;
    Ok(ok(&told(&document)))
}

/// `DELETE /v1/helicone-sql/saved-query/{id}`.
pub(crate) async fn remove_saved(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
) -> Answer {
    held(&desk, caller, id).await?;
    desk.store.remove_document(caller.org, KIND, id).await?;
    Ok(ok(&Value::Null))
}
