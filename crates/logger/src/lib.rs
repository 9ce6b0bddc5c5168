//! From record to row.
//!
//! A request's own path hands its record to an [`Intake`], which never makes it wait, and a writer behind it appends
//! batches to a store. If the store is gone the writer tries again for as long as it takes, and requests do not notice.
//!
//! ```no_run
//! # async fn example(store: std::sync::Arc<dyn tachograph_store::Store>) {
//! use std::time::Duration;
//! use tachograph_logger::{Limits, Logger};
//!
//! let mut logger = Logger::start(store, Limits::default());
//! let sink = logger.intake(); // give this to a MeterLayer
//! // … serve …
//! let left = logger.finish(Duration::from_secs(10)).await;
//! # let _ = (sink, left);
//! # }
//! ```
//!
//! The queue is in memory and bounded in records and in bytes. When it is full the newest record is dropped, counted and
//! said in the log ([`WhenFull::DropNewest`]): a request never waits for its own record. [`Intake`] is a
//! [`RecordSink`](tachograph_telemetry::RecordSink); a queue on disk that survives a crash takes its place there.

mod async_log;
mod intake;
mod otlp;
mod routes;
mod writer;

pub use intake::{Gauges, Intake, Limits, WhenFull};
pub use routes::{Callers, LogRoutes, RouteOptions};
pub use writer::Logger;
