//! Bodies, apart from the rows: lists never touch them, and they may be let go of sooner.

use bytes::Bytes;

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
