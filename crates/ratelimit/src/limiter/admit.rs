//! Before a call.

use std::sync::Arc;

use smallvec::SmallVec;
use tachograph_record::Money;

use super::reservation::Open;
use super::{Inner, Limiter, OnUnavailable, Reservation};
use crate::bucket::Shape;
use crate::buckets::{BucketWant, Said, Trust};
use crate::budget::{OnExceed, Share};
use crate::events::{Counters, What};
use crate::policy::GRAINS;
use crate::quota::Quota;
use crate::subject::{bucket_key, shown};
use crate::{Budget, Policy, Subject};

/// The least that is reserved: so that a budget that is used up, or is zero, lets nothing through.
const LEAST: i128 = 1;

/// A call that wants to be let through.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Who is charged.
    pub subject: Subject<'a>,
    /// The policies that it brings itself.
    pub policies: &'a [Policy],
    /// What it costs at most.
    pub worst: Money,
    /// Whether it was given its budgets' other model already, so that these let it through.
    pub downgraded: bool,
    /// Whether only budgets count it: a call that is made for another one is no call of its caller's.
    pub budgets_only: bool,
}

/// What one limit or budget said of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The policy's canonical text or the budget's name.
    pub limit: String,
    /// Whose share it was: `organisation`, `user:alice`.
    pub scope: String,
    /// `allowed`, `denied`, `warned`, `downgraded`, `unavailable`.
    pub verdict: &'static str,
    /// What was left, as a decimal in the limit's own unit.
    pub remaining: Option<String>,
}

/// A call that is let through.
#[derive(Debug)]
pub struct Admission {
    /// What is to be settled when the call is over. Dropped, everything is given back.
    pub reservation: Reservation,
    /// The policy that is nearest to its end, for the answer's headers.
    pub quota: Option<Quota>,
    /// What each limit said.
    pub verdicts: Vec<Verdict>,
}

/// A call that is not let through. Nothing was taken for it.
#[derive(Clone, Debug)]
pub enum Denial {
    /// A rate limit's bucket is empty.
    Limited {
        /// How it stands.
        quota: Quota,
        /// What each limit said.
        verdicts: Vec<Verdict>,
    },
    /// A budget has not enough left for what the call may cost.
    Exceeded {
        /// The budget.
        budget: Arc<Budget>,
        /// Whose share: `user:alice`.
        scope: String,
        /// What is spent.
        spent: Money,
        /// What is reserved for other calls: it may become free again.
        reserved: Money,
        /// When the period ends, in seconds of the epoch.
        resets_s: i64,
        /// What each limit said.
        verdicts: Vec<Verdict>,
    },
    /// The shared limits do not answer, and the configuration says to refuse then.
    Unavailable,
}

impl Limiter {
    /// Lets a call through, or says why not. All its policies and budgets let it through, or none is charged.
    ///
    /// # Errors
    /// With the limit that stands in the way.
    pub async fn admit(&self, ask: Ask<'_>) -> Result<Admission, Box<Denial>> {
        let inner = &self.0;
        let now = inner.now();
        let wants = inner.bucket_wants(&ask);
        let shares = inner.shares(&ask.subject, now);
        if wants.is_empty() && shares.is_empty() {
            return Ok(Admission { reservation: Reservation::nothing(), quota: None, verdicts: Vec::new() });
        }
        let amount = ask.worst.atto().max(LEAST);
        let trust = if inner.is_shared() { Trust::Ask } else { Trust::Own };
        let first = inner.attempt(&ask, &wants, &shares, amount, trust);
        let (said, is_alone) = match first {
            Attempt::Ask { buckets, accounts } => {
                let asked = inner.ask_shared(&wants, &buckets, &shares, &accounts, amount).await;
                match (asked, inner.on_unavailable()) {
                    (Ok(()), _) => (inner.attempt(&ask, &wants, &shares, amount, Trust::Asked), false),
                    (Err(_), OnUnavailable::Deny) => {
                        Counters::add(&inner.counters.unavailable);
                        return Err(Box::new(Denial::Unavailable));
                    }
                    (Err(_), OnUnavailable::Allow) => {
                        Counters::add(&inner.counters.unavailable);
                        (inner.attempt_alone(&wants, &shares, amount), true)
                    }
                }
            }
            decided => (decided, false),
        };
        match said {
            Attempt::Yes(levels) => Ok(self.let_through(&ask, wants, shares, amount, &levels, is_alone)),
            Attempt::Limited(at, levels) => Err(Box::new(inner.limited(&wants, at, &levels))),
            Attempt::Exceeded(at) => Err(Box::new(inner.exceeded(&ask, &wants, &shares, at))),
            Attempt::Ask { .. } => Err(Box::new(Denial::Unavailable)),
        }
    }

