//! One client, any provider: what is asked and what is answered, translated both ways.

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tachograph_tests::{Answer, Gateway, Reply, Upstream, golden, post};

const PICTURE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// A conversation with everything in it, as an OpenAI client asks it.
fn openai_asks(model: &str, stream: bool) -> Value {
    let picture = json!({ "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{PICTURE}") } });
    let weather = json!({
        "name": "weather",
        "description": "The weather in a city",
        "parameters": { "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] },
    });
    let call = json!({ "id": "call_0", "type": "function", "function": { "name": "weather", "arguments": "{\"city\":\"Bern\"}" } });
    json!({
        "model": model,
        "stream": stream,
        "max_tokens": 321,
        "temperature": 0.25,
        "stop": ["END"],
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": [{ "type": "text", "text": "What is this?" }, picture] },
            { "role": "assistant", "content": null, "tool_calls": [call] },
            { "role": "tool", "tool_call_id": "call_0", "content": "7 °C" },
            { "role": "user", "content": "And elsewhere?" },
        ],
        "tools": [{ "type": "function", "function": weather }],
        "tool_choice": "auto",
    })
}

/// The same, as an Anthropic client asks it.
fn anthropic_asks(model: &str, stream: bool) -> Value {
    let picture =
        json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": PICTURE } });
    json!({
        "model": model,
        "stream": stream,
        "max_tokens": 321,
        "temperature": 0.25,
        "stop_sequences": ["END"],
        "system": "Be brief.",
        "messages": [
            { "role": "user", "content": [{ "type": "text", "text": "What is this?" }, picture] },
            { "role": "assistant", "content": [{ "type": "tool_use", "id": "toolu_0", "name": "weather", "input": { "city": "Bern" } }] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "toolu_0", "content": "7 °C" },
                { "type": "text", "text": "And elsewhere?" },
            ] },
        ],
        "tools": [{
            "name": "weather",
            "description": "The weather in a city",
            "input_schema": { "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] },
        }],
        "tool_choice": { "type": "auto" },
    })
}

