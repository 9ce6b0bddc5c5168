//! Records on their way from a gateway to a logger.
//!
//! `POST /v1/ingest`, `Authorization: Bearer <logger.key>`, `Content-Encoding: zstd`: records one behind the other, each as
//! a u32 length (little-endian) and the record as `tachograph_record` encodes it. `POST /v1/ingest/progress`: how far the
//! gateway's record is complete, as JSON.

use bytes::{Buf, Bytes};
use tachograph_record::{DecodeError, LogRecord};

pub(crate) const PATH: &str = "/v1/ingest";
pub(crate) const PROGRESS_PATH: &str = "/v1/ingest/progress";
pub(crate) const CONTENT: &str = "application/vnd.tachograph.records";

pub(crate) fn write(records: &[LogRecord]) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::new();
    for record in records {
        let encoded = record.encode(0);
        let len = u32::try_from(encoded.len()).map_err(|_| DecodeError::Malformed)?;
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&encoded.head);
        encoded.pieces.iter().for_each(|piece| out.extend_from_slice(piece));
    }
    Ok(out)
}

pub(crate) fn read(mut bytes: Bytes) -> Result<Vec<LogRecord>, DecodeError> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let len = bytes.try_get_u32_le().map_err(|_| DecodeError::Malformed)? as usize;
        if len > bytes.len() {
            return Err(DecodeError::Malformed);
        }
        records.push(LogRecord::decode(&bytes.split_to(len))?);
    }
    Ok(records)
}
