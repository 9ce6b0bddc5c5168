//! Saying no, in the caller's dialect.
//!
//! Every error a caller can see is an [`ApiError`], and this crate is the only code that renders one: as the JSON body of
//! a response, or, where a stream's head is already gone, as its last event.
//!
//! ```
//! use tachograph_reply::{ApiError, ErrorShape};
//!
//! let error = ApiError::unauthorized("invalid_api_key", "This API key is not known here; list them with `gateway keys list`.");
//! assert_eq!(error.status().as_u16(), 401);
//! let body = ErrorShape::OpenAi.body(&error);
//! assert!(body.starts_with(br#"{"error":{"message":"This API key"#));
//! ```
//!
//! To add a dialect, add a variant to [`ErrorShape`] and its arms: a body, and an event.

mod error;
mod shape;

pub use error::{ApiError, ErrorKind};
pub use shape::ErrorShape;
