use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tachograph_pricing::PriceBook;
use tachograph_record::{KeyId, Leaf, LogRecord, OrgId, Outcome, Step};
use tachograph_telemetry::{Receipt, RecordSink};

use super::*;
use crate::routes::LogRoutes;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<LogRecord>>>);

impl RecordSink for Kept {
    fn accept(&self, record: LogRecord) -> Receipt {
        self.0.lock().unwrap().push(record);
        Receipt::kept()
    }
}

async fn send(path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, Bytes, Vec<LogRecord>) {
    let (kept, key) = (Kept::default(), KeyId::generate());
    let routes = LogRoutes::new(RouteOptions {
        sink: Arc::new(kept.clone()),
        callers: Arc::new(move |text: &str| (text == "sk").then_some((OrgId::HOME, key))),
        prices: Arc::new(PriceBook::embedded()),
        keep_body: Some(1 << 20),
    });
    let mut request = Request::post(path).header("authorization", "Bearer sk");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = routes.answer(request.body(Full::new(Bytes::from(body))).unwrap()).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let records = kept.0.lock().unwrap().clone();
    (status, body, records)
}

fn golden(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(name).with_extension("json");
    std::fs::read_to_string(path).unwrap()
}

/// An attribute value of JSON.
fn any(value: &Value) -> Value {
    match value {
        Value::String(text) => json!({ "stringValue": text }),
        Value::Bool(flag) => json!({ "boolValue": flag }),
        Value::Number(number) if number.is_f64() => json!({ "doubleValue": number }),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::Array(items) => json!({ "arrayValue": { "values": items.iter().map(any).collect::<Vec<_>>() } }),
        other => json!({ "stringValue": other.to_string() }),
    }
}

fn attributes(of: &Value) -> Value {
    of.as_object().unwrap().iter().map(|(key, value)| json!({ "key": key, "value": any(value) })).collect()
}

fn export(span: Value) -> Vec<u8> {
    let whole = json!({ "resourceSpans": [{
        "resource": { "attributes": attributes(&json!({ "service.name": "shop" })) },
        "scopeSpans": [{ "scope": { "name": "any" }, "spans": [span] }],
    }] });
    whole.to_string().into_bytes()
}

fn span(of: Value, events: &[(&str, Value)]) -> Value {
    let events: Vec<Value> = events
        .iter()
        .enumerate()
        .map(|(at, (name, told))| {
            json!({ "name": name, "timeUnixNano": (1_000_000_000_u64 + 250_000_000 * (at as u64 + 1)).to_string(), "attributes": attributes(told) })
        })
        .collect();
    json!({
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "parentSpanId": "00f067aa0ba902b7",
        "name": "a span", "kind": 3, "startTimeUnixNano": "1000000000", "endTimeUnixNano": "3000000000",
        "attributes": attributes(&of), "events": events,
    })
}

async fn one(of: Value, events: &[(&str, Value)]) -> LogRecord {
    let (status, _, mut records) =
        send("/v1/traces", &[("content-type", "application/json")], export(span(of, events))).await;
    assert_eq!((status, records.len()), (200, 1));
    records.pop().unwrap()
}

/// Role and content of each message asked, and of the first answer.
fn talk(record: &LogRecord) -> (Vec<(String, Value)>, Value) {
    let request: Value = serde_json::from_slice(&record.asked.body.bytes()).unwrap();
    let response: Value = serde_json::from_slice(&record.response.bytes()).unwrap();
    let asked = request["messages"].as_array().unwrap();
    let asked = asked.iter().map(|message| (message["role"].as_str().unwrap().to_owned(), message["content"].clone()));
    (asked.collect(), response["choices"][0]["message"].clone())
}

fn plain(system: &str, user: &str) -> Vec<(String, Value)> {
    vec![("system".into(), system.into()), ("user".into(), user.into())]
}

