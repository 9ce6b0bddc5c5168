//! The cache as a layer before any service.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tachograph_reply::{ApiError, ErrorShape};
use tower::{Layer, Service};

use crate::engine::{Cache, Found, Plan, Verdict};
use crate::flight::{Broken, Seat, Watch};
use crate::replay::Replay;

/// Puts a [`Cache`] before a service. `plan` says for each request what is wanted, and under which key: `None` passes it on
/// as if there were no cache, and an error is answered in OpenAI's shape.
pub struct CacheLayer<B, P> {
    cache: Cache<B>,
    plan: Arc<P>,
}

impl<B, P> CacheLayer<B, P> {
    /// This cache, by these plans.
    pub fn new(cache: Cache<B>, plan: P) -> Self {
        Self { cache, plan: Arc::new(plan) }
    }
}

impl<B, P> Clone for CacheLayer<B, P> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), plan: self.plan.clone() }
    }
}

impl<B, P, Inner> Layer<Inner> for CacheLayer<B, P> {
    type Service = Cached<B, P, Inner>;

    fn layer(&self, inner: Inner) -> Self::Service {
        Cached { inner, layer: self.clone() }
    }
}

/// The service of [`CacheLayer`].
pub struct Cached<B, P, Inner> {
    inner: Inner,
    layer: CacheLayer<B, P>,
}

impl<B, P, Inner: Clone> Clone for Cached<B, P, Inner> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<Request, B, P, Inner> Service<Request> for Cached<B, P, Inner>
where
    Request: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
    P: Fn(&Request) -> Result<Option<Plan>, ApiError> + Send + Sync + 'static,
    Inner: Service<Request, Response = Response<B>, Error = std::convert::Infallible> + Clone + Send + 'static,
    Inner::Future: Send,
{
    type Response = Response<CachedBody<B>>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let next = self.inner.clone();
        // The service that was polled ready serves; its clone is polled ready again before the next call.
        let mut inner = std::mem::replace(&mut self.inner, next);
        let CacheLayer { cache, plan } = self.layer.clone();
        Box::pin(async move {
            let plan = match plan(&request) {
                Ok(Some(plan)) => plan,
                Ok(None) => return Ok(inner.call(request).await?.map(|body| CachedBody::Own(Box::pin(body)))),
                Err(error) => return Ok(ErrorShape::OpenAi.response(&error)),
            };
            let ask = || -> crate::flight::Asking<B> {
                let asking = inner.call(request);
                Box::pin(async move { asking.await.unwrap_or_else(|never| match never {}) })
            };
            let (seat, joined, free) = match cache.find(&plan, ask).await {
                Ok(Found::Call { seat, joined, free }) => (seat, joined, free),
                Ok(Found::Hit(hit)) => {
                    let verdict = Verdict::Hit { bucket: hit.bucket, took_us: hit.answer.took_us };
                    let replay = if plan.wish.paced { Replay::paced } else { Replay::at_once };
                    let mut response = Response::new(CachedBody::Stored(replay(hit.answer.clone())));
                    response.headers_mut().clone_from(&hit.answer.headers);
                    verdict.write(response.headers_mut());
                    return Ok(response);
                }
                Err(error) => return Ok(ErrorShape::OpenAi.response(&error)),
            };
            let watch = seat.watch();
            let mut response = seat.head(|_| None).await;
            let verdict = if joined { Verdict::Joined } else { Verdict::Miss };
            verdict.write(response.headers_mut());
            let keeper = (response.status() == StatusCode::OK).then(|| Keeper { cache, plan, free, watch });
            Ok(response.map(|seat| CachedBody::Shared(Box::new((seat, keeper)))))
        })
    }
}

/// Keeps an answer once it is whole.
pub struct Keeper<B> {
    cache: Cache<B>,
    plan: Plan,
    free: Option<u32>,
    watch: Watch<B>,
}

impl<B> Keeper<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    fn keep(self) {
        if self.watch.pays()
            && let Some(answer) = self.watch.answer(Bytes::new())
        {
            self.watch.settle();
            self.cache.keep(&self.plan, self.plan.key, self.free, answer);
        }
    }
}

/// A body behind [`CacheLayer`].
pub enum CachedBody<B> {
    /// The service's own.
    Own(Pin<Box<B>>),
    /// The gateway's own word.
    Whole(Option<Bytes>),
    /// A stored one.
    Stored(Replay),
    /// One that others may read too.
    Shared(Box<(Seat<B>, Option<Keeper<B>>)>),
}

impl<B> From<Bytes> for CachedBody<B> {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes))
    }
}

impl<B> Body for CachedBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Own(body) => body.as_mut().poll_frame(cx).map_err(|error| Broken(Arc::from(error.into()))),
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stored(replay) => Pin::new(replay).poll_frame(cx).map_err(|never| match never {}),
            Self::Shared(shared) => {
                let (seat, keeper) = &mut **shared;
                let frame = Pin::new(&mut *seat).poll_frame(cx);
                let over = match &frame {
                    Poll::Ready(None) => true,
                    // A server need not ask again for what is over.
                    Poll::Ready(Some(Ok(_))) => seat.is_end_stream(),
                    _ => false,
                };
                if over && let Some(keeper) = keeper.take() {
                    keeper.keep();
                }
                frame
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_end_stream(),
            Self::Whole(bytes) => bytes.is_none(),
            Self::Stored(replay) => replay.is_end_stream(),
            Self::Shared(shared) => shared.0.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => body.size_hint(),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stored(replay) => replay.size_hint(),
            Self::Shared(_) => SizeHint::default(),
        }
    }
}
