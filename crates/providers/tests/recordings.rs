//! Every recorded exchange of a known dialect, read exactly.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking, in its helpers too")]

mod support;

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use support::{Recording, check, cuts, each, recordings, singles, tapped};
use tachograph_providers::chat::{Assembler, Block, ChatResponse};
use tachograph_providers::{
    Answering, DialectId, HideUsage, MaxTokensField, Provider, Registry, StreamEvent, ThinkingReplay, conversation,
};
use tachograph_record::{Reading, Usage, UsageReading};

fn tap(recording: &Recording) -> Box<dyn tachograph_record::Tap> {
    recording.api.tap_with(recording.stream, recording.status, &recording.headers)
}

#[test]
fn taps_read_every_recording_however_it_is_cut() {
    each(recordings(), |recording| {
        let body = &recording.response;
        let (whole, content) = tapped(tap(recording), [body.clone()]);
        check(recording, &whole, "whole");
        let said = ["text", "reasoning_text", "refusal"]
            .iter()
            .any(|key| recording.expected[key].as_str().is_some_and(|t| !t.is_empty()))
            || recording.expected["tool_calls"].as_array().is_some_and(|calls| !calls.is_empty())
            || recording.expected["server_tools"].is_array();
        if recording.is_stream() {
            assert_eq!(content, said, "{}: content", recording.name);
        }
        assert_eq!(tapped(tap(recording), singles(body)).0, whole, "{} byte by byte", recording.name);
        // A document is only joined again before it is read; a stream is read as it comes.
        for cut in cuts(body.len()).step_by(if recording.is_stream() { 1 } else { 37 }) {
            let pieces = [body.slice(..cut), body.slice(cut..)];
            assert_eq!(tapped(tap(recording), pieces).0, whole, "{} cut at {cut}", recording.name);
        }
    });
}

#[test]
fn a_stream_that_stops_anywhere_is_not_taken_for_finished() {
    for recording in recordings().iter().filter(|recording| recording.is_stream()) {
        let body = &recording.response;
        for cut in cuts(body.len() * 2 / 3).skip(1).step_by(13) {
            let (reading, _) = tapped(tap(recording), [body.slice(..cut)]);
            // A reason to stop ends a stream, since some servers send nothing after it.
            let finished = reading.finish_reason.is_some();
            assert!(!reading.ended || finished, "{} stopped at {cut}", recording.name);
        }
    }
}

fn events(recording: &Recording, pieces: impl IntoIterator<Item = Bytes>) -> (Vec<StreamEvent>, Reading) {
    let mut reader = recording.codec().reader();
    let mut events = Vec::new();
    for piece in pieces {
        reader.push(&piece, &mut events);
    }
    reader.finish(&mut events);
    (events, reader.reading())
}

fn assembled(dialect: DialectId, events: &[StreamEvent]) -> ChatResponse {
    let mut assembler = Assembler::new(dialect);
    events.iter().for_each(|event| assembler.push(event));
    assembler.into_response()
}

fn answer(recording: &Recording) -> Option<ChatResponse> {
    if recording.status >= 400 {
        return None;
    }
    if recording.stream {
        return Some(assembled(recording.dialect, &events(recording, [recording.response.clone()]).0));
    }
    Some(
        recording
            .codec()
            .decode_response(&recording.response)
            .unwrap_or_else(|error| panic!("{}: {error}", recording.name)),
    )
}

/// Text, reasoning and calls of the first choice, in the words of the expectations.
fn said(response: &ChatResponse) -> (String, String, Vec<Value>) {
    let (mut text, mut reasoning, mut calls) = (String::new(), String::new(), Vec::new());
    for block in response.choices.first().map(|choice| &choice.content[..]).unwrap_or_default() {
        match block {
            Block::Text(block) => text.push_str(&block.text),
            Block::Thinking(block) => reasoning.push_str(&block.text),
            Block::ToolCall(call) => {
                let arguments = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!(call.arguments));
                calls.push(json!({"id": call.id, "name": call.name, "arguments": arguments}));
            }
            _ => {}
        }
    }
    (text, reasoning, calls)
}

/// The expected calls. Empty strings in every field are no call but a server's zero value.
fn expected_calls(expected: &Value) -> Vec<Value> {
    let call = |call: &Value| {
        let arguments = if call["arguments"].is_null() { json!("") } else { call["arguments"].clone() };
        json!({"id": call["id"].as_str().unwrap_or_default(), "name": call["name"], "arguments": arguments})
    };
    let calls = expected["tool_calls"].as_array().unwrap();
    calls.iter().filter(|call| call["name"] != "").map(call).collect()
}

