//! An entry on its way into the spool.

use bytes::Bytes;

use crate::format::{BLOCK_HEAD, BlockHead};

/// An entry: bytes behind [`BLOCK_HEAD`] reserved ones, and what follows them by reference.
#[derive(Debug)]
pub struct Entry {
    head: Vec<u8>,
    pieces: Vec<Bytes>,
    len: u32,
    sum: u32,
}

/// An entry is longer than 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Entry {
    /// An entry of `head` without its first [`BLOCK_HEAD`] bytes, which are the spool's to fill, and then the pieces.
    ///
    /// # Errors
    /// Where it is longer than 4 GiB.
    pub fn new(mut head: Vec<u8>, pieces: Vec<Bytes>) -> Result<Self, TooLong> {
        if head.len() < BLOCK_HEAD {
            head.resize(BLOCK_HEAD, 0);
        }
        let len = head.len() - BLOCK_HEAD + pieces.iter().map(Bytes::len).sum::<usize>();
        let mut sum = crc32fast::Hasher::new();
        sum.update(&head[BLOCK_HEAD..]);
        pieces.iter().for_each(|piece| sum.update(piece));
        Ok(Self { head, pieces, len: u32::try_from(len).map_err(|_| TooLong)?, sum: sum.finalize() })
    }

    /// An entry that is a copy of these bytes.
    ///
    /// # Errors
    /// Where it is longer than 4 GiB.
    pub fn copied(bytes: &[u8]) -> Result<Self, TooLong> {
        Self::new([&[0; BLOCK_HEAD], bytes].concat(), Vec::new())
    }

    /// The length of its block in bytes.
    pub(crate) fn block_len(&self) -> u64 {
        BLOCK_HEAD as u64 + u64::from(self.len)
    }

    /// The memory it takes, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.head.capacity() + self.pieces.iter().map(Bytes::len).sum::<usize>()
    }

    /// Fills in the block's head.
    pub(crate) fn number(&mut self, sequence: u64, written_at: i64) {
        let head = BlockHead { len: self.len, sequence, written_at, sum: self.sum };
        head.write(&mut self.head[..BLOCK_HEAD]);
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&self.head[..]).chain(self.pieces.iter().map(|piece| &piece[..]))
    }
}
