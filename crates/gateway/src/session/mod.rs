//! Sessions over WebSockets: OpenAI's realtime API, and whatever else a provider's proxy upgrades.
//!
//! A session is one call. [`SessionLayer`] answers the client's handshake; [`open`] makes the provider's; from then on
//! [`SessionBody`] hands each message to the other side as it comes. What of it the record is to know (the provider's
//! events, and the client's but for its sound, one a line) is the body of the answer, which is read here to its end: so
//! the clocks, the tap, the capture with its cap and the four endings are those of every other call.

mod body;
mod open;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tower::{Layer, Service};

pub(crate) use body::{Gone, SessionBody};
pub(crate) use open::open;

use crate::leaving::Leaving;

/// Browsers cannot set headers on a WebSocket: the key comes as one of the subprotocols.
const KEY_PROTOCOL: &str = "openai-insecure-api-key.";
/// The version that was in beta is asked for in a header, or by this subprotocol.
const BETA_PROTOCOL: (&str, &str) = ("openai-beta.", "openai-beta");
/// The subprotocol that is chosen where a client offers any.
const PROTOCOL: &str = "realtime";

/// The client's side of a session, once it has been told that it has one.
#[derive(Clone)]
pub(crate) struct ClientSocket(pub(crate) OnUpgrade);

/// Puts [`Sessions`] before a service. Sessions are awaited at shutdown with the answers that clients have left.
#[derive(Clone)]
pub(crate) struct SessionLayer(pub(crate) Leaving);

impl<Inner> Layer<Inner> for SessionLayer {
    type Service = Sessions<Inner>;

    fn layer(&self, inner: Inner) -> Sessions<Inner> {
        Sessions { inner, leaving: self.0.clone() }
    }
}

/// Answers handshakes, and sees sessions to their end.
#[derive(Clone)]
pub(crate) struct Sessions<Inner> {
    inner: Inner,
    leaving: Leaving,
}

impl<B, R, Inner> Service<Request<B>> for Sessions<Inner>
where
    Inner: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    Inner::Future: Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Send,
{
    type Response = Response<SessionAnswer<R>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let accept = handshake(&mut request);
        let answering = self.inner.call(request);
        let leaving = self.leaving.clone();
        Box::pin(async move {
            let response = answering.await?;
            match accept {
                Some(accept) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    Ok(accepted(response, accept, &leaving))
                }
                _ => Ok(response.map(SessionAnswer::Left)),
            }
        })
    }
}

/// An answer's body; that of a handshake is empty.
pub(crate) type SessionAnswer<R> = http_body_util::Either<R, http_body_util::Empty<Bytes>>;

/// How the client is told that it has its session.
struct Accept {
    key: HeaderValue,
    protocol: Option<HeaderValue>,
}

/// Takes a WebSocket's handshake out of a request: what of it concerns the provider stays, as other requests say it.
fn handshake<B>(request: &mut Request<B>) -> Option<Accept> {
    let headers = request.headers();
    let asks = headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|_| asks)?;
    let key = HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok()?;
    let socket = request.extensions_mut().remove::<OnUpgrade>()?;
    request.extensions_mut().insert(ClientSocket(socket));
    let headers = request.headers_mut();
    let protocol = take_protocols(headers);
    for name in [SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, SEC_WEBSOCKET_EXTENSIONS] {
        headers.remove(name);
    }
    Some(Accept { key, protocol })
}

/// Takes the subprotocols out, keys and versions into the headers where others say them; returns the one that is chosen.
fn take_protocols(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let offered: Vec<String> = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_owned())
        .collect();
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    let mut put = |name: HeaderName, value: String, sensitive: bool| {
        if let (false, Ok(mut value)) = (headers.contains_key(&name), HeaderValue::try_from(value)) {
            value.set_sensitive(sensitive);
            headers.insert(name, value);
        }
    };
    for protocol in &offered {
        if let Some(key) = protocol.strip_prefix(KEY_PROTOCOL) {
            put(AUTHORIZATION, format!("Bearer {key}"), true);
        } else if let Some(version) = protocol.strip_prefix(BETA_PROTOCOL.0) {
            put(HeaderName::from_static(BETA_PROTOCOL.1), version.replacen("-v", "=v", 1), false);
        }
    }
    let usual = offered.iter().find(|name| *name == PROTOCOL);
    let first = || offered.iter().find(|name| !name.starts_with(KEY_PROTOCOL));
    HeaderValue::try_from(usual.or_else(first)?).ok()
}

/// Tells the client, and reads the session to its end.
fn accepted<R>(response: Response<R>, accept: Accept, leaving: &Leaving) -> Response<SessionAnswer<R>>
where
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Send,
{
    let (mut head, body) = response.into_parts();
    let gone = head.extensions.remove::<Gone>();
    // It ends with the session, which ends with either side or, at shutdown, with the time for what is left.
    leaving.outlive(async move {
        let mut body = std::pin::pin!(body);
        while let Some(Ok(_seen)) = body.frame().await {
            if gone.as_ref().is_some_and(Gone::is_set) {
                break;
            }
        }
    });
    head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    head.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    head.headers.insert(SEC_WEBSOCKET_ACCEPT, accept.key);
    if let Some(protocol) = accept.protocol {
        head.headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Response::from_parts(head, SessionAnswer::Right(http_body_util::Empty::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_versions_leave_the_subprotocols() {
        let offered = "realtime, openai-insecure-api-key.sk-1, openai-beta.realtime-v1";
        let mut headers: HeaderMap =
            [(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(offered))].into_iter().collect();
        assert_eq!(take_protocols(&mut headers).unwrap(), "realtime");
        assert_eq!(headers[AUTHORIZATION], "Bearer sk-1");
        assert_eq!(headers["openai-beta"], "realtime=v1");
        assert!(!headers.contains_key(SEC_WEBSOCKET_PROTOCOL));
        assert_eq!(take_protocols(&mut headers), None);
    }
}
