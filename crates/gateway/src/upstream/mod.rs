//! Connections to providers: one pooled client for HTTP/1.1 and HTTP/2, and the provider inside this process.

mod address;
mod body;
mod connect;
mod driven;
mod lane;
mod pool;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tachograph_record::RecordId;
use tachograph_reply::{ApiError, ErrorKind};
use tower::Service;

use crate::config::UpstreamConfig;
use crate::credential::Seal;
use crate::demo;
use crate::endpoint::Endpoint;
use crate::place::Place;
use crate::session::{self, ClientSocket};
use crate::upload::{Rest, Sent};

use address::NotPublic;
pub(crate) use body::{UpstreamBody, UpstreamBroken};
use connect::Speaks;
pub(crate) use connect::{Connector, Line};
pub(crate) use pool::Pool;
pub(crate) use pool::SendError;

/// A request ready to be sent.
pub struct UpstreamRequest {
    /// Whom to.
    pub endpoint: Arc<Endpoint>,
    /// The call it is made for.
    pub id: RecordId,
    /// The request, with its absolute URL.
    pub request: Request<()>,
    /// Its body, or the beginning of it.
    pub body: Bytes,
    /// What of the body is still to come, and what is to stand at a place in that.
    pub(crate) rest: Option<Rest>,
    /// What is to be done to it before it is sent.
    pub(crate) seal: Option<Seal>,
    /// The client's side of the session that it opens.
    pub(crate) socket: Option<ClientSocket>,
}

/// Sends requests to providers.
#[derive(Clone)]
pub struct Upstream {
    pool: Arc<Pool>,
    /// For targets that callers name: it connects to public addresses alone.
    public: Arc<Pool>,
    /// Opens the connections that sessions are held over; the second to public addresses alone.
    sockets: [Connector; 2],
    head_timeout: Duration,
    idle_timeout: Duration,
}

impl Upstream {
    /// An upstream with a pool of its own.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(config: &UpstreamConfig) -> Result<Self, rustls::Error> {
        let pool = |public_only| {
            let connector = connect::connector(config.connect_timeout.duration(), public_only, Speaks::Both)?;
            Ok::<_, rustls::Error>(Arc::new(Pool::new(connector)))
        };
        let socket = |public_only| connect::connector(config.connect_timeout.duration(), public_only, Speaks::Http1);
        Ok(Self {
            pool: pool(false)?,
            public: pool(true)?,
            sockets: [socket(false)?, socket(true)?],
            head_timeout: config.head_timeout.duration(),
            idle_timeout: config.idle_timeout.duration(),
        })
    }

    async fn send(self, mut sent: UpstreamRequest) -> Result<Response<UpstreamBody>, ApiError> {
        let name = sent.endpoint.name().clone();
        if sent.endpoint.place == Place::Demo {
            let answering = Box::pin(demo::answer(sent.id, &sent.body));
            return answering.await.map(|response| response.map(UpstreamBody::demo));
        }
        if let Some(seal) = &sent.seal {
            // Boxed, as are the other rare ways: their room is not taken by every call.
            Box::pin(seal.put(&name, &self.pool, &sent.body, &mut sent.request)).await?;
        }
        let pool = if sent.endpoint.public_only() { &self.public } else { &self.pool };
        if let Some(client) = sent.socket {
            let [anywhere, public] = self.sockets;
            let sockets = if sent.endpoint.public_only() { public } else { anywhere };
            let opening = Box::pin(session::open(sockets, sent.request, &sent.endpoint, client));
            return match tokio::time::timeout(self.head_timeout, opening).await {
                Ok(opened) => opened.map(|response| response.map(UpstreamBody::session)),
                Err(_) => Err(too_late(&name, self.head_timeout)),
            };
        }
        let upload = sent.rest.as_ref().map(|rest| rest.upload.clone());
        let body = match sent.rest {
            Some(rest) => Sent::passing(sent.body, rest),
            None => Sent::whole(sent.body),
        };
        let answering = pool.send(sent.request.map(|()| body));
        let answered = match &upload {
            // How long the client takes for its upload is no silence of the provider's.
            Some(upload) => upload.timeout(self.head_timeout, answering).await,
            None => tokio::time::timeout(self.head_timeout, answering).await.ok(),
        };
        if let (None | Some(Err(_)), Some(broken)) = (&answered, upload.and_then(|upload| upload.broken())) {
            return Err(broken.into());
        }
        match answered {
            Some(Ok((response, link))) => Ok(response.map(|body| UpstreamBody::http(body, link, self.idle_timeout))),
            Some(Err(error)) => Err(unreachable(&name, &error)),
            None => Err(too_late(&name, self.head_timeout)),
        }
    }
}

fn too_late(name: &str, limit: Duration) -> ApiError {
    let seconds = limit.as_secs();
    let message = format!("{name} did not begin to answer within {seconds} s (upstream.head_timeout).");
    ApiError::new(ErrorKind::Timeout, "upstream_timeout", message).from_provider(name, Bytes::new())
}

/// What the connection's error means for a caller. Its text stays in the log: it can name internal hosts.
pub(crate) fn unreachable(name: &str, error: &SendError) -> ApiError {
    tracing::warn!(provider = name, error = error_chain(error), "the provider gave no answer");
    if sources(error).any(|error| error.is::<NotPublic>()) {
        let message = format!(
            "{name} resolves to no public address; add its origin (scheme, host and port) to upstream.allow_targets if it may be reached."
        );
        return ApiError::new(ErrorKind::Permission, "target_not_allowed", message);
    }
    let (code, message) = if matches!(error, SendError::Connect(_) | SendError::NoHost) {
        ("upstream_unreachable", format!("{name} cannot be reached; check its base_url and the network."))
    } else {
        ("upstream_broken", format!("{name} closed the connection without an answer."))
    };
    ApiError::new(ErrorKind::Upstream, code, message).from_provider(name, Bytes::new())
}

fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    sources(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// An error and what it came from, down to the innermost: an IO error that wraps another shows only that one's source.
fn sources<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn std::error::Error + 'static)).or_else(|| error.source())
    })
}

impl Service<UpstreamRequest> for Upstream {
    type Response = Response<UpstreamBody>;
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ApiError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ApiError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, sent: UpstreamRequest) -> Self::Future {
        Box::pin(self.clone().send(sent))
    }
}
