//! A call can end in many ways. Each leaves exactly one row, and the row says which it was.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use serde_json::{Value, json};
use tachograph_tests::{Cut, Gateway, Pace, Reply, Upstream, golden, post};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// A way in: where a client asks, what its upstream streams, and how its dialect tells an error.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) path: &'static str,
    model: &'static str,
    pub(crate) golden: golden::Golden,
    /// How an error event begins in the client's dialect.
    error: &'static str,
    /// What ends a whole stream in the client's dialect.
    end: &'static str,
}

const OPENAI: Way = Way {
    path: "/openai/v1/chat/completions",
    model: "gpt-4o-mini",
    golden: golden::OPENAI_CHAT,
    error: "data: {\"error\":",
    end: "[DONE]",
};
const ANTHROPIC: Way = Way {
    path: "/anthropic/v1/messages",
    model: "claude-haiku-4-5",
    golden: golden::ANTHROPIC_MESSAGES,
    error: "event: error\ndata: {\"type\":\"error\"",
    end: "message_stop",
};
/// An OpenAI client before Anthropic's stream.
const ACROSS: Way = Way {
    path: "/v1/chat/completions",
    model: "anthropic/claude-haiku-4-5",
    golden: golden::ANTHROPIC_MESSAGES,
    ..OPENAI
};
pub(crate) const WAYS: [Way; 3] = [OPENAI, ANTHROPIC, ACROSS];

impl Way {
    pub(crate) fn request(&self, stream: bool) -> Request<bytes::Bytes> {
        let messages = json!([{ "role": "user", "content": "How fast?" }]);
        post(self.path, &json!({ "model": self.model, "max_tokens": 1000, "stream": stream, "messages": messages }))
    }
}

async fn only_row(gateway: &Gateway) -> Value {
    gateway.rows().await.remove(0)
}

pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), waiting).await.unwrap_or_else(|_| panic!("not within 10 s: {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_01_a_client_that_leaves_after_k_frames_leaves_one_row_and_the_upstream_is_let_go() {
    for way in WAYS {
        for frames in [0, 1, 3, 6] {
            let told = Arc::new(Semaphore::new(0));
            let pace = Pace::Told(told.clone());
            let upstream = Upstream::answering(move |_| way.golden.events().paced(pace.clone())).await;
            let gateway = Gateway::before(&upstream).start().await;
            // A head may wait for its first frame, but no frame for the next.
            told.add_permits(frames);
            let mut open = gateway.open(way.request(true)).await;
            let mut got = 0;
            while got < frames.saturating_sub(2) {
                open.frame().await.unwrap().unwrap();
                got += 1;
            }
            eventually("the frames have left", || upstream.sent() >= frames).await;
            open.leave();
            let row = only_row(&gateway).await;
            assert_eq!(row["outcome"], "client_gone", "{} after {frames}: {row:#}", way.path);
            assert_eq!(row["status"], 200, "{} after {frames}", way.path);
            assert_ne!(row["cost"]["total"], "0", "{} after {frames}: unknown is not zero", way.path);
            eventually("the upstream is let go", || upstream.left() == 1).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_the_head_leaves_one_row() {
    for way in WAYS {
        let upstream = Upstream::answering(|_| Reply::silence()).await;
        let gateway = Gateway::before(&upstream).start().await;
        let waiting = timeout(Duration::from_millis(300), gateway.try_open(way.request(true))).await;
        assert!(waiting.is_err(), "the upstream said nothing, so the gateway cannot have an answer");
        let row = only_row(&gateway).await;
        assert_eq!(row["outcome"], "client_gone");
        assert_eq!(row["status"], Value::Null);
        assert_eq!(row["requested_model"], way.model);
        assert_eq!(row["attempts"].as_array().unwrap().len(), 1, "the provider was asked once: {row:#}");
        assert_eq!(row["timing"]["first_byte_us"], Value::Null);
        assert_eq!(row["timing"]["first_token_us"], Value::Null);
        eventually("the upstream is let go", || upstream.left() == 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_10_a_stream_that_breaks_off_ends_with_an_error_in_the_clients_dialect() {
    for way in WAYS {
        for cut in [Cut::Reset, Cut::Close, Cut::Garbage] {
            let upstream = Upstream::answering(move |_| way.golden.events().cut_after(5, cut)).await;
            let gateway = Gateway::before(&upstream).start().await;
            let answer = gateway.send(way.request(true)).await;
            let text = answer.text();
            assert_eq!(answer.status, 200);
            assert!(text.contains(way.error), "{cut:?} on {}: {text}", way.path);
            assert!(!text.contains(way.end), "a cut stream must not look whole: {text}");
            let row = only_row(&gateway).await;
            assert_eq!(row["outcome"], "cut_short", "{cut:?} on {}: {row:#}", way.path);
            assert_eq!(row["status"], 200);
            assert!(row["error"]["kind"].is_string(), "{row:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_in_good_order_but_early_is_cut_short() {
    for way in WAYS {
        let upstream = Upstream::answering(move |_| {
            let events = tachograph_tests::sse::events(way.golden.stream.as_bytes());
            Reply::events(&events[..5].concat())
        })
        .await;
        let gateway = Gateway::before(&upstream).start().await;
        let answer = gateway.send(way.request(true)).await;
        assert!(!answer.text().contains(way.end), "a cut stream must not look whole: {}", answer.text());
        assert_eq!(only_row(&gateway).await["outcome"], "cut_short", "{}", way.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_breaks_off_breaks_off_for_the_client_too() {
    for way in [OPENAI, ANTHROPIC] {
        for cut in [Cut::Reset, Cut::Close] {
            let upstream = Upstream::answering(move |_| way.golden.reply().in_pieces_of(100).cut_after(2, cut)).await;
            let gateway = Gateway::before(&upstream).start().await;
            let answer = gateway.send(way.request(false)).await;
            assert_eq!(answer.ending, tachograph_tests::Ending::Broken, "{cut:?} on {}", way.path);
            assert_eq!(only_row(&gateway).await["outcome"], "cut_short", "{cut:?} on {}", way.path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_breaks_off_before_it_is_translated_is_an_error() {
    let upstream =
        Upstream::answering(|_| golden::ANTHROPIC_MESSAGES.reply().in_pieces_of(100).cut_after(2, Cut::Close)).await;
    let gateway = Gateway::before(&upstream).start().await;
    let answer = gateway.send(ACROSS.request(false)).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(answer.json()["error"]["message"].is_string());
    let row = only_row(&gateway).await;
    assert!(row["outcome"] == "upstream_failed" || row["outcome"] == "cut_short", "{row:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_11_an_error_inside_a_stream_is_a_failure_though_its_status_was_200() {
    let openai = "data: {\"error\":{\"message\":\"Tool call failed\",\"type\":\"invalid_request_error\",\"code\":\"tool_use_failed\"}}\n\n";
    let anthropic = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    for (way, event, kind) in [
        (OPENAI, openai, "invalid_request_error"),
        (ANTHROPIC, anthropic, "overloaded_error"),
        (ACROSS, anthropic, "overloaded_error"),
    ] {
        for before in [0, 1, 4] {
            let events = tachograph_tests::sse::events(way.golden.stream.as_bytes())[..before].concat();
            let stream = [&events[..], event.as_bytes()].concat();
            let sent = stream.clone();
            let upstream = Upstream::answering(move |_| Reply::events(&sent)).await;
            let gateway = Gateway::before(&upstream).start().await;
            let answer = gateway.send(way.request(true)).await;
            if way.path != ACROSS.path {
                assert_eq!(answer.body(), stream, "the provider's bytes, untouched");
            } else {
                assert!(answer.text().contains(way.error), "after {before}: {}", answer.text());
                assert!(!answer.text().contains(way.end), "after {before}: {}", answer.text());
            }
            let row = only_row(&gateway).await;
            assert_eq!(row["outcome"], "upstream_failed", "{} after {before}: {row:#}", way.path);
            assert_eq!(row["error"]["kind"], kind, "{} after {before}", way.path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_comes_through_with_its_retry_after() {
    let openai = json!({ "error": { "message": "Rate limit reached", "type": "tokens", "param": null, "code": "rate_limit_exceeded" } });
    let anthropic = json!({ "type": "error", "error": { "type": "rate_limit_error", "message": "Slow down" } });
    for (way, body) in [(OPENAI, openai), (ANTHROPIC, anthropic.clone()), (ACROSS, anthropic)] {
        for stream in [false, true] {
            let sent = body.to_string();
            let headers =
                [("content-type", "application/json"), ("retry-after", "17"), ("x-ratelimit-remaining-requests", "0")];
            let upstream = Upstream::answering(move |_| Reply::document(429, &headers, sent.clone())).await;
            let gateway = Gateway::before(&upstream).start().await;
            let answer = gateway.send(way.request(stream)).await;
            assert_eq!(answer.status, 429);
            assert_eq!(answer.headers["retry-after"], "17", "{}", way.path);
            assert_eq!(answer.headers["x-ratelimit-remaining-requests"], "0", "{}", way.path);
            if way.path == ACROSS.path {
                assert_eq!(answer.json()["error"]["message"], "Slow down");
                assert_eq!(answer.json()["error"]["metadata"]["provider"], "anthropic");
            } else {
                assert_eq!(answer.body(), body.to_string(), "the provider's bytes, untouched");
            }
            let row = only_row(&gateway).await;
            assert_eq!((&row["outcome"], &row["status"]), (&json!("upstream_failed"), &json!(429)));
            assert_eq!(row["attempts"][0]["status"], 429, "{row:#}");
            assert_eq!(upstream.seen().len(), 1, "nobody tried again behind the client's back");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_refuses_the_connection_is_an_error_in_the_clients_dialect() {
    let upstream = Upstream::answering(|_| Reply::silence()).await;
    let address = upstream.address();
    let setup = Gateway::before(&upstream);
    drop(upstream);
    let gateway = setup.start().await;
    for way in WAYS {
        let answer = gateway.send(way.request(true)).await;
        assert_eq!(answer.status, 502, "{}", answer.text());
        let error = &answer.json()["error"];
        assert_eq!(error["code"], "upstream_unreachable");
        assert!(!answer.text().contains(&address.to_string()), "an internal address: {}", answer.text());
        let row = gateway.row(&answer).await;
        assert_eq!(row["outcome"], "upstream_failed");
        assert_eq!(row["attempts"][0]["error"]["code"], "upstream_unreachable", "{row:#}");
    }
    assert_eq!(gateway.rows().await.len(), WAYS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_answers_what_is_no_http_is_an_error() {
    let upstream = Upstream::answering(|_| Reply::silence().cut_after(0, Cut::Garbage)).await;
    let gateway = Gateway::before(&upstream).start().await;
    for way in WAYS {
        let answer = gateway.send(way.request(false)).await;
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert_eq!(gateway.row(&answer).await["outcome"], "upstream_failed");
    }
    gateway.rows().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_json_is_an_error_where_it_must_be_translated_and_passes_where_not() {
    let upstream =
        Upstream::answering(|_| Reply::document(200, &[("content-type", "text/html")], "<h1>hello</h1>")).await;
    let gateway = Gateway::before(&upstream).start().await;
    let answer = gateway.send(ACROSS.request(false)).await;
    assert!(answer.status.is_server_error(), "{}: {}", answer.status, answer.text());
    assert!(answer.json()["error"]["message"].is_string());
    let answer = gateway.send(OPENAI.request(false)).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "<h1>hello</h1>"));
    let row = gateway.row(&answer).await;
    assert_eq!(row["usage"], Value::Null);
    assert_eq!(row["cost"]["total"], Value::Null, "unknown is not zero");
    gateway.rows().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_upstream_is_given_up_before_and_after_the_head() {
    let upstream = Upstream::answering(|request| match request.header("x-case") {
        Some("head") => Reply::silence(),
        _ => golden::OPENAI_CHAT.events().cut_after(3, Cut::Silence),
    })
    .await;
    let setup = Gateway::before(&upstream).config("upstream: { head_timeout: 400ms, idle_timeout: 400ms }");
    let gateway = setup.start().await;
    let mut request = OPENAI.request(true);
    request.headers_mut().insert("x-case", "head".parse().unwrap());
    let answer = gateway.send(request).await;
    assert_eq!(answer.status, 504, "{}", answer.text());
    assert_eq!(answer.json()["error"]["code"], "upstream_timeout");
    assert_eq!(gateway.row(&answer).await["outcome"], "upstream_failed");

    let answer = gateway.send(OPENAI.request(true)).await;
    assert!(answer.text().contains(OPENAI.error), "{}", answer.text());
    assert_eq!(gateway.row(&answer).await["outcome"], "cut_short");
    eventually("both connections are let go", || upstream.left() == 2).await;
    gateway.rows().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_body_breaks_off_is_recorded() {
    use tokio::io::AsyncWriteExt;
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let gateway = Gateway::before(&upstream).start().await;
    let mut socket = tokio::net::TcpStream::connect(gateway.address()).await.unwrap();
    let head = format!(
        "POST /openai/v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 1000\r\n\r\n{{\"model\":",
        tachograph_tests::KEY
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(socket);
    let row = gateway.rows_when_there_are(1).await.remove(0);
    assert!(["client_gone", "refused"].contains(&row["outcome"].as_str().unwrap()), "{row:#}");
    assert!(upstream.seen().is_empty(), "half a request must not be forwarded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_answer_is_complete_and_its_clocks_stand_in_order() {
    for way in WAYS {
        for stream in [false, true] {
            let upstream = Upstream::answering(move |_| way.golden.as_asked(stream)).await;
            let gateway = Gateway::before(&upstream).start().await;
            let answer = gateway.send(way.request(stream)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let row = only_row(&gateway).await;
            assert_eq!(row["outcome"], "complete", "{row:#}");
            let clock = |name: &str| row["timing"][name].as_u64();
            let (sent, first, end) = (clock("upstream_sent_us"), clock("first_byte_us"), clock("end_us"));
            assert!(sent.is_some() && sent <= first && first <= end, "{}", row["timing"]);
            if stream {
                assert!(first <= clock("first_token_us") && clock("first_token_us") <= end, "{}", row["timing"]);
            }
        }
    }
}
