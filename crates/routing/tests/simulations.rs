//! Failover under a clock that is turned by hand: what happens in hours takes milliseconds, and always the same.
#![allow(clippy::unwrap_used, reason = "the whole crate is a test")]

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tachograph_routing::{
    Backoff, Choice, Class, Clock, Failover, Failure, Journey, Keys, Lanes, Permit, Policy, RetryBudget, State, Stop,
    Strategy, hash, mix, order,
};
use tower::{Service, ServiceExt};

/// What a target does when it is asked.
type Script = Arc<dyn Fn(&str, u64) -> Result<(), Failure> + Send + Sync>;

#[derive(Clone)]
struct World {
    lanes: Arc<Lanes>,
    clock: Clock,
    script: Script,
    asked: Arc<Mutex<Vec<(String, u64)>>>,
}

struct Call {
    targets: Vec<(&'static str, Option<Class>)>,
    rounds: u32,
    idempotent: bool,
    unbudgeted: bool,
}

impl Call {
    fn to(targets: &[&'static str]) -> Self {
        let targets = targets.iter().map(|target| (*target, None)).collect();
        Self { targets, rounds: 2, idempotent: false, unbudgeted: false }
    }
}

impl World {
    fn new(script: impl Fn(&str, u64) -> Result<(), Failure> + Send + Sync + 'static) -> Self {
        Self { lanes: Arc::default(), clock: Clock::start(), script: Arc::new(script), asked: Arc::default() }
    }

    fn asking(&self, budget: RetryBudget) -> Failover<Self, Self> {
        Failover::new(self.clone(), self.clone(), Arc::new(budget), self.clock)
    }

    fn asked(&self, target: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|(asked, _)| asked == target).count()
    }

    fn order(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(asked, _)| asked.clone()).collect()
    }
}

impl Service<(String, bool)> for World {
    type Response = String;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<String, Failure>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (target, _more): (String, bool)) -> Self::Future {
        let now = self.clock.now();
        self.asked.lock().unwrap().push((target.clone(), now));
        let did = (self.script)(&target, now);
        Box::pin(async move { did.map(|()| target) })
    }
}

impl Policy<Call> for World {
    type Try = (String, bool);
    type Answer = String;
    type Error = Failure;

    fn journey(&self, call: &Call) -> Journey {
        let stop =
            |(name, only_after): &(&str, Option<Class>)| Stop { lane: self.lanes.get(name), only_after: *only_after };
        Journey {
            stops: call.targets.iter().map(stop).collect(),
            rounds: call.rounds,
            backoff: Backoff::default(),
            idempotent: call.idempotent,
            unbudgeted: call.unbudgeted,
            random: self.clock.now(),
        }
    }

    fn attempt(&self, call: &Arc<Call>, stop: usize, more: bool) -> Self::Try {
        (call.targets[stop].0.to_owned(), more)
    }

    fn judge(&self, _call: &Call, _stop: usize, error: &Failure) -> Failure {
        *error
    }

    fn served(&self, _call: &Call, _stop: usize, _answer: &mut String, permit: Permit, _before: u32) {
        permit.succeeded(self.clock.now());
    }

    fn failed(&self, _call: &Call, error: Failure, _tries: u32) -> Failure {
        error
    }

    fn nobody(&self, _call: &Call) -> Failure {
        Failure::of(Class::NoSuchModel)
    }
}

fn fails(class: Class) -> Result<(), Failure> {
    Err(Failure::of(class))
}

