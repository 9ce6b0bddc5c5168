//! The codec: a call becomes a provider's request, and the provider's answer becomes the caller's.
//!
//! In the caller's own dialect bytes pass untouched, but for the model's name, the key and the ask for usage. Into another
//! dialect they are translated over the one canonical conversation.

mod count;
mod embed;
mod headers;
mod relay;
mod request;
mod response;
mod translate;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderName, Response};
use tachograph_reply::{ApiError, ErrorKind};
use tower::{Layer, Service};

use crate::answer::AnswerBody;
use crate::call::Try;
use crate::upstream::{UpstreamBody, UpstreamRequest};

pub(crate) use headers::has_callers_key;
pub(crate) use relay::{Relay, broken_off};
pub(crate) use response::is_event_stream;
pub(crate) use translate::Translate;

/// What of an answer was counted here because the provider does not.
pub(super) const ESTIMATED: HeaderName = HeaderName::from_static("tachograph-estimated");

/// Puts [`Codec`] before an upstream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CodecLayer;

impl<Upstream> Layer<Upstream> for CodecLayer {
    type Service = Codec<Upstream>;

    fn layer(&self, upstream: Upstream) -> Codec<Upstream> {
        Codec { upstream }
    }
}

/// Speaks the provider's dialect below and the caller's above.
#[derive(Clone)]
pub(crate) struct Codec<Upstream> {
    upstream: Upstream,
}

impl<Upstream> Service<Try> for Codec<Upstream>
where
    Upstream: Service<UpstreamRequest, Response = Response<UpstreamBody>, Error = ApiError> + Clone + Send + 'static,
    Upstream::Future: Send,
{
    type Response = Response<AnswerBody>;
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ApiError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ApiError>> {
        self.upstream.poll_ready(cx)
    }

    fn call(&mut self, attempt: Try) -> Self::Future {
        let next = self.upstream.clone();
        let mut upstream = std::mem::replace(&mut self.upstream, next);
        Box::pin(async move {
            if attempt.call.trip.client_has_left() {
                let message = "The client had left; nobody else was asked.";
                return Err(ApiError::new(ErrorKind::InvalidRequest, "client_gone", message));
            }
            if let Some(counted) = count::answer(&attempt.call, &attempt.candidate)? {
                return Ok(counted);
            }
            let (sent, plan) = request::write(&attempt)?;
            let Try { call, candidate, .. } = attempt;
            let answered = upstream.call(sent).await?;
            call.trip.attempt_answered(answered.status().as_u16());
            response::read(&call, &candidate, plan, answered).await
        })
    }
}
