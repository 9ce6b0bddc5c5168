//! The console as its callers see it: one router over a store in memory.

mod api;
mod described;
mod desk;
mod live;
mod login;
#[path = "../support/memory_store.rs"]
mod memory_store;
mod pages;
mod vendored;
