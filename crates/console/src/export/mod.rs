//! Rows as a file, a page at a time: the same for the API and for the command line.

mod parquet;

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use serde_json::Value;
use tachograph_record::RecordId;
use tachograph_store::{Marks, Row, Search, Store, StoreError};

use crate::api::{BodyView, Summary, resolve};
use parquet::ParquetFile;

/// Rows read at a time, without bodies and with them: each body may be some MiB.
const PAGE: u32 = 500;
const PAGE_WITH_BODIES: u32 = 8;

/// What a row is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// A JSON object on each line, as `/api/requests` shows a row.
    Jsonl,
    /// Comma-separated values with a line of names (RFC 4180).
    Csv,
    /// Apache Parquet, with the columns of CSV, typed.
    Parquet,
}

impl FromStr for ExportFormat {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "jsonl" => Ok(Self::Jsonl),
            "csv" => Ok(Self::Csv),
            "parquet" => Ok(Self::Parquet),
            _ => Err("the format is jsonl, csv or parquet"),
        }
    }
}

/// Which rows to write, and how.
#[derive(Clone)]
pub struct Export {
    /// Which, and in what order. Its limit does not count.
    pub search: Search,
    /// As what.
    pub format: ExportFormat,
    /// Whether with what was sent and answered, as far as it was kept.
    pub bodies: bool,
    /// How many at most.
    pub most: u64,
}

/// Why rows cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Words that were said are looked for in the newest rows only.
    #[error(
        "words are looked for in what the newest {0} of these rows say, and there are more; \
         narrow the time or ask for something that is no text"
    )]
    TooMany(usize),
    /// Bodies could not be looked through; the log says why.
    #[error("what was said could not be looked through")]
    Failed,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Export {
    /// The file, newest row first, piece by piece: no more than a page of rows is held at a time.
    ///
    /// # Errors
    /// Where the filter cannot be asked of all rows.
    pub async fn pieces(
        self,
        store: Arc<dyn Store>,
    ) -> Result<impl Stream<Item = Result<Bytes, StoreError>> + Send + use<>, ExportError> {
        let (filter, searched) =
            resolve(&*store, self.search.org, self.search.filter.clone()).await.map_err(|_| ExportError::Failed)?;
        if let Some(searched) = searched.filter(|searched| !searched.is_complete()) {
            return Err(ExportError::TooMany(searched.rows()));
        }
        let page = if self.bodies { PAGE_WITH_BODIES } else { PAGE };
        let search = Search { limit: page, filter, ..self.search };
        let file = File::new(self.format, self.bodies)?;
        let start = Some(Left { store, search, file, bodies: self.bodies, most: self.most });
        Ok(stream::try_unfold(start, |left| async move {
            let Some(left) = left else { return Ok(None) };
            left.piece().await.map(Some)
        }))
    }
}

/// What is not written yet.
struct Left {
    store: Arc<dyn Store>,
    search: Search,
    file: File,
    bodies: bool,
    most: u64,
}

impl Left {
    async fn piece(mut self) -> Result<(Bytes, Option<Self>), StoreError> {
        let org = self.search.org;
        let page = self.store.search(&self.search).await?;
        let taken = usize::try_from(self.most).unwrap_or(usize::MAX).min(page.rows.len());
        let rows = &page.rows[..taken];
        let ids: Vec<RecordId> = rows.iter().map(|row| row.id).collect();
        let marks: HashMap<RecordId, Marks> = self.store.marks(org, &ids).await?;
        let bodies = if self.bodies { Some(self.store.bodies(org, &ids).await?) } else { None };
        let bodies = bodies.map(|held| held.into_iter().map(|(id, asked, said)| (id, (asked, said))).collect());
        let bodies: Option<HashMap<RecordId, (Bytes, Bytes)>> = bodies;
        let nothing = (Bytes::new(), Bytes::new());
        for row in rows {
            let said = bodies.as_ref().map(|bodies| bodies.get(&row.id).unwrap_or(&nothing));
            self.file.write(&told(row, marks.get(&row.id), said))?;
        }
        self.search.before = page.next;
        self.most -= taken as u64;
        let goes_on = self.search.before.is_some() && self.most > 0;
        let piece = if goes_on { self.file.written() } else { self.file.finish()? };
        Ok((piece, goes_on.then_some(self)))
    }
}

/// A row as the API shows it, with its bodies where they are wanted.
fn told(row: &Row, marks: Option<&Marks>, said: Option<&(Bytes, Bytes)>) -> Value {
    let mut told = serde_json::to_value(Summary::of(row, marks)).unwrap_or_default();
    if let Some((request, response)) = said {
        told["request"] = serde_json::to_value(BodyView::of(row.request_body, request)).unwrap_or_default();
        told["response"] = serde_json::to_value(BodyView::of(row.response_body, response)).unwrap_or_default();
    }
    told
}

