//! Targets as they are doing: who is busy, who is fast, who is benched.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::Serialize;

use crate::breaker::{Breaker, Pass, State, micros};
use crate::failure::{Blame, Failure};

/// More targets than this are never set up; names that callers make up are not remembered.
const MOST_LANES: usize = 4096;
/// A latency that nobody has measured for so long is half forgotten, so that a target that was slow is tried again.
const FORGETS: f64 = 10_000_000.0;
/// Tokens of so long ago count half.
const USAGE_FORGETS: f64 = 60_000_000.0;

/// One target, a provider and a model, as it is doing.
#[derive(Debug, Default)]
pub struct Lane {
    name: Box<str>,
    breaker: Breaker,
    in_flight: AtomicU32,
    asked: AtomicU64,
    failed: AtomicU64,
    latency: Decaying,
    tokens: Decaying,
}

/// A number that is forgotten with time: its bits, and when it was last touched.
#[derive(Debug, Default)]
struct Decaying {
    value: AtomicU64,
    at: AtomicU64,
}

impl Decaying {
    fn get(&self, now: u64, half_life: f64) -> f64 {
        let value = f64::from_bits(self.value.load(Ordering::Relaxed));
        value * 0.5_f64.powf(float(now.saturating_sub(self.at.load(Ordering::Relaxed))) / half_life)
    }

    fn set(&self, value: f64, now: u64) {
        self.value.store(value.to_bits(), Ordering::Relaxed);
        self.at.store(now, Ordering::Relaxed);
    }
}

#[allow(clippy::cast_precision_loss, reason = "weights need no more than 53 bits")]
fn float(number: u64) -> f64 {
    number as f64
}

impl Lane {
    /// A target of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Its name: `openai/gpt-4o`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks for passage; `None` where its breaker says no.
    #[must_use]
    pub fn enter(self: &Arc<Self>, now: u64) -> Option<Permit> {
        self.breaker.pass(now).ok().map(|pass| self.permit(pass))
    }

    /// Passage whatever the breaker says, where there is nobody else.
    #[must_use]
    pub fn enter_as_last_resort(self: &Arc<Self>, now: u64) -> Permit {
        let pass = self.breaker.pass(now).unwrap_or(Pass::LastResort);
        self.permit(pass)
    }

    fn permit(self: &Arc<Self>, pass: Pass) -> Permit {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.asked.fetch_add(1, Ordering::Relaxed);
        Permit { lane: Arc::clone(self), pass, told: false }
    }

    /// When it can be asked again; 0 where it can be now.
    #[must_use]
    pub fn opens_at(&self, now: u64) -> u64 {
        self.breaker.opens_at(now)
    }

    /// Whether it would be let through now.
    #[must_use]
    pub fn is_well(&self, now: u64) -> bool {
        self.breaker.state(now) == State::Closed
    }

    /// Calls under way.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// What a call is likely to wait for its first token, in µs: the peak-weighted average of late, times the calls that
    /// are waiting already. 0 where nothing is known, so that it is tried.
    #[must_use]
    pub fn expected_wait(&self, now: u64) -> f64 {
        self.latency.get(now, FORGETS) * f64::from(self.in_flight().saturating_add(1))
    }

    /// Tokens it was given of late.
    #[must_use]
    pub fn recent_tokens(&self, now: u64) -> f64 {
        self.tokens.get(now, USAGE_FORGETS)
    }

    /// The first token of a call came after so long. A longer wait than before counts at once, shorter ones bit by bit.
    pub fn first_token_after(&self, span: Duration, now: u64) {
        const MEMORY: f64 = 8.0;
        let (before, new) = (self.latency.get(now, FORGETS), float(micros(span)));
        self.latency.set(if new > before { new } else { before + (new - before) / MEMORY }, now);
    }

    /// A call used so many tokens.
    pub fn used(&self, tokens: u64, now: u64) {
        self.tokens.set(self.recent_tokens(now) + float(tokens), now);
    }

    /// How it looks from outside.
    #[must_use]
    pub fn status(&self, now: u64) -> LaneStatus {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a latency in µs fits")]
        let latency_us = self.latency.get(now, FORGETS) as u64;
        LaneStatus {
            target: self.name.to_string(),
            state: self.breaker.state(now),
            opens_in_ms: self.breaker.opens_at(now).saturating_sub(now).min(self.breaker.opens_at(now)) / 1_000,
            in_flight: self.in_flight(),
            asked: self.asked.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            failing_percent: self.breaker.failing_percent(),
            first_token_us: (latency_us > 0).then_some(latency_us),
        }
    }
}

/// How a target looks from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaneStatus {
    /// Its name: `openai/gpt-4o`.
    pub target: String,
    /// Its breaker.
    pub state: State,
    /// How long it stays open, in ms.
    pub opens_in_ms: u64,
    /// Calls under way.
    pub in_flight: u32,
    /// How often it was asked.
    pub asked: u64,
    /// How often it failed by its own fault.
    pub failed: u64,
    /// The share of failures of late.
    pub failing_percent: u8,
    /// How long the first token takes, in µs, where it was measured of late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_us: Option<u64>,
}

