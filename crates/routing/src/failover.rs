//! Asking one target after another, and again.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tower::Service;

use crate::backoff::{Backoff, mix};
use crate::breaker::micros;
use crate::budget::RetryBudget;
use crate::failure::{Class, Failure};
use crate::lane::{Lane, Permit};

/// A target that says so is asked again at once with another key, but not more often than this.
const MOST_KEYS: u32 = 8;

/// One stop of a journey.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Who is asked.
    pub lane: Arc<Lane>,
    /// Asked only after a failure of this kind: a longer context window, another provider's filter.
    pub only_after: Option<Class>,
}

/// Who is asked for one call, and how often.
#[derive(Clone, Debug)]
pub struct Journey {
    /// The stops, the first first.
    pub stops: Vec<Stop>,
    /// How often each may be asked, the first time included. All are asked once before one is asked again.
    pub rounds: u32,
    /// How long to wait between rounds.
    pub backoff: Backoff,
    /// Whether asking twice does no harm, even where the first request may have been taken.
    pub idempotent: bool,
    /// Whether the budget does not count: the caller itself asked for so many tries.
    pub unbudgeted: bool,
    /// Any 64 bits.
    pub random: u64,
}

/// What a journey needs to know of calls, tries and answers.
pub trait Policy<Call>: Clone + Send + Sync + 'static {
    /// One try at serving a call.
    type Try: Send;
    /// An answer.
    type Answer: Send;
    /// A failure, as a caller will be told.
    type Error: Send;

    /// Who is asked for this call.
    fn journey(&self, call: &Call) -> Journey;

    /// The try at a stop. `more`: whether something is left to do where it fails, so that an answer that may still fail
    /// is worth holding back.
    fn attempt(&self, call: &Arc<Call>, stop: usize, more: bool) -> Self::Try;

    /// What kind of failure this is. It is asked once for each try that failed.
    fn judge(&self, call: &Call, stop: usize, error: &Self::Error) -> Failure;

    /// A target answered, and the call is served unless the answer breaks off. The permit goes with the answer and tells
    /// its target how it ended. `before` is how many tries came to nothing.
    fn served(&self, call: &Call, stop: usize, answer: &mut Self::Answer, permit: Permit, before: u32);

    /// Nobody served: what the caller is told, from an error and how many tries were made.
    fn failed(&self, call: &Call, error: Self::Error, tries: u32) -> Self::Error;

    /// There was nobody to ask.
    fn nobody(&self, call: &Call) -> Self::Error;
}

/// µs since a fixed moment of this process, by tokio's clock, which tests may stop and turn.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that is an hour past its beginning now, so that 0 is always long ago.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// µs now.
    #[must_use]
    pub fn now(&self) -> u64 {
        const HOUR: u64 = 3_600_000_000;
        micros(self.0.elapsed()).saturating_add(HOUR)
    }
}

/// Asks the stops of a call's journey: see the [crate's page](crate).
#[derive(Clone, Debug)]
pub struct Failover<Inner, P> {
    inner: Inner,
    policy: P,
    budget: Arc<RetryBudget>,
    clock: Clock,
}

impl<Inner, P> Failover<Inner, P> {
    /// Asks `inner`, by this policy, within this budget.
    #[must_use]
    pub const fn new(inner: Inner, policy: P, budget: Arc<RetryBudget>, clock: Clock) -> Self {
        Self { inner, policy, budget, clock }
    }
}

impl<Inner, P, Call> Service<Call> for Failover<Inner, P>
where
    P: Policy<Call>,
    Call: Send + Sync + 'static,
    Inner: Service<P::Try, Response = P::Answer, Error = P::Error> + Clone + Send + 'static,
    Inner::Future: Send,
{
    type Response = P::Answer;
    type Error = P::Error;
    type Future = Pin<Box<dyn Future<Output = Result<P::Answer, P::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), P::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        let journey = self.policy.journey(&call);
        let under_way = UnderWay {
            inner,
            policy: self.policy.clone(),
            budget: Arc::clone(&self.budget),
            clock: self.clock,
            stops: journey.stops.iter().map(|_| Place::default()).collect(),
            call: Arc::new(call),
            journey,
            tries: 0,
            round: 1,
            told: None,
            only_after: None,
            paid: false,
            ready: true,
        };
        Box::pin(under_way.run())
    }
}

/// What is known of a stop while its call is under way.
#[derive(Clone, Copy, Default)]
struct Place {
    /// What was wrong with it the last time.
    failed: Option<Failure>,
}

struct UnderWay<Inner, P: Policy<Call>, Call> {
    inner: Inner,
    policy: P,
    budget: Arc<RetryBudget>,
    clock: Clock,
    call: Arc<Call>,
    journey: Journey,
    stops: Vec<Place>,
    tries: u32,
    round: u32,
    /// The error that tells the most so far.
    told: Option<(u8, P::Error)>,
    /// What was wrong, where only the stops that are there for it are asked from then on.
    only_after: Option<Class>,
    /// Whether the next try beyond the first has been paid for.
    paid: bool,
    ready: bool,
}

/// What became of a stop.
enum Step<A> {
    Served(A),
    /// It failed, and others may do better.
    On,
    /// It failed, and nobody would do better.
    Over,
}