/// The file as it is written.
enum File {
    Jsonl(String),
    Csv(String, bool),
    Parquet(Box<ParquetFile>),
}

impl File {
    fn new(format: ExportFormat, bodies: bool) -> Result<Self, StoreError> {
        Ok(match format {
            ExportFormat::Jsonl => Self::Jsonl(String::new()),
            ExportFormat::Csv => {
                let names = columns(bodies).map(|column| column.name).collect::<Vec<_>>();
                Self::Csv(names.join(",") + "\r\n", bodies)
            }
            ExportFormat::Parquet => {
                Self::Parquet(Box::new(ParquetFile::new(columns(bodies)).map_err(parquet::failed)?))
            }
        })
    }

    fn write(&mut self, row: &Value) -> Result<(), StoreError> {
        match self {
            Self::Jsonl(text) => {
                text.push_str(&row.to_string());
                text.push('\n');
            }
            Self::Csv(text, bodies) => {
                let cells: Vec<String> = columns(*bodies).map(|column| cell(row.pointer(column.place))).collect();
                text.push_str(&cells.join(","));
                text.push_str("\r\n");
            }
            Self::Parquet(file) => file.push(row).map_err(parquet::failed)?,
        }
        Ok(())
    }

    /// What was not taken yet.
    fn written(&mut self) -> Bytes {
        match self {
            Self::Jsonl(text) | Self::Csv(text, _) => std::mem::take(text).into(),
            Self::Parquet(file) => file.written(),
        }
    }

    /// The same, at the end of the rows.
    fn finish(&mut self) -> Result<Bytes, StoreError> {
        match self {
            Self::Parquet(file) => file.finish().map_err(parquet::failed),
            _ => Ok(self.written()),
        }
    }
}

impl ExportFormat {
    /// The media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jsonl => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The ending of a file's name.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// The columns of a table.
fn columns(bodies: bool) -> impl Iterator<Item = &'static Column> {
    COLUMNS.iter().chain(BODY_COLUMNS.iter().filter(move |_| bodies))
}

/// A column of a table, and where a row has its values.
struct Column {
    name: &'static str,
    place: &'static str,
    kind: ColumnKind,
}

/// What stands in a column, where the format has types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColumnKind {
    Text,
    Json,
    Count,
    Moment,
    Money,
}

impl Column {
    const fn new(name: &'static str, place: &'static str, kind: ColumnKind) -> Self {
        Self { name, place, kind }
    }
}

const COLUMNS: [Column; 26] = [
    Column::new("id", "/id", ColumnKind::Text),
    Column::new("received_at_us", "/timing/received_at", ColumnKind::Moment),
    Column::new("provider", "/provider", ColumnKind::Text),
    Column::new("model", "/model", ColumnKind::Text),
    Column::new("requested_model", "/requested_model", ColumnKind::Text),
    Column::new("api", "/api", ColumnKind::Text),
    Column::new("status", "/status", ColumnKind::Count),
    Column::new("outcome", "/outcome", ColumnKind::Text),
    Column::new("error", "/error/kind", ColumnKind::Text),
    Column::new("error_message", "/error/message", ColumnKind::Text),
    Column::new("user", "/user", ColumnKind::Text),
    Column::new("session", "/session/id", ColumnKind::Text),
    Column::new("session_path", "/session/path", ColumnKind::Text),
    Column::new("session_name", "/session/name", ColumnKind::Text),
    Column::new("prompt", "/prompt/id", ColumnKind::Text),
    Column::new("prompt_version", "/prompt/version", ColumnKind::Text),
    Column::new("input_tokens", "/usage/input_tokens", ColumnKind::Count),
    Column::new("cache_read_tokens", "/usage/cache_read_tokens", ColumnKind::Count),
    Column::new("cache_write_tokens", "/usage/cache_write_tokens", ColumnKind::Count),
    Column::new("output_tokens", "/usage/output_tokens", ColumnKind::Count),
    Column::new("reasoning_tokens", "/usage/reasoning_tokens", ColumnKind::Count),
    Column::new("cost_state", "/cost/status", ColumnKind::Text),
    Column::new("cost_usd", "/cost/total", ColumnKind::Money),
    Column::new("ttft_us", "/timing/first_token_us", ColumnKind::Count),
    Column::new("latency_us", "/timing/end_us", ColumnKind::Count),
    Column::new("properties", "/properties", ColumnKind::Json),
];

/// Those of bodies. What is no text stands in base64, in a column of its own.
const BODY_COLUMNS: [Column; 4] = [
    Column::new("request", "/request/text", ColumnKind::Text),
    Column::new("request_base64", "/request/base64", ColumnKind::Text),
    Column::new("response", "/response/text", ColumnKind::Text),
    Column::new("response_base64", "/response/base64", ColumnKind::Text),
];

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
