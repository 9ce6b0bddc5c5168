//! Which of Postgres' errors may pass.

use sqlx::error::DatabaseError;

use crate::StoreError;

/// SQLSTATEs, or the classes they begin with, of conditions outside the batch, which an operator or time can change:
/// connections, credentials, rights, a missing database, a standby, conflicts between transactions, resources, locks,
/// time limits, shutdown, the server's own disk. <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const PASSING: [&str; 10] = ["08", "25006", "28", "3D000", "40", "42501", "53", "55P03", "57", "58"];

pub(super) fn sort(error: sqlx::Error) -> StoreError {
    StoreError::sort(&error, passes)
}

pub(super) fn passes(error: &dyn DatabaseError) -> bool {
    error.code().is_some_and(|code| PASSING.iter().any(|class| code.starts_with(class)))
}