/// Cohere's plan before a call, which the expectations leave out: it is reasoning too.
fn tool_plan(recording: &Recording) -> String {
    if recording.dialect != DialectId::CohereChat {
        return String::new();
    }
    let text = String::from_utf8_lossy(&recording.response);
    let events = text.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
    let plan = |event: &str| {
        let event: Value = serde_json::from_str(event).unwrap_or_default();
        let message = if event["delta"].is_object() { &event["delta"]["message"] } else { &event["message"] };
        message["tool_plan"].as_str().map(str::to_owned)
    };
    events.filter_map(plan).collect()
}

/// The reading without the provider's own tools, whose runs the tap counts in the answer: the record is billed by it.
fn without_tools(reading: Reading) -> Reading {
    let usage = match reading.usage {
        UsageReading::Known(told) => {
            let mut usage = Usage::reported(told.leaves().iter().copied());
            told.billed().into_iter().for_each(|(input, output)| usage.set_billed(input, output));
            UsageReading::Known(usage)
        }
        other => other,
    };
    Reading { usage, ..reading }
}

#[test]
fn readers_and_decoders_give_text_calls_and_reasoning() {
    for recording in recordings() {
        let Some(response) = answer(&recording) else { continue };
        let (text, reasoning, calls) = said(&response);
        let Recording { name, expected, .. } = &recording;
        assert_eq!(text, expected["text"].as_str().unwrap(), "{name}: text");
        assert_eq!(calls, expected_calls(expected), "{name}: calls");
        let want = tool_plan(&recording) + expected["reasoning_text"].as_str().unwrap();
        assert_eq!(reasoning, want, "{name}: reasoning");
        if !recording.stream {
            let (reading, _) = tapped(tap(&recording), [recording.response.clone()]);
            let decoded = Reading {
                model: response.model.clone(),
                usage: response.usage.clone(),
                finish_reason: response.choices.first().and_then(|choice| choice.finish_reason),
                native_finish_reason: response.choices.first().and_then(|choice| choice.native_finish_reason.clone()),
                service_tier: response.service_tier.clone(),
                provider_cost: response.provider_cost,
                error: None,
                ended: true,
            };
            let (decoded, reading) = (without_tools(decoded), without_tools(reading));
            assert_eq!(decoded, reading, "{name}: decoder and tap agree");
        }
    }
}

#[test]
fn readers_give_the_same_events_however_the_stream_is_cut_and_read_what_taps_read() {
    let streams = recordings().into_iter().filter(Recording::is_stream).collect();
    each(streams, |recording| {
        let body = &recording.response;
        let (whole, reading) = events(recording, [body.clone()]);
        let want = format!("{whole:?}");
        assert_eq!(reading, tapped(tap(recording), [body.clone()]).0, "{}: reader and tap agree", recording.name);
        let last = whole.last();
        assert!(matches!(last, Some(StreamEvent::End | StreamEvent::Error(_))), "{}: {last:?}", recording.name);
        assert_eq!(format!("{:?}", events(recording, singles(body)).0), want, "{} byte by byte", recording.name);
        for cut in cuts(body.len()).step_by(7) {
            let (split, _) = events(recording, [body.slice(..cut), body.slice(cut..)]);
            assert_eq!(format!("{split:?}"), want, "{} cut at {cut}", recording.name);
        }
    });
}

#[test]
fn errors_are_decoded() {
    let mut seen = 0;
    for recording in recordings().iter().filter(|recording| recording.status >= 400) {
        let status = recording.status.try_into().unwrap();
        let error =
            tachograph_providers::decode_error(recording.dialect, status, &recording.headers, &recording.response);
        assert_eq!(error.status().as_u16(), recording.status);
        assert_eq!(Some(error.message()), recording.expected["error_message"].as_str(), "{}", recording.name);
        seen += 1;
    }
    assert!(seen > 15 || recordings().is_empty());
}

/// A provider that changes nothing about what it is asked.
fn neutral(dialect: DialectId) -> Provider {
    let name = match dialect {
        DialectId::AnthropicMessages => "anthropic",
        DialectId::GeminiGenerateContent => "gemini",
        DialectId::BedrockConverse => "bedrock",
        DialectId::OpenAiChat | DialectId::OpenAiResponses => "openai",
        DialectId::CohereChat => "cohere",
        DialectId::OllamaChat => "ollama-native",
    };
    let mut provider = Provider::clone(Registry::builtin().get(name).unwrap());
    provider.quirks.max_tokens_field = MaxTokensField::AsAsked;
    provider.quirks.thinking_replay = ThinkingReplay::ReasoningDetails;
    provider
}

