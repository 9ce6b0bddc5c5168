//! A client that sees every frame, and leaves when it wants to.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A POST of JSON, without a key: [`crate::Gateway::send`] adds one.
#[must_use]
pub fn post(path: &str, body: &Value) -> Request<Bytes> {
    ask(Method::POST, path, body.to_string())
}

/// A GET.
#[must_use]
pub fn get(path: &str) -> Request<Bytes> {
    Request::builder().uri(path).body(Bytes::new()).unwrap()
}

/// A request with these bytes as its JSON body.
#[must_use]
pub fn ask(method: Method, path: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    Request::builder().method(method).uri(path).header("content-type", "application/json").body(body.into()).unwrap()
}

/// How an answer's body ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// In good order.
    Whole,
    /// The connection broke off.
    Broken,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, frame by frame.
    pub frames: Vec<Bytes>,
    /// How the body ended.
    pub ending: Ending,
}

impl Answer {
    /// The call's id, from the `Helicone-Id` header.
    #[must_use]
    pub fn id(&self) -> &str {
        id(&self.headers)
    }

    /// The body in one piece.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.frames.concat().into()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body()).into_owned()
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body()).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// The data of the stream's events, where they are JSON.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        crate::sse::events(&self.body()).into_iter().filter_map(crate::sse::data).collect()
    }
}

fn id(headers: &HeaderMap) -> &str {
    headers.get("helicone-id").expect("an answer without Helicone-Id").to_str().unwrap()
}

/// An answer under way.
pub struct Open {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    body: Incoming,
    _connection: JoinSet<()>,
}

impl Open {
    /// The call's id.
    #[must_use]
    pub fn id(&self) -> &str {
        id(&self.headers)
    }

    /// The next frame; none at the end, an error where the connection broke off.
    pub async fn frame(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        loop {
            match self.body.frame().await? {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Goes away, now.
    pub fn leave(self) {
        drop(self);
    }

    /// The rest of it.
    pub async fn collect(mut self) -> Answer {
        let (mut frames, mut ending) = (Vec::new(), Ending::Whole);
        while let Some(frame) = self.frame().await {
            match frame {
                Ok(frame) => frames.push(frame),
                Err(_) => ending = Ending::Broken,
            }
        }
        Answer { status: self.status, headers: std::mem::take(&mut self.headers), frames, ending }
    }
}

/// Sends a request on a connection of its own and waits for the head of the answer.
pub(crate) async fn open(address: SocketAddr, mut request: Request<Bytes>) -> Result<Open, hyper::Error> {
    let socket = TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let (mut sender, connection) = http1::handshake::<_, Full<Bytes>>(TokioIo::new(socket)).await?;
    let mut driving = JoinSet::new();
    driving.spawn(async move {
        // How the connection ends shows in the answer's body.
        let _ = connection.await;
    });
    if !request.headers().contains_key("host") {
        request.headers_mut().insert("host", address.to_string().parse().unwrap());
    }
    let response = sender.send_request(request.map(Full::new)).await?;
    let (head, body) = response.into_parts();
    Ok(Open { status: head.status, headers: head.headers, body, _connection: driving })
}