impl<Inner, P, Call> UnderWay<Inner, P, Call>
where
    P: Policy<Call>,
    Inner: Service<P::Try, Response = P::Answer, Error = P::Error>,
{
    async fn run(mut self) -> Result<P::Answer, P::Error> {
        self.budget.request();
        loop {
            let asked_before = self.tries;
            for stop in 0..self.stops.len() {
                if !self.is_open_to(stop) {
                    continue;
                }
                let Some(permit) = self.journey.stops[stop].lane.enter(self.clock.now()) else { continue };
                match self.ask(stop, permit).await {
                    Step::Served(answer) => return Ok(answer),
                    Step::On => {}
                    Step::Over => return Err(self.give_up()),
                }
            }
            if self.tries == asked_before {
                let Some(stop) = self.last_resort() else { return Err(self.give_up()) };
                let permit = self.journey.stops[stop].lane.enter_as_last_resort(self.clock.now());
                match self.ask(stop, permit).await {
                    Step::Served(answer) => return Ok(answer),
                    Step::On => {}
                    Step::Over => return Err(self.give_up()),
                }
            }
            let Some(wait) = self.wait() else { return Err(self.give_up()) };
            tokio::time::sleep(wait).await;
            self.round += 1;
        }
    }

    /// Whether a stop is to be asked now.
    fn is_open_to(&self, stop: usize) -> bool {
        let again = self.stops[stop].failed.is_none_or(|failure| failure.class.repeats(self.journey.idempotent));
        again && self.journey.stops[stop].only_after == self.only_after
    }

    /// Whether anything is left to do if this try fails.
    fn is_more(&self, stop: usize) -> bool {
        let others = (0..self.stops.len()).any(|other| {
            other != stop && self.stops[other].failed.is_none() && self.journey.stops[other].only_after.is_none()
        });
        others || (self.journey.unbudgeted && self.round < self.journey.rounds)
    }

    async fn ask(&mut self, stop: usize, permit: Permit) -> Step<P::Answer> {
        let mut permit = permit;
        let mut keys = 0;
        loop {
            if self.tries > 0 && !std::mem::take(&mut self.paid) {
                self.budget.moved_on();
            }
            let more = self.is_more(stop);
            let attempt = self.policy.attempt(&self.call, stop, more);
            if !self.ready
                && let Err(error) = std::future::poll_fn(|cx| self.inner.poll_ready(cx)).await
            {
                let failure = self.policy.judge(&self.call, stop, &error);
                return self.note(stop, failure, error, permit);
            }
            self.ready = false;
            let before = self.tries;
            self.tries += 1;
            let error = match self.inner.call(attempt).await {
                Ok(mut answer) => {
                    self.policy.served(&self.call, stop, &mut answer, permit, before);
                    return Step::Served(answer);
                }
                Err(error) => error,
            };
            let failure = self.policy.judge(&self.call, stop, &error);
            keys += 1;
            if failure.another_key && keys < MOST_KEYS {
                let lane = Arc::clone(permit.lane());
                permit.failed(&failure, self.clock.now());
                permit = lane.enter_as_last_resort(self.clock.now());
                continue;
            }
            return self.note(stop, failure, error, permit);
        }
    }

    fn note(&mut self, stop: usize, failure: Failure, error: P::Error, permit: Permit) -> Step<P::Answer> {
        permit.failed(&failure, self.clock.now());
        self.stops[stop].failed = Some(failure);
        let tells = failure.class.tells();
        if failure.moves_on.is_some() || self.told.as_ref().is_none_or(|(before, _)| tells > *before) {
            self.told = Some((tells, error));
        }
        if failure.moves_on.unwrap_or(failure.class.moves_on()) {
            return Step::On;
        }
        let is_eased = self.journey.stops.iter().any(|other| other.only_after == Some(failure.class));
        if self.only_after.is_some() || !is_eased {
            return Step::Over;
        }
        self.only_after = Some(failure.class);
        Step::On
    }

    /// Whom to ask where every breaker says no: a gateway that refuses what might work helps nobody.
    fn last_resort(&self) -> Option<usize> {
        let now = self.clock.now();
        let open = (0..self.stops.len()).filter(|stop| self.is_open_to(*stop));
        open.min_by_key(|stop| self.journey.stops[*stop].lane.opens_at(now))
    }

    /// How long to wait for the next round; `None` where there is none.
    fn wait(&mut self) -> Option<Duration> {
        if self.round >= self.journey.rounds {
            return None;
        }
        let again = self.stops.iter().filter_map(|place| place.failed);
        let again: Vec<Failure> = again.filter(|failure| failure.class.repeats(self.journey.idempotent)).collect();
        // The one that is back first decides; who names no time is back at once.
        let earliest = again.iter().map(|failure| failure.retry_after.unwrap_or_default()).min()?;
        if earliest > self.journey.backoff.max {
            return None;
        }
        if !self.journey.unbudgeted && !self.budget.repeat() {
            return None;
        }
        self.paid = true;
        let random = mix(self.journey.random ^ u64::from(self.round));
        Some(self.journey.backoff.before(self.round + 1, random).max(earliest))
    }

    fn give_up(&mut self) -> P::Error {
        match self.told.take() {
            Some((_, error)) => self.policy.failed(&self.call, error, self.tries),
            None => self.policy.nobody(&self.call),
        }
    }
}