#[test]
fn requests_come_back_as_they_went_in() {
    for recording in recordings().iter().filter(|recording| recording.request.is_object()) {
        let codec = recording.codec();
        let body = recording.request.to_string();
        let request =
            codec.decode_request(body.as_bytes()).unwrap_or_else(|error| panic!("{}: {error}", recording.name));
        let encoded = codec
            .encode_request(&request, request.model.as_deref().unwrap_or_default(), &neutral(recording.dialect), 1)
            .unwrap();
        let back: Value = serde_json::from_slice(&encoded.body).unwrap();
        let mut sent = recording.request.clone();
        if recording.dialect == DialectId::GeminiGenerateContent {
            one_way(&mut sent);
        }
        assert_eq!(back, sent, "{}", recording.name);
        assert!(encoded.notes.is_empty(), "{}: {:?}", recording.name, encoded.notes);
        serde_json::to_value(&request).unwrap();
    }
}

/// Google's names may be written in two ways, which mean the same; what is the user's stays as it is.
fn one_way(value: &mut Value) {
    const USERS: [&str; 7] =
        ["args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema", "labels"];
    match value {
        Value::Array(items) => items.iter_mut().for_each(one_way),
        Value::Object(fields) => {
            let renamed = std::mem::take(fields).into_iter().map(|(name, mut value)| {
                let mut words = name.split('_');
                let first = words.next().unwrap().to_owned();
                let name = words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..]);
                if !USERS.contains(&name.as_str()) {
                    one_way(&mut value);
                }
                (name, value)
            });
            *fields = renamed.collect();
        }
        _ => {}
    }
}

#[test]
fn requests_cross_to_the_other_dialect_or_are_refused_with_a_place() {
    let mut crossed = 0;
    for (recording, other) in crossings(&recordings()).filter(|(recording, _)| recording.request.is_object()) {
        let request = recording.codec().decode_request(recording.request.to_string().as_bytes()).unwrap();
        let codec = tachograph_providers::dialect(other);
        match codec.encode_request(&request, "m", &neutral(other), 4096) {
            Ok(encoded) => {
                crossed += 1;
                let back = codec.decode_request(&encoded.body).unwrap();
                let calls = |request: &tachograph_providers::chat::ChatRequest| {
                    let blocks = request.messages.iter().flat_map(|message| &message.content.blocks);
                    blocks.filter(|block| matches!(block, Block::ToolCall(_) | Block::ToolResult(_))).count()
                };
                assert_eq!(calls(&back), calls(&request), "{}: calls and results", recording.name);
                // Google's and Amazon's formats say it in the path, and Ollama streams unless told not to.
                let apart = [DialectId::GeminiGenerateContent, DialectId::BedrockConverse, DialectId::OllamaChat];
                if !apart.contains(&recording.dialect) && !apart.contains(&other) {
                    assert_eq!(back.stream, request.stream);
                }
            }
            Err(error) => {
                assert_eq!(error.status().as_u16(), 400, "{}: {error}", recording.name);
                assert!(error.param().is_some(), "{}: {error}", recording.name);
            }
        }
    }
    assert!(crossed > 600 || recordings().is_empty(), "{crossed}");
}

fn crossings(recordings: &[Recording]) -> impl Iterator<Item = (&Recording, DialectId)> {
    recordings.iter().flat_map(|recording| others(recording.dialect).map(move |other| (recording, other)))
}

fn others(dialect: DialectId) -> impl Iterator<Item = DialectId> {
    DialectId::all().filter(move |other| *other != dialect)
}

/// What has to survive a translation there and back.
fn essence(response: &ChatResponse) -> (String, Vec<Value>, Option<String>) {
    let (text, _, mut calls) = said(response);
    for call in &mut calls {
        // What is empty or no object cannot be an Anthropic input; made ids are made anew.
        if !call["arguments"].is_object() {
            call["arguments"] = json!({});
        }
        if call["id"] == "" {
            call["id"] = Value::Null;
        }
    }
    let finish = response.choices.first().map(|choice| choice.finish().code());
    // OpenAI's format has no word for other reasons, Anthropic's none for errors.
    let finish = finish.map(|word| if matches!(word, "other" | "error") { "stop" } else { word });
    (text, calls, finish.map(str::to_owned))
}

fn same(got: &ChatResponse, want: &ChatResponse, name: &str) {
    let (mut got_essence, want_essence) = (essence(got), essence(want));
    for (got, want) in got_essence.1.iter_mut().zip(&want_essence.1) {
        if want["id"].is_null() {
            got["id"] = Value::Null;
        }
    }
    assert_eq!(got_essence, want_essence, "{name}");
    match (&got.usage, &want.usage) {
        (UsageReading::Known(got), UsageReading::Known(want)) => {
            let totals = |usage: &tachograph_record::Usage| {
                [
                    usage.input_total(),
                    usage.output_total(),
                    usage.cache_read_total(),
                    usage.cache_write_total(),
                    usage.reasoning_total(),
                ]
            };
            assert_eq!(totals(got), totals(want), "{name}: usage");
        }
        (_, UsageReading::Known(_)) => panic!("{name}: usage is lost"),
        _ => {}
    }
}