    fn let_through(
        &self,
        ask: &Ask<'_>,
        wants: Vec<BucketWant>,
        shares: Vec<Share>,
        amount: i128,
        levels: &[i64],
        is_alone: bool,
    ) -> Admission {
        let inner = &self.0;
        Counters::add(&inner.counters.allowed);
        let quotas = wants
            .iter()
            .zip(levels)
            .map(|(want, &level)| (Quota::of(&want.policy, want.shape, level, false), want, level));
        let nearest =
            quotas.min_by_key(|(_, want, level)| (i128::from(*level) << 32) / i128::from(want.shape.capacity.max(1)));
        let quota = nearest.map(|(quota, ..)| quota);
        let said = if is_alone { "unavailable" } else { "allowed" };
        let mut verdicts: Vec<Verdict> =
            wants.iter().zip(levels).map(|(want, &level)| of_bucket(want, level, said)).collect();
        for share in &shares {
            let standing = inner.ledger.standing(&share.want);
            let left = share.want.limit.saturating_sub(standing.spent).saturating_sub(standing.reserved);
            let verdict = match &share.budget.on_exceed {
                OnExceed::Block => said,
                _ if left >= 0 => said,
                OnExceed::Downgrade(_) => "downgraded",
                OnExceed::Warn => "warned",
            };
            let (counter, what) = match verdict {
                "downgraded" => (&inner.counters.downgraded, What::Downgraded),
                "warned" => (&inner.counters.warned, What::Warned),
                _ => {
                    verdicts.push(of_share(share, left, verdict));
                    continue;
                }
            };
            Counters::add(counter);
            inner.tell(ask.subject.org, share, what, standing.spent);
            verdicts.push(of_share(share, left, verdict));
        }
        let open = Open { limiter: self.clone(), org: ask.subject.org.to_owned(), wants, shares, amount };
        Admission { reservation: Reservation::of(open), quota, verdicts }
    }
}

enum Attempt {
    Yes(SmallVec<[i64; 4]>),
    Limited(usize, SmallVec<[i64; 4]>),
    Exceeded(usize),
    Ask { buckets: SmallVec<[usize; 4]>, accounts: SmallVec<[usize; 4]> },
}

impl Inner {
    /// The buckets of a call: of the rules, each with its window in the key, those of all organisations apart from the
    /// organisation's own; and of the policies it brings, the first of a segment and unit under Helicone's own key.
    fn bucket_wants(&self, ask: &Ask<'_>) -> Vec<BucketWant> {
        let rules = self.rules.load();
        let mut wants: Vec<BucketWant> = Vec::new();
        if ask.budgets_only {
            return wants;
        }
        let brought = ask.policies.iter().map(|policy| (policy, None));
        let of_all = rules.policies.iter().map(|policy| (policy, Some("rule")));
        let own = rules.of.get(ask.subject.org).into_iter().flatten().map(|policy| (policy, Some("own")));
        for (policy, rule) in brought.chain(of_all).chain(own) {
            let Some(share) = ask.subject.share(policy.segment()) else { continue };
            let mut key = bucket_key(ask.subject.org, policy.segment(), share, policy.unit());
            if let Some(rule) = rule {
                key = format!("{rule}:{key}:{}", policy.window_s());
            } else if wants.iter().any(|want| *want.key == *key) {
                key = format!("{key}:{}", policy.window_s());
            }
            if wants.iter().any(|want| *want.key == *key) {
                continue;
            }
            let window_ms = i64::try_from(policy.window_s()).unwrap_or(i64::MAX).saturating_mul(1_000);
            wants.push(BucketWant {
                key: key.into(),
                policy: policy.clone(),
                shown: shown(policy.segment(), share),
                shape: Shape { capacity: policy.capacity(), window_ms },
            });
        }
        wants
    }

