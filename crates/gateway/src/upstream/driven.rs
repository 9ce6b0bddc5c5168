//! An HTTP/1.1 connection that is driven by the request it serves, not by a task of its own: an answer's bytes go from the
//! socket to the client without a hop between tasks.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use tokio::time::Instant;

use super::connect::Line;
use super::lane::Lane;
use crate::upload::Sent;

/// One connection, for one exchange after the other.
pub(super) struct Driven {
    sender: SendRequest<Sent>,
    connection: Connection<Line, Sent>,
    closed: bool,
    /// When its last exchange ended.
    pub(super) idle_since: Instant,
}

impl Driven {
    pub(super) async fn open(line: Line) -> hyper::Result<Box<Self>> {
        let (sender, connection) = handshake(line).await?;
        let mut driven = Box::new(Self { sender, connection, closed: false, idle_since: Instant::now() });
        // The first poll makes it ready for a request.
        poll_fn(|cx| {
            driven.drive(cx);
            Poll::Ready(())
        })
        .await;
        Ok(driven)
    }

    /// Lets the connection read and write as far as it can.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.closed {
            self.closed = Pin::new(&mut self.connection).poll(cx).is_ready();
        }
    }

    /// Whether it can take a request now. A connection that the provider closed while it was idle says so here.
    pub(super) fn is_ready(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        !self.closed && self.sender.is_ready()
    }

    /// Sends a request and waits for the answer's head.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Sent>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Sent>>> {
        let mut answering = pin!(self.sender.try_send_request(request));
        poll_fn(|cx| {
            self.drive(cx);
            answering.as_mut().poll(cx)
        })
        .await
    }
}

/// What an answer's body is read from. Dropped before the body's end it closes the connection, which tells the provider
/// that nobody waits any more.
pub struct Link(Option<(Box<Driven>, Arc<Lane>)>);

impl Link {
    pub(super) fn driven(driven: Box<Driven>, lane: Arc<Lane>) -> Self {
        Self(Some((driven, lane)))
    }

    /// A connection that other calls share is driven by its own task.
    pub(super) const fn shared() -> Self {
        Self(None)
    }

    /// The body's next frame.
    pub(super) fn poll_frame(&mut self, mut body: Pin<&mut Incoming>, cx: &mut Context<'_>) -> PolledFrame {
        // The body's first word asks the connection for more; what it then reads is there at the second.
        let mut polled = body.as_mut().poll_frame(cx);
        if polled.is_pending()
            && let Some((driven, _)) = &mut self.0
        {
            driven.drive(cx);
            polled = body.as_mut().poll_frame(cx);
        }
        if matches!(polled, Poll::Ready(None)) || (polled.is_ready() && body.is_end_stream()) {
            self.release(cx);
        }
        polled
    }

    /// Gives the connection back, if it can serve again.
    pub(super) fn release(&mut self, cx: &mut Context<'_>) {
        if let Some((mut driven, lane)) = self.0.take()
            && driven.is_ready(cx)
        {
            driven.idle_since = Instant::now();
            lane.keep(driven);
        }
    }
}

/// What polling an answer's body gives.
pub(super) type PolledFrame = Poll<Option<Result<http_body::Frame<Bytes>, hyper::Error>>>;
