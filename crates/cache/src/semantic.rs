//! Requests of the same meaning: the nearest of what was asked before, by its embedding.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::CacheKey;
use crate::answer::{millis, now_ms};

/// What was asked, as embeddings, and under which key its answer is kept. Only what is of one space is compared: a space is
/// a [`CacheKey`] of everything about a request but the text that its meaning is taken of, so that tenants, models,
/// parameters and the conversation so far must be the same. So many embeddings are held at most; the oldest goes first.
#[derive(Debug)]
pub struct Neighbours {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    spaces: HashMap<CacheKey, VecDeque<Asked>>,
    /// The space of each, in the order they came.
    order: VecDeque<CacheKey>,
}

#[derive(Debug)]
struct Asked {
    /// Of length 1, so that a product of two is the cosine of their angle.
    embedding: Box<[f32]>,
    key: CacheKey,
    expires_ms: u64,
}

impl Neighbours {
    /// Holds at most so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, held: Mutex::default() }
    }

    /// The key of the answer to what was asked nearest to this, and how near that is: the cosine of their angle, at least
    /// the threshold. Nothing where none is so near.
    #[must_use]
    pub fn nearest(&self, space: CacheKey, embedding: &[f32], threshold: f32) -> Option<(CacheKey, f32)> {
        let wanted = unit(embedding)?;
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now_ms();
        let good = held.spaces.get(&space)?.iter().filter(|asked| asked.expires_ms > now);
        let near = good.filter(|asked| asked.embedding.len() == wanted.len());
        let near = near.map(|asked| (asked.key, cosine(&asked.embedding, &wanted)));
        near.filter(|(_, cosine)| *cosine >= threshold).max_by(|(_, a), (_, b)| a.total_cmp(b))
    }

    /// Remembers what was asked, for as long as its answer is kept. One that is no direction at all is not remembered.
    pub fn remember(&self, space: CacheKey, embedding: &[f32], key: CacheKey, ttl: Duration) {
        let Some(embedding) = unit(embedding).filter(|_| self.most > 0) else { return };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        while held.order.len() >= self.most
            && let Some(oldest) = held.order.pop_front()
        {
            let is_empty = held.spaces.get_mut(&oldest).is_none_or(|asked| {
                asked.pop_front();
                asked.is_empty()
            });
            if is_empty {
                held.spaces.remove(&oldest);
            }
        }
        held.order.push_back(space);
        let expires_ms = now_ms().saturating_add(millis(ttl));
        held.spaces.entry(space).or_default().push_back(Asked { embedding, key, expires_ms });
    }

    /// How many are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).order.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The embedding with length 1; none where it has no length, or one that is no number.
fn unit(embedding: &[f32]) -> Option<Box<[f32]>> {
    let length = embedding.iter().map(|part| part * part).sum::<f32>().sqrt();
    (length.is_normal()).then(|| embedding.iter().map(|part| part / length).collect())
}

/// Of two of length 1.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Subject, Tenant};

    const HOUR: Duration = Duration::from_secs(3_600);

    fn key(text: &str) -> CacheKey {
        let route = [text];
        let subject =
            Subject { tenant: Tenant::new(b"org"), route: &route, headers: vec![], seed: None, ignore: &[], body: b"" };
        subject.key().served_by("m")
    }

    #[test]
    fn the_nearest_within_the_threshold_is_found_and_only_in_its_space() {
        let held = Neighbours::new(10);
        held.remember(key("one"), &[1.0, 0.0, 0.0], key("a"), HOUR);
        held.remember(key("one"), &[3.0, 1.0, 0.0], key("b"), HOUR);
        held.remember(key("two"), &[1.0, 0.05, 0.0], key("c"), HOUR);
        let found =
            |space: &str, asked: &[f32], threshold| held.nearest(key(space), asked, threshold).map(|(key, _)| key);
        assert!(found("one", &[2.0, 0.1, 0.0], 0.9) == Some(key("a")));
        assert!(found("one", &[2.0, 0.6, 0.0], 0.9) == Some(key("b")));
        assert!(found("two", &[2.0, 0.6, 0.0], 0.9) == Some(key("c")));
        assert!(found("one", &[0.0, 1.0, 0.0], 0.9).is_none(), "none is near");
        assert!(found("one", &[1.0, 0.0], 0.0).is_none(), "another model's embedding");
        assert!(found("three", &[1.0, 0.0, 0.0], 0.0).is_none());
        for nothing in [&[][..], &[0.0, 0.0, 0.0], &[f32::NAN, 1.0, 0.0], &[f32::INFINITY, 0.0, 0.0]] {
            assert!(found("one", nothing, -1.0).is_none(), "{nothing:?}");
            held.remember(key("one"), nothing, key("d"), HOUR);
        }
        assert_eq!(held.len(), 3);
    }

    #[test]
    fn so_many_are_held_and_none_for_longer_than_its_answer() {
        let held = Neighbours::new(3);
        for number in 0..1_000_u16 {
            held.remember(key(&format!("space {}", number % 7)), &[1.0, f32::from(number)], key("a"), HOUR);
        }
        assert_eq!(held.len(), 3);
        assert!(held.held.lock().unwrap().spaces.len() <= 3);
        let held = Neighbours::new(3);
        held.remember(key("s"), &[1.0], key("a"), Duration::ZERO);
        assert!(held.nearest(key("s"), &[1.0], 0.0).is_none());
        Neighbours::new(0).remember(key("s"), &[1.0], key("a"), HOUR);
    }
}
