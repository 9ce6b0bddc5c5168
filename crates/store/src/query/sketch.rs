//! Percentiles that can be added up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Values counted in buckets that grow with the value, so that sketches of parts add up to that of the whole.
///
/// Values below 128 have a bucket each. Above, every octave has 64 buckets of equal width: the bucket of `v` is
/// `64·e + (v >> e)` with `e = ⌊log₂ v⌋ − 6`. A percentile is the middle of its bucket and so at most 0.79 % off. The
/// definition is in whole numbers alone, so that each database reckons the same buckets in SQL, and every backend gives
/// the same percentiles to the last digit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sketch {
    buckets: BTreeMap<u16, u64>,
}

/// Buckets per octave, as a power of two.
pub(crate) const SKETCH_BITS: u32 = 6;

impl Sketch {
    /// Counts a value; negative ones count as 0.
    pub fn add(&mut self, value: i64) {
        self.add_bucket(Self::bucket(value), 1);
    }

    /// Counts values of a bucket.
    pub fn add_bucket(&mut self, bucket: u16, count: u64) {
        let held = self.buckets.entry(bucket).or_default();
        *held = held.saturating_add(count);
    }

    /// The bucket of a value.
    #[must_use]
    pub fn bucket(value: i64) -> u16 {
        let value = u64::try_from(value).unwrap_or(0);
        let exponent = value.checked_ilog2().unwrap_or(0).saturating_sub(SKETCH_BITS);
        u16::try_from((u64::from(exponent) << SKETCH_BITS) + (value >> exponent)).unwrap_or(u16::MAX)
    }

    /// The least and the greatest value of a bucket.
    #[must_use]
    pub fn bounds(bucket: u16) -> (u64, u64) {
        let bucket = u64::from(bucket);
        let exponent = (bucket >> SKETCH_BITS).saturating_sub(1).min(63);
        let least = (bucket - (exponent << SKETCH_BITS)) << exponent;
        (least, least + (1_u64 << exponent) - 1)
    }

    /// Counts all that another counted.
    pub fn merge(&mut self, other: &Self) {
        for (&bucket, &count) in &other.buckets {
            self.add_bucket(bucket, count);
        }
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The value that this part of all values do not exceed (`0.95` for p95), by the nearest rank; nothing of nothing.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<u64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank"
        )]
        let rank = ((count as f64 * part).ceil() as u64).clamp(1, count);
        let mut seen = 0_u64;
        for (&bucket, &held) in &self.buckets {
            seen = seen.saturating_add(held);
            if seen >= rank {
                let (least, greatest) = Self::bounds(bucket);
                return Some(least + (greatest - least) / 2);
            }
        }
        None
    }

    /// The buckets that hold something: number and count, in the order of values.
    pub fn buckets(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        self.buckets.iter().map(|(&bucket, &count)| (bucket, count))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn buckets_hold_their_values_in_order(value in 0_i64.., other in 0_i64..) {
            let (least, greatest) = Sketch::bounds(Sketch::bucket(value));
            prop_assert!((least..=greatest).contains(&value.unsigned_abs()));
            prop_assert!((greatest - least) as f64 <= value as f64 / 63.9);
            prop_assert_eq!(value.cmp(&other) as i8 * (Sketch::bucket(value).cmp(&Sketch::bucket(other)) as i8) >= 0, true);
        }

        #[test]
        fn quantiles_are_near_and_add_up(mut values in proptest::collection::vec(0_i64..10_000_000, 1..300), part in 0.0..1.0_f64) {
            let (mut whole, mut halves) = (Sketch::default(), [Sketch::default(), Sketch::default()]);
            for (at, value) in values.iter().enumerate() {
                whole.add(*value);
                halves[at % 2].add(*value);
            }
            let [mut first, second] = halves;
            first.merge(&second);
            prop_assert_eq!(&first, &whole);
            values.sort_unstable();
            let rank = ((values.len() as f64 * part).ceil() as usize).clamp(1, values.len());
            let exact = values[rank - 1] as f64;
            prop_assert!((whole.quantile(part).unwrap() as f64 - exact).abs() <= exact * 0.0079);
        }
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(Sketch::default().quantile(0.5), None);
        assert_eq!((Sketch::bucket(-5), Sketch::bucket(127), Sketch::bucket(128)), (0, 127, 128));
    }
}
