//! The query API.

use std::sync::atomic::Ordering;

use axum::http::{StatusCode, header};
use bytes::Bytes;
use serde_json::{Value, json};
use tachograph_record::{
    Attempt, Body, Cost, CostLine, CostState, Leaf, Outcome, PromptRef, RecordedError, SessionRef, Usage, UsageReading,
};

use crate::desk::{KEY, OTHER_KEY, call, desk, other_org, read};

fn priced(total: &str) -> CostState {
    CostState::Priced(Box::new(Cost {
        total: total.parse().unwrap(),
        lines: vec![CostLine {
            meter: "input_tokens".into(),
            quantity: "500".into(),
            price: "0.15".into(),
            per: 1_000_000,
            amount: total.parse().unwrap(),
            exact: true,
        }],
        provider: "openai".into(),
        model: "gpt-4o-mini".into(),
        matched_by: "exact id".into(),
        price_version: "abc".into(),
        estimated: false,
        warnings: Vec::new(),
    }))
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["rows"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn nothing_but_health_is_told_to_strangers() {
    let desk = desk();
    let id = call(0).id;
    for path in ["/api/requests", &format!("/api/requests/{id}"), "/api/totals", "/api/live", "/api/openapi.json"] {
        for headers in [
            &[][..],
            &[("authorization", "Bearer wrong")],
            &[("authorization", "Basic dGctaG9tZQ==")],
            &[("cookie", "tachograph_session=0")],
        ] {
            let response = desk.get_with(path, headers).await;
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path} {headers:?}");
            assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
            let body: Value = serde_json::from_slice(&read(response).await).unwrap();
            assert_eq!(body["error"]["code"], "unauthenticated");
        }
    }
    let health = desk.get("/api/health").await;
    assert_eq!(health.status(), StatusCode::OK);
    assert_eq!(read(health).await, r#"{"queue_depth":3,"dropped":0}"#);
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repeat() {
    let desk = desk();
    // Three share a moment: then ids decide.
    let records: Vec<_> = [10, 30, 20, 20, 20, 40].map(call).into();
    desk.put(&records).await;
    let (_, all) = desk.json("/api/requests").await;
    assert_eq!((ids(&all).len(), &all["next"]), (6, &Value::Null));
    let (mut path, mut seen) = ("/api/requests?limit=2".to_owned(), Vec::new());
    loop {
        let (status, page) = desk.json(&path).await;
        assert_eq!(status, StatusCode::OK);
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/requests?limit=2&before={next}");
    }
    assert_eq!(seen, ids(&all));
    let oldest = all["rows"][5]["cursor"].as_str().unwrap();
    let (_, newer) = desk.json(&format!("/api/requests?after={oldest}&limit=1")).await;
    assert_eq!(ids(&newer), [ids(&all)[4]], "the oldest of the newer ones first");
}

#[tokio::test]
async fn filters_pick_rows_and_totals_alike() {
    let desk = desk();
    let mut wanted = call(1_000);
    wanted.asked.model = Some("fast".into());
    wanted.provider_model = Some("claude-haiku-4-5".into());
    wanted.provider = Some("anthropic".into());
    wanted.outcome = Outcome::UpstreamFailed;
    wanted.status = Some(529);
    wanted.asked.attribution.user = Some("ada l".into());
    wanted.asked.attribution.session = Some(SessionRef { id: "s-1".into(), ..SessionRef::default() });
    wanted.asked.attribution.set_property("Team", "a:b");
    wanted.cost = priced("0.000075");
    desk.put(&[wanted.clone(), call(5_000), call(1)]).await;
    for filter in [
        "model=fast",
        "model=claude-haiku-4-5",
        "provider=anthropic",
        "outcome=upstream_failed",
        "status=529",
        "user=ada%20l",
        "session=s-1",
        "property=Team:a:b",
        "from=1000&until=5000",
    ] {
        let (status, page) = desk.json(&format!("/api/requests?{filter}")).await;
        assert_eq!((status, ids(&page)), (StatusCode::OK, vec![wanted.id.to_string().as_str()]), "{filter}");
        let (_, totals) = desk.json(&format!("/api/totals?{filter}")).await;
        assert_eq!((&totals["requests"], &totals["cost"]), (&json!(1), &json!("0.000075")), "{filter}");
    }
}

#[tokio::test]
async fn wrong_questions_are_refused_with_words() {
    let desk = desk();
    for (path, word) in [
        ("/api/requests?before=tomorrow", "before"),
        ("/api/requests?after=1_2", "after"),
        ("/api/requests?limit=0", "limit"),
        ("/api/requests?modle=x", "modle"),
        ("/api/requests?user=%FF%FE&user=a", "user"),
        ("/api/totals?limit=5", "limit"),
        ("/api/live?before=x", "before"),
        ("/api/requests/not-a-uuid", "UUID"),
    ] {
        let (status, body) = desk.json(path).await;
        assert_eq!((status, &body["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("bad_request")), "{path}");
        assert!(body["error"]["message"].as_str().unwrap().contains(word), "{path}: {body}");
    }
}

#[tokio::test]
async fn one_request_is_told_in_full_and_only_to_its_own() {
    let desk = desk();
    let mut record = call(1_800_000_000_000_000);
    let (asked, cap) = (&mut record.asked, 64);
    asked.body = Body::capture(&Bytes::from_static("{\"model\":\"gpt-4o-mini\",\"messages\":[]}".as_bytes()), cap);
    asked.parameters.push(Bytes::from_static(b"temperature"), Bytes::from_static(b"0.25"));
    asked.attribution.prompt = Some(PromptRef { id: "triage".into(), version: None });
    record.response = Body::capture(&Bytes::from_static(b"\xff\x00"), cap);
    record.reading.usage =
        UsageReading::Known(Usage::reported([(Leaf::INPUT, 100), (Leaf::CACHE_READ, 400), (Leaf::OUTPUT, 7)]));
    record.cost = priced("0.000000000000000001");
    record.error = Some(RecordedError { kind: "overloaded".into(), code: None, message: "later".into() });
    record.attempts = vec![Attempt { provider: "openai".into(), sent_us: 90, ..Attempt::default() }];
    desk.put(&[record.clone()]).await;

    let path = format!("/api/requests/{}", record.id);
    let (status, told) = desk.json(&path).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(told["timing"]["received_at"], 1_800_000_000_000_000_i64);
    assert_eq!(told["parameters"], json!({ "temperature": 0.25 }));
    assert_eq!(told["prompt"]["id"], "triage");
    assert_eq!(told["request"]["text"], "{\"model\":\"gpt-4o-mini\",\"messages\":[]}");
    assert_eq!(told["response"], json!({ "len": 2, "state": "whole", "base64": "/wA=" }));
    assert_eq!((&told["usage"]["input_tokens"], &told["usage"]["cache_read_tokens"]), (&json!(500), &json!(400)));
    assert_eq!(told["usage"]["meters"][0], json!({ "meter": "input_tokens", "quantity": "100" }));
    assert_eq!(told["cost"], json!({ "status": "priced", "total": "0.000000000000000001", "estimated": false }));
    assert_eq!(told["receipt"]["lines"][0]["amount"], "0.000000000000000001");
    assert_eq!(told["error"]["message"], "later");
    assert_eq!(told["attempts"][0]["sent_us"], 90);

    let (status, told) = desk.json_as(OTHER_KEY, &path).await;
    assert_eq!((status, &told["error"]["code"]), (StatusCode::NOT_FOUND, &json!("unknown_request")));
    let (status, _) = desk.json(&format!("/api/requests/{}", call(0).id)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_organisation_sees_its_own_rows_alone() {
    let desk = desk();
    let mut foreign = call(9);
    foreign.asked.org = other_org();
    desk.put(&[call(1), foreign.clone()]).await;
    let (_, theirs) = desk.json_as(OTHER_KEY, "/api/requests").await;
    assert_eq!(ids(&theirs), [foreign.id.to_string()]);
    let (_, totals) = desk.json_as(KEY, "/api/totals").await;
    assert_eq!(totals["requests"], 1);
}

#[tokio::test]
async fn an_unknown_cost_is_no_zero() {
    let desk = desk();
    let mut record = call(1);
    record.reading.usage = UsageReading::Known(Usage::reported([(Leaf::INPUT, 5)]));
    record.cost = CostState::UnknownModel;
    desk.put(&[record]).await;
    let (_, page) = desk.json("/api/requests").await;
    assert_eq!(page["rows"][0]["cost"], json!({ "status": "unknown_model", "total": null, "estimated": false }));
    let (_, totals) = desk.json("/api/totals").await;
    assert_eq!(totals["unpriced"], 1);
}

#[tokio::test]
async fn a_store_that_is_away_is_said_without_its_secrets() {
    let desk = desk();
    desk.store.unreachable.store(true, Ordering::Relaxed);
    let (status, body) = desk.json("/api/requests").await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("store_unreachable")));
    assert!(!body.to_string().contains("db.internal"));
}

#[tokio::test]
async fn a_call_is_told_as_a_conversation_whatever_its_api() {
    let desk = desk();
    let anthropic = r#"{"model":"claude-haiku-4-5","max_tokens":9,"system":"Be brief.","messages":[{"role":"user","content":"Hi"},
        {"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"look","input":{"at":1}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"seen"}]}]}"#;
    let answer = r#"{"type":"message","role":"assistant","stop_reason":"end_turn","content":[{"type":"thinking","thinking":"Hm","signature":"x"},
        {"type":"text","text":"Hello"}],"usage":{"input_tokens":9,"output_tokens":2}}"#;
    let stream = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hel\"}}]}\n\n\
                  data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let openai = r#"{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
    for (api, is_stream, request, response) in
        [("anthropic.messages", false, anthropic, answer), ("openai.chat", true, openai, stream)]
    {
        let mut record = call(1);
        record.asked.api = api.into();
        record.asked.stream = is_stream;
        record.asked.body = Body::capture(&Bytes::from_static(request.as_bytes()), 9_999);
        record.response = Body::capture(&Bytes::from_static(response.as_bytes()), 9_999);
        desk.put(std::slice::from_ref(&record)).await;
        let (_, told) = desk.json(&format!("/api/requests/{}", record.id)).await;
        let talk = &told["conversation"];
        assert_eq!(talk["messages"][0]["role"], "user", "{api}: {talk}");
        assert_eq!(
            (&talk["messages"][0]["content"][0]["type"], &talk["messages"][0]["content"][0]["text"]),
            (&json!("text"), &json!("Hi"))
        );
        let said = talk["answers"][0]["content"].as_array().unwrap();
        assert_eq!(said.last().unwrap()["text"], "Hello", "{api}: {talk}");
        assert_eq!(talk["answers"][0]["finish_reason"], "stop");
        if api == "anthropic.messages" {
            assert_eq!(talk["system"][0]["text"], "Be brief.");
            assert_eq!((&said[0]["type"], &said[0]["text"]), (&json!("thinking"), &json!("Hm")));
            let called = &talk["messages"][1]["content"][0];
            assert_eq!(
                (&called["type"], &called["name"], &called["arguments"]),
                (&json!("tool_call"), &json!("look"), &json!(r#"{"at":1}"#))
            );
        }
    }
    let mut record = call(2);
    record.asked.api = "openai.embeddings".into();
    desk.put(std::slice::from_ref(&record)).await;
    let (_, told) = desk.json(&format!("/api/requests/{}", record.id)).await;
    assert_eq!(told["conversation"], Value::Null);
}