    fn attempt(&self, ask: &Ask<'_>, wants: &[BucketWant], shares: &[Share], amount: i128, trust: Trust) -> Attempt {
        let now = self.now_ms();
        let accounts: SmallVec<[_; 4]> = shares
            .iter()
            .map(|share| {
                let mut want = share.want.clone();
                // A budget that gives another model says so once, before that model is asked.
                want.holds |= matches!(share.budget.on_exceed, OnExceed::Downgrade(_)) && !ask.downgraded;
                want
            })
            .collect();
        let short = self.ledger.reserve(&accounts, amount, now).err();
        if let (Some(short), true) = (&short, trust != Trust::Ask) {
            return Attempt::Exceeded(short.first().copied().unwrap_or(0));
        }
        let give_back = || {
            if short.is_none() {
                for share in shares {
                    self.ledger.settle(&share.want, amount, 0);
                }
            }
        };
        if short.is_some() {
            let buckets = match self.buckets.take(wants, trust, now) {
                Said::Ask(ask) => ask,
                Said::No(at, levels) => return Attempt::Limited(at, levels),
                Said::Yes(_) => {
                    self.give_calls_back(wants, now);
                    SmallVec::new()
                }
            };
            return Attempt::Ask { buckets, accounts: short.unwrap_or_default() };
        }
        match self.buckets.take(wants, trust, now) {
            Said::Yes(levels) => Attempt::Yes(levels),
            Said::No(at, levels) => {
                give_back();
                Attempt::Limited(at, levels)
            }
            Said::Ask(buckets) => {
                give_back();
                Attempt::Ask { buckets, accounts: SmallVec::new() }
            }
        }
    }

    /// Without the shared limits: buckets as if they were this process's own, budgets beyond what it holds.
    fn attempt_alone(&self, wants: &[BucketWant], shares: &[Share], amount: i128) -> Attempt {
        let now = self.now_ms();
        match self.buckets.take(wants, Trust::Own, now) {
            Said::No(at, levels) => Attempt::Limited(at, levels),
            Said::Ask(_) => Attempt::Yes(SmallVec::new()),
            Said::Yes(levels) => {
                let forgiving: SmallVec<[_; 4]> =
                    shares.iter().map(|share| crate::ledger::Want { holds: false, ..share.want.clone() }).collect();
                let _ = self.ledger.reserve(&forgiving, amount, now);
                Attempt::Yes(levels)
            }
        }
    }

    pub(super) fn give_calls_back(&self, wants: &[BucketWant], now: i64) {
        for want in wants.iter().filter(|want| want.unit() == crate::Unit::Request) {
            self.buckets.use_up(want, self.is_shared(), -GRAINS, now);
        }
    }

    fn limited(&self, wants: &[BucketWant], at: usize, levels: &[i64]) -> Denial {
        Counters::add(&self.counters.limited);
        let verdicts = wants
            .iter()
            .zip(levels)
            .enumerate()
            .map(|(place, (want, &level))| of_bucket(want, level, if place == at { "denied" } else { "allowed" }))
            .collect();
        let quota = Quota::of(&wants[at].policy, wants[at].shape, levels.get(at).copied().unwrap_or(0), true);
        Denial::Limited { quota, verdicts }
    }

    fn exceeded(&self, ask: &Ask<'_>, wants: &[BucketWant], shares: &[Share], at: usize) -> Denial {
        let share = &shares[at];
        let standing = self.ledger.standing(&share.want);
        if share.budget.on_exceed == OnExceed::Block {
            Counters::add(&self.counters.blocked);
            self.tell(ask.subject.org, share, What::Blocked, standing.spent);
        }
        let left = share.want.limit.saturating_sub(standing.spent).saturating_sub(standing.reserved);
        let now = self.now_ms();
        let mut verdicts: Vec<Verdict> =
            wants.iter().map(|want| of_bucket(want, self.buckets.level(want, now), "allowed")).collect();
        verdicts.push(of_share(share, left, "denied"));
        Denial::Exceeded {
            budget: share.budget.clone(),
            scope: share.shown.clone(),
            spent: Money::from_atto(standing.spent),
            reserved: Money::from_atto(standing.reserved),
            resets_s: share.span.end_s,
            verdicts,
        }
    }
}

fn of_bucket(want: &BucketWant, level: i64, verdict: &'static str) -> Verdict {
    let remaining = Some(level.div_euclid(GRAINS).max(0).to_string());
    Verdict { limit: want.policy.to_string(), scope: want.shown.clone(), verdict, remaining }
}

fn of_share(share: &Share, left: i128, verdict: &'static str) -> Verdict {
    let remaining = Some(Money::from_atto(left.max(0)).to_string());
    Verdict { limit: share.budget.name(), scope: share.shown.clone(), verdict, remaining }
}
