//! Rows as a file, a page at a time: the same for the API and for the command line.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use serde_json::Value;
use tachograph_record::RecordId;
use tachograph_store::{Marks, Row, Search, Store, StoreError};

use crate::api::{BodyView, Summary, resolve};

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
}

impl FromStr for ExportFormat {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "jsonl" => Ok(Self::Jsonl),
            "csv" => Ok(Self::Csv),
            _ => Err("the format is jsonl or csv"),
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
        let start =
            Some(Left { store, search, format: self.format, bodies: self.bodies, most: self.most, first: true });
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
    format: ExportFormat,
    bodies: bool,
    most: u64,
    first: bool,
}

impl Left {
    async fn piece(mut self) -> Result<(Bytes, Option<Self>), StoreError> {
        let (org, format) = (self.search.org, self.format);
        let page = self.store.search(&self.search).await?;
        let taken = usize::try_from(self.most).unwrap_or(usize::MAX).min(page.rows.len());
        let rows = &page.rows[..taken];
        let ids: Vec<RecordId> = rows.iter().map(|row| row.id).collect();
        let marks: HashMap<RecordId, Marks> = self.store.marks(org, &ids).await?;
        let bodies = if self.bodies { Some(self.store.bodies(org, &ids).await?) } else { None };
        let bodies = bodies.map(|held| held.into_iter().map(|(id, asked, said)| (id, (asked, said))).collect());
        let bodies: Option<HashMap<RecordId, (Bytes, Bytes)>> = bodies;
        let nothing = (Bytes::new(), Bytes::new());
        let mut text = if self.first { format.head(bodies.is_some()) } else { String::new() };
        for row in rows {
            let said = bodies.as_ref().map(|bodies| bodies.get(&row.id).unwrap_or(&nothing));
            format.write(row, marks.get(&row.id), said, &mut text);
        }
        (self.first, self.search.before) = (false, page.next);
        self.most -= taken as u64;
        let left = (self.search.before.is_some() && self.most > 0).then_some(self);
        Ok((Bytes::from(text), left))
    }
}

impl ExportFormat {
    /// The media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jsonl => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    /// The ending of a file's name.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
        }
    }

    fn head(self, bodies: bool) -> String {
        match self {
            Self::Jsonl => String::new(),
            Self::Csv => columns(bodies).map(|(name, _)| *name).collect::<Vec<_>>().join(",") + "\r\n",
        }
    }

    fn write(self, row: &Row, marks: Option<&Marks>, said: Option<&(Bytes, Bytes)>, text: &mut String) {
        let mut told = serde_json::to_value(Summary::of(row, marks)).unwrap_or_default();
        if let Some((request, response)) = said {
            told["request"] = serde_json::to_value(BodyView::of(row.request_body, request)).unwrap_or_default();
            told["response"] = serde_json::to_value(BodyView::of(row.response_body, response)).unwrap_or_default();
        }
        match self {
            Self::Jsonl => {
                text.push_str(&told.to_string());
                text.push('\n');
            }
            Self::Csv => {
                let cells: Vec<String> = columns(said.is_some()).map(|(_, place)| cell(told.pointer(place))).collect();
                text.push_str(&cells.join(","));
                text.push_str("\r\n");
            }
        }
    }
}

fn columns(bodies: bool) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    COLUMNS.iter().chain(BODY_COLUMNS.iter().filter(move |_| bodies))
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

/// Those of bodies. What is no text stands in base64, in a column of its own.
const BODY_COLUMNS: [(&str, &str); 4] = [
    ("request", "/request/text"),
    ("request_base64", "/request/base64"),
    ("response", "/response/text"),
    ("response_base64", "/response/base64"),
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
