//! One suite for every way of keeping limits: alone, and shared in a process, in Redis and in a database's rows.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test")]

mod backends;
mod concurrency;
mod events;
mod limits;
mod shared;
