//! Blocks read one after the other.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::{Bytes, BytesMut};

use crate::format::{BLOCK_HEAD, BlockHead, next_head};

/// Read from a file at once, in bytes; a larger block is read whole.
const WINDOW: u64 = 1 << 20;

/// What stands at a place of a segment.
pub(crate) enum Step {
    /// A whole block.
    Block { head: BlockHead, entry: Bytes, next: u64 },
    /// Damaged bytes up to there; of which number, where the head could be read.
    Damaged { to: u64, sequence: Option<u64> },
    /// A block that was begun and never finished.
    Torn,
    /// Nothing more.
    End,
}

/// Reads blocks through a window onto the file.
#[derive(Default)]
pub(crate) struct Scan {
    window: Bytes,
    from: u64,
}

impl Scan {
    /// What stands at `at`, of a file whose blocks end at `limit`.
    pub(crate) fn step(&mut self, file: &File, at: u64, limit: u64) -> io::Result<Step> {
        if at >= limit {
            return Ok(Step::End);
        }
        if limit - at < BLOCK_HEAD as u64 {
            return Ok(Step::Torn);
        }
        let start = self.bytes(file, at, BLOCK_HEAD as u64, limit)?;
        let Some(head) = BlockHead::read(&start) else { return self.behind_damage(file, at, limit, None) };
        let next = at + head.block_len();
        if next > limit {
            // A head that is whole promises more than is there. If blocks follow all the same, it lies.
            return Ok(match self.behind_damage(file, at, limit, Some(head.sequence))? {
                Step::Damaged { to, sequence } if to < limit => Step::Damaged { to, sequence },
                _ => Step::Torn,
            });
        }
        let block = self.bytes(file, at, head.block_len(), limit)?;
        let entry = block.slice(BLOCK_HEAD..);
        if crc32fast::hash(&entry) == head.sum {
            return Ok(Step::Block { head, entry, next });
        }
        Ok(Step::Damaged { to: next, sequence: Some(head.sequence) })
    }

    fn behind_damage(&mut self, file: &File, at: u64, limit: u64, sequence: Option<u64>) -> io::Result<Step> {
        let rest = self.bytes(file, at, limit - at, limit)?;
        let to = next_head(&rest, 1).map_or(limit, |found| at + found as u64);
        Ok(Step::Damaged { to, sequence })
    }

    /// So many bytes from `at` on, through the window.
    pub(crate) fn bytes(&mut self, file: &File, at: u64, len: u64, limit: u64) -> io::Result<Bytes> {
        let inside = at >= self.from && at + len <= self.from + self.window.len() as u64;
        if !inside {
            let wanted = len.max(WINDOW).min(limit - at);
            let mut window = BytesMut::zeroed(usize::try_from(wanted).map_err(io::Error::other)?);
            file.read_exact_at(&mut window, at)?;
            (self.window, self.from) = (window.freeze(), at);
        }
        let start = usize::try_from(at - self.from).map_err(io::Error::other)?;
        let len = usize::try_from(len).map_err(io::Error::other)?;
        Ok(self.window.slice(start..start + len))
    }
}
