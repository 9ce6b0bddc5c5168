//! What cannot be served is refused clearly, in the caller's dialect, and is on the record.

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};
use tachograph_tests::{Answer, Gateway, KEY, Upstream, ask, golden};

/// The AI gateway's ways in, whose clients read errors in different shapes.
const OPENAI: &str = "/v1/chat/completions";
const ANTHROPIC: &str = "/v1/messages";

async fn gateway() -> (Upstream, Gateway) {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let gateway = Gateway::before(&upstream).config("max_request_body: 4KiB").start().await;
    (upstream, gateway)
}

/// An error in the shape of the path's dialect; gives its type, code and message.
fn error_of(path: &str, answer: &Answer) -> (String, String, String) {
    let body = answer.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let error = &body["error"];
    if path.contains("/messages") {
        assert_eq!(body["type"], "error", "Anthropic's shape: {body}");
    } else {
        assert!(body["type"].is_null() && error.as_object().unwrap().contains_key("param"), "OpenAI's shape: {body}");
    }
    assert_eq!(answer.headers["content-type"], "application/json");
    assert!(text(&error["message"]).len() > 20, "a message that says what to do: {body}");
    (text(&error["type"]), text(&error["code"]), text(&error["message"]))
}

fn with_key(path: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    ask(Method::POST, path, body)
}

async fn refused(
    gateway: &Gateway,
    path: &str,
    answer: &Answer,
    status: u16,
    code: &str,
    [openai, anthropic]: [&str; 2],
) {
    assert_eq!(answer.status, status, "{path}: {}", answer.text());
    let (kind, found, _) = error_of(path, answer);
    assert_eq!(
        (kind.as_str(), found.as_str()),
        (if path.contains("/messages") { anthropic } else { openai }, code),
        "{path}"
    );
    let row = gateway.row(answer).await;
    assert_eq!((&row["outcome"], &row["status"]), (&json!("refused"), &json!(status)), "{path}: {row:#}");
    assert_eq!(row["error"]["code"], code, "{row:#}");
    assert_eq!(row["response"]["text"].as_str().map(str::as_bytes), Some(&*answer.body()), "{row:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_or_with_a_wrong_one_nobody_is_let_in() {
    let (upstream, gateway) = gateway().await;
    let body = json!({ "model": "gpt-4o-mini", "messages": [] }).to_string();
    let kinds = ["invalid_request_error", "authentication_error"];
    for path in [OPENAI, ANTHROPIC, "/openai/v1/chat/completions", "/anthropic/v1/messages"] {
        let none = gateway.send_as_is(with_key(path, body.clone())).await.unwrap().collect().await;
        // Rows of nobody belong to the first organisation.
        refused(&gateway, path, &none, 401, "missing_api_key", kinds).await;
        for (name, value) in [
            ("authorization", "Bearer sk-wrong"),
            ("authorization", "Bearer sk-tachograph-00000000000000000000000000000000"),
            ("authorization", ""),
            ("x-api-key", "sk-ant-something"),
            ("helicone-auth", "Bearer sk-helicone-wrong"),
        ] {
            let mut request = with_key(path, body.clone());
            request.headers_mut().insert(name, value.parse().unwrap());
            let answer = gateway.send_as_is(request).await.unwrap().collect().await;
            refused(&gateway, path, &answer, 401, "invalid_api_key", kinds).await;
            assert!(
                value.len() < 9 || !answer.text().contains(&value[7..]),
                "the key is in the answer: {}",
                answer.text()
            );
            assert!(!gateway.row(&answer).await.to_string().contains("sk-wrong"));
        }
    }
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
    gateway.rows().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused_by_the_ai_gateway() {
    let (upstream, gateway) = gateway().await;
    let kinds = ["invalid_request_error", "invalid_request_error"];
    for path in [OPENAI, ANTHROPIC] {
        for (body, code) in [
            ("{\"model\": \"gpt-4o-mini\",", "invalid_json"),
            ("{\"model\": \"gpt-4o-mini\"} x", "invalid_json"),
            ("", "invalid_json"),
            ("nonsense", "invalid_json"),
            ("[1, 2]", "invalid_json"),
            ("\"text\"", "invalid_json"),
            ("null", "invalid_json"),
            ("{\"messages\": []}", "missing_model"),
            ("{\"model\": 7, \"messages\": []}", "missing_model"),
        ] {
            let answer = gateway.send(with_key(path, body)).await;
            refused(&gateway, path, &answer, 400, code, kinds).await;
        }
        let not_utf8 = gateway.send(with_key(path, Bytes::from_static(b"{\"model\": \"\xff\"}"))).await;
        assert_eq!(not_utf8.status, 400, "{}", not_utf8.text());
    }
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
    gateway.rows().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_may_understand_is_the_providers_to_judge() {
    let (upstream, gateway) = gateway().await;
    for body in ["{\"model\": ", "[1, 2]", "", "{\"messages\": []}"] {
        let answer = gateway.send(with_key("/openai/v1/chat/completions", body)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(upstream.last().body, body);
    }
    gateway.rows().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_nobody_serves_is_not_found() {
    let (_upstream, gateway) = gateway().await;
    for path in [OPENAI, ANTHROPIC] {
        for model in ["no-such-model-17", "", " ", "nobody/gpt-x", "/", "openai/"] {
            let body = json!({ "model": model, "max_tokens": 5, "messages": [{ "role": "user", "content": "x" }] });
            let answer = gateway.send(with_key(path, body.to_string())).await;
            refused(&gateway, path, &answer, 404, "model_not_found", ["invalid_request_error", "not_found_error"])
                .await;
        }
    }
    gateway.rows().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_announced_or_not() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (upstream, gateway) = gateway().await;
    let body =
        json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "x".repeat(5000) }] }).to_string();
    for path in [OPENAI, ANTHROPIC, "/openai/v1/chat/completions"] {
        let answer = gateway.send(with_key(path, body.clone())).await;
        refused(&gateway, path, &answer, 413, "request_too_large", ["invalid_request_error", "request_too_large"])
            .await;
    }
    let mut socket = tokio::net::TcpStream::connect(gateway.address()).await.unwrap();
    let head = format!(
        "POST {OPENAI} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", body.len(), body);
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(chunk.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&answer));
    assert!(upstream.seen().is_empty());
    gateway.rows_when_there_are(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_wrong_methods_are_refused_and_recorded() {
    let (upstream, gateway) = gateway().await;
    let not_found = ["invalid_request_error", "not_found_error"];
    for path in ["/nowhere", "/v1/nothing", "/v2/chat/completions", "/v1/gateway/nobody/v1/x", "/favicon.txt"] {
        let answer = gateway.send(with_key(path, "{}")).await;
        let code = if path.contains("gateway") { "unknown_provider" } else { "unknown_path" };
        refused(&gateway, path, &answer, 404, code, not_found).await;
    }
    for path in [OPENAI, ANTHROPIC] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let answer = gateway.send(ask(method, path, "")).await;
            refused(&gateway, path, &answer, 405, "method_not_allowed", ["invalid_request_error"; 2]).await;
        }
    }
    assert!(upstream.seen().is_empty());
    gateway.rows().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_internal_is_in_an_error() {
    let (_upstream, gateway) = gateway().await;
    for (path, body) in [(OPENAI, "{"), (ANTHROPIC, "{\"model\":\"zzz\"}"), ("/nowhere", "")] {
        let text = gateway.send(with_key(path, body)).await.text();
        for leak in ["src/", ".rs", "panicked", "127.0.0.1", "tachograph-data", KEY] {
            assert!(!text.contains(leak), "{leak:?} in {text}");
        }
    }
}
