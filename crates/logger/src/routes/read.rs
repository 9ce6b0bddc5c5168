//! One bounded read, decompressed within the same bound.

use std::io::Read;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body::Body;
use http_body_util::BodyExt as _;

use super::header;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is larger than the limit, as sent or decompressed.
    TooLarge,
    /// It broke off.
    Broken,
    /// It is not what its `Content-Encoding` says, or that is none we know.
    Encoding,
}

/// Reads a body of at most `limit` bytes. A body that is compressed (`gzip`, `deflate`, `zstd`) is decompressed, and no
/// further than to the same limit: a small body that would become a huge one costs neither memory nor time.
pub(crate) async fn whole<B>(body: B, headers: &HeaderMap, limit: usize) -> Result<Bytes, Unread>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if header(headers, CONTENT_LENGTH.as_str())
        .and_then(|text| text.parse::<usize>().ok())
        .is_some_and(|len| len > limit)
    {
        return Err(Unread::TooLarge);
    }
    let mut body = std::pin::pin!(body);
    let mut read = BytesMut::new();
    while let Some(frame) = body.as_mut().frame().await {
        let Ok(piece) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
        if piece.len() > limit - read.len() {
            return Err(Unread::TooLarge);
        }
        read.extend_from_slice(&piece);
    }
    unpacked(header(headers, CONTENT_ENCODING.as_str()).unwrap_or_default(), read.freeze(), limit)
}

/// What was packed in this way, unpacked no further than to the limit.
pub(super) fn unpacked(encoding: &str, read: Bytes, limit: usize) -> Result<Bytes, Unread> {
    match encoding.to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(read),
        "gzip" | "x-gzip" => bounded(flate2::read::MultiGzDecoder::new(&read[..]), limit),
        "deflate" => bounded(flate2::read::ZlibDecoder::new(&read[..]), limit),
        "zstd" => bounded(zstd::stream::read::Decoder::with_buffer(&read[..]).map_err(|_| Unread::Encoding)?, limit),
        _ => Err(Unread::Encoding),
    }
}

fn bounded(reader: impl Read, limit: usize) -> Result<Bytes, Unread> {
    let mut whole = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut whole).map_err(|_| Unread::Encoding)?;
    if whole.len() > limit { Err(Unread::TooLarge) } else { Ok(whole.into()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use http::HeaderValue;
    use http_body_util::Full;

    use super::*;

    async fn read(encoding: &'static str, body: Vec<u8>, limit: usize) -> Result<Bytes, Unread> {
        let headers = [(CONTENT_ENCODING, HeaderValue::from_static(encoding))].into_iter().collect();
        whole(Full::<Bytes>::from(body), &headers, limit).await
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn what_is_compressed_is_read_and_no_further_than_the_limit() {
        let plain = b"hello".repeat(100);
        let zstd = zstd::encode_all(&plain[..], 1).unwrap();
        let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        deflate.write_all(&plain).unwrap();
        let deflate = deflate.finish().unwrap();
        for (encoding, body) in [
            ("gzip", gzip(&plain)),
            ("GZIP", gzip(&plain)),
            ("zstd", zstd),
            ("deflate", deflate),
            ("identity", plain.clone()),
        ] {
            assert_eq!(read(encoding, body.clone(), 500).await.unwrap(), plain, "{encoding}");
            assert_eq!(read(encoding, body, 499).await, Err(Unread::TooLarge), "{encoding}");
        }
    }

    #[tokio::test]
    async fn a_bomb_stays_small() {
        let bomb = gzip(&vec![0; 200 << 20]);
        assert!(bomb.len() < 1 << 20);
        assert_eq!(read("gzip", bomb, 1 << 20).await, Err(Unread::TooLarge));
    }

    #[tokio::test]
    async fn what_is_not_what_it_says_is_said() {
        assert_eq!(read("gzip", b"plain".to_vec(), 100).await, Err(Unread::Encoding));
        assert_eq!(read("zstd", b"plain".to_vec(), 100).await, Err(Unread::Encoding));
        assert_eq!(read("br", b"plain".to_vec(), 100).await, Err(Unread::Encoding));
    }
}
