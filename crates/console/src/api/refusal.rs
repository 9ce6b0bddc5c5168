//! Errors of the API: `{"error":{"code","message"}}`.

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;
use tachograph_store::StoreError;

/// A "no" with its status, a stable code for programs and a message that says what to do.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// Something that should not have happened; the log says what.
    pub(crate) fn failed() -> Self {
        let message = "this cannot be shown; the gateway's log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", message)
    }

    /// A question that cannot be understood.
    pub(crate) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }
}

impl From<StoreError> for Refusal {
    /// The store's own words go to the log: they may name hosts and files.
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "console: the store did not answer");
        match error {
            StoreError::Unreachable(_) => {
                let message = "the store cannot be reached; nothing is lost, calls are kept until it is back";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unreachable", message)
            }
            _ => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "store_failed",
                "the store failed; the gateway's log says why",
            ),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "code": self.code, "message": self.message } });
        (self.status, Json(body)).into_response()
    }
}
