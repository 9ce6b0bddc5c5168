//! The examples run, and do what their first lines say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "the whole crate is a test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

struct Running(Child, String);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts an example on a free port, and gives the line in which it says where it listens.
fn start(name: &str) -> Running {
    // Examples lie beside the tests of their package.
    let deps = std::env::current_exe().unwrap();
    let program = deps.parent().unwrap().parent().unwrap().join("examples").join(name);
    let mut child = Command::new(&program)
        .arg("127.0.0.1:0")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = said.next().unwrap().unwrap();
    std::thread::spawn(move || said.for_each(drop));
    let address = line.strip_prefix("listening on http://").expect(&line).to_owned();
    Running(child, address)
}

/// One exchange: the status and the whole answer as text.
fn ask(at: &Running, path: &str, headers: &str, body: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(&at.1).unwrap();
    let length = body.len();
    write!(
        socket,
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[test]
fn the_layers_work_in_a_strangers_axum_and_hyper_server() {
    for name in ["layers_axum", "layers_hyper"] {
        let server = start(name);
        let path = "/v1/chat/completions";
        let cached = "x-user: alice\r\nhelicone-cache-enabled: true\r\n";
        for (body, verdict) in [("{\"a\":1,\"b\":2}", "MISS"), ("{ \"b\": 2, \"a\": 1 }", "HIT"), ("{\"a\":2}", "MISS")]
        {
            let (status, answer) = ask(&server, path, cached, body);
            assert_eq!(status, 200, "{name}: {answer}");
            assert!(answer.contains(&format!("helicone-cache: {verdict}")), "{name}, {body}: {answer}");
        }
        let statuses: Vec<u16> = (0..12).map(|_| ask(&server, path, "x-user: bob\r\n", "{}").0).collect();
        assert_eq!((&statuses[..10], &statuses[10..]), (&[200; 10][..], &[429; 2][..]), "{name}");
        assert_eq!(ask(&server, path, "x-user: carl\r\nhelicone-ratelimit-policy: nonsense\r\n", "{}").0, 200);
    }
}

#[test]
fn the_small_examples_run() {
    let limited = start("limit_axum");
    let mut socket = TcpStream::connect(&limited.1).unwrap();
    write!(socket, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-user: a\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("helicone-ratelimit-remaining: 9") && answer.ends_with("hello"), "{answer}");
    let metered = start("embed_axum");
    let (status, answer) = ask(&metered, "/v1/chat/completions", "", "{\"model\":\"gpt-4o-mini\"}");
    assert!(status == 200 && answer.contains("Hello."), "{answer}");
}
