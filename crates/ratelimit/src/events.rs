//! What happens to budgets, told to whoever raises alarms.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tachograph_record::{Money, Timestamp};

/// Something that happened to a budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LimitEvent {
    /// When.
    pub at: Timestamp,
    /// The organisation's id.
    pub org: String,
    /// The budget's name.
    pub budget: String,
    /// Whose share: `organisation`, `user:alice`.
    pub scope: String,
    /// What.
    pub what: What,
    /// What is spent now.
    pub spent: Money,
    /// Of how much.
    pub amount: Money,
    /// When the period ends, in seconds of the epoch.
    pub resets_s: i64,
}

/// What happened to a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// This percentage of it was reached. Each process that shares a budget tells of it once in a period.
    Threshold(u32),
    /// A call was refused for it.
    Blocked,
    /// A call was served by another model for it.
    Downgraded,
    /// A call was served although it is used up.
    Warned,
    /// A call cost more than was reserved for it, and more than was left.
    Overrun,
}

/// Who wants to know. It is asked in the middle of a call and must not wait: hand the event on, and drop it where there is
/// no room.
pub trait EventSink: Send + Sync + 'static {
    /// Takes an event; false where it had to be dropped.
    fn tell(&self, event: LimitEvent) -> bool;
}

impl EventSink for tokio::sync::mpsc::Sender<LimitEvent> {
    /// The newest is dropped where the channel is full.
    fn tell(&self, event: LimitEvent) -> bool {
        self.try_send(event).is_ok()
    }
}

macro_rules! counters {
    ($($name:ident: $what:literal),* $(,)?) => {
        /// What limits did since the process began.
        #[derive(Debug, Default)]
        pub struct Counters {
            $(pub(crate) $name: AtomicU64,)*
        }

        /// What limits did since the process began, at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Counts {
            $(#[doc = $what] pub $name: u64,)*
        }

        impl Counters {
            /// The figures now.
            #[must_use]
            pub fn read(&self) -> Counts {
                Counts { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    allowed: "Calls that some limit looked at and let through.",
    limited: "Calls that a rate limit refused.",
    blocked: "Calls that a budget refused.",
    downgraded: "Calls that a budget gave another model.",
    warned: "Calls that were served although a budget was used up.",
    unavailable: "Calls that were decided without the shared limits, which did not answer.",
    thresholds: "Thresholds that budgets reached.",
    overruns: "Calls that cost more than was reserved for them.",
    unpriced: "Calls under a budget whose cost is not known.",
    events_dropped: "Events that nobody had room for.",
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
