//! After a call.

use std::fmt;

use tachograph_record::Money;

use super::{Inner, Limiter};
use crate::Subject;
use crate::buckets::BucketWant;
use crate::budget::{OnExceed, Share};
use crate::events::{Counters, What};
use crate::policy::{GRAINS, Unit};

/// A cent in atto-dollars, and a millionth of it, which is a grain.
const CENT: i128 = 10_000_000_000_000_000;
const CENT_GRAIN: i128 = CENT / GRAINS as i128;
/// The most that one call takes from a bucket of cents, as Helicone has it.
const MOST_CENTS: i64 = 1_000_000;

/// What a call used in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// What it cost.
    pub cost: Money,
    /// Its tokens, in and out.
    pub tokens: u64,
    /// Whether a call is taken from quotas of calls: not for an answer from a cache.
    pub counts: bool,
    /// Whether it used something whose cost is not known. Budgets that block then count what was reserved.
    pub unpriced: bool,
}

/// What was taken for a call that is under way. [`settle`](Self::settle) it; dropped, everything is given back.
#[must_use = "dropped, everything that was taken for the call is given back"]
pub struct Reservation(Option<Open>);

pub(super) struct Open {
    pub(super) limiter: Limiter,
    pub(super) org: String,
    pub(super) wants: Vec<BucketWant>,
    pub(super) shares: Vec<Share>,
    pub(super) amount: i128,
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reservation").field(&self.amount()).finish()
    }
}

impl Reservation {
    pub(super) const fn nothing() -> Self {
        Self(None)
    }

    pub(super) const fn of(open: Open) -> Self {
        Self(Some(open))
    }

    /// Whether nothing was taken, and nothing has to be settled.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.0.is_none()
    }

    /// What is reserved in each of the call's budgets.
    #[must_use]
    pub fn amount(&self) -> Money {
        self.0.as_ref().filter(|open| !open.shares.is_empty()).map_or(Money::ZERO, |open| Money::from_atto(open.amount))
    }

    /// Ends the call: what it used is taken for good, what was reserved beyond it is free again.
    pub fn settle(mut self, spent: Spent) {
        if let Some(open) = self.0.take() {
            open.settle(spent);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            open.settle(Spent::default());
        }
    }
}

impl Open {
    fn settle(&self, spent: Spent) {
        let inner = &*self.limiter.0;
        let now = inner.now_ms();
        if !spent.counts {
            inner.give_calls_back(&self.wants, now);
        }
        inner.use_buckets(&self.wants, spent, now);
        for share in &self.shares {
            let blocks = share.budget.on_exceed == OnExceed::Block;
            let cost = if spent.unpriced && blocks { self.amount } else { spent.cost.atto() };
            let (before, after) = inner.ledger.settle(&share.want, self.amount, cost);
            if cost > self.amount {
                Counters::add(&inner.counters.overruns);
                if after.spent > share.want.limit && before.spent <= share.want.limit {
                    inner.tell(&self.org, share, What::Overrun, after.spent);
                }
            }
            inner.tell_thresholds(&self.org, share, after);
        }
        if spent.unpriced && !self.shares.is_empty() {
            Counters::add(&inner.counters.unpriced);
        }
        inner.wake();
    }
}

impl Inner {
    /// Takes from buckets of cents and tokens what a call used of them.
    fn use_buckets(&self, wants: &[BucketWant], spent: Spent, now: i64) {
        for want in wants {
            let used = match want.unit() {
                Unit::Request => continue,
                Unit::Cents => cents(spent.cost),
                Unit::Tokens => i64::try_from(spent.tokens).unwrap_or(i64::MAX).saturating_mul(GRAINS),
            };
            if used > 0 {
                self.buckets.use_up(want, self.is_shared(), used, now);
            }
        }
    }
}

/// An amount in grains of a cent, rounded up: 0 at least and a million cents at most.
pub(crate) fn cents(cost: Money) -> i64 {
    let grains = (cost.atto().max(0) as u128).div_ceil(CENT_GRAIN.unsigned_abs());
    i64::try_from(grains).unwrap_or(i64::MAX).min(MOST_CENTS * GRAINS)
}

impl Limiter {
    /// Counts a cost in its budgets, and its cents and tokens in the rules' buckets, that nobody asked for before: of a
    /// call that another program made and told of afterwards.
    pub fn charge(&self, subject: &Subject<'_>, at: tachograph_record::Timestamp, spent: Spent) {
        let inner = &*self.0;
        let now = inner.now_ms();
        for share in inner.shares(subject, at) {
            let (_, after) = inner.ledger.charge(&share.want, spent.cost.atto(), now);
            inner.tell_thresholds(subject.org, &share, after);
            if spent.unpriced {
                Counters::add(&inner.counters.unpriced);
            }
        }
        inner.wake();
    }
}
