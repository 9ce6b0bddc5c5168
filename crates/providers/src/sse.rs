//! Server-sent events, cut out of a byte stream that arrives in arbitrary pieces.
//!
//! The rules are WHATWG's: a line ends at CR, LF or CRLF *bytes* (U+2028 and its like are data), a blank line ends an
//! event, lines that start with a colon are comments, several `data` lines are one datum joined by LF, a byte order mark
//! may come first. Two things are wider than WHATWG, because providers need it: bytes after the last blank line are an
//! event at [`Splitter::finish`], and an event has a greatest size.
//!
//! ```
//! use tachograph_providers::sse::Splitter;
//!
//! let mut seen = Vec::new();
//! let mut splitter = Splitter::default();
//! for piece in ["event: del", "ta\r\ndata: {\"a\"", ":1}\r", "\n\r\n: ping\n\ndata: [DONE]"] {
//!     splitter.push(piece.as_bytes(), |event| seen.push((event.name.to_vec(), event.data.to_vec())));
//! }
//! splitter.finish(|event| seen.push((event.name.to_vec(), event.data.to_vec())));
//! assert_eq!(seen, [(b"delta".to_vec(), b"{\"a\":1}".to_vec()), (Vec::new(), b"[DONE]".to_vec())]);
//! ```

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;

/// The greatest size of an event in bytes unless another is given: pictures come as single events of some megabytes.
pub const MAX_EVENT: usize = 32 << 20;

/// One event. Both parts borrow from the bytes they stood in, unless `data` had several lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The `event` field; empty where there was none.
    pub name: &'a [u8],
    /// The `data` fields, joined by LF.
    pub data: Cow<'a, [u8]>,
}

/// Finds where events end, over any split of the bytes. It keeps no bytes, only where in a line it is.
#[derive(Clone, Debug)]
pub(crate) struct Boundaries {
    line_is_empty: bool,
    after_cr: bool,
}

impl Default for Boundaries {
    fn default() -> Self {
        Self { line_is_empty: true, after_cr: false }
    }
}

impl Boundaries {
    /// Whether the last byte seen was a CR, so that an LF that comes next belongs to it.
    pub(crate) fn after_cr(&self) -> bool {
        self.after_cr
    }

    /// Looks at `bytes` from `at` on. `Some` is the place just past the blank line that ends an event; `None` says that
    /// all bytes were looked at.
    pub(crate) fn next(&mut self, bytes: &[u8], mut at: usize) -> Option<usize> {
        if self.after_cr && at < bytes.len() {
            self.after_cr = false;
            at += usize::from(bytes[at] == b'\n');
        }
        while at < bytes.len() {
            let end = at + memchr2(b'\n', b'\r', &bytes[at..]).unwrap_or(bytes.len() - at);
            let is_blank = self.line_is_empty && end == at;
            self.line_is_empty &= end == at;
            if end == bytes.len() {
                return None;
            }
            at = end + 1;
            self.line_is_empty = true;
            if bytes[end] == b'\r' {
                match bytes.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            if is_blank {
                return Some(at);
            }
        }
        None
    }
}

/// Cuts a byte stream into events. See the module's page.
#[derive(Clone, Debug)]
pub struct Splitter {
    boundaries: Boundaries,
    /// The beginning of an event whose end has not come yet.
    held: Vec<u8>,
    max_event: usize,
    skipping: bool,
    at_start: bool,
    oversized: u64,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::with_max_event(MAX_EVENT)
    }
}

impl Splitter {
    /// A splitter that skips events of more than `max_event` bytes and goes on with the next one; how many it skipped
    /// is told by [`oversized`](Self::oversized).
    #[must_use]
    pub fn with_max_event(max_event: usize) -> Self {
        Self {
            boundaries: Boundaries::default(),
            held: Vec::new(),
            max_event,
            skipping: false,
            at_start: true,
            oversized: 0,
        }
    }

    /// How many events were skipped because they were too large.
    #[must_use]
    pub fn oversized(&self) -> u64 {
        self.oversized
    }

