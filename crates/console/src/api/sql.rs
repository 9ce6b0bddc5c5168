//! SQL over one's own rows.

use std::collections::HashMap;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json;
use serde::Deserialize;
use serde_json::{Value, json};
use tachograph_record::{OrgId, RecordId};
use tachograph_store::{BadSql, SqlLimits, SqlTable, Store, StoreError, UserSql, VIEWS};

use super::{Desk, Refusal};
use crate::access::Caller;
use crate::export::cell;

/// What is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    sql: String,
}

/// `POST /api/sql`.
pub(crate) async fn run(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(asked): Json<Asked>,
) -> Result<Json<Value>, Refusal> {
    let started = std::time::Instant::now();
    let asked = UserSql::read(&asked.sql).map_err(refused)?;
    let mut table = desk.store.ask(caller.org, &asked, SqlLimits::default()).await?.map_err(refused)?;
    with_bodies(&*desk.store, caller.org, &mut table).await?;
    let elapsed = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Json(json!({
        "columns": table.columns, "rows": table.rows, "truncated": table.truncated, "bytes": table.bytes,
        "elapsed_ms": elapsed,
    })))
}

fn refused(bad: BadSql) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, bad.code, bad.message)
}

/// `GET /api/sql/schema`.
pub(crate) async fn schema() -> Json<Value> {
    let tables: Vec<Value> = VIEWS
        .iter()
        .map(|view| {
            let columns: Vec<Value> =
                view.columns.iter().map(|column| json!({ "name": column.name, "type": column.kind })).collect();
            json!({ "name": view.name, "about": view.about, "columns": columns })
        })
        .collect();
    Json(json!({ "tables": tables }))
}

/// Requests of one answer whose bodies are looked up at most.
const MOST_BODIES: usize = 100;

/// Fills in bodies, which no view can hold, where they were asked for beside `request_id`.
pub(crate) async fn with_bodies(store: &dyn Store, org: OrgId, table: &mut SqlTable) -> Result<(), StoreError> {
    let place = |name: &str| table.columns.iter().position(|column| column == name);
    let (Some(id), sides) = (place("request_id"), [place("request_body"), place("response_body")]) else {
        return Ok(());
    };
    if sides == [None, None] {
        return Ok(());
    }
    let id_of = |row: &Vec<Box<serde_json::value::RawValue>>| -> Option<RecordId> {
        serde_json::from_str::<String>(row[id].get()).ok()?.parse().ok()
    };
    let ids: Vec<RecordId> = table.rows.iter().filter_map(id_of).take(MOST_BODIES).collect();
    let bodies: HashMap<_, _> =
        store.bodies(org, &ids).await?.into_iter().map(|(id, request, answer)| (id, [request, answer])).collect();
    for row in &mut table.rows {
        let Some(held) = id_of(row).and_then(|id| bodies.get(&id)) else { continue };
        for (side, body) in sides.into_iter().zip(held) {
            if let (Some(at), false) = (side, body.is_empty()) {
                let text = String::from_utf8_lossy(body);
                row[at] = serde_json::value::to_raw_value(&text).map_err(|why| StoreError::Failed(why.to_string()))?;
            }
        }
    }
    Ok(())
}

/// The answer as CSV.
pub(crate) fn sql_as_csv(table: &SqlTable) -> String {
    let mut csv = table.columns.iter().map(|name| cell(Some(&json!(name)))).collect::<Vec<_>>().join(",") + "\r\n";
    for row in &table.rows {
        let cells: Vec<String> = row
            .iter()
            .map(|value| match value.get() {
                "null" => String::new(),
                text if text.starts_with('"') => cell(serde_json::from_str(text).ok().as_ref()),
                number => number.to_owned(),
            })
            .collect();
        csv.push_str(&cells.join(","));
        csv.push_str("\r\n");
    }
    csv
}
