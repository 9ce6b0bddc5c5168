//! The cache: looks, joins, keeps.

use std::error::Error as StdError;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::Body;
use tachograph_reply::{ApiError, ErrorKind};

use crate::answer::{millis, now_ms};
use crate::backend::{Backend, Memory};
use crate::flight::{Asking, Flights, Marker, Seat};
use crate::{Answer, CacheKey, Tenant, Wish};

/// How long an idempotency key is remembered.
const REMEMBERED: Duration = Duration::from_secs(86_400);
/// A larger answer is not kept, in bytes.
const LARGEST: usize = 8 << 20;

const CACHE: HeaderName = HeaderName::from_static("helicone-cache");
const BUCKET: HeaderName = HeaderName::from_static("helicone-cache-bucket-idx");
const LATENCY: HeaderName = HeaderName::from_static("helicone-cache-latency");
const VERDICT: HeaderName = HeaderName::from_static("tachograph-cache");

/// Keeps answers, and lets identical requests share one call. `B` is the body of the service it stands before.
pub struct Cache<B> {
    backend: Arc<dyn Backend>,
    flights: Arc<Flights<B>>,
    largest: usize,
}

impl<B> Clone for Cache<B> {
    fn clone(&self) -> Self {
        Self { backend: self.backend.clone(), flights: self.flights.clone(), largest: self.largest }
    }
}

/// What is to be done for one request.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What its caller wants.
    pub wish: Wish,
    /// Its key.
    pub key: CacheKey,
    /// The key of its `Idempotency-Key`, where it has one.
    pub once: Option<CacheKey>,
    /// What tells it apart from another of the same idempotency key.
    pub fingerprint: [u8; 32],
}

impl Plan {
    /// The plan for a request of this key, by its caller's wish.
    #[must_use]
    pub fn new(wish: Wish, tenant: Tenant<'_>, key: CacheKey, fingerprint: [u8; 32]) -> Self {
        let once = wish.idempotency_key.as_deref().map(|once| CacheKey::idempotent(tenant, once));
        Self { wish, key, once, fingerprint }
    }
}

/// What the cache makes of a request.
pub enum Found<B> {
    /// A stored answer.
    Hit(Hit),
    /// A call: one's own, or one that was under way.
    Call {
        /// The place in it.
        seat: Seat<B>,
        /// Whether it was under way.
        joined: bool,
        /// Where its answer is to be kept.
        free: Option<u32>,
    },
}

/// A stored answer.
#[derive(Clone)]
pub struct Hit {
    /// The answer.
    pub answer: Arc<Answer>,
    /// Which of several, counted from 0.
    pub bucket: u32,
}

