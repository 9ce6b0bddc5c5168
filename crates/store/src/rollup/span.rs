//! Spans of time that rollups are kept by, and how a question's time is cut into them.

/// A length in µs. Spans begin at whole multiples of it since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Length(pub(crate) i64);

pub(crate) const MINUTE: Length = Length(60_000_000);
pub(crate) const HOUR: Length = Length(3_600_000_000);
pub(crate) const DAY: Length = Length(86_400_000_000);

/// Moments beyond these (some 126,000 years from the epoch) are taken for them, so that nothing overflows. Whole days.
const FARTHEST: i64 = 46_000_000 * DAY.0;

impl Length {
    pub(crate) fn floor(self, at: i64) -> i64 {
        at.clamp(-FARTHEST, FARTHEST).div_euclid(self.0) * self.0
    }

    fn ceil(self, at: i64) -> i64 {
        -self.floor(-at.clamp(-FARTHEST, FARTHEST))
    }

    /// The whole spans between two moments, if there are any.
    fn within(self, (from, until): Range) -> Option<Range> {
        let whole = (self.ceil(from), self.floor(until));
        (whole.0 < whole.1).then_some(whole)
    }
}

/// From a moment until just before another, in µs.
pub(crate) type Range = (i64, i64);

/// What lengths a question may be answered in, beside facts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grain {
    pub(super) minutes: bool,
    pub(super) hours: bool,
    pub(super) days: bool,
}

/// Where each part of a question's time is answered from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) facts: Vec<Range>,
    pub(super) minutes: Vec<Range>,
    pub(super) hours: Vec<Range>,
    pub(super) days: Vec<Range>,
    /// From rows.
    pub(super) rows: Vec<Range>,
}

/// Ranges of rows beyond which the whole is asked of rows at once.
const MOST_RANGES: usize = 8;

impl Cut {
    /// Cuts the time from `from` until `until`; hours that are `dirty` are asked of rows, and so is what facts and minutes
    /// would tell before `floor`, where there are none.
    pub(super) fn of(from: Option<i64>, until: Option<i64>, grain: Grain, dirty: &[i64], floor: i64) -> Self {
        let (from, until) = (from.unwrap_or(-FARTHEST), until.unwrap_or(FARTHEST));
        let mut cut = Self::default();
        let mut start = from.max(-FARTHEST);
        let end = until.min(FARTHEST);
        for (dirty_from, dirty_until) in joined(dirty) {
            let (dirty_from, dirty_until) = (dirty_from.max(start), dirty_until.min(end));
            if dirty_from < dirty_until {
                cut.part((start, dirty_from), grain, floor);
                cut.rows.push((dirty_from, dirty_until));
                start = dirty_until;
            }
        }
        cut.part((start, end), grain, floor);
        // What has no bound has none in the statements either.
        for range in cut.all_mut() {
            range.0 = if range.0 == -FARTHEST { i64::MIN } else { range.0 };
            range.1 = if range.1 == FARTHEST { i64::MAX } else { range.1 };
        }
        cut
    }

    /// Whether a bound is too far away to be told from none.
    pub(super) fn is_too_far(bound: i64) -> bool {
        bound <= -FARTHEST || bound >= FARTHEST
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Range> {
        let lists = [&mut self.facts, &mut self.minutes, &mut self.hours, &mut self.days, &mut self.rows];
        lists.into_iter().flatten()
    }

    fn part(&mut self, range: Range, grain: Grain, floor: i64) {
        if range.0 >= range.1 {
            return;
        }
        let mut rest = vec![range];
        for (allowed, length, whole) in [(grain.days, DAY, &mut self.days), (grain.hours, HOUR, &mut self.hours)] {
            if allowed {
                rest = taken(&rest, length, i64::MIN, whole);
            }
        }
        if grain.minutes {
            rest = taken(&rest, MINUTE, floor, &mut self.minutes);
        }
        for (from, until) in rest {
            if from < floor {
                self.rows.push((from, until.min(floor)));
            }
            if until > floor {
                self.facts.push((from.max(floor), until));
            }
        }
    }

    /// Whether it is better asked of rows as a whole.
    pub(super) fn is_of_rows(&self) -> bool {
        let others = [&self.facts, &self.minutes, &self.hours, &self.days];
        self.rows.len() > MOST_RANGES || others.iter().all(|ranges| ranges.is_empty())
    }
}

/// Takes the whole spans of a length, from `floor` on, out of ranges. What is left comes back.
fn taken(ranges: &[Range], length: Length, floor: i64, whole: &mut Vec<Range>) -> Vec<Range> {
    let mut rest = Vec::new();
    for &(from, until) in ranges {
        match length.within((from.max(floor), until)) {
            None => rest.push((from, until)),
            Some((first, last)) => {
                whole.push((first, last));
                rest.extend([(from, first), (last, until)].into_iter().filter(|(from, until)| from < until));
            }
        }
    }
    rest
}

/// Hours, in order, as few ranges.
fn joined(hours: &[i64]) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    for &hour in hours {
        match ranges.last_mut() {
            Some(last) if last.1 == hour => last.1 = hour + HOUR.0,
            _ => ranges.push((hour, hour + HOUR.0)),
        }
    }
    match (ranges.first(), ranges.last()) {
        (Some(first), Some(last)) if ranges.len() > MOST_RANGES => vec![(first.0, last.1)],
        _ => ranges,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_moment_is_asked_once(
            from in proptest::option::of(-3 * DAY.0..9 * DAY.0),
            length in 0..9 * DAY.0,
            dirty in proptest::collection::btree_set(-80_i64..200, 0..12),
            minutes in any::<bool>(), hours in any::<bool>(), days in any::<bool>(),
            floor in -3 * 24_i64..9 * 24,
            open in any::<bool>(),
        ) {
            let dirty: Vec<i64> = dirty.into_iter().map(|hour| hour * HOUR.0).collect();
            let until = (!open).then(|| from.unwrap_or(0) + length);
            let cut = Cut::of(from, until, Grain { minutes, hours, days }, &dirty, floor * HOUR.0);
            let lengths = [(&cut.days, DAY), (&cut.hours, HOUR), (&cut.minutes, MINUTE)];
            for (ranges, length) in lengths {
                for &(from, until) in ranges {
                    let (from, until) = (from.max(-FARTHEST), until.min(FARTHEST));
                    prop_assert_eq!((length.floor(from), length.floor(until)), (from, until));
                    prop_assert!(dirty.iter().all(|&hour| hour + HOUR.0 <= from || hour >= until));
                }
            }
            for &(from, _) in cut.facts.iter().chain(&cut.minutes) {
                prop_assert!(from >= floor * HOUR.0);
            }
            let mut all: Vec<Range> = [&cut.facts, &cut.minutes, &cut.hours, &cut.days, &cut.rows].into_iter().flatten().copied().collect();
            all.sort_unstable();
            prop_assert!(all.windows(2).all(|pair| pair[0].1 == pair[1].0), "{:?}", all);
            if let (Some(first), Some(last)) = (all.first(), all.last()) {
                prop_assert_eq!(first.0, from.unwrap_or(i64::MIN));
                prop_assert_eq!(last.1, until.unwrap_or(i64::MAX));
            } else {
                prop_assert!(length == 0);
            }
        }
    }
}
