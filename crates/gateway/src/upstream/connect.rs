//! How connections come up: TCP without Nagle's algorithm, TLS where the URL asks for it.

use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::address::Resolver;

/// Opens connections.
pub(crate) type Connector = HttpsConnector<HttpConnector<Resolver>>;
/// An open connection.
pub(crate) type Line = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Which versions of HTTP a connection may turn out to speak.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    /// Whichever the provider likes better.
    Both,
    /// The one that becomes a WebSocket.
    Http1,
}

/// `public_only`: to public addresses alone, whatever a name resolves to.
pub(super) fn connector(timeout: Duration, public_only: bool, speaks: Speaks) -> Result<Connector, rustls::Error> {
    let mut http = HttpConnector::new_with_resolver(Resolver::new(public_only));
    // Small writes leave at once: Nagle's algorithm costs up to 40 ms of first-token time.
    http.set_nodelay(true);
    http.set_connect_timeout(Some(timeout));
    http.set_keepalive(Some(Duration::from_secs(60)));
    http.enforce_http(false);
    let builder = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(Arc::new(rustls::crypto::ring::default_provider()))?
        .https_or_http()
        .enable_http1();
    Ok(match speaks {
        Speaks::Both => builder.enable_http2().wrap_connector(http),
        Speaks::Http1 => builder.wrap_connector(http),
    })
}
