//! Helicone's own tests of its converters: what they make of requests, answers and streams means what ours makes of them.
//! Where ours differs on purpose, the case stands in [`DIFFERENT`] with the reason, and has to differ. What Helicone adds
//! unasked (marks of the prompt cache, thinking switched off, a level of thinking) is not compared: nothing is added here
//! that the caller did not ask for.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking, in its helpers too")]

mod support;

use serde_json::{Value, json};
use tachograph_providers::chat::{Assembler, Block, ChatRequest, ChatResponse, Role, StreamEvent};
use tachograph_providers::usage::{ApiShape, normalize};
use tachograph_providers::{Answering, DialectId, Provider, Registry, dialect};
use tachograph_record::{Unit, Usage, UsageReading};

use DialectId::{AnthropicMessages, GeminiGenerateContent, OpenAiChat, OpenAiResponses};

/// The end of a case's name, and why ours is another.
const DIFFERENT: &[(&str, &str)] = &[
    (
        "should inject web search tool with configuration options",
        "plugins are an idea of Helicone's gateway; here a tool that a provider runs is asked for in its own dialect",
    ),
    (
        "should not duplicate web search tool if already present",
        "a function of the caller's that is called web_search is the caller's to run, and is not made the provider's",
    ),
];

fn cases(name: &str) -> Vec<Value> {
    let Some(folder) = support::data("helicone-cases") else { return Vec::new() };
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["cases"].as_array().unwrap().clone()
}

fn provider(id: DialectId) -> Provider {
    Provider::clone(
        Registry::builtin()
            .iter()
            .find(|provider| provider.dialect == id)
            .unwrap_or(Registry::builtin().get("openai").unwrap()),
    )
}

fn texts(blocks: &[Block]) -> String {
    blocks
        .iter()
        .filter_map(|block| match block {
            Block::Text(text) => Some(text.text.clone()),
            _ => None,
        })
        .collect()
}

/// What a request says and asks for.
fn meaning(request: &ChatRequest) -> Value {
    let mut said = Vec::new();
    if let Some(system) = request.system.as_ref().filter(|system| !system.blocks.is_empty()) {
        said.push(json!(["system", texts(&system.blocks)]));
    }
    for message in request.turns() {
        let who = match message.role {
            Role::System | Role::Developer => "system",
            Role::Assistant => "model",
            Role::User | Role::Tool => "user",
        };
        for block in &message.content.blocks {
            match block {
                Block::Text(text) if !text.text.is_empty() => said.push(json!([who, text.text])),
                Block::ToolCall(call) => {
                    said.push(json!([
                        "call",
                        call.name,
                        serde_json::from_str::<Value>(&call.arguments).unwrap_or_default()
                    ]));
                }
                Block::ToolResult(result) => said.push(json!(["result", texts(&result.content)])),
                Block::Media(media) => said.push(json!(["media", media.source])),
                _ => {}
            }
        }
    }
    let tools: Vec<String> = request
        .tools
        .iter()
        .flatten()
        .map(|tool| match tool {
            tachograph_providers::chat::Tool::Function(tool) => tool.name.clone(),
            tachograph_providers::chat::Tool::Opaque(tool) => tool.kind().to_owned(),
        })
        .collect();
    let format = request.response_format.as_ref().map(|format| serde_json::to_value(format).unwrap()["type"].clone());
    let format = format.filter(|format| format != "text");
    json!({"said": said, "tools": tools, "temperature": request.temperature, "format": format})
}

/// What an answer says.
fn answer(response: &ChatResponse) -> Value {
    let Some(choice) = response.choices.first() else { return Value::Null };
    let call = |block: &Block| match block {
        Block::ToolCall(call) => Some(json!([
            call.id,
            call.name,
            serde_json::from_str::<Value>(&call.arguments).unwrap_or_else(|_| json!(call.arguments))
        ])),
        _ => None,
    };
    let calls: Vec<Value> = choice.content.iter().filter_map(call).collect();
    let usage = match &response.usage {
        UsageReading::Known(usage) => json!([usage.input_total(), usage.output_total()]),
        _ => Value::Null,
    };
    json!({"text": choice.text(), "calls": calls, "finish": choice.finish().code(), "usage": usage})
}

