//! Whether a target may be asked.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

/// So many failures in a row open a breaker.
const IN_A_ROW: u32 = 5;
/// A breaker opens, too, where more than half of at least so many calls failed of late.
const ENOUGH: u32 = 20;
/// How much one call counts in the share of failures: one part in so many.
const MEMORY: i64 = 16;
/// Failures as parts of a whole.
const WHOLE: i64 = 1 << 20;
/// How long a breaker stays open at first; doubled each time its probe fails.
const FIRST_COOLDOWN: Duration = Duration::from_secs(5);
/// And at most.
const LONGEST_COOLDOWN: Duration = Duration::from_secs(120);
/// A probe that was never heard of again is given up after this.
const PROBE_LEASE: Duration = Duration::from_secs(60);

/// A circuit breaker: closed, open until a deadline, then half open, when one call at a time probes whether the target is
/// well again. All times are µs of one clock that never goes back. It is a few atomics, and no call waits for another.
#[derive(Debug, Default)]
pub struct Breaker {
    /// 0: closed.
    open_until: AtomicU64,
    in_a_row: AtomicU32,
    seen: AtomicU32,
    /// The share of failures of late, in parts of [`WHOLE`].
    failing: AtomicU64,
    /// How often in a row it opened without a success in between.
    opened: AtomicU32,
    /// Until when a probe has the right to be the only one; 0: there is none.
    probing_until: AtomicU64,
}

/// On which terms a call was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The breaker is closed.
    Plain,
    /// It is half open, and this call is its probe.
    Probe,
    /// It is open, and there was nobody else to ask.
    LastResort,
}

/// What a breaker looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Calls pass.
    Closed,
    /// No call passes before the deadline.
    Open,
    /// One call at a time passes.
    HalfOpen,
}

impl Breaker {
    /// Asks for passage. `Err`: not before this time.
    ///
    /// # Errors
    /// Where the breaker is open, or half open with a probe under way.
    pub fn pass(&self, now: u64) -> Result<Pass, u64> {
        let until = self.open_until.load(Ordering::Acquire);
        if until == 0 {
            return Ok(Pass::Plain);
        }
        if now < until {
            return Err(until);
        }
        let lease = self.probing_until.load(Ordering::Acquire);
        if lease > now {
            return Err(lease);
        }
        let next = now.saturating_add(micros(PROBE_LEASE));
        match self.probing_until.compare_exchange(lease, next, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(Pass::Probe),
            Err(other) => Err(other),
        }
    }

    /// A call succeeded.
    pub fn succeeded(&self, pass: Pass, now: u64) {
        self.count(false);
        if pass == Pass::Plain && self.open_until.load(Ordering::Acquire) != 0 {
            // It was let through before the breaker opened; what opened it is the later news.
            return;
        }
        self.in_a_row.store(0, Ordering::Relaxed);
        self.opened.store(0, Ordering::Relaxed);
        // A cooldown that the target itself asked for is kept, whatever else still gets through.
        if pass == Pass::Probe || self.open_until.load(Ordering::Acquire) <= now || pass == Pass::LastResort {
            self.open_until.store(0, Ordering::Release);
            self.probing_until.store(0, Ordering::Release);
            if pass != Pass::Plain {
                self.seen.store(0, Ordering::Relaxed);
                self.failing.store(0, Ordering::Relaxed);
            }
        }
    }

    /// A call failed, and it was the target's fault.
    pub fn failed(&self, pass: Pass, now: u64) {
        let rate = self.count(true);
        let in_a_row = self.in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let is_open = self.open_until.load(Ordering::Acquire) != 0;
        let trips = match pass {
            Pass::Probe => true,
            // Stragglers of before say nothing new; a last resort that failed says that nothing has changed.
            Pass::Plain if is_open => false,
            Pass::LastResort => self.open_until.load(Ordering::Acquire) <= now,
            Pass::Plain => in_a_row >= IN_A_ROW || (self.seen.load(Ordering::Relaxed) >= ENOUGH && rate > WHOLE / 2),
        };
        if trips {
            let opened = self.opened.fetch_add(1, Ordering::Relaxed);
            self.cool_down(cooldown(opened), now);
        }
        if pass == Pass::Probe {
            self.probing_until.store(0, Ordering::Release);
        }
    }

    /// A call came to nothing that says anything about the target: its caller left, or the request was wrong. A probe
    /// that came to that makes room for the next.
    pub fn came_to_nothing(&self, pass: Pass) {
        if pass == Pass::Probe {
            self.probing_until.store(0, Ordering::Release);
        }
    }

