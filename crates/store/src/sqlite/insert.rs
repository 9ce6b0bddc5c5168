//! Writing rows into SQLite.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Row as _, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::error::sort;
use crate::StoreError;
use crate::sql::insert_into;
use crate::tables::{Table, Value, runs};
use crate::text;

/// Rows of one statement. A statement of another size is another text, which SQLite must parse anew, so there are few
/// sizes, and the driver keeps each prepared. (SQLite takes 32,766 parameters, which 128 rows of 50 columns are far from.)
const SIZES: [usize; 4] = [128, 32, 8, 1];
/// Bytes of one statement's values, held twice while it runs.
const BYTES: usize = 16 << 20;

/// Inserts what is not yet there, within the caller's transaction. Returns how many rows were new.
///
/// Which they were is not asked with `RETURNING`: every row it gives back crosses from the driver's thread to this task,
/// which costs more than writing the row.
pub(super) async fn insert<T>(
    connection: &mut SqliteConnection,
    table: &Table<T>,
    items: &[T],
) -> Result<usize, StoreError> {
    let mut new = 0;
    for run in runs(table, items, SIZES[0], BYTES).into_iter().flat_map(in_sizes) {
        let mut values = SqliteArguments::default();
        values.reserve(run.len() * table.columns.len(), 0);
        for item in run {
            for column in table.columns {
                let added = match column.value {
                    Value::Id(value) => values.add(value(item)),
                    Value::Int(value) => values.add(value(item)),
                    Value::Small(value) => values.add(value(item)),
                    Value::Flag(value) => values.add(value(item)),
                    Value::Text(value) => values.add(value(item).map(text::stored)),
                    Value::Object(value) => values.add(value(item)),
                    Value::Bytes(value) => values.add(value(item)),
                };
                added.map_err(|why| StoreError::Failed(format!("{} cannot be written: {why}", column.name)))?;
            }
        }
        let statement = sqlx::query_with(AssertSqlSafe(statement(table, run.len())), values);
        let done = statement.execute(&mut *connection).await.map_err(sort)?;
        new += usize::try_from(done.rows_affected()).unwrap_or(usize::MAX);
    }
    Ok(new)
}

/// The statement that inserts so many rows into a table. It is written once: of many rows it has thousands of parameters.
fn statement<T>(table: &Table<T>, rows: usize) -> Arc<str> {
    static WRITTEN: Mutex<BTreeMap<(&'static str, usize), Arc<str>>> = Mutex::new(BTreeMap::new());
    let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    let text = written.entry((table.name, rows)).or_insert_with(|| {
        let row = format!("({})", vec!["?"; table.columns.len()].join(", "));
        let mut sql = insert_into::<Sqlite, T>(table);
        sql.push(format_args!("VALUES {} ON CONFLICT DO NOTHING", vec![row; rows].join(", ")));
        sql.sql().as_str().into()
    });
    text.clone()
}

/// Cuts a run into pieces of the few sizes, the largest first.
fn in_sizes<T>(mut rest: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|&size| size <= rest.len())?;
        let (piece, behind) = rest.split_at(size);
        rest = behind;
        Some(piece)
    })
}

/// The number of the newest row; rows that are inserted later have higher ones.
pub(super) async fn newest(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let row = sqlx::query("SELECT coalesce(max(rowid), 0) FROM requests").fetch_one(connection).await.map_err(sort)?;
    row.try_get(0).map_err(sort)
}

/// The rows that were inserted after the one of that number.
pub(super) async fn inserted_after(
    connection: &mut SqliteConnection,
    newest: i64,
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let query = sqlx::query("SELECT org_id, id FROM requests WHERE rowid > ?").bind(newest);
    let rows = query.fetch_all(connection).await.map_err(sort)?;
    rows.iter().map(|row| Ok((row.try_get(0).map_err(sort)?, row.try_get(1).map_err(sort)?))).collect()
}
