//! Holding an answer back until it is known to be one.
//!
//! An error's body is read here, and so is the beginning of a stream: a role, `message_start`, `ping` or
//! `response.created` is no answer yet, and a stream that fails behind it has failed before anybody saw anything of it.
//! The first content lets go of everything at once, in the order it came, so that a healthy stream's first token is not a
//! moment later. Where nothing would be done about a failure nothing is held.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tachograph_providers::sse::Splitter;
use tachograph_providers::{dialect, stream_error};
use tachograph_record::UsageReading;
use tachograph_reply::ApiError;
use tachograph_telemetry::Served;
use tower::{Layer, Service};

use crate::answer::AnswerBody;
use crate::call::{Candidate, Try};
use crate::codec::{broken_off, is_event_stream};

/// The most of an error's body that is read to know what it is about, in bytes; what is longer passes as it comes.
const LONGEST_ERROR: usize = 1 << 20;
/// The most that is held of a stream that has not begun to say anything, in bytes.
const LONGEST_PREAMBLE: usize = 256 << 10;

/// A try that came to nothing.
pub(crate) struct Failed {
    /// What went wrong.
    pub(crate) error: ApiError,
    /// The provider's own answer that says so, for a caller of its dialect.
    pub(crate) native: Option<Box<Response<AnswerBody>>>,
}

/// Puts [`Hold`] before the codec.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HoldLayer;

impl<Inner> Layer<Inner> for HoldLayer {
    type Service = Hold<Inner>;

    fn layer(&self, inner: Inner) -> Hold<Inner> {
        Hold { inner }
    }
}

/// The service of [`HoldLayer`].
#[derive(Clone)]
pub(crate) struct Hold<Inner> {
    inner: Inner,
}

impl<Inner> Service<Try> for Hold<Inner>
where
    Inner: Service<Try, Response = Response<AnswerBody>, Error = ApiError>,
    Inner::Future: Send + 'static,
{
    type Response = Response<AnswerBody>;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failed>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.inner.poll_ready(cx).map_err(|error| Failed { error, native: None })
    }

    fn call(&mut self, attempt: Try) -> Self::Future {
        let (hold, candidate, trip) = (attempt.hold, attempt.candidate.clone(), attempt.call.trip.clone());
        let asking = self.inner.call(attempt);
        Box::pin(async move {
            let failed = |error| Failed { error, native: None };
            let response = asking.await.map_err(failed)?;
            if !response.status().is_success() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                return refused(response, &candidate).await;
            }
            if !hold || !is_event_stream(response.headers()) {
                return Ok(response);
            }
            let served = response.extensions().get::<Served>().cloned().unwrap_or_default();
            until_content(response, &served).await.map_err(|error| {
                // The provider may charge for what nobody saw.
                if let Some(tap) = &served.tap
                    && let UsageReading::Known(usage) = tap.finish().usage
                {
                    trip.attempt_used(usage);
                }
                failed(error.by_provider(&**candidate.endpoint.name()))
            })
        })
    }
}

/// An answer that is an error, in the caller's own dialect.
async fn refused(response: Response<AnswerBody>, candidate: &Candidate) -> Result<Response<AnswerBody>, Failed> {
    let (mut head, mut body) = response.into_parts();
    let (mut held, mut read) = (VecDeque::new(), BytesMut::new());
    let whole = loop {
        match body.frame().await {
            Some(Ok(frame)) => {
                read.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
                held.push_back(frame);
            }
            Some(Err(broken)) => {
                // A head that says no is an answer, whatever became of the words behind it.
                tracing::debug!(%broken, "an error's body broke off");
                head.headers.remove(http::header::CONTENT_LENGTH);
                break true;
            }
            None => break true,
        }
        if read.len() > LONGEST_ERROR {
            break false;
        }
    };
    let raw = read.freeze();
    let error = dialect(candidate.endpoint.provider.dialect).decode_error(head.status, &raw);
    let error = error.from_provider(&**candidate.endpoint.name(), raw.clone()).with_headers(head.headers.clone());
    let body = if whole { AnswerBody::from(raw) } else { AnswerBody::Held { held, rest: Box::pin(body) } };
    Err(Failed { error, native: Some(Box::new(Response::from_parts(head, body))) })
}

/// Holds a stream's frames until there is content among them, or an error instead.
async fn until_content(response: Response<AnswerBody>, served: &Served) -> Result<Response<AnswerBody>, ApiError> {
    let (head, body) = response.into_parts();
    let mut rest = Box::pin(body);
    let (mut held, mut length, mut events) = (VecDeque::new(), 0, Splitter::default());
    loop {
        let frame: Frame<Bytes> = match std::future::poll_fn(|cx| rest.as_mut().poll_frame(cx)).await {
            Some(Ok(frame)) => frame,
            Some(Err(broken)) => return Err(broken_off(broken)),
            // It ended without content and without an error: there is nothing more to wait for.
            None => break,
        };
        let mut error = None;
        if let Some(piece) = frame.data_ref() {
            length += piece.len();
            events.push(piece, |event| error = error.take().or_else(|| stream_error(event.name, &event.data)));
        }
        held.push_back(frame);
        let has_content = served.tap.as_ref().is_none_or(tachograph_telemetry::SharedTap::has_content);
        if has_content || length > LONGEST_PREAMBLE {
            break;
        }
        if let Some(error) = error {
            return Err(error);
        }
    }
    Ok(Response::from_parts(head, AnswerBody::Held { held, rest }))
}
