//! The layer: before whoever serves.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use tachograph_cache::{Asking, Found, Hit, Marker, Plan, Replay, RequestKey, Seat, Verdict, Watch};
use tachograph_pricing::PriceBook;
use tachograph_record::{CacheStatus, CacheVerdict, LogRecord, Outcome, RecordId};
use tachograph_telemetry::{OnEnd, Served, Trip};
use tower::{Layer, Service};

use super::tap::{CallTap, Facts, StoredTap, mark, verdict, without_usage};
use super::{AnswerCache, plan};
use crate::admit::refuse;
use crate::answer::AnswerBody;
use crate::call::Call;
use crate::ledger::cost_at_end;

/// Puts the cache before a service of [`Call`]s.
#[derive(Clone)]
pub(crate) struct CacheLayer {
    pub(crate) cache: AnswerCache,
    pub(crate) prices: Arc<PriceBook>,
}

impl<Inner> Layer<Inner> for CacheLayer {
    type Service = Cached<Inner>;

    fn layer(&self, inner: Inner) -> Cached<Inner> {
        Cached { inner, layer: self.clone() }
    }
}

/// The service of [`CacheLayer`].
#[derive(Clone)]
pub(crate) struct Cached<Inner> {
    inner: Inner,
    layer: CacheLayer,
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<AnswerBody>, Infallible>> + Send>>;

impl<Inner> Service<Call> for Cached<Inner>
where
    Inner:
        Service<Call, Response = Response<AnswerBody>, Error = Infallible, Future = Answering> + Clone + Send + 'static,
{
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call) -> Answering {
        let Some((plan, key)) = plan::of(&mut call) else { return self.inner.call(call) };
        let next = self.inner.clone();
        // The service that was polled ready serves; its clone is polled ready again before the next call.
        let mut inner = std::mem::replace(&mut self.inner, next);
        let layer = self.layer.clone();
        Box::pin(async move { Ok(layer.serve(call, plan, key, |call| inner.call(call)).await) })
    }
}

/// Whose call it was that an answer came of.
#[derive(Clone, Copy)]
struct Began(RecordId);

impl CacheLayer {
    async fn serve(
        self,
        call: Call,
        plan: Plan,
        key: RequestKey,
        ask: impl FnOnce(Call) -> Answering,
    ) -> Response<AnswerBody> {
        let (trip, shape, omit_body) = (call.trip.clone(), call.shape, call.omit_response);
        let asks = plan.wish.read || plan.wish.save;
        let first = trip.id();
        let asking = || -> Asking<AnswerBody> {
            let asking = ask(call);
            Box::pin(async move {
                let mut response = asking.await.unwrap_or_else(|never| match never {});
                response.extensions_mut().insert(Began(first));
                response
            })
        };
        let (seat, joined, free) = match self.cache.cache.find(&plan, asking).await {
            Ok(Found::Call { seat, joined, free }) => (seat, joined, free),
            Ok(Found::Hit(hit)) => return stored(&hit, &plan, &trip, omit_body),
            Err(error) => return refuse(shape, &error),
        };
        if joined {
            trip.cache(verdict(CacheStatus::Joined));
        } else if asks {
            trip.cache(verdict(CacheStatus::Miss));
        }
        let leaving = Leaving { watch: seat.watch(), trip: trip.clone(), joined, armed: true };
        let response = seat.head(marker).await;
        leaving.stays();
        self.shared(response, Part { plan, key, trip, joined, free, omit_body })
    }

    /// A call's answer, read and judged for the one who waited for it.
    fn shared(self, response: Response<Seat<AnswerBody>>, part: Part) -> Response<AnswerBody> {
        let Part { plan, key, trip, joined, free, omit_body } = part;
        let (mut head, seat) = response.into_parts();
        let began = head.extensions.remove::<Began>().map(|Began(id)| id).filter(|_| joined);
        if joined {
            trip.cache(CacheVerdict { source: began, ..verdict(CacheStatus::Joined) });
            Verdict::Joined.write(&mut head.headers);
        } else if plan.wish.read {
            Verdict::Miss.write(&mut head.headers);
        }
        let mut served = head.extensions.remove::<Served>().unwrap_or_default();
        served.omit_body = omit_body;
        let (watch, inner) = (seat.watch(), served.on_end.take());
        let tap = CallTap { watch: seat.watch(), tap: served.tap.take(), trip, joined: began, next: 0, mark: 0 };
        let keeper = Keeper { layer: self, plan, key, free, watch, inner };
        served.on_end = Some(Arc::new(keeper));
        head.extensions.insert(served.with_tap(Box::new(tap)));
        Response::from_parts(head, AnswerBody::Shared { body: seat })
    }
}

