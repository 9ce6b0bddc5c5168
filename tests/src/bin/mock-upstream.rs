//! An upstream for tests that are not written in Rust.
//!
//! `mock-upstream` prints `listening on 127.0.0.1:PORT` and answers, in order, with the replies that were put to it:
//!
//! - `POST /_mock/replies` with `{"status", "headers", "body", "events", "every_ms", "after_ms", "cut_after"}` appends one.
//!   `events: true` sends `body` as an event stream, one chunk for each event, `every_ms` apart.
//! - `GET /_mock/seen` gives `{"requests": [{"method", "target", "headers", "body"}]}`.
//!
//! A request for which no reply waits is answered 500. It ends when its standard input does.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program of the tests")]

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tachograph_tests::{Cut, Pace, Reply, Seen, Upstream};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ordered {
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    events: bool,
    #[serde(default)]
    every_ms: Option<u64>,
    #[serde(default)]
    after_ms: Option<u64>,
    #[serde(default)]
    cut_after: Option<usize>,
}

const fn ok() -> u16 {
    200
}

impl Ordered {
    fn reply(self) -> Reply {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let mut reply = if self.events {
            Reply::events(self.body.as_bytes())
        } else {
            Reply::document(self.status, &headers, self.body.clone())
        };
        if let Some(every) = self.every_ms {
            reply = reply.paced(Pace::Every(Duration::from_millis(every)));
        }
        if let Some(after) = self.after_ms {
            reply = reply.after(Duration::from_millis(after));
        }
        match self.cut_after {
            Some(pieces) => reply.cut_after(pieces, Cut::Reset),
            None => reply,
        }
    }
}

#[derive(Default)]
struct Desk {
    replies: VecDeque<Reply>,
    seen: Vec<Seen>,
}

impl Desk {
    fn answer(&mut self, request: &Seen) -> Reply {
        match (request.method.as_str(), request.target.as_str()) {
            ("POST", "/_mock/replies") => match serde_json::from_slice::<Ordered>(&request.body) {
                Ok(ordered) => {
                    self.replies.push_back(ordered.reply());
                    Reply::json(200, &json!({ "waiting": self.replies.len() }))
                }
                Err(error) => Reply::json(400, &json!({ "error": error.to_string() })),
            },
            ("GET", "/_mock/seen") => {
                Reply::json(200, &json!({ "requests": self.seen.iter().map(shown).collect::<Vec<_>>() }))
            }
            _ => {
                self.seen.push(request.clone());
                let nothing =
                    || Reply::json(500, &json!({ "error": { "message": "no reply waits for this request" } }));
                self.replies.pop_front().unwrap_or_else(nothing)
            }
        }
    }
}

fn shown(seen: &Seen) -> serde_json::Value {
    let headers: serde_json::Map<_, _> =
        seen.headers.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    json!({
        "method": seen.method,
        "target": seen.target,
        "headers": headers,
        "body": String::from_utf8_lossy(&seen.body),
    })
}

#[tokio::main]
async fn main() {
    let desk = Arc::new(Mutex::new(Desk::default()));
    let upstream = Upstream::answering(move |request| desk.lock().unwrap().answer(request)).await;
    println!("listening on {}", upstream.address());
    let until_the_end = || std::io::stdin().read_to_end(&mut Vec::new());
    tokio::task::spawn_blocking(until_the_end).await.unwrap().unwrap();
}
