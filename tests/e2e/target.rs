//! Calls to a URL that the caller names.

use http::{HeaderValue, Method};
use tachograph_tests::{Gateway, KEY, Reply, Upstream, ask, golden};

const BODY: &str = r#"{"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}"#;

fn to(path: &str, target: &str) -> http::Request<bytes::Bytes> {
    let mut request = ask(Method::POST, path, BODY);
    let headers = request.headers_mut();
    headers.insert("Helicone-Target-URL", HeaderValue::try_from(target).unwrap());
    headers.insert("helicone-auth", format!("Bearer {KEY}").parse().unwrap());
    headers.insert("authorization", HeaderValue::from_static("Bearer sk-of-the-caller"));
    request
}

async fn before(upstream: &Upstream) -> Gateway {
    let allowed = format!("upstream: {{ allow_targets: ['http://{}'] }}\n", upstream.address());
    let yaml = format!(
        "listen: 127.0.0.1:0\napi_key: {KEY}\nproviders: {{ openai: {{ api_keys: [configured-canary] }} }}\n{allowed}"
    );
    Gateway::configured(&yaml).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_to_the_target_with_the_callers_key_and_is_metered() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.events()).await;
    let gateway = before(&upstream).await;
    let target = format!("http://{}/its/path/is/dropped", upstream.address());
    for (path, arrives) in [
        ("/v1/chat/completions", "/v1/chat/completions"),
        (
            "/openai/deployments/d/chat/completions?api-version=1",
            "/openai/deployments/d/chat/completions?api-version=1",
        ),
        ("/api/v1/chat/completions", "/api/v1/chat/completions"),
        ("/v1/gateway/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/gateway/oai/v1/chat/completions", "/v1/chat/completions"),
        ("/oai/v1/chat/completions", "/v1/chat/completions"),
    ] {
        let answer = gateway.send(to(path, &target)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.text(), golden::OPENAI_CHAT.stream);
        let seen = upstream.last();
        assert_eq!(seen.target, arrives);
        assert_eq!(seen.header("authorization"), Some("Bearer sk-of-the-caller"));
        assert!(!seen.contains(KEY) && !seen.contains("canary") && !seen.contains("helicone"), "{seen:?}");
        let row = gateway.row(&answer).await;
        assert_eq!(row["provider"], format!("http://{}", upstream.address()).as_str());
        assert_eq!((&row["api"], &row["usage"]["input_tokens"]), (&"openai.chat".into(), &500.into()));
    }
    // The base for OpenAI's clients wins over the target.
    let mut request = to("/v1/chat/completions", "https://api.openai.com");
    request.headers_mut().insert("helicone-openai-api-base", target.parse().unwrap());
    assert_eq!(gateway.send(request).await.status, 200);
    assert_eq!(gateway.rows().await.len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_reached_is_refused_in_the_callers_dialect_and_on_the_record() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let gateway = before(&upstream).await;
    let port = upstream.address().port();
    for host in [
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "127.0.0.1.nip.io",
        "0.0.0.0",
        "169.254.169.254",
        "api.openai.com.evil.example",
    ] {
        let answer = gateway.send(to("/v1/chat/completions", &format!("http://{host}:{port}/v1"))).await;
        assert_eq!(answer.status, 403, "{host}: {}", answer.text());
        let json = answer.json();
        assert_eq!(json["error"]["code"], "target_not_allowed");
        assert!(json["error"]["message"].as_str().unwrap().contains("upstream.allow_targets"));
    }
    let at = upstream.address();
    for target in [
        "",
        "api.openai.com",
        "ftp://api.openai.com",
        "file:///etc/passwd",
        &format!("https://api.openai.com@{at}"),
        &format!("http://user:pw@{at}"),
    ] {
        let answer = gateway.send(to("/v1/messages", target)).await;
        assert_eq!(answer.status, 400, "{target}: {}", answer.text());
        let json = answer.json();
        assert_eq!((&json["type"], &json["error"]["type"]), (&"error".into(), &"invalid_request_error".into()));
    }
    assert!(upstream.seen().is_empty());
    let rows = gateway.rows().await;
    assert!(rows.iter().all(|row| row["outcome"] == "refused"), "{rows:#?}");
    let stranger = gateway.send_as_is({
        let mut request = to("/v1/chat/completions", &format!("http://{at}"));
        request.headers_mut().remove("helicone-auth");
        request
    });
    assert_eq!(stranger.await.unwrap().collect().await.status, 401);
    assert!(upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_handed_on_and_never_followed() {
    let upstream =
        Upstream::answering(|_| Reply::document(307, &[("location", "http://127.0.0.1:1/secret")], "moved")).await;
    let gateway = before(&upstream).await;
    let answer = gateway.send(to("/v1/chat/completions", &format!("http://{}", upstream.address()))).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (307, "moved".to_owned()));
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_of_keys_in_one_header_is_the_callers_and_ours() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.events()).await;
    let gateway = Gateway::before(&upstream).start().await;
    for pair in [format!("Bearer sk-of-the-caller, Bearer {KEY}"), format!("Bearer {KEY},Bearer sk-of-the-caller")] {
        let mut request = ask(Method::POST, "/openai/v1/chat/completions", BODY);
        request.headers_mut().insert("authorization", pair.parse().unwrap());
        let answer = gateway.send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(upstream.last().header("authorization"), Some("Bearer sk-of-the-caller"));
        assert!(!upstream.last().contains(KEY));
        let row = gateway.row(&answer).await.to_string();
        assert!(!row.contains("sk-of-the-caller") && !row.contains(KEY), "{row}");
    }
    let mut request = ask(Method::POST, "/openai/v1/chat/completions", BODY);
    request.headers_mut().insert("authorization", HeaderValue::from_static("Bearer sk-a, Bearer sk-b"));
    assert_eq!(gateway.send(request).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_googles_query_is_neither_recorded_nor_in_the_url_upstream() {
    let upstream = Upstream::answering(|_| Reply::document(200, &[("content-type", "application/json")], "{}")).await;
    let gateway = before(&upstream).await;
    let path = "/v1beta/models/gemini-2.5-flash:generateContent?key=AIza-canary&alt=json";
    let mut request = ask(Method::POST, path, r#"{"contents":[]}"#);
    let headers = request.headers_mut();
    headers.insert("helicone-target-url", format!("http://{}", upstream.address()).parse().unwrap());
    headers.insert("helicone-auth", format!("Bearer {KEY}").parse().unwrap());
    let answer = gateway.send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = upstream.last();
    assert_eq!(seen.target, "/v1beta/models/gemini-2.5-flash:generateContent?alt=json");
    assert_eq!(seen.header("x-goog-api-key"), Some("AIza-canary"));
    let row = gateway.row(&answer).await;
    assert_eq!(row["requested_model"], "gemini-2.5-flash");
    assert!(!row.to_string().contains("canary") && !gateway.log().contains("canary"), "{row}");
}
