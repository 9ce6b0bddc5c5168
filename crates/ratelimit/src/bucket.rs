//! A token bucket: lazily refilled, exact in whole numbers, the same on every backend.
//!
//! Levels are counted in millionths of a unit (grains). A call that takes nothing changes nothing, so that what is lost
//! to rounding is less than a grain for each call that was let through, and nothing for those that were not.

use serde::{Deserialize, Serialize};

/// A bucket's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How much fits in, in grains.
    pub capacity: i64,
    /// In how many ms an empty bucket is full again.
    pub window_ms: i64,
}

/// A bucket's state. One that was never seen is full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// What was in it at `at`, in grains; negative where there is a debt.
    pub level: i64,
    /// Of which moment that is: ms since the epoch.
    pub at: i64,
    /// The capacity and window that held then.
    pub capacity: i64,
    /// See [`Shape::window_ms`].
    pub window_ms: i64,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub const fn full(shape: Shape, now: i64) -> Self {
        Self { level: shape.capacity, at: now, capacity: shape.capacity, window_ms: shape.window_ms }
    }

    /// What is in it now under this shape. Where the policy has changed, what is left is cut to the new capacity and the
    /// clock starts anew; where the clock went back, nothing is refilled.
    #[must_use]
    pub fn level_at(&self, shape: Shape, now: i64) -> i64 {
        if (self.capacity, self.window_ms) != (shape.capacity, shape.window_ms) {
            return self.level.min(shape.capacity);
        }
        let elapsed = now.saturating_sub(self.at).max(0);
        let refill = i128::from(elapsed) * i128::from(shape.capacity) / i128::from(shape.window_ms.max(1));
        let level = (i128::from(self.level) + refill).min(i128::from(shape.capacity));
        i64::try_from(level).unwrap_or(i64::MIN)
    }

    /// Takes an amount, which may leave a debt. Nothing to take changes nothing, but for a policy that has changed.
    pub fn take(&mut self, shape: Shape, now: i64, amount: i64) {
        let changed = (self.capacity, self.window_ms) != (shape.capacity, shape.window_ms);
        if amount == 0 && !changed {
            return;
        }
        let level = self.level_at(shape, now).saturating_sub(amount).min(shape.capacity);
        // A clock that goes back a little is two machines'; one that goes back further is a mended clock.
        let at = if changed || self.at.saturating_sub(now) > shape.window_ms { now } else { self.at.max(now) };
        *self = Self { level, at, capacity: shape.capacity, window_ms: shape.window_ms };
    }

    /// Whether it is full again, and so the same as one that was never seen.
    #[must_use]
    pub fn is_full(&self, now: i64) -> bool {
        let shape = Shape { capacity: self.capacity, window_ms: self.window_ms };
        self.level_at(shape, now) >= shape.capacity
    }
}

/// Seconds until a bucket with this level is full, rounded up.
#[must_use]
pub fn seconds_to_full(shape: Shape, level: i64) -> u64 {
    seconds_to(shape, shape.capacity.saturating_sub(level))
}

/// Seconds until so much has flown in, rounded up.
#[must_use]
pub fn seconds_to(shape: Shape, missing: i64) -> u64 {
    let ms = i128::from(missing.max(0)) * i128::from(shape.window_ms);
    u64::try_from((ms as u128).div_ceil(shape.capacity.max(1).unsigned_abs().into()).div_ceil(1_000))
        .unwrap_or(u64::MAX)
}
