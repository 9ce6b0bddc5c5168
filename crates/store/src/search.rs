//! Questions and answers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tachograph_record::{Money, OrgId, Outcome, RecordId, Timestamp};

use crate::Row;

/// A question for rows: always within one organisation, always bounded.
///
/// Rows come newest first; after a cursor, oldest first. With both cursors, the rows between them, oldest first.
#[derive(Clone, Debug)]
pub struct Search {
    /// The tenant.
    pub org: OrgId,
    /// Which rows.
    pub filter: Filter,
    /// Only rows older than this one: the next page.
    pub before: Option<Cursor>,
    /// Only rows newer than this one, the oldest of them first: a live tail.
    pub after: Option<Cursor>,
    /// At most so many rows; 0 counts as 1, and more than 1,000 as 1,000.
    pub limit: u32,
}

/// Which rows; a field that is absent does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Received at or after.
    pub from: Option<Timestamp>,
    /// Received before.
    pub until: Option<Timestamp>,
    /// The model that did the work, or the one that was asked for.
    pub model: Option<String>,
    /// The provider.
    pub provider: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// The session.
    pub session: Option<String>,
    /// The outcome.
    pub outcome: Option<Outcome>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// A property's name and value, both exactly.
    pub property: Option<(String, String)>,
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

/// Exact sums: of costs to the last atto-dollar, however large or many. Beyond ±1.7 × 10²⁰ USD in all, asking fails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Rows.
    pub requests: u64,
    /// The sum of all known costs.
    pub cost: Money,
    /// Rows that used something whose cost is not known: there is no price for the model, or the usage is invalid.
    pub unpriced: u64,
    /// Input tokens, cached ones included. A single row counts up to `i64::MAX`; the sum ends at `u64::MAX`.
    pub input_tokens: u64,
    /// Output tokens, reasoning included; with the same limits.
    pub output_tokens: u64,
}
