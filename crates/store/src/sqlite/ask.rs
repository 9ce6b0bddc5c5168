//! Running users' SQL on SQLite.

use std::time::Instant;

use futures_util::TryStreamExt;
use serde_json::value::RawValue;
use sqlx::sqlite::SqliteRow;
use sqlx::{
    Column as _, Executor as _, QueryBuilder, Row as _, Sqlite, SqliteConnection, TypeInfo as _, ValueRef as _,
};
use tachograph_record::OrgId;

use crate::text;
use crate::user_sql::{BadSql, Flavour, SqlLimits, SqlTable, UserSql, failed, raw};

/// Instructions of SQLite's machine between two looks at the clock.
const STEPS: i32 = 5_000;

/// Runs a statement on a connection that can only read.
pub(crate) async fn run(
    connection: &mut SqliteConnection,
    org: OrgId,
    asked: &UserSql,
    limits: SqlLimits,
) -> Result<SqlTable, BadSql> {
    let deadline = Instant::now() + limits.time;
    let mut handle = connection.lock_handle().await.map_err(|error| failed(&error))?;
    handle.set_progress_handler(STEPS, move || Instant::now() < deadline);
    drop(handle);
    let done = read(connection, org, asked, limits).await;
    if let Ok(mut handle) = connection.lock_handle().await {
        handle.remove_progress_handler();
    }
    done.map_err(|error| match error {
        Failure::Refused(bad) => bad,
        Failure::Sqlx(_) if Instant::now() >= deadline => BadSql::timeout(limits),
        Failure::Sqlx(error) => failed(&error),
    })
}

enum Failure {
    Refused(BadSql),
    Sqlx(sqlx::Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Sqlx(error)
    }
}

async fn read(
    connection: &mut SqliteConnection,
    org: OrgId,
    asked: &UserSql,
    limits: SqlLimits,
) -> Result<SqlTable, Failure> {
    let mut sql = statement(org, asked, limits).map_err(Failure::Refused)?;
    let mut table = SqlTable::default();
    {
        let mut rows = sql.build().fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            if table.columns.is_empty() {
                table.columns = row.columns().iter().map(|column| column.name().to_owned()).collect();
            }
            let cells = cells(&row)?;
            if !table.push(cells, limits) {
                break;
            }
        }
    }
    if table.columns.is_empty() {
        let text = sqlx::AssertSqlSafe(statement(org, asked, limits).map_err(Failure::Refused)?.into_string());
        let described = connection.prepare(sqlx::SqlSafeStr::into_sql_str(text)).await?;
        table.columns = sqlx::Statement::columns(&described).iter().map(|column| column.name().to_owned()).collect();
    }
    Ok(table)
}

fn statement(org: OrgId, asked: &UserSql, limits: SqlLimits) -> Result<QueryBuilder<Sqlite>, BadSql> {
    let mut sql = QueryBuilder::new("");
    for (at, piece) in asked.pieces(Flavour::Sqlite, limits.rows)?.into_iter().enumerate() {
        if at > 0 {
            sql.push_bind(org.uuid());
        }
        sql.push(piece);
    }
    Ok(sql)
}

fn cells(row: &SqliteRow) -> Result<Vec<Box<RawValue>>, sqlx::Error> {
    let mut cells = Vec::with_capacity(row.len());
    for at in 0..row.len() {
        let value = row.try_get_raw(at)?;
        let kind = if value.is_null() { "NULL".to_owned() } else { value.type_info().name().to_owned() };
        cells.push(match kind.as_str() {
            "NULL" => raw(&()),
            "INTEGER" | "BOOLEAN" => raw(&row.try_get_unchecked::<i64, _>(at)?),
            "REAL" => raw(&row.try_get_unchecked::<f64, _>(at)?),
            "TEXT" => raw(&text::restored(row.try_get_unchecked::<String, _>(at)?)),
            _ => raw(&"(bytes)"),
        });
    }
    Ok(cells)
}
