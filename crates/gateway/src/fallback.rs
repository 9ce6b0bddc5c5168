//! Who is asked, in which order, and again.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Response};
use tachograph_record::{LogRecord, Outcome};
use tachograph_reply::ApiError;
use tachograph_routing::{Blame, Class, Clock, Failover, Failure, Journey, Permit, Policy, Stop};
use tachograph_telemetry::{OnEnd, Served};
use tower::{Layer, Service};

use crate::admit::recorded;
use crate::answer::AnswerBody;
use crate::call::{Call, Retries, Try, Way};
use crate::codec::has_callers_key;
use crate::hold::Failed;
use crate::router::{Router, classify};

/// Which of the candidates served, counted from 0.
const FALLBACK_INDEX: HeaderName = HeaderName::from_static("helicone-fallback-index");
/// Official clients try again by themselves unless an answer says that it is no use.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// How long a key sits out that was refused, or has nothing left to spend.
const REFUSED_FOR: Duration = Duration::from_secs(300);
/// How long a key sits out that is limited and does not say for how long.
const LIMITED_FOR: Duration = Duration::from_secs(5);

/// Asks a call's candidates, each on the record with its own clocks.
#[derive(Clone)]
pub(crate) struct FallbackLayer(pub Arc<Router>);

impl<Inner> Layer<Inner> for FallbackLayer {
    type Service = Fallback<Inner>;

    fn layer(&self, inner: Inner) -> Fallback<Inner> {
        let (policy, budget, clock) = (Asking(self.0.clone()), self.0.budget().clone(), self.0.clock());
        Fallback { asking: Failover::new(inner, policy, budget, clock) }
    }
}

/// The service of [`FallbackLayer`].
#[derive(Clone)]
pub(crate) struct Fallback<Inner> {
    asking: Failover<Inner, Asking>,
}

impl<Inner> Service<Call> for Fallback<Inner>
where
    Inner: Service<Try, Response = Response<AnswerBody>, Error = Failed> + Clone + Send + 'static,
    Inner::Future: Send,
{
    type Response = Response<AnswerBody>;
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ApiError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ApiError>> {
        self.asking.poll_ready(cx).map_err(|failed| failed.error)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let asking = self.asking.call(call);
        Box::pin(async move {
            match asking.await {
                Ok(response) => Ok(response),
                // In the caller's own dialect the provider's words are told as they came.
                Err(Failed { native: Some(native), .. }) => Ok(*native),
                Err(failed) => Err(failed.error),
            }
        })
    }
}

/// What asking around needs to know of calls.
#[derive(Clone)]
pub(crate) struct Asking(Arc<Router>);

impl Policy<Call> for Asking {
    type Try = Try;
    type Answer = Response<AnswerBody>;
    type Error = Failed;

    fn journey(&self, call: &Call) -> Journey {
        let stop = |candidate: &crate::call::Candidate| Stop {
            lane: candidate.lane.clone(),
            only_after: candidate.only_after,
        };
        let (usual, backoff) = self.0.retries();
        let (rounds, backoff) = match (call.retries, &call.way) {
            (Some(Retries { tries, backoff }), _) => (tries, backoff),
            (None, Way::Gateway(..)) => (usual, backoff),
            // A proxy's client is the provider's own, which tries again by itself.
            (None, Way::Proxy(_)) => (1, backoff),
        };
        Journey {
            stops: call.candidates.iter().map(stop).collect(),
            rounds,
            backoff,
            // Who asks for repetitions has taken them upon itself.
            idempotent: call.retries.is_some() || call.headers.contains_key("idempotency-key"),
            unbudgeted: call.retries.is_some(),
            random: tachograph_routing::name_hash(&call.trip.id().to_string()),
        }
    }

    fn attempt(&self, call: &Arc<Call>, stop: usize, more: bool) -> Try {
        let candidate = call.candidates[stop].clone();
        let endpoint = &candidate.endpoint;
        call.trip.attempt(endpoint.name().clone(), candidate.model.clone());
        Try { call: call.clone(), candidate, hold: more }
    }

    fn judge(&self, call: &Call, stop: usize, failed: &Failed) -> Failure {
        call.trip.attempt_failed(recorded(&failed.error));
        let candidate = &call.candidates[stop];
        let endpoint = &candidate.endpoint;
        let mut failure = classify(&failed.error, has_callers_key(call, candidate));
        if let Some(instead) = &candidate.instead {
            let status = failed.error.status();
            failure.moves_on = Some(instead.on.iter().any(|codes| codes.has(status)));
        }
        let is_spent = call.upload.as_ref().is_some_and(|upload| upload.has_begun());
        if is_spent {
            // What has been sent of an upload is gone: there is nothing to ask anybody else with.
            failure.moves_on = Some(false);
        }
        if failure.class.blame() == Blame::Key
            && let Some(key) = call.trip.key_of_attempt()
        {
            let usual = if failure.class == Class::RateLimited { LIMITED_FOR } else { REFUSED_FOR };
            let span = failure.retry_after.unwrap_or(usual);
            failure.another_key = endpoint.bench(call.org, key, span) && !is_spent;
        }
        failure
    }

    fn served(&self, call: &Call, stop: usize, answer: &mut Self::Answer, permit: Permit, _before: u32) {
        if call.candidates.len() > 1 || call.candidates[stop].instead.is_some() {
            answer.headers_mut().insert(FALLBACK_INDEX, HeaderValue::from(stop as u64));
        }
        let clock = self.0.clock();
        let mut permit = permit;
        permit.began(clock.now());
        if let Some(served) = answer.extensions_mut().get_mut::<Served>() {
            served.on_end = Some(Arc::new(Serving { permit: Mutex::new(Some(permit)), clock }));
        }
    }

    fn failed(&self, _call: &Call, mut failed: Failed, tries: u32) -> Failed {
        if tries > 1 {
            // One owner of repetitions is enough: three of ours times three of the client's are nine.
            let no = HeaderValue::from_static("false");
            match &mut failed.native {
                Some(native) => drop(native.headers_mut().insert(SHOULD_RETRY, no)),
                None => {
                    let mut headers = failed.error.headers().cloned().unwrap_or_default();
                    headers.insert(SHOULD_RETRY, no);
                    failed.error = failed.error.with_headers(headers);
                }
            }
        }
        failed
    }

    fn nobody(&self, _call: &Call) -> Failed {
        let message = "No provider is set up that could serve this request.";
        Failed { error: ApiError::not_found("no_provider", message), native: None }
    }
}

/// An answer under way: its target learns how it ended.
struct Serving {
    permit: Mutex<Option<Permit>>,
    clock: Clock,
}

impl OnEnd for Serving {
    fn ended(&self, record: &LogRecord) {
        let Some(permit) = self.permit.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let now = self.clock.now();
        let last = record.attempts.last();
        if let Some(waited) = last.and_then(|last| last.first_token_us?.checked_sub(last.sent_us)) {
            permit.lane().first_token_after(Duration::from_micros(waited), now);
        }
        if let Some(usage) = record.reading.usage.known() {
            permit.lane().used(usage.input_total().saturating_add(usage.output_total()), now);
        }
        match record.outcome {
            Outcome::Complete => permit.succeeded(now),
            Outcome::UpstreamFailed | Outcome::CutShort => permit.failed(&Failure::of(Class::ServerError), now),
            // Whoever left says nothing of the target.
            Outcome::ClientGone | Outcome::Refused | Outcome::Interrupted => drop(permit),
        }
    }
}
