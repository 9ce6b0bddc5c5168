//! In which order several targets that may serve are asked.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::backoff::{mix, unit};
use crate::lane::Lane;

/// How the first one is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// As they are written down.
    #[default]
    Priority,
    /// At random, by weight.
    Weighted,
    /// The one with the fewest calls under way, by weight.
    LeastBusy,
    /// Of two drawn at random by weight, the one that is likely to give its first token sooner.
    Latency,
    /// The one with the lowest price; those without one last.
    Cheapest,
    /// The one that was given the fewest tokens of late, by weight.
    Usage,
}

/// One that may be asked.
#[derive(Clone, Debug)]
pub struct Choice {
    /// How it is doing.
    pub lane: Arc<Lane>,
    /// Its share; 0 is asked only after all others.
    pub weight: u32,
    /// What it costs, in any unit that all share.
    pub price: Option<f64>,
}

/// The order in which choices are asked, as places in the list. `sticky` is what keeps a caller with the target that holds
/// its prompt in cache: the same value leads to the same target for as long as that one is well, and where targets are
/// added or taken away only those move that must (rendezvous hashing). `random` is any 64 bits.
#[must_use]
pub fn order(strategy: Strategy, choices: &[Choice], sticky: Option<u64>, random: u64, now: u64) -> Vec<usize> {
    let mut places: Vec<usize> = (0..choices.len()).collect();
    // Of two that are equal otherwise, chance decides.
    let chance = |at: usize| mix(random ^ mix(at as u64));
    let by_weight = |at: usize, bits: u64| share(unit(bits), choices[at].weight);
    let weight = |at: usize| f64::from(choices[at].weight.max(1));
    match (sticky, strategy) {
        (Some(key), _) => {
            sort(&mut places, |at| by_weight(at, mix(key ^ name_hash(choices[at].lane.name()))));
        }
        (None, Strategy::Priority) => {}
        (None, Strategy::Weighted) => sort(&mut places, |at| by_weight(at, chance(at))),
        (None, Strategy::LeastBusy) => {
            places.sort_by_key(|at| chance(*at));
            sort(&mut places, |at| f64::from(choices[at].lane.in_flight()) / weight(at));
        }
        (None, Strategy::Usage) => {
            places.sort_by_key(|at| chance(*at));
            sort(&mut places, |at| choices[at].lane.recent_tokens(now) / weight(at));
        }
        (None, Strategy::Cheapest) => {
            places.sort_by_key(|at| chance(*at));
            sort(&mut places, |at| choices[at].price.unwrap_or(f64::INFINITY));
        }
        (None, Strategy::Latency) => {
            sort(&mut places, |at| by_weight(at, chance(at)));
            // The better of two at random is nearly as good as the best, and no herd runs to one target.
            if places.len() > 1
                && choices[places[1]].lane.expected_wait(now) < choices[places[0]].lane.expected_wait(now)
            {
                places.swap(0, 1);
            }
        }
    }
    // A target that is benched keeps its place behind those that are well.
    places.sort_by_key(|at| !choices[*at].lane.is_well(now) && choices[*at].lane.opens_at(now) != 0);
    places.sort_by_key(|at| choices[*at].weight == 0);
    places
}

fn sort(places: &mut [usize], by: impl Fn(usize) -> f64) {
    places.sort_by(|a, b| by(*a).total_cmp(&by(*b)));
}

/// The lowest of such numbers falls to each in proportion to its weight (Efraimidis and Spirakis).
fn share(unit: f64, weight: u32) -> f64 {
    if weight == 0 { f64::INFINITY } else { -(unit.max(f64::MIN_POSITIVE)).ln() / f64::from(weight) }
}

/// A hash that stays the same from one version and process to another, so that gateways agree (FNV-1a, mixed).
#[must_use]
pub fn name_hash(name: &str) -> u64 {
    hash(name.as_bytes())
}

/// The same of any bytes.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    mix(bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::failure::{Class, Failure};

    fn choices(weights: &[u32]) -> Vec<Choice> {
        let choice = |(at, weight): (usize, &u32)| Choice {
            lane: Arc::new(Lane::new(&format!("target-{at}"))),
            weight: *weight,
            price: None,
        };
        weights.iter().enumerate().map(choice).collect()
    }

    fn firsts(strategy: Strategy, choices: &[Choice], sticky: impl Fn(u64) -> Option<u64>) -> Vec<usize> {
        let mut firsts = vec![0; choices.len()];
        for draw in 0..10_000 {
            firsts[order(strategy, choices, sticky(draw), mix(draw), 1)[0]] += 1;
        }
        firsts
    }

    #[test]
    fn weights_are_kept_at_random_and_by_hash() {
        let choices = choices(&[3, 1, 0]);
        for firsts in [
            firsts(Strategy::Weighted, &choices, |_| None),
            firsts(Strategy::Priority, &choices, |draw| Some(mix(draw ^ 77))),
        ] {
            assert!((7_200..7_800).contains(&firsts[0]) && firsts[2] == 0, "{firsts:?}");
        }
    }

    #[test]
    fn the_same_key_leads_to_the_same_target_and_few_move_when_one_goes() {
        let five = choices(&[1; 5]);
        let four = five[..4].to_vec();
        let first = |choices: &[Choice], key| order(Strategy::Weighted, choices, Some(key), 9, 1)[0];
        let (mut moved, mut had_to) = (0, 0);
        for key in 0..1_000 {
            let key = mix(key);
            assert_eq!(first(&five, key), first(&five, key));
            moved += usize::from(first(&five, key) != first(&four, key));
            had_to += usize::from(first(&five, key) == 4);
        }
        assert_eq!(moved, had_to);
    }

    #[test]
    fn the_least_busy_the_cheapest_the_least_used_and_the_fastest_go_first() {
        let mut choices = choices(&[1, 1, 1]);
        let _busy =
            [choices[0].lane.enter(1).unwrap(), choices[0].lane.enter(1).unwrap(), choices[2].lane.enter(1).unwrap()];
        assert_eq!(order(Strategy::LeastBusy, &choices, None, 5, 1), [1, 2, 0]);
        (choices[0].price, choices[2].price) = (Some(0.5), Some(0.2));
        assert_eq!(order(Strategy::Cheapest, &choices, None, 5, 1), [2, 0, 1]);
        choices[1].lane.used(500, 1);
        choices[0].lane.used(100, 1);
        assert_eq!(order(Strategy::Usage, &choices, None, 5, 1), [2, 0, 1]);
        for (at, ms) in [(0, 900), (1, 50), (2, 900)] {
            choices[at].lane.first_token_after(Duration::from_millis(ms), 1);
        }
        let fast = firsts(Strategy::Latency, &choices, |_| None)[1];
        assert!(fast > 6_000, "{fast} of 10000; chance alone would give a third");
    }

    #[test]
    fn one_that_is_benched_goes_last_whatever_the_strategy() {
        let choices = choices(&[9, 1]);
        for _ in 0..5 {
            choices[0].lane.enter(1).unwrap().failed(&Failure::of(Class::ServerError), 1);
        }
        for strategy in [Strategy::Priority, Strategy::Weighted, Strategy::Latency, Strategy::LeastBusy] {
            assert_eq!(order(strategy, &choices, None, 3, 2), [1, 0]);
            assert_eq!(order(strategy, &choices, Some(3), 3, 2), [1, 0]);
        }
    }
}
