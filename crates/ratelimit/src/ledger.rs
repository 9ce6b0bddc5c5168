//! The ledger: what of each budget is spent and what is reserved for calls under way.
//!
//! A reservation is made in all its accounts or in none, under all their locks at once, so no interleaving lets two calls
//! have the same money. Amounts are atto-dollars. Alone, an account may use its whole limit; where several processes share
//! it, it may use what it holds: a part that the shared ledger has set aside for this process.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, PoisonError};

use smallvec::SmallVec;

use crate::sync::Mutex;

/// The key of an account.
pub(crate) type Key = Arc<str>;

/// Which stretch of time an account is of, in slots; a calendar period is one slot, a rolling window many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slots {
    /// The slot that is now.
    pub(crate) now: i64,
    /// The oldest that still counts.
    pub(crate) oldest: i64,
}

/// What a call wants of one account.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    pub(crate) key: Key,
    pub(crate) limit: i128,
    pub(crate) slots: Slots,
    /// Whether the limit holds; else what is over it is only told.
    pub(crate) holds: bool,
    /// When nothing of the account counts any more, in seconds of the epoch.
    pub(crate) ends_s: i64,
}

/// How an account stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Spent by all, as far as it is known here.
    pub(crate) spent: i128,
    /// Reserved: for calls under way here, and held by others.
    pub(crate) reserved: i128,
}

/// One budget's money for one share and period.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// What is spent, by slot: all of it, or as much as the shared ledger last told.
    spent: VecDeque<(i64, i128)>,
    /// Reserved for calls under way here.
    in_flight: i128,
    /// Calls under way here.
    calls: u32,
    /// The highest threshold that was told, in percent.
    pub(crate) told: u32,
    /// When it was last used, in ms.
    pub(crate) used_at: i64,
    pub(crate) shared: Shared,
}

/// What an account knows of the shared ledger.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The part of the limit that is set aside for this process.
    pub(crate) held: i128,
    /// Held by other processes.
    pub(crate) others: i128,
    /// What calls are just asking the shared ledger for.
    pub(crate) asking: i128,
    /// All that this process has spent, by the slot it was spent in.
    pub(crate) total: i128,
    /// As much of it as the shared ledger knows.
    pub(crate) acknowledged: i128,
    /// The last message sent, and the last that was answered.
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    /// When its hold was last renewed, in ms.
    pub(crate) renewed_at: i64,
    /// What a message needs, as the account was last wanted.
    pub(crate) limit: i128,
    pub(crate) slots: Option<Slots>,
    pub(crate) ends_s: i64,
}

impl Shared {
    fn remember(&mut self, want: &Want) {
        (self.limit, self.slots, self.ends_s) = (want.limit, Some(want.slots), want.ends_s);
    }
}

impl Account {
    fn spent(&self, slots: Slots) -> i128 {
        let counted = self.spent.iter().filter(|(slot, _)| *slot >= slots.oldest);
        counted.fold(0_i128, |sum, (_, amount)| sum.saturating_add(*amount))
    }

    fn spend(&mut self, slots: Slots, cost: i128) {
        self.spent.retain(|(slot, _)| *slot >= slots.oldest);
        match self.spent.iter_mut().find(|(slot, _)| *slot == slots.now) {
            Some((_, amount)) => *amount = amount.saturating_add(cost),
            None => self.spent.push_back((slots.now, cost)),
        }
    }

    /// What the shared ledger does not know yet.
    pub(crate) fn unsynced(&self) -> i128 {
        self.shared.total.saturating_sub(self.shared.acknowledged)
    }

    pub(crate) fn in_flight(&self) -> i128 {
        self.in_flight
    }

    /// Puts what the shared ledger told in place of what was known.
    pub(crate) fn learn(&mut self, spent: Vec<(i64, i128)>) {
        self.spent = spent.into();
    }

    /// Spent, as far as the shared ledger told.
    pub(crate) fn known_spent(&self, slots: Slots) -> i128 {
        self.spent(slots)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.calls == 0 && self.unsynced() == 0 && self.shared.asking == 0
    }

    /// Whether nothing was ever spent in it, here or elsewhere, so that it can be made anew when it is wanted again: made-up
    /// users must not fill the memory.
    pub(crate) fn is_blank(&self) -> bool {
        let shared = &self.shared;
        let untold = shared.total == 0 && shared.sent == 0 && shared.held == 0 && shared.others == 0;
        untold && self.told == 0 && self.spent.iter().all(|(_, amount)| *amount == 0)
    }

    /// How it stands, by the slots that it was last used with.
    pub(crate) fn told_standing(&self, is_shared: bool) -> Standing {
        self.shared.slots.map_or_else(Standing::default, |slots| self.standing(slots, is_shared))
    }

    /// Counts what records tell, slot by slot, where they tell of more than is known here.
    pub(crate) fn raise(&mut self, want: &Want, records: &[(i64, i128)]) {
        self.shared.remember(want);
        for &(slot, told) in records {
            match self.spent.iter_mut().find(|(held, _)| *held == slot) {
                Some((_, amount)) => *amount = told.max(*amount),
                None => self.spent.push_back((slot, told)),
            }
        }
    }

