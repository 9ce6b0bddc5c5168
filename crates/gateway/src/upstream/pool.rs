//! The pooled client: connections are kept for each origin, and an HTTP/1.1 connection is driven by the request it serves.
//!
//! A client with a task for each connection costs every call two hops between tasks and every streamed piece two more;
//! that was a third of what the gateway spent on a piece.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper_util::client::legacy::connect::Connection as _;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;
use tower::Service;

use super::connect::{Connector, Line};
use super::driven::{Driven, Link};
use super::lane::Lane;
use crate::upload::Sent;

/// Origins that connections are kept for. Beyond this those without a connection are forgotten first.
const MOST_LANES: usize = 4096;
/// How often connections that were idle for too long are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// A shared connection that does not answer a ping within this is dead.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Scheme and authority.
type Origin = (Scheme, Authority);
type Lanes = HashMap<Origin, Arc<Lane>>;

/// Why there was no answer.
#[derive(Debug)]
pub(crate) enum SendError {
    /// No connection came up.
    Connect(Box<dyn Error + Send + Sync>),
    /// The connection broke before the answer's head.
    Broken(hyper::Error),
    /// The URL names no host.
    NoHost,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect(_) => "no connection came up",
            Self::Broken(_) => "the connection broke before the answer's head",
            Self::NoHost => "the URL names no host",
        })
    }
}

impl Error for SendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connect(inner) => Some(&**inner),
            Self::Broken(inner) => Some(inner),
            Self::NoHost => None,
        }
    }
}

/// Sends requests over connections that it keeps: HTTP/1.1, or HTTP/2 where TLS negotiates it.
pub(crate) struct Pool {
    connector: Connector,
    lanes: ArcSwap<Lanes>,
    made: Instant,
    swept_s: AtomicU64,
}

enum Opened {
    Driven(Box<Driven>),
    Shared(http2::SendRequest<Sent>),
}

impl Pool {
    pub(super) fn new(connector: Connector) -> Self {
        Self { connector, lanes: ArcSwap::default(), made: Instant::now(), swept_s: AtomicU64::new(0) }
    }

    /// Sends a request with an absolute URL. What the answer's body is read from comes with it.
    pub(crate) async fn send(&self, mut request: Request<Sent>) -> Result<(Response<Incoming>, Link), SendError> {
        let target = request.uri().clone();
        let lane = self.lane(&target)?;
        // A request that a kept connection did not take comes back whole and goes to the next.
        loop {
            let opened = match lane.shared() {
                Some(shared) => Opened::Shared(shared),
                None => match poll_fn(|cx| Poll::Ready(lane.take(cx))).await {
                    Some(driven) => Opened::Driven(driven),
                    None => break,
                },
            };
            match exchange(opened, request, &target, &lane).await {
                Ok(answered) => return Ok(answered),
                Err((Some(unsent), _)) => request = unsent,
                Err((None, error)) => return Err(SendError::Broken(error)),
            }
        }
        // Boxed: connecting takes kilobytes of state that a kept connection has no use for.
        let opened = Box::pin(self.open(&target, &lane)).await?;
        exchange(opened, request, &target, &lane).await.map_err(|(_, error)| SendError::Broken(error))
    }

    async fn open(&self, target: &Uri, lane: &Lane) -> Result<Opened, SendError> {
        let line = self.connect(target).await?;
        if !line.connected().is_negotiated_h2() {
            return Driven::open(line).await.map(Opened::Driven).map_err(SendError::Broken);
        }
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_TIMEOUT)
            .keep_alive_timeout(PING_TIMEOUT)
            .handshake(line)
            .await
            .map_err(SendError::Broken)?;
        // It ends with its last sender: when the lane lets go of it and no call is left on it.
        TokioExecutor::new().execute(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a shared connection to a provider ended early");
            }
        });
        lane.share(sender.clone());
        Ok(Opened::Shared(sender))
    }

    async fn connect(&self, target: &Uri) -> Result<Line, SendError> {
        let mut connector = self.connector.clone();
        poll_fn(|cx| connector.poll_ready(cx)).await.map_err(SendError::Connect)?;
        connector.call(target.clone()).await.map_err(SendError::Connect)
    }

    fn lane(&self, target: &Uri) -> Result<Arc<Lane>, SendError> {
        let (Some(scheme), Some(authority)) = (target.scheme(), target.authority()) else {
            return Err(SendError::NoHost);
        };
        let origin = (scheme.clone(), authority.clone());
        self.sweep();
        if let Some(lane) = self.lanes.load().get(&origin) {
            return Ok(lane.clone());
        }
        let made = Arc::new(Lane::default());
        let added = self.lanes.rcu(|lanes| {
            let mut lanes = Lanes::clone(lanes);
            if lanes.len() >= MOST_LANES {
                lanes.retain(|_, lane| !lane.sweep(Instant::now()));
            }
            lanes.entry(origin.clone()).or_insert_with(|| made.clone());
            lanes
        });
        // Somebody else may have added it in the meantime; then that one counts.
        Ok(added.get(&origin).cloned().unwrap_or(made))
    }

    fn sweep(&self) {
        let age_s = self.made.elapsed().as_secs();
        let swept_s = self.swept_s.load(Ordering::Relaxed);
        let due = age_s >= swept_s + SWEEP_EVERY.as_secs();
        if due && self.swept_s.compare_exchange(swept_s, age_s, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let now = Instant::now();
            self.lanes.load().values().for_each(|lane| {
                lane.sweep(now);
            });
        }
    }
}

/// Sends a request over this connection. Where it was not sent at all it comes back with the error.
async fn exchange(
    opened: Opened,
    mut request: Request<Sent>,
    target: &Uri,
    lane: &Arc<Lane>,
) -> Result<(Response<Incoming>, Link), (Option<Request<Sent>>, hyper::Error)> {
    let unsent =
        |mut error: hyper::client::conn::TrySendError<Request<Sent>>| (error.take_message(), error.into_error());
    match opened {
        Opened::Driven(mut driven) => {
            in_origin_form(&mut request, target);
            let response = driven.exchange(request).await.map_err(unsent)?;
            let mut link = Link::driven(driven, lane.clone());
            if response.body().is_end_stream() {
                poll_fn(|cx| {
                    link.release(cx);
                    Poll::Ready(())
                })
                .await;
            }
            Ok((response, link))
        }
        Opened::Shared(mut sender) => {
            *request.uri_mut() = target.clone();
            *request.version_mut() = Version::HTTP_2;
            request.headers_mut().remove(HOST);
            let answered = sender.try_send_request(request).await;
            let response = answered.inspect_err(|_| lane.forget(&sender)).map_err(unsent)?;
            Ok((response, Link::shared()))
        }
    }
}

/// As HTTP/1.1 wants it: the host in its header, and of the URL only the path and query.
fn in_origin_form(request: &mut Request<Sent>, target: &Uri) {
    *request.version_mut() = Version::HTTP_11;
    if !request.headers().contains_key(HOST)
        && let Some(host) = target.authority().and_then(|authority| host_of(authority, target.scheme()))
    {
        request.headers_mut().insert(HOST, host);
    }
    let path = target.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
}

/// The host with its port, where that is not the scheme's own.
fn host_of(authority: &Authority, scheme: Option<&Scheme>) -> Option<HeaderValue> {
    let usual = if scheme == Some(&Scheme::HTTPS) { 443 } else { 80 };
    let text = match authority.port_u16() {
        Some(port) if port != usual => format!("{}:{port}", authority.host()),
        _ => authority.host().to_owned(),
    };
    HeaderValue::try_from(text).ok()
}
