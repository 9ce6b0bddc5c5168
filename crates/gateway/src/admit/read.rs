//! One bounded read: of the whole body or, where it may pass without being held, of its beginning.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::Body;
use http_body_util::BodyExt;
use tachograph_reply::{ApiError, ErrorKind};
use tachograph_telemetry::Trip;

use crate::upload::{self, BEGINNING, Upload, UploadBroken, Uploads};

/// What was read of a body, and the rest of it, where that is not held whole.
pub(super) type Read = (Bytes, Option<Upload>);

/// Reads a body that is small or needed whole, or the beginning of one that is neither. `keep` is how much of it is kept on
/// the record, in bytes.
pub(super) async fn beginning<B>(
    body: B,
    headers: &HeaderMap,
    limit: usize,
    uploads: &Uploads,
    trip: &Trip,
    keep: usize,
) -> Result<Read, ApiError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if !upload::passes(headers) {
        return Ok((whole(body, headers, limit).await?, None));
    }
    if announced(headers).is_some_and(|length| length as u64 > uploads.most) {
        return Err(UploadBroken::TooLarge(uploads.most).into());
    }
    let mut body = Box::pin(body);
    let mut read = BytesMut::new();
    while read.len() < BEGINNING {
        let Some(frame) = body.as_mut().frame().await else { return Ok((read.freeze(), None)) };
        let Ok(piece) = frame.map_err(|_| broken())?.into_data() else { continue };
        read.extend_from_slice(&piece);
    }
    let upload = Upload::new(body, read.len(), uploads.most, trip, keep);
    Ok((read.freeze(), Some(upload)))
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok())
}

/// Reads a body of at most `limit` bytes.
async fn whole<B>(body: B, headers: &HeaderMap, limit: usize) -> Result<Bytes, ApiError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let announced = announced(headers);
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let mut body = std::pin::pin!(body);
    let mut first = Bytes::new();
    let mut rest: Option<BytesMut> = None;
    while let Some(frame) = body.as_mut().frame().await {
        let Ok(piece) = frame.map_err(|_| broken())?.into_data() else { continue };
        let held = rest.as_ref().map_or(first.len(), BytesMut::len);
        if piece.len() > limit - held.min(limit) {
            return Err(too_large(limit));
        }
        // Nearly every body comes in one piece, which is then kept as it is.
        if held == 0 {
            first = piece;
            continue;
        }
        rest.get_or_insert_with(|| {
            let mut joined = BytesMut::with_capacity(announced.unwrap_or(first.len() + piece.len()).min(limit));
            joined.extend_from_slice(&first);
            joined
        })
        .extend_from_slice(&piece);
    }
    Ok(rest.map_or_else(|| own(first), BytesMut::freeze))
}

/// A small body is copied out of the connection's read buffer, which it would keep whole for as long as its record waits.
fn own(body: Bytes) -> Bytes {
    const SMALL: usize = 16 << 10;
    if body.len() < SMALL { Bytes::copy_from_slice(&body) } else { body }
}

fn too_large(limit: usize) -> ApiError {
    let message = format!(
        "The request's body is larger than {limit} bytes, the gateway's max_request_body; send less or raise it."
    );
    ApiError::new(ErrorKind::TooLarge, "request_too_large", message)
}

fn broken() -> ApiError {
    ApiError::invalid("incomplete_body", "The request's body broke off before its end.")
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use http_body_util::{Full, StreamBody};

    use super::*;

    fn pieces(pieces: &'static [&'static str]) -> impl Body<Data = Bytes, Error = std::convert::Infallible> {
        let frames = pieces.iter().map(|piece| Ok(http_body::Frame::data(Bytes::from_static(piece.as_bytes()))));
        StreamBody::new(futures_util::stream::iter(frames))
    }

    fn read<B>(body: B, limit: usize) -> Result<Bytes, ApiError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        whole(body, &HeaderMap::new(), limit).now_or_never().unwrap()
    }

    #[test]
    fn reads_up_to_the_limit_and_not_a_byte_more() {
        assert_eq!(read(pieces(&["ab", "", "cd", "e"]), 5).unwrap(), "abcde");
        assert_eq!(read(Full::from("abcde"), 5).unwrap(), "abcde");
        for too_much in [read(pieces(&["ab", "cd", "ef"]), 5), read(Full::from("abcdef"), 5)] {
            assert_eq!(too_much.unwrap_err().status(), 413);
        }
    }

    #[test]
    fn what_announces_too_much_is_not_read() {
        let headers = [(CONTENT_LENGTH, http::HeaderValue::from_static("6"))].into_iter().collect();
        let refused = whole(Full::<Bytes>::default(), &headers, 5).now_or_never().unwrap();
        assert_eq!(refused.unwrap_err().code(), "request_too_large");
    }
}
