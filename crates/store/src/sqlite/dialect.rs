//! SQLite's SQL, and how its answers are read.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite};
use uuid::Uuid;

use super::error::sort;
use crate::sql::Dialect;
use crate::tables::Source;
use crate::{StoreError, text};

impl Dialect for Sqlite {
    fn bind_id(sql: &mut QueryBuilder<Self>, id: Uuid) {
        sql.push_bind(id);
    }

    fn bind_int(sql: &mut QueryBuilder<Self>, int: i64) {
        sql.push_bind(int);
    }

    fn bind_text(sql: &mut QueryBuilder<Self>, text: &str) {
        sql.push_bind(text);
    }

    /// By `json_each` and not by a path: a path has its own quoting, which no name of a caller shall meet.
    fn property_is(sql: &mut QueryBuilder<Self>, name: &str, value: &str) {
        sql.push("EXISTS (SELECT 1 FROM json_each(r.properties) AS p WHERE p.key = ");
        sql.push_bind(name);
        sql.push(" AND p.atom = ");
        sql.push_bind(value);
        sql.push(")");
    }

    fn long_text_is(sql: &mut QueryBuilder<Self>, column: &'static str, value: &str) {
        sql.push(column).push(" = ");
        sql.push_bind(value);
    }
}

impl Source for SqliteRow {
    fn id(&self, column: &str) -> Result<Option<Uuid>, StoreError> {
        self.try_get(column).map_err(sort)
    }

    fn int(&self, column: &str) -> Result<Option<i64>, StoreError> {
        self.try_get(column).map_err(sort)
    }

    fn flag(&self, column: &str) -> Result<bool, StoreError> {
        self.try_get(column).map_err(sort)
    }

    fn text(&self, column: &str) -> Result<Option<String>, StoreError> {
        self.try_get::<Option<String>, _>(column).map(|text| text.map(text::restored)).map_err(sort)
    }

    fn bytes(&self, column: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.try_get(column).map_err(sort)
    }
}
