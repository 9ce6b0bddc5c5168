//! Observers of answers that pass untouched.
//!
//! A tap and a translating reader of the same bytes must say the same of them, so both are built around one [`Watch`]
//! per dialect: it sees the stream's events one by one, or the document as a whole, and takes from them what goes on the
//! record. A watch scans for the few fields it needs and parses only what is rare.

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use tachograph_record::{Reading, Tap};

use crate::array::Elements;
use crate::frames::Frames;
use crate::sse::{Event, Splitter};
use crate::{fault, json};

/// The most bytes of a document that is held to be read at its end; of a larger one only that it ended is known.
const MAX_DOCUMENT: usize = 64 << 20;

/// What one dialect takes from an answer for the record.
pub(crate) trait Watch: Send {
    /// Whether a stream may come as one JSON array, whose elements are its events.
    const STREAMS_ARRAYS: bool = false;
    /// Whether a stream may come as objects one after the other, a line each. A whole answer is then a stream of one.
    const STREAMS_LINES: bool = false;
    /// Whether a stream comes in Amazon's binary frames.
    const STREAMS_FRAMES: bool = false;

    /// Sees one event of a stream. Returns whether content has been seen so far.
    fn event(&mut self, event: &Event<'_>) -> bool;

    /// Sees a whole successful document.
    fn document(&mut self, body: &[u8]);

    /// Whether a stream's terminal event has been seen, behind which the record wants nothing more.
    fn is_over(&self) -> bool {
        false
    }

    /// What was seen.
    fn reading(&mut self) -> Reading;
}

/// How the bytes of an answer are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// Not known before the first byte.
    Undecided,
    Stream,
    /// A stream whose events are the elements of an array, or objects one after the other.
    Array,
    /// A stream of binary frames.
    Frames,
    Document,
}

/// The tap of a dialect.
pub(crate) struct DialectTap<W> {
    watch: W,
    body: Body,
    stream: bool,
    status: u16,
    splitter: Splitter,
    elements: Elements,
    frames: Frames,
    document: Vec<Bytes>,
    held: usize,
    content: bool,
}

impl<W: Watch + Default> DialectTap<W> {
    pub(crate) fn new(stream: bool, status: u16) -> Self {
        Self::with(W::default(), stream, status)
    }
}

impl<W: Watch> DialectTap<W> {
    /// The tap around a watch that was made beforehand.
    pub(crate) fn with(watch: W, stream: bool, status: u16) -> Self {
        let body = if status >= 400 { Body::Document } else { Body::Undecided };
        Self {
            watch,
            body,
            stream,
            status,
            splitter: Splitter::default(),
            elements: Elements::default(),
            frames: Frames::default(),
            document: Vec::new(),
            held: 0,
            content: false,
        }
    }

    fn is_error(&self) -> bool {
        self.status >= 400
    }
}

/// Whether an answer is a stream, by its first byte that is no space: what was asked for is only a hint, for some
/// servers answer a document to a request for a stream, and the other way round.
fn looks_like(stream: bool, piece: &[u8]) -> Option<Body> {
    let first = *piece.iter().find(|byte| !byte.is_ascii_whitespace())?;
    Some(match first {
        b'{' | b'[' | b'<' => Body::Document,
        b'd' | b'e' | b':' => Body::Stream,
        _ if stream => Body::Stream,
        _ => Body::Document,
    })
}

fn begins(piece: &[u8], first: &[u8]) -> bool {
    piece.trim_ascii_start().starts_with(first)
}

impl<W: Watch> Tap for DialectTap<W> {
    fn see(&mut self, piece: &Bytes) -> bool {
        if self.body == Body::Undecided {
            self.body = match looks_like(self.stream, piece) {
                None => Body::Undecided,
                Some(_) if W::STREAMS_FRAMES && piece.first() == Some(&0) => Body::Frames,
                Some(Body::Document) if W::STREAMS_ARRAYS && begins(piece, b"[") => Body::Array,
                Some(Body::Document) if W::STREAMS_LINES && begins(piece, b"{") => Body::Array,
                Some(body) => body,
            };
        }
        match self.body {
            Body::Stream => {
                let Self { watch, splitter, content, .. } = self;
                splitter.push(piece, |event| *content = watch.event(&event));
            }
            Body::Array => {
                let Self { watch, elements, content, .. } = self;
                elements.push(piece, |element| *content = watch.event(&Event { name: b"", data: element.into() }));
            }
            Body::Frames => {
                let Self { watch, frames, content, .. } = self;
                frames.push(piece, |event| *content = watch.event(&event));
            }
            Body::Document => {
                // A document's content is there as soon as the document is; its parts do not come one by one.
                self.content = !self.is_error();
                self.held += piece.len();
                if self.held <= MAX_DOCUMENT {
                    self.document.push(piece.clone());
                }
            }
            Body::Undecided => {}
        }
        self.content
    }

    fn settled(&self) -> bool {
        self.body == Body::Stream && self.watch.is_over()
    }

    fn finish(&mut self) -> Reading {
        if self.body == Body::Stream {
            let Self { watch, splitter, content, .. } = self;
            splitter.finish(|event| *content = watch.event(&event));
            return self.watch.reading();
        }
        if matches!(self.body, Body::Array | Body::Frames) {
            return self.watch.reading();
        }
        let body = joined(std::mem::take(&mut self.document));
        if self.is_error() {
            let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY);
            return Reading { error: Some(fault::recorded_error(status, &body)), ended: true, ..Reading::default() };
        }
        if self.held > MAX_DOCUMENT {
            return Reading { ended: true, ..Reading::default() };
        }
        self.watch.document(&body);
        let whole = json::is_object(&body) || !body.trim_ascii_start().starts_with(b"{");
        Reading { ended: whole && !body.is_empty(), ..self.watch.reading() }
    }
}

fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.swap_remove(0);
    }
    let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
    whole.freeze()
}

/// A tap for bodies that are not understood: content is there with the first byte, and the answer has ended when it is
/// closed. It reads nothing.
#[must_use]
pub fn opaque_tap() -> Box<dyn Tap> {
    #[derive(Default)]
    struct Opaque {
        seen: bool,
    }
    impl Tap for Opaque {
        fn see(&mut self, piece: &Bytes) -> bool {
            self.seen |= !piece.is_empty();
            self.seen
        }

        fn finish(&mut self) -> Reading {
            Reading { ended: true, ..Reading::default() }
        }
    }
    Box::<Opaque>::default()
}