/// One call's part in an answer.
struct Part {
    plan: Plan,
    key: RequestKey,
    trip: Trip,
    joined: bool,
    free: Option<u32>,
    omit_body: bool,
}

/// What was seen of each piece is kept beside it.
fn marker(head: &Response<()>) -> Option<Marker> {
    let tap = head.extensions().get::<Served>()?.tap.clone()?;
    Some(Box::new(move |piece| mark(tap.see(piece))))
}

/// A stored answer.
fn stored(hit: &Hit, plan: &Plan, trip: &Trip, omit_body: bool) -> Response<AnswerBody> {
    let answer = &hit.answer;
    let facts = serde_json::from_slice::<Facts>(&answer.facts).ok();
    trip.cache(CacheVerdict {
        status: CacheStatus::Hit,
        source: facts.as_ref().map(|facts| facts.source),
        saved: facts.as_ref().and_then(|facts| facts.saved),
        saved_us: Some(answer.took_us),
        bucket: Some(hit.bucket),
    });
    let replay = if plan.wish.paced { Replay::paced } else { Replay::at_once };
    let mut response = Response::new(AnswerBody::Stored { body: replay(answer.clone()) });
    response.headers_mut().clone_from(&answer.headers);
    Verdict::Hit { bucket: hit.bucket, took_us: answer.took_us }.write(response.headers_mut());
    let mut served = Served { omit_body, ..Served::default() };
    let mut reading = tachograph_record::Reading::default();
    if let Some(facts) = facts {
        (served.provider, served.provider_model, reading) = (facts.provider, facts.provider_model, facts.reading);
    }
    let tap = StoredTap { answer: answer.clone(), reading: without_usage(reading), next: 0, mark: 0 };
    response.extensions_mut().insert(served.with_tap(Box::new(tap)));
    response
}

/// Tells the record of one that left before the head whether others stay with its call.
struct Leaving {
    watch: Watch<AnswerBody>,
    trip: Trip,
    joined: bool,
    armed: bool,
}

impl Leaving {
    fn stays(mut self) {
        self.armed = false;
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if self.armed && !self.joined && !self.watch.pays() {
            self.trip.cache(verdict(CacheStatus::Joined));
        }
    }
}

/// Keeps an answer once its record says that it is whole.
struct Keeper {
    layer: CacheLayer,
    plan: Plan,
    key: RequestKey,
    free: Option<u32>,
    watch: Watch<AnswerBody>,
    inner: Option<Arc<dyn OnEnd>>,
}

impl OnEnd for Keeper {
    fn ended(&self, record: &LogRecord) {
        if !self.watch.pays() {
            return;
        }
        if let Some(inner) = &self.inner {
            inner.ended(record);
        }
        if record.outcome != Outcome::Complete || record.status != Some(200) {
            return;
        }
        let cost = cost_at_end(record, &self.layer.prices);
        let facts = Facts {
            source: record.id,
            saved: cost.and_then(|cost| cost.total()),
            provider: record.provider.clone(),
            provider_model: record.provider_model.clone(),
            reading: record.reading.clone(),
        };
        let Ok(facts) = serde_json::to_vec(&facts) else { return };
        let Some(answer) = self.watch.answer(Bytes::from(facts)) else { return };
        // Under whoever answered: a fallback's answer is not what the first choice would have said.
        let provider = record.provider.as_deref().unwrap_or_default();
        let target = plan::target(provider, record.provider_model.as_deref());
        self.layer.cache.cache.keep(&self.plan, self.key.served_by(&target), self.free, answer);
    }
}
