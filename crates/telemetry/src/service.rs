//! The service.

use std::task::{Context, Poll};

use http::{Request, Response};
use tachograph_record::{RecordId, Timestamp};
use tower::Service;

use crate::open::OpenRecord;
use crate::{MeterFuture, MeteredBody, ReceivedAt, RecordSink, Trip};

/// Meters every request that passes: see the [crate's page](crate).
#[derive(Clone, Debug)]
pub struct Meter<Inner, S> {
    inner: Inner,
    sink: S,
    keep: usize,
}

impl<Inner, S> Meter<Inner, S> {
    pub(crate) const fn new(inner: Inner, sink: S, keep: usize) -> Self {
        Self { inner, sink, keep }
    }
}

impl<Inner, S, RequestBody, ResponseBody> Service<Request<RequestBody>> for Meter<Inner, S>
where
    Inner: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    ResponseBody: http_body::Body<Data = bytes::Bytes>,
    S: RecordSink + Clone,
{
    type Response = Response<MeteredBody<ResponseBody, S>>;
    type Error = Inner::Error;
    type Future = MeterFuture<Inner::Future, S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let extensions = request.extensions();
        let received_at = extensions.get::<ReceivedAt>().map_or_else(Timestamp::now, |at| at.0);
        // A layer further out may have named the request already, so that its logs and our record agree.
        let id = extensions.get::<RecordId>().copied().unwrap_or_else(RecordId::generate);
        let trip = Trip::begin(id, received_at, request.method().clone(), request.uri().clone());
        request.extensions_mut().insert(trip.clone());
        let open = OpenRecord::new(trip, self.sink.clone(), self.keep);
        MeterFuture::new(self.inner.call(request), open)
    }
}
