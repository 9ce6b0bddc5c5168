//! Posting to a server elsewhere: a logger, a collector.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

const CONNECT: Duration = Duration::from_secs(10);
const LONGEST_ANSWER: usize = 64 << 10;

/// Connections that are kept, over TLS where the address says so.
#[derive(Clone)]
pub(crate) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// How long an answer may take.
    patience: Duration,
}

/// What a server said.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    /// How long it asks to be left alone.
    pub(crate) after: Option<Duration>,
    pub(crate) text: Bytes,
}

impl Client {
    pub(crate) fn new(patience: Duration) -> Result<Self, rustls::Error> {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT));
        http.enforce_http(false);
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(Arc::new(rustls::crypto::ring::default_provider()))?
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let pool = Pool::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(https);
        Ok(Self { pool, patience })
    }

    /// Sends a request; says in words where there is no answer.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answered, String> {
        let answered = tokio::time::timeout(self.patience, self.pool.request(request)).await;
        let answer = answered
            .map_err(|_| "it did not answer in time".to_owned())?
            .map_err(|error| format!("it cannot be reached: {error}"))?;
        let status = answer.status();
        let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let read = Limited::new(answer.into_body(), LONGEST_ANSWER).collect();
        let text = tokio::time::timeout(self.patience, read).await.ok().and_then(Result::ok);
        let text = text.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Ok(Answered { status, after: after.map(Duration::from_secs), text })
    }
}
