//! The provider's side of a session.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_TYPE, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::uri::Scheme;
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tachograph_providers::decode_error;
use tachograph_reply::{ApiError, ErrorKind};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tower::Service;

use super::body::limits;
use super::{ClientSocket, Gone, SessionBody};
use crate::endpoint::Endpoint;
use crate::upstream::{Connector, SendError, unreachable};

/// Opens a session with a provider.
///
/// # Errors
/// Where the provider cannot be reached or does not want it: its own status and words.
pub(crate) async fn open(
    mut connector: Connector,
    request: Request<()>,
    endpoint: &Arc<Endpoint>,
    client: ClientSocket,
) -> Result<Response<SessionBody>, ApiError> {
    let name = endpoint.name();
    let target = request.uri().clone();
    let connecting = async {
        poll_fn(|cx| connector.poll_ready(cx)).await?;
        connector.call(target.clone()).await
    };
    let line = connecting.await.map_err(|error| unreachable(name, &SendError::Connect(error)))?;
    let request = handshake(&request, &target).ok_or_else(|| unreachable(name, &SendError::NoHost))?;
    match client_async_with_config(request, TokioIo::new(line), Some(limits())).await {
        Ok((provider, _head)) => {
            let gone = Gone::default();
            let mut response = Response::new(SessionBody::new(client, provider, gone.clone()));
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            response.extensions_mut().insert(gone);
            Ok(response)
        }
        Err(Error::Http(refused)) => {
            let (head, body) = refused.into_parts();
            let body = Bytes::from(body.unwrap_or_default());
            let error = decode_error(endpoint.provider.dialect, head.status, &head.headers, &body);
            Err(error.from_provider(&**name, body))
        }
        Err(error) => {
            tracing::warn!(provider = &**name, %error, "the provider opened no session");
            let message = format!("{name} opened no WebSocket session at this path.");
            Err(ApiError::new(ErrorKind::Upstream, "upstream_broken", message).from_provider(&**name, Bytes::new()))
        }
    }
}

/// The request as a handshake.
fn handshake(request: &Request<()>, target: &Uri) -> Option<Request<()>> {
    let mut parts = target.clone().into_parts();
    let scheme = if parts.scheme == Some(Scheme::HTTPS) { "wss" } else { "ws" };
    parts.scheme = Some(scheme.parse().ok()?);
    let mut made = Request::get(Uri::from_parts(parts).ok()?).body(()).ok()?;
    let headers = made.headers_mut();
    headers.clone_from(request.headers());
    for name in [ACCEPT_ENCODING, CONTENT_TYPE] {
        headers.remove(name);
    }
    headers.insert(HOST, HeaderValue::try_from(target.authority()?.as_str()).ok()?);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::try_from(generate_key()).ok()?);
    Some(made)
}
