//! Which rows are news.
//!
//! Rows are ordered by when their call was *received*, but stored when it is *over*: a call of a minute is stored behind
//! rows of calls that came after it, so a cursor that only moves forward would pass it by. The window remembers the rows
//! of the last quarter of an hour and is asked about all of them again, which costs little while they are few. When they
//! are many, most questions reach back some seconds only and every tenth reaches over the whole window.

use std::collections::BTreeSet;

use tachograph_record::{RecordId, Timestamp};
use tachograph_store::Cursor;
use uuid::Uuid;

/// How far back the window goes, in µs: longer than calls last.
const LONG_US: i64 = 15 * 60 * 1_000_000;
/// How far back most questions go when rows are many, in µs.
const SHORT_US: i64 = 5 * 1_000_000;
/// Up to so many rows the whole window is asked about each time.
const FEW: usize = 500;
/// Rows remembered at most; with more, the window becomes shorter.
pub(super) const ROWS: usize = 5_000;
/// Every so many questions reach over the whole window.
const FULL_EVERY: u64 = 10;

/// The rows that are known already.
pub(super) struct Window {
    seen: BTreeSet<Cursor>,
    /// Nothing before it is news.
    floor: Cursor,
    asked: u64,
}

impl Window {
    /// An empty window that ends now.
    pub(super) fn starting(now: Timestamp) -> Self {
        Self { seen: BTreeSet::new(), floor: before(now, LONG_US), asked: 0 }
    }

    /// Moves the window to now, and says after which place to ask for rows.
    pub(super) fn reach(&mut self, now: Timestamp) -> Cursor {
        self.floor = self.floor.max(before(now, LONG_US));
        self.seen = self.seen.split_off(&self.floor);
        self.asked += 1;
        match self.seen.last() {
            Some(newest) if self.seen.len() > FEW && !self.asked.is_multiple_of(FULL_EVERY) => {
                self.floor.max(before(newest.received_at, SHORT_US))
            }
            _ => self.floor,
        }
    }

    /// Remembers a row; whether it lies within the window and was not known.
    pub(super) fn note(&mut self, row: Cursor) -> bool {
        let is_news = row > self.floor && self.seen.insert(row);
        if self.seen.len() > ROWS {
            self.floor = self.seen.pop_first().map_or(self.floor, |oldest| self.floor.max(oldest));
        }
        is_news
    }
}

/// The place before all rows received so many µs before a moment.
fn before(moment: Timestamp, span_us: i64) -> Cursor {
    let received_at = Timestamp::from_micros(moment.micros().saturating_sub(span_us));
    Cursor { received_at, id: RecordId::from(Uuid::nil()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000_000;

    fn at(micros: i64) -> Cursor {
        Cursor { received_at: Timestamp::from_micros(micros), id: RecordId::generate() }
    }

    #[test]
    fn a_row_is_news_once_however_late_it_is_stored() {
        let mut window = Window::starting(Timestamp::from_micros(NOW));
        let (newest, late) = (at(NOW), at(NOW - 60_000_000));
        assert!(window.note(newest));
        assert!(window.reach(Timestamp::from_micros(NOW)) < late, "few rows: all of the window is asked about");
        assert!(window.note(late));
        assert!(!window.note(late) && !window.note(newest));
        assert!(!window.note(at(NOW - LONG_US - 1)), "older than the window");
    }

    #[test]
    fn many_rows_are_asked_about_in_full_only_sometimes() {
        let mut window = Window::starting(Timestamp::from_micros(NOW));
        assert!((0..=FEW as i64).all(|n| window.note(at(NOW - n * 100_000))));
        let reaches = (0..FULL_EVERY).map(|_| NOW - window.reach(Timestamp::from_micros(NOW)).received_at.micros());
        let reaches: Vec<_> = reaches.collect();
        assert_eq!(reaches.iter().filter(|reach| **reach == SHORT_US).count(), 9);
        assert_eq!(reaches.last(), Some(&LONG_US));
    }

    #[test]
    fn forgets_the_oldest_and_takes_nothing_forgotten_for_news() {
        let mut window = Window::starting(Timestamp::from_micros(NOW));
        let rows: Vec<_> = (0..=ROWS as i64).map(|n| at(NOW - 1_000_000 + n)).collect();
        assert!(rows.iter().all(|row| window.note(*row)));
        assert_eq!(window.seen.len(), ROWS);
        assert!(!window.note(rows[0]));
    }
}
