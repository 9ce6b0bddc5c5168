//! What every dialect has to hold, by walking the table of them: a dialect that is added is held to it too. Tests that
//! begin with `hard_case` are the ones of that number in the list of what goes wrong in gateways.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking, in its helpers too")]

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use serde_json::{Value, json};
use tachograph_providers::chat::{Assembler, Block, ChatResponse, StreamEvent};
use tachograph_providers::{Answering, DialectId, MaxTokensField, Provider, Registry, dialect};
use tachograph_record::{Leaf, Usage, UsageReading};
use tachograph_reply::{ApiError, ErrorKind};

fn provider(id: DialectId) -> Provider {
    let registry = Registry::builtin();
    let found = registry.iter().find(|provider| provider.dialect == id).or_else(|| registry.get("openai"));
    let mut provider = Provider::clone(found.unwrap());
    provider.quirks.max_tokens_field = MaxTokensField::AsAsked;
    provider
}

fn to() -> Answering {
    Answering { id: "id_1".to_owned(), created: 1_795_000_000, model: "asked".to_owned() }
}

/// The answer that every dialect is given to write: text, two calls of which one has no arguments, usage.
fn events() -> Vec<StreamEvent> {
    let usage =
        Usage::reported([(Leaf::INPUT, 500), (Leaf::CACHE_READ, 40), (Leaf::OUTPUT, 300), (Leaf::REASONING, 7)]);
    let call = |call, id: &str, name: &str| StreamEvent::CallStart {
        choice: 0,
        call,
        id: id.to_owned(),
        name: name.to_owned(),
    };
    let text = |text: &str| StreamEvent::Text { choice: 0, text: text.to_owned() };
    let arguments = |call, text: &str| StreamEvent::Arguments { choice: 0, call, text: text.to_owned() };
    vec![
        StreamEvent::Start { id: Some("id_1".to_owned()), model: Some("asked".to_owned()), usage: None },
        text("Straße 🚚 \u{2028}"),
        text("über"),
        call(0, "call_a", "look_up"),
        call(1, "call_b", "now"),
        arguments(0, "{\"word\":"),
        arguments(0, "\"☃ é\"}"),
        StreamEvent::Finish {
            choice: 0,
            reason: tachograph_record::FinishReason::ToolCalls,
            native: "tool_calls".to_owned(),
            stop_sequence: None,
        },
        StreamEvent::Usage(usage),
        StreamEvent::End,
    ]
}

fn written(id: DialectId, events: &[StreamEvent]) -> Bytes {
    let (mut writer, mut bytes) = (dialect(id).writer(&to(), true), BytesMut::new());
    events.iter().for_each(|event| writer.write(event, &mut bytes));
    bytes.freeze()
}

fn read<'a>(id: DialectId, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<StreamEvent>, ChatResponse) {
    let (mut reader, mut events, mut assembler) = (dialect(id).reader(), Vec::new(), Assembler::new(id));
    pieces.into_iter().for_each(|piece| reader.push(piece, &mut events));
    reader.finish(&mut events);
    events.iter().for_each(|event| assembler.push(event));
    (events, assembler.into_response())
}

fn calls(response: &ChatResponse) -> Vec<(String, Value)> {
    let call = |block: &Block| match block {
        Block::ToolCall(call) => Some((call.name.clone(), serde_json::from_str(&call.arguments).unwrap_or(json!({})))),
        _ => None,
    };
    response.choices[0].content.iter().filter_map(call).collect()
}

fn holds(response: &ChatResponse, how: &str) {
    assert_eq!(response.choices[0].text(), "Straße 🚚 \u{2028}über", "{how}");
    let want = [("look_up".to_owned(), json!({"word": "☃ é"})), ("now".to_owned(), json!({}))];
    assert_eq!(calls(response), want, "{how}");
    assert_eq!(response.choices[0].finish().code(), "tool_calls", "{how}");
    let UsageReading::Known(usage) = &response.usage else { panic!("{how}: no usage") };
    assert_eq!((usage.input_total(), usage.output_total(), usage.cache_read_total()), (540, 307, 40), "{how}");
}

#[test]
fn a_whole_answer_is_written_and_read_in_every_dialect() {
    let mut assembler = Assembler::new(DialectId::OpenAiChat);
    events().iter().for_each(|event| assembler.push(event));
    let answer = assembler.into_response();
    for id in DialectId::all() {
        let body = dialect(id).encode_response(&answer, &to());
        holds(&dialect(id).decode_response(&body).unwrap(), id.name());
        let mut tap = dialect(id).tap(false, 200);
        assert!(tap.see(&body), "{id:?}: content");
        let reading = tap.finish();
        assert!(reading.ended && reading.usage.known().is_some(), "{id:?}: {reading:?}");
    }
}

