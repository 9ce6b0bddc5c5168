//! What stands in a segment file, byte by byte.
//!
//! ```text
//! segment   "TGSPOOL1" | spool's id (16) | first sequence number u64 | crc32 of these 32 bytes
//!           then blocks, one behind the other
//! block     magic "TgBk" | length u32 | sequence number u64 | written at, µs since the epoch, i64
//!           | crc32 of the entry | crc32 of these 28 bytes | the entry: so many bytes as `length` says
//! ```
//!
//! Integers are little-endian. A block's head has a checksum of its own, so a damaged entry is skipped exactly; behind a
//! damaged head the next whole head is looked for. Sequence numbers count up by one within a spool, over all its segments
//! and runs, so whatever is missing shows. A segment's file is named by its first number: `00000000000000000001.seg`.

use std::path::{Path, PathBuf};

use uuid::Uuid;

pub(crate) const SEGMENT_HEAD: usize = 36;
/// The bytes of a block before its entry.
pub const BLOCK_HEAD: usize = 32;
const SEGMENT_MAGIC: &[u8; 8] = b"TGSPOOL1";
const BLOCK_MAGIC: &[u8; 4] = b"TgBk";

/// The head of a segment.
pub(crate) fn segment_head(spool: Uuid, first: u64) -> [u8; SEGMENT_HEAD] {
    let mut head = [0; SEGMENT_HEAD];
    head[..8].copy_from_slice(SEGMENT_MAGIC);
    head[8..24].copy_from_slice(spool.as_bytes());
    head[24..32].copy_from_slice(&first.to_le_bytes());
    let sum = crc32fast::hash(&head[..32]);
    head[32..].copy_from_slice(&sum.to_le_bytes());
    head
}

/// Whether these bytes begin a segment.
pub(crate) fn is_segment_head(bytes: &[u8]) -> bool {
    bytes.len() >= SEGMENT_HEAD
        && &bytes[..8] == SEGMENT_MAGIC
        && bytes[32..36] == crc32fast::hash(&bytes[..32]).to_le_bytes()
}

/// The head of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockHead {
    pub(crate) len: u32,
    pub(crate) sequence: u64,
    pub(crate) written_at: i64,
    pub(crate) sum: u32,
}

impl BlockHead {
    pub(crate) fn write(self, out: &mut [u8]) {
        out[..4].copy_from_slice(BLOCK_MAGIC);
        out[4..8].copy_from_slice(&self.len.to_le_bytes());
        out[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        out[16..24].copy_from_slice(&self.written_at.to_le_bytes());
        out[24..28].copy_from_slice(&self.sum.to_le_bytes());
        let sum = crc32fast::hash(&out[..28]);
        out[28..32].copy_from_slice(&sum.to_le_bytes());
    }

    /// Reads a head; `None` where these bytes are none.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let head: &[u8; BLOCK_HEAD] = bytes.get(..BLOCK_HEAD)?.try_into().ok()?;
        if &head[..4] != BLOCK_MAGIC || head[28..32] != crc32fast::hash(&head[..28]).to_le_bytes() {
            return None;
        }
        let four = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let eight = |at: usize| u64::from(four(at)) | u64::from(four(at + 4)) << 32;
        Some(Self { len: four(4), sequence: eight(8), written_at: eight(16).cast_signed(), sum: four(24) })
    }

    /// The whole block's length in bytes.
    pub(crate) fn block_len(self) -> u64 {
        BLOCK_HEAD as u64 + u64::from(self.len)
    }
}

/// Where the next whole head stands in these bytes, from `from` on.
pub(crate) fn next_head(bytes: &[u8], from: usize) -> Option<usize> {
    let last = bytes.len().checked_sub(BLOCK_HEAD)?;
    (from..=last).find(|&at| bytes[at] == BLOCK_MAGIC[0] && BlockHead::read(&bytes[at..]).is_some())
}

pub(crate) fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.seg"))
}

/// The segments in a directory, the oldest first.
pub(crate) fn segments(dir: &Path) -> std::io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let first: Option<u64> =
            name.to_str().and_then(|name| name.strip_suffix(".seg")).and_then(|name| name.parse().ok());
        found.extend(first);
    }
    found.sort_unstable();
    Ok(found)
}
