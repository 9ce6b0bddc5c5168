//! Rate limits and budgets for any tower service.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use tachograph_ratelimit::{Caller, Limiter, RateLimitLayer, Rules};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! // Ten requests a minute for each user, whoever that is by your own authentication.
//! let rules = Rules { policies: vec!["10;w=60;s=user".parse().unwrap()], ..Rules::default() };
//! let limits = RateLimitLayer::new(Limiter::in_memory(rules), |request: &Request<Bytes>| {
//!     let user = request.headers().get("x-user")?.to_str().ok()?;
//!     Some(Caller::of("acme").user(user).policies_of(request))
//! });
//! let service = ServiceBuilder::new().layer(limits).service(service_fn(async |_request: Request<Bytes>| {
//!     Ok::<_, std::convert::Infallible>(Response::new(Bytes::from_static(b"hello")))
//! }));
//!
//! for turn in 1..=11 {
//!     let request = Request::get("/").header("x-user", "alice").body(Bytes::new()).unwrap();
//!     let answer = service.clone().oneshot(request).await.unwrap();
//!     assert_eq!(answer.status(), if turn <= 10 { 200 } else { 429 });
//!     assert_eq!(answer.headers()["helicone-ratelimit-policy"], "10;w=60;s=user");
//! }
//! # });
//! ```
//!
//! The layer takes one line in an axum router (`.layer(limits)`); where the body is another than [`Bytes`](bytes::Bytes), it has
//! to be `From<Bytes>`, as axum's is. `examples/limit_axum.rs` shows it, `examples/layers_hyper.rs` the same
//! without a framework.
//!
//! # What there is
//!
//! - [`Policy`]: `1000;w=3600;u=cents;s=user`, the grammar of Helicone's header, with tokens as a third unit and keys and
//!   models as further segments. Calls are taken before, cents and tokens after the call, so these may leave a debt.
//! - [`Budget`]: an amount of money a day, week, month or in a rolling window, for any combination of organisation, key,
//!   user, model and properties. What a call costs at most is reserved in all of its budgets at once and settled when it is
//!   over, so that no number of calls at the same time spends more than there is.
//! - [`Limiter`]: both, asked with [`admit`](Limiter::admit) and told with [`Reservation::settle`]. The layer does this.
//! - [`backend`]: limits that several processes share, in Redis or in a database's rows.
//!
//! Time is the system's, or a simulation's: [`LimiterOptions::clock`]. Money is [`Money`](tachograph_record::Money), exact.
//!
//! # To change it
//!
//! A unit or a segment is a line in `policy.rs` and one in `subject.rs`. A backend implements
//! [`Backend`](backend::Backend) and is added to `tests/conformance`, where all answer alike.

pub mod backend;
mod bucket;
mod buckets;
mod budget;
mod events;
mod layer;
mod ledger;
mod limiter;
mod policy;
mod quota;
mod subject;
mod sync;

pub use bucket::{Bucket, Shape, seconds_to, seconds_to_full};
pub use budget::{Budget, OnExceed, Period, Scope, Selector, Span};
pub use events::{Counters, Counts, EventSink, LimitEvent, What};
pub use layer::{Caller, RateLimit, RateLimitLayer, Taken};
pub use limiter::{
    AccountView, Admission, Ask, Clock, Denial, Limiter, LimiterOptions, OnUnavailable, Past, RemoteOptions,
    Reservation, Rules, Snapshot, Spent, Verdict,
};
pub use policy::{Policy, PolicyError, Segment, Unit};
pub use quota::Quota;
pub use subject::{Subject, bucket_key};
