//! Uploads pass: nothing holds them, whatever their size, and their fields are found all the same.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tachograph_tests::{Gateway, KEY};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

const UPLOADS: usize = 50;
const SIZE: usize = 20 << 20;
const BOUNDARY: &str = "----a-boundary";

/// A provider that reads uploads and keeps nothing of them but their length, a sum of their bytes, and both ends.
struct Provider {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    broken: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    head: String,
    length: usize,
    sum: u64,
    end: Vec<u8>,
}

async fn provider(status: u16) -> Provider {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, broken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counters = (asked.clone(), broken.clone());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let (asked, broken) = counters.clone();
            connections.spawn(async move {
                loop {
                    let Some(seen) = read(&mut socket, &asked).await else {
                        broken.fetch_add(1, Ordering::SeqCst);
                        return;
                    };
                    let body = json!({ "text": "hello", "length": seen.length, "sum": seen.sum, "head": seen.head,
                        "end": String::from_utf8_lossy(&seen.end) });
                    let body = body.to_string();
                    let head = format!(
                        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                        body.len()
                    );
                    socket.write_all((head + &body).as_bytes()).await.unwrap();
                }
            });
        }
    });
    Provider { address, asked, broken, _serving: serving }
}

/// One request with a length; none where the connection ends before it is whole.
async fn read(socket: &mut TcpStream, asked: &AtomicUsize) -> Option<Seen> {
    let (mut seen, mut buffer) = (Seen::default(), Vec::new());
    let at = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if socket.read_buf(&mut buffer).await.ok()? == 0 {
            return None;
        }
    };
    asked.fetch_add(1, Ordering::SeqCst);
    seen.head = String::from_utf8(buffer[..at].to_vec()).unwrap().to_ascii_lowercase();
    let length = seen.head.split("content-length: ").nth(1).expect("a length").split('\r').next().unwrap();
    let length: usize = length.parse().unwrap();
    let mut piece = buffer.split_off(at + 4);
    loop {
        seen.length += piece.len();
        seen.sum += piece.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        seen.end.extend_from_slice(&piece);
        let start = seen.end.len().saturating_sub(300);
        seen.end.drain(..start);
        if seen.length >= length {
            return Some(seen);
        }
        piece = vec![0; 256 << 10];
        let read = socket.read(&mut piece).await.ok().filter(|read| *read > 0)?;
        piece.truncate(read);
    }
}

async fn before(provider: &Provider, more: &str) -> Gateway {
    let at = provider.address;
    let yaml = format!(
        "listen: 127.0.0.1:0\napi_key: {KEY}\nretries: {{ max_attempts: 3 }}\n{more}\nproviders:\n  openai: {{ base_url: 'http://{at}/v1', api_keys: [a, b] }}\n  groq: {{ base_url: 'http://{at}/openai/v1', api_keys: [c] }}\n"
    );
    Gateway::configured(&yaml).start().await
}

fn part(head: &str, value: &str) -> String {
    format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
}

/// What stands before and behind a file in a form; `first`: whether the model is named before it.
fn form(model: &str, first: bool) -> (String, String) {
    let file = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n"
    );
    let named = part("name=\"model\"", model);
    let end = format!("--{BOUNDARY}--\r\n");
    if first { (named + &file, format!("\r\n{end}")) } else { (file, format!("\r\n{named}{end}")) }
}

/// A client that has sent a part of its upload.
struct Sending {
    socket: TcpStream,
    behind: String,
    sent: usize,
}

impl Sending {
    async fn begin(gateway: &Gateway, path: &str, model: &str, first: bool, id: &str) -> Self {
        let (ahead, behind) = form(model, first);
        let length = ahead.len() + SIZE + behind.len();
        let mut socket = TcpStream::connect(gateway.address()).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\nhelicone-request-id: {id}\r\n\
             content-type: multipart/form-data; boundary={BOUNDARY}\r\ncontent-length: {length}\r\n\r\n{ahead}"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        Self { socket, behind, sent: 0 }
    }

    async fn send_up_to(&mut self, end: usize) {
        let block = vec![7_u8; 256 << 10];
        while self.sent < end {
            let piece = &block[..block.len().min(end - self.sent)];
            self.socket.write_all(piece).await.unwrap();
            self.sent += piece.len();
        }
    }

    async fn finish(mut self) -> (u16, Value) {
        self.send_up_to(SIZE).await;
        self.socket.write_all(self.behind.as_bytes()).await.unwrap();
        answer(&mut self.socket).await
    }
}

async fn answer(socket: &mut TcpStream) -> (u16, Value) {
    let mut buffer = Vec::new();
    loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..at]).to_ascii_lowercase();
            let length: usize =
                head.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap().parse().unwrap();
            if buffer.len() >= at + 4 + length {
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                return (status, serde_json::from_slice(&buffer[at + 4..]).unwrap_or_default());
            }
        }
        assert_ne!(
            socket.read_buf(&mut buffer).await.unwrap(),
            0,
            "no whole answer: {}",
            String::from_utf8_lossy(&buffer)
        );
    }
}

fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_36_fifty_uploads_of_20_mb_pass_with_flat_memory() {
    let provider = provider(200).await;
    let gateway = Arc::new(before(&provider, "").await);
    // Each way once, so that what is set up at first is not counted.
    let ways = [
        ("/openai/v1/audio/transcriptions", "whisper-1", true),
        ("/openai/v1/audio/transcriptions", "whisper-1", false),
        ("/v1/audio/transcriptions", "openai/whisper-1", true),
        ("/v1/audio/transcriptions", "openai/whisper-1", false),
        ("/v1/files", "whisper-1", true),
    ];
    for (number, (path, model, first)) in ways.into_iter().enumerate() {
        let (status, seen) = Sending::begin(&gateway, path, model, first, &id(900 + number)).await.finish().await;
        assert_eq!(status, 200, "{seen}");
    }
    let before = gateway.resident();
    let (middle, go_on) = (Arc::new(Barrier::new(UPLOADS + 1)), Arc::new(Barrier::new(UPLOADS + 1)));
    let mut clients = JoinSet::new();
    for number in 0..UPLOADS {
        let (gateway, middle, go_on) = (gateway.clone(), middle.clone(), go_on.clone());
        clients.spawn(async move {
            let (path, model, first) = ways[number % ways.len()];
            let mut sending = Sending::begin(&gateway, path, model, first, &id(number)).await;
            sending.send_up_to(SIZE * 3 / 4).await;
            middle.wait().await;
            go_on.wait().await;
            let (status, seen) = sending.finish().await;
            assert_eq!(status, 200, "{seen}");
            // The provider's own name for the model, and everything else as it was sent.
            let (ahead, behind) = form("whisper-1", first);
            let sum = |text: &str| text.bytes().map(u64::from).sum::<u64>();
            assert_eq!(seen["length"], ahead.len() + SIZE + behind.len(), "{path} {first}");
            assert_eq!(seen["sum"], sum(&ahead) + sum(&behind) + 7 * SIZE as u64, "{path} {first}");
            assert!(seen["end"].as_str().unwrap().ends_with(&behind), "{seen}");
        });
    }
    middle.wait().await;
    let grown = gateway.resident().saturating_sub(before) >> 20;
    go_on.wait().await;
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    assert!(grown < 200, "{grown} MiB more with {} MiB of uploads under way", (UPLOADS * SIZE * 3 / 4) >> 20);
    for (number, (path, model, first)) in ways.into_iter().enumerate() {
        let row = gateway.row_of(&id(number)).await;
        assert_eq!((&row["outcome"], &row["provider"]), (&"complete".into(), &"openai".into()), "{row:#}");
        let (ahead, behind) = form(model, first);
        let request = &row["request_bytes"];
        assert!(request.is_null() || *request == ahead.len() + SIZE + behind.len(), "{row:#}");
        if path.ends_with("transcriptions") {
            assert_eq!(row["requested_model"], model, "{path}, the model {}", if first { "first" } else { "last" });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_sent_once_and_its_failure_is_told_as_it_came() {
    let provider = provider(500).await;
    let gateway = before(&provider, "").await;
    let chain = "openai/whisper-1, groq/whisper-large-v3";
    let (status, _) = Sending::begin(&gateway, "/v1/audio/transcriptions", chain, true, &id(1)).await.finish().await;
    assert_eq!(status, 500);
    assert_eq!(provider.asked.load(Ordering::SeqCst), 1, "nothing is left to ask another with");
    let row = gateway.row_of(&id(1)).await;
    assert_eq!((&row["outcome"], row["attempts"].as_array().unwrap().len()), (&"upstream_failed".into(), 1), "{row:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_in_the_middle_takes_the_providers_request_with_it() {
    let provider = provider(200).await;
    let gateway = before(&provider, "").await;
    let mut sending = Sending::begin(&gateway, "/openai/v1/files", "x", true, &id(1)).await;
    sending.send_up_to(SIZE / 2).await;
    drop(sending);
    for _ in 0..500 {
        if provider.broken.load(Ordering::SeqCst) == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(provider.broken.load(Ordering::SeqCst), 1, "the provider was not let go");
    let row = gateway.row_of(&id(1)).await;
    assert!(["client_gone", "refused"].contains(&row["outcome"].as_str().unwrap()), "{row:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_max_upload_is_refused_announced_or_not() {
    let provider = provider(200).await;
    let gateway = before(&provider, "max_upload: 1MiB").await;
    let mut sending = Sending::begin(&gateway, "/openai/v1/files", "x", true, &id(1)).await;
    let (status, body) = answer(&mut sending.socket).await;
    assert_eq!((status, &body["error"]["code"]), (413, &"request_too_large".into()), "{body}");
    assert!(body["error"]["message"].as_str().unwrap().contains("max_upload"));
    assert_eq!(provider.asked.load(Ordering::SeqCst), 0);
    // In chunks, so that nobody knows how much there is before it has come.
    let mut socket = TcpStream::connect(gateway.address()).await.unwrap();
    let head = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\nhelicone-request-id: {}\r\n\
         content-type: multipart/form-data; boundary={BOUNDARY}\r\ntransfer-encoding: chunked\r\n\r\n",
        id(2)
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let block = vec![7_u8; 64 << 10];
    for _ in 0..40 {
        let piece = [format!("{:x}\r\n", block.len()).as_bytes(), &block, b"\r\n"].concat();
        if socket.write_all(&piece).await.is_err() {
            break;
        }
    }
    let (status, body) = answer(&mut socket).await;
    assert_eq!((status, &body["error"]["code"]), (413, &"request_too_large".into()), "{body}");
    assert_eq!(gateway.row_of(&id(2)).await["status"], 413);
}
