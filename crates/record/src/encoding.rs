//! A record as bytes: in the spool on disk and on the way to a logger.
//!
//! ```text
//! version    u8    1
//! fields     u32   length, then JSON: everything but parameters and bodies
//! parameters u32   count, then for each: u32 length, name, u32 length, value (JSON text as it stood in the request)
//! request    u8    state (0 empty, 1 whole, 2 truncated, 3 omitted), u64 whole length, u32 length kept
//! answer           the same
//! bytes            what was kept of the request, then of the answer
//! ```
//!
//! Integers are little-endian. Bodies stand outside the JSON as they came: nothing is escaped, and large ones are not
//! copied. New members of the JSON are optional with a default, so records of an older program are read by a newer one;
//! whatever breaks that gets another version.

use std::fmt;

use bytes::{Buf, Bytes};

use crate::{Body, BodyState, LogRecord};

const VERSION: u8 = 1;
/// A body longer than this is handed on by reference instead of being copied.
const COPIED: usize = 32 << 10;
/// The fields of one record with their JSON rarely exceed this.
const USUAL: usize = 1536;

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
    /// The JSON is not that of a record.
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
    ///
    /// # Errors
    /// Only where a part is longer than 4 GiB, or a field refuses to be written.
    pub fn encode(&self, reserved: usize) -> Result<Encoded, DecodeError> {
        let bodies = [&self.asked.body, &self.response];
        let copied: usize = bodies.iter().map(|body| body.kept()).filter(|&kept| kept <= COPIED).sum();
        let mut head = Vec::with_capacity(reserved + USUAL + copied);
        head.resize(reserved, 0);
        head.push(VERSION);
        let fields = head.len();
        head.extend_from_slice(&[0; 4]);
        serde_json::to_writer(&mut head, self).map_err(|why| DecodeError::Fields(why.to_string()))?;
        let written = length(head.len() - fields - 4)?;
        head[fields..fields + 4].copy_from_slice(&written.to_le_bytes());
        let parameters = &self.asked.parameters;
        head.extend_from_slice(&length(parameters.iter().len())?.to_le_bytes());
        for text in parameters.iter().flat_map(|(name, value)| [name, value]) {
            head.extend_from_slice(&length(text.len())?.to_le_bytes());
            head.extend_from_slice(text);
        }
        for body in bodies {
            head.push(code(body.state()));
            head.extend_from_slice(&body.len().to_le_bytes());
            head.extend_from_slice(&length(body.kept())?.to_le_bytes());
        }
        let mut pieces = Vec::new();
        for body in bodies {
            if body.kept() <= COPIED && pieces.is_empty() {
                body.copy_into(&mut head);
            } else {
                pieces.extend(body.pieces());
            }
        }
        Ok(Encoded { head, pieces })
    }

    /// Reads a record. Its bodies are slices of `bytes`.
    ///
    /// # Errors
    /// Where the bytes are no record that this program can read.
    pub fn decode(mut bytes: Bytes) -> Result<Self, DecodeError> {
        match bytes.try_get_u8() {
            Ok(VERSION) => {}
            Ok(version) => return Err(DecodeError::Version(version)),
            Err(_) => return Err(DecodeError::Malformed),
        }
        let fields = part(&mut bytes)?;
        let mut record: Self = serde_json::from_slice(&fields).map_err(|why| DecodeError::Fields(why.to_string()))?;
        for _ in 0..number(&mut bytes)? {
            let (name, value) = (part(&mut bytes)?, part(&mut bytes)?);
            record.asked.parameters.push(name, value);
        }
        let (request, answer) = (BodyHead::read(&mut bytes)?, BodyHead::read(&mut bytes)?);
        record.asked.body = request.body(&mut bytes)?;
        record.response = answer.body(&mut bytes)?;
        if bytes.is_empty() { Ok(record) } else { Err(DecodeError::Malformed) }
    }
}

struct BodyHead {
    state: BodyState,
    len: u64,
    kept: usize,
}

impl BodyHead {
    fn read(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        let code = bytes.try_get_u8().map_err(|_| DecodeError::Malformed)?;
        let &state = STATES.get(usize::from(code)).ok_or(DecodeError::Malformed)?;
        let len = bytes.try_get_u64_le().map_err(|_| DecodeError::Malformed)?;
        Ok(Self { state, len, kept: number(bytes)? })
    }

    fn body(self, bytes: &mut Bytes) -> Result<Body, DecodeError> {
        let kept = cut(bytes, self.kept)?;
        Ok(Body::restored(kept, self.len, self.state))
    }
}

const STATES: [BodyState; 4] = [BodyState::Empty, BodyState::Whole, BodyState::Truncated, BodyState::Omitted];

const fn code(state: BodyState) -> u8 {
    match state {
        BodyState::Empty => 0,
        BodyState::Whole => 1,
        BodyState::Truncated => 2,
        BodyState::Omitted => 3,
    }
}

fn length(len: usize) -> Result<u32, DecodeError> {
    u32::try_from(len).map_err(|_| DecodeError::Malformed)
}

fn number(bytes: &mut Bytes) -> Result<usize, DecodeError> {
    let number = bytes.try_get_u32_le().map_err(|_| DecodeError::Malformed)?;
    usize::try_from(number).map_err(|_| DecodeError::Malformed)
}

fn part(bytes: &mut Bytes) -> Result<Bytes, DecodeError> {
    let len = number(bytes)?;
    cut(bytes, len)
}

fn cut(bytes: &mut Bytes, len: usize) -> Result<Bytes, DecodeError> {
    if len > bytes.len() { Err(DecodeError::Malformed) } else { Ok(bytes.split_to(len)) }
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
            let encoded = record.encode(3).unwrap();
            let len = encoded.len();
            let mut bytes = encoded.into_bytes();
            prop_assert_eq!(bytes.len(), len);
            prop_assert_eq!(&bytes.split_to(3)[..], &[0; 3]);
            let read = LogRecord::decode(bytes.clone()).unwrap();
            prop_assert_eq!(format!("{:?}", (&read.id, &read.attempts, &read.reading, &read.timing, &read.asked.attribution)),
                format!("{:?}", (&record.id, &record.attempts, &record.reading, &record.timing, &record.asked.attribution)));
            prop_assert_eq!(read.asked.body.bytes(), record.asked.body.bytes());
            prop_assert_eq!((read.asked.body.len(), read.asked.body.state()), (record.asked.body.len(), record.asked.body.state()));
            prop_assert_eq!(read.response.bytes(), record.response.bytes());
            prop_assert!(read.asked.parameters.iter().eq(record.asked.parameters.iter()));
            for cut in [0, 1, 5, len / 2, len - 4] {
                prop_assert!(LogRecord::decode(bytes.slice(..cut.min(bytes.len() - 1))).is_err());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(LogRecord::decode(Bytes::from(bytes)).is_err());
        }
    }

    #[test]
    fn another_version_is_told() {
        let mut bytes = record(b"", b"", "u").encode(0).unwrap().head;
        bytes[0] = 9;
        assert_eq!(LogRecord::decode(bytes.into()).unwrap_err(), DecodeError::Version(9));
    }
}
