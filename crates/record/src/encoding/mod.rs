//! A record as bytes: in the spool on disk and on the way to a logger; parts of it in a store's rows.
//!
//! ```text
//! version    u8    2
//! members    everything but the bodies, as `members` lists it: no names, each value as short as it is
//! request    state u8 (0 empty, 1 whole, 2 truncated, 3 omitted), whole length, length kept
//! answer     the same
//! bytes      what was kept of the request, then of the answer
//! ```
//!
//! Numbers and lengths are seven bits a byte, the lowest first, the eighth bit set where more follow; amounts of money the
//! same with their sign in the lowest bit. A text is twice its length and its bytes, or twice its number in the list
//! `words` and one. What may be absent has a 0 or 1 before it, a list its length, a choice its byte. Bodies stand as they
//! came: nothing is escaped, and large ones are not copied.
//!
//! Version 1, which is still read, held the members as JSON, parameters behind it, and integers as they are in memory.

mod binary;
mod members;
mod version_1;
mod words;

use std::fmt;

use bytes::Bytes;

pub use binary::{Binary, Input};

use crate::{Body, BodyState, LogRecord};

const VERSION: u8 = 2;
/// A body longer than this is handed on by reference instead of being copied.
const COPIED: usize = 32 << 10;
/// The members of one record rarely exceed this.
const USUAL: usize = 768;

/// A record as bytes: `head`, then the pieces.
#[derive(Debug, Default)]
pub struct Encoded {
    /// All of a small record; of one with a large body what stands before it.
    pub head: Vec<u8>,
    /// Large bodies, by reference, in order.
    pub pieces: Vec<Bytes>,
}

impl Encoded {
    /// The length of the whole, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.len() + self.pieces.iter().map(Bytes::len).sum::<usize>()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.pieces.is_empty()
    }

    /// The whole in one piece.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        self.pieces.iter().for_each(|piece| self.head.extend_from_slice(piece));
        self.head.into()
    }
}

/// Why bytes are no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// They are of a version that this program does not know.
    Version(u8),
    /// They end early, or lengths contradict each other.
    Malformed,
    /// The JSON, of version 1, is not that of a record.
    Fields(String),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "the record is of version {version}, which this program does not know"),
            Self::Malformed => f.write_str("the record's lengths contradict each other"),
            Self::Fields(why) => write!(f, "the record's fields cannot be read: {why}"),
        }
    }
}

impl std::error::Error for DecodeError {}

impl LogRecord {
    /// The record as bytes, behind `reserved` zero bytes that the caller may fill with a header of its own.
    #[must_use]
    pub fn encode(&self, reserved: usize) -> Encoded {
        let bodies = [&self.asked.body, &self.response];
        let copied: usize = bodies.iter().map(|body| body.kept()).filter(|&kept| kept <= COPIED).sum();
        let mut head = Vec::with_capacity(reserved + USUAL + copied);
        head.resize(reserved, 0);
        head.push(VERSION);
        self.write(&mut head);
        for body in bodies {
            body.state().write(&mut head);
            body.len().write(&mut head);
            (body.kept() as u64).write(&mut head);
        }
        let mut pieces = Vec::new();
        for body in bodies {
            if body.kept() <= COPIED && pieces.is_empty() {
                body.copy_into(&mut head);
            } else {
                pieces.extend(body.pieces());
            }
        }
        Encoded { head, pieces }
    }

    /// Reads a record. Its bodies are slices of `bytes`.
    ///
    /// # Errors
    /// Where the bytes are no record that this program can read.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut input = Input::new(bytes);
        match input.byte()? {
            VERSION => {}
            version_1::VERSION => return version_1::decode(bytes.slice(1..)),
            version => return Err(DecodeError::Version(version)),
        }
        let mut record = Self::read(&mut input)?;
        let (request, answer) = (BodyHead::read(&mut input)?, BodyHead::read(&mut input)?);
        record.asked.body = request.body(&mut input)?;
        record.response = answer.body(&mut input)?;
        if input.is_empty() { Ok(record) } else { Err(DecodeError::Malformed) }
    }
}

