//! The limiter: rules, buckets and budgets, asked once before a call and told once after it.

mod admit;
mod maintain;
mod remote;
mod reservation;
mod restore;
mod snapshot;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tachograph_record::{Money, Timestamp};

pub use admit::{Admission, Ask, Denial, Verdict};
pub use remote::{OnUnavailable, RemoteOptions};
pub use reservation::{Reservation, Spent};
pub use restore::Past;
pub use snapshot::{AccountView, Snapshot};

use crate::backend::Backend;
use crate::buckets::Buckets;
use crate::budget::Share;
use crate::events::{Counters, Counts, EventSink, LimitEvent, What};
use crate::ledger::{Ledger, Standing};
use crate::{Budget, Policy, Subject};
use remote::Remote;

/// Buckets and accounts are spread over so many locks.
const SHARDS: usize = 64;

/// What is in force: for every call, beside the policies it brings itself.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Policies.
    pub policies: Vec<Policy>,
    /// Budgets.
    pub budgets: Vec<Arc<Budget>>,
    /// Policies of one organisation alone, by its id, beside those of all.
    pub of: BTreeMap<String, Vec<Policy>>,
}

/// Tells the time. A simulation may bring its own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Rate limits and budgets. Cheap to clone; clones are the same limiter.
#[derive(Clone)]
pub struct Limiter(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    rules: ArcSwap<Rules>,
    buckets: Buckets,
    ledger: Ledger,
    remote: Option<Remote>,
    events: Option<Box<dyn EventSink>>,
    counters: Counters,
    clock: Clock,
    /// Whether the clock is a simulation's, which the shared limits then have to follow.
    is_simulated: bool,
}

/// How a limiter is set up.
#[derive(Default)]
pub struct LimiterOptions {
    /// What is in force from the beginning.
    pub rules: Rules,
    /// Where limits are shared; absent, they are this process's own.
    pub shared: Option<(Arc<dyn Backend>, RemoteOptions)>,
    /// Who is told what happens.
    pub events: Option<Box<dyn EventSink>>,
    /// Another clock than the system's.
    pub clock: Option<Clock>,
}

impl Limiter {
    /// A limiter with these options. Where limits are shared, run [`maintain`](Self::maintain) beside it.
    #[must_use]
    pub fn new(options: LimiterOptions) -> Self {
        let remote = options.shared.map(|(backend, options)| Remote::new(backend, options));
        let is_simulated = options.clock.is_some();
        Self(Arc::new(Inner {
            rules: ArcSwap::from_pointee(options.rules),
            buckets: Buckets::new(SHARDS),
            ledger: Ledger::new(SHARDS, remote.is_some()),
            remote,
            events: options.events,
            counters: Counters::default(),
            clock: options.clock.unwrap_or_else(|| Arc::new(Timestamp::now)),
            is_simulated,
        }))
    }

    /// A limiter of this process with these rules.
    #[must_use]
    pub fn in_memory(rules: Rules) -> Self {
        Self::new(LimiterOptions { rules, ..LimiterOptions::default() })
    }

    /// Puts other rules in force, all at once. What is spent and reserved stays.
    pub fn set_rules(&self, rules: Rules) {
        self.0.rules.store(Arc::new(rules));
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        self.0.rules.load_full()
    }

    /// Whether any rule is in force, so that a call without a policy of its own has to be looked at.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        let rules = self.0.rules.load();
        !rules.policies.is_empty() || !rules.budgets.is_empty() || !rules.of.is_empty()
    }

    /// The budgets that a call counts in. Where there is none, nothing needs to be reserved for it.
    #[must_use]
    pub fn budgets_of(&self, subject: &Subject<'_>) -> Vec<Arc<Budget>> {
        let rules = self.0.rules.load();
        let now = (self.0.clock)();
        rules.budgets.iter().filter(|budget| budget.share(subject, now).is_some()).cloned().collect()
    }

    /// What limits did since the process began.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.counters.read()
    }
}

impl Inner {
    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn now_ms(&self) -> i64 {
        self.now().micros().div_euclid(1_000)
    }

    fn is_shared(&self) -> bool {
        self.remote.is_some()
    }

    fn shares(&self, subject: &Subject<'_>, at: Timestamp) -> Vec<Share> {
        self.rules.load().budgets.iter().filter_map(|budget| budget.share(subject, at)).collect()
    }

    fn tell(&self, org: &str, share: &Share, what: What, spent: i128) {
        let Some(events) = &self.events else { return };
        let event = LimitEvent {
            at: self.now(),
            org: org.to_owned(),
            budget: share.budget.name(),
            scope: share.shown.clone(),
            what,
            spent: Money::from_atto(spent),
            amount: share.budget.amount,
            resets_s: share.span.end_s,
        };
        if !events.tell(event) {
            Counters::add(&self.counters.events_dropped);
        }
    }

    /// Tells of thresholds that were reached between two standings, each once in a period.
    fn tell_thresholds(&self, org: &str, share: &Share, now: Standing) {
        let limit = share.want.limit;
        let reached = |percent: u32| now.spent.saturating_mul(100) >= limit.saturating_mul(i128::from(percent));
        let highest = share.budget.thresholds.iter().copied().filter(|&percent| reached(percent)).max().unwrap_or(0);
        if highest == 0 {
            return;
        }
        let before = self.ledger.with(&share.want.key, |account| {
            let before = account.told;
            account.told = before.max(highest);
            before
        });
        for &percent in share.budget.thresholds.iter().filter(|&&percent| percent > before && percent <= highest) {
            Counters::add(&self.counters.thresholds);
            self.tell(org, share, What::Threshold(percent), now.spent);
        }
    }
}

/// How long the shared limits are waited for, unless it is said otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_millis(50);
