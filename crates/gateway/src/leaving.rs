//! Clients that leave before their answer's end.
//!
//! A provider charges for what it made, whoever listens. `cancel` closes its connection at once, and what was used is
//! estimated; `drain` reads the answer on, in a task that is awaited at shutdown, so that the record has the provider's own
//! usage and its cost. It stands outside the meter, whose body it reads on: the record is closed once either way.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tachograph_telemetry::{MeterFuture, MeteredBody, RecordSink};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tower::{Layer, Service};

use crate::config::{OnDisconnect, StreamsConfig};

const HEADER: HeaderName = HeaderName::from_static("tachograph-on-disconnect");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Answers that are read on at a time; further ones are cancelled.
const MOST: usize = 256;

/// What becomes of answers whose clients have left, and those that are read on.
#[derive(Clone)]
pub struct Leaving(Arc<Shared>);

struct Shared {
    usual: OnDisconnect,
    longest: Duration,
    most_bytes: usize,
    room: Arc<Semaphore>,
    tasks: Mutex<JoinSet<()>>,
}

impl Leaving {
    /// As `streams` says.
    #[must_use]
    pub fn new(config: &StreamsConfig) -> Self {
        Self(Arc::new(Shared {
            usual: config.on_disconnect,
            longest: config.drain_for.duration(),
            most_bytes: config.drain_bytes.bytes(),
            room: Arc::new(Semaphore::new(MOST)),
            tasks: Mutex::default(),
        }))
    }

    /// Lets what is read on finish for at most so long, then gives it up; its records are closed when this returns.
    pub async fn finish(&self, within: Duration) {
        let mut tasks = std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let _given_up = tokio::time::timeout(within, async { while tasks.join_next().await.is_some() {} }).await;
        tasks.shutdown().await;
    }

    /// Runs what outlives its answer's head, and is awaited at shutdown like what is read on: a session. Dropped, it closes
    /// its record.
    pub(crate) fn outlive(&self, task: impl Future<Output = ()> + Send + 'static) {
        let Ok(runtime) = Handle::try_current() else { return };
        let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn_on(task, &runtime);
    }

    fn drains(&self, headers: &HeaderMap) -> bool {
        let said = headers.get(&HEADER).and_then(|value| OnDisconnect::named(value.to_str().ok()?));
        // Who may send a call again under one key wants it made once, also where it was not there for the answer.
        let usual = || if headers.contains_key(IDEMPOTENCY_KEY) { OnDisconnect::Drain } else { self.0.usual };
        said.unwrap_or_else(usual) == OnDisconnect::Drain
    }

    /// Room to read one more answer on.
    fn room(&self) -> Option<Room> {
        Room::among(&self.0.room)
    }

    /// Runs this in a task of its own. Dropped, it closes its record.
    pub(crate) fn go_on(&self, room: Room, reading: impl Future<Output = ()> + Send + 'static) {
        let Room { runtime, permit } = room;
        let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // What is done already is forgotten here.
        while tasks.try_join_next().is_some() {}
        let task = async move {
            reading.await;
            drop(permit);
        };
        tasks.spawn_on(task, &runtime);
    }

    /// Reads a body on to its end, or until there was enough of it.
    async fn read<B, S>(self, mut body: Pin<Box<MeteredBody<B, S>>>, since: tokio::time::Instant)
    where
        B: Body<Data = Bytes>,
        S: RecordSink,
    {
        let (mut read, due) = (0, since + self.0.longest);
        loop {
            let frame = tokio::time::timeout_at(due, poll_fn(|cx| body.as_mut().poll_frame(cx))).await;
            match frame {
                Ok(Some(Ok(frame))) => read += frame.data_ref().map_or(0, Bytes::len),
                Ok(Some(Err(_)) | None) => return,
                Err(_) => return body.note("it was given up there (streams.drain_for)"),
            }
            if read > self.0.most_bytes {
                return body.note("it was given up there (streams.drain_bytes)");
            }
        }
    }
}

/// The right to run a task beside.
pub(crate) struct Room {
    runtime: Handle,
    permit: OwnedSemaphorePermit,
}

impl Room {
    /// Room for one more of those that are counted there.
    pub(crate) fn among(of: &Arc<Semaphore>) -> Option<Self> {
        let runtime = Handle::try_current().ok()?;
        Some(Self { runtime, permit: of.clone().try_acquire_owned().ok()? })
    }
}

/// Reads answers on whose clients have left, where that is wanted.
#[derive(Clone)]
pub(crate) struct LeavingLayer(pub(crate) Leaving);

impl<Inner> Layer<Inner> for LeavingLayer {
    type Service = Leave<Inner>;