#[test]
fn hard_case_05_usage_that_comes_early_in_pieces_or_again_is_counted_once() {
    let frame = |event: &str| format!("data: {event}\n\n");
    let anthropic = |pieces: &[&str]| pieces.iter().map(|piece| frame(piece)).collect::<String>();
    let start = r#"{"type":"message_start","message":{"id":"m","model":"c","usage":{"input_tokens":400,"cache_read_input_tokens":40,"output_tokens":1}}}"#;
    let text = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}"#;
    let delta =
        |usage: &str| format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn"}},"usage":{usage}}}"#);
    let stop = r#"{"type":"message_stop"}"#;
    let (early, half) = (delta(r#"{"output_tokens":100}"#), delta(r#"{"output_tokens":250}"#));
    let (late, all) = (
        delta(r#"{"output_tokens":300}"#),
        delta(r#"{"input_tokens":400,"cache_read_input_tokens":40,"output_tokens":300}"#),
    );
    // What is told again takes the place of what was told; what is not told again stays.
    for pieces in [
        vec![start, text, &late, stop],
        vec![start, text, &all, stop],
        vec![start, &early, text, &half, &late, stop],
        vec![start, text, &late, &all, stop],
    ] {
        let stream = anthropic(&pieces);
        let (_, response) = read(DialectId::AnthropicMessages, [stream.as_bytes()]);
        let UsageReading::Known(usage) = &response.usage else { panic!("{stream}") };
        assert_eq!((usage.input_total(), usage.cache_read_total(), usage.output_total()), (440, 40, 300), "{stream}");
        let mut tap = dialect(DialectId::AnthropicMessages).tap(true, 200);
        tap.see(&Bytes::from(stream.clone()));
        let UsageReading::Known(tapped) = tap.finish().usage else { panic!("{stream}") };
        assert_eq!(&tapped, usage, "the tap and the reader say the same of {stream}");
    }
    // Others count up in every chunk; the last says all.
    let chunk = |output: u64| {
        json!({"choices": [{"index": 0, "delta": {"content": "x"}}], "usage": {"prompt_tokens": 440, "completion_tokens": output, "total_tokens": 440 + output}}).to_string()
    };
    let stream =
        [chunk(1), chunk(150), chunk(300)].iter().map(|chunk| frame(chunk)).collect::<String>() + "data: [DONE]\n\n";
    let (_, response) = read(DialectId::OpenAiChat, [stream.as_bytes()]);
    assert_eq!(response.usage.known().map(|usage| (usage.input_total(), usage.output_total())), Some((440, 300)));
    // Usage behind the reason to stop, and before it, in every dialect.
    for id in DialectId::all() {
        let mut turned = events();
        let at = turned.iter().position(|event| matches!(event, StreamEvent::Usage(_))).unwrap();
        turned.swap(at - 1, at);
        for events in [events(), turned] {
            holds(&read(id, [&written(id, &events)[..]]).1, id.name());
        }
    }
}

#[test]
fn hard_case_09_events_are_the_same_however_they_are_framed() {
    use DialectId::{AnthropicMessages, CohereChat, GeminiGenerateContent, OpenAiChat, OpenAiResponses};
    for id in [OpenAiChat, OpenAiResponses, AnthropicMessages, GeminiGenerateContent, CohereChat] {
        let bytes = written(id, &events());
        let text = String::from_utf8(bytes.to_vec()).unwrap().replace("\r\n", "\n");
        let want = format!("{:?}", read(id, [text.as_bytes()]).0);
        for (how, framed) in [
            ("CRLF", text.replace('\n', "\r\n")),
            ("CR", text.replace('\n', "\r")),
            ("comments between events", text.replace("\n\n", "\n\n: keep-alive\n\n:\n\n")),
            ("a byte order mark", format!("\u{feff}{text}")),
            ("no space behind the colon", text.replace("data: ", "data:").replace("event: ", "event:")),
            ("ids and retries", text.replace("data: ", "id: 7\nretry: 10\ndata: ")),
            ("unknown fields", text.replace("data: ", "field: x\nbare\ndata: ")),
            ("no blank line at the end", text.trim_end().to_owned()),
            (
                "no event names",
                text.lines()
                    .filter(|line| !line.starts_with("event:"))
                    .fold(String::new(), |all, line| all + line + "\n"),
            ),
        ] {
            for size in [1, 7, framed.len()] {
                let found = format!("{:?}", read(id, framed.as_bytes().chunks(size)).0);
                assert_eq!(found, want, "{id:?}: {how}, in pieces of {size}");
            }
        }
    }
}

#[test]
fn hard_case_08_a_stream_cut_anywhere_is_the_same_in_every_dialect() {
    for id in DialectId::all() {
        let bytes = written(id, &events());
        let (whole, response) = read(id, [&bytes[..]]);
        holds(&response, id.name());
        for at in (0..=bytes.len()).step_by(if bytes.len() > 2_048 { 3 } else { 1 }) {
            let split = read(id, [&bytes[..at], &bytes[at..]]).0;
            assert_eq!(format!("{split:?}"), format!("{whole:?}"), "{id:?} cut at {at}");
        }
        assert_eq!(format!("{:?}", read(id, bytes.chunks(1)).0), format!("{whole:?}"), "{id:?} byte by byte");
    }
}

#[test]
fn hard_case_10_a_stream_that_stops_early_has_no_end_and_is_told_so() {
    for id in DialectId::all() {
        let unfinished = &events()[..4];
        let bytes = written(id, unfinished);
        let (seen, _) = read(id, [&bytes[..]]);
        assert!(!seen.iter().any(|event| matches!(event, StreamEvent::End)), "{id:?}");
        let (mut writer, mut out) = (dialect(id).writer(&to(), true), BytesMut::new());
        unfinished.iter().for_each(|event| writer.write(event, &mut out));
        writer.fail(&ApiError::new(ErrorKind::Upstream, "stream_broken", "It broke off."), &mut out);
        writer.write(&StreamEvent::End, &mut out);
        let (seen, _) = read(id, [&out[..]]);
        let Some(StreamEvent::Error(error)) = seen.last() else { panic!("{id:?}: {seen:?}") };
        assert!(error.message().contains("broke off"), "{id:?}: {error}");
    }
}

#[test]
fn hard_case_16_calls_that_servers_stream_badly_reach_every_dialect_whole() {
    let chunk =
        |calls: Value| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"tool_calls": calls}}]}));
    let whole = |id: &str, name: &str, arguments: Value| json!([{"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}]);
    let indexed = |index: u64, mut call: Value| {
        call[0]["index"] = json!(index);
        call
    };
    let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    for (what, stream) in [
        ("no index", chunk(whole("a", "x", json!("{\"k\":1}"))) + &chunk(whole("b", "y", json!("")))),
        ("arguments as an object", chunk(whole("a", "x", json!({"k": 1}))) + &chunk(whole("b", "y", Value::Null))),
        (
            "one index for both",
            chunk(indexed(0, whole("a", "x", json!("{\"k\":1}")))) + &chunk(indexed(0, whole("b", "y", json!("")))),
        ),
        (
            "interleaved, the id repeated on every piece",
            chunk(indexed(0, whole("a", "x", json!(""))))
                + &chunk(indexed(1, whole("b", "y", json!(""))))
                + &chunk(json!([{"index": 0, "id": "a", "function": {"arguments": "{"}}]))
                + &chunk(json!([{"index": 1, "id": "b", "function": {"arguments": "{"}}]))
                + &chunk(json!([{"index": 0, "id": "a", "function": {"arguments": "\"k\":1}"}}]))
                + &chunk(json!([{"index": 1, "id": "b", "function": {"arguments": "}"}}])),
        ),
    ] {
        let (events, _) = read(DialectId::OpenAiChat, [(stream + end).as_bytes()]);
        for id in DialectId::all() {
            let (_, crossed) = read(id, [&written(id, &events)[..]]);
            let want = [("x".to_owned(), json!({"k": 1})), ("y".to_owned(), json!({}))];
            assert_eq!(calls(&crossed), want, "{what} to {id:?}");
            assert_eq!(crossed.choices[0].finish().code(), "tool_calls", "{what} to {id:?}");
        }
    }
}

#[test]
fn hard_case_17_every_class_of_error_is_told_in_every_dialect() {
    for id in DialectId::all() {
        for (status, message) in [
            (400, "bad"),
            (401, "key"),
            (403, "no"),
            (404, "none"),
            (413, "big"),
            (429, "slow"),
            (500, "broke"),
            (529, "busy"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let native = json!({"error": {"message": message, "type": "t"}}).to_string();
            let error = dialect(DialectId::OpenAiChat).decode_error(status, native.as_bytes());
            let body = dialect(id).error_shape().body(&error);
            let back = dialect(id).decode_error(status, &body);
            assert_eq!((back.message(), back.kind(), back.status()), (message, error.kind(), status), "{id:?}");
            let mut tap = dialect(id).tap(false, status.as_u16());
            tap.see(&body);
            assert_eq!(tap.finish().error.unwrap().message, message, "{id:?}");
        }
    }
}

/// A request of each dialect that holds what nobody knows, at every place where it may stand.
fn unknown(id: DialectId) -> Value {
    match id {
        DialectId::GeminiGenerateContent => {
            json!({"contents": [{"role": "user", "parts": [{"text": "hi", "partNew": 1}]}], "fieldNew": {"a": [null]}})
        }
        DialectId::OpenAiResponses => {
            json!({"model": "m", "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi", "part_new": 1}], "item_new": 2}], "field_new": {"a": [null]}})
        }
        DialectId::OllamaChat => {
            json!({"model": "m", "messages": [{"role": "user", "content": "hi", "message_new": 2}], "options": {"option_new": 3}, "field_new": {"a": [null]}})
        }
        _ => {
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "part_new": 1}, {"type": "part_new"}]}], "field_new": {"a": [null]}})
        }
    }
}