fn read(id: DialectId, stream: &str) -> (Vec<StreamEvent>, ChatResponse) {
    let (mut reader, mut events, mut assembler) = (dialect(id).reader(), Vec::new(), Assembler::new(id));
    reader.push(stream.as_bytes(), &mut events);
    reader.finish(&mut events);
    events.iter().for_each(|event| assembler.push(event));
    (events, assembler.into_response())
}

/// An answer in one dialect, written in another and read again.
fn through(from: DialectId, to: DialectId, body: &[u8]) -> Value {
    let Ok(read) = dialect(from).decode_response(body) else { return json!("no answer of this dialect") };
    answer(&dialect(to).decode_response(&dialect(to).encode_response(&read, &Answering::default())).unwrap())
}

fn request(from: DialectId, to: DialectId, body: &Value) -> Value {
    let model = body["model"].as_str().unwrap_or("m");
    let asked = dialect(from).decode_request(body.to_string().as_bytes()).unwrap();
    match dialect(to).encode_request(&asked, model, &provider(to), 4_096) {
        Ok(sent) => meaning(&dialect(to).decode_request(&sent.body).unwrap()),
        Err(refused) => json!(refused.message()),
    }
}

/// What ours makes of a case, and what Helicone's makes of it.
fn both(case: &Value) -> Option<(Value, Value)> {
    let (arg, result) = (&case["args"][0], &case["result"]);
    let asked = |from, to| {
        let theirs = dialect(to).decode_request(result.to_string().as_bytes()).map(|theirs| meaning(&theirs));
        Some((request(from, to, arg), theirs.unwrap_or_default()))
    };
    let answered = |from, to| {
        let theirs = dialect(to).decode_response(result.to_string().as_bytes()).map(|theirs| answer(&theirs));
        Some((through(from, to, arg.to_string().as_bytes()), theirs.unwrap_or_default()))
    };
    match case["fn"].as_str().unwrap() {
        "toOpenAI" if arg["candidates"].is_array() => answered(GeminiGenerateContent, OpenAiChat),
        "toOpenAI" => answered(AnthropicMessages, OpenAiChat),
        "toResponses" => answered(OpenAiChat, OpenAiResponses),
        "toAnthropic" => asked(OpenAiChat, AnthropicMessages),
        "toGoogle" => asked(OpenAiChat, GeminiGenerateContent),
        "toChatCompletions" => asked(OpenAiResponses, OpenAiChat),
        "fromChatCompletions" => asked(OpenAiChat, OpenAiResponses),
        "AnthropicToOpenAIStreamConverter.convert" => Some(piece(AnthropicMessages, arg, result)),
        "GoogleToOpenAIStreamConverter.convert" => Some(piece(GeminiGenerateContent, arg, result)),
        "ChatToResponsesStreamConverter.convert" => Some(chunk(arg, result)),
        "AnthropicToOpenAIStreamConverter.processLines" => Some(lines(arg.as_str().unwrap())),
        _ => None,
    }
}

/// One event of a stream, as text added, calls begun and arguments added, and the reason to stop.
fn piece(from: DialectId, event: &Value, result: &Value) -> (Value, Value) {
    let told = |events: &[StreamEvent]| -> Value {
        let tell = |event: &StreamEvent| match event {
            StreamEvent::Text { text, .. } => Some(json!(["text", text])),
            StreamEvent::CallStart { name, .. } => Some(json!(["call", name])),
            StreamEvent::Finish { reason, .. } => Some(json!(["finish", reason.code()])),
            _ => None,
        };
        events.iter().filter_map(tell).collect()
    };
    let ours = read(from, &format!("data: {event}\n\n")).0;
    let chunks = result.as_array().cloned().unwrap_or_default();
    let theirs: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    (told(&ours), told(&read(OpenAiChat, &theirs).0))
}

/// One chunk of OpenAI's, as the events of the responses API that it becomes: what is added, or at the end what was used.
fn chunk(chunk: &Value, result: &Value) -> (Value, Value) {
    let theirs = result.as_array().unwrap();
    let ours = read(OpenAiChat, &format!("data: {chunk}\n\n")).0;
    if let Some(end) = theirs.iter().find(|event| event["type"] == "response.completed") {
        let used = ours.iter().find_map(|event| match event {
            StreamEvent::Usage(usage) => Some(json!([usage.input_total(), usage.output_total()])),
            _ => None,
        });
        let told = &end["response"]["usage"];
        return (used.unwrap_or_default(), json!([told["input_tokens"], told["output_tokens"]]));
    }
    let told = |events: &[StreamEvent]| -> Value {
        let tell = |event: &StreamEvent| match event {
            StreamEvent::Text { text, .. } => Some(json!(["text", text])),
            StreamEvent::CallStart { id, name, .. } => Some(json!(["call", id, name])),
            StreamEvent::Arguments { text, .. } => Some(json!(["arguments", text])),
            _ => None,
        };
        events.iter().filter_map(tell).collect()
    };
    let theirs: String = theirs.iter().map(|event| format!("data: {event}\n\n")).collect();
    (told(&ours), told(&read(OpenAiResponses, &theirs).0))
}

