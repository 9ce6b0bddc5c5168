//! A gateway under test, between a client and an upstream that do exactly as they are told.
//!
//! ```no_run
//! # async fn example() {
//! use serde_json::json;
//! use tachograph_tests::{Gateway, Reply, Upstream, golden, post};
//!
//! let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
//! let gateway = Gateway::before(&upstream).start().await;
//! let body = json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "hi" }] });
//! let answer = gateway.send(post("/v1/chat/completions", &body)).await;
//! assert_eq!(answer.status, 200);
//! assert_eq!(gateway.row(&answer).await["outcome"], "complete");
//! # let _ = Reply::silence();
//! # }
//! ```
//!
//! The gateway is the real program in a process of its own with a directory of its own. Client and upstream are written
//! against sockets, so that a test decides about every byte, every pause and every way to leave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a harness for tests: what goes wrong here fails the test that uses it"
)]

mod client;
mod decimal;
mod directory;
mod gateway;
pub mod golden;
mod logger;
mod program;
mod recording;
mod reply;
pub mod sse;
mod upstream;

pub use client::{Answer, Ending, Open, ask, get, post};
pub use decimal::Atto;
pub use directory::Directory;
pub use gateway::{Gateway, KEY, Setup};
pub use logger::Logger;
pub use program::{Finished, run};
pub use recording::{Expected, Recording, recordings};
pub use reply::{Cut, Pace, Reply};
pub use upstream::{Seen, Upstream};
