//! Questions and answers.

use std::fmt;
use std::str::FromStr;

use tachograph_record::{OrgId, RecordId, Timestamp};

use crate::Row;
use crate::query::{BadQuery, Field, Predicate, Seen};

/// A question for rows: always within one organisation, always bounded.
///
/// Rows come newest first; after a cursor, oldest first. With both cursors, the rows between them, oldest first. With an
/// order, in that order.
#[derive(Clone, Debug)]
pub struct Search {
    /// The tenant.
    pub org: OrgId,
    /// Which rows.
    pub filter: Filter,
    /// Only rows older than this one: the next page. With an order, only rows behind this one.
    pub before: Option<Cursor>,
    /// Only rows newer than this one, the oldest of them first: a live tail. Has no meaning with an order.
    pub after: Option<Cursor>,
    /// At most so many rows; 0 counts as 1, and more than 1,000 as 1,000.
    pub limit: u32,
    /// The order, where it is not by time.
    pub order: Option<Order>,
    /// Leaving out so many of the first. Costs time that grows with it: page by cursors instead where that is possible.
    pub skip: u32,
}

impl Search {
    /// The newest rows, a thousand of them at most.
    #[must_use]
    pub fn new(org: OrgId, filter: Filter) -> Self {
        Self { org, filter, before: None, after: None, limit: 1_000, order: None, skip: 0 }
    }
}

/// An order of rows: those without a value last, and of equal ones the newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// What rows are sorted by. Text is sorted byte by byte, costs to the nano-dollar.
    pub by: Field,
    /// The greatest first.
    pub descending: bool,
}

/// Which rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Received at or after.
    pub from: Option<Timestamp>,
    /// Received before.
    pub until: Option<Timestamp>,
    /// Only those of them that this picks.
    pub only: Predicate,
}

impl From<Predicate> for Filter {
    fn from(only: Predicate) -> Self {
        Self { only, ..Self::default() }
    }
}

impl Filter {
    /// Rows that both pick.
    #[must_use]
    pub fn and(mut self, only: Predicate) -> Self {
        self.only = self.only.and(only);
        self
    }

    /// Whether it picks a row in memory.
    #[must_use]
    pub fn picks(&self, seen: Seen<'_>) -> bool {
        let at = seen.row.timing.received_at;
        self.from.is_none_or(|from| at >= from) && self.until.is_none_or(|until| at < until) && self.only.picks(seen)
    }

    /// Whether it may be asked.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check(&self) -> Result<(), BadQuery> {
        self.only.check()
    }
}

/// A place in the order of rows: by time received, then by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When the row was received.
    pub received_at: Timestamp,
    /// The row's id.
    pub id: RecordId,
}

impl fmt::Display for Cursor {
    /// `<µs since the epoch>_<id>`: opaque to callers, safe in a URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.received_at.micros(), self.id)
    }
}

/// A text that is no cursor of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadCursor;

impl fmt::Display for BadCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a cursor; use the `next` of an earlier page as it is")
    }
}

impl std::error::Error for BadCursor {}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (micros, id) = text.split_once('_').ok_or(BadCursor)?;
        let received_at = Timestamp::from_micros(micros.parse().map_err(|_| BadCursor)?);
        Ok(Self { received_at, id: id.parse().map_err(|_| BadCursor)? })
    }
}

/// Some rows, and where to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// The cursor of the last row, where there may be more behind it: in a page of the past only if there are more, in a
    /// live tail whenever there was a row, since newer ones may come. An empty page has none; ask with the same cursor again.
    pub next: Option<Cursor>,
}
