//! One port for both: the console's paths go to the console, everything else to the gateway.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::response::{IntoResponse as _, Json};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Either;
use hyper::body::Incoming;
use tachograph_console::API_PATHS;
use tachograph_gateway::{EdgeBody, Endpoints, Gateway, Scrape, names_target};
use tachograph_logger::{Gauges, LogRoutes};
use tower::Service;

/// The console's paths: these and all below them.
const CONSOLE: [&str; 5] = ["/api", "/assets", "/login", "/logout", "/v1/vault"];

/// The gateway and, where it shares the port, the console.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) gateway: Gateway<Incoming>,
    pub(crate) console: Option<Router>,
    pub(crate) endpoints: Arc<Endpoints>,
    /// Where calls are told of that passed no gateway.
    pub(crate) logs: LogRoutes,
    /// What becomes of records.
    pub(crate) gauges: Arc<Gauges>,
    /// What Prometheus reads.
    pub(crate) scrape: Scrape,
}

impl Front {
    fn is_for_console(&self, request: &Request<Incoming>) -> bool {
        let path = request.uri().path();
        let below = |root: &&str| path.strip_prefix(*root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let page = path == "/" || tachograph_console::PAGES.iter().any(below);
        // Pages are only read; other methods may be a provider's own path.
        let is_page = page && matches!(*request.method(), Method::GET | Method::HEAD);
        (is_page || CONSOLE.iter().chain(&API_PATHS).any(below)) && !self.is_for_provider(request)
    }

    /// A host that names a provider is that provider's, whatever the path: OpenRouter's begins with /api. So is a call that
    /// names its target.
    fn is_for_provider(&self, request: &Request<Incoming>) -> bool {
        names_target(request.headers()) || self.endpoints.by_host(request.headers(), request.uri()).is_some()
    }
}

impl Service<Request<Incoming>> for Front {
    type Response = Response<Either<EdgeBody, axum::body::Body>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Both are always ready: the gateway's layers hold no permits, and axum's router never waits.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        match request.uri().path() {
            "/healthz" => return Box::pin(async { Ok(alive()) }),
            "/readyz" => {
                let ready = Json(self.gauges.readiness()).into_response().map(Either::Right);
                return Box::pin(async { Ok(ready) });
            }
            path if Scrape::takes(path) && *request.method() == Method::GET => {
                let told = self.scrape.answer(request.headers());
                return Box::pin(async { Ok(told.map(|body| Either::Right(axum::body::Body::new(body)))) });
            }
            _ => {}
        }
        let is_told = LogRoutes::takes(request.uri().path());
        if is_told && !self.is_for_provider(&request) {
            let logs = self.logs.clone();
            return Box::pin(async move {
                Ok(logs.answer(request).await.map(|body| Either::Right(axum::body::Body::new(body))))
            });
        }
        match &self.console {
            Some(console) if self.is_for_console(&request) => {
                let mut console = console.clone();
                Box::pin(async move {
                    Ok(Service::<Request<Incoming>>::call(&mut console, request).await?.map(Either::Right))
                })
            }
            _ => {
                let answering = self.gateway.call(request);
                Box::pin(async move { Ok(answering.await?.map(Either::Left)) })
            }
        }
    }
}

/// The process serves. The store's health is no part of this: requests are served without it.
fn alive() -> Response<Either<EdgeBody, axum::body::Body>> {
    let mut response = Response::new(Either::Right(axum::body::Body::from("ok\n")));
    *response.status_mut() = StatusCode::OK;
    response
}
