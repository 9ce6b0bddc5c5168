//! A provider's answer as it comes.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

use super::driven::Link;
use crate::demo::DemoBody;
use crate::session::SessionBody;

/// A provider's answer broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamBroken {
    /// The connection failed or closed early.
    Connection,
    /// Nothing came for as long as `upstream.idle_timeout` allows.
    Silent,
}

impl fmt::Display for UpstreamBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "the provider's connection broke off in the middle of the answer",
            Self::Silent => "the provider went silent in the middle of the answer (upstream.idle_timeout)",
        })
    }
}

impl std::error::Error for UpstreamBroken {}

pin_project! {
    /// A provider's answer, frame by frame as it comes, given up when it is silent for too long.
    #[project = UpstreamBodyProj]
    pub enum UpstreamBody {
        /// From a connection.
        Http { #[pin] body: Incoming, link: Link, idle: IdleTimer, broken: bool },
        /// From the provider inside this process.
        Demo { #[pin] body: DemoBody },
        /// What passes in a session.
        Session { #[pin] body: SessionBody },
    }
}

impl UpstreamBody {
    pub(super) fn http(body: Incoming, link: Link, idle: Duration) -> Self {
        Self::Http { body, link, idle: IdleTimer::new(idle), broken: false }
    }

    pub(super) fn session(body: SessionBody) -> Self {
        Self::Session { body }
    }

    pub(super) fn demo(body: DemoBody) -> Self {
        Self::Demo { body }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = UpstreamBroken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamBroken>>> {
        match self.project() {
            UpstreamBodyProj::Http { broken: true, .. } => Poll::Ready(Some(Err(UpstreamBroken::Connection))),
            UpstreamBodyProj::Http { body, link, idle, broken } => match link.poll_frame(body, cx) {
                Poll::Ready(Some(Err(_))) => {
                    // The break may have come with the last bytes, and a server that is told of it at once drops what it
                    // has not written yet. One turn later the client has what the provider sent.
                    *broken = true;
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Poll::Ready(frame) => {
                    idle.stop();
                    Poll::Ready(frame.map(|frame| frame.map_err(|_| UpstreamBroken::Connection)))
                }
                Poll::Pending if idle.poll_expired(cx) => Poll::Ready(Some(Err(UpstreamBroken::Silent))),
                Poll::Pending => Poll::Pending,
            },
            UpstreamBodyProj::Demo { body } => body.poll_frame(cx),
            UpstreamBodyProj::Session { body } => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http { body, .. } => body.is_end_stream(),
            Self::Demo { body } => body.is_end_stream(),
            Self::Session { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http { body, .. } => body.size_hint(),
            Self::Demo { body } => body.size_hint(),
            Self::Session { body } => body.size_hint(),
        }
    }
}

/// Measures silence without touching the runtime's timers for every frame: the timer is set once, and only when it fires
/// is it set anew for what is left since the last frame.
pub struct IdleTimer {
    limit: Duration,
    silent_since: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl IdleTimer {
    fn new(limit: Duration) -> Self {
        Self { limit, silent_since: None, sleep: None }
    }

    fn stop(&mut self) {
        self.silent_since = None;
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> bool {
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        let due = since + self.limit;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= due {
                return true;
            }
            sleep.as_mut().reset(due);
        }
        false
    }
}
