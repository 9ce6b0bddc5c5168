//! Bodies, apart from the rows: lists never touch them, and they may be let go of sooner.

use std::collections::HashMap;

use bytes::Bytes;
use tachograph_record::RecordId;

use super::{Column, Source, Table, Value};
use crate::StoreError;
use crate::packing::{Codec, PackedBody, unpack};

pub(crate) const BODIES: Table<PackedBody> = Table {
    name: "bodies",
    columns: &[
        Column { name: "org_id", value: Value::Id(|body| Some(body.org.uuid())) },
        Column { name: "id", value: Value::Id(|body| Some(body.id.uuid())) },
        Column { name: "side", value: Value::Text(|body| Some(body.side.code())) },
        Column { name: "received_at", value: Value::Int(|body| Some(body.received_at.micros())) },
        Column { name: "codec", value: Value::Text(|body| Some(body.codec.code())) },
        Column { name: "raw_len", value: Value::Int(|body| Some(body.raw_len)) },
        Column { name: "data", value: Value::Bytes(|body| &body.data) },
    ],
    also_read: &[],
    weight: |body| 96 + body.data.len(),
};

/// The names under which one body's columns stand beside its row.
pub(crate) struct BodyColumns {
    pub(crate) codec: &'static str,
    pub(crate) raw_len: &'static str,
    pub(crate) data: &'static str,
}

/// What was kept of a body; nothing where nothing was, or where it has been let go of since.
pub(crate) async fn read_body(source: &impl Source, columns: &BodyColumns) -> Result<Bytes, StoreError> {
    let Some(codec) = source.text(columns.codec)? else { return Ok(Bytes::new()) };
    let codec = Codec::of_code(&codec).ok_or_else(|| StoreError::unreadable(columns.codec, "an unknown codec"))?;
    let data = source.bytes(columns.data)?.unwrap_or_default();
    unpack(codec, source.some_int(columns.raw_len)?, data).await
}

/// The bodies of several rows: id, request, answer.
pub(crate) async fn read_bodies(sources: &[impl Source]) -> Result<Vec<(RecordId, Bytes, Bytes)>, StoreError> {
    const COLUMNS: BodyColumns = BodyColumns { codec: "codec", raw_len: "raw_len", data: "data" };
    let mut all: HashMap<RecordId, (Bytes, Bytes)> = HashMap::new();
    for source in sources {
        let body = read_body(source, &COLUMNS).await?;
        let held = all.entry(source.some_id("id")?.into()).or_default();
        match source.some_text("side")?.as_str() {
            "request" => held.0 = body,
            _ => held.1 = body,
        }
    }
    Ok(all.into_iter().map(|(id, (request, response))| (id, request, response)).collect())
}
