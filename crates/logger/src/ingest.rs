//! The logger's door for gateways.

use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, Limited};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use crate::destination::{Destination, Progress, Undelivered};
use crate::wire::{self, PATH, PROGRESS_PATH};

/// The largest batch, compressed and not, in bytes. A gateway's is at most 16 MiB and one record.
const LARGEST: usize = 256 << 20;
/// Batches under way at once. More are asked to come again.
const AT_ONCE: usize = 8;

/// Takes batches of records from gateways and answers once they are in the store.
///
/// Answers: 200, they are stored; 401, a wrong key; 413 and 422, the batch holds what will never be stored; 429, too many
/// batches at once, and 503, the store does not take them now, both with `Retry-After` in seconds. A batch may be sent
/// again: a record is known by its id.
#[derive(Clone)]
pub struct Ingest {
    destination: Arc<dyn Destination>,
    key: Arc<str>,
    places: Arc<Semaphore>,
}

impl Ingest {
    /// Takes batches from gateways that show this key, which must not be empty, into this destination.
    #[must_use]
    pub fn new(destination: Arc<dyn Destination>, key: &str) -> Self {
        Self { destination, key: key.into(), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Whether this path is one for gateways.
    #[must_use]
    pub fn takes(path: &str) -> bool {
        path == PATH || path == PROGRESS_PATH
    }

    /// Answers a request on one of its paths.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if request.method() != Method::POST {
            return told(StatusCode::METHOD_NOT_ALLOWED, "post records here");
        }
        if !self.knows(request.headers()) {
            return told(StatusCode::UNAUTHORIZED, "the key is not the one in logger.key");
        }
        let Ok(_place) = self.places.try_acquire() else {
            return again(StatusCode::TOO_MANY_REQUESTS, "1", "too many batches at once");
        };
        let (head, body) = request.into_parts();
        let Ok(read) = Limited::new(body, LARGEST).collect().await else {
            return told(StatusCode::PAYLOAD_TOO_LARGE, "the batch is too large or broke off");
        };
        let taken = match head.uri.path() {
            PROGRESS_PATH => self.progress(&read.to_bytes()).await,
            _ => self.records(&head.headers, read.to_bytes()).await,
        };
        match taken {
            Ok(()) => told(StatusCode::OK, "stored"),
            Err(Undelivered::Refused(why)) => told(StatusCode::UNPROCESSABLE_ENTITY, &why),
            Err(Undelivered::Later(why, _)) => again(StatusCode::SERVICE_UNAVAILABLE, "2", &why),
        }
    }

    fn knows(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        !self.key.is_empty() && shown.is_some_and(|shown| bool::from(shown.ct_eq(self.key.as_bytes())))
    }

    async fn records(&self, headers: &HeaderMap, body: Bytes) -> Result<(), Undelivered> {
        let packed = headers.get(CONTENT_ENCODING).is_some_and(|value| value == "zstd");
        let read = tokio::task::spawn_blocking(move || {
            let plain = if packed { unpack(&body)?.into() } else { body };
            wire::read(plain).map_err(|error| Undelivered::Refused(error.to_string()))
        });
        let records = read.await.map_err(|error| Undelivered::Later(error.to_string(), None))??;
        if records.is_empty() {
            return Ok(());
        }
        self.destination.deliver(&records).await
    }

    async fn progress(&self, body: &[u8]) -> Result<(), Undelivered> {
        let progress: Progress =
            serde_json::from_slice(body).map_err(|error| Undelivered::Refused(error.to_string()))?;
        self.destination.progress(&progress).await
    }
}

/// What was compressed, within the limit however small it came.
fn unpack(packed: &[u8]) -> Result<Vec<u8>, Undelivered> {
    let refused = |error: std::io::Error| Undelivered::Refused(format!("the batch is no zstd: {error}"));
    let mut plain = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(packed).map_err(refused)?;
    decoder.take(LARGEST as u64 + 1).read_to_end(&mut plain).map_err(refused)?;
    if plain.len() > LARGEST {
        return Err(Undelivered::Refused("the batch is too large".to_owned()));
    }
    Ok(plain)
}

fn told(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{text}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn again(status: StatusCode, seconds: &'static str, text: &str) -> Response<Full<Bytes>> {
    let mut response = told(status, text);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(seconds));
    response
}