    fn standing(&self, slots: Slots, is_shared: bool) -> Standing {
        let more = if is_shared { self.unsynced() } else { 0 };
        let reserved = self.in_flight.saturating_add(if is_shared { self.shared.others } else { 0 });
        Standing { spent: self.spent(slots).saturating_add(more), reserved }
    }

    fn room(&self, want: &Want, is_shared: bool) -> i128 {
        let taken = if is_shared { self.unsynced() } else { self.spent(want.slots) };
        let of = if is_shared { self.shared.held } else { want.limit };
        of.saturating_sub(taken).saturating_sub(self.in_flight)
    }
}

/// All accounts of a process.
pub(crate) struct Ledger {
    shards: Box<[Mutex<HashMap<Key, Account>>]>,
    hasher: BuildHasherDefault<DefaultHasher>,
    is_shared: bool,
}

impl Ledger {
    pub(crate) fn new(shards: usize, is_shared: bool) -> Self {
        let shards = (0..shards.max(1)).map(|_| Mutex::new(HashMap::new())).collect();
        Self { shards, hasher: BuildHasherDefault::default(), is_shared }
    }

    fn shard_of(&self, key: &str) -> usize {
        let hash = usize::try_from(self.hasher.hash_one(key) >> 32).unwrap_or(0);
        hash % self.shards.len()
    }

    /// Reserves an amount in all accounts, or in none. `Err`: the accounts that have not enough room, by their place.
    pub(crate) fn reserve(&self, wants: &[Want], amount: i128, now: i64) -> Result<(), SmallVec<[usize; 4]>> {
        let places: SmallVec<[usize; 4]> = wants.iter().map(|want| self.shard_of(&want.key)).collect();
        let mut order = places.clone();
        order.sort_unstable();
        order.dedup();
        // Always in the same order, so that no two calls wait for each other.
        let mut locked: SmallVec<[_; 4]> =
            order.iter().map(|&place| self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)).collect();
        let mut short = SmallVec::new();
        for (at, want) in wants.iter().enumerate() {
            let Some(shard) = order.iter().position(|place| *place == places[at]) else { continue };
            let account = locked[shard].entry(want.key.clone()).or_default();
            account.used_at = now;
            account.shared.remember(want);
            if want.holds && account.room(want, self.is_shared) < amount {
                short.push(at);
            }
        }
        if !short.is_empty() {
            return Err(short);
        }
        for (at, want) in wants.iter().enumerate() {
            let Some(shard) = order.iter().position(|place| *place == places[at]) else { continue };
            if let Some(account) = locked[shard].get_mut(&want.key) {
                account.in_flight = account.in_flight.saturating_add(amount);
                account.calls += 1;
            }
        }
        Ok(())
    }

    /// Ends a reservation: what it cost is spent, the rest is free again. Tells how the account stood before and stands now.
    pub(crate) fn settle(&self, want: &Want, reserved: i128, cost: i128) -> (Standing, Standing) {
        self.with(&want.key, |account| {
            let before = account.standing(want.slots, self.is_shared);
            account.in_flight = account.in_flight.saturating_sub(reserved);
            account.calls = account.calls.saturating_sub(1);
            Self::spend(account, want, cost, self.is_shared);
            (before, account.standing(want.slots, self.is_shared))
        })
    }

    /// Spends what nobody reserved: a cost that was told afterwards, or found in the store.
    pub(crate) fn charge(&self, want: &Want, cost: i128, now: i64) -> (Standing, Standing) {
        self.with(&want.key, |account| {
            account.used_at = now;
            account.shared.remember(want);
            let before = account.standing(want.slots, self.is_shared);
            Self::spend(account, want, cost, self.is_shared);
            (before, account.standing(want.slots, self.is_shared))
        })
    }

    fn spend(account: &mut Account, want: &Want, cost: i128, is_shared: bool) {
        let cost = cost.max(0);
        if is_shared {
            account.shared.total = account.shared.total.saturating_add(cost);
        } else if cost > 0 {
            account.spend(want.slots, cost);
        }
    }

    /// How an account stands.
    pub(crate) fn standing(&self, want: &Want) -> Standing {
        let shard = self.shards[self.shard_of(&want.key)].lock().unwrap_or_else(PoisonError::into_inner);
        shard.get(&want.key).map(|account| account.standing(want.slots, self.is_shared)).unwrap_or_default()
    }

    /// Works on one account, which is made where it is missing.
    pub(crate) fn with<T>(&self, key: &Key, work: impl FnOnce(&mut Account) -> T) -> T {
        let mut shard = self.shards[self.shard_of(key)].lock().unwrap_or_else(PoisonError::into_inner);
        work(shard.entry(key.clone()).or_default())
    }

    /// Looks at every account, one shard at a time, and keeps those for which `keep` says so.
    pub(crate) fn sweep(&self, mut keep: impl FnMut(&Key, &mut Account) -> bool) {
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, account| keep(key, account));
        }
    }
}
