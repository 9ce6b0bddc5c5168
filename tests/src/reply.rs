//! What an upstream answers, how, and how it fails at it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Semaphore;

/// An answer to one request. Each piece of a body is one HTTP chunk.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(crate) before_head: Option<Duration>,
    pub(crate) head: Bytes,
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) chunked: bool,
    pub(crate) pace: Option<Pace>,
    pub(crate) cut: Option<(usize, Cut)>,
}

/// When the next piece leaves. Without a pace all leave at once.
#[derive(Clone, Debug)]
pub enum Pace {
    /// After so long.
    Every(Duration),
    /// When the test says so: a permit for each piece.
    Told(Arc<Semaphore>),
}

/// How an answer that breaks off breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The connection is reset.
    Reset,
    /// The connection is closed in good order, but early.
    Close,
    /// Nothing comes any more, and the connection stays.
    Silence,
    /// Bytes come that are no HTTP.
    Garbage,
}

impl Reply {
    /// A document of known length.
    #[must_use]
    pub fn document(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let mut head = head(status, headers);
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        Self { before_head: None, head: head.into(), pieces: vec![body], chunked: false, pace: None, cut: None }
    }

    /// A JSON document.
    #[must_use]
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::document(status, &[("content-type", "application/json")], body.to_string())
    }

    /// A body of unknown length, piece by piece.
    #[must_use]
    pub fn chunked(status: u16, headers: &[(&str, &str)], pieces: impl IntoIterator<Item = Bytes>) -> Self {
        let mut head = head(status, headers);
        head.push_str("transfer-encoding: chunked\r\n\r\n");
        let pieces = pieces.into_iter().collect();
        Self { before_head: None, head: head.into(), pieces, chunked: true, pace: None, cut: None }
    }

    /// An event stream, one piece for each event.
    #[must_use]
    pub fn events(stream: &[u8]) -> Self {
        let pieces = crate::sse::events(stream).into_iter().map(Bytes::copy_from_slice);
        Self::chunked(200, &[("content-type", "text/event-stream; charset=utf-8")], pieces)
    }

    /// Nothing at all, for as long as the client stays.
    #[must_use]
    pub fn silence() -> Self {
        let cut = Some((0, Cut::Silence));
        Self { before_head: None, head: Bytes::new(), pieces: Vec::new(), chunked: false, pace: None, cut }
    }

    /// The same body, cut anew into pieces of `size` bytes.
    #[must_use]
    pub fn in_pieces_of(mut self, size: usize) -> Self {
        let mut whole = BytesMut::new();
        self.pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
        let whole = whole.freeze();
        let starts = (0..whole.len()).step_by(size);
        self.pieces = starts.map(|start| whole.slice(start..(start + size).min(whole.len()))).collect();
        self
    }

    /// Breaks off after `pieces` pieces.
    #[must_use]
    pub fn cut_after(mut self, pieces: usize, cut: Cut) -> Self {
        self.cut = Some((pieces, cut));
        self
    }

    /// Sends each piece at this pace.
    #[must_use]
    pub fn paced(mut self, pace: Pace) -> Self {
        self.pace = Some(pace);
        self
    }

    /// Is silent so long before the head.
    #[must_use]
    pub fn after(mut self, silent: Duration) -> Self {
        self.before_head = Some(silent);
        self
    }

    /// How many pieces the body has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether the body has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The body, in one.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        self.pieces.concat()
    }
}

fn head(status: u16, headers: &[(&str, &str)]) -> String {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Odd");
    let mut head = format!("HTTP/1.1 {status} {reason}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head
}
