//! One suite for every backend: the same deeds, the same questions, equal answers.
//!
//! SQLite runs always, as a file and in memory. Postgres runs where `TACHOGRAPH_TEST_POSTGRES` holds the URL of a server on
//! which databases may be made; each test makes a fresh one there and drops it. Without the variable one line says so, and
//! under `CI=true` every test fails.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "the whole crate is a test")]

mod append;
mod backend;
mod chunks;
mod expire;
mod fetch;
mod gateways;
mod join;
mod keys;
mod lifecycle;
mod oracle;
mod reprice;
mod rollups;
mod sample;
mod search;
mod totals;
mod trees;
mod user_sql;
