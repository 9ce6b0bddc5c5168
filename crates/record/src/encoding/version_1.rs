//! Version 1 of the format, as programs before this one left it in spools.
//!
//! ```text
//! fields     u32   length, then JSON: everything but parameters and bodies
//! parameters u32   count, then for each: u32 length, name, u32 length, value (JSON text as it stood in the request)
//! request    u8    state (0 empty, 1 whole, 2 truncated, 3 omitted), u64 whole length, u32 length kept
//! answer           the same
//! bytes            what was kept of the request, then of the answer
//! ```

use bytes::{Buf, Bytes};

use super::DecodeError;
use crate::{Body, BodyState, LogRecord};

pub(super) const VERSION: u8 = 1;

/// Reads what stands behind the version.
pub(super) fn decode(mut bytes: Bytes) -> Result<LogRecord, DecodeError> {
    let fields = part(&mut bytes)?;
    let mut record: LogRecord = serde_json::from_slice(&fields).map_err(|why| DecodeError::Fields(why.to_string()))?;
    for _ in 0..number(&mut bytes)? {
        let (name, value) = (part(&mut bytes)?, part(&mut bytes)?);
        record.asked.parameters.push(name, value);
    }
    let (request, answer) = (BodyHead::read(&mut bytes)?, BodyHead::read(&mut bytes)?);
    record.asked.body = request.body(&mut bytes)?;
    record.response = answer.body(&mut bytes)?;
    if bytes.is_empty() { Ok(record) } else { Err(DecodeError::Malformed) }
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
    use super::*;
    use crate::Outcome;

    #[test]
    fn a_record_of_the_former_version_is_read() {
        let json = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057","asked":{"org":"00000000-0000-0000-0000-000000000000","api":"openai.chat","path":"/v1/chat/completions","model":"gpt-4o-mini","attribution":{"user":"ada"}},"provider":"openai","attempts":[{"provider":"openai","sent_us":7,"status":200}],"status":200,"outcome":"complete","timing":{"received_at":5,"upstream_sent_us":null,"first_byte_us":6,"first_token_us":null,"end_us":9},"reading":{"usage":{"known":{"tokens":[[{"direction":"input","kind":"plain","modality":"text"},500]],"source":"reported"}},"ended":true},"cost":{"status":"unknown_model"}}"#;
        let mut bytes = vec![VERSION];
        let mut part = |part: &[u8]| {
            bytes.extend_from_slice(&u32::try_from(part.len()).unwrap().to_le_bytes());
            bytes.extend_from_slice(part);
        };
        part(json.as_bytes());
        bytes.extend_from_slice(&1_u32.to_le_bytes());
        for text in [&b"temperature"[..], b"0.50"] {
            bytes.extend_from_slice(&u32::try_from(text.len()).unwrap().to_le_bytes());
            bytes.extend_from_slice(text);
        }
        for (state, len, kept) in [(2_u8, 10_u64, 2_u32), (1, 3, 3)] {
            bytes.push(state);
            bytes.extend_from_slice(&len.to_le_bytes());
            bytes.extend_from_slice(&kept.to_le_bytes());
        }
        bytes.extend_from_slice(b"{\"abc");
        let record = LogRecord::decode(&bytes.into()).unwrap();
        assert_eq!((record.outcome, record.asked.attribution.user.as_deref()), (Outcome::Complete, Some("ada")));
        assert_eq!(record.reading.usage.known().unwrap().input_total(), 500);
        assert_eq!(&record.asked.parameters.iter().next().unwrap().1[..], b"0.50");
        assert_eq!((&record.asked.body.bytes()[..], record.asked.body.len()), (&b"{\""[..], 10));
        assert_eq!((&record.response.bytes()[..], record.response.state()), (&b"abc"[..], BodyState::Whole));
        let again = LogRecord::decode(&record.encode(0).into_bytes()).unwrap();
        assert_eq!(format!("{again:?}"), format!("{record:?}"));
    }
}