#[tokio::test]
async fn recorded_instrumentations_give_model_tokens_and_what_was_said() {
    for name in ["openllmetry-openai", "openinference-openai", "openllmetry-langchain"] {
        let (status, body, records) =
            send("/v1/trace/log", &[("content-type", "application/json")], golden(name).into_bytes()).await;
        assert_eq!((status, &body[..]), (200, &b"{\"partialSuccess\":null}"[..]), "{name}");
        let models: Vec<_> = records.iter().filter(|record| record.asked.step == Step::Model).collect();
        let [call] = models[..] else { panic!("{name}: {} calls of models", models.len()) };
        let usage = call.reading.usage.known().unwrap();
        assert_eq!((usage.input_total(), usage.cache_read_total(), usage.output_total()), (500, 100, 300), "{name}");
        assert_eq!(
            (call.model(), call.provider.as_deref()),
            (Some("gpt-4o-mini-2024-07-18"), Some("openai")),
            "{name}"
        );
        let (asked, answered) = talk(call);
        assert_eq!(asked, plain("Be brief", "hi"), "{name}");
        assert_eq!(answered["content"], "Hello there", "{name}");
        assert_eq!(call.reading.finish_reason.unwrap().code(), "stop", "{name}");
        let shown = tachograph_providers::conversation(
            &call.asked.api,
            false,
            &call.asked.body.bytes(),
            &call.response.bytes(),
        );
        assert!(shown.request.is_some() && shown.response.is_some(), "{name}: the console can show it");
        if name.ends_with("langchain") {
            let root = records.iter().find(|record| record.asked.parent_span_id.is_none()).unwrap();
            assert_eq!(
                (records.len(), root.asked.step, root.asked.name.as_deref()),
                (3, Step::Span, Some("RunnableSequence"))
            );
            assert!(root.reading.usage.known().is_none(), "only calls of models use tokens");
            assert_eq!(call.asked.parent_span_id, root.asked.span_id);
            assert_eq!(call.asked.attribution.user.as_deref(), Some("ada"));
        } else if name.ends_with("openai") && name.starts_with("openllmetry") {
            assert_eq!(call.asked.attribution.user.as_deref(), Some("ada"));
        }
    }
}

#[tokio::test]
async fn recorded_runs_of_agent_frameworks_give_their_calls_and_who_they_are_for() {
    for (name, all, calls, tools) in [("openllmetry-autogen", 5, 2, 1), ("openllmetry-crewai", 4, 1, 0)] {
        let (status, _, records) = send("/v1/traces", &[], golden(name).into_bytes()).await;
        assert_eq!((status, records.len()), (200, all), "{name}");
        let of = |step| records.iter().filter(move |record| record.asked.step == step);
        assert_eq!((of(Step::Model).count(), of(Step::Tool).count()), (calls, tools), "{name}");
        for call in of(Step::Model) {
            assert_eq!(
                (call.provider.as_deref(), call.model()),
                (Some("openai"), Some("gpt-4o-mini-2024-07-18")),
                "{name}"
            );
            let usage = call.reading.usage.known().unwrap();
            assert_eq!((usage.input_total(), usage.output_total()), (500, 300), "{name}");
            let above = records.iter().find(|above| above.asked.span_id == call.asked.parent_span_id).unwrap();
            assert_eq!(above.asked.step, Step::Span, "{name}: an agent made it");
            let (asked, _) = talk(call);
            assert!(asked.iter().any(|(role, _)| role == "user"), "{name}: {asked:?}");
        }
        for record in &records {
            let told = &record.asked.attribution;
            assert_eq!(
                (told.user.as_deref(), told.session.as_ref().map(|held| held.id.as_str())),
                (Some("ada"), Some("s1"))
            );
            assert!(told.properties.contains(&("team".into(), "blue".into())), "{name}");
            assert!(record.asked.step == Step::Model || record.reading.usage.known().is_none(), "{name}");
        }
        for tool in of(Step::Tool) {
            assert_eq!(tool.asked.name.as_deref(), Some("weather"));
        }
    }
    // This one tells of no calls at all, only of steps: what passes the gateway fills them in.
    let (_, _, records) = send("/v1/traces", &[], golden("openinference-crewai").into_bytes()).await;
    assert!(records.len() == 2 && records.iter().all(|record| record.asked.step == Step::Span));
}