#[test]
fn hard_case_18_unknown_fields_stay_and_absent_ones_stay_absent() {
    for id in DialectId::all().filter(|id| unknown_is_known(*id)) {
        let body = unknown(id);
        let asked = dialect(id).decode_request(body.to_string().as_bytes()).unwrap();
        let sent = dialect(id).encode_request(&asked, "m", &provider(id), 9).unwrap();
        let mut back: Value = serde_json::from_slice(&sent.body).unwrap();
        if body.get("model").is_none() {
            back.as_object_mut().unwrap().shift_remove("model");
        }
        assert_eq!(back, body, "{id:?}");
        for other in DialectId::all().filter(|other| *other != id) {
            // Elsewhere it means nothing: it is dropped and said to be, or refused.
            match dialect(other).encode_request(&asked, "m", &provider(other), 9) {
                Ok(sent) => assert!(
                    !sent.notes.is_empty() && !sent.body.windows(9).any(|at| at == b"field_new"),
                    "{id:?} to {other:?}"
                ),
                Err(refused) => assert_eq!(refused.status(), 400, "{id:?} to {other:?}"),
            }
        }
    }
}

/// Clouds' dialects have bodies of their own and are held to it by their recordings.
fn unknown_is_known(id: DialectId) -> bool {
    use DialectId::{AnthropicMessages, CohereChat, GeminiGenerateContent, OllamaChat, OpenAiChat, OpenAiResponses};
    [OpenAiChat, OpenAiResponses, AnthropicMessages, GeminiGenerateContent, CohereChat, OllamaChat].contains(&id)
}

