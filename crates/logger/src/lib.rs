//! From record to row.
//!
//! A request's own path hands its record to an [`Intake`], which appends it to a spool on local disk: from then on it
//! survives the death of the process, and the end of the call's answer may be handed over. Behind that a pump reads the
//! spool, makes rows of records, and delivers batches to a [`Destination`]: a store in this process ([`ToStore`]) or a
//! logger elsewhere ([`ToLogger`], whose other end is [`Ingest`]). If that is gone the pump tries again for as long as it takes, the spool grows, and
//! requests do not notice.
//!
//! ```no_run
//! # async fn example(store: std::sync::Arc<dyn tachograph_store::Store>) -> Result<(), tachograph_spool::SpoolError> {
//! use std::sync::Arc;
//! use std::time::Duration;
//! use tachograph_logger::{Logger, ToStore};
//! use tachograph_spool::Options;
//!
//! let mut logger = Logger::start(Options::new("./tachograph-data/spool"), Arc::new(ToStore::new(store)))?;
//! let sink = logger.intake(); // give this to a MeterLayer
//! // … serve …
//! let left_on_disk = logger.finish(Duration::from_secs(10)).await;
//! # let _ = (sink, left_on_disk);
//! # Ok(()) }
//! ```
//!
//! - *A call under way* for longer than a moment is in the spool too, so that after a crash it is found as `interrupted`.
//! - *Complete* is what can be proven: every entry has a number, and the store is told up to which number of which gateway
//!   there is no gap.
//! - *Refused* records, which the store will never take, are put aside in the spool's `quarantine/` and counted.
//!
//! # Another transport
//!
//! Implement [`Destination`]: deliver a batch for good or say why not. Retries, order, halving of refused batches and the
//! cursor are the pump's.

mod async_log;
mod client;
mod destination;
mod entry;
mod export;
mod fleet;
mod folding;
mod gauges;
mod ingest;
mod intake;
mod joining;
mod logger;
mod opens;
mod otlp;
mod pump;
mod retention;
mod routes;
mod ship;
mod wire;

pub use destination::{Delivery, Destination, Progress, ToStore, Undelivered};
pub use export::{BadExport, Exporter, Exporting};
pub use fleet::Fleet;
pub use folding::keep_rollups;
pub use gauges::{Gauges, LogHealth};
pub use ingest::Ingest;
pub use intake::Intake;
pub use logger::Logger;
pub use retention::Retention;
pub use routes::{Callers, LogBody, LogRoutes, RouteOptions};
pub use ship::{BadLogger, ToLogger};