/// A whole stream of Anthropic's, whose converted events were not written down: what the test of Helicone's asks for is
/// that the input in OpenAI's words has all that was read and written of a cache in it.
fn lines(stream: &str) -> (Value, Value) {
    let (_, response) = read(AnthropicMessages, stream);
    let told: Value =
        serde_json::from_slice(&dialect(OpenAiChat).encode_response(&response, &Answering::default())).unwrap();
    let events: Vec<Value> =
        stream.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let all = |name: &str| {
        let of = |event: &Value| event["message"]["usage"][name].as_u64().max(event["usage"][name].as_u64());
        events.iter().filter_map(of).max().unwrap_or(0)
    };
    let input = all("input_tokens") + all("cache_creation_input_tokens") + all("cache_read_input_tokens");
    let want = json!([input, all("output_tokens"), input + all("output_tokens")]);
    let usage = &told["usage"];
    (json!([usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]]), want)
}

#[test]
fn conversions_mean_what_helicones_mean() {
    let (mut wrong, mut held) = (Vec::new(), 0);
    for case in cases("conversion.json") {
        let name = case["test"].as_str().unwrap();
        let Some((ours, theirs)) = both(&case) else {
            // What is left over has a test of its own below.
            assert_eq!(case["fn"], "normalizeAIGatewayResponse", "{name} is compared with nothing");
            continue;
        };
        let reason = DIFFERENT.iter().find(|(end, _)| name.ends_with(end));
        match (ours == theirs, reason) {
            (true, None) => held += 1,
            (false, Some((_, why))) => assert!(!why.is_empty()),
            (true, Some(_)) => wrong.push(format!("{name}: is listed and does not differ")),
            (false, None) => wrong.push(format!("{name}:\n  ours   {ours}\n  theirs {theirs}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(held > 50 || cases("conversion.json").is_empty(), "{held}");
}

#[test]
fn answers_are_normalised_as_helicones_are() {
    for case in cases("conversion.json").iter().filter(|case| case["fn"] == "normalizeAIGatewayResponse") {
        let arg = &case["args"][0];
        let (text, theirs) = (arg["responseText"].as_str().unwrap(), case["result"].as_str().unwrap_or_default());
        let from = match arg["responseFormat"].as_str().unwrap() {
            "ANTHROPIC" => AnthropicMessages,
            "GOOGLE" => GeminiGenerateContent,
            _ => OpenAiChat,
        };
        // An answer with nothing in it is no answer here; and events that are no dialect's are passed, not read.
        if arg["isStream"] == true || text == "{}" || arg["bodyMapping"] == "RESPONSES" {
            continue;
        }
        let theirs = dialect(OpenAiChat).decode_response(theirs.as_bytes()).unwrap();
        assert_eq!(through(from, OpenAiChat, text.as_bytes()), answer(&theirs), "{}", case["test"]);
    }
}

/// Which reader of usage Helicone has for a provider, and which dialect ours is read by.
#[test]
fn usage_is_read_by_the_dialect_that_helicone_reads_it_by() {
    for case in cases("usage.json").iter().filter(|case| case["fn"] == "getUsageProcessor") {
        let (name, test) = (case["args"][0].as_str().unwrap(), case["test"].as_str().unwrap());
        let Some(provider) = Registry::builtin().get(name) else {
            assert!(test.contains("null") || test.contains("unsupported"), "{test}: no provider is called {name}");
            continue;
        };
        let reader = test.split("should return ").nth(1).unwrap().split("UsageProcessor").next().unwrap();
        let due = match reader {
            "Anthropic" => AnthropicMessages,
            // Vertex has a reader of its own there for both of its kinds of models.
            "Google" | "Vertex" => GeminiGenerateContent,
            // Bedrock's is Anthropic's there, for it is asked by InvokeModel; ours is Converse's.
            "Bedrock" => DialectId::BedrockConverse,
            _ => OpenAiChat,
        };
        assert_eq!(provider.dialect, due, "{test}");
    }
}

/// Helicone's counts: input is what is neither cached nor of a modality of its own, output what is not reasoning.
fn counted(usage: &Usage) -> Value {
    let searches = usage
        .units()
        .iter()
        .find(|(unit, _)| *unit == Unit::WebSearches)
        .map_or(0, |(_, count)| count.micro() / 1_000_000);
    json!({"input": usage.input_total(), "output": usage.output_total(), "cached": usage.cache_read_total(),
        "written": usage.cache_write_total(), "thinking": usage.reasoning_total(), "searches": searches})
}

#[test]
fn usage_is_what_helicone_counts() {
    let mut held = 0;
    for case in cases("usage.json").iter().filter(|case| case["fn"].as_str().unwrap().ends_with(".parse")) {
        let (arg, want) = (&case["args"][0], &case["result"]["data"]);
        let body = arg["responseBody"].as_str().unwrap();
        let from = match case["fn"].as_str().unwrap() {
            _ if body.contains("usageMetadata") => GeminiGenerateContent,
            "AnthropicUsageProcessor.parse" => AnthropicMessages,
            "VertexUsageProcessor.parse" => AnthropicMessages,
            _ => OpenAiChat,
        };
        let mut tap = dialect(from).tap(arg["isStream"] == true, 200);
        tap.see(&bytes::Bytes::from(body.to_owned()));
        let reading = tap.finish();
        let usage = reading.usage.known().unwrap_or_else(|| panic!("{}: {:?}", case["test"], reading.usage));
        let of = |value: &Value| value.as_u64().unwrap_or(0);
        let modal = |side: &str| ["audio", "image", "video"].iter().map(|of_| of(&want[*of_][side])).sum::<u64>();
        let (cached, written) = (
            of(&want["cacheDetails"]["cachedInput"]),
            of(&want["cacheDetails"]["write5m"]) + of(&want["cacheDetails"]["write1h"]),
        );
        let mut expected = json!({"input": of(&want["input"]) + cached + written + modal("input"), "output": of(&want["output"]) + of(&want["thinking"]) + modal("output"),
            "cached": cached, "written": written, "thinking": of(&want["thinking"]), "searches": of(&want["web_search"])});
        let mut got = counted(usage);
        if case["test"].as_str().unwrap().contains("modality-specific") {
            // The provider says 200 were read and lists 180; Helicone adds up the list, we keep the total.
            (got["input"], expected["input"]) = (Value::Null, Value::Null);
        }
        if case["test"].as_str().unwrap().contains("XAI") {
            // The searches stand in `num_sources_used`, which counts sources and not searches: nothing is billed by it here.
            (got["searches"], expected["searches"]) = (Value::Null, Value::Null);
        }
        assert_eq!(got, expected, "{}", case["test"]);
        held += 1;
    }
    assert!(held >= 15 || cases("usage.json").is_empty(), "{held}");
}

#[test]
fn usage_is_written_for_openais_clients_as_helicones() {
    for case in cases("usage_to_openai.json") {
        let (used, want) = (&case["model_usage"], &case["openai_usage"]);
        let (input, output, thinking) =
            (used["input"].as_u64().unwrap(), used["output"].as_u64().unwrap(), used["thinking"].as_u64().unwrap_or(0));
        if used["image"].is_object() {
            // Helicone leaves pictures out of the totals by modality; OpenAI's totals have everything in them.
            continue;
        }
        let native = json!({"promptTokenCount": input, "candidatesTokenCount": output, "thoughtsTokenCount": thinking});
        let usage = normalize(ApiShape::GeminiGenerateContent, "", &native).unwrap();
        let response = ChatResponse {
            dialect: OpenAiChat,
            id: None,
            model: None,
            choices: Vec::new(),
            usage: UsageReading::Known(usage),
            service_tier: None,
            provider_cost: None,
        };
        let body: Value =
            serde_json::from_slice(&dialect(OpenAiChat).encode_response(&response, &Answering::default())).unwrap();
        assert_eq!(
            (&body["usage"]["prompt_tokens"], &body["usage"]["completion_tokens"], &body["usage"]["total_tokens"]),
            (&want["prompt_tokens"], &want["completion_tokens"], &want["total_tokens"])
        );
    }
}