#[test]
fn hard_case_19_signed_thinking_comes_home_through_clients_of_other_dialects() {
    let (anthropic, openai) = (DialectId::AnthropicMessages, DialectId::OpenAiChat);
    let thought = br#"{"type":"message","role":"assistant","content":[{"type":"thinking","thinking":"Hm.","signature":"c2ln"},
        {"type":"tool_use","id":"toolu_1","name":"look_up","input":{"word":"a"}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2}}"#;
    let answer = dialect(anthropic).decode_response(thought).unwrap();
    let told: Value = serde_json::from_slice(&dialect(openai).encode_response(&answer, &to())).unwrap();
    let tools = json!([{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]);
    let next = json!({"model": "m", "reasoning_effort": "low", "max_tokens": 9_000, "tools": tools, "messages": [{"role": "user", "content": "hi"},
        told["choices"][0]["message"], {"role": "tool", "tool_call_id": "toolu_1", "content": "b"}]});
    let asked = dialect(openai).decode_request(next.to_string().as_bytes()).unwrap();
    let sent = dialect(anthropic).encode_request(&asked, "claude-sonnet-4-5", &provider(anthropic), 4_096).unwrap();
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(
        body["messages"][1]["content"][0],
        json!({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}),
        "{body:#}"
    );
    // Google's proof hangs on the call.
    let gemini = DialectId::GeminiGenerateContent;
    let thought = br#"{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"look_up","args":{"word":"a"}},"thoughtSignature":"Zw=="}]},
        "finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2,"totalTokenCount":3}}"#;
    let answer = dialect(gemini).decode_response(thought).unwrap();
    for client in [openai, anthropic] {
        let told = dialect(client).encode_response(&answer, &to());
        let told: Value = serde_json::from_slice(&told).unwrap();
        let next = if client == openai {
            let message = told["choices"][0]["message"].clone();
            let id = message["tool_calls"][0]["id"].clone();
            json!({"model": "m", "messages": [{"role": "user", "content": "hi"}, message, {"role": "tool", "tool_call_id": id, "content": "b"}]})
        } else {
            let id = told["content"].as_array().unwrap().last().unwrap()["id"].clone();
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": told["content"]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "b"}]}]})
        };
        let asked = dialect(client).decode_request(next.to_string().as_bytes()).unwrap();
        let sent = dialect(gemini).encode_request(&asked, "gemini-3-pro", &provider(gemini), 9).unwrap();
        let body: Value = serde_json::from_slice(&sent.body).unwrap();
        assert_eq!(body["contents"][1]["parts"][0]["thoughtSignature"], "Zw==", "{client:?}: {body:#}");
        assert!(!sent.notes.iter().any(|note| note.feature == "thought_signature"), "{client:?}: {:?}", sent.notes);
    }
}