#[test]
fn answers_cross_to_the_other_dialect_and_back() {
    let to = Answering { id: "id-1".to_owned(), created: 1, model: "asked".to_owned() };
    let answered = recordings().into_iter().filter(|recording| recording.status < 400).collect();
    each(answered, |recording| others(recording.dialect).for_each(|other| cross_answer(recording, other, &to)));
}

fn cross_answer(recording: &Recording, other: DialectId, to: &Answering) {
    let codec = tachograph_providers::dialect(other);
    let want = answer(recording).unwrap();
    if want.choices.len() > 1 {
        return;
    }
    if !recording.stream {
        let crossed = codec.encode_response(&want, to);
        let back = codec.decode_response(&crossed).unwrap();
        // Cohere's and Amazon's answers name no model.
        let names_none = [DialectId::CohereChat, DialectId::BedrockConverse].contains(&other);
        assert_eq!(back.model.as_deref(), Some("asked").filter(|_| !names_none));
        same(&back, &want, &recording.name);
        return;
    }
    let (events, _) = events(recording, [recording.response.clone()]);
    let mut writer = codec.writer(to, true);
    let mut bytes = BytesMut::new();
    events.iter().for_each(|event| writer.write(event, &mut bytes));
    let mut reader = codec.reader();
    let mut crossed = Vec::new();
    reader.push(&bytes, &mut crossed);
    reader.finish(&mut crossed);
    if matches!(events.last(), Some(StreamEvent::Error(_))) {
        assert!(matches!(crossed.last(), Some(StreamEvent::Error(_))), "{}: the error is lost", recording.name);
        assert!(!reader.reading().ended, "{}: an error is no end", recording.name);
    } else {
        assert!(reader.reading().ended, "{}: the end is lost", recording.name);
        same(&assembled(other, &crossed), &want, &recording.name);
    }
}

#[test]
fn hiding_usage_leaves_exactly_the_rest() {
    for recording in recordings().iter().filter(|r| r.is_stream() && r.dialect == DialectId::OpenAiChat) {
        let text = String::from_utf8(recording.response.to_vec()).unwrap();
        // The plain way: by lines, on whole events, with a parser.
        let mut want = String::new();
        for event in text.split_inclusive("\n\n") {
            let value = event.trim().strip_prefix("data: ").and_then(|data| serde_json::from_str::<Value>(data).ok());
            let value = value.unwrap_or_default();
            if value["choices"] == json!([]) && value["usage"].is_object() {
                continue;
            }
            let nulls = value.get("usage").is_some_and(Value::is_null);
            want.push_str(&if nulls { event.replacen(",\"usage\":null", "", 1) } else { event.to_owned() });
        }
        if text.contains('\r') {
            want = text;
        }
        let body = &recording.response;
        let hidden = |pieces: &[Bytes]| {
            let (mut hide, mut bytes) = (HideUsage::default(), Vec::new());
            pieces.iter().for_each(|piece| hide.push(piece, |out| bytes.extend_from_slice(&out)));
            hide.finish(|out| bytes.extend_from_slice(&out));
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(hidden(std::slice::from_ref(body)), want, "{}", recording.name);
        assert_eq!(hidden(&singles(body).collect::<Vec<_>>()), want, "{} byte by byte", recording.name);
        for cut in cuts(body.len()).step_by(5) {
            assert_eq!(hidden(&[body.slice(..cut), body.slice(cut..)]), want, "{} cut at {cut}", recording.name);
        }
    }
}

#[test]
fn conversations_are_shown_even_where_bodies_were_cut() {
    for recording in recordings().iter().filter(|r| r.request.is_object() && r.status < 400) {
        let request = recording.request.to_string();
        let api = recording.dialect.name();
        let whole = conversation(api, recording.stream, request.as_bytes(), &recording.response);
        assert!(whole.request.is_some() && whole.response.is_some(), "{}", recording.name);
        assert_eq!(said(whole.response.as_ref().unwrap()).0, recording.expected["text"].as_str().unwrap());
        serde_json::to_string(&whole).unwrap();
        for cut in cuts(recording.response.len()).step_by(if recording.stream { 97 } else { 211 }) {
            let asked = &request.as_bytes()[..request.len() * 3 / 4];
            let part = conversation(api, recording.stream, asked, &recording.response[..cut]);
            serde_json::to_string(&part).unwrap();
        }
    }
}
