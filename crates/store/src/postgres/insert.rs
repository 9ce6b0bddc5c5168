//! Writing rows into Postgres: one array for each column, so that a statement's text does not depend on how many rows
//! there are and is prepared once.

use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _};
use uuid::Uuid;

use super::error::sort;
use crate::StoreError;
use crate::sql::insert_into;
use crate::tables::{Column, Table, Value, runs};
use crate::text;

/// Rows of one statement.
const ROWS: usize = 2_000;
/// Bytes of one statement's values; a message of the protocol holds 1 GiB.
const BYTES: usize = 32 << 20;

/// Inserts what is not yet there, within the caller's transaction. Returns the first two columns of each new row.
pub(super) async fn insert<T>(
    connection: &mut PgConnection,
    table: &Table<T>,
    items: &[T],
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let mut new = Vec::new();
    for run in runs(table, items, ROWS, BYTES) {
        let mut sql = insert_into::<Postgres, T>(table);
        push_selection(&mut sql, table);
        for (at, column) in table.columns.iter().enumerate() {
            sql.push(if at == 0 { " FROM UNNEST(" } else { ", " });
            push_array(&mut sql, column, run);
        }
        let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
        sql.push(format_args!(") AS n ({}) ON CONFLICT DO NOTHING ", names.join(", ")));
        sql.push(format_args!("RETURNING {}, {}", names[0], names[1]));
        for row in sql.build().fetch_all(&mut *connection).await.map_err(sort)? {
            new.push((row.try_get(0).map_err(sort)?, row.try_get(1).map_err(sort)?));
        }
    }
    Ok(new)
}

fn push_selection<T>(sql: &mut QueryBuilder<Postgres>, table: &Table<T>) {
    sql.push("SELECT ");
    let mut list = sql.separated(", ");
    for column in table.columns {
        list.push("n.").push_unseparated(column.name);
        if let Value::Object(_) = column.value {
            list.push_unseparated("::jsonb");
        }
    }
}

fn push_array<T>(sql: &mut QueryBuilder<Postgres>, column: &Column<T>, run: &[T]) {
    match column.value {
        Value::Id(value) => sql.push_bind(run.iter().map(value).collect::<Vec<_>>()),
        Value::Int(value) => sql.push_bind(run.iter().map(value).collect::<Vec<_>>()),
        Value::Small(value) => sql.push_bind(run.iter().map(value).collect::<Vec<_>>()),
        Value::Flag(value) => sql.push_bind(run.iter().map(value).collect::<Vec<_>>()),
        Value::Text(value) => sql.push_bind(run.iter().map(|item| value(item).map(text::stored)).collect::<Vec<_>>()),
        Value::Object(value) => sql.push_bind(run.iter().map(value).collect::<Vec<_>>()),
        Value::Bytes(value) => sql.push_bind(run.iter().map(value).collect::<Vec<_>>()),
    };
}
