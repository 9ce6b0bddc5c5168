//! What the logger's door for gateways refuses, and how: a gateway decides by the status whether to send a batch again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic; helpers of a test are the test")]

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tachograph_logger::{Delivery, Destination, Ingest, Progress, Undelivered};
use tachograph_record::{Asked, Body, Control, CostState, LogRecord, Outcome, Reading, RecordId, Timestamp, Timing};

const KEY: &str = "between the two";

/// What becomes of every batch.
#[derive(Clone, Copy)]
enum Fate {
    Taken,
    Refused,
    Later,
    /// It is under way for good.
    Waits,
}

struct Fated {
    fate: Fate,
    records: AtomicUsize,
    waiting: AtomicUsize,
}

impl Fated {
    fn delivery(&self, records: usize) -> Delivery<'_> {
        Box::pin(async move {
            match self.fate {
                Fate::Taken => {
                    self.records.fetch_add(records, Ordering::SeqCst);
                    Ok(())
                }
                Fate::Refused => Err(Undelivered::Refused("this row I will not take".to_owned())),
                Fate::Later => Err(Undelivered::Later("the store is away".to_owned(), None)),
                Fate::Waits => {
                    self.waiting.fetch_add(1, Ordering::SeqCst);
                    pending().await
                }
            }
        })
    }
}

impl Destination for Fated {
    fn deliver<'a>(&'a self, records: &'a [LogRecord]) -> Delivery<'a> {
        self.delivery(records.len())
    }

    fn progress<'a>(&'a self, _progress: &'a Progress) -> Delivery<'a> {
        self.delivery(0)
    }
}

fn door(fate: Fate) -> (Ingest, Arc<Fated>) {
    let fated = Arc::new(Fated { fate, records: AtomicUsize::new(0), waiting: AtomicUsize::new(0) });
    (Ingest::new(fated.clone(), KEY), fated)
}

fn record() -> LogRecord {
    LogRecord {
        id: RecordId::generate(),
        asked: Asked { path: "/".to_owned(), ..Asked::default() },
        provider: None,
        provider_model: None,
        attempts: Vec::new(),
        status: Some(200),
        outcome: Outcome::Complete,
        error: None,
        timing: Timing {
            received_at: Timestamp::now(),
            upstream_sent_us: None,
            first_byte_us: None,
            first_token_us: None,
            end_us: 1,
        },
        reading: Reading::default(),
        cost: CostState::NoUsage,
        control: Control::default(),
        response: Body::default(),
    }
}

/// Records as they travel: each behind its length.
fn batch(records: &[LogRecord]) -> Vec<u8> {
    let mut out = Vec::new();
    for record in records {
        let encoded = record.encode(0);
        let len: usize = encoded.head.len() + encoded.pieces.iter().map(Bytes::len).sum::<usize>();
        out.extend_from_slice(&u32::try_from(len).unwrap().to_le_bytes());
        out.extend_from_slice(&encoded.head);
        encoded.pieces.iter().for_each(|piece| out.extend_from_slice(piece));
    }
    out
}

fn packed(plain: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(plain, 1).unwrap()
}

fn post(body: Vec<u8>, encoding: Option<&str>) -> Request<Full<Bytes>> {
    let mut request = Request::post("/v1/ingest").header("authorization", format!("Bearer {KEY}"));
    if let Some(encoding) = encoding {
        request = request.header("content-encoding", encoding);
    }
    request.body(Full::from(body)).unwrap()
}

async fn told(response: Response<Full<Bytes>>) -> (u16, Option<u64>, String) {
    let after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
    let status = response.status().as_u16();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    (status, after, String::from_utf8(text.to_vec()).unwrap())
}