    /// Takes the next bytes and hands over every event that is now whole. An event that stands whole in `bytes` is not
    /// copied.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Event<'_>)) {
        let mut start = 0;
        while let Some(end) = self.boundaries.next(bytes, start) {
            let size = self.held.len() + end - start;
            if self.skipping || size > self.max_event {
                self.oversized += 1;
                self.skipping = false;
            } else if self.held.is_empty() {
                self.emit(&bytes[start..end], &mut each);
            } else {
                let mut whole = std::mem::take(&mut self.held);
                whole.extend_from_slice(&bytes[start..end]);
                self.emit(&whole, &mut each);
                whole.clear();
                self.held = whole;
            }
            self.held.clear();
            start = end;
        }
        let rest = &bytes[start..];
        if self.skipping || self.held.len() + rest.len() > self.max_event {
            self.skipping = true;
            self.held = Vec::new();
        } else {
            self.held.extend_from_slice(rest);
        }
    }

    /// No more bytes will come: hands over what stood after the last blank line.
    pub fn finish(&mut self, mut each: impl FnMut(Event<'_>)) {
        if self.skipping {
            self.oversized += 1;
            self.skipping = false;
        }
        let rest = std::mem::take(&mut self.held);
        self.emit(&rest, &mut each);
    }

    fn emit(&mut self, mut raw: &[u8], each: &mut impl FnMut(Event<'_>)) {
        if self.at_start && !raw.is_empty() {
            self.at_start = false;
            raw = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw);
        }
        if let Some(event) = parse(raw) {
            each(event);
        }
    }
}

/// Reads one event from the lines it is made of. `None` where it holds no `data` field.
fn parse(raw: &[u8]) -> Option<Event<'_>> {
    let mut name: &[u8] = b"";
    let mut data: Option<Cow<'_, [u8]>> = None;
    for line in lines(raw) {
        match field(&raw[line]) {
            (b"data", value) => match &mut data {
                None => data = Some(Cow::Borrowed(value)),
                Some(joined) => {
                    let joined = joined.to_mut();
                    joined.push(b'\n');
                    joined.extend_from_slice(value);
                }
            },
            (b"event", value) => name = value,
            _ => {}
        }
    }
    data.map(|data| Event { name, data })
}

/// Where the datum of an event stands among its bytes, if it has exactly one `data` line.
pub(crate) fn data_range(raw: &[u8]) -> Option<Range<usize>> {
    let mut found = None;
    for line in lines(raw) {
        if let (b"data", value) = field(&raw[line.clone()]) {
            if found.is_some() {
                return None;
            }
            found = Some(line.end - value.len()..line.end);
        }
    }
    found
}

fn lines(raw: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        (at < raw.len()).then(|| {
            let start = at;
            let end = start + memchr2(b'\n', b'\r', &raw[start..]).unwrap_or(raw.len() - start);
            // A CRLF read as two ends gives a blank line between, which holds no field.
            at = end + 1;
            start..end
        })
    })
}

/// A line's name and value: split at the first colon, one space after it dropped.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b':', line) {
        Some(colon) => {
            let value = &line[colon + 1..];
            (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
        }
        None => (line, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]], max: usize) -> (Vec<(String, String)>, u64) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut seen = Vec::new();
        let mut splitter = Splitter::with_max_event(max);
        for piece in pieces {
            splitter.push(piece, |event| seen.push((text(event.name), text(&event.data))));
        }
        splitter.finish(|event| seen.push((text(event.name), text(&event.data))));
        (seen, splitter.oversized())
    }

    #[test]
    fn all_line_ends_comments_and_joined_data_at_every_split() {
        let stream = "\u{feff}: hi\r\ndata: one\r\n\r\nevent: e\rdata: t\u{2028}wo\r\rdata:three\ndata\ndata:  four\n\n\nid: 1\n\ndata: last";
        let want: Vec<(String, String)> = [("", "one"), ("e", "t\u{2028}wo"), ("", "three\n\n four"), ("", "last")]
            .map(|(name, data)| (name.to_owned(), data.to_owned()))
            .to_vec();
        let bytes = stream.as_bytes();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(events(&pieces, MAX_EVENT).0, want, "split at {first} and {second}");
            }
        }
    }

    #[test]
    fn an_oversized_event_is_skipped_and_counted() {
        let stream: &[u8] = b"data: 0123456789\n\ndata: ok\n\n";
        for split in 0..=stream.len() {
            let (seen, oversized) = events(&[&stream[..split], &stream[split..]], 12);
            assert_eq!((seen, oversized), (vec![(String::new(), "ok".to_owned())], 1), "split at {split}");
        }
        assert_eq!(events(&[b"data: 0123456789"], 12), (Vec::new(), 1));
    }
}
