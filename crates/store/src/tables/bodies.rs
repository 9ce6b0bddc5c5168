//! Bodies, apart from the rows: lists never touch them, and they may be let go of sooner.

use std::collections::HashMap;

use bytes::Bytes;
use uuid::Uuid;

use super::{Column, Source, Table, Value};
use crate::StoreError;
use crate::chunks::{Recipe, chunks_of};
use crate::packing::{Codec, PackedBody, PackedChunk, unpack};

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

/// Parts of bodies, by what is in them.
pub(crate) const CHUNKS: Table<PackedChunk> = Table {
    name: "chunks",
    columns: &[
        Column { name: "org_id", value: Value::Id(|chunk| Some(chunk.key.0)) },
        Column { name: "hash", value: Value::Id(|chunk| Some(chunk.key.2)) },
        Column { name: "day", value: Value::Int(|chunk| Some(chunk.key.1)) },
        Column { name: "codec", value: Value::Text(|chunk| Some(chunk.codec.code())) },
        Column { name: "raw_len", value: Value::Int(|chunk| Some(chunk.raw_len)) },
        Column { name: "data", value: Value::Bytes(|chunk| &chunk.data) },
    ],
    also_read: &[],
    weight: |chunk| 96 + chunk.data.len(),
};

/// The names under which one body's columns stand beside its row.
pub(crate) struct BodyColumns {
    pub(crate) codec: &'static str,
    pub(crate) raw_len: &'static str,
    pub(crate) data: &'static str,
}

/// A body as it is stored.
pub(crate) enum Held {
    Bytes { codec: Codec, raw_len: i64, data: Vec<u8> },
    Recipe { recipe: Recipe, raw_len: i64 },
}

impl Held {
    /// What is stored of a body; nothing where nothing was, or where it has been let go of since.
    pub(crate) fn read(source: &impl Source, columns: &BodyColumns) -> Result<Option<Self>, StoreError> {
        let Some(codec) = source.text(columns.codec)? else { return Ok(None) };
        let codec = Codec::of_code(&codec).ok_or_else(|| StoreError::unreadable(columns.codec, "an unknown codec"))?;
        let (data, raw_len) = (source.bytes(columns.data)?.unwrap_or_default(), source.some_int(columns.raw_len)?);
        Ok(Some(match codec {
            Codec::Chunked => Self::Recipe { recipe: Recipe::read(&data)?, raw_len },
            codec => Self::Bytes { codec, raw_len, data },
        }))
    }

    /// The chunks that it is made of.
    pub(crate) fn chunks(&self) -> Vec<Uuid> {
        match self {
            Self::Bytes { .. } => Vec::new(),
            Self::Recipe { recipe, .. } => chunks_of(recipe).collect(),
        }
    }

    /// Its bytes, given the chunks.
    pub(crate) async fn unpack(self, chunks: &HashMap<Uuid, Bytes>) -> Result<Bytes, StoreError> {
        match self {
            Self::Bytes { codec, raw_len, data } => unpack(codec, raw_len, data).await,
            Self::Recipe { recipe, raw_len } => {
                let len = usize::try_from(raw_len).map_err(|why| StoreError::unreadable("a body's length", why))?;
                Ok(recipe.together(chunks, len)?.unwrap_or_default())
            }
        }
    }
}

/// A chunk with its hash.
pub(crate) async fn read_chunk(source: &impl Source) -> Result<(Uuid, Bytes), StoreError> {
    const COLUMNS: BodyColumns = BodyColumns { codec: "codec", raw_len: "raw_len", data: "data" };
    let bytes = match Held::read(source, &COLUMNS)? {
        Some(held) => held.unpack(&HashMap::new()).await?,
        None => Bytes::new(),
    };
    Ok((source.some_id("hash")?, bytes))
}
