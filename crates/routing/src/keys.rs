//! Several keys of one provider.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::breaker::micros;

/// Keys that take turns. One that is refused or limited is benched by itself, and the others serve on.
#[derive(Debug, Default)]
pub struct Keys {
    benched_until: Box<[AtomicU64]>,
    /// One entry for each part of weight.
    turns: Box<[u32]>,
    next: AtomicU64,
}

impl Keys {
    /// So many keys of equal weight.
    #[must_use]
    pub fn new(number: usize) -> Self {
        Self::weighted(&vec![1; number])
    }

    /// Keys of these weights; one of 0 has no turn, unless all are 0, and more than 100 counts as 100.
    #[must_use]
    pub fn weighted(weights: &[u32]) -> Self {
        let equal = vec![1; weights.len()];
        let weights = if weights.iter().all(|weight| *weight == 0) { &equal } else { weights };
        let mut turns = Vec::new();
        let most = weights.iter().copied().max().unwrap_or(0).clamp(1, 100);
        // Round by round, so that a heavy key does not have its turns all at once.
        for round in 0..most {
            turns.extend((0..).zip(weights).filter(|(_, weight)| **weight > round).map(|(at, _)| at));
        }
        Self {
            benched_until: weights.iter().map(|_| AtomicU64::new(0)).collect(),
            turns: turns.into(),
            next: AtomicU64::new(0),
        }
    }

    /// The key whose turn it is, counted from 0: the next that is not benched or, where all are, the one that is benched
    /// for the shortest time.
    #[must_use]
    pub fn turn(&self, now: u64) -> Option<u32> {
        let turns = u64::try_from(self.turns.len()).ok().filter(|turns| *turns > 0)?;
        if self.benched_until.len() == 1 {
            return Some(0);
        }
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let at = |turn: u64| usize::try_from(turn % turns).ok().and_then(|turn| self.turns.get(turn).copied());
        let mut in_turn = (first..first.saturating_add(turns)).filter_map(at);
        in_turn
            .find(|key| self.benched(*key) <= now)
            .or_else(|| self.turns.iter().copied().min_by_key(|key| self.benched(*key)))
    }

    /// Benches a key for so long; a longer time in force stays. Returns whether another one is left.
    pub fn bench(&self, key: u32, span: Duration, now: u64) -> bool {
        if let Some(until) = usize::try_from(key).ok().and_then(|key| self.benched_until.get(key)) {
            until.fetch_max(now.saturating_add(micros(span)), Ordering::Relaxed);
        }
        self.benched_until.iter().any(|until| until.load(Ordering::Relaxed) <= now)
    }

    /// How many there are, and how many of them are benched.
    #[must_use]
    pub fn status(&self, now: u64) -> (usize, usize) {
        let benched = self.benched_until.iter().filter(|until| until.load(Ordering::Relaxed) > now);
        (self.benched_until.len(), benched.count())
    }

    fn benched(&self, key: u32) -> u64 {
        let until = usize::try_from(key).ok().and_then(|key| self.benched_until.get(key));
        until.map_or(0, |until| until.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_take_turns_by_weight_and_the_benched_sit_out() {
        let keys = Keys::weighted(&[2, 1]);
        let turns: Vec<_> = (0..6).map(|_| keys.turn(1).unwrap()).collect();
        assert_eq!(turns, [0, 1, 0, 0, 1, 0]);
        assert!(keys.bench(0, Duration::from_secs(60), 1));
        assert!((0..6).all(|_| keys.turn(1) == Some(1)));
        assert!(!keys.bench(1, Duration::from_secs(30), 1), "none is left");
        assert_eq!(keys.turn(1), Some(1), "the one that is back first");
        assert_eq!(keys.status(1), (2, 2));
        assert_eq!(keys.turn(30_000_002), Some(1));
        assert_eq!(Keys::new(0).turn(1), None);
        assert_eq!(Keys::new(1).turn(1), Some(0));
    }
}
