//! Postgres' SQL, and how its answers are read.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _};
use uuid::Uuid;

use super::error::sort;
use crate::query::Pattern;
use crate::rollup::Session;
use crate::sql::{Dialect, like_pattern};
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

    fn bind_bytes(sql: &mut QueryBuilder<Self>, bytes: Vec<u8>) {
        sql.push_bind(bytes);
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

    /// The database's own order is that of some language.
    const BYTEWISE: &'static str = " COLLATE \"C\"";

    fn bind_real(sql: &mut QueryBuilder<Self>, real: f64) {
        sql.push_bind(real);
    }

    fn property(sql: &mut QueryBuilder<Self>, name: &str) {
        sql.push("(r.properties ->> ");
        sql.push_bind(name);
        sql.push(")");
    }

    /// In the C locale `lower` folds ASCII alone, as SQLite does.
    fn like(sql: &mut QueryBuilder<Self>, value: &dyn Fn(&mut QueryBuilder<Self>), pattern: &Pattern) {
        sql.push(if pattern.fold { "lower((" } else { "(" });
        value(sql);
        sql.push(if pattern.fold { ") COLLATE \"C\") LIKE " } else { ") LIKE " });
        let like = like_pattern(pattern);
        sql.push_bind(if pattern.fold { like.to_ascii_lowercase() } else { like });
        sql.push(" ESCAPE '\\'");
    }

    fn id_as_text(sql: &mut QueryBuilder<Self>, column: &'static str) {
        sql.push(format_args!("CAST({column} AS TEXT)"));
    }

    const PROPERTY_NAMES: &'static str = "CROSS JOIN LATERAL jsonb_object_keys(r.properties) AS p (key)";
    const NO_SUCH_PROPERTY: &'static str = "NOT COALESCE(jsonb_exists(r.properties, m.name), FALSE)";
    /// An array, not `IN`, for which the planner would read the whole table.
    const AT_PLACES: (&'static str, &'static str) = ("ctid = ANY(ARRAY(SELECT ctid ", "))");
}

impl Session for PgConnection {
    type Db = Postgres;
    type Row = PgRow;

    async fn all(&mut self, mut sql: QueryBuilder<Postgres>) -> Result<Vec<PgRow>, StoreError> {
        sql.build().fetch_all(self).await.map_err(sort)
    }

    async fn run(&mut self, mut sql: QueryBuilder<Postgres>) -> Result<u64, StoreError> {
        Ok(sql.build().execute(self).await.map_err(sort)?.rows_affected())
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
