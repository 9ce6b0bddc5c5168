//! What passes in a session.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::unfold;
use futures_util::{SinkExt, Stream, StreamExt};
use http_body::{Body, Frame};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use memchr::memmem;
use serde_json::json;
use tachograph_providers::SESSION_CLOSED;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::ClientSocket;
use crate::upstream::{Line, UpstreamBroken};

/// The largest message that is handed on, in bytes: OpenAI takes 15 MiB of sound at once.
const LARGEST_MESSAGE: usize = 32 << 20;
/// How long a side may take for its goodbye.
const GOODBYE: Duration = Duration::from_secs(5);
/// Events of clients that are nothing but sound.
const SOUND: &[u8] = b"\"input_audio_buffer.append\"";

type Client = WebSocketStream<TokioIo<Upgraded>>;
type Provider = WebSocketStream<TokioIo<Line>>;

/// Bounds of what is held of a session.
pub(super) fn limits() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(LARGEST_MESSAGE)).max_frame_size(Some(LARGEST_MESSAGE))
}

/// Whether the client left without a goodbye.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gone(Arc<AtomicBool>);

impl Gone {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A session under way: it passes while this is read.
pub(crate) struct SessionBody(Pin<Box<dyn Stream<Item = Result<Bytes, UpstreamBroken>> + Send>>);

impl SessionBody {
    pub(super) fn new(client: ClientSocket, provider: Provider, gone: Gone) -> Self {
        let session = Session { client: Side::Waiting(client), provider, gone, over: false };
        Self(Box::pin(unfold(session, |mut session| async move {
            let next = session.next().await?;
            Some((next, session))
        })))
    }
}

impl Body for SessionBody {
    type Data = Bytes;
    type Error = UpstreamBroken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamBroken>>> {
        self.0.as_mut().poll_next(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

enum Side {
    /// The client has not yet been told.
    Waiting(ClientSocket),
    Open(Box<Client>),
}

struct Session {
    client: Side,
    provider: Provider,
    gone: Gone,
    over: bool,
}

/// Who said what.
enum Said {
    Provider(Option<Message>),
    Client(Option<Message>),
}

impl Session {
    /// Hands messages on until there is one that the record is to know of.
    async fn next(&mut self) -> Option<Result<Bytes, UpstreamBroken>> {
        if self.over {
            return None;
        }
        if let Side::Waiting(socket) = &mut self.client {
            let Ok(upgraded) = (&mut socket.0).await else { return Some(Ok(self.left().await)) };
            let stream = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(limits())).await;
            self.client = Side::Open(Box::new(stream));
        }
        let Side::Open(client) = &mut self.client else { return None };
        loop {
            let said = tokio::select! {
                said = self.provider.next() => Said::Provider(said.and_then(Result::ok)),
                said = client.next() => Said::Client(said.and_then(Result::ok)),
            };
            match said {
                Said::Provider(Some(Message::Close(frame))) => {
                    self.over = true;
                    let line = closed("provider", frame.as_ref());
                    let _ = tokio::time::timeout(GOODBYE, client.as_mut().close(frame)).await;
                    return Some(Ok(line));
                }
                Said::Client(Some(Message::Close(frame))) => {
                    self.over = true;
                    let line = closed("client", frame.as_ref());
                    let _ = tokio::time::timeout(GOODBYE, self.provider.close(frame)).await;
                    // The answer to a close is written when the next message is asked for.
                    let _ = tokio::time::timeout(GOODBYE, client.next()).await;
                    return Some(Ok(line));
                }
                Said::Provider(Some(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    let line = line(&message);
                    if client.send(message).await.is_err() {
                        return Some(Ok(self.left().await));
                    }
                    if let Some(line) = line {
                        return Some(Ok(line));
                    }
                }
                Said::Client(Some(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    let line =
                        line(&message).filter(|line| memmem::find(&line[..line.len().min(256)], SOUND).is_none());
                    if self.provider.send(message).await.is_err() {
                        return self.broken().await;
                    }
                    if let Some(line) = line {
                        return Some(Ok(line));
                    }
                }
                // Each connection answers its own pings.
                Said::Provider(Some(_)) | Said::Client(Some(_)) => {}
                Said::Provider(None) => return self.broken().await,
                Said::Client(None) => return Some(Ok(self.left().await)),
            }
        }
    }

    /// The client is gone without a word; the provider need not go on.
    async fn left(&mut self) -> Bytes {
        self.over = true;
        self.gone.set();
        let _ = tokio::time::timeout(GOODBYE, self.provider.close(None)).await;
        Bytes::new()
    }

    /// The provider is gone without a word, and the client is told.
    async fn broken(&mut self) -> Option<Result<Bytes, UpstreamBroken>> {
        self.over = true;
        if let Side::Open(client) = &mut self.client {
            let frame = CloseFrame { code: 1011.into(), reason: "The provider's connection broke off.".into() };
            let _ = tokio::time::timeout(GOODBYE, client.as_mut().close(Some(frame))).await;
        }
        Some(Err(UpstreamBroken::Connection))
    }
}

/// A message as a line, if it is JSON.
fn line(message: &Message) -> Option<Bytes> {
    let bytes = match message {
        Message::Text(text) => text.as_bytes(),
        Message::Binary(bytes) => bytes,
        _ => return None,
    };
    if !bytes.starts_with(b"{") {
        return None;
    }
    let mut line = BytesMut::with_capacity(bytes.len() + 1);
    // A line's end inside JSON is white space.
    line.extend(bytes.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }));
    line.put_u8(b'\n');
    Some(line.freeze())
}

/// The line that says how a session was closed.
fn closed(by: &str, frame: Option<&CloseFrame>) -> Bytes {
    let code = frame.map(|frame| u16::from(frame.code));
    let reason = frame.map(|frame| frame.reason.as_str());
    Bytes::from(format!("{}\n", json!({ "type": SESSION_CLOSED, "by": by, "code": code, "reason": reason })))
}
