//! An upstream written against a socket: it keeps what it was sent, and answers as it is told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::{Cut, Pace, Reply};

/// Writes without a pace go out in blocks of about this many bytes.
const BLOCK: usize = 64 << 10;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub target: String,
    /// Its headers as they stood, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Bytes,
}

impl Seen {
    /// The first header of this (lower-case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON, or null.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Whether these bytes stand anywhere in it: head or body.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        let in_headers = self.headers.iter().any(|(name, value)| name.contains(text) || value.contains(text));
        self.target.contains(text) || in_headers || String::from_utf8_lossy(&self.body).contains(text)
    }
}

type Answering = dyn Fn(&Seen) -> Reply + Send + Sync;

struct Shared {
    answering: Box<Answering>,
    seen: Mutex<Vec<Seen>>,
    left: AtomicUsize,
    sent: AtomicUsize,
    accepted: AtomicUsize,
}

/// A running upstream; gone when it is dropped.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    _accepting: JoinSet<()>,
}

impl Upstream {
    /// Starts one on a free port that answers each request so.
    pub async fn answering(answering: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::answering_on("127.0.0.1:0", answering).await
    }

    /// Starts one on this address.
    pub async fn answering_on(address: &str, answering: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            answering: Box::new(answering),
            seen: Mutex::default(),
            left: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
        });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, shared.clone()));
        Self { address, shared, _accepting: accepting }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The last request.
    #[must_use]
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("nothing reached the upstream")
    }

    /// How many clients left before they had their whole answer.
    #[must_use]
    pub fn left(&self) -> usize {
        self.shared.left.load(Ordering::SeqCst)
    }

    /// How many pieces of bodies have been sent, all answers together.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// How many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (socket, _) = accepted.unwrap();
                socket.set_nodelay(true).unwrap();
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(socket, shared.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// How an answer ended: the connection serves on, or it does not.
enum After {
    KeepAlive,
    Closed,
    /// The client went away before the answer was whole.
    Left,
}

async fn serve(mut socket: TcpStream, shared: Arc<Shared>) {
    let mut buffer = BytesMut::new();
    while let Some(request) = read(&mut socket, &mut buffer).await {
        let reply = (shared.answering)(&request);
        shared.seen.lock().unwrap().push(request);
        match play(&mut socket, reply, &shared.sent).await {
            After::KeepAlive => {}
            After::Closed => return,
            After::Left => {
                shared.left.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    }
}

async fn read(socket: &mut TcpStream, buffer: &mut BytesMut) -> Option<Seen> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if socket.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&buffer.split_to(head_end)).into_owned();
    buffer.advance(4);
    let mut lines = head.split("\r\n");
    let mut start = lines.next()?.split(' ');
    let (method, target) = (start.next()?.to_owned(), start.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, len)| len.parse().unwrap());
    while buffer.len() < length {
        if socket.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    Some(Seen { method, target, headers, body: buffer.split_to(length).freeze() })
}

async fn play(socket: &mut TcpStream, reply: Reply, sent: &AtomicUsize) -> After {
    let Reply { before_head, head, pieces, chunked, pace, cut } = reply;
    if let Some(silent) = before_head
        && unless_gone(socket, tokio::time::sleep(silent)).await.is_none()
    {
        return After::Left;
    }
    let mut block = BytesMut::from(&head[..]);
    for (number, piece) in pieces.iter().enumerate() {
        if cut.is_some_and(|(after, _)| after == number) {
            break;
        }
        if let Some(pace) = &pace
            && (flush(socket, &mut block).await.is_err() || wait(socket, pace).await.is_none())
        {
            return After::Left;
        }
        if chunked {
            block.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        }
        block.extend_from_slice(piece);
        if chunked {
            block.extend_from_slice(b"\r\n");
        }
        if (pace.is_some() || block.len() >= BLOCK) && flush(socket, &mut block).await.is_err() {
            return After::Left;
        }
        sent.fetch_add(1, Ordering::SeqCst);
    }
    if chunked && cut.is_none() {
        block.extend_from_slice(b"0\r\n\r\n");
    }
    if flush(socket, &mut block).await.is_err() {
        return After::Left;
    }
    match cut {
        None => After::KeepAlive,
        Some((_, cut)) => break_off(socket, cut).await,
    }
}

async fn break_off(socket: &mut TcpStream, cut: Cut) -> After {
    match cut {
        Cut::Reset => {
            // What was sent must have been read before the reset overtakes it.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            socket.set_zero_linger().unwrap();
            After::Closed
        }
        Cut::Close => After::Closed,
        Cut::Garbage => {
            let _ = socket.write_all(b"\x00\xffthis is no chunk\r\n").await;
            After::Closed
        }
        Cut::Silence => match unless_gone(socket, std::future::pending::<()>()).await {
            Some(()) => After::KeepAlive,
            None => After::Left,
        },
    }
}

async fn flush(socket: &mut TcpStream, block: &mut BytesMut) -> std::io::Result<()> {
    if !block.is_empty() {
        socket.write_all(block).await?;
        block.clear();
    }
    Ok(())
}

async fn wait(socket: &mut TcpStream, pace: &Pace) -> Option<()> {
    match pace {
        Pace::Every(span) => unless_gone(socket, tokio::time::sleep(*span)).await,
        Pace::Told(permits) => {
            let permits = permits.clone();
            unless_gone(socket, async move { permits.acquire_owned().await.unwrap().forget() }).await
        }
    }
}

/// Waits for `event`, unless the client goes away first.
async fn unless_gone<T>(socket: &mut TcpStream, event: impl Future<Output = T>) -> Option<T> {
    let mut byte = [0; 1];
    tokio::select! {
        biased;
        value = event => Some(value),
        // A byte would be a second request sent ahead; nobody here does that.
        _ = socket.peek(&mut byte) => None,
    }
}