#[tokio::test]
async fn a_recorded_call_whose_messages_are_logs_is_one_row_of_two_pieces() {
    let (_, _, spans) = send("/v1/traces", &[], golden("opentelemetry-openai").into_bytes()).await;
    let (status, body, parts) = send("/v1/logs", &[], golden("opentelemetry-openai-logs").into_bytes()).await;
    assert_eq!((status, spans.len(), parts.len()), (200, 1, 1), "{body:?}");
    assert_eq!(parts[0].control.part_of, Some(spans[0].id));
    assert!(spans[0].asked.body.is_empty() && spans[0].response.is_empty());
    let (asked, answered) = talk(&parts[0]);
    assert_eq!(asked, plain("Be brief", "How fast does it turn?"));
    assert_eq!(answered["content"], "The tachograph turns slowly. 速度は一定です 🚚");
}

#[tokio::test]
async fn generation_a_has_content_in_flat_attributes() {
    let record = one(
        json!({
            "gen_ai.system": "Anthropic", "gen_ai.request.model": "claude-haiku-4-5", "llm.request.type": "chat",
            "gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": "Be brief",
            "gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": "hi",
            "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.finish_reason": "tool_use",
            "gen_ai.completion.0.tool_calls.0.id": "t1", "gen_ai.completion.0.tool_calls.0.name": "weather",
            "gen_ai.completion.0.tool_calls.0.arguments": "{\"city\":\"Köln\"}",
            "gen_ai.usage.prompt_tokens": 9, "gen_ai.usage.completion_tokens": 2, "llm.usage.total_tokens": 11,
            "traceloop.association.properties.Helicone-User-Id": "ada",
            "traceloop.association.properties.Helicone-Property-Team": "blue",
            "traceloop.association.properties.Helicone-Session-Id": "s1",
            "traceloop.association.properties.Helicone-Session-Path": "/a",
            "traceloop.association.properties.chat_id": "c7",
            "gen_ai.request.temperature": 0.5, "my.own": "kept",
        }),
        &[],
    )
    .await;
    assert_eq!((record.provider.as_deref(), record.model()), (Some("anthropic"), Some("claude-haiku-4-5")));
    let (asked, answered) = talk(&record);
    assert_eq!(asked, plain("Be brief", "hi"));
    assert_eq!(answered["tool_calls"][0]["function"], json!({ "name": "weather", "arguments": "{\"city\":\"Köln\"}" }));
    assert_eq!(record.reading.finish_reason.unwrap().code(), "tool_calls");
    let told = &record.asked.attribution;
    assert_eq!((told.user.as_deref(), told.session.as_ref().unwrap().path.as_deref()), (Some("ada"), Some("/a")));
    let mut properties = told.properties.clone();
    properties.sort();
    let wanted = [("Team", "blue"), ("chat_id", "c7"), ("my.own", "kept"), ("service.name", "shop")];
    assert_eq!(properties, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(record.asked.parameters.to_json()["temperature"], 0.5);
    assert_eq!(record.asked.parent_span_id.as_deref(), Some("00f067aa0ba902b7"));
    assert_eq!((record.timing.received_at.micros(), record.timing.end_us), (1_000_000, 2_000_000));
}

#[tokio::test]
async fn generation_b_has_content_in_events() {
    let record = one(
        json!({ "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 9, "gen_ai.usage.output_tokens": 2 }),
        &[
            ("gen_ai.system.message", json!({ "content": "Be brief" })),
            ("gen_ai.user.message", json!({ "gen_ai.event.content": "{\"content\":\"hi\"}" })),
            ("gen_ai.choice", json!({ "index": 0, "finish_reason": "stop", "message": "{\"content\":\"Hello\",\"role\":\"assistant\"}" })),
        ],
    )
    .await;
    let (asked, answered) = talk(&record);
    assert_eq!((asked, &answered["content"]), (plain("Be brief", "hi"), &json!("Hello")));
    assert_eq!(record.reading.native_finish_reason.as_deref(), Some("stop"));
}

#[tokio::test]
async fn generations_c_and_d_have_parts_and_renamed_caches() {
    let record = one(
        json!({
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "gcp.gemini", "gen_ai.request.model": "gemini-2.5-flash",
            "gen_ai.system_instructions": "[{\"type\":\"text\",\"content\":\"Be brief\"}]",
            "gen_ai.input.messages": json!([
                { "role": "user", "parts": [{ "type": "text", "content": "weather?" }, { "type": "blob", "mime_type": "image/png", "content": "QUJD" }] },
                { "role": "assistant", "parts": [{ "type": "tool_call", "id": "t", "name": "w", "arguments": { "city": "Köln" } }] },
                { "role": "tool", "parts": [{ "type": "tool_call_response", "id": "t", "response": "rain" }] },
            ]).to_string(),
            "gen_ai.output.messages": json!([{ "role": "assistant", "finish_reason": "stop",
                "parts": [{ "type": "reasoning", "content": "hm" }, { "type": "text", "content": "Rain." }] }]).to_string(),
            "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 50, "gen_ai.usage.cache_write.input_tokens": 300,
            "gen_ai.usage.reasoning.output_tokens": 20, "gen_ai.response.time_to_first_chunk": 0.125,
            "gen_ai.conversation.id": "conv", "gen_ai.request.stream": true,
        }),
        &[],
    )
    .await;
    assert_eq!(record.provider.as_deref(), Some("gemini"));
    let request: Value = serde_json::from_slice(&record.asked.body.bytes()).unwrap();
    let roles: Vec<_> = request["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool"]);
    assert_eq!(request["messages"][1]["content"][1]["image_url"]["url"], "data:image/png;base64,QUJD");
    assert_eq!(request["messages"][2]["tool_calls"][0]["function"]["arguments"], "{\"city\":\"Köln\"}");
    assert_eq!(
        (&request["messages"][3]["tool_call_id"], &request["messages"][3]["content"]),
        (&json!("t"), &json!("rain"))
    );
    let (_, answered) = talk(&record);
    assert_eq!((&answered["content"], &answered["reasoning_content"]), (&json!("Rain."), &json!("hm")));
    let usage = record.reading.usage.known().unwrap();
    assert_eq!((usage.leaf(Leaf::INPUT), usage.cache_write_total(), usage.reasoning_total()), (700, 300, 20));
    assert_eq!(record.timing.first_token_us, Some(125_000));
    assert_eq!(record.asked.attribution.session.unwrap().id, "conv");
    assert!(record.asked.stream);
}

#[tokio::test]
async fn the_ai_sdk_counts_its_inner_spans_alone() {
    let outer = one(
        json!({ "ai.operationId": "ai.generateText", "ai.model.id": "gpt-4o", "ai.usage.promptTokens": 9,
        "ai.usage.completionTokens": 2 }),
        &[],
    )
    .await;
    assert_eq!(outer.asked.step, Step::Span);
    assert!(outer.reading.usage.known().is_none());
    let inner = one(
        json!({ "ai.operationId": "ai.streamText.doStream", "ai.model.id": "gpt-4o", "ai.model.provider": "openai.chat",
            "ai.prompt.messages": "[{\"role\":\"system\",\"content\":\"Be brief\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}]",
            "ai.response.text": "Hello", "ai.response.toolCalls": "[{\"toolCallId\":\"t\",\"toolName\":\"w\",\"args\":\"{}\"}]",
            "ai.response.finishReason": "tool-calls", "ai.response.msToFirstChunk": 42.5, "ai.usage.promptTokens": 9,
            "ai.usage.completionTokens": 2, "ai.telemetry.metadata.userId": "ada", "ai.telemetry.metadata.plan": "pro" }),
        &[],
    )
    .await;
    let (asked, answered) = talk(&inner);
    assert_eq!((asked, &answered["content"]), (plain("Be brief", "hi"), &json!("Hello")));
    assert_eq!(answered["tool_calls"][0]["function"]["name"], "w");
    assert_eq!((inner.provider.as_deref(), inner.timing.first_token_us), (Some("openai"), Some(42_500)));
    assert_eq!(inner.reading.finish_reason.unwrap().code(), "tool_calls");
    assert_eq!(inner.asked.attribution.user.as_deref(), Some("ada"));
    assert!(inner.asked.attribution.properties.contains(&("plan".into(), "pro".into())));
    let tool = one(
        json!({ "ai.operationId": "ai.toolCall", "ai.toolCall.name": "w", "ai.toolCall.args": "{\"a\":1}",
        "ai.toolCall.result": "42" }),
        &[],
    )
    .await;
    assert_eq!((tool.asked.step, tool.asked.name.as_deref()), (Step::Tool, Some("w")));
    assert_eq!((tool.asked.body.bytes(), tool.response.bytes()), ("{\"a\":1}".into(), "42".into()));
}

#[tokio::test]
async fn langfuse_openinference_and_pydantic_say_it_in_their_words() {
    let langfuse = one(
        json!({ "langfuse.observation.type": "generation", "langfuse.observation.model.name": "gpt-4o",
            "langfuse.observation.input": "[{\"role\":\"system\",\"content\":\"Be brief\"},{\"role\":\"user\",\"content\":\"hi\"}]",
            "langfuse.observation.output": "{\"role\":\"assistant\",\"content\":\"Hello\"}",
            "langfuse.observation.usage_details": "{\"input\":400,\"input_cached_tokens\":100,\"output\":300,\"total\":800}",
            "langfuse.observation.cost_details": "{\"input\":0.01,\"output\":0.02,\"total\":0.03}",
            "langfuse.observation.completion_start_time": "\"1970-01-01T00:00:01.500Z\"",
            "langfuse.user.id": "ada", "langfuse.session.id": "s", "langfuse.trace.metadata.team": "blue",
            "langfuse.trace.tags": ["a", "b"] }),
        &[],
    )
    .await;
    let (asked, answered) = talk(&langfuse);
    assert_eq!((asked, &answered["content"]), (plain("Be brief", "hi"), &json!("Hello")));
    let usage = langfuse.reading.usage.known().unwrap();
    assert_eq!((usage.input_total(), usage.cache_read_total(), usage.output_total()), (500, 100, 300));
    assert_eq!(langfuse.reading.provider_cost.unwrap().to_string(), "0.03");
    assert_eq!((langfuse.timing.first_token_us, langfuse.provider.as_deref()), (Some(500_000), Some("openai")));
    assert!(langfuse.asked.attribution.properties.contains(&("tags".into(), "[\"a\",\"b\"]".into())));
    let retriever = one(
        json!({ "openinference.span.kind": "RETRIEVER", "input.value": "what?", "output.value": "[]",
        "metadata": "{\"index\":\"docs\"}", "session.id": "s" }),
        &[],
    )
    .await;
    assert_eq!((retriever.asked.step, retriever.asked.body.bytes()), (Step::VectorDb, "what?".into()));
    assert!(retriever.asked.attribution.properties.contains(&("index".into(), "docs".into())));
    let tool = one(json!({ "gen_ai.tool.name": "weather", "gen_ai.tool.call.arguments": "{}" }), &[]).await;
    assert_eq!(
        (tool.asked.step, tool.asked.name.as_deref()),
        (Step::Tool, Some("weather")),
        "Pydantic AI names no operation"
    );
    let pending = export(span(json!({ "logfire.span_type": "pending_span", "gen_ai.request.model": "m" }), &[]));
    let (status, _, records) = send("/v1/traces", &[], pending).await;
    assert_eq!((status, records.len()), (200, 0));
}

fn log(name: &str, at: u64, body: Value, trace: &str) -> Value {
    let members = |of: &Value| -> Value {
        json!({ "kvlistValue": { "values": of.as_object().unwrap().iter().map(|(key, value)| {
            let value = if value.is_object() {
                json!({ "kvlistValue": { "values": attributes(value) } })
            } else {
                any(value)
            };
            json!({ "key": key, "value": value })
        }).collect::<Vec<_>>() } })
    };
    json!({ "timeUnixNano": at.to_string(), "traceId": trace, "spanId": if trace.is_empty() { "" } else { "b7ad6b7169203331" },
        "attributes": attributes(&json!({ "event.name": name, "gen_ai.system": "openai" })), "body": members(&body) })
}

fn logs(records: Value) -> Vec<u8> {
    json!({ "resourceLogs": [{ "resource": { "attributes": [] }, "scopeLogs": [{ "logRecords": records }] }] })
        .to_string()
        .into_bytes()
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[tokio::test]
async fn what_was_said_may_come_as_logs_and_names_the_row_it_belongs_to() {
    let of_span = one(json!({ "gen_ai.request.model": "gpt-4o" }), &[]).await;
    let told = json!([
        log("gen_ai.choice", 1_500_000_000, json!({ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": "Hello" } }), TRACE),
        log("gen_ai.system.message", 1_100_000_000, json!({ "content": "Be brief" }), TRACE),
        log("gen_ai.user.message", 1_200_000_000, json!({ "content": "hi" }), TRACE),
        { "timeUnixNano": "1", "traceId": TRACE, "spanId": "b7ad6b7169203331", "body": { "stringValue": "a line" } },
    ]);
    for _ in 0..2 {
        let (status, body, records) =
            send("/v1/logs", &[("content-type", "application/json")], logs(told.clone())).await;
        let answered: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, records.len()), (200, 1));
        assert!(answered["partialSuccess"].to_string().contains("rejectedLogRecords"), "{answered}");
        let part = &records[0];
        assert_eq!(part.control.part_of, Some(of_span.id));
        assert_eq!((part.asked.step, part.asked.parent_span_id.as_deref()), (Step::Model, Some("b7ad6b7169203331")));
        let (asked, answered) = talk(part);
        assert_eq!((asked, &answered["content"]), (plain("Be brief", "hi"), &json!("Hello")));
        assert_eq!(part.reading.native_finish_reason.as_deref(), Some("stop"));
        assert_eq!(part.asked.attribution.properties, [], "a message's members are no properties");
    }
}

#[tokio::test]
async fn an_event_with_all_of_it_is_read_and_without_a_span_it_is_a_call() {
    let details = json!({ "timeUnixNano": "1000000000", "eventName": "gen_ai.client.inference.operation.details",
        "attributes": attributes(&json!({ "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 500, "gen_ai.usage.output_tokens": 300,
            "gen_ai.input.messages": "[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"hi\"}]}]",
            "gen_ai.output.messages": "[{\"role\":\"assistant\",\"finish_reason\":\"stop\",\"parts\":[{\"type\":\"text\",\"content\":\"Hello\"}]}]" })) });
    let (status, _, records) = send("/v1/logs", &[], logs(json!([details]))).await;
    assert_eq!((status, records.len()), (200, 1));
    let call = &records[0];
    assert_eq!((call.provider.as_deref(), call.model()), (Some("openai"), Some("gpt-4o-mini")));
    assert_eq!((call.control.part_of, &call.asked.trace_id, &call.asked.span_id), (None, &None, &None));
    assert_eq!(call.reading.usage.known().unwrap().input_total(), 500);
    let (asked, answered) = talk(call);
    assert_eq!((asked, &answered["content"]), (vec![("user".to_owned(), json!("hi"))], &json!("Hello")));
}

#[tokio::test]
async fn metrics_are_refused_in_words_and_cost_their_sender_nothing() {
    let metrics = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [
        { "name": "x", "sum": { "dataPoints": [{ "asInt": "1" }, { "asInt": "2" }] } } ] }] }] });
    let (status, body, records) = send("/v1/metrics", &[], metrics.to_string().into_bytes()).await;
    let answered: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, records.len()), (200, 0));
    assert!(answered["partialSuccess"]["rejectedDataPoints"].to_string().contains('2'), "{answered}");
}

