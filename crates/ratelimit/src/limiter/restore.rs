//! What was spent before this process began.

use tachograph_record::{Money, Timestamp};

use super::{Inner, Limiter};
use crate::Subject;
use crate::backend::{AccountStep, Unavailable};
use crate::budget::Share;

/// The holder under whose name is counted what records tell and no process did.
const STORE: &str = "records";

/// What calls of one kind cost in some stretch of time.
#[derive(Clone, Debug)]
pub struct Past<'a> {
    /// Whose they were.
    pub subject: Subject<'a>,
    /// When: any moment of the stretch.
    pub at: Timestamp,
    /// What they cost in all.
    pub cost: Money,
}

impl Limiter {
    /// The earliest moment whose calls still count in some budget; `None` where there are no budgets.
    #[must_use]
    pub fn counts_since(&self) -> Option<Timestamp> {
        let (rules, now) = (self.rules(), self.0.now());
        let starts = rules.budgets.iter().map(|budget| match budget.period {
            crate::Period::Rolling(_) => now.micros().saturating_sub(budget.period.looks_back_s() * 1_000_000),
            _ => budget.span(now).start_s.saturating_mul(1_000_000),
        });
        starts.min().map(Timestamp::from_micros)
    }

    /// Counts what records tell of the current periods, so that a restart forgets nothing. An account that knows of more
    /// than the records tell keeps it; what was counted already is not counted again.
    ///
    /// # Errors
    /// Where limits are shared and do not answer.
    pub async fn restore(&self, past: &[Past<'_>]) -> Result<(), Unavailable> {
        let inner = &*self.0;
        let now = inner.now();
        let mut sums: Vec<(Share, Vec<(i64, i128)>)> = Vec::new();
        for row in past {
            for share in inner.shares(&row.subject, row.at) {
                let current = share.budget.span(now);
                if share.span.start_s != current.start_s || share.want.slots.now < current.slots.oldest {
                    continue;
                }
                let slot = share.want.slots.now;
                let mut share = share;
                share.want.slots = current.slots;
                let place = sums.iter().position(|(held, _)| held.want.key == share.want.key);
                let place = place.unwrap_or_else(|| {
                    sums.push((share, Vec::new()));
                    sums.len() - 1
                });
                let slots = &mut sums[place].1;
                match slots.iter_mut().find(|(held, _)| *held == slot) {
                    Some((_, sum)) => *sum = sum.saturating_add(row.cost.atto()),
                    None => slots.push((slot, row.cost.atto())),
                }
            }
        }
        for (share, slots) in &sums {
            if inner.is_shared() {
                inner.restore_shared(share, slots).await?;
            } else {
                inner.ledger.with(&share.want.key, |account| account.raise(&share.want, slots));
            }
        }
        Ok(())
    }
}

impl Inner {
    async fn restore_shared(&self, share: &Share, slots: &[(i64, i128)]) -> Result<(), Unavailable> {
        let Some(remote) = &self.remote else { return Ok(()) };
        let patience = std::time::Duration::from_secs(5);
        let want = &share.want;
        let ask = |seq: u64, total: i128| {
            let mut step = remote.step(self.told_now());
            step.holder = STORE.to_owned();
            step.accounts.push(AccountStep {
                key: want.key.to_string(),
                limit: Money::from_atto(want.limit),
                slot: want.slots.now,
                oldest: want.slots.oldest,
                expires_s: want.ends_s,
                seq,
                total: Money::from_atto(total),
                want: Money::ZERO,
            });
            step
        };
        // A message without a number changes nothing and tells how the account stands.
        let told = remote.send(&ask(0, 0), patience).await?;
        let Some(account) = told.accounts.first() else { return Ok(()) };
        let known: i128 = account.spent.iter().fold(0, |sum, (_, amount)| sum.saturating_add(amount.atto()));
        let records: i128 = slots.iter().fold(0, |sum, (_, amount)| sum.saturating_add(*amount));
        if records <= known {
            return Ok(());
        }
        // A whole amount, so that several processes that find the same difference count it once.
        let total = records - known + account.total.atto();
        let seq = account.seq.max(u64::try_from(self.now_ms()).unwrap_or(0));
        remote.send(&ask(seq + 1, total), patience).await.map(drop)
    }
}
