//! SQLite's SQL, and how its answers are read.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::error::sort;
use crate::query::{Pattern, Piece};
use crate::rollup::Session;
use crate::sql::{Dialect, like_pattern};
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

    fn bind_bytes(sql: &mut QueryBuilder<Self>, bytes: Vec<u8>) {
        sql.push_bind(bytes);
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

    /// SQLite compares bytes already.
    const BYTEWISE: &'static str = "";

    fn bind_real(sql: &mut QueryBuilder<Self>, real: f64) {
        sql.push_bind(real);
    }

    fn property(sql: &mut QueryBuilder<Self>, name: &str) {
        sql.push("(SELECT p.atom FROM json_each(r.properties) AS p WHERE p.key = ");
        sql.push_bind(name);
        sql.push(")");
    }

    /// `LIKE` folds ASCII case, `GLOB` folds none.
    fn like(sql: &mut QueryBuilder<Self>, value: &dyn Fn(&mut QueryBuilder<Self>), pattern: &Pattern) {
        value(sql);
        if pattern.fold {
            sql.push(" LIKE ");
            sql.push_bind(like_pattern(pattern));
            sql.push(" ESCAPE '\\'");
        } else {
            sql.push(" GLOB ");
            sql.push_bind(glob_pattern(pattern));
        }
    }

    fn id_as_text(sql: &mut QueryBuilder<Self>, column: &'static str) {
        sql.push(format_args!("CASE WHEN {column} IS NOT NULL THEN lower(hex({column})) END"));
    }

    const PROPERTY_NAMES: &'static str = "JOIN json_each(r.properties) AS p";
    const NO_SUCH_PROPERTY: &'static str =
        "NOT EXISTS (SELECT 1 FROM json_each(r.properties) AS p WHERE p.key = m.name)";
    const AT_PLACES: (&'static str, &'static str) = ("rowid IN (SELECT rowid ", ")");
}

/// A pattern of `GLOB`, in which brackets take meanings away.
pub(crate) fn glob_pattern(pattern: &Pattern) -> String {
    let mut glob = String::new();
    for piece in pattern.pieces() {
        match piece {
            Piece::Any => glob.push('*'),
            Piece::One => glob.push('?'),
            Piece::Text(text) => {
                for character in text.chars() {
                    if matches!(character, '*' | '?' | '[') {
                        glob.extend(['[', character, ']']);
                    } else {
                        glob.push(character);
                    }
                }
            }
        }
    }
    glob
}

impl Session for SqliteConnection {
    type Db = Sqlite;
    type Row = SqliteRow;

    async fn all(&mut self, mut sql: QueryBuilder<Sqlite>) -> Result<Vec<SqliteRow>, StoreError> {
        sql.build().fetch_all(self).await.map_err(sort)
    }

    async fn run(&mut self, mut sql: QueryBuilder<Sqlite>) -> Result<u64, StoreError> {
        Ok(sql.build().execute(self).await.map_err(sort)?.rows_affected())
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