/// A call as gRPC frames it; its status and message come back.
async fn call(path: &str, headers: &[(&str, &str)], flag: u8, message: &[u8]) -> (String, Bytes, Vec<LogRecord>) {
    let (kept, key) = (Kept::default(), KeyId::generate());
    let routes = LogRoutes::new(RouteOptions {
        sink: Arc::new(kept.clone()),
        callers: Arc::new(move |text: &str| (text == "sk").then_some((OrgId::HOME, key))),
        prices: Arc::new(PriceBook::embedded()),
        keep_body: Some(1 << 20),
    });
    let frame = [&[flag], &u32::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat();
    let mut request = Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = routes.answer(request.body(Full::new(Bytes::from(frame))).unwrap()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let collected = response.into_body().collect().await.unwrap();
    let status = collected.trailers().unwrap()["grpc-status"].to_str().unwrap().to_owned();
    (status, collected.to_bytes(), kept.0.lock().unwrap().clone())
}

#[tokio::test]
async fn exporters_that_speak_grpc_are_taken_and_told_in_trailers() {
    const SPANS: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let bearer = [("authorization", "Bearer sk")];
    let export: ExportTraceServiceRequest = serde_json::from_str(&golden("openllmetry-langchain")).unwrap();
    let message = export.encode_to_vec();
    let (status, body, records) = call(SPANS, &bearer, 0, &message).await;
    assert_eq!((status.as_str(), records.len(), &body[..]), ("0", 3, &[0, 0, 0, 0, 0][..]));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&message).unwrap();
    let packed = [bearer[0], ("grpc-encoding", "gzip")];
    let (status, _, again) = call(SPANS, &packed, 1, &gzip.finish().unwrap()).await;
    assert_eq!((status.as_str(), again.len()), ("0", 3));
    assert_eq!(again[0].id, records[0].id);
    for (headers, flag, message, wanted) in [
        (&[][..], 0, &message[..], "16"),
        (&bearer, 0, &[0xff, 0xff][..], "3"),
        (&bearer, 1, &message[..], "12"),
        (&packed, 1, &message[..], "3"),
    ] {
        let (status, body, records) = call(SPANS, headers, flag, message).await;
        assert_eq!((status.as_str(), body.len(), records.len()), (wanted, 0, 0));
    }
    let of_logs = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    assert_eq!(call(of_logs, &bearer, 0, &[]).await.0, "0");
}

#[tokio::test]
async fn failures_are_told_by_status_and_exceptions() {
    let mut failed = span(
        json!({ "gen_ai.request.model": "gpt-4o", "error.type": "RateLimitError" }),
        &[("exception", json!({ "exception.type": "RateLimitError", "exception.message": "slow down" }))],
    );
    failed["status"] = json!({ "code": 2 });
    let (_, _, records) = send("/v1/traces", &[], export(failed)).await;
    let error = records[0].error.as_ref().unwrap();
    assert_eq!(
        (records[0].outcome, error.kind.as_str(), error.message.as_str()),
        (Outcome::UpstreamFailed, "RateLimitError", "slow down")
    );
}

#[tokio::test]
async fn every_path_and_encoding_gives_the_same_rows() {
    let text = golden("openllmetry-langchain");
    let export: ExportTraceServiceRequest = serde_json::from_str(&text).unwrap();
    let protobuf = export.encode_to_vec();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&protobuf).unwrap();
    let (gzip, zstd) = (gzip.finish().unwrap(), zstd::encode_all(&protobuf[..], 1).unwrap());
    let mut ids = Vec::new();
    for path in ["/v1/traces", "/v1/trace/log", "/v1/trace/log-python", "/api/public/otel/v1/traces"] {
        for (headers, body) in [
            (&[("content-type", "application/x-protobuf")][..], &protobuf),
            (&[("content-type", "application/x-protobuf"), ("content-encoding", "gzip")], &gzip),
            (&[("content-encoding", "zstd")], &zstd),
            (&[("content-type", "application/json")], &text.clone().into_bytes()),
            (&[], &text.clone().into_bytes()),
        ] {
            let (status, _, records) = send(path, headers, body.clone()).await;
            assert_eq!((status, records.len()), (200, 3), "{path} {headers:?}");
            ids.push(records.iter().map(|record| record.id).collect::<Vec<_>>());
        }
    }
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "a span is the same row whenever it comes");
}

