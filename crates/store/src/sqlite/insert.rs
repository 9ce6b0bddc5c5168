//! Writing rows into SQLite.

use sqlx::{Row as _, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::error::sort;
use crate::StoreError;
use crate::sql::insert_into;
use crate::tables::{Table, Value, runs};
use crate::text;

/// SQLite takes 32,766 parameters a statement; fewer, larger statements gain nothing beyond some hundred rows.
const PARAMETERS: usize = 16_384;
/// Bytes of one statement's values, held twice while it runs.
const BYTES: usize = 16 << 20;

/// Inserts what is not yet there, within the caller's transaction. Returns the first two columns of each new row.
pub(super) async fn insert<T>(
    connection: &mut SqliteConnection,
    table: &Table<T>,
    items: &[T],
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let mut new = Vec::new();
    for run in runs(table, items, PARAMETERS / table.columns.len(), BYTES) {
        let mut sql = insert_into::<Sqlite, T>(table);
        sql.push_values(run, |mut row, item| {
            for column in table.columns {
                match column.value {
                    Value::Id(value) => row.push_bind(value(item)),
                    Value::Int(value) => row.push_bind(value(item)),
                    Value::Flag(value) => row.push_bind(value(item)),
                    Value::Text(value) => row.push_bind(value(item).map(text::stored)),
                    Value::Object(value) => row.push_bind(value(item)),
                    Value::Bytes(value) => row.push_bind(value(item)),
                };
            }
        });
        sql.push(" ON CONFLICT DO NOTHING RETURNING ")
            .push(table.columns[0].name)
            .push(", ")
            .push(table.columns[1].name);
        for row in sql.build().fetch_all(&mut *connection).await.map_err(sort)? {
            new.push((row.try_get(0).map_err(sort)?, row.try_get(1).map_err(sort)?));
        }
    }
    Ok(new)
}
