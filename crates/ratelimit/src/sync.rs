//! The one lock of this crate. The model checker puts its own in this place: see `tests/interleavings.rs`.

pub(crate) use std::sync::Mutex;
