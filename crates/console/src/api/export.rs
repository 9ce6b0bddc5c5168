//! Rows of a list as a file, streamed.

use std::collections::HashMap;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde_json::Value;
use tachograph_record::{OrgId, RecordId};
use tachograph_store::{Marks, Row, Search, StoreError};

use super::question::Question;
use super::text::resolve;
use super::view::Summary;
use super::{Desk, Refusal};
use crate::access::Caller;

/// Rows read at a time.
const PAGE: u32 = 500;

/// `GET /api/export?format=csv|jsonl`: all rows that are picked, newest first, without bodies.
pub(crate) async fn rows(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    mut question: Question,
) -> Result<Response, Refusal> {
    let format = match question.take("format").as_deref() {
        None | Some("jsonl") => Format::Jsonl,
        Some("csv") => Format::Csv,
        Some(_) => return Err(Refusal::bad_request("`format` is csv or jsonl")),
    };
    let most = question.take_limit().map_or(u64::MAX, u64::from);
    let mut search = question.search(caller.org)?;
    let (filter, _) = resolve(&*desk.store, caller.org, search.filter).await?;
    search.filter = filter;
    search.limit = PAGE;
    let (kind, name) = match format {
        Format::Jsonl => ("application/x-ndjson", "attachment; filename=\"requests.jsonl\""),
        Format::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"requests.csv\""),
    };
    let pages = stream::try_unfold(Some((desk, caller.org, search, format, most, true)), |left| async move {
        let Some((desk, org, mut search, format, most, first)) = left else { return Ok(None) };
        let page = read(&desk, org, &search).await?;
        let taken = usize::try_from(most).unwrap_or(usize::MAX).min(page.0.len());
        let mut text = if first && format == Format::Csv { header_line() } else { String::new() };
        for (row, marks) in page.0.iter().zip(&page.1).take(taken) {
            format.write(row, marks, &mut text);
        }
        search.before = page.2;
        let most = most - taken as u64;
        let left = (search.before.is_some() && most > 0).then_some((desk, org, search, format, most, false));
        Ok::<_, StoreError>(Some((Bytes::from(text), left)))
    });
    let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(pages)).into_response())
}

type Read = (Vec<Row>, Vec<Marks>, Option<tachograph_store::Cursor>);

async fn read(desk: &Desk, org: OrgId, search: &Search) -> Result<Read, StoreError> {
    let page = desk.store.search(search).await?;
    let ids: Vec<RecordId> = page.rows.iter().map(|row| row.id).collect();
    let mut marks: HashMap<RecordId, Marks> = desk.store.marks(org, &ids).await?;
    let marks = ids.iter().map(|id| marks.remove(id).unwrap_or_default()).collect();
    Ok((page.rows, marks, page.next))
}

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Jsonl,
    Csv,
}

impl Format {
    fn write(self, row: &Row, marks: &Marks, text: &mut String) {
        let told = serde_json::to_value(Summary::of(row, Some(marks))).unwrap_or_default();
        match self {
            Self::Jsonl => {
                text.push_str(&told.to_string());
                text.push('\n');
            }
            Self::Csv => {
                let cells: Vec<String> = COLUMNS.iter().map(|(_, place)| cell(told.pointer(place))).collect();
                text.push_str(&cells.join(","));
                text.push_str("\r\n");
            }
        }
    }
}

/// The columns of a CSV file, and where a row has their values.
const COLUMNS: [(&str, &str); 26] = [
    ("id", "/id"),
    ("received_at_us", "/timing/received_at"),
    ("provider", "/provider"),
    ("model", "/model"),
    ("requested_model", "/requested_model"),
    ("api", "/api"),
    ("status", "/status"),
    ("outcome", "/outcome"),
    ("error", "/error/kind"),
    ("error_message", "/error/message"),
    ("user", "/user"),
    ("session", "/session/id"),
    ("session_path", "/session/path"),
    ("session_name", "/session/name"),
    ("prompt", "/prompt/id"),
    ("prompt_version", "/prompt/version"),
    ("input_tokens", "/usage/input_tokens"),
    ("cache_read_tokens", "/usage/cache_read_tokens"),
    ("cache_write_tokens", "/usage/cache_write_tokens"),
    ("output_tokens", "/usage/output_tokens"),
    ("reasoning_tokens", "/usage/reasoning_tokens"),
    ("cost_state", "/cost/status"),
    ("cost_usd", "/cost/total"),
    ("ttft_us", "/timing/first_token_us"),
    ("latency_us", "/timing/end_us"),
    ("properties", "/properties"),
];

fn header_line() -> String {
    COLUMNS.map(|(name, _)| name).join(",") + "\r\n"
}

/// One cell. Text that a spreadsheet would take for a formula gets an apostrophe before it.
pub(crate) fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => return String::new(),
        Some(Value::String(text))
            if text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err() =>
        {
            format!("'{text}")
        }
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_quoted_and_are_no_formulas() {
        for (value, written) in [
            (json!(null), ""),
            (json!("a,b"), "\"a,b\""),
            (json!("say \"hi\""), "\"say \"\"hi\"\"\""),
            (json!("=1+1"), "'=1+1"),
            (json!("-0.5"), "-0.5"),
            (json!(7), "7"),
        ] {
            assert_eq!(cell(Some(&value)), written);
        }
    }
}
