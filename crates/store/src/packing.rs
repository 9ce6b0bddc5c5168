//! Bodies as they are stored: zstd where that is shorter, with the length of what was kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tachograph_record::{LogRecord, OrgId, RecordId, Timestamp};
use zstd::bulk::Compressor;

use crate::StoreError;
use crate::chunks::{self, ChunkKey, Seen};

/// zstd's level: 3 compresses chat bodies about as well as dearer ones at several hundred MB a second.
const LEVEL: i32 = 3;

/// Below this many bytes a body is stored as it is: zstd's tables cost more time (4 µs, as much as writing the row) than the
/// few hundred bytes are worth.
const SHORTEST: usize = 2 << 10;

/// Which of a call's two bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

impl Side {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

/// How a body's bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Raw,
    Zstd,
    /// A recipe of chunks that are kept beside: see [`chunks`](crate::chunks).
    Chunked,
}

impl Codec {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Zstd => "zstd",
            Self::Chunked => "chunked",
        }
    }

    pub(crate) fn of_code(code: &str) -> Option<Self> {
        [Self::Raw, Self::Zstd, Self::Chunked].into_iter().find(|codec| codec.code() == code)
    }
}

/// One body, ready to be stored.
#[derive(Debug)]
pub(crate) struct PackedBody {
    pub(crate) org: OrgId,
    pub(crate) id: RecordId,
    pub(crate) side: Side,
    pub(crate) received_at: Timestamp,
    pub(crate) codec: Codec,
    pub(crate) raw_len: i64,
    pub(crate) data: Bytes,
}

/// The bodies of which anything was kept, by reference.
pub(crate) fn unpacked_bodies<'a>(records: impl Iterator<Item = &'a LogRecord>) -> Vec<PackedBody> {
    let mut bodies = Vec::new();
    for record in records {
        for (side, body) in [(Side::Request, &record.asked.body), (Side::Response, &record.response)] {
            let data = body.bytes();
            if data.is_empty() {
                continue;
            }
            let raw_len = i64::try_from(data.len()).unwrap_or(i64::MAX);
            let (org, id, received_at) = (record.asked.org, record.id, record.timing.received_at);
            bodies.push(PackedBody { org, id, side, received_at, codec: Codec::Raw, raw_len, data });
        }
    }
    bodies
}

/// A chunk of bodies, ready to be stored.
#[derive(Debug)]
pub(crate) struct PackedChunk {
    pub(crate) key: ChunkKey,
    pub(crate) codec: Codec,
    pub(crate) raw_len: i64,
    pub(crate) data: Bytes,
}

/// Compresses bodies and cuts those of conversations, off the threads that serve calls.
pub(crate) async fn pack(
    bodies: Vec<PackedBody>,
    seen: &Arc<Seen>,
) -> Result<(Vec<PackedBody>, Vec<PackedChunk>), StoreError> {
    if bodies.is_empty() {
        return Ok((bodies, Vec::new()));
    }
    let seen = Arc::clone(seen);
    aside(move || {
        // One for the whole batch: making a compressor costs more than compressing a body of a few KiB. Without one
        // (there is no memory for it) bodies are stored as they are; nothing is lost.
        let mut compressor = Compressor::new(LEVEL).ok();
        let mut chunks = BTreeMap::new();
        let pack = |body| match cut_one(body, &seen, &mut chunks) {
            Ok(cut) => cut,
            Err(whole) => pack_one(whole, compressor.as_mut()),
        };
        let bodies = bodies.into_iter().map(pack).collect();
        // In the order of their keys, so that two batches that share some wait for each other and never in a circle.
        let chunks = chunks.into_iter().map(|(key, chunk)| pack_chunk(key, chunk, compressor.as_mut())).collect();
        (bodies, chunks)
    })
    .await
}

/// Cuts a body whose parts were seen before, and adds its chunks that may not be in the store yet.
fn cut_one(
    mut body: PackedBody,
    seen: &Seen,
    chunks: &mut BTreeMap<ChunkKey, Bytes>,
) -> Result<PackedBody, PackedBody> {
    if body.side != Side::Request {
        return Err(body);
    }
    let (org, day) = (body.org.uuid(), chunks::day(body.received_at.micros()));
    let Some(cut) = chunks::chunked(&body.data, |hash| seen.see((org, day, hash))) else { return Err(body) };
    for (hash, chunk) in cut.chunks {
        let key = (org, day, hash);
        if !seen.is_stored(&key) {
            chunks.insert(key, chunk);
        }
    }
    body.codec = Codec::Chunked;
    body.data = cut.recipe.into();
    Ok(body)
}

fn pack_chunk(key: ChunkKey, chunk: Bytes, compressor: Option<&mut Compressor<'_>>) -> PackedChunk {
    let raw_len = i64::try_from(chunk.len()).unwrap_or(i64::MAX);
    match compressor.map(|compressor| compressor.compress(&chunk)) {
        Some(Ok(packed)) if packed.len() < chunk.len() => {
            PackedChunk { key, codec: Codec::Zstd, raw_len, data: packed.into() }
        }
        _ => PackedChunk { key, codec: Codec::Raw, raw_len, data: chunk },
    }
}

fn pack_one(mut body: PackedBody, compressor: Option<&mut Compressor<'_>>) -> PackedBody {
    if body.data.len() < SHORTEST {
        return body;
    }
    // A body that zstd cannot take is stored as it is, too.
    if let Some(Ok(packed)) = compressor.map(|compressor| compressor.compress(&body.data))
        && packed.len() < body.data.len()
    {
        body.codec = Codec::Zstd;
        body.data = packed.into();
    }
    body
}

/// A body's bytes as they were kept.
pub(crate) async fn unpack(codec: Codec, raw_len: i64, data: Vec<u8>) -> Result<Bytes, StoreError> {
    let raw_len = usize::try_from(raw_len).map_err(|why| StoreError::unreadable("a body's length", why))?;
    let raw = match codec {
        Codec::Raw => data,
        Codec::Zstd => aside(move || zstd::bulk::decompress(&data, raw_len))
            .await?
            .map_err(|why| StoreError::unreadable("a body", why))?,
        Codec::Chunked => return Err(StoreError::unreadable("a body", "a recipe stands where bytes should")),
    };
    if raw.len() != raw_len {
        return Err(StoreError::unreadable("a body", format_args!("{} of {raw_len} bytes are there", raw.len())));
    }
    Ok(raw.into())
}

async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|why| StoreError::Failed(format!("compression ended early: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_damaged_body_is_an_error_and_not_other_bytes() {
        let whole = vec![b'x'; 10_000];
        let packed = zstd::bulk::compress(&whole, LEVEL).unwrap();
        assert_eq!(unpack(Codec::Zstd, 10_000, packed.clone()).await.unwrap(), whole);
        for (len, data) in [(9_999, packed.clone()), (10_001, packed.clone()), (10_000, packed[1..].to_vec())] {
            assert!(matches!(unpack(Codec::Zstd, len, data).await, Err(StoreError::Failed(_))));
        }
        assert!(matches!(unpack(Codec::Raw, 3, vec![1]).await, Err(StoreError::Failed(_))));
    }
}
