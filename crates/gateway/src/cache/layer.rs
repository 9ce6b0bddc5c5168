//! The layer: before whoever serves.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use tachograph_cache::{Answer, Asking, Found, Hit, Marker, Plan, Replay, RequestKey, Seat, Verdict, Watch};
use tachograph_pricing::PriceBook;
use tachograph_record::{CacheStatus, CacheVerdict, LogRecord, Outcome, RecordId};
use tachograph_telemetry::{OnEnd, Served, Trip};
use tower::{Layer, Service};

use super::meaning::Embedded;
use super::plan::Planned;
use super::tap::{CallTap, Facts, StoredTap, mark, verdict, without_usage};
use super::{AnswerCache, plan};
use crate::admit::refuse;
use crate::answer::AnswerBody;
use crate::aside::Aside;
use crate::call::Call;
use crate::ledger::cost_at_end;

/// Puts the cache before a service of [`Call`]s.
#[derive(Clone)]
pub(crate) struct CacheLayer {
    pub(crate) cache: AnswerCache,
    pub(crate) prices: Arc<PriceBook>,
    pub(crate) aside: Aside,
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
        let semantic = || self.layer.cache.semantic.load_full();
        let Some(planned) = plan::of(&mut call, semantic) else { return self.inner.call(call) };
        let next = self.inner.clone();
        // The service that was polled ready serves; its clone is polled ready again before the next call.
        let mut inner = std::mem::replace(&mut self.inner, next);
        let layer = self.layer.clone();
        Box::pin(async move { Ok(layer.serve(call, planned, move |call| inner.call(call)).await) })
    }
}

/// Whose call it was that an answer came of.
#[derive(Clone, Copy)]
struct Began(RecordId);

impl CacheLayer {
    async fn serve(
        self,
        call: Call,
        planned: Planned,
        ask: impl FnOnce(Call) -> Answering + Send + 'static,
    ) -> Response<AnswerBody> {
        let Planned { plan, key, question } = planned;
        let (trip, shape, omit_body) = (call.trip.clone(), call.shape, call.omit_response);
        let asks = plan.wish.read || plan.wish.save;
        let first = trip.id();
        let asking = || -> Asking<AnswerBody> {
            let Some(question) = question else {
                let asking = ask(call);
                return Box::pin(async move { begun(first, asking.await) });
            };
            let (layer, paced) = (self.clone(), plan.wish.paced);
            Box::pin(async move {
                let embedded = question.embedded(&layer.aside, &call).await;
                let near = embedded.as_ref().and_then(|embedded| question.nearest(embedded));
                if let Some((key, cosine)) = near
                    && let Some(answer) = layer.cache.cache.kept(key).await
                {
                    call.trip.note(format!("answered as a question of the same meaning, with a cosine of {cosine:.4}"));
                    return similar(answer, paced, call.omit_response);
                }
                let mut response = begun(first, ask(call).await);
                if let Some(embedded) = embedded {
                    response.extensions_mut().insert(Remembered(embedded));
                }
                response
            })
        };
        let (seat, joined, free) = match self.cache.cache.find(&plan, asking).await {
            Ok(Found::Call { seat, joined, free }) => (seat, joined, free),
            Ok(Found::Hit(Hit { answer, bucket })) => {
                let took_us = answer.took_us;
                let (mut response, told) = stored(answer, plan.wish.paced, omit_body);
                trip.cache(CacheVerdict { bucket: Some(bucket), ..told });
                Verdict::Hit { bucket, took_us }.write(response.headers_mut());
                return response;
            }
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
        } else if let Some(Similar(told)) = head.extensions.remove() {
            trip.cache(told);
        } else if plan.wish.read {
            Verdict::Miss.write(&mut head.headers);
        }
        let is_similar = head.headers.get("tachograph-cache").is_some_and(|verdict| verdict == "semantic");
        let remembered = head.extensions.remove::<Remembered>().map(|Remembered(embedded)| embedded);
        let mut served = head.extensions.remove::<Served>().unwrap_or_default();
        served.omit_body = omit_body;
        let (watch, inner) = (seat.watch(), served.on_end.take());
        let tap = CallTap { watch: seat.watch(), tap: served.tap.take(), trip, joined: began, next: 0, mark: 0 };
        // What is kept already is not kept under a question that it does not quite answer.
        let keeper = Keeper { layer: self, plan, key, free, watch, inner, remembered };
        served.on_end = (!is_similar).then(|| Arc::new(keeper) as Arc<dyn OnEnd>);
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

fn begun(first: RecordId, answered: Result<Response<AnswerBody>, Infallible>) -> Response<AnswerBody> {
    let mut response = answered.unwrap_or_else(|never| match never {});
    response.extensions_mut().insert(Began(first));
    response
}

/// The answer to another question of the same meaning.
#[derive(Clone)]
struct Similar(CacheVerdict);

/// What a call's question means, to be remembered once its answer is kept.
#[derive(Clone)]
struct Remembered(Embedded);

fn similar(answer: Arc<Answer>, paced: bool, omit_body: bool) -> Response<AnswerBody> {
    let took_us = answer.took_us;
    let (mut response, told) = stored(answer, paced, omit_body);
    Verdict::Similar { took_us }.write(response.headers_mut());
    response.extensions_mut().insert(Similar(CacheVerdict { status: CacheStatus::Semantic, ..told }));
    response
}

/// A stored answer, and what the record is told of it.
fn stored(answer: Arc<Answer>, paced: bool, omit_body: bool) -> (Response<AnswerBody>, CacheVerdict) {
    let facts = serde_json::from_slice::<Facts>(&answer.facts).ok();
    let told = CacheVerdict {
        status: CacheStatus::Hit,
        source: facts.as_ref().map(|facts| facts.source),
        saved: facts.as_ref().and_then(|facts| facts.saved),
        saved_us: Some(answer.took_us),
        bucket: None,
    };
    let replay = if paced { Replay::paced } else { Replay::at_once };
    let mut response = Response::new(AnswerBody::Stored { body: replay(answer.clone()) });
    response.headers_mut().clone_from(&answer.headers);
    let mut served = Served { omit_body, ..Served::default() };
    let mut reading = tachograph_record::Reading::default();
    if let Some(facts) = facts {
        (served.provider, served.provider_model, reading) = (facts.provider, facts.provider_model, facts.reading);
    }
    let tap = StoredTap { answer, reading: without_usage(reading), next: 0, mark: 0 };
    response.extensions_mut().insert(served.with_tap(Box::new(tap)));
    (response, told)
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
    remembered: Option<Embedded>,
}

impl Keeper {
    /// Whether the answer is all there: for its client or, where that one left, for those who come after.
    fn is_whole(&self, record: &LogRecord) -> bool {
        let to_its_end = match record.outcome {
            Outcome::Complete => true,
            Outcome::ClientGone => self.watch.is_over() && record.reading.ended && record.reading.error.is_none(),
            _ => false,
        };
        to_its_end && record.status == Some(200)
    }
}

impl OnEnd for Keeper {
    fn ended(&self, record: &LogRecord) {
        if !self.watch.pays() {
            return;
        }
        if let Some(inner) = &self.inner {
            inner.ended(record);
        }
        if !self.is_whole(record) {
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
        let served_by = self.key.served_by(&target);
        self.layer.cache.cache.keep(&self.plan, served_by, self.free, answer);
        if let Some(embedded) = self.remembered.as_ref().filter(|_| self.plan.wish.save && served_by == self.plan.key) {
            embedded.remember(served_by.slot(self.free.unwrap_or(0)), self.plan.wish.ttl);
        }
    }
}
