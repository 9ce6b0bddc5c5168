//! The door of `/api`.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Access, Caller, cookie};
use crate::api::Refusal;

impl Access {
    /// Who sent these headers. A key that was sent is the answer, right or wrong; without one the cookie counts.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
            let (org, key) = scheme.eq_ignore_ascii_case("bearer").then(|| self.keys.verify(key.trim()))??;
            return Some(Caller { org, key: Some(key) });
        }
        let caller = self.sessions.find(cookie::read(headers)?)?;
        let holds = caller.key.is_none_or(|key| self.keys.is_active(key));
        holds.then_some(caller)
    }
}

/// Lets nobody in who is not known, and tells the handlers who it is.
pub(crate) async fn require_caller(State(access): State<Access>, mut request: Request, next: Next) -> Response {
    let Some(caller) = access.caller(request.headers()) else {
        let refusal = Refusal::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "send one of your API keys as `Authorization: Bearer <key>`, or log in at /login",
        );
        let mut response = refusal.into_response();
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}
