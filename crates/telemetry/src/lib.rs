//! The meter: a tower layer that makes exactly one [`LogRecord`](tachograph_record::LogRecord) of every request.
//!
//! It starts the clock when a request reaches it, lets every frame of the answer pass as it comes, and closes the record
//! once: at the end of the answer, at an error, or when the client leaves, before the head or after it.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use http_body_util::{BodyExt, Full};
//! use tachograph_record::{LogRecord, Outcome};
//! use tachograph_telemetry::{MeterLayer, Receipt, RecordSink};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! #[derive(Clone, Default)]
//! struct Memory(Arc<Mutex<Vec<LogRecord>>>);
//! impl RecordSink for Memory {
//!     fn accept(&self, record: LogRecord) -> Receipt {
//!         self.0.lock().unwrap().push(record);
//!         Receipt::kept()
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let memory = Memory::default();
//! let service = ServiceBuilder::new().layer(MeterLayer::new(memory.clone())).service(service_fn(
//!     async |_request: http::Request<Full<bytes::Bytes>>| {
//!         Ok::<_, std::convert::Infallible>(http::Response::new(Full::from("hello")))
//!     },
//! ));
//! let answer = service.oneshot(http::Request::get("/greet").body(Full::default()).unwrap()).await.unwrap();
//! assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
//!
//! let records = memory.0.lock().unwrap();
//! assert_eq!((records.len(), records[0].outcome, records[0].asked.path.as_str()), (1, Outcome::Complete, "/greet"));
//! # });
//! ```
//!
//! The end of an answer (its terminal event, its last bytes, the end of its body) is handed to the client once the sink's
//! [`Receipt`] says that the record is kept. Everything before the end passes at once.
//!
//! What the layers below know goes onto the record in two ways. Down goes one [`Trip`] in the request's extensions: a
//! handle that they tell [what was asked](Trip::asked) and [each attempt](Trip::attempt). Up comes one [`Served`] in the
//! response's extensions: who served, and the [`Tap`](tachograph_record::Tap) that reads the answer as it passes.

pub mod attribution;
mod body;
mod edited;
mod export;
mod future;
mod layer;
mod metrics;
mod open;
mod receipt;
mod served;
mod service;
mod shared_tap;
mod sink;
mod trip;

pub use body::MeteredBody;
pub use edited::{Edited, RecordEdit};
pub use export::{Conventions, ExportOptions, WhenBehind};
pub use future::MeterFuture;
pub use layer::{MeterLayer, ReceivedAt};
pub use metrics::{Counted, Figure, KnownNames, Metrics};
pub use receipt::Receipt;
pub use served::{OnEnd, Served};
pub use service::Meter;
pub use shared_tap::{Seen, SharedTap};
pub use sink::RecordSink;
pub use trip::Trip;
