//! Postgres' SQL, and how its answers are read.

use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row as _};
use uuid::Uuid;

use super::error::sort;
use crate::sql::Dialect;
use crate::tables::Source;
use crate::{StoreError, text};

impl Dialect for Postgres {
    fn bind_id(sql: &mut QueryBuilder<Self>, id: Uuid) {
        sql.push_bind(id);
    }

    fn bind_int(sql: &mut QueryBuilder<Self>, int: i64) {
        sql.push_bind(int);
    }

    fn bind_text(sql: &mut QueryBuilder<Self>, text: &str) {
        sql.push_bind(text);
    }

    /// By containment, which the index on properties serves.
    fn property_is(sql: &mut QueryBuilder<Self>, name: &str, value: &str) {
        let property: serde_json::Map<_, _> = [(name.to_owned(), value.into())].into_iter().collect();
        sql.push("r.properties @> ");
        sql.push_bind(serde_json::Value::Object(property));
    }

    /// By its beginning, which is indexed, and as a whole.
    fn long_text_is(sql: &mut QueryBuilder<Self>, column: &'static str, value: &str) {
        let beginning: String = value.chars().take(64).collect();
        sql.push("left(").push(column).push(", 64) = ");
        sql.push_bind(beginning);
        sql.push(" AND ").push(column).push(" = ");
        sql.push_bind(value);
    }
}

impl Source for PgRow {
    fn id(&self, column: &str) -> Result<Option<Uuid>, StoreError> {
        self.try_get(column).map_err(sort)
    }

    /// Integers of any width.
    fn int(&self, column: &str) -> Result<Option<i64>, StoreError> {
        self.try_get_unchecked(column).map_err(sort)
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