async fn asked(golden: golden::Golden, stream: bool, request: Request<Bytes>) -> (Answer, Value, Value) {
    let upstream = Upstream::answering(move |_| golden.as_asked(stream)).await;
    let gateway = Gateway::before(&upstream).start().await;
    let answer = gateway.send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let row = gateway.row(&answer).await;
    gateway.rows().await;
    (answer, upstream.last().json(), row)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_openai_clients_conversation_arrives_whole_at_anthropic() {
    let body = openai_asks("anthropic/claude-haiku-4-5", false);
    let (_, sent, row) = asked(golden::ANTHROPIC_MESSAGES, false, post("/v1/chat/completions", &body)).await;
    assert_eq!(sent["model"], "claude-haiku-4-5");
    assert_eq!(sent["max_tokens"], 321);
    assert_eq!(sent["temperature"], 0.25);
    assert_eq!(sent["stop_sequences"], json!(["END"]));
    assert!(sent["system"].to_string().contains("Be brief."));
    assert!(!sent["messages"].to_string().contains("Be brief."), "the system prompt has its own place: {sent:#}");
    let messages = sent["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user"], "a tool's result and what follows are one turn of the user's");
    assert_eq!(
        messages[0]["content"][1]["source"],
        json!({ "type": "base64", "media_type": "image/png", "data": PICTURE })
    );
    let call = &messages[1]["content"][0];
    assert_eq!(
        (&call["type"], &call["name"], &call["input"]),
        (&json!("tool_use"), &json!("weather"), &json!({ "city": "Bern" }))
    );
    let result = &messages[2]["content"][0];
    assert_eq!((&result["type"], &result["tool_use_id"]), (&json!("tool_result"), &call["id"]), "{sent:#}");
    assert!(result["content"].to_string().contains("7 °C"));
    assert_eq!(sent["tools"][0]["name"], "weather");
    assert_eq!(sent["tools"][0]["input_schema"]["required"], json!(["city"]));
    assert_eq!(
        (&row["provider"], &row["requested_model"]),
        (&json!("anthropic"), &json!("anthropic/claude-haiku-4-5"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anthropic_clients_conversation_arrives_whole_at_openai() {
    let (_, sent, row) =
        asked(golden::OPENAI_CHAT, false, post("/v1/messages", &anthropic_asks("openai/gpt-4o-mini", false))).await;
    assert_eq!(sent["model"], "gpt-4o-mini");
    assert!(sent["max_completion_tokens"] == 321 || sent["max_tokens"] == 321, "{sent:#}");
    let messages = sent["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles[1..], ["user", "assistant", "tool", "user"], "{sent:#}");
    assert!(["system", "developer"].contains(&roles[0]) && messages[0].to_string().contains("Be brief."));
    assert_eq!(messages[1]["content"][1]["image_url"]["url"], format!("data:image/png;base64,{PICTURE}"));
    let call = &messages[2]["tool_calls"][0];
    let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!((&call["function"]["name"], arguments), (&json!("weather"), json!({ "city": "Bern" })));
    assert_eq!((&messages[3]["tool_call_id"], &messages[3]["content"]), (&call["id"], &json!("7 °C")));
    assert_eq!(sent["tools"][0]["function"]["parameters"]["required"], json!(["city"]));
    assert_eq!(row["provider"], "openai");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_openai_client_reads_claudes_text_and_tools() {
    let model = "anthropic/claude-haiku-4-5";
    let (answer, _, row) =
        asked(golden::ANTHROPIC_MESSAGES, false, post("/v1/chat/completions", &openai_asks(model, false))).await;
    let said = answer.json();
    assert_eq!((&said["object"], &said["model"]), (&json!("chat.completion"), &json!(model)));
    assert_eq!(said["choices"][0]["message"]["content"], golden::TEXT);
    assert_eq!(said["choices"][0]["finish_reason"], "stop");
    assert_eq!(said["usage"]["prompt_tokens"], 500, "cached tokens are part of OpenAI's prompt_tokens");
    assert_eq!(said["usage"]["prompt_tokens_details"]["cached_tokens"], 80);
    assert_eq!(said["usage"]["total_tokens"], 800);
    assert_eq!(answer.headers["helicone-provider"], "anthropic");
    assert_eq!(row["finish_reason"], "stop");

    let (answer, _, row) =
        asked(golden::ANTHROPIC_TOOLS, false, post("/v1/chat/completions", &openai_asks(model, false))).await;
    let said = answer.json();
    let calls = said["choices"][0]["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    let arguments: Value = serde_json::from_str(calls[0]["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({ "city": "Köln", "days": 3 }));
    assert_eq!(said["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(row["finish_reason"], "tool_calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_openai_client_reads_claudes_stream() {
    let model = "anthropic/claude-haiku-4-5";
    for with_usage in [false, true] {
        let mut body = openai_asks(model, true);
        if with_usage {
            body["stream_options"] = json!({ "include_usage": true });
        }
        let (answer, sent, row) = asked(golden::ANTHROPIC_TOOLS, true, post("/v1/chat/completions", &body)).await;
        assert_eq!(sent["stream"], true);
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
        let chunks = answer.events();
        assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk["model"] == model));
        let deltas = || chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]);
        let text: String = deltas().filter_map(|delta| delta["content"].as_str()).collect();
        assert_eq!(text, "Let me look at both.");
        assert_eq!(tool_calls_of_openai(&chunks), [json!({ "city": "Köln", "days": 3 }), json!({ "city": "東京" })]);
        let finish: Vec<&str> =
            chunks.iter().filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str()).collect();
        assert_eq!(finish, ["tool_calls"]);
        let usage: Vec<&Value> = chunks.iter().map(|chunk| &chunk["usage"]).filter(|usage| usage.is_object()).collect();
        assert_eq!(usage.len(), usize::from(with_usage));
        assert!(usage.iter().all(|usage| usage["prompt_tokens"] == 500 && usage["completion_tokens"] == 300));
        assert_eq!((&row["usage"]["input_tokens"], &row["usage"]["output_tokens"]), (&json!(500), &json!(300)));
    }
}

/// The arguments of each call, put together by index as an OpenAI client does.
fn tool_calls_of_openai(chunks: &[Value]) -> Vec<Value> {
    let mut calls: Vec<String> = Vec::new();
    for delta in chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].as_array()).flatten() {
        let index = usize::try_from(delta["index"].as_u64().expect("OpenAI's deltas have an index")).unwrap();
        calls.resize(calls.len().max(index + 1), String::new());
        calls[index].push_str(delta["function"]["arguments"].as_str().unwrap_or_default());
    }
    calls.iter().map(|arguments| serde_json::from_str(arguments).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anthropic_client_reads_gpts_text_tools_and_stream() {
    let ask = |stream| post("/v1/messages", &anthropic_asks("openai/gpt-4o-mini", stream));
    let (answer, _, _) = asked(golden::OPENAI_CHAT, false, ask(false)).await;
    let said = answer.json();
    assert_eq!(
        (&said["type"], &said["role"], &said["stop_reason"]),
        (&json!("message"), &json!("assistant"), &json!("end_turn"))
    );
    assert_eq!(said["content"], json!([{ "type": "text", "text": golden::TEXT }]));
    assert_eq!((&said["usage"]["input_tokens"], &said["usage"]["output_tokens"]), (&json!(500), &json!(300)));

    let (answer, _, row) = asked(golden::OPENAI_TOOLS, true, ask(true)).await;
    let events = answer.events();
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("message_start", "message_stop"), "{kinds:?}");
    let mut inputs = Vec::new();
    let mut open: Option<u64> = None;
    for event in &events {
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!(open, None, "one block at a time: {kinds:?}");
                open = event["index"].as_u64();
                assert_eq!(event["content_block"]["type"], "tool_use");
                inputs.push(String::new());
            }
            "content_block_delta" => {
                assert_eq!(event["index"].as_u64(), open);
                inputs.last_mut().unwrap().push_str(event["delta"]["partial_json"].as_str().unwrap());
            }
            "content_block_stop" => open = None,
            "message_delta" => {
                assert_eq!(event["delta"]["stop_reason"], "tool_use");
                assert_eq!(event["usage"]["output_tokens"], 300);
            }
            _ => {}
        }
    }
    let inputs: Vec<Value> = inputs.iter().map(|input| serde_json::from_str(input).unwrap()).collect();
    assert_eq!(inputs, [json!({ "city": "Köln", "days": 3 }), json!({ "city": "東京" })]);
    assert_eq!(row["finish_reason"], "tool_calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_17_a_providers_error_is_told_in_the_clients_dialect() {
    let anthropic =
        |kind: &str| json!({ "type": "error", "error": { "type": kind, "message": "as the provider said" } });
    let openai = |kind: &str| json!({ "error": { "message": "as the provider said", "type": kind, "param": null, "code": null } });
    for (path, model, status, body) in [
        ("/v1/chat/completions", "anthropic/claude-haiku-4-5", 400, anthropic("invalid_request_error")),
        ("/v1/chat/completions", "anthropic/claude-haiku-4-5", 401, anthropic("authentication_error")),
        ("/v1/chat/completions", "anthropic/claude-haiku-4-5", 404, anthropic("not_found_error")),
        ("/v1/chat/completions", "anthropic/claude-haiku-4-5", 529, anthropic("overloaded_error")),
        ("/v1/messages", "openai/gpt-4o-mini", 400, openai("invalid_request_error")),
        ("/v1/messages", "openai/gpt-4o-mini", 429, openai("tokens")),
        ("/v1/messages", "openai/gpt-4o-mini", 500, openai("server_error")),
    ] {
        let upstream = Upstream::answering(move |_| Reply::json(status, &body)).await;
        let gateway = Gateway::before(&upstream).start().await;
        let ask = if path == "/v1/messages" { anthropic_asks(model, true) } else { openai_asks(model, true) };
        let answer = gateway.send(post(path, &ask)).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        let said = answer.json();
        assert_eq!(said["error"]["message"], "as the provider said");
        assert_eq!(said["type"] == "error", path == "/v1/messages", "in the client's own shape: {said}");
        let row = gateway.row(&answer).await;
        assert_eq!((&row["outcome"], &row["status"]), (&json!("upstream_failed"), &json!(status)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_spelling_of_a_model_reaches_its_provider() {
    for (model, provider, sent) in [
        ("gpt-4o-mini", "openai", "gpt-4o-mini"),
        ("openai/gpt-4o-mini", "openai", "gpt-4o-mini"),
        ("gpt-4o-mini/openai", "openai", "gpt-4o-mini"),
        ("oai/gpt-4o-mini", "openai", "gpt-4o-mini"),
        ("openai/a-model-of-tomorrow", "openai", "a-model-of-tomorrow"),
        ("groq/openai/gpt-oss-120b", "groq", "openai/gpt-oss-120b"),
        ("openrouter/anthropic/claude-haiku-4.5", "openrouter", "anthropic/claude-haiku-4.5"),
    ] {
        let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
        let gateway = Gateway::before(&upstream).start().await;
        let answer = gateway.send(post("/v1/chat/completions", &openai_asks(model, false))).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        assert_eq!(upstream.last().json()["model"], sent, "{model}");
        assert_eq!(upstream.last().target, format!("/at-{provider}/chat/completions"));
        let row = gateway.row(&answer).await;
        assert_eq!((&row["provider"], &row["requested_model"]), (&json!(provider), &json!(model)));
    }
}
