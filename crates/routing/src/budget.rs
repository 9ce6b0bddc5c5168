//! How many repetitions a gateway may cause.

use std::sync::atomic::{AtomicI64, Ordering};

/// Thousandths of a repetition.
const ONE: i64 = 1_000;
/// So many repetitions may be saved up, and so many are lent to a gateway that has only begun.
const SAVED: i64 = 10 * ONE;
/// A larger share would mean no more.
const MOST_PERCENT: u32 = 1_000;

/// A token bucket that is filled by requests and emptied by what is tried beyond their first try, so that a provider in
/// trouble is not asked many times over: with 10 percent, a thousand requests cause at most a hundred further tries.
///
/// A gateway that has served nothing yet has ten tries on credit; they are paid back by its first requests.
#[derive(Debug)]
pub struct RetryBudget {
    /// What a request brings.
    percent: AtomicI64,
    balance: AtomicI64,
    /// What is still owed of the credit.
    owed: AtomicI64,
}

impl RetryBudget {
    /// A budget of this share of requests; 0 allows no repetition, 100 or more one for each request.
    #[must_use]
    pub fn percent(percent: u32) -> Self {
        let credit = if percent == 0 { 0 } else { SAVED };
        let percent = AtomicI64::new(i64::from(percent.min(MOST_PERCENT)));
        Self { percent, balance: AtomicI64::new(credit), owed: AtomicI64::new(credit) }
    }

    /// Another share from now on. What was saved up, and what is owed, stays.
    pub fn set_percent(&self, percent: u32) {
        self.percent.store(i64::from(percent.min(MOST_PERCENT)), Ordering::Relaxed);
    }

    /// A request came.
    pub fn request(&self) {
        let brings = self.percent.load(Ordering::Relaxed) * ONE / 100;
        let owed = self.owed.load(Ordering::Relaxed);
        if owed > 0 {
            self.owed.fetch_sub(brings.min(owed), Ordering::Relaxed);
            return;
        }
        if self.balance.load(Ordering::Relaxed) < SAVED {
            self.balance.fetch_add(brings, Ordering::Relaxed);
        }
    }

    /// Takes one repetition, where there is one left.
    #[must_use]
    pub fn repeat(&self) -> bool {
        if self.balance.fetch_sub(ONE, Ordering::Relaxed) >= ONE {
            return true;
        }
        self.balance.fetch_add(ONE, Ordering::Relaxed);
        false
    }

    /// Another target is asked, which must be possible, but is paid for all the same.
    pub fn moved_on(&self) {
        if self.balance.load(Ordering::Relaxed) > -SAVED {
            self.balance.fetch_sub(ONE, Ordering::Relaxed);
        }
    }

    /// Whole repetitions that are left.
    #[must_use]
    pub fn left(&self) -> u64 {
        u64::try_from(self.balance.load(Ordering::Relaxed) / ONE).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_stay_within_the_share_of_requests() {
        for (percent, requests, most) in [(10, 1_000, 100), (10, 20, 10), (0, 1_000, 0), (100, 50, 50), (25, 400, 100)]
        {
            let budget = RetryBudget::percent(percent);
            let repeated = (0..requests).filter(|_| {
                budget.request();
                budget.repeat()
            });
            let repeated = repeated.count();
            assert!(repeated <= most && repeated + 1 >= most, "{percent} %: {repeated} of {requests}");
        }
    }

    #[test]
    fn another_share_counts_from_then_on() {
        let budget = RetryBudget::percent(10);
        while budget.repeat() {}
        (0..1_000).for_each(|_| budget.request());
        while budget.repeat() {}
        budget.set_percent(100);
        (0..7).for_each(|_| budget.request());
        assert_eq!(budget.left(), 7);
        budget.set_percent(0);
        (0..7).for_each(|_| budget.request());
        assert_eq!(budget.left(), 7);
    }

    #[test]
    fn a_quiet_time_saves_up_ten_and_no_more() {
        let budget = RetryBudget::percent(10);
        (0..100_000).for_each(|_| budget.request());
        assert_eq!(budget.left(), 10);
        budget.moved_on();
        assert_eq!(budget.left(), 9);
    }
}
