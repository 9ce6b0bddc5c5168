//! An answer as it is kept.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{CONNECTION, DATE, SET_COOKIE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The form in which answers are written for others.
const FORM: u8 = 1;
/// Headers that are true of one answer at one time.
const OF_ONE_TIME: [HeaderName; 10] = [
    CONNECTION,
    TRANSFER_ENCODING,
    DATE,
    SET_COOKIE,
    http::header::AGE,
    http::header::RETRY_AFTER,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("server-timing"),
    HeaderName::from_static("helicone-id"),
    HeaderName::from_static("x-should-retry"),
];

/// One piece of an answer's body, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// µs after the request was sent.
    pub at_us: u64,
    /// What whoever marks pieces saw in it.
    pub mark: u8,
    /// The bytes.
    pub data: Bytes,
}

/// A whole answer of status 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its headers, without those that were true once only.
    pub headers: HeaderMap,
    /// Its body, piece by piece.
    pub pieces: Vec<Piece>,
    /// How long it took, in µs.
    pub took_us: u64,
    /// When it is no longer good, in ms since 1970.
    pub expires_ms: u64,
    /// What request it answers ([`RequestKey::fingerprint`](crate::RequestKey::fingerprint)).
    pub fingerprint: [u8; 32],
    /// What its keeper wants to know of it later.
    pub facts: Bytes,
}

impl Answer {
    /// The headers that may be told again.
    pub(crate) fn lasting(headers: &HeaderMap) -> HeaderMap {
        let lasts = |name: &HeaderName| !OF_ONE_TIME.contains(name) && !name.as_str().contains("ratelimit");
        headers.iter().filter(|(name, _)| lasts(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Whether it is still good.
    #[must_use]
    pub fn is_good(&self) -> bool {
        now_ms() < self.expires_ms
    }

    /// What it takes to hold it, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64).sum();
        let pieces: usize = self.pieces.iter().map(|piece| piece.data.len() + size_of::<Piece>()).sum();
        size_of::<Self>() + headers + pieces + self.facts.len()
    }

    /// Written for another process, or another day.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.weight());
        out.put_u8(FORM);
        out.put_u64_le(self.took_us);
        out.put_u64_le(self.expires_ms);
        out.put_slice(&self.fingerprint);
        put(&mut out, &self.facts);
        out.put_u32_le(count(self.headers.len()));
        for (name, value) in &self.headers {
            put(&mut out, name.as_str().as_bytes());
            put(&mut out, value.as_bytes());
        }
        out.put_u32_le(count(self.pieces.len()));
        for piece in &self.pieces {
            out.put_u64_le(piece.at_us);
            out.put_u8(piece.mark);
            put(&mut out, &piece.data);
        }
        out.freeze()
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` where it is something else.
    #[must_use]
    pub fn decode(mut from: Bytes) -> Option<Self> {
        if from.try_get_u8().ok()? != FORM {
            return None;
        }
        let (took_us, expires_ms) = (from.try_get_u64_le().ok()?, from.try_get_u64_le().ok()?);
        let mut fingerprint = [0; 32];
        from.try_copy_to_slice(&mut fingerprint).ok()?;
        let facts = take(&mut from)?;
        let mut headers = HeaderMap::new();
        for _ in 0..from.try_get_u32_le().ok()? {
            let (name, value) = (take(&mut from)?, take(&mut from)?);
            headers.append(HeaderName::from_bytes(&name).ok()?, HeaderValue::from_maybe_shared(value).ok()?);
        }
        let mut pieces = Vec::new();
        for _ in 0..from.try_get_u32_le().ok()? {
            let (at_us, mark) = (from.try_get_u64_le().ok()?, from.try_get_u8().ok()?);
            pieces.push(Piece { at_us, mark, data: take(&mut from)? });
        }
        from.is_empty().then_some(Self { headers, pieces, took_us, expires_ms, fingerprint, facts })
    }
}

/// Nothing so large comes here: answers are bounded.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn put(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32_le(count(bytes.len()));
    out.put_slice(bytes);
}

fn take(from: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(from.try_get_u32_le().ok()?).ok()?;
    (from.len() >= length).then(|| from.split_to(length))
}

/// ms since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    millis(since)
}

pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer() -> impl Strategy<Value = Answer> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
        let piece = (any::<u64>(), any::<u8>(), bytes()).prop_map(|(at_us, mark, data)| Piece { at_us, mark, data });
        let header = ("[a-z][a-z-]{0,9}", "[ -~]{0,20}");
        let headers = prop::collection::vec(header, 0..5).prop_map(|pairs| {
            let pair = |(name, value): (String, String)| Some((name.parse::<HeaderName>().ok()?, value.parse().ok()?));
            pairs.into_iter().filter_map(pair).collect::<HeaderMap>()
        });
        let numbers = (any::<u64>(), any::<u64>(), any::<[u8; 32]>());
        (headers, prop::collection::vec(piece, 0..5), numbers, bytes()).prop_map(|(headers, pieces, numbers, facts)| {
            let (took_us, expires_ms, fingerprint) = numbers;
            Answer { headers, pieces, took_us, expires_ms, fingerprint, facts }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(answer in answer()) {
            prop_assert_eq!(Answer::decode(answer.encode()), Some(answer));
        }

        #[test]
        fn what_is_damaged_is_no_answer_and_no_panic(answer in answer(), cut in any::<prop::sample::Index>(), noise in prop::collection::vec(any::<u8>(), 0..200)) {
            let whole = answer.encode();
            prop_assert_eq!(Answer::decode(whole.slice(..cut.index(whole.len()))), None);
            let _any = Answer::decode(noise.into());
        }
    }

    #[test]
    fn what_was_true_once_is_not_told_again() {
        let told = ["content-type", "set-cookie", "x-ratelimit-remaining-requests", "date", "helicone-provider"];
        let headers = told.iter().map(|name| (HeaderName::from_static(name), HeaderValue::from_static("x"))).collect();
        let kept = Answer::lasting(&headers);
        let mut names: Vec<_> = kept.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "helicone-provider"]);
    }
}
