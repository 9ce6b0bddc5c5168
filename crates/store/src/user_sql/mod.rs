//! SQL that users write: one reading statement over curated views of their own rows.
//!
//! # Why it is safe
//! The text is parsed, and what runs is written anew from the tree by [`write`]: a node, a function or a type that is not
//! named there cannot get through, whatever it is. Tables are the views of [`views`] and the statement's own `WITH`
//! names, in the order they stand; the views are subqueries that carry the organisation as a bound value, so there is no
//! name or setting by which a statement could ask for another's rows. It runs on a connection that can only read, for a
//! limited time, and gives a limited number of rows and bytes.

mod functions;
mod views;
mod write;

use serde::Serialize;
use serde_json::value::RawValue;
use sqlparser::ast::{SetExpr, Statement};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

pub use views::{VIEWS, View, ViewColumn};
pub(crate) use write::Flavour;

/// Bytes of a statement at most.
const LONGEST: usize = 64 << 10;

/// A statement that was refused or did not run, with a stable code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSql {
    /// `HQL_SYNTAX_ERROR`, `HQL_INVALID_STATEMENT`, `HQL_INVALID_TABLE`, `HQL_INVALID_FUNCTION`, `HQL_QUERY_TIMEOUT`,
    /// `HQL_EXECUTION_ERROR`.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl BadSql {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn timeout(limits: SqlLimits) -> Self {
        let message =
            format!("the statement ran longer than {:?}; narrow it, by request_created_at for one", limits.time);
        Self::new("HQL_QUERY_TIMEOUT", message)
    }

    pub(crate) fn statement(message: impl Into<String>) -> Self {
        Self::new("HQL_INVALID_STATEMENT", message)
    }
}

/// How much an answer may hold.
#[derive(Clone, Copy, Debug)]
pub struct SqlLimits {
    /// Rows.
    pub rows: u32,
    /// Bytes of all values.
    pub bytes: usize,
    /// How long it may run.
    pub time: std::time::Duration,
}

impl Default for SqlLimits {
    /// What a page shows: 1,000 rows of 8 MiB within 10 s.
    fn default() -> Self {
        Self { rows: 1_000, bytes: 8 << 20, time: std::time::Duration::from_secs(10) }
    }
}

/// An answer: names of columns and rows of JSON values, decimals to their last digit.
#[derive(Debug, Default, Serialize)]
pub struct SqlTable {
    /// The columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Box<RawValue>>>,
    /// Whether a limit cut it off.
    pub truncated: bool,
    /// Bytes of all values.
    pub bytes: usize,
}

impl SqlTable {
    /// Takes one more row, where there is room; else says that there is no more.
    pub(crate) fn push(&mut self, cells: Vec<Box<RawValue>>, limits: SqlLimits) -> bool {
        self.bytes += cells.iter().map(|cell| cell.get().len()).sum::<usize>();
        if self.rows.len() >= limits.rows as usize || self.bytes > limits.bytes {
            self.truncated = true;
            return false;
        }
        self.rows.push(cells);
        true
    }
}

/// A value as JSON.
pub(crate) fn raw(value: &(impl Serialize + ?Sized)) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// What the database said of a statement: about the statement, so it may be told; where the store is away, that alone.
pub(crate) fn failed(error: &sqlx::Error) -> BadSql {
    match error {
        sqlx::Error::Database(said) => BadSql::new("HQL_EXECUTION_ERROR", said.message()),
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
            BadSql::new("HQL_EXECUTION_ERROR", "a value cannot be shown; cast it to text or a number")
        }
        other => {
            tracing::warn!(error = %other, "users' SQL could not be run");
            BadSql::new("HQL_EXECUTION_ERROR", "the store cannot be reached")
        }
    }
}

/// A statement that may run.
#[derive(Debug)]
pub struct UserSql(Box<sqlparser::ast::Query>);

impl UserSql {
    /// Reads a statement and looks at all of it.
    ///
    /// # Errors
    /// Says what it may not be.
    pub fn read(text: &str) -> Result<Self, BadSql> {
        if text.len() > LONGEST {
            return Err(BadSql::statement("the statement is longer than 64 KiB"));
        }
        let parser = Parser::new(&GenericDialect {}).with_recursion_limit(48).try_with_sql(text);
        let mut statements = parser
            .and_then(|mut parser| parser.parse_statements())
            .map_err(|error| BadSql::new("HQL_SYNTAX_ERROR", error.to_string()))?;
        let (Some(statement), true) = (statements.pop(), statements.is_empty()) else {
            return Err(BadSql::statement("send exactly one statement"));
        };
        let Statement::Query(query) = statement else {
            return Err(BadSql::statement("only SELECT statements are allowed"));
        };
        if matches!(*query.body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)) {
            return Err(BadSql::statement("only SELECT statements are allowed"));
        }
        // Both, so that a statement that one store takes the other takes too.
        for flavour in [Flavour::Sqlite, Flavour::Postgres] {
            write::query(&query, flavour, 1)?;
        }
        Ok(Self(query))
    }

    /// The statement as one database takes it, with at most so many rows: what goes before the organisation's id each
    /// time, and at last the statement itself.
    pub(crate) fn pieces(&self, flavour: Flavour, rows: u32) -> Result<Vec<String>, BadSql> {
        let body = write::query(&self.0, flavour, rows)?;
        let mut pieces = Vec::new();
        let mut before = String::from("WITH ");
        for (at, view) in VIEWS.iter().enumerate() {
            let (head, tail) = view.sql(flavour);
            before.push_str(if at == 0 { "" } else { ", " });
            before.push_str(&head);
            pieces.push(std::mem::replace(&mut before, tail));
        }
        before.push_str(&body.with);
        before.push(' ');
        before.push_str(&body.text);
        pieces.push(before);
        Ok(pieces)
    }
}
