//! The whole program on loopback: a real client, the real gateway, an upstream that does as it is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "the whole crate is a test")]

mod ai_gateway;
mod bad_input;
mod cache;
mod clouds;
mod commands;
mod demo;
mod embeddings;
mod endings;
mod exported;
mod fallbacks;
mod fields;
mod guards;
mod headers;
mod invariants;
mod keys;
mod leaving;
mod limits;
mod logged;
mod metrics;
mod mirror;
mod other_apis;
mod pacing;
mod privacy;
mod reload;
mod replay;
mod restart;
mod routing;
mod spend;
mod stores;
mod target;
mod token_limit;
mod translated;
mod uploads;
mod vault;
