//! How long to wait before asking again.

use std::time::Duration;

/// Waits that grow by a factor, spread at random so that callers who failed together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// Before the second try.
    pub min: Duration,
    /// The longest wait.
    pub max: Duration,
    /// How much longer each wait is than the one before; less than 1 counts as 1.
    pub factor: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { min: Duration::from_millis(200), max: Duration::from_secs(5), factor: 2.0 }
    }
}

impl Backoff {
    /// The wait before try `next` (2 is the first repetition): between once and twice what the growth comes to, and never
    /// more than the longest. `random` is any 64 bits.
    #[must_use]
    pub fn before(&self, next: u32, random: u64) -> Duration {
        let factor = if self.factor.is_finite() { self.factor.max(1.0) } else { 1.0 };
        let grown = self.min.as_secs_f64() * factor.powi(i32::try_from(next.saturating_sub(2)).unwrap_or(i32::MAX));
        let spread = unit(random);
        // Those who have reached the longest wait are spread below it.
        let most = self.max.as_secs_f64() * (0.75 + 0.25 * spread);
        Duration::try_from_secs_f64((grown * (1.0 + spread)).min(most)).unwrap_or(self.max)
    }
}

/// 64 random bits as a number from 0 up to, but not, 1.
#[must_use]
pub fn unit(random: u64) -> f64 {
    // The upper 53 bits are what a double holds exactly.
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
    let whole = (random >> 11) as f64;
    whole / 9_007_199_254_740_992.0
}

/// Spreads bits: 64 well mixed ones from any 64 (`SplitMix64`).
#[must_use]
pub const fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_longest_and_are_spread() {
        let backoff = Backoff::default();
        for (next, short, long) in [(2, 200, 400), (3, 400, 800), (4, 800, 1_600), (4_000_000, 3_750, 5_000)] {
            assert_eq!(backoff.before(next, 0), Duration::from_millis(short), "{next}");
            let longest = backoff.before(next, u64::MAX);
            assert!(
                longest <= Duration::from_millis(long) && longest > Duration::from_millis(long * 99 / 100),
                "{next}"
            );
        }
        let odd = Backoff { factor: f64::NAN, ..backoff };
        assert_eq!(odd.before(9, 0), Duration::from_millis(200));
    }
}
