//! Targets that a caller names for one call, in Helicone's `Helicone-Fallbacks`.

use http::{HeaderValue, Method, Request};
use serde_json::{Value, json};
use tachograph_tests::{Gateway, KEY, Reply, Upstream, ask, golden};

const BODY: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;

fn with(fallbacks: &Value) -> Request<bytes::Bytes> {
    let mut request = ask(Method::POST, "/v1/chat/completions", BODY);
    let headers = request.headers_mut();
    headers.insert("helicone-fallbacks", HeaderValue::try_from(fallbacks.to_string()).unwrap());
    headers.insert("helicone-auth", format!("Bearer {KEY}").parse().unwrap());
    headers.insert("authorization", HeaderValue::from_static("Bearer sk-of-the-call"));
    headers.insert("x-of-the-call", HeaderValue::from_static("1"));
    request
}

/// An upstream that answers by the key it is sent: `Bearer <status>`, or 200.
async fn upstream() -> Upstream {
    Upstream::answering(|seen| {
        let status = seen.header("authorization").and_then(|key| key.strip_prefix("Bearer ")?.parse().ok());
        match status.unwrap_or(200) {
            200 => golden::OPENAI_CHAT.reply(),
            status => {
                let body = json!({ "error": { "message": format!("no, {status}"), "type": "t", "code": "c" } });
                Reply::document(status, &[("content-type", "application/json")], body.to_string())
            }
        }
    })
    .await
}

async fn before(upstream: &Upstream) -> Gateway {
    let yaml = format!(
        "listen: 127.0.0.1:0\napi_key: {KEY}\nupstream: {{ allow_targets: ['http://{}'] }}\ncache: {{ enabled: true }}\n",
        upstream.address()
    );
    Gateway::configured(&yaml).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_target_gets_its_own_headers_and_body_and_the_next_is_asked_on_its_codes() {
    let upstream = upstream().await;
    let gateway = before(&upstream).await;
    let at = format!("http://{}/dropped", upstream.address());
    let list = json!([
        { "target-url": at, "headers": { "Authorization": "Bearer 401" }, "onCodes": [401, { "from": 500, "to": 599 }] },
        { "target-url": at, "headers": { "Authorization": "Bearer 503", "Helicone-Auth": "x" }, "onCodes": [{ "from": 500, "to": 599 }] },
        { "target-url": at, "headers": { "Authorization": "Bearer canary-key", "Content-Type": "application/json" }, "onCodes": [],
          "bodyKeyOverride": { "model": "gpt-4o-mini", "temperature": 0 } },
    ]);
    let answer = gateway.send(with(&list)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.headers["helicone-fallback-index"], "2");
    let seen = upstream.seen();
    let keys: Vec<_> = seen.iter().map(|seen| seen.header("authorization").unwrap()).collect();
    assert_eq!(keys, ["Bearer 401", "Bearer 503", "Bearer canary-key"]);
    assert!(seen.iter().all(|seen| seen.target == "/v1/chat/completions" && !seen.contains("helicone")), "{seen:?}");
    assert!(seen.iter().all(|seen| seen.header("x-of-the-call").is_none()), "its headers take the place of the call's");
    assert_eq!(seen[0].body, BODY.as_bytes());
    let asked: Value = serde_json::from_str(BODY).unwrap();
    assert_eq!(seen[2].json()["messages"], asked["messages"]);
    assert_eq!((&seen[2].json()["model"], &seen[2].json()["temperature"]), (&json!("gpt-4o-mini"), &json!(0)));
    let row = gateway.row(&answer).await;
    assert_eq!((&row["requested_model"], &row["outcome"]), (&json!("gpt-4o"), &json!("complete")), "{row}");
    let statuses: Vec<_> =
        row["attempts"].as_array().unwrap().iter().map(|attempt| attempt["status"].clone()).collect();
    assert_eq!(statuses, [json!(401), json!(503), json!(200)], "{row}");
    assert!(!row.to_string().contains("canary") && !gateway.log().contains("canary"));
    // The same body again, but for what is laid over it: it is another call.
    let of = |temperature: u64| {
        json!([{ "target-url": at, "headers": { "content-type": "application/json" }, "onCodes": [],
        "bodyKeyOverride": { "temperature": temperature } }])
    };
    for (list, cache) in [(of(0), "MISS"), (of(0), "HIT"), (of(1), "MISS")] {
        let answer = gateway.send(with(&list)).await;
        assert_eq!(answer.headers["helicone-cache"], cache);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_among_the_codes_and_the_last_answer_are_the_callers() {
    let upstream = upstream().await;
    let gateway = before(&upstream).await;
    let at = format!("http://{}", upstream.address());
    let of = |status: u16, codes: Value| json!({ "target-url": at, "headers": { "authorization": format!("Bearer {status}"), "content-type": "application/json" }, "onCodes": codes });
    for (list, status, asked) in [
        (json!([of(500, json!([401])), of(200, json!([]))]), 500, 1),
        (json!([of(400, json!([{ "from": 400, "to": 404 }])), of(200, json!([]))]), 200, 2),
        (json!([of(500, json!([500])), of(418, json!([{ "from": 400, "to": 599 }]))]), 418, 2),
        (json!([of(429, json!([429])), of(429, json!([429]))]), 429, 2),
    ] {
        let before = upstream.seen().len();
        let answer = gateway.send(with(&list)).await;
        assert_eq!((answer.status.as_u16(), upstream.seen().len() - before), (status, asked), "{list}");
        if status != 200 {
            assert_eq!(answer.json()["error"]["message"], format!("no, {status}"), "the provider's own words");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_allow_list_holds_for_each_of_them_and_nobody_is_asked_before() {
    let upstream = upstream().await;
    let gateway = before(&upstream).await;
    let at = format!("http://{}", upstream.address());
    let of = |target: &str| json!({ "target-url": target, "headers": {}, "onCodes": [500] });
    for (list, status) in [
        (json!([of(&at), of("http://169.254.169.254/latest")]), 403),
        (json!([of("http://127.0.0.1:1"), of(&at)]), 403),
        (json!([of(&at), { "target-url": at, "onCodes": [] }]), 400),
        (json!([]), 400),
    ] {
        let answer = gateway.send(with(&list)).await;
        assert_eq!(answer.status.as_u16(), status, "{list}: {}", answer.text());
    }
    assert!(upstream.seen().is_empty());
    assert!(gateway.rows().await.iter().all(|row| row["outcome"] == "refused"));
}
