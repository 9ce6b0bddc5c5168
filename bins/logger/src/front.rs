//! One port: gateways deliver, clients log, people look.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Json};
use http::{Request, Response};
use hyper::body::Incoming;
use tachograph_gateway::Scrape;
use tachograph_logger::{Gauges, Ingest, LogRoutes};
use tower::Service;

/// What stands behind the port.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) ingest: Ingest,
    pub(crate) logs: LogRoutes,
    pub(crate) console: Router,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) scrape: Scrape,
}

impl Service<Request<Incoming>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Axum's router never waits, and the rest holds no permits.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let mut front = self.clone();
        Box::pin(async move {
            let path = request.uri().path();
            if path == "/healthz" {
                return Ok(Response::new(Body::from("ok\n")));
            }
            if path == "/readyz" {
                return Ok(Json(front.gauges.readiness()).into_response());
            }
            if Scrape::takes(path) && request.method() == http::Method::GET {
                return Ok(front.scrape.answer(request.headers()).map(Body::new));
            }
            if Ingest::takes(path) {
                return Ok(front.ingest.answer(request).await.map(Body::new));
            }
            if LogRoutes::takes(path) {
                return Ok(front.logs.answer(request).await.map(Body::new));
            }
            Service::<Request<Incoming>>::call(&mut front.console, request).await
        })
    }
}
