//! What names were found to mean, in bounded memory.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{PoisonError, RwLock};

use super::Match;

/// Names in each of the two generations. Callers choose model names, so their number has no bound of its own.
const GENERATION: usize = 2048;
/// Longer names are looked up each time; no listed one is as long.
const LONGEST_NAME: usize = 256;

/// Results by provider and model name, unknown ones too. Two generations: when the young one is full it becomes the old
/// one, and what is still in use moves back on its next lookup.
#[derive(Debug, Default)]
pub(crate) struct MatchCache {
    hasher: RandomState,
    generations: RwLock<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<u64, Entry>,
    old: HashMap<u64, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    provider: Box<str>,
    model: Box<str>,
    found: Option<Match>,
}

impl MatchCache {
    /// The result for a name, from the cache or from `find`.
    pub(crate) fn get_or(&self, provider: &str, model: &str, find: impl FnOnce() -> Option<Match>) -> Option<Match> {
        if provider.len() + model.len() > LONGEST_NAME {
            return find();
        }
        let key = self.hasher.hash_one((provider, model));
        let is_it = |entry: &&Entry| *entry.provider == *provider && *entry.model == *model;
        let from_old = {
            // A panic elsewhere leaves the maps whole, so a poisoned lock is as good as any.
            let held = self.generations.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(entry) = held.young.get(&key).filter(is_it) {
                return entry.found.clone();
            }
            held.old.get(&key).filter(is_it).cloned()
        };
        let entry = from_old.unwrap_or_else(|| Entry { provider: provider.into(), model: model.into(), found: find() });
        let found = entry.found.clone();
        let mut held = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        if held.young.len() >= GENERATION {
            held.old = std::mem::take(&mut held.young);
        }
        held.young.insert(key, entry);
        found
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let held = self.generations.read().unwrap();
        held.young.len() + held.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_what_is_unknown_too() {
        let cache = MatchCache::default();
        assert!(cache.get_or("p", "m", || None).is_none());
        assert!(cache.get_or("p", "m", || panic!("looked up twice")).is_none());
    }

    #[test]
    fn stays_bounded_under_any_names() {
        let cache = MatchCache::default();
        for number in 0..10 * GENERATION {
            cache.get_or("p", &number.to_string(), || None);
        }
        assert!(cache.len() <= 2 * GENERATION, "{}", cache.len());
        cache.get_or("p", &"x".repeat(LONGEST_NAME + 1), || None);
        assert!(cache.len() <= 2 * GENERATION);
    }
}
