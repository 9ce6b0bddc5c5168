//! Who is asked, in which order.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;
use tachograph_reply::ApiError;
use tower::{Layer, Service};

use crate::admit::recorded;
use crate::answer::AnswerBody;
use crate::call::{Call, Try};

/// Asks a call's candidates. There is one for now; each that is asked stands on the record with its own clocks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FallbackLayer;

impl<Inner> Layer<Inner> for FallbackLayer {
    type Service = Fallback<Inner>;

    fn layer(&self, inner: Inner) -> Fallback<Inner> {
        Fallback { inner }
    }
}

/// The service of [`FallbackLayer`].
#[derive(Clone)]
pub(crate) struct Fallback<Inner> {
    inner: Inner,
}

impl<Inner> Service<Call> for Fallback<Inner>
where
    Inner: Service<Try, Response = Response<AnswerBody>, Error = ApiError>,
    Inner::Future: Send + 'static,
{
    type Response = Response<AnswerBody>;
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ApiError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ApiError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let call = Arc::new(call);
        let asked = call.candidates.first().cloned().map(|candidate| {
            call.trip.attempt(candidate.endpoint.name().clone(), candidate.model.clone());
            self.inner.call(Try { call: call.clone(), candidate })
        });
        Box::pin(async move {
            let Some(asked) = asked else {
                return Err(ApiError::not_found("no_provider", "No provider is set up that could serve this request."));
            };
            asked.await.inspect_err(|error| call.trip.attempt_failed(recorded(error)))
        })
    }
}
