use std::sync::{Arc, Mutex};

use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tachograph_pricing::PriceBook;
use tachograph_record::{BodyState, KeyId, LogRecord, OrgId, Outcome, Step};
use tachograph_telemetry::{Receipt, RecordSink};

use super::*;
use crate::routes::LogRoutes;

const KEY: &str = "sk-helicone-aaaaaaa-bbbbbbb-ccccccc-ddddddd";

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<LogRecord>>>);

impl RecordSink for Kept {
    fn accept(&self, record: LogRecord) -> Receipt {
        self.0.lock().unwrap().push(record);
        Receipt::kept()
    }
}

struct Told {
    status: u16,
    id: Option<String>,
    body: String,
    record: Option<LogRecord>,
}

async fn tell(path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Told {
    let (kept, key) = (Kept::default(), KeyId::generate());
    let routes = LogRoutes::new(RouteOptions {
        sink: Arc::new(kept.clone()),
        callers: Arc::new(move |text: &str| (text == KEY).then_some((OrgId::HOME, key))),
        prices: Arc::new(PriceBook::embedded()),
        keep_body: Some(1 << 20),
    });
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = routes.answer(request.body(Full::new(body.into())).unwrap()).await;
    let id = response.headers().get(&ID).map(|id| id.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let record = kept.0.lock().unwrap().pop();
    assert_eq!(id, record.as_ref().map(|record| record.id.to_string()), "an id says that there is a record");
    Told { status, id, body, record }
}

async fn logged(path: &str, headers: &[(&str, &str)], body: &Value) -> LogRecord {
    let bearer = format!("Bearer {KEY}");
    let headers: Vec<_> = headers.iter().copied().chain([("authorization", bearer.as_str())]).collect();
    let told = tell(path, &headers, body.to_string()).await;
    assert_eq!((told.status, told.body.as_str()), (200, "ok"));
    told.record.unwrap()
}

fn cases(name: &str) -> Option<Vec<Value>> {
    let shared = std::env::var("TACHOGRAPH_SHARED").unwrap_or_else(|_| "../../../shared".to_owned());
    let Ok(text) = std::fs::read_to_string(format!("{shared}/helicone-cases/{name}")) else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "the cases must be there under CI");
        eprintln!("skipped: no helicone-cases/{name} at {shared}");
        return None;
    };
    let read: Value = serde_json::from_str(&text).unwrap();
    Some(read["cases"].as_array().unwrap().clone())
}

fn call(request: Value, response: Value) -> Value {
    value!({
        "providerRequest": { "url": "custom-model-nopath", "json": request, "meta": {} },
        "providerResponse": { "json": response, "status": 200, "headers": {} },
        "timing": {
            "startTime": { "seconds": 1_700_000_000, "milliseconds": 250 },
            "endTime": { "seconds": 1_700_000_001, "milliseconds": 0 },
            "timeToFirstToken": 12.5,
        },
    })
}

#[tokio::test]
async fn helicones_validation_cases_hold() {
    let bearer = format!("Bearer {KEY}");
    for case in cases("async_log.json").unwrap_or_default() {
        let told = tell("/custom/v1/log", &[("authorization", &bearer)], case["payload"].to_string()).await;
        let wanted = case["result"][0].as_bool().unwrap();
        assert_eq!(told.status == 200, wanted, "{case}: {}", told.body);
        if !wanted {
            assert_eq!(told.status, 400);
            assert_eq!(serde_json::from_str::<Value>(&told.body).unwrap(), value!({ "error": case["result"][1] }));
        }
    }
}

