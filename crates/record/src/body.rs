//! What is kept of a request's or an answer's body.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// How much of a body was kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyState {
    /// There was none.
    #[default]
    Empty,
    /// All of it.
    Whole,
    /// Its beginning, up to the configured cap.
    Truncated,
    /// None of it, by the caller's header or the configuration.
    Omitted,
}

/// A piece below this many bytes is copied: it is a slice of a connection's read buffer, which it would keep whole in
/// memory. A larger one is kept by reference.
const COPIED: usize = 16 << 10;

/// A body as it passed, up to a cap, and its whole length in bytes.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// What came before `tail`.
    pieces: SmallVec<[Bytes; 1]>,
    /// Small pieces, copied together.
    tail: BytesMut,
    kept: usize,
    len: u64,
    state: BodyState,
}

impl Body {
    /// A whole body that has a buffer of its own, kept up to `cap` bytes by reference.
    #[must_use]
    pub fn capture(bytes: &Bytes, cap: usize) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        let kept = bytes.len().min(cap);
        let state = if kept == bytes.len() { BodyState::Whole } else { BodyState::Truncated };
        let pieces = if kept == 0 { SmallVec::new() } else { SmallVec::from_elem(bytes.slice(..kept), 1) };
        Self { pieces, tail: BytesMut::new(), kept, len: bytes.len() as u64, state }
    }

    /// Appends a piece, kept as far as the body stays within `cap` bytes.
    pub fn push(&mut self, piece: &Bytes, cap: usize) {
        if piece.is_empty() {
            return;
        }
        self.len += piece.len() as u64;
        match self.state {
            BodyState::Empty => self.state = BodyState::Whole,
            BodyState::Whole => {}
            BodyState::Truncated | BodyState::Omitted => return,
        }
        let room = cap - self.kept.min(cap);
        if piece.len() <= room {
            self.keep(piece);
        } else {
            self.state = BodyState::Truncated;
            self.keep(&piece.slice(..room));
        }
    }

    fn keep(&mut self, piece: &Bytes) {
        self.kept += piece.len();
        if piece.len() < COPIED {
            self.tail.extend_from_slice(piece);
            return;
        }
        if !self.tail.is_empty() {
            self.pieces.push(self.tail.split().freeze());
        }
        self.pieces.push(piece.clone());
    }

    /// Lets go of the bytes; the length stays.
    pub fn omit(&mut self) {
        if self.state != BodyState::Empty {
            self.state = BodyState::Omitted;
        }
        self.pieces.clear();
        self.tail = BytesMut::new();
        self.kept = 0;
    }

    /// A body of which nothing is to be kept: its length is counted.
    #[must_use]
    pub fn omitted() -> Self {
        Self { state: BodyState::Omitted, ..Self::default() }
    }

    /// How much was kept.
    #[must_use]
    pub fn state(&self) -> BodyState {
        if self.len == 0 { BodyState::Empty } else { self.state }
    }

    /// The length of the whole body in bytes, kept or not.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// How many bytes are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Whether nothing passed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A body as it was kept before: how much, and the length of the whole.
    #[must_use]
    pub fn restored(kept: Bytes, len: u64, state: BodyState) -> Self {
        let pieces = if kept.is_empty() { SmallVec::new() } else { SmallVec::from_elem(kept.clone(), 1) };
        Self { pieces, tail: BytesMut::new(), kept: kept.len(), len, state }
    }

    /// What was kept, in pieces that follow each other.
    pub fn pieces(&self) -> impl Iterator<Item = Bytes> {
        let tail = (!self.tail.is_empty()).then(|| Bytes::copy_from_slice(&self.tail));
        self.pieces.iter().cloned().chain(tail)
    }

    /// Appends what was kept to a buffer.
    pub fn copy_into(&self, out: &mut Vec<u8>) {
        self.pieces.iter().for_each(|piece| out.extend_from_slice(piece));
        out.extend_from_slice(&self.tail);
    }

    /// What was kept, in one piece.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        match (&self.pieces[..], &self.tail[..]) {
            ([], tail) => Bytes::copy_from_slice(tail),
            ([one], []) => one.clone(),
            (many, tail) => {
                let mut whole = BytesMut::with_capacity(self.kept);
                many.iter().for_each(|piece| whole.extend_from_slice(piece));
                whole.extend_from_slice(tail);
                whole.freeze()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_up_to_the_cap_and_counts_the_rest() {
        let mut body = Body::default();
        assert_eq!(body.state(), BodyState::Empty);
        for piece in ["abc", "defg", "h"] {
            body.push(&Bytes::from_static(piece.as_bytes()), 5);
        }
        assert_eq!((body.bytes().as_ref(), body.len(), body.state()), (&b"abcde"[..], 8, BodyState::Truncated));
        body.omit();
        assert_eq!((body.bytes().len(), body.len(), body.state()), (0, 8, BodyState::Omitted));
    }

    #[test]
    fn large_and_small_pieces_keep_their_order() {
        let mut body = Body::default();
        let pieces =
            [vec![b'a'; 10], vec![b'b'; COPIED], vec![b'c'; 3], vec![b'd'; 4], vec![b'e'; COPIED + 1], vec![b'f']];
        pieces.iter().for_each(|piece| body.push(&Bytes::from(piece.clone()), usize::MAX));
        assert_eq!(body.bytes(), pieces.concat());
        assert_eq!((body.len(), body.kept()), (body.bytes().len() as u64, body.bytes().len()));
    }

    #[test]
    fn a_small_piece_does_not_hold_the_buffer_it_is_a_slice_of() {
        let buffer = Bytes::from(vec![b'x'; 8192]);
        let mut body = Body::default();
        body.push(&buffer.slice(..100), usize::MAX);
        assert!(buffer.is_unique() && body.kept() == 100);
    }

    #[test]
    fn exactly_the_cap_is_whole() {
        let body = Body::capture(&Bytes::from_static(b"abc"), 3);
        assert_eq!((body.bytes().as_ref(), body.state()), (&b"abc"[..], BodyState::Whole));
    }
}
