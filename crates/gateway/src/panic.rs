//! What a client is told when a handler panics.

use std::any::Any;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tachograph_reply::{ApiError, ErrorKind, ErrorShape};

/// The panic's own words go to the log, not to the client.
pub(crate) fn answer_panic(panic: Box<dyn Any + Send + 'static>) -> Response<Full<Bytes>> {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("no message"), "a request's handler panicked");
    let error = ApiError::new(
        ErrorKind::Internal,
        "internal_error",
        "The gateway failed on this request; it is recorded. Try again.",
    );
    ErrorShape::OpenAi.response(&error)
}