    fn layer(&self, inner: Inner) -> Leave<Inner> {
        Leave { inner, leaving: self.0.clone() }
    }
}

/// The service of [`LeavingLayer`].
#[derive(Clone)]
pub(crate) struct Leave<Inner> {
    inner: Inner,
    leaving: Leaving,
}

impl<Inner, F, R, B, S, E> Service<Request<R>> for Leave<Inner>
where
    Inner: Service<Request<R>, Response = Response<MeteredBody<B, S>>, Error = E, Future = MeterFuture<F, S>>,
    F: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Send,
    S: RecordSink,
    E: Send + 'static,
{
    type Response = Response<LeftBody<B, S>>;
    type Error = E;
    type Future = LeaveFuture<F, S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let drains = self.leaving.drains(request.headers());
        let inner = self.inner.call(request);
        if drains {
            let held =
                Held { inner: Some(Box::pin(inner)), leaving: self.leaving.clone(), leave: leave_future::<F, B, S, E> };
            LeaveFuture::Drained { held }
        } else {
            LeaveFuture::Cancelled { inner }
        }
    }
}

/// What goes on when it is dropped.
struct Held<T> {
    inner: Option<Pin<Box<T>>>,
    leaving: Leaving,
    leave: fn(Leaving, Pin<Box<T>>),
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take()
            && !std::thread::panicking()
        {
            (self.leave)(self.leaving.clone(), inner);
        }
    }
}

fn leave_future<F, B, S, E>(leaving: Leaving, mut future: Pin<Box<MeterFuture<F, S>>>)
where
    F: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Send,
    S: RecordSink,
    E: Send + 'static,
{
    let Some(room) = leaving.room().filter(|_| future.as_mut().leave()) else { return };
    let (since, reading) = (tokio::time::Instant::now(), leaving.clone());
    leaving.go_on(room, async move {
        let answered = tokio::time::timeout_at(since + reading.0.longest, future).await;
        if let Ok(Ok(response)) = answered {
            reading.read(Box::pin(response.into_body()), since).await;
        }
    });
}

fn leave_body<B, S>(leaving: Leaving, mut body: Pin<Box<MeteredBody<B, S>>>)
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Send,
    S: RecordSink,
{
    if let Some(room) = leaving.room().filter(|_| body.as_mut().leave()) {
        leaving.go_on(room, leaving.clone().read(body, tokio::time::Instant::now()));
    }
}

pin_project! {
    /// Waits for the answer's head.
    #[project = LeaveFutureProj]
    pub(crate) enum LeaveFuture<F, S: RecordSink> {
        /// Its end is the call's.
        Cancelled { #[pin] inner: MeterFuture<F, S> },
        /// Dropped, it goes on.
        Drained { held: Held<MeterFuture<F, S>> },
    }
}

impl<F, B, S, E> Future for LeaveFuture<F, S>
where
    F: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Send,
    S: RecordSink,
    E: Send + 'static,
{
    type Output = Result<Response<LeftBody<B, S>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            LeaveFutureProj::Cancelled { inner } => {
                let response = ready!(inner.poll(cx))?;
                Poll::Ready(Ok(response.map(|body| LeftBody::Cancelled { body })))
            }
            LeaveFutureProj::Drained { held } => {
                let Some(inner) = &mut held.inner else { return Poll::Pending };
                let result = ready!(inner.as_mut().poll(cx));
                held.inner = None;
                let leaving = held.leaving.clone();
                let keep = |body| Held { inner: Some(Box::pin(body)), leaving, leave: leave_body::<B, S> };
                Poll::Ready(Ok(result?.map(|body| LeftBody::Drained { held: keep(body) })))
            }
        }
    }
}

pin_project! {
    /// An answer's body.
    #[project = LeftBodyProj]
    pub(crate) enum LeftBody<B: Body, S: RecordSink> {
        /// Dropped, it is over.
        Cancelled { #[pin] body: MeteredBody<B, S> },
        /// Dropped, it is read on.
        Drained { held: Held<MeteredBody<B, S>> },
    }
}

impl<B, S> Body for LeftBody<B, S>
where
    B: Body<Data = Bytes>,
    S: RecordSink,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project() {
            LeftBodyProj::Cancelled { body } => body.poll_frame(cx),
            LeftBodyProj::Drained { held } => match &mut held.inner {
                Some(body) => body.as_mut().poll_frame(cx),
                None => Poll::Ready(None),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Cancelled { body } => body.is_end_stream(),
            Self::Drained { held } => held.inner.as_ref().is_none_or(|body| body.is_end_stream()),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Cancelled { body } => body.size_hint(),
            Self::Drained { held } => held.inner.as_ref().map_or_else(SizeHint::default, |body| body.size_hint()),
        }
    }
}
