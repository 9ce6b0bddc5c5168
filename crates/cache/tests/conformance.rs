//! One suite for every backend.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "the whole crate is a test")]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use tachograph_cache::backend::{Backend, Memory, Redis};
use tachograph_cache::{Answer, CacheKey, Piece, Tenant};

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn answer(text: &str, ttl: Duration) -> Arc<Answer> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
    headers.append("x-twice", HeaderValue::from_static("1"));
    headers.append("x-twice", HeaderValue::from_bytes(b"K\xf6ln").unwrap());
    let piece = |at_us, data: &str| Piece { at_us, mark: 3, data: Bytes::copy_from_slice(data.as_bytes()) };
    let expires_ms = now_ms() + u64::try_from(ttl.as_millis()).unwrap();
    let pieces = vec![piece(1, text), piece(2_000_000, ""), piece(u64::MAX, "end")];
    Arc::new(Answer { headers, pieces, took_us: 7, expires_ms, fingerprint: [9; 32], facts: Bytes::from_static(b"{}") })
}

/// A key that no other run has used.
fn key(name: &str) -> CacheKey {
    let run = format!("{}-{}", std::process::id(), now_ms());
    CacheKey::idempotent(Tenant::new(run.as_bytes()), name)
}

/// Waits until what is kept soon is kept.
async fn found(backend: &dyn Backend, key: CacheKey) -> Option<Arc<Answer>> {
    for _ in 0..100 {
        if let Some(found) = backend.get(&[key]).await.pop().flatten() {
            return Some(found);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    None
}

async fn conforms(backend: &dyn Backend) {
    let hour = Duration::from_secs(3_600);
    let (one, two, none) = (key("one"), key("two"), key("none"));
    assert_eq!(backend.get(&[one, two, none]).await, [None, None, None]);

    backend.put(one, answer("one", hour), hour);
    backend.put(two, answer("two", hour), hour);
    let (kept_one, kept_two) = (found(backend, one).await.unwrap(), found(backend, two).await.unwrap());
    assert_eq!(kept_one.pieces, answer("one", hour).pieces);
    assert_eq!(kept_one.headers, answer("one", hour).headers, "values that are no text too");
    let all = backend.get(&[two, none, one]).await;
    assert_eq!(all, [Some(kept_two), None, Some(kept_one)], "in the order of the keys");

    backend.put(one, answer("another", hour), hour);
    let mut last = None;
    for _ in 0..100 {
        last = found(backend, one).await.map(|answer| answer.pieces[0].data.clone());
        if last.as_deref() == Some(b"another") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(last.as_deref(), Some(&b"another"[..]), "the last one counts");

    let soon = Duration::from_millis(300);
    let short = key("short");
    backend.put(short, answer("short", soon), soon);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(backend.get(&[short]).await, [None], "out of date");
}

#[tokio::test]
async fn memory() {
    conforms(&Memory::new(16 << 20)).await;
}

#[tokio::test]
async fn redis() {
    let Ok(url) = std::env::var("TACHOGRAPH_TEST_REDIS") else {
        println!("TACHOGRAPH_TEST_REDIS is not set: the cache in Redis is not tested");
        return;
    };
    let (backend, writer) = Redis::new(&url).unwrap();
    tokio::select! {
        () = conforms(&backend) => {}
        () = writer.run() => panic!("the writer ended before the backend"),
    }
}

/// Where nobody answers, looking is a miss soon, and then at once.
#[tokio::test]
async fn a_redis_that_is_silent_holds_nobody_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (backend, _writer) = Redis::new(&format!("redis://{}", silent.local_addr().unwrap())).unwrap();
    let key = key("silent");
    assert_eq!(backend.get(&[key]).await, [None]);
    // Within the second in which it is left alone, nothing is asked at all: a future that is ready at its first poll.
    let keys = [key];
    let mut again = backend.get(&keys);
    let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(again.as_mut().poll(cx))).await;
    assert_eq!(polled, std::task::Poll::Ready(vec![None]));
    for _ in 0..2_000 {
        backend.put(key, answer("x", Duration::from_secs(1)), Duration::from_secs(1));
    }
}

#[tokio::test]
async fn memory_holds_no_more_bytes_than_it_may() {
    let backend = Memory::new(1 << 20);
    let hour = Duration::from_secs(3_600);
    for index in 0..200 {
        backend.put(key(&index.to_string()), answer(&"x".repeat(20_000), hour), hour);
    }
    backend.settle();
    let (count, bytes) = backend.holds().unwrap();
    assert!(bytes <= 1 << 20, "{bytes}");
    assert!(count > 10, "{count}");
}
