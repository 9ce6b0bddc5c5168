//! Signs of life for the clients of silent streams.
//!
//! Load balancers cut a connection that is silent for a minute or so, and a model may think for longer. So an event stream
//! that is silent gets a comment now and then, which every SSE client skips: between two events only, never inside one. It
//! stands outside the meter: it is no first byte, no token, and not on the record.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};
use tower::{Layer, Service};

const COMMENT: Bytes = Bytes::from_static(b": ping\n\n");
/// nginx would gather a stream before it hands it on.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Puts a comment into event streams that are silent for so long; none, never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeepAliveLayer(pub Option<Duration>);

impl<Inner> Layer<Inner> for KeepAliveLayer {
    type Service = KeepAlive<Inner>;

    fn layer(&self, inner: Inner) -> KeepAlive<Inner> {
        KeepAlive { inner, every: self.0 }
    }
}

/// The service of [`KeepAliveLayer`].
#[derive(Clone)]
pub(crate) struct KeepAlive<Inner> {
    inner: Inner,
    every: Option<Duration>,
}

impl<Inner, RequestBody, ResponseBody> Service<Request<RequestBody>> for KeepAlive<Inner>
where
    Inner: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
{
    type Response = Response<KeptAlive<ResponseBody>>;
    type Error = Inner::Error;
    type Future = KeepAliveFuture<Inner::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Inner::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        KeepAliveFuture { inner: self.inner.call(request), every: self.every }
    }
}

pin_project! {
    /// Waits for the answer's head.
    pub(crate) struct KeepAliveFuture<F> {
        #[pin]
        inner: F,
        every: Option<Duration>,
    }
}

impl<F, B, E> Future for KeepAliveFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<KeptAlive<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        let headers = response.headers_mut();
        let events = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if events && !headers.contains_key(&BUFFERING) {
            headers.insert(BUFFERING, HeaderValue::from_static("no"));
        }
        // A length that was told has no room for comments.
        let every = this.every.filter(|_| events && !headers.contains_key(CONTENT_LENGTH));
        Poll::Ready(Ok(response.map(|inner| KeptAlive { inner, every, silence: None, tail: [b'\n'; 2] })))
    }
}

pin_project! {
    /// An answer's body, with a comment where it is silent.
    pub(crate) struct KeptAlive<B> {
        #[pin]
        inner: B,
        every: Option<Duration>,
        silence: Option<Silence>,
        // The last two bytes that say where lines end; two line ends are the end of an event.
        tail: [u8; 2],
    }
}

/// How long nothing has come. The timer is set anew only where it fires too early.
struct Silence {
    since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl Silence {
    fn poll_over(&mut self, every: Duration, cx: &mut Context<'_>) -> bool {
        let due = *self.since.get_or_insert_with(Instant::now) + every;
        while self.timer.as_mut().poll(cx).is_ready() {
            if self.timer.deadline() >= due {
                self.since = Some(Instant::now());
                self.timer.as_mut().reset(Instant::now() + every);
                // Polled once more, so that it wakes this task again.
                let _ = self.timer.as_mut().poll(cx);
                return true;
            }
            self.timer.as_mut().reset(due);
        }
        false
    }
}

/// The last two line ends or other bytes, with CRLF and CR read as LF.
fn follow(tail: &mut [u8; 2], piece: &[u8], after_cr: bool) {
    let mut previous_cr = after_cr;
    for &byte in &piece[piece.len().saturating_sub(4)..] {
        if byte == b'\n' && previous_cr {
            previous_cr = false;
            continue;
        }
        previous_cr = byte == b'\r';
        *tail = [tail[1], if byte == b'\r' { b'\r' } else { byte }];
    }
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

impl<B: Body<Data = Bytes>> Body for KeptAlive<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let Some(every) = *this.every else { return this.inner.poll_frame(cx) };
        match this.inner.poll_frame(cx) {
            Poll::Ready(frame) => {
                if let Some(silence) = this.silence {
                    silence.since = None;
                }
                if let Some(Ok(frame)) = &frame
                    && let Some(piece) = frame.data_ref()
                {
                    follow(this.tail, piece, this.tail[1] == b'\r');
                }
                Poll::Ready(frame)
            }
            Poll::Pending => {
                let silence = this
                    .silence
                    .get_or_insert_with(|| Silence { since: None, timer: Box::pin(tokio::time::sleep(every)) });
                let over = silence.poll_over(every, cx);
                if over && this.tail.iter().all(|&byte| is_line_end(byte)) {
                    return Poll::Ready(Some(Ok(Frame::data(COMMENT))));
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.every.is_some() { SizeHint::default() } else { self.inner.size_hint() }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, channel::Channel};

    use super::*;

    async fn answer(
        kind: &'static str,
    ) -> (http_body_util::channel::Sender<Bytes>, Response<KeptAlive<Channel<Bytes>>>) {
        let (sender, body) = Channel::<Bytes>::new(8);
        let mut body = Some(body);
        let inner = tower::service_fn(move |_request: Request<()>| {
            let response = Response::builder().header(CONTENT_TYPE, kind).body(body.take().unwrap()).unwrap();
            async move { Ok::<_, std::convert::Infallible>(response) }
        });
        let mut service = KeepAliveLayer(Some(Duration::from_secs(10))).layer(inner);
        (sender, service.call(Request::new(())).await.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn hard_case_13_a_silent_stream_gets_comments_between_its_events_and_never_inside_one() {
        for (whole, half) in
            [("data: 1\n\n", "data: 2\n"), ("data: 1\r\n\r\n", "data: 2\r\n"), ("data: 1\r\r", "data: 2")]
        {
            let (mut sender, response) = answer("text/event-stream; charset=utf-8").await;
            assert_eq!(response.headers()[BUFFERING], "no");
            let mut body = response.into_body();
            let began = Instant::now();
            for _ in 0..3 {
                assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), COMMENT);
            }
            assert_eq!(began.elapsed().as_secs(), 30, "before the first event, and then on schedule");
            sender.send_data(Bytes::from_static(whole.as_bytes())).await.unwrap();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), whole);
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), COMMENT);
            sender.send_data(Bytes::from_static(half.as_bytes())).await.unwrap();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), half);
            let inside = tokio::time::timeout(Duration::from_secs(100), body.frame()).await;
            assert!(inside.is_err(), "a comment inside an event");
            drop(sender);
            assert!(body.frame().await.is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn hard_case_13_a_document_gets_none() {
        let (_sender, response) = answer("application/json").await;
        assert!(!response.headers().contains_key(BUFFERING));
        let silent = tokio::time::timeout(Duration::from_secs(100), response.into_body().frame()).await;
        assert!(silent.is_err());
    }
}
