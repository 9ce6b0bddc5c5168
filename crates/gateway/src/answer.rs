//! Answers on their way to the client, and the one place where errors become answers.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;
use tachograph_cache::{Broken, Replay, Seat};
use tachograph_reply::ApiError;
use tachograph_telemetry::Served;
use tower::{Layer, Service};

use crate::admit::{recorded, refuse};
use crate::call::Call;
use crate::codec::{Relay, Translate};
use crate::upstream::UpstreamBroken;

pin_project! {
    /// An answer's body.
    #[project = AnswerBodyProj]
    pub enum AnswerBody {
        /// One piece.
        Whole { #[pin] body: Full<Bytes> },
        /// The provider's frames as they come.
        Relay { #[pin] body: Relay },
        /// The provider's stream, event by event in the client's dialect.
        Translate { #[pin] body: Translate },
        /// A stored answer.
        Stored { #[pin] body: Replay },
        /// An answer that others may read too.
        Shared { #[pin] body: Seat<AnswerBody> },
        /// An answer whose beginning was held back.
        Held { held: VecDeque<Frame<Bytes>>, rest: Pin<Box<AnswerBody>> },
    }
}

impl From<Bytes> for AnswerBody {
    fn from(bytes: Bytes) -> Self {
        Self::Whole { body: Full::new(bytes) }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = UpstreamBroken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamBroken>>> {
        match self.project() {
            AnswerBodyProj::Whole { body } => body.poll_frame(cx).map_err(|never| match never {}),
            AnswerBodyProj::Relay { body } => body.poll_frame(cx),
            AnswerBodyProj::Translate { body } => body.poll_frame(cx),
            AnswerBodyProj::Stored { body } => body.poll_frame(cx).map_err(|never| match never {}),
            AnswerBodyProj::Shared { body } => body.poll_frame(cx).map_err(|broken| as_it_was(&broken)),
            AnswerBodyProj::Held { held, rest } => match held.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None => rest.as_mut().poll_frame(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole { body } => body.is_end_stream(),
            Self::Relay { body } => body.is_end_stream(),
            Self::Translate { body } => body.is_end_stream(),
            Self::Stored { body } => body.is_end_stream(),
            Self::Shared { body } => body.is_end_stream(),
            Self::Held { held, rest } => held.is_empty() && rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole { body } => body.size_hint(),
            Self::Relay { body } => body.size_hint(),
            Self::Translate { body } => body.size_hint(),
            Self::Stored { body } => body.size_hint(),
            Self::Shared { body } => body.size_hint(),
            Self::Held { held, rest } => {
                let held: usize = held.iter().filter_map(Frame::data_ref).map(Bytes::len).sum();
                let (held, rest) = (held as u64, rest.size_hint());
                match rest.exact() {
                    Some(exact) => SizeHint::with_exact(held + exact),
                    None => SizeHint::default(),
                }
            }
        }
    }
}

/// What broke a shared answer off.
fn as_it_was(broken: &Broken) -> UpstreamBroken {
    broken.0.downcast_ref().copied().unwrap_or(UpstreamBroken::Connection)
}

/// Turns errors into answers in the caller's dialect. Nothing above sees a typed error, so everything that needs one
/// (retries, fallbacks) stands below.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AnswerErrorsLayer;

impl<Inner> Layer<Inner> for AnswerErrorsLayer {
    type Service = AnswerErrors<Inner>;

    fn layer(&self, inner: Inner) -> AnswerErrors<Inner> {
        AnswerErrors { inner }
    }
}

/// The service of [`AnswerErrorsLayer`].
#[derive(Clone)]
pub(crate) struct AnswerErrors<Inner> {
    inner: Inner,
}

impl<Inner> Service<Call> for AnswerErrors<Inner>
where
    Inner: Service<Call, Response = Response<AnswerBody>, Error = ApiError>,
    Inner::Future: Send + 'static,
{
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // An inner service that fails to get ready will say so again when it is called.
        self.inner.poll_ready(cx).map(|_| Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let (shape, omit_body) = (call.shape, call.omit_response);
        let serving = self.inner.call(call);
        Box::pin(async move {
            let error = match serving.await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let mut response = refuse(shape, &error);
            if error.provider().is_some() {
                // The provider said no, or could not be asked; the refusal is not ours.
                let served = Served { failure: Some(recorded(&error)), omit_body, ..Served::default() };
                response.extensions_mut().insert(served);
            }
            Ok(response)
        })
    }
}