#[tokio::test]
async fn a_batch_is_taken_packed_and_plain() {
    let (door, fated) = door(Fate::Taken);
    let plain = batch(&[record(), record()]);
    for (body, encoding) in [(packed(&plain), Some("zstd")), (plain, None), (Vec::new(), None)] {
        assert_eq!(told(door.answer(post(body, encoding)).await).await.0, 200);
    }
    assert_eq!(fated.records.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_wrong_key_is_401_and_an_empty_one_opens_nothing() {
    let (door, fated) = door(Fate::Taken);
    for shown in [None, Some("Bearer "), Some("Bearer between the tw"), Some("Bearer between the two "), Some(KEY)] {
        let mut request = post(batch(&[record()]), None);
        request.headers_mut().remove("authorization");
        if let Some(shown) = shown {
            request.headers_mut().insert("authorization", shown.parse().unwrap());
        }
        let (status, after, _) = told(door.answer(request).await).await;
        assert_eq!((status, after), (401, None), "{shown:?}");
    }
    let open = Ingest::new(fated.clone(), "");
    let mut request = post(batch(&[record()]), None);
    request.headers_mut().insert("authorization", "Bearer ".parse().unwrap());
    assert_eq!(open.answer(request).await.status(), StatusCode::UNAUTHORIZED);
    let mut request = post(Vec::new(), None);
    *request.method_mut() = Method::GET;
    assert_eq!(door.answer(request).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(fated.records.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn more_than_a_batch_may_hold_is_413_and_a_bomb_is_422() {
    const MOST: usize = 256 << 20;
    let (door, fated) = door(Fate::Taken);
    // One piece of memory, sent often enough: nothing of it may be kept once it is too much.
    let piece = Bytes::from(vec![0_u8; 1 << 20]);
    let pieces = (0..=MOST >> 20).map(|_| Ok::<_, std::convert::Infallible>(http_body::Frame::data(piece.clone())));
    let body = http_body_util::StreamBody::new(futures_util::stream::iter(pieces));
    let request = Request::post("/v1/ingest").header("authorization", format!("Bearer {KEY}")).body(body).unwrap();
    assert_eq!(told(door.answer(request).await).await.0, 413);

    let bomb = zstd::stream::encode_all(std::io::Read::take(std::io::repeat(0), MOST as u64 + 2), 1).unwrap();
    assert!(bomb.len() < 1 << 20);
    let (status, after, text) = told(door.answer(post(bomb, Some("zstd"))).await).await;
    assert_eq!((status, after), (422, None), "{text}");
    assert!(text.contains("too large"), "{text}");
    assert_eq!(fated.records.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_is_no_batch_and_what_the_store_will_never_take_is_422() {
    let (taking, fated) = door(Fate::Taken);
    let whole = batch(&[record()]);
    let mut damaged = whole.clone();
    // Behind the length: the version.
    damaged[4] ^= 0xff;
    for (body, encoding) in [
        (b"no zstd".to_vec(), Some("zstd")),
        (packed(&whole)[..20].to_vec(), Some("zstd")),
        (whole[..whole.len() - 1].to_vec(), None),
        (whole[..3].to_vec(), None),
        (u32::MAX.to_le_bytes().to_vec(), None),
        (damaged, None),
    ] {
        let (status, after, text) = told(taking.answer(post(body, encoding)).await).await;
        assert_eq!((status, after), (422, None), "{text}");
    }
    assert_eq!(fated.records.load(Ordering::SeqCst), 0);
    let (refusing, _) = door(Fate::Refused);
    let (status, after, text) = told(refusing.answer(post(whole, None)).await).await;
    assert_eq!((status, after), (422, None));
    assert!(text.contains("this row I will not take"), "{text}");
    let mut progress = post(b"{}".to_vec(), None);
    *progress.uri_mut() = "/v1/ingest/progress".parse().unwrap();
    assert_eq!(taking.answer(progress).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_store_that_is_away_is_503_and_says_when_to_come_again() {
    let (door, _) = door(Fate::Later);
    let (status, after, text) = told(door.answer(post(batch(&[record()]), None)).await).await;
    assert_eq!(status, 503, "{text}");
    assert!(after.is_some_and(|seconds| seconds >= 1), "{after:?}");
}

#[tokio::test]
async fn too_many_batches_at_once_are_429_and_a_place_is_free_again_when_one_is_given_up() {
    let (door, fated) = door(Fate::Waits);
    let mut under_way = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (door, request) = (door.clone(), post(batch(&[record()]), None));
        under_way.spawn(async move { door.answer(request).await.status() });
    }
    while fated.waiting.load(Ordering::SeqCst) < 8 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let (status, after, _) = told(door.answer(post(batch(&[record()]), None)).await).await;
    assert_eq!(status, 429);
    assert!(after.is_some_and(|seconds| seconds >= 1), "{after:?}");
    // A wrong key is told so, however busy the door is.
    let mut stranger = post(Vec::new(), None);
    stranger.headers_mut().remove("authorization");
    assert_eq!(door.answer(stranger).await.status(), StatusCode::UNAUTHORIZED);
    under_way.shutdown().await;
    let door = Ingest::clone(&door);
    let again =
        tokio::time::timeout(std::time::Duration::from_millis(200), door.answer(post(batch(&[record()]), None)));
    assert!(again.await.is_err(), "it is under way like the others before, and not refused");
}
