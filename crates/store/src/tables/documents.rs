//! Documents.

use tachograph_record::Timestamp;

use super::{Column, Source, Table, Value};
use crate::StoreError;
use crate::document::Document;

/// As it is read; it is written by one statement of its own, which replaces what was there.
pub(crate) const DOCUMENTS: Table<Document> = Table {
    name: "documents",
    columns: &[
        Column { name: "org_id", value: Value::Id(|document| Some(document.org.uuid())) },
        Column { name: "kind", value: Value::Text(|document| Some(&document.kind)) },
        Column { name: "id", value: Value::Id(|document| Some(document.id)) },
        Column { name: "made_at", value: Value::Int(|document| Some(document.at.micros())) },
        Column { name: "body", value: Value::Text(|_| None) },
    ],
    also_read: &[],
    weight: |_| 256,
};

pub(crate) fn read_document(source: &impl Source) -> Result<Document, StoreError> {
    let body = source.some_text("body")?;
    Ok(Document {
        org: source.some_id("org_id")?.into(),
        kind: source.some_text("kind")?,
        id: source.some_id("id")?,
        at: Timestamp::from_micros(source.some_int("made_at")?),
        body: serde_json::from_str(&body).map_err(|why| StoreError::unreadable("body", why))?,
    })
}
