//! Running users' SQL on Postgres.

use std::fmt;

use futures_util::TryStreamExt;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use sqlx::{Column as _, Connection as _, Executor as _, PgConnection, Postgres, QueryBuilder, Row as _};
use tachograph_record::OrgId;

use crate::text;
use crate::user_sql::{BadSql, Flavour, SqlLimits, SqlTable, UserSql, failed, raw};

/// Runs a statement in a transaction that can only read and ends at the server, too.
pub(crate) async fn run(
    connection: &mut PgConnection,
    org: OrgId,
    asked: &UserSql,
    limits: SqlLimits,
) -> Result<SqlTable, BadSql> {
    let pieces = asked.pieces(Flavour::Postgres, limits.rows)?;
    let done = tokio::time::timeout(limits.time * 2, read(connection, org, &pieces, limits)).await;
    match done {
        Err(_) => Err(BadSql::timeout(limits)),
        Ok(Err(error)) if error.as_database_error().is_some_and(|said| said.code().as_deref() == Some("57014")) => {
            Err(BadSql::timeout(limits))
        }
        Ok(Err(error)) => Err(failed(&error)),
        Ok(Ok(table)) => Ok(table),
    }
}

async fn read(
    connection: &mut PgConnection,
    org: OrgId,
    pieces: &[String],
    limits: SqlLimits,
) -> Result<SqlTable, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let settings = format!(
        "SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = 1000; \
         SET LOCAL standard_conforming_strings = on",
        limits.time.as_millis()
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(settings)).execute(&mut *transaction).await?;
    let mut table = SqlTable::default();
    // The names first: a row of JSON would have none where there is no row.
    let text = sqlx::AssertSqlSafe(statement("", org, pieces, "").into_string());
    let described = (&mut *transaction).prepare(sqlx::SqlSafeStr::into_sql_str(text)).await?;
    table.columns = sqlx::Statement::columns(&described).iter().map(|column| column.name().to_owned()).collect();
    {
        let mut sql = statement("SELECT row_to_json(q)::text FROM (", org, pieces, ") q");
        let mut rows = sql.build().persistent(false).fetch(&mut *transaction);
        while let Some(row) = rows.try_next().await? {
            let json: String = row.try_get(0)?;
            let Cells(cells) = serde_json::from_str(&json).map_err(|why| sqlx::Error::Decode(why.into()))?;
            if !table.push(cells, limits) {
                break;
            }
        }
    }
    transaction.rollback().await?;
    Ok(table)
}

fn statement(before: &'static str, org: OrgId, pieces: &[String], behind: &'static str) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(before);
    for (at, piece) in pieces.iter().enumerate() {
        if at > 0 {
            sql.push_bind(org.uuid());
        }
        sql.push(piece);
    }
    sql.push(behind);
    sql
}

/// The values of a JSON object in their order, names that stand twice too; numbers as they are written.
struct Cells(Vec<Box<RawValue>>);

impl<'de> serde::Deserialize<'de> for Cells {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Cells;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Cells, A::Error> {
                let mut cells = Vec::new();
                while let Some((_, value)) = members.next_entry::<String, Box<RawValue>>()? {
                    cells.push(restored(value));
                }
                Ok(Cells(cells))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Texts as they were before they were stored.
fn restored(value: Box<RawValue>) -> Box<RawValue> {
    match serde_json::from_str::<String>(value.get()) {
        Ok(held) if held.contains('\u{1A}') => raw(&text::restored(held)),
        _ => value,
    }
}
