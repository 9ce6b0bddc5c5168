//! The pooled client.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// A client that keeps its connections: HTTP/1.1, or HTTP/2 where TLS negotiates it.
pub(super) type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Idle connections kept for each provider. Above this, the operating system's limits come first.
const MOST_IDLE: usize = 1024;
/// An idle connection older than this may have been cut by a middlebox without notice.
const IDLE_FOR: Duration = Duration::from_secs(90);

pub(super) fn connect(timeout: Duration) -> Result<HttpClient, rustls::Error> {
    let mut http = HttpConnector::new();
    // Small writes leave at once: Nagle's algorithm costs up to 40 ms of first-token time.
    http.set_nodelay(true);
    http.set_connect_timeout(Some(timeout));
    http.set_keepalive(Some(Duration::from_secs(60)));
    http.enforce_http(false);
    let https = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(Arc::new(rustls::crypto::ring::default_provider()))?
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(http);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_max_idle_per_host(MOST_IDLE)
        .pool_idle_timeout(IDLE_FOR)
        .build(https))
}
