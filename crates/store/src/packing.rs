//! Bodies as they are stored: zstd where that is shorter, with the length of what was kept.

use bytes::Bytes;
use tachograph_record::{LogRecord, OrgId, RecordId, Timestamp};
use zstd::bulk::Compressor;

use crate::StoreError;

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
}

impl Codec {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Zstd => "zstd",
        }
    }

    pub(crate) fn of_code(code: &str) -> Option<Self> {
        [Self::Raw, Self::Zstd].into_iter().find(|codec| codec.code() == code)
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

/// Compresses bodies, off the threads that serve calls.
pub(crate) async fn pack(bodies: Vec<PackedBody>) -> Result<Vec<PackedBody>, StoreError> {
    if bodies.is_empty() {
        return Ok(bodies);
    }
    aside(move || {
        // One for the whole batch: making a compressor costs more than compressing a body of a few KiB. Without one
        // (there is no memory for it) bodies are stored as they are; nothing is lost.
        let mut compressor = Compressor::new(LEVEL).ok();
        bodies.into_iter().map(|body| pack_one(body, compressor.as_mut())).collect()
    })
    .await
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
