//! The console as its callers see it: one router over a store in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod api;
mod asked;
mod described;
mod desk;
mod helicone;
mod live;
mod login;
#[path = "../support/memory_store.rs"]
mod memory_store;
mod pages;
mod stored;
mod vendored;
mod why;
