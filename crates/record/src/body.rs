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

/// A body as it passed: pieces by reference up to a cap, and its whole length in bytes.
#[derive(Clone, Debug, Default)]
pub struct Body {
    pieces: SmallVec<[Bytes; 2]>,
    kept: usize,
    len: u64,
    state: BodyState,
}

impl Body {
    /// A body of one piece, kept up to `cap` bytes.
    #[must_use]
    pub fn capture(bytes: &Bytes, cap: usize) -> Self {
        let mut body = Self::default();
        body.push(bytes, cap);
        body
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
            self.kept += piece.len();
            self.pieces.push(piece.clone());
        } else {
            self.state = BodyState::Truncated;
            self.kept += room;
            if room > 0 {
                self.pieces.push(piece.slice(..room));
            }
        }
    }

    /// Lets go of the bytes; the length stays.
    pub fn omit(&mut self) {
        if self.state != BodyState::Empty {
            self.state = BodyState::Omitted;
        }
        self.pieces.clear();
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

    /// What was kept, in one piece.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        match &self.pieces[..] {
            [] => Bytes::new(),
            [one] => one.clone(),
            many => {
                let mut whole = BytesMut::with_capacity(self.kept);
                many.iter().for_each(|piece| whole.extend_from_slice(piece));
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
    fn exactly_the_cap_is_whole() {
        let body = Body::capture(&Bytes::from_static(b"abc"), 3);
        assert_eq!((body.bytes().as_ref(), body.state()), (&b"abc"[..], BodyState::Whole));
    }
}