impl<B> Cache<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    /// A cache that keeps its answers there.
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend, flights: Arc::default(), largest: LARGEST }
    }

    /// A cache of at most so many bytes in memory.
    #[must_use]
    pub fn in_memory(max_bytes: u64) -> Self {
        Self::new(Arc::new(Memory::new(max_bytes)))
    }

    /// Looks for an answer; where there is none, finds an identical call under way, or begins one with `ask`.
    ///
    /// # Errors
    /// 422 where the idempotency key was used for another request.
    pub async fn find(&self, plan: &Plan, ask: impl FnOnce() -> Asking<B>) -> Result<Found<B>, ApiError> {
        if let Some(once) = plan.once
            && let Some(answer) = self.backend.get(&[once]).await.pop().flatten()
        {
            if answer.fingerprint != plan.fingerprint {
                return Err(used_otherwise());
            }
            return Ok(Found::Hit(Hit { answer, bucket: 0 }));
        }
        let mut free = None;
        if plan.wish.read || plan.wish.save {
            let slots: Vec<CacheKey> = (0..plan.wish.buckets.max(1)).map(|index| plan.key.slot(index)).collect();
            let found = self.backend.get(&slots).await;
            let empty = found.iter().position(Option::is_none);
            let any = rand::random_range(0..slots.len());
            if let (true, None, Some(Some(answer))) = (plan.wish.read, empty, found.get(any)) {
                return Ok(Found::Hit(Hit { answer: answer.clone(), bucket: index(any) }));
            }
            free = Some(index(empty.unwrap_or(any)));
        }
        // Where several answers are wanted each request is to bring its own.
        let shared = plan.wish.read && plan.wish.save && plan.wish.buckets == 1;
        let key = plan.once.or_else(|| shared.then_some(plan.key));
        match self.flights.board(key, plan.fingerprint, self.largest, ask) {
            Ok((seat, joined)) => Ok(Found::Call { seat, joined, free }),
            Err(()) => Err(used_otherwise()),
        }
    }

    /// The answer that is kept under a key, where it is still good.
    pub async fn kept(&self, key: CacheKey) -> Option<Arc<Answer>> {
        self.backend.get(&[key]).await.pop().flatten()
    }

    /// Keeps an answer that is known to be whole: under its key, or under that of whoever served instead.
    pub fn keep(&self, plan: &Plan, served_by: CacheKey, free: Option<u32>, mut answer: Answer) {
        let mut put = |key: CacheKey, ttl: Duration| {
            answer.expires_ms = now_ms().saturating_add(millis(ttl));
            self.backend.put(key, Arc::new(answer.clone()), ttl);
        };
        if let Some(once) = plan.once {
            put(once, REMEMBERED);
        }
        if plan.wish.save {
            put(served_by.slot(free.unwrap_or(0)), plan.wish.ttl);
        }
    }

    /// How many answers are held here and how many bytes they take, where that is known.
    #[must_use]
    pub fn holds(&self) -> Option<(u64, u64)> {
        self.backend.holds()
    }
}

impl<B> Seat<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    /// Waits for the head of the answer; this seat is its body. `marks` is asked once, by whoever sees the head first.
    pub async fn head(mut self, marks: impl Fn(&Response<()>) -> Option<Marker>) -> Response<Self> {
        let head = poll_fn(|cx| self.poll_head(cx, &marks)).await;
        head.map(|()| self)
    }
}

/// What served a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A stored answer.
    Hit {
        /// Which of several.
        bucket: u32,
        /// How long it had taken, in µs.
        took_us: u64,
    },
    /// The stored answer to a request of the same meaning.
    Similar {
        /// How long it had taken, in µs.
        took_us: u64,
    },
    /// A call that was under way.
    Joined,
    /// A call of its own.
    Miss,
}

impl Verdict {
    /// Tells the client: `Helicone-Cache: HIT` or `MISS`, on a hit `-Bucket-Idx` and `-Latency` (ms), and
    /// `Tachograph-Cache: hit`, `semantic`, `joined` or `miss`.
    pub fn write(self, headers: &mut HeaderMap) {
        let (helicone, ours) = match self {
            Self::Hit { .. } => ("HIT", "hit"),
            Self::Similar { .. } => ("HIT", "semantic"),
            Self::Joined => ("HIT", "joined"),
            Self::Miss => ("MISS", "miss"),
        };
        headers.insert(CACHE, HeaderValue::from_static(helicone));
        headers.insert(VERDICT, HeaderValue::from_static(ours));
        if let Self::Hit { bucket, took_us } = self {
            headers.insert(BUCKET, HeaderValue::from(bucket));
            headers.insert(LATENCY, HeaderValue::from(took_us / 1_000));
        }
        if let Self::Similar { took_us } = self {
            headers.insert(LATENCY, HeaderValue::from(took_us / 1_000));
        }
    }
}

fn index(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(0)
}

fn used_otherwise() -> ApiError {
    let message = "This Idempotency-Key was used for a request with another body, path or provider key in the last 24 hours; \
                   use a new key for a new request.";
    ApiError::new(ErrorKind::InvalidRequest, "idempotency_key_reused", message)
        .with_status(http::StatusCode::UNPROCESSABLE_ENTITY)
}
