//! Answers kept and replayed, and one call for identical requests in flight, for any tower service.
//!
//! ```
//! use std::sync::atomic::{AtomicUsize, Ordering};
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use tachograph_cache::{Cache, CacheLayer, Plan, Subject, Tenant, Usual, Wish};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! static CALLS: AtomicUsize = AtomicUsize::new(0);
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let cache = CacheLayer::new(Cache::in_memory(64 << 20), |request: &Request<Bytes>| {
//!     let wish = Wish::of(request.headers(), Usual::default())?;
//!     // Whoever that is by your own authentication.
//!     let tenant = Tenant::new(b"acme");
//!     let route = [request.method().as_str(), request.uri().path()];
//!     let seed = wish.seed.as_deref();
//!     let subject =
//!         Subject { tenant, route: &route, headers: vec![], seed, ignore: &wish.ignore, body: request.body() };
//!     let key = subject.key();
//!     Ok((!wish.is_empty()).then(|| Plan::new(wish, tenant, key.served_by("here"), key.fingerprint())))
//! });
//! let service = ServiceBuilder::new().layer(cache).service(service_fn(async |_request: Request<Bytes>| {
//!     let text = format!("answer {}", CALLS.fetch_add(1, Ordering::SeqCst));
//!     Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(text))))
//! }));
//!
//! for (body, verdict, answer) in [
//!     (r#"{"model":"m","n":1}"#, "MISS", "answer 0"),
//!     (r#"{ "n": 1, "model": "m" }"#, "HIT", "answer 0"),
//!     (r#"{"model":"m","n":2}"#, "MISS", "answer 1"),
//! ] {
//!     let request = Request::post("/chat").header("helicone-cache-enabled", "true").body(Bytes::from(body)).unwrap();
//!     let response = service.clone().oneshot(request).await.unwrap();
//!     assert_eq!(response.headers()["helicone-cache"], verdict);
//!     assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), answer);
//! }
//! # });
//! ```
//!
//! The layer takes one line in an axum router or a hyper server, behind what reads the body: `examples/layers_axum.rs` and
//! `examples/layers_hyper.rs` are whole servers with it, rate limits and the meter.
//!
//! # What there is
//!
//! - [`Wish`]: what a caller wants, by Helicone's headers.
//! - [`Subject`] and [`CacheKey`]: what makes a request the request that it is. There is no key without a [`Tenant`].
//! - [`Cache`]: looks, joins and keeps. Only whole answers of status 200 are kept, piece by piece as they came.
//! - [`CacheLayer`]: all of that before a service. Identical requests in flight share one call; if the one leaves that
//!   began it, the others go on.
//! - [`Neighbours`]: what was asked before as embeddings, to find the answer to a question of the same meaning. Who makes
//!   the embeddings is the user's business.
//! - [`backend`]: memory, bounded by bytes, and Redis. A backend that is slow or gone is a miss.
//!
//! # Bounds
//!
//! An answer of more than 8 MiB is not kept. While it is shared, pieces beyond that are let go once all have read them, and
//! the call waits for its slowest reader. What is to be written to Redis waits in a queue of 256; one more is not kept.
//!
//! # To change it
//!
//! A header is a line in `wish.rs`. A backend implements [`Backend`](backend::Backend) and is added to
//! the suite where all answer alike.

mod answer;
pub mod backend;
mod canonical;
mod engine;
mod flight;
mod key;
mod layer;
mod replay;
mod semantic;
mod wish;

pub use answer::{Answer, Piece};
pub use engine::{Cache, Found, Hit, Plan, Verdict};
pub use flight::{Asking, Broken, Marker, Seat, Watch};
pub use key::{CacheKey, RequestKey, Subject, Tenant};
pub use layer::{CacheLayer, Cached, CachedBody, Keeper};
pub use replay::Replay;
pub use semantic::Neighbours;
pub use wish::{USUAL_TTL, Usual, Wish};