#[tokio::test]
async fn what_cannot_be_taken_is_counted_or_refused_in_the_senders_encoding() {
    let mut nameless = span(json!({}), &[]);
    nameless["spanId"] = json!("");
    let (status, body, records) = send("/v1/traces", &[("content-type", "application/json")], export(nameless)).await;
    let told: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, records.len()), (200, 0));
    assert_eq!(
        told["partialSuccess"]["rejectedSpans"]
            .as_str()
            .map(str::to_owned)
            .unwrap_or(told["partialSuccess"]["rejectedSpans"].to_string()),
        "1"
    );
    let (status, body, _) = send("/v1/traces", &[("content-type", "application/json")], b"{".to_vec()).await;
    assert!(status == 400 && serde_json::from_slice::<Value>(&body).unwrap()["message"].is_string());
    let (status, body, _) = send("/v1/traces", &[("content-type", "application/x-protobuf")], vec![0xff; 9]).await;
    assert!(status == 400 && body.starts_with(&[0x12]), "a google.rpc.Status");
}

proptest::proptest! {
    #[test]
    fn no_attribute_breaks_it(keys in proptest::collection::vec(("[a-z_.0-9]{1,30}", ".{0,20}"), 0..20)) {
        let of: serde_json::Map<String, Value> = keys.into_iter().map(|(key, value)| (format!("gen_ai.prompt.{key}"), value.into())).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let record = runtime.block_on(one(Value::Object(of), &[]));
        assert_eq!(record.outcome, Outcome::Complete);
    }
}