#[tokio::test(start_paused = true)]
async fn hard_case_35_a_total_failure_causes_at_most_a_tenth_more_attempts() {
    for targets in [&["only"][..], &["one", "two"], &["one", "two", "three"]] {
        for gap in [1, 50, 900] {
            let world = World::new(|_, _| fails(Class::ServerError));
            let asking = world.asking(RetryBudget::percent(10));
            for _ in 0..1_000 {
                tokio::time::advance(Duration::from_millis(gap)).await;
                assert!(asking.clone().oneshot(Call::to(targets)).await.is_err());
            }
            let attempts = world.order().len();
            assert!((1_000..=1_100).contains(&attempts), "{attempts} with {targets:?} every {gap} ms");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn hard_case_35_what_may_have_been_taken_is_repeated_only_if_it_is_idempotent() {
    for class in [Class::NoAnswer, Class::InBetween] {
        for (idempotent, attempts) in [(false, 1), (true, 2)] {
            let world = World::new(move |_, _| fails(class));
            let call = Call { idempotent, ..Call::to(&["only"]) };
            assert!(world.asking(RetryBudget::percent(10)).oneshot(call).await.is_err());
            assert_eq!(world.asked("only"), attempts, "{class:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn hard_case_34_a_dead_target_gets_no_more_than_probes() {
    let world = World::new(|target, _| if target == "dead" { fails(Class::Unreachable) } else { Ok(()) });
    let asking = world.asking(RetryBudget::percent(10));
    for _ in 0..10_000 {
        tokio::time::advance(Duration::from_millis(60)).await;
        assert_eq!(asking.clone().oneshot(Call::to(&["dead", "well"])).await.unwrap(), "well");
    }
    // Ten minutes: five calls to open it, then probes after 5, 10, 20, 40, 80, 120, 120, 120 s.
    let asked = world.asked("dead");
    assert!((5..=14).contains(&asked), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn hard_case_34_25_failures_in_a_row_trip_and_recovery_is_found_by_one_probe() {
    let world = World::new(
        |target, now| if target == "ill" && now < 3_660_000_000 { fails(Class::ServerError) } else { Ok(()) },
    );
    let asking = world.asking(RetryBudget::percent(10));
    for _ in 0..25 {
        assert_eq!(asking.clone().oneshot(Call::to(&["ill", "well"])).await.unwrap(), "well");
    }
    assert_eq!((world.asked("ill"), world.lanes.status(world.clock.now())[0].state), (5, State::Open));
    tokio::time::advance(Duration::from_secs(90)).await;
    assert_eq!(asking.clone().oneshot(Call::to(&["ill", "well"])).await.unwrap(), "ill");
    assert_eq!(world.lanes.status(world.clock.now())[0].state, State::Closed);
}

#[tokio::test(start_paused = true)]
async fn hard_case_34_the_later_deadline_counts_and_retry_after_is_honoured() {
    let limited =
        |seconds| Failure { retry_after: Some(Duration::from_secs(seconds)), ..Failure::of(Class::RateLimited) };
    let world = World::new(|_, _| Ok(()));
    let lane = world.lanes.get("limited");
    let now = world.clock.now();
    let (one, two) = (lane.enter(now).unwrap(), lane.enter(now).unwrap());
    one.failed(&limited(60), now);
    two.failed(&limited(2), now);
    assert_eq!(lane.opens_at(now), now + 60_000_000, "the shorter one does not shorten it");
}

#[tokio::test(start_paused = true)]
async fn hard_case_34_a_single_target_is_never_benched_and_all_benched_still_serve() {
    for targets in [&["only"][..], &["one", "two"]] {
        let world = World::new(|_, now| if now < 3_610_000_000 { fails(Class::ServerError) } else { Ok(()) });
        let asking = world.asking(RetryBudget::percent(0));
        for _ in 0..50 {
            assert!(asking.clone().oneshot(Call::to(targets)).await.is_err());
        }
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(asking.clone().oneshot(Call::to(targets)).await.is_ok(), "{targets:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn hard_case_34_a_bad_key_is_not_a_bad_target() {
    let keys = Arc::new(Keys::new(3));
    let (clock, tried) = (Clock::start(), Arc::new(Mutex::new(Vec::new())));
    let (turns, log) = (keys.clone(), tried.clone());
    let world = World::new(move |_, now| {
        let key = turns.turn(now).unwrap();
        log.lock().unwrap().push(key);
        if key == 1 {
            return Ok(());
        }
        let another_key = turns.bench(key, Duration::from_secs(60), now);
        Err(Failure { another_key, ..Failure::of(Class::BadKey) })
    });
    let asking = world.asking(RetryBudget::percent(10));
    for _ in 0..100 {
        assert!(asking.clone().oneshot(Call::to(&["openai"])).await.is_ok());
    }
    assert_eq!(tried.lock().unwrap().iter().filter(|key| **key != 1).count(), 2, "each bad key was tried once");
    assert_eq!(world.lanes.status(clock.now())[0].state, State::Closed);
}

#[tokio::test(start_paused = true)]
async fn everyone_is_asked_once_before_anyone_is_asked_twice() {
    let world = World::new(|_, _| fails(Class::Overloaded));
    let call = Call { rounds: 3, unbudgeted: true, ..Call::to(&["a", "b"]) };
    assert!(world.asking(RetryBudget::percent(10)).oneshot(call).await.is_err());
    assert_eq!(world.order(), ["a", "b", "a", "b", "a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_request_is_asked_once() {
    for class in [Class::BadRequest, Class::CallersKey, Class::ContextWindow, Class::ContentPolicy] {
        let world = World::new(move |_, _| fails(class));
        let told = world.asking(RetryBudget::percent(10)).oneshot(Call::to(&["a", "b"])).await.unwrap_err();
        assert_eq!((world.order().len(), told.class), (1, class));
    }
}

#[tokio::test(start_paused = true)]
async fn a_longer_window_is_asked_only_where_it_was_too_short() {
    for (class, served) in [(Class::ContextWindow, "long"), (Class::ContentPolicy, "lax"), (Class::ServerError, "b")] {
        let world = World::new(move |target, _| if target == "a" { fails(class) } else { Ok(()) });
        let targets =
            vec![("a", None), ("b", None), ("long", Some(Class::ContextWindow)), ("lax", Some(Class::ContentPolicy))];
        let call = Call { targets, ..Call::to(&[]) };
        assert_eq!(world.asking(RetryBudget::percent(10)).oneshot(call).await.unwrap(), served);
        assert_eq!(world.order(), ["a", served]);
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for_where_it_is_short_and_handed_on_where_it_is_long() {
    for (after, attempts) in [(3, 2), (30, 1)] {
        let world = World::new(move |_, _| {
            Err(Failure { retry_after: Some(Duration::from_secs(after)), ..Failure::of(Class::RateLimited) })
        });
        assert!(world.asking(RetryBudget::percent(10)).oneshot(Call::to(&["only"])).await.is_err());
        let asked = world.asked.lock().unwrap().clone();
        assert_eq!(asked.len(), attempts);
        if let [(_, first), (_, second)] = asked[..] {
            assert!(second - first >= 3_000_000);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_that_tells_the_most_is_told_and_nobody_to_ask_is_said() {
    let world = World::new(|target, _| fails(if target == "a" { Class::BadKey } else { Class::RateLimited }));
    let asking = world.asking(RetryBudget::percent(0));
    assert_eq!(asking.clone().oneshot(Call::to(&["a", "b"])).await.unwrap_err().class, Class::RateLimited);
    assert_eq!(asking.oneshot(Call::to(&[])).await.unwrap_err().class, Class::NoSuchModel);
}

/// Conversations of many turns over several providers, each of which remembers the prompts that it served.
fn cache_hits(sticky: bool, flaps: bool) -> f64 {
    const PROVIDERS: usize = 4;
    let lanes = Lanes::default();
    let names: Vec<String> = (0..PROVIDERS).map(|at| format!("provider-{at}")).collect();
    let choices: Vec<Choice> =
        names.iter().map(|name| Choice { lane: lanes.get(name), weight: 1, price: None }).collect();
    let mut cached: HashMap<(usize, u64), ()> = HashMap::new();
    let (mut hits, mut later_turns) = (0, 0);
    for turn in 0..40_u64 {
        for conversation in 0..500_u64 {
            let now = 3_600_000_000 + turn * 10_000_000 + conversation;
            let key = hash(format!("system prompt and first message of {conversation}").as_bytes());
            if flaps && turn == 20 && conversation == 0 {
                // One of them fails for a while in the middle of it all.
                (0..5).for_each(|_| choices[2].lane.enter(now).unwrap().failed(&Failure::of(Class::ServerError), now));
            }
            let random = mix(turn << 32 | conversation);
            let chosen = order(Strategy::Weighted, &choices, sticky.then_some(key), random, now)[0];
            if let Some(permit) = choices[chosen].lane.enter(now) {
                permit.succeeded(now);
            }
            later_turns += u32::from(turn > 0);
            hits += u32::from(cached.insert((chosen, key), ()).is_some() && turn > 0);
        }
    }
    f64::from(hits) / f64::from(later_turns)
}

#[test]
fn hard_case_39_sticky_routing_keeps_provider_caches_and_chance_does_not() {
    assert!(cache_hits(true, false) > 0.999);
    let with_an_outage = cache_hits(true, true);
    assert!(with_an_outage >= 0.95, "{with_an_outage}");
    // Chance finds a cache only after it has filled all of them, each of which was paid for.
    assert!(cache_hits(false, false) < 0.95);
}
