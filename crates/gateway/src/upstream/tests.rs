//! The pool against servers that close, answer late, and count their connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::connect::{Speaks, connector};
use super::driven::Link;
use super::pool::{Pool, SendError};
use crate::upload::Sent;

/// A server that answers every request on a connection with the next of these, then closes it.
struct Server {
    port: u16,
    /// One word for each connection that ended.
    ended: mpsc::Receiver<()>,
    _tasks: JoinSet<()>,
}

async fn serve(answers: &'static [&'static str]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (end, ended) = mpsc::channel(16);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            let end = end.clone();
            connections.spawn(async move {
                let _ = answer(socket, answers).await;
                let _ = end.send(()).await;
            });
        }
    });
    Server { port, ended, _tasks: tasks }
}

async fn answer(mut socket: TcpStream, answers: &[&str]) -> io::Result<()> {
    for answer in answers {
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\nping") {
            if socket.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
        }
        assert!(read.starts_with(b"POST /v1/x?y=1 HTTP/1.1\r\n"), "{}", String::from_utf8_lossy(&read));
        assert!(read.windows(16).any(|at| at == b"host: 127.0.0.1:"));
        socket.write_all(answer.as_bytes()).await?;
    }
    if answers.last().is_some_and(|last| last.ends_with("open")) {
        // The answer has no end: only the other side's leaving ends this.
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await?;
    }
    Ok(())
}

fn pool() -> Pool {
    Pool::new(connector(Duration::from_secs(5), false, Speaks::Both).unwrap())
}

fn request(port: u16) -> Request<Sent> {
    let uri = format!("http://127.0.0.1:{port}/v1/x?y=1");
    Request::post(uri).body(Sent::whole(Bytes::from_static(b"ping"))).unwrap()
}

async fn text(response: http::Response<hyper::body::Incoming>, mut link: Link) -> String {
    let mut body = Box::pin(response.into_body());
    let mut text = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| link.poll_frame(body.as_mut(), cx)).await {
        text.extend_from_slice(&frame.unwrap().into_data().unwrap());
    }
    String::from_utf8(text).unwrap()
}

const SIZED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n";
const EMPTY: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const ENDLESS: &str = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nopen";

#[tokio::test]
async fn one_connection_serves_one_exchange_after_the_other() {
    let mut server = serve(&[SIZED, CHUNKED, EMPTY, SIZED]).await;
    let pool = pool();
    for expected in ["ok", "ok", "", "ok"] {
        let (response, link) = pool.send(request(server.port)).await.unwrap();
        assert_eq!(text(response, link).await, expected);
    }
    server.ended.recv().await.unwrap();
    assert!(server.ended.try_recv().is_err(), "one connection was all");
    // That connection is closed now; the next request finds that out and opens another.
    let (response, link) = pool.send(request(server.port)).await.unwrap();
    assert_eq!((response.status(), text(response, link).await.as_str()), (StatusCode::OK, "ok"));
}

#[tokio::test]
async fn calls_at_the_same_time_have_connections_of_their_own() {
    let server = serve(&[SIZED, SIZED]).await;
    let pool = Arc::new(pool());
    for _ in 0..2 {
        let mut calls = JoinSet::new();
        for _ in 0..8 {
            let (pool, port) = (pool.clone(), server.port);
            calls.spawn(async move {
                let (response, link) = pool.send(request(port)).await.unwrap();
                text(response, link).await
            });
        }
        assert!(calls.join_all().await.iter().all(|text| text == "ok"));
    }
}

#[tokio::test]
async fn leaving_an_answer_closes_its_connection() {
    let mut server = serve(&[ENDLESS]).await;
    let (response, link) = pool().send(request(server.port)).await.unwrap();
    assert!(server.ended.try_recv().is_err());
    drop((response, link));
    server.ended.recv().await.unwrap();
}

#[tokio::test]
async fn errors_say_whether_a_connection_came_up() {
    let server = serve(&["HTTP/1.1 2"]).await;
    assert!(matches!(pool().send(request(server.port)).await, Err(SendError::Broken(_))));
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    assert!(matches!(pool().send(request(port)).await, Err(SendError::Connect(_))));
    let relative = Request::post("/x").body(Sent::whole(Bytes::new())).unwrap();
    assert!(matches!(pool().send(relative).await, Err(SendError::NoHost)));
}

#[tokio::test]
async fn a_broken_body_is_an_error() {
    let server = serve(&["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort"]).await;
    let (response, mut link) = pool().send(request(server.port)).await.unwrap();
    let mut body = Box::pin(response.into_body());
    let mut frames = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| link.poll_frame(body.as_mut(), cx)).await {
        frames.push(frame);
    }
    assert!(frames.pop().unwrap().is_err());
    let seen = body.collect().await;
    assert!(seen.is_ok(), "nothing comes behind the error");
}
