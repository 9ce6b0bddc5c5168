//! Rows of a list as a file, streamed.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::question::Question;
use super::{Desk, Refusal};
use crate::access::Caller;
use crate::export::{Export, ExportError, ExportFormat};

/// `GET /api/export?format=jsonl|csv|parquet&bodies=true`: all rows that are picked, newest first.
pub(crate) async fn rows(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    mut question: Question,
) -> Result<Response, Refusal> {
    let format: ExportFormat =
        question.take("format").as_deref().unwrap_or("jsonl").parse().map_err(Refusal::bad_request)?;
    let bodies = match question.take("bodies").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Refusal::bad_request("`bodies` is true or false")),
    };
    let most = question.take_limit().map_or(u64::MAX, u64::from);
    let search = question.search(caller.org)?;
    let pieces = Export { search, format, bodies, most }.pieces(desk.store).await;
    let pieces = pieces.map_err(|error| match error {
        ExportError::TooMany(_) => Refusal::bad_request(error.to_string()),
        ExportError::Failed => Refusal::failed(),
        ExportError::Store(error) => error.into(),
    })?;
    let name = format!("attachment; filename=\"requests.{}\"", format.extension());
    let headers = [(header::CONTENT_TYPE, format.media_type().to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(pieces)).into_response())
}
