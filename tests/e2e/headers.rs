//! Headers and keys: what lands on the row, what goes upstream, and what never does.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use serde_json::{Value, json};
use tachograph_tests::{Gateway, KEY, Upstream, golden, post};

const WAYS: [(&str, &str); 4] = [
    ("/v1/chat/completions", "openai/gpt-4o-mini"),
    ("/v1/chat/completions", "anthropic/claude-haiku-4-5"),
    ("/openai/v1/chat/completions", "gpt-4o-mini"),
    ("/anthropic/v1/messages", "claude-haiku-4-5"),
];

fn request(path: &str, model: &str, headers: &[(&str, &str)]) -> Request<Bytes> {
    let body = json!({ "model": model, "max_tokens": 99, "messages": [{ "role": "user", "content": "hello" }] });
    let mut request = post(path, &body);
    for (name, value) in headers {
        request
            .headers_mut()
            .append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    request
}

/// Each provider as itself.
async fn upstream() -> Upstream {
    Upstream::answering(|seen| {
        if seen.target.ends_with("/messages") {
            golden::ANTHROPIC_MESSAGES.reply()
        } else {
            golden::OPENAI_CHAT.reply()
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_helicone_headers_say_is_on_the_row_and_none_reaches_a_provider() {
    let upstream = upstream().await;
    let gateway = Gateway::before(&upstream).start().await;
    for prefix in ["Helicone", "Tachograph"] {
        for (path, model) in WAYS {
            let named: Vec<(String, &str)> = [
                ("User-Id", "ada"),
                ("Session-Id", "s-17"),
                ("Session-Path", "/plan/search"),
                ("Session-Name", "Trip to Köln"),
                ("Prompt-Id", "greeting"),
                ("Property-Team", "blue"),
                ("Property-Environment", "staging"),
                ("Cache-Enabled", "false"),
                ("Something-Unheard-Of", "x"),
            ]
            .map(|(name, value)| (format!("{prefix}-{name}").to_ascii_lowercase(), value))
            .to_vec();
            let headers: Vec<(&str, &str)> = named.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            let row = gateway.row(&gateway.send(request(path, model, &headers)).await).await;
            assert_eq!(row["user"], "ada", "{prefix} on {path}");
            assert_eq!(row["session"], json!({ "id": "s-17", "path": "/plan/search", "name": "Trip to Köln" }));
            assert_eq!(row["prompt"]["id"], "greeting");
            let properties = row["properties"].as_object().unwrap();
            let property = |name: &str| {
                properties.iter().find(|(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, v)| v.clone())
            };
            assert_eq!(property("team"), Some(json!("blue")));
            assert_eq!(property("environment"), Some(json!("staging")));
            let seen = upstream.last();
            let ours: Vec<_> = seen
                .headers
                .iter()
                .filter(|(name, _)| name.starts_with("helicone") || name.starts_with("tachograph"))
                .collect();
            assert!(ours.is_empty(), "{path} sent {ours:?} upstream");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_key_is_taken_from_any_carrier_and_never_reaches_a_provider() {
    let upstream = upstream().await;
    let gateway = Gateway::before(&upstream).start().await;
    let bearer = format!("Bearer {KEY}");
    for (path, model) in WAYS {
        let provider = if path.contains("anthropic") || model.contains("anthropic") { "anthropic" } else { "openai" };
        let in_query = format!("{path}?key={KEY}");
        let in_path = path.replacen('/', &format!("/{KEY}/"), 1);
        let carriers: [(&str, &[(&str, &str)]); 8] = [
            (path, &[("authorization", &bearer)]),
            (path, &[("helicone-auth", &bearer)]),
            (path, &[("tachograph-auth", &bearer)]),
            (path, &[("x-api-key", KEY)]),
            (path, &[("api-key", KEY)]),
            (path, &[("x-goog-api-key", KEY)]),
            (&in_query, &[]),
            (&in_path, &[]),
        ];
        for (target, headers) in carriers {
            let answer = gateway.send_as_is(request(target, model, headers)).await.unwrap().collect().await;
            assert_eq!(answer.status, 200, "{target} {headers:?}: {}", answer.text());
            let seen = upstream.last();
            assert!(!seen.contains("sk-tachograph"), "{target} {headers:?} sent our key upstream: {seen:?}");
            let configured = format!("configured-key-of-{provider}");
            let place = if provider == "anthropic" { seen.header("x-api-key") } else { seen.header("authorization") };
            assert!(
                place.is_some_and(|value| value.ends_with(&configured)),
                "{target} {headers:?}: {:?}",
                seen.headers
            );
            let row = gateway.row(&answer).await;
            assert!(!row.to_string().contains("sk-tachograph"), "{target}: our key is on the row: {row:#}");
        }
    }
    let log = gateway.log();
    assert!(!log.contains(KEY) && !log.contains("configured-key-of"), "a key is in the log:\n{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_own_provider_key_passes_untouched_beside_ours() {
    let upstream = upstream().await;
    let gateway = Gateway::before(&upstream).start().await;
    let bearer = format!("Bearer {KEY}");
    for (path, model, place, own) in [
        ("/openai/v1/chat/completions", "gpt-4o-mini", "authorization", "Bearer sk-proj-callers-own"),
        ("/anthropic/v1/messages", "claude-haiku-4-5", "x-api-key", "sk-ant-callers-own"),
        ("/anthropic/v1/messages", "claude-haiku-4-5", "authorization", "Bearer sk-ant-oat-callers-own"),
    ] {
        let headers = [("helicone-auth", bearer.as_str()), (place, own)];
        let answer = gateway.send_as_is(request(path, model, &headers)).await.unwrap().collect().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = upstream.last();
        assert_eq!(seen.header(place), Some(own), "{path}");
        assert!(!seen.contains("configured-key-of"), "{path}: {:?}", seen.headers);
        let row = gateway.row(&answer).await;
        assert!(!row.to_string().contains("callers-own"), "a key is on the row: {row:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_one_provider_is_not_shown_to_another() {
    let upstream = upstream().await;
    let gateway = Gateway::before(&upstream).start().await;
    let bearer = format!("Bearer {KEY}");
    let headers = [("helicone-auth", bearer.as_str()), ("authorization", "Bearer sk-proj-callers-own")];
    let across = request("/v1/chat/completions", "anthropic/claude-haiku-4-5", &headers);
    assert_eq!(gateway.send_as_is(across).await.unwrap().collect().await.status, 200);
    assert!(!upstream.last().contains("callers-own"), "{:?}", upstream.last());
    assert_eq!(upstream.last().header("x-api-key"), Some("configured-key-of-anthropic"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_says_its_id_and_a_callers_own_is_kept() {
    let upstream = upstream().await;
    let gateway = Gateway::before(&upstream).start().await;
    for name in ["helicone-request-id", "tachograph-request-id"] {
        let own = if name.starts_with('h') {
            "f47ac10b-58cc-4372-a567-0e02b2c3d479"
        } else {
            "01890a5d-ac96-774b-bcce-b302099a8057"
        };
        let answer = gateway.send(request(WAYS[0].0, WAYS[0].1, &[(name, own)])).await;
        assert_eq!(answer.id(), own);
        assert_eq!(gateway.row(&answer).await["id"], own);
    }
    let answer = gateway.send(request(WAYS[0].0, WAYS[0].1, &[("helicone-request-id", "not a uuid")])).await;
    assert_eq!(answer.id().len(), 36, "{}", answer.id());
    assert_eq!(answer.id().as_bytes()[14], b'7', "a UUID of version 7: {}", answer.id());
    gateway.rows().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_left_out_of_the_row_where_a_header_says_so() {
    let upstream = upstream().await;
    let gateway = Gateway::before(&upstream).start().await;
    for prefix in ["helicone", "tachograph"] {
        for (path, model) in WAYS {
            for (omit_request, omit_response) in [(true, false), (false, true), (true, true)] {
                let names = [format!("{prefix}-omit-request"), format!("{prefix}-omit-response")];
                let mut headers = Vec::new();
                if omit_request {
                    headers.push((names[0].as_str(), "true"));
                }
                if omit_response {
                    headers.push((names[1].as_str(), "true"));
                }
                let answer = gateway.send(request(path, model, &headers)).await;
                let row = gateway.row(&answer).await;
                for (side, omitted) in [("request", omit_request), ("response", omit_response)] {
                    let body = &row[side];
                    assert_eq!(
                        body["state"],
                        if omitted { "omitted" } else { "whole" },
                        "{path} {headers:?} {side}: {body}"
                    );
                    assert_eq!(body["text"] == Value::Null, omitted, "{path} {headers:?} {side}");
                    assert!(body["len"].as_u64().unwrap() > 0, "the length is known all the same: {body}");
                }
                assert_eq!(row["usage"]["input_tokens"], 500, "tokens are counted all the same");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_the_connection_end_here_and_the_others_go_on() {
    let upstream = upstream().await;
    let gateway = Gateway::before(&upstream).start().await;
    let headers = [
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
        ("te", "trailers"),
        ("proxy-authorization", "Basic eA=="),
        ("accept-encoding", "gzip, br"),
        ("user-agent", "my-app/1.0"),
        ("openai-organization", "org-7"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    let answer = gateway.send(request(WAYS[2].0, WAYS[2].1, &headers)).await;
    let seen = upstream.last();
    for gone in ["x-hop", "te", "proxy-authorization", "connection"] {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
    assert_eq!(seen.header("host"), Some(upstream.address().to_string().as_str()));
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert_eq!(seen.header("user-agent"), Some("my-app/1.0"));
    assert_eq!(seen.header("openai-organization"), Some("org-7"));
    let row = gateway.row(&answer).await;
    assert_eq!(row["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(row["parent_span_id"], "b7ad6b7169203331");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_the_providers_own_dialect_arrives_byte_for_byte() {
    let upstream = upstream().await;
    let gateway = Gateway::before(&upstream).start().await;
    let odd = "{ \"model\" : \"gpt-4o-mini\",\n\t\"messages\":[{\"role\":\"user\",\"content\":\"\\u00fc 🚚\"}], \"x_new\": [1.0, 1e2, {}], \"n\":null }";
    for (path, target) in [
        ("/openai/v1/chat/completions?beta=true&x=%20y", "/at-openai/chat/completions?beta=true&x=%20y"),
        ("/v1/gateway/openai/v1/chat/completions", "/at-openai/chat/completions"),
        ("/oai/v1/chat/completions", "/at-openai/chat/completions"),
        ("/v1/chat/completions", "/at-openai/chat/completions"),
        ("/chat/completions", "/at-openai/chat/completions"),
    ] {
        let answer = gateway.send(tachograph_tests::ask(http::Method::POST, path, odd)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = upstream.last();
        assert_eq!((seen.target.as_str(), seen.body), (target, Bytes::from_static(odd.as_bytes())), "{path}");
        assert_eq!(gateway.row(&answer).await["request"]["text"], odd);
    }
}