/// The right to ask a target once. Whatever becomes of it, it is given back; what was learnt is told with
/// [`succeeded`](Self::succeeded) or [`failed`](Self::failed), and nothing is learnt where it is dropped.
#[derive(Debug)]
pub struct Permit {
    lane: Arc<Lane>,
    pass: Pass,
    told: bool,
}

impl Permit {
    /// The target.
    #[must_use]
    pub fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// On which terms it was given.
    #[must_use]
    pub fn pass(&self) -> Pass {
        self.pass
    }

    /// The target has begun to serve. A breaker that was waiting for that closes now, however long the answer takes; one
    /// that breaks off later counts as a failure like any other.
    pub fn began(&mut self, now: u64) {
        if self.pass != Pass::Plain {
            self.lane.breaker.succeeded(self.pass, now);
            self.pass = Pass::Plain;
        }
    }

    /// The target served.
    pub fn succeeded(mut self, now: u64) {
        self.told = true;
        self.lane.breaker.succeeded(self.pass, now);
    }

    /// The target did not serve.
    pub fn failed(mut self, failure: &Failure, now: u64) {
        let breaker = &self.lane.breaker;
        self.told = true;
        match failure.class.blame() {
            Blame::Target => {
                self.lane.failed.fetch_add(1, Ordering::Relaxed);
                breaker.failed(self.pass, now);
            }
            // The key is benched by itself; only where it was the last one is its target closed too.
            Blame::Key if !failure.another_key => {
                self.lane.failed.fetch_add(1, Ordering::Relaxed);
                breaker.failed(self.pass, now);
            }
            Blame::Key | Blame::Request => breaker.came_to_nothing(self.pass),
        }
        if let Some(span) = failure.retry_after
            && failure.class.blame() != Blame::Request
            && !failure.another_key
            && !span.is_zero()
        {
            breaker.cool_down(span, now);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.lane.in_flight.fetch_sub(1, Ordering::Relaxed);
        if !self.told {
            self.lane.breaker.came_to_nothing(self.pass);
        }
    }
}

/// All targets, by name. Reading is what calls do; a name is written once.
#[derive(Debug, Default)]
pub struct Lanes {
    by_name: RwLock<HashMap<Box<str>, Arc<Lane>>>,
}

impl Lanes {
    /// The target of this name. Where there are too many names already it is one that nobody remembers.
    #[must_use]
    pub fn get(&self, name: &str) -> Arc<Lane> {
        if let Some(lane) = self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(lane);
        }
        let mut lanes = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        if lanes.len() >= MOST_LANES && !lanes.contains_key(name) {
            // Names that callers made up go first: those that nothing is known of and that nobody is asking now.
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1 || lane.breaker.opens_at(0) != 0);
            if lanes.len() >= MOST_LANES {
                return Arc::new(Lane::new(name));
            }
        }
        Arc::clone(lanes.entry(name.into()).or_insert_with(|| Arc::new(Lane::new(name))))
    }

    /// How all of them look, by name.
    #[must_use]
    pub fn status(&self, now: u64) -> Vec<LaneStatus> {
        let lanes = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let mut status: Vec<_> = lanes.values().map(|lane| lane.status(now)).collect();
        status.sort_by(|a, b| a.target.cmp(&b.target));
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Class;

    #[test]
    fn permits_are_given_back_whatever_becomes_of_them() {
        let lane = Lanes::default().get("openai/gpt-4o");
        let (one, two, three) = (lane.enter(1).unwrap(), lane.enter(1).unwrap(), lane.enter(1).unwrap());
        assert_eq!(lane.in_flight(), 3);
        one.succeeded(2);
        two.failed(&Failure::of(Class::ServerError), 2);
        drop(three);
        let status = lane.status(2);
        assert_eq!((status.in_flight, status.asked, status.failed), (0, 3, 1));
    }

    #[test]
    fn a_bad_key_and_a_bad_request_are_not_a_bad_target() {
        let lane = Lanes::default().get("x");
        for class in [Class::BadRequest, Class::CallersKey, Class::NoSuchModel, Class::ContextWindow] {
            (0..50).for_each(|_| lane.enter(1).unwrap().failed(&Failure::of(class), 1));
        }
        for _ in 0..50 {
            lane.enter(1).unwrap().failed(&Failure { another_key: true, ..Failure::of(Class::BadKey) }, 1);
        }
        assert!(lane.is_well(1));
    }

    #[test]
    fn latency_jumps_up_sinks_slowly_and_is_forgotten() {
        let lane = Lane::new("x");
        lane.first_token_after(Duration::from_millis(100), 1);
        lane.first_token_after(Duration::from_millis(900), 2);
        assert!(lane.expected_wait(2) > 899_000.0);
        lane.first_token_after(Duration::from_millis(100), 3);
        assert!(lane.expected_wait(3) > 700_000.0);
        assert!(lane.expected_wait(120_000_000) < 1_000.0);
    }

    #[test]
    fn made_up_names_do_not_grow_it_without_end() {
        let lanes = Lanes::default();
        (0..3 * MOST_LANES).for_each(|name| drop(lanes.get(&name.to_string())));
        assert!(lanes.status(0).len() <= MOST_LANES);
    }
}