struct BodyHead {
    state: BodyState,
    len: u64,
    kept: usize,
}

impl BodyHead {
    fn read(input: &mut Input<'_>) -> Result<Self, DecodeError> {
        Ok(Self { state: BodyState::read(input)?, len: u64::read(input)?, kept: input.length()? })
    }

    fn body(self, input: &mut Input<'_>) -> Result<Body, DecodeError> {
        Ok(Body::restored(input.share(self.kept)?, self.len, self.state))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Asked, Control, CostState, Outcome, Reading, RecordId, Timestamp, Timing, UsageReading};

    fn record(request: &[u8], answer: &[u8], user: &str) -> LogRecord {
        let mut asked = Asked { path: format!("/v1/{user}"), ..Asked::default() };
        asked.attribution.user = Some(user.to_owned());
        asked.attribution.set_property(user, "\u{0}\u{1a}\"");
        asked.parameters.push(Bytes::from_static(b"temperature"), Bytes::from_static(b"0.50"));
        asked.parameters.push(Bytes::from_static(b"odd"), Bytes::from_static(b"no JSON"));
        asked.body = Body::capture(&Bytes::copy_from_slice(request), 1 << 16);
        let mut response = Body::default();
        answer.chunks(1000).for_each(|piece| response.push(&Bytes::copy_from_slice(piece), 1 << 20));
        LogRecord {
            id: RecordId::generate(),
            asked,
            provider: Some("openai".into()),
            provider_model: None,
            attempts: vec![crate::Attempt { sent_us: 7, ..crate::Attempt::default() }],
            status: Some(200),
            outcome: Outcome::Complete,
            error: None,
            timing: Timing {
                received_at: Timestamp::from_micros(-5),
                upstream_sent_us: None,
                first_byte_us: Some(u64::MAX),
                first_token_us: None,
                end_us: 9,
            },
            reading: Reading { usage: UsageReading::Invalid("negative".into()), ..Reading::default() },
            cost: CostState::InvalidUsage { why: "negative".into() },
            control: Control::default(),
            response,
        }
    }

    fn body() -> impl Strategy<Value = Vec<u8>> {
        (0..100_000_usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len])
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            (request, answer) in (body(), body()),
            user in any::<String>(),
        ) {
            let record = record(&request, &answer, &user);
            let encoded = record.encode(3);
            let len = encoded.len();
            let mut bytes = encoded.into_bytes();
            prop_assert_eq!(bytes.len(), len);
            prop_assert_eq!(&bytes.split_to(3)[..], &[0; 3]);
            let read = LogRecord::decode(&bytes).unwrap();
            prop_assert_eq!(format!("{:?}", (&read.id, &read.attempts, &read.reading, &read.timing, &read.asked.attribution)),
                format!("{:?}", (&record.id, &record.attempts, &record.reading, &record.timing, &record.asked.attribution)));
            prop_assert_eq!(read.asked.body.bytes(), record.asked.body.bytes());
            prop_assert_eq!((read.asked.body.len(), read.asked.body.state()), (record.asked.body.len(), record.asked.body.state()));
            prop_assert_eq!(read.response.bytes(), record.response.bytes());
            prop_assert!(read.asked.parameters.iter().eq(record.asked.parameters.iter()));
            for cut in [0, 1, 5, len / 2, len - 4] {
                prop_assert!(LogRecord::decode(&bytes.slice(..cut.min(bytes.len() - 1))).is_err());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(LogRecord::decode(&Bytes::from(bytes.clone())).is_err() || bytes.len() > 60);
            for version in [1, 2] {
                let _ = LogRecord::decode(&Bytes::from([&[version][..], &bytes].concat()));
            }
        }
    }

    #[test]
    fn another_version_is_told() {
        let mut bytes = record(b"", b"", "u").encode(0).head;
        bytes[0] = 9;
        assert_eq!(LogRecord::decode(&bytes.into()).unwrap_err(), DecodeError::Version(9));
    }
}
