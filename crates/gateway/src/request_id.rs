//! Every request has an id, and every answer says it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tachograph_record::RecordId;
use tower::{Layer, Service};
use uuid::{Uuid, Variant};

const ASKED: [HeaderName; 2] =
    [HeaderName::from_static("helicone-request-id"), HeaderName::from_static("tachograph-request-id")];
const ANSWERED: HeaderName = HeaderName::from_static("helicone-id");

/// Names each request and puts the name on its answer as `Helicone-Id`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RequestIdLayer;

impl<Inner> Layer<Inner> for RequestIdLayer {
    type Service = WithRequestId<Inner>;

    fn layer(&self, inner: Inner) -> WithRequestId<Inner> {
        WithRequestId { inner }
    }
}

/// The service of [`RequestIdLayer`].
#[derive(Clone)]
pub(crate) struct WithRequestId<Inner> {
    inner: Inner,
}

impl<Inner, B, R> Service<Request<B>> for WithRequestId<Inner>
where
    Inner: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = Inner::Error;
    type Future = WithRequestIdFuture<Inner::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Inner::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let id = callers_own(request.headers()).unwrap_or_else(RecordId::generate);
        request.extensions_mut().insert(id);
        WithRequestIdFuture { inner: self.inner.call(request), id }
    }
}

pin_project! {
    /// The future of [`WithRequestId`].
    pub struct WithRequestIdFuture<F> {
        #[pin]
        inner: F,
        id: RecordId,
    }
}

impl<F, R, E> Future for WithRequestIdFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        let mut text = Uuid::encode_buffer();
        let text = this.id.uuid().hyphenated().encode_lower(&mut text);
        if let Ok(value) = HeaderValue::from_str(text) {
            response.headers_mut().insert(ANSWERED, value);
        }
        Poll::Ready(Ok(response))
    }
}

/// The id a caller brought: a UUID of RFC 9562, whatever its version. Anything else is replaced.
fn callers_own(headers: &HeaderMap) -> Option<RecordId> {
    let brought = ASKED.iter().find_map(|name| headers.get(name))?;
    let id = Uuid::try_parse_ascii(brought.as_bytes()).ok()?;
    (id.get_variant() == Variant::RFC4122 && id.get_version().is_some()).then(|| RecordId::from(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_real_uuid_is_taken_over() {
        let own = |text: &str| {
            let headers = [(ASKED[0].clone(), HeaderValue::from_str(text).unwrap())].into_iter().collect();
            callers_own(&headers).map(|id| id.to_string())
        };
        for id in ["01890a5d-ac96-774b-bcce-b302099a8057", "f47ac10b-58cc-4372-a567-0e02b2c3d479"] {
            assert_eq!(own(id).as_deref(), Some(id));
        }
        for text in ["", "7", "00000000-0000-0000-0000-000000000000", "f47ac10b-58cc-4372-a567", "{x}"] {
            assert_eq!(own(text), None, "{text:?}");
        }
    }
}