    /// Opens it for so long from now on. A longer cooldown that is in force stays: the deadline is the later of both.
    pub fn cool_down(&self, span: Duration, now: u64) {
        self.open_until.fetch_max(now.saturating_add(micros(span)).max(1), Ordering::AcqRel);
    }

    /// When it would let the next call through; 0 where it would do so now.
    #[must_use]
    pub fn opens_at(&self, now: u64) -> u64 {
        let until = self.open_until.load(Ordering::Acquire);
        if until == 0 || until <= now { 0 } else { until }
    }

    /// What it looks like.
    #[must_use]
    pub fn state(&self, now: u64) -> State {
        match self.open_until.load(Ordering::Acquire) {
            0 => State::Closed,
            until if now < until => State::Open,
            _ => State::HalfOpen,
        }
    }

    /// The share of calls that failed of late, in percent.
    #[must_use]
    pub fn failing_percent(&self) -> u8 {
        let parts = i64::try_from(self.failing.load(Ordering::Relaxed)).unwrap_or(0);
        u8::try_from((parts * 100 / WHOLE).clamp(0, 100)).unwrap_or(100)
    }

    fn count(&self, failed: bool) -> i64 {
        self.seen.fetch_add(1, Ordering::Relaxed);
        let before = i64::try_from(self.failing.load(Ordering::Relaxed)).unwrap_or(0);
        let now = before + (if failed { WHOLE } else { 0 } - before) / MEMORY;
        // Two at once may lose one of them; the share of many is not moved by that.
        self.failing.store(u64::try_from(now).unwrap_or(0), Ordering::Relaxed);
        now
    }
}

fn cooldown(opened: u32) -> Duration {
    FIRST_COOLDOWN.saturating_mul(1 << opened.min(10)).min(LONGEST_COOLDOWN)
}

pub(crate) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn tripped() -> Breaker {
        let breaker = Breaker::default();
        for _ in 0..IN_A_ROW {
            assert_eq!(breaker.pass(SECOND), Ok(Pass::Plain));
            breaker.failed(Pass::Plain, SECOND);
        }
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_probe_through_at_a_time() {
        let breaker = tripped();
        assert_eq!((breaker.pass(2 * SECOND), breaker.state(2 * SECOND)), (Err(6 * SECOND), State::Open));
        assert_eq!((breaker.state(6 * SECOND), breaker.pass(6 * SECOND)), (State::HalfOpen, Ok(Pass::Probe)));
        assert!(breaker.pass(6 * SECOND).is_err(), "one at a time");
        breaker.failed(Pass::Probe, 7 * SECOND);
        assert_eq!(breaker.pass(16 * SECOND), Err(17 * SECOND), "twice as long");
        assert_eq!(breaker.pass(17 * SECOND), Ok(Pass::Probe));
        breaker.succeeded(Pass::Probe, 17 * SECOND);
        assert_eq!(breaker.pass(17 * SECOND), Ok(Pass::Plain));
    }

    #[test]
    fn a_probe_whose_caller_leaves_or_that_is_never_heard_of_makes_room() {
        let breaker = tripped();
        assert_eq!(breaker.pass(6 * SECOND), Ok(Pass::Probe));
        breaker.came_to_nothing(Pass::Probe);
        assert_eq!(breaker.pass(6 * SECOND), Ok(Pass::Probe));
        assert_eq!(breaker.pass(65 * SECOND), Err(66 * SECOND));
        assert_eq!(breaker.pass(66 * SECOND), Ok(Pass::Probe));
    }

    #[test]
    fn it_opens_where_more_than_half_fail_though_never_five_in_a_row() {
        let breaker = Breaker::default();
        let passed = (0..200).take_while(|call| {
            let passed = breaker.pass(SECOND).is_ok();
            if call % 4 == 0 {
                breaker.succeeded(Pass::Plain, SECOND)
            } else {
                breaker.failed(Pass::Plain, SECOND)
            }
            passed
        });
        assert!(passed.count() < 60);
        let good = Breaker::default();
        for call in 0..1_000 {
            assert!(good.pass(SECOND).is_ok());
            if call % 4 == 0 { good.failed(Pass::Plain, SECOND) } else { good.succeeded(Pass::Plain, SECOND) }
        }
    }

    #[test]
    fn stragglers_neither_close_it_nor_make_it_longer() {
        let breaker = tripped();
        breaker.failed(Pass::Plain, 5 * SECOND);
        breaker.succeeded(Pass::Plain, 5 * SECOND);
        assert_eq!(breaker.pass(5 * SECOND), Err(6 * SECOND));
    }
}
