//! The tables, column by column: what is written where, and how it is read back. Both backends use these alone.

mod bodies;
mod documents;
mod gateways;
mod keys;
mod repricings;
mod requests;

pub(crate) use bodies::{BODIES, BodyColumns, CHUNKS, Held, read_chunk};
pub(crate) use documents::{DOCUMENTS, read_document};
pub(crate) use gateways::{GATEWAYS, read_progress};
pub(crate) use keys::{KEYS, read_key};
pub(crate) use repricings::{REPRICINGS, RepricingEntry, read_repricing};
pub(crate) use requests::{CostColumns, Entry, REQUESTS, read_control, read_parameters, read_row, says_all};

use uuid::Uuid;

use crate::StoreError;

/// A table and how to write a `T` into it.
pub(crate) struct Table<T: 'static> {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [Column<T>],
    /// Columns that are read beside them: written by programs before this one, or by later changes.
    pub(crate) also_read: &'static [&'static str],
    /// About how many bytes one `T` takes, so that no statement grows beyond what a database accepts.
    pub(crate) weight: fn(&T) -> usize,
}

/// A column and how to get its value out of a `T`.
pub(crate) struct Column<T: 'static> {
    pub(crate) name: &'static str,
    pub(crate) value: Value<T>,
}

/// A column's type with the function that gives its value.
pub(crate) enum Value<T> {
    Id(fn(&T) -> Option<Uuid>),
    Int(fn(&T) -> Option<i64>),
    /// An integer of 32 bits.
    Small(fn(&T) -> Option<i32>),
    Flag(fn(&T) -> bool),
    /// Stored as [`text::stored`](crate::text::stored) says.
    Text(fn(&T) -> Option<&str>),
    /// A JSON object that queries look into; its text holds no U+0000, escaped or not.
    Object(fn(&T) -> Option<&str>),
    Bytes(fn(&T) -> &[u8]),
}

/// A row of an answer, whatever the database. Absent and NULL are told apart: an absent column is an error.
pub(crate) trait Source {
    fn id(&self, column: &str) -> Result<Option<Uuid>, StoreError>;
    fn int(&self, column: &str) -> Result<Option<i64>, StoreError>;
    fn flag(&self, column: &str) -> Result<bool, StoreError>;
    /// The text as it was before it was stored.
    fn text(&self, column: &str) -> Result<Option<String>, StoreError>;
    fn bytes(&self, column: &str) -> Result<Option<Vec<u8>>, StoreError>;

    fn some_id(&self, column: &str) -> Result<Uuid, StoreError> {
        self.id(column)?.ok_or_else(|| StoreError::unreadable(column, "it is NULL"))
    }

    fn some_int(&self, column: &str) -> Result<i64, StoreError> {
        self.int(column)?.ok_or_else(|| StoreError::unreadable(column, "it is NULL"))
    }

    fn some_text(&self, column: &str) -> Result<String, StoreError> {
        self.text(column)?.ok_or_else(|| StoreError::unreadable(column, "it is NULL"))
    }

    /// A count, which is never negative.
    fn count(&self, column: &str) -> Result<Option<u64>, StoreError> {
        let count = self.int(column)?.map(u64::try_from).transpose();
        count.map_err(|why| StoreError::unreadable(column, why))
    }

    fn some_count(&self, column: &str) -> Result<u64, StoreError> {
        self.count(column)?.ok_or_else(|| StoreError::unreadable(column, "it is NULL"))
    }
}

/// Cuts items into runs of at most `items` and about `bytes`, so that each fits into one statement.
pub(crate) fn runs<'a, T>(table: &Table<T>, all: &'a [T], items: usize, bytes: usize) -> Vec<&'a [T]> {
    let mut runs = Vec::new();
    let (mut start, mut weight) = (0, 0_usize);
    for (at, item) in all.iter().enumerate() {
        let more = (table.weight)(item);
        if at > start && (at - start >= items || weight.saturating_add(more) > bytes) {
            runs.push(&all[start..at]);
            (start, weight) = (at, 0);
        }
        weight = weight.saturating_add(more);
    }
    if start < all.len() {
        runs.push(&all[start..]);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_hold_everything_in_order_and_keep_both_limits() {
        let table = Table::<usize> { name: "", columns: &[], also_read: &[], weight: |&weight| weight };
        let all = [5, 5, 1, 20, 1, 1, 1, 1, 9, 9];
        let cut = runs(&table, &all, 3, 10);
        assert_eq!(cut, [&[5, 5][..], &[1], &[20], &[1, 1, 1], &[1, 9], &[9]]);
        assert!(runs(&table, &[], 3, 10).is_empty());
    }
}
