//! What an entry of the spool says: one byte for its kind, then a record as `tachograph_record` encodes it.

use bytes::{Buf, Bytes};
use tachograph_record::{DecodeError, LogRecord};
use tachograph_spool::{BLOCK_HEAD, Entry};

const OPENED: u8 = 1;
const CLOSED: u8 = 2;

/// An entry, read.
pub(crate) enum Told {
    /// A call is under way; this is its record if the process dies before it is closed.
    Opened(LogRecord),
    /// A call is over.
    Closed(LogRecord),
}

pub(crate) fn opened(record: &LogRecord) -> Option<Entry> {
    entry(OPENED, record)
}

pub(crate) fn closed(record: &LogRecord) -> Option<Entry> {
    entry(CLOSED, record)
}

fn entry(kind: u8, record: &LogRecord) -> Option<Entry> {
    let mut encoded = record.encode(BLOCK_HEAD + 1);
    encoded.head[BLOCK_HEAD] = kind;
    let entry = Entry::new(encoded.head, encoded.pieces);
    entry.inspect_err(|_| tracing::error!(id = %record.id, "a record is longer than 4 GiB; it is lost")).ok()
}

pub(crate) fn read(mut entry: Bytes) -> Result<Told, DecodeError> {
    match entry.try_get_u8() {
        Ok(OPENED) => LogRecord::decode(&entry).map(Told::Opened),
        Ok(CLOSED) => LogRecord::decode(&entry).map(Told::Closed),
        Ok(other) => Err(DecodeError::Version(other)),
        Err(_) => Err(DecodeError::Malformed),
    }
}