/// The requests that the real clients sent. Their prompt reads are another route's.
#[tokio::test]
async fn what_helicones_clients_sent_is_taken() {
    let mut taken = 0;
    for case in cases("client_wire.json").unwrap_or_default() {
        let path = case["path"].as_str().unwrap();
        if !path.ends_with("/log") {
            continue;
        }
        let headers: Vec<(&str, &str)> = case["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let told = tell(path, &headers, case["body"].to_string()).await;
        assert_eq!((told.status, told.body.as_str()), (200, "ok"), "{case}");
        let record = told.record.unwrap();
        let sent = &case["body"]["providerRequest"]["json"];
        assert_eq!(serde_json::from_slice::<Value>(&record.asked.body.bytes()).unwrap(), *sent);
        let (step, model) = match sent["_type"].as_str() {
            Some("tool") => (Step::Tool, "tool:t"),
            Some("vector_db") => (Step::VectorDb, "vector_db"),
            Some("data") => (Step::Data, "data:d"),
            _ => (Step::Model, sent["model"].as_str().unwrap()),
        };
        assert_eq!((record.asked.step, record.model()), (step, Some(model)), "{case}");
        let usage = &case["body"]["providerResponse"]["json"]["usage"];
        let tokens = record.reading.usage.known().map(|usage| (usage.input_total(), usage.output_total()));
        let wanted =
            usage["prompt_tokens"].as_u64().map(|input| (input, usage["completion_tokens"].as_u64().unwrap_or(0)));
        assert_eq!(tokens, wanted, "{case}");
        if case["body"]["providerResponse"]["status"] == 500 {
            assert_eq!((record.outcome, record.status), (Outcome::UpstreamFailed, Some(500)));
            assert_eq!(record.error.unwrap().message, "Error: boom");
        }
        taken += 1;
    }
    assert!(taken == 0 || taken > 10);
}

#[tokio::test]
async fn attribution_comes_by_headers_and_real_ones_win_over_meta() {
    let mut body = call(value!({"model": "gpt-4o-mini", "messages": []}), value!({"choices": []}));
    body["providerRequest"]["meta"] = value!({
        "Helicone-User-Id": "by-meta", "Helicone-Property-City": "Köln", "Helicone-Session-Id": "s",
    });
    let id = "5f0c3e7a-9f0e-4c1c-8d35-0e4b7a3f9b11";
    let headers = [
        ("helicone-user-id", "by-header"),
        ("helicone-session-path", "/a/b"),
        ("helicone-request-id", id),
        ("helicone-omit-response", "true"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    let record = logged("/oai/v1/log", &headers, &body).await;
    assert_eq!(record.id.to_string(), id);
    let told = &record.asked.attribution;
    assert_eq!(told.user.as_deref(), Some("by-header"));
    assert_eq!(told.properties, [("city".to_owned(), "Köln".to_owned())]);
    assert_eq!(told.session.as_ref().unwrap().path.as_deref(), Some("/a/b"));
    assert_eq!(record.response.state(), BodyState::Omitted);
    assert_eq!(record.asked.parent_span_id.as_deref(), Some("b7ad6b7169203331"));
}

#[tokio::test]
async fn clocks_are_as_told() {
    let record = logged("/custom/v1/log", &[], &call(value!({"model": "m"}), value!({}))).await;
    let timing = record.timing;
    assert_eq!((timing.received_at.micros(), timing.end_us), (1_700_000_000_250_000, 750_000));
    assert_eq!(timing.first_token_us, Some(12_500));
}

#[tokio::test]
async fn streams_are_read_in_every_form_that_they_are_told_in() {
    let chunks = [
        r#"{"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"delta":{"content":"Hel"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#,
    ];
    let events: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    let listed: Vec<Value> = chunks.iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect();
    let forms = [
        (value!({}), Some(chunks.join("\n"))),
        (value!({}), Some(events + "data: [DONE]\n\n")),
        (value!({ "streamed_data": listed }), None),
        (value!({ "streamed_data": chunks }), None),
    ];
    for (json, text) in forms {
        let mut body = call(value!({"model": "gpt-4o-mini", "stream": true, "messages": []}), json);
        body["providerResponse"]["textBody"] = text.clone().into();
        let record = logged("/oai/v1/log", &[], &body).await;
        let usage = record.reading.usage.known().unwrap_or_else(|| panic!("{body}"));
        assert_eq!((usage.input_total(), usage.output_total()), (5, 2), "{body}");
        assert_eq!(record.model(), Some("gpt-4o-mini-2024-07-18"));
        assert_eq!((record.outcome, record.asked.stream), (Outcome::Complete, true));
        assert_eq!(record.reading.finish_reason.unwrap().code(), "stop");
        if let Some(text) = text {
            assert_eq!(record.response.bytes(), text, "what was told is kept as it is");
        }
        let shown = tachograph_providers::conversation("openai.chat", true, b"{}", &record.response.bytes());
        let said = serde_json::to_string(&shown.response).unwrap();
        assert!(said.contains("Hello"), "{said}");
    }
}

#[tokio::test]
async fn the_provider_is_as_said_or_as_the_route_the_url_or_the_model_says() {
    let body = |url: &str, provider: Value, model: &str| {
        let mut body = call(value!({"model": model, "messages": []}), value!({}));
        body["providerRequest"]["url"] = url.into();
        body["provider"] = provider;
        body
    };
    let nowhere = "custom-model-nopath";
    for (route, body, provider) in [
        ("/oai/v1/log", body(nowhere, Value::Null, "mine"), Some("openai")),
        ("/googleapis/v1/log", body(nowhere, Value::Null, "mine"), Some("gemini")),
        ("/oai/v1/log", body(nowhere, value!("GROQ"), "mine"), Some("groq")),
        ("/custom/v1/log", body(nowhere, value!("google"), "mine"), Some("gemini")),
        ("/custom/v1/log", body("https://api.anthropic.com/v1/messages?x=1", Value::Null, "mine"), Some("anthropic")),
        ("/custom/v1/log", body(nowhere, Value::Null, "gpt-4o-mini"), Some("openai")),
        ("/custom/v1/log", body(nowhere, Value::Null, "mine"), None),
    ] {
        assert_eq!(logged(route, &[], &body).await.provider.as_deref(), provider, "{route} {body}");
    }
}

#[tokio::test]
async fn a_cost_that_is_told_stands_beside_ours_and_a_cancelled_call_is_the_clients() {
    let mut body =
        call(value!({"model": "gpt-4o-mini", "user": "ada", "temperature": 0.50, "messages": []}), value!({}));
    body["providerResponse"]["cost"] = value!(0.0123);
    body["providerResponse"]["status"] = value!(-3);
    let record = logged("/oai/v1/log", &[], &body).await;
    assert_eq!(record.reading.provider_cost.unwrap().to_string(), "0.0123");
    assert_eq!((record.outcome, record.status), (Outcome::ClientGone, None));
    assert_eq!(record.asked.attribution.user.as_deref(), Some("ada"));
    assert_eq!(record.asked.parameters.to_json().keys().collect::<Vec<_>>(), ["user", "temperature"]);
}

#[tokio::test]
async fn the_tracing_servers_routes_answer_in_their_own_way() {
    let bearer = format!("Bearer {KEY}");
    let auth = [("authorization", bearer.as_str())];
    let mut body = call(value!({"model": "m"}), value!({}));
    body["timing"]["startTime"] = value!("2024-01-01T00:00:00Z");
    body["timing"]["endTime"] = value!(1_704_067_201);
    for path in
        ["/v1/trace/custom/v1/log", "/v1/trace/custom/log", "/v1/trace/custom/log/typed", "/v1/trace/custom/log/"]
    {
        let told = tell(path, &auth, body.to_string()).await;
        assert_eq!((told.status, told.body.as_str()), (200, ""), "{path}");
        assert_eq!(told.record.unwrap().timing.end_us, 1_000_000);
    }
    let told = tell("/v1/trace/custom/log/typed", &auth, "{}").await;
    let listed: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!((told.status, &listed["isValid"], listed["errors"].as_array().unwrap().len()), (400, &value!(false), 1));
}

#[tokio::test]
async fn nothing_is_taken_without_a_key_or_beyond_the_limit() {
    let body = call(value!({"model": "m"}), value!({})).to_string();
    for headers in [&[][..], &[("authorization", "Bearer sk-other")]] {
        let told = tell("/custom/v1/log", headers, body.clone()).await;
        assert_eq!(told.status, 401);
        assert!(told.record.is_none() && told.id.is_none());
    }
    let bearer = format!("Bearer {KEY}");
    let told = tell("/custom/v1/log", &[("authorization", &bearer)], vec![b' '; MAX_BODY + 1]).await;
    assert_eq!((told.status, told.body.as_str()), (400, r#"{"error":"Payload too large"}"#));
    for hostile in ["", "null", "[]", "{", "\u{0}", r#"{"providerRequest":1,"providerResponse":{}}"#] {
        assert_eq!(tell("/custom/v1/log", &[("authorization", &bearer)], hostile).await.status, 400, "{hostile}");
    }
}

/// As Helicone's gateway in Rust sends it.
#[tokio::test]
async fn a_message_of_helicones_own_gateway_is_a_call_without_bodies() {
    let message = value!({
        "authorization": format!("Bearer {KEY}"),
        "heliconeMeta": { "omitRequestLog": false, "omitResponseLog": false },
        "log": {
            "request": { "id": "5f0c3e7a-9f0e-4c1c-8d35-0e4b7a3f9b11", "userId": "ada", "provider": "OPENAI", "isStream": true,
                "properties": { "Helicone-Session-Id": "s1", "helicone-session-path": "/plan", "team": "blue" },
                "targetUrl": "https://api.openai.com/v1/chat/completions", "path": "/v1/chat/completions", "bodySize": 100,
                "requestCreatedAt": "2026-11-24T10:00:00Z" },
            "response": { "id": "7f0c3e7a-9f0e-4c1c-8d35-0e4b7a3f9b11", "status": 200, "bodySize": 300, "delayMs": 1250,
                "timeToFirstToken": 200, "responseCreatedAt": "2026-11-24T10:00:01.250Z", "model": "gpt-4o-mini",
                "promptTokens": 400, "promptCacheReadTokens": 100, "completionTokens": 300 },
        },
    });
    let told = tell("/v1/log/request", &[], message.to_string()).await;
    assert_eq!(told.status, 200, "{}", told.body);
    let record = told.record.unwrap();
    assert_eq!(record.id.to_string(), "5f0c3e7a-9f0e-4c1c-8d35-0e4b7a3f9b11");
    assert_eq!(
        (record.provider.as_deref(), record.model(), record.asked.stream),
        (Some("openai"), Some("gpt-4o-mini"), true)
    );
    let usage = record.reading.usage.known().unwrap();
    assert_eq!((usage.input_total(), usage.cache_read_total(), usage.output_total()), (500, 100, 300));
    let asked = &record.asked.attribution;
    let session = asked.session.as_ref().unwrap();
    assert_eq!(
        (asked.user.as_deref(), session.id.as_str(), session.path.as_deref()),
        (Some("ada"), "s1", Some("/plan"))
    );
    assert_eq!(asked.properties, [("team".to_owned(), "blue".to_owned())]);
    assert_eq!((record.timing.end_us, record.timing.first_token_us), (1_250_000, Some(200_000)));
    for (body, status) in [
        (value!({ "log": message["log"] }), 401),
        (value!({ "authorization": format!("Bearer {KEY}") }), 400),
        (
            value!({ "authorization": format!("Bearer {KEY}"), "log": { "request": { "id": "x" }, "response": {} } }),
            400,
        ),
    ] {
        let told = tell("/v1/log/request", &[], body.to_string()).await;
        assert_eq!((told.status, told.record.is_none()), (status, true), "{}", told.body);
    }
}
