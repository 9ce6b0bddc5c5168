//! Which of SQLite's errors may pass.

use sqlx::error::DatabaseError;

use crate::StoreError;

/// Primary result codes of conditions outside the batch, which an operator or time can change: PERM, BUSY, LOCKED, NOMEM,
/// READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL (of file locks). <https://sqlite.org/rescode.html>
const PASSING: [u32; 10] = [3, 5, 6, 7, 8, 9, 10, 13, 14, 15];

pub(super) fn sort(error: sqlx::Error) -> StoreError {
    StoreError::sort(&error, passes)
}

pub(super) fn passes(error: &dyn DatabaseError) -> bool {
    primary_code(error).is_some_and(|code| PASSING.contains(&code))
}

/// Whether another connection holds a lock.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(primary_code).is_some_and(|code| [5, 6].contains(&code))
}

/// The low byte of the extended result code.
fn primary_code(error: &dyn DatabaseError) -> Option<u32> {
    error.code()?.parse().ok().map(|extended: u32| extended & 0xFF)
}
