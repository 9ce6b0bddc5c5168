//! What holds for all inputs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking, in its helpers too")]

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use serde_json::{Value, json};
use tachograph_providers::array::Elements;
use tachograph_providers::chat::{Assembler, Block, ChatRequest, ChatResponse, Role, StreamEvent, Tool};
use tachograph_providers::sse::Splitter;
use tachograph_providers::{Answering, DialectId, HideUsage, Provider, Registry, dialect, json};
use tachograph_record::FinishReason;

/// `bytes` cut at these places.
fn cut<'a>(bytes: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<_> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    at.push(0);
    at.push(bytes.len());
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn events(pieces: &[&[u8]]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut seen = Vec::new();
    let mut splitter = Splitter::default();
    for piece in pieces {
        splitter.push(piece, |event| seen.push((event.name.to_vec(), event.data.to_vec())));
    }
    splitter.finish(|event| seen.push((event.name.to_vec(), event.data.to_vec())));
    seen
}

/// Bytes that look like a stream now and then.
fn streamish() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"data: ".to_vec()),
        Just(b"data:{\"choices\":[],\"usage\":{}}".to_vec()),
        Just(b"{\"usage\":null,\"choices\":[{}]}".to_vec()),
        Just(b"event: e".to_vec()),
        Just(b": c".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n\n".to_vec()),
        Just("\u{feff}".as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((".{0,6}", inner), 0..5).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// A turn of random text, reasoning and calls.
#[derive(Clone, Debug)]
enum Said {
    Text(String),
    Call { name: String, arguments: Value },
}

fn turn() -> impl Strategy<Value = Vec<Said>> {
    let text = "[a-zé\u{2028}\"\\\\ ]{1,12}".prop_map(Said::Text);
    let object = prop::collection::vec(("[a-z]{1,4}", value()), 0..4);
    let call = ("[a-z_]{1,10}", object)
        .prop_map(|(name, fields)| Said::Call { name, arguments: Value::Object(fields.into_iter().collect()) });
    (prop::option::of(text), prop::collection::vec(call, 0..5))
        .prop_map(|(text, calls)| text.into_iter().chain(calls).collect())
}

/// A turn as OpenAI streams it: calls' pieces shuffled among each other, each in its own order.
fn openai_stream(turn: &[Said], order: &[prop::sample::Index]) -> Vec<u8> {
    let mut chunks = vec![json!({"role": "assistant", "content": ""})];
    let mut queues: Vec<Vec<Value>> = Vec::new();
    for said in turn {
        match said {
            Said::Text(text) => chunks.push(json!({ "content": text })),
            Said::Call { name, arguments } => {
                let index = queues.len();
                let text = arguments.to_string();
                let half = (text.len() / 2..).find(|&at| text.is_char_boundary(at)).unwrap();
                let piece = |text: &str| json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]});
                let id = format!("call_{index}");
                let start =
                    json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}});
                queues.push(vec![piece(&text[half..]), piece(&text[..half]), json!({ "tool_calls": [start] })]);
            }
        }
    }
    // Calls begin in order; what follows comes in any.
    let mut begun = 0;
    let mut picks = order.iter().cycle();
    while queues.iter().any(|queue| !queue.is_empty()) {
        let may = (begun + 1).min(queues.len());
        let ready: Vec<_> = (0..may).filter(|&at| !queues[at].is_empty()).collect();
        let at = ready[picks.next().map_or(0, |pick| pick.index(ready.len()))];
        begun = begun.max(at + 1);
        chunks.push(queues[at].pop().unwrap());
    }
    let mut bytes = Vec::new();
    for delta in chunks {
        let chunk = json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
        bytes.extend_from_slice(format!("data: {chunk}\n\n").as_bytes());
    }
    // The word is `stop` whatever was called, as some servers have it.
    bytes.extend_from_slice(
        b"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
    );
    bytes
}

fn read(id: DialectId, pieces: &[&[u8]]) -> (Vec<StreamEvent>, ChatResponse) {
    let mut reader = dialect(id).reader();
    let mut events = Vec::new();
    pieces.iter().for_each(|piece| reader.push(piece, &mut events));
    reader.finish(&mut events);
    let mut assembler = Assembler::new(id);
    events.iter().for_each(|event| assembler.push(event));
    (events, assembler.into_response())
}

fn write(id: DialectId, events: &[StreamEvent]) -> BytesMut {
    let mut writer = dialect(id).writer(&Answering::default(), true);
    let mut bytes = BytesMut::new();
    events.iter().for_each(|event| writer.write(event, &mut bytes));
    bytes
}

/// Text and calls, arguments parsed.
fn essence(response: &ChatResponse) -> (String, Vec<(String, Value)>, FinishReason) {
    let choice = &response.choices[0];
    let call = |block: &Block| match block {
        Block::ToolCall(call) => Some((call.name.clone(), serde_json::from_str(&call.arguments).unwrap())),
        _ => None,
    };
    (choice.text(), choice.content.iter().filter_map(call).collect(), choice.finish())
}

/// Anthropic's blocks come one after the other, each started once and stopped once.
fn sequential(bytes: &[u8]) {
    let (mut open, mut next) = (None, 0);
    let mut splitter = Splitter::default();
    splitter.push(bytes, |event| {
        let data: Value = serde_json::from_slice(&event.data).unwrap();
        match data["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!((open, data["index"].as_u64()), (None, Some(next)));
                open = Some(next);
                next += 1;
            }
            "content_block_delta" => assert_eq!(data["index"].as_u64(), open),
            "content_block_stop" => assert_eq!(data["index"].as_u64(), open.take()),
            "message_stop" => assert_eq!(open, None),
            _ => {}
        }
    });
}

/// A conversation in OpenAI's words of what every dialect can say: instructions, turns of text and calls, an answer to each
/// call, tools, a choice among them, a limit.
fn conversation() -> impl Strategy<Value = Value> {
    let word = "[a-zäé☃]{1,12}";
    let arguments = prop::collection::vec(("[a-z]{1,5}", "[a-z ☃]{0,6}"), 0..3);
    let calls = prop::collection::vec(("[a-z]{1,8}", arguments, word), 0..4);
    let turns = prop::collection::vec((word, prop::option::of(word), calls), 1..4);
    let choice = prop::sample::select(vec![Value::Null, json!("auto"), json!("required")]);
    (prop::option::of(word), turns, 1_u64..5_000, choice).prop_map(|(system, turns, most, choice)| {
        let mut messages: Vec<Value> = system.map(|text| json!({"role": "system", "content": text})).into_iter().collect();
        let (mut names, mut made) = (vec!["look".to_owned()], 0);
        for (asked, said, calls) in turns {
            messages.push(json!({"role": "user", "content": asked}));
            let (mut written, mut answers) = (Vec::new(), Vec::new());
            for (name, arguments, result) in calls {
                made += 1;
                let (id, text) = (format!("call_{made}"), Value::Object(arguments.into_iter().map(|(k, v)| (k, json!(v))).collect()));
                written.push(json!({"id": id, "type": "function", "function": {"name": name, "arguments": text.to_string()}}));
                answers.push(json!({"role": "tool", "tool_call_id": id, "content": format!("<{result}>")}));
                names.push(name);
            }
            let mut turn = json!({"role": "assistant", "content": said.unwrap_or_else(|| "well".to_owned())});
            if !written.is_empty() {
                turn["tool_calls"] = json!(written);
            }
            messages.push(turn);
            messages.extend(answers);
        }
        messages.push(json!({"role": "user", "content": "and now?"}));
        let schema = json!({"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "integer"}}});
        let tool = |name: &String| json!({"type": "function", "function": {"name": name, "description": "d", "parameters": schema}});
        names.sort();
        names.dedup();
        let tools: Vec<Value> = names.iter().map(tool).collect();
        let mut request = json!({"model": "m", "messages": messages, "tools": tools, "max_tokens": most, "temperature": 0.5, "stream": false});
        if !choice.is_null() {
            request["tool_choice"] = choice;
        }
        request
    })
}

/// What a request says, whoever's words it is in: who said, called and answered what, and what may be called.
fn meaning(request: &ChatRequest) -> Value {
    let mut said: Vec<(String, String)> = Vec::new();
    let mut say = |who: &str, what: String| match said.last_mut() {
        // Neighbouring texts of one speaker may be one.
        Some((last, text)) if last == who && who != "call" && who != "result" => text.push_str(&what),
        _ => said.push((who.to_owned(), what)),
    };
    let text = |blocks: &[Block]| -> String {
        blocks
            .iter()
            .filter_map(|block| match block {
                Block::Text(text) => Some(text.text.clone()),
                _ => None,
            })
            .collect()
    };
    if let Some(system) = &request.system {
        say("system", text(&system.blocks));
    }
    for message in request.turns() {
        let who = match message.role {
            Role::System | Role::Developer => "system",
            Role::Assistant => "model",
            Role::User | Role::Tool => "user",
        };
        for block in &message.content.blocks {
            match block {
                Block::Text(text) if !text.text.is_empty() => say(who, text.text.clone()),
                Block::ToolCall(call) => {
                    let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
                    say("call", format!("{}{arguments}", call.name));
                }
                Block::ToolResult(result) => say("result", text(&result.content)),
                _ => {}
            }
        }
    }
    let tools: Vec<Value> = request
        .tools
        .iter()
        .flatten()
        .map(|tool| match tool {
            Tool::Function(tool) => json!([tool.name, tool.description, tool.parameters]),
            Tool::Opaque(_) => Value::Null,
        })
        .collect();
    let choice = request.tool_choice.as_ref().map(|choice| format!("{:?}", choice.mode)).filter(|mode| mode != "Auto");
    json!({"said": said, "tools": tools, "choice": choice, "most": request.max_tokens, "temperature": request.temperature})
}

/// A provider of a dialect that changes nothing.
fn provider(id: DialectId) -> Provider {
    let registry = Registry::builtin();
    let found = registry.iter().find(|provider| provider.dialect == id).or_else(|| registry.get("openai"));
    Provider::clone(found.unwrap())
}

/// The request in another dialect, read again, and what the table says was lost.
fn crossed(request: &ChatRequest, to: DialectId) -> (ChatRequest, Vec<String>) {
    let sent = dialect(to).encode_request(request, "m", &provider(to), 4_096).unwrap();
    let lost = sent.notes.iter().map(|note| note.feature.clone()).collect();
    (dialect(to).decode_request(&sent.body).unwrap(), lost)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_conversation_means_the_same_there_and_back_for_every_pair(body in conversation()) {
        let asked = dialect(DialectId::OpenAiChat).decode_request(body.to_string().as_bytes()).unwrap();
        for a in DialectId::all() {
            let (first, lost_a) = crossed(&asked, a);
            for b in DialectId::all() {
                let (there, lost_b) = crossed(&first, b);
                let (back, lost_c) = crossed(&there, a);
                let (mut got, mut want) = (meaning(&back), meaning(&asked));
                // What the table says is bent may differ; nothing else may.
                if [&lost_a, &lost_b, &lost_c].into_iter().flatten().any(|feature| feature == "tool_choice") {
                    (got["choice"], want["choice"]) = (Value::Null, Value::Null);
                }
                prop_assert_eq!(got, want, "{:?} to {:?} and back", a, b);
            }
        }
    }

    #[test]
    fn calls_survive_there_and_back_for_every_pair(turn in turn(), order in prop::collection::vec(any::<prop::sample::Index>(), 1..20), places in prop::collection::vec(any::<prop::sample::Index>(), 0..5)) {
        let stream = openai_stream(&turn, &order);
        let (events, whole) = read(DialectId::OpenAiChat, &cut(&stream, &places));
        let want = essence(&whole);
        for a in DialectId::all() {
            let at_a = write(a, &events);
            let (events_a, first) = read(a, &cut(&at_a, &places));
            prop_assert_eq!(&essence(&first), &want, "to {:?}", a);
            for b in DialectId::all() {
                let (events_b, there) = read(b, &cut(&write(b, &events_a), &places));
                prop_assert_eq!(&essence(&there), &want, "{:?} to {:?}", a, b);
                let (_, back) = read(a, &[&write(a, &events_b)]);
                prop_assert_eq!(&essence(&back), &want, "{:?} to {:?} and back", a, b);
            }
        }
    }
}

proptest! {
    #[test]
    fn lines_do_not_depend_on_where_bytes_are_cut(values in prop::collection::vec(value(), 0..6), ends in prop::sample::select(vec!["\n", "\r\n", "", "\n\n"]), places in prop::collection::vec(any::<prop::sample::Index>(), 0..9)) {
        let lines: Vec<String> = values.iter().map(|value| json!({"line": value, "é☃": "}{\""}).to_string()).collect();
        let bytes = lines.iter().fold(String::new(), |all, line| all + line + ends);
        let mut seen = Vec::new();
        let mut elements = Elements::default();
        cut(bytes.as_bytes(), &places).iter().for_each(|piece| elements.push(piece, |line| seen.push(String::from_utf8(line.to_vec()).unwrap())));
        prop_assert_eq!(seen, lines);
    }

    #[test]
    fn events_do_not_depend_on_where_bytes_are_cut(bytes in streamish(), places in prop::collection::vec(any::<prop::sample::Index>(), 0..9)) {
        prop_assert_eq!(events(&cut(&bytes, &places)), events(&[&bytes]));
    }

    #[test]
    fn hiding_does_not_depend_on_where_bytes_are_cut(bytes in streamish(), places in prop::collection::vec(any::<prop::sample::Index>(), 0..9)) {
        let hide = |pieces: &[&[u8]]| {
            let (mut hide, mut out) = (HideUsage::default(), Vec::new());
            pieces.iter().for_each(|piece| hide.push(&Bytes::copy_from_slice(piece), |bytes| out.extend_from_slice(&bytes)));
            hide.finish(|bytes| out.extend_from_slice(&bytes));
            out
        };
        prop_assert_eq!(hide(&cut(&bytes, &places)), hide(&[&bytes]));
    }

    #[test]
    fn nothing_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), quotes in "[{}\\[\\]\",:\\\\a1 ]{0,60}") {
        for text in [&bytes[..], quotes.as_bytes()] {
            let _ = json::is_object(text);
            json::elements(text).count();
            let _ = json::mend(text);
            if let Some(fields) = json::fields(text) {
                for field in fields {
                    prop_assert!(field.value.end <= text.len());
                    let _ = field.is(text, "a");
                    let _ = json::string(&text[field.value]);
                }
            }
            for id in DialectId::all() {
                let event = [b"data: ", text, b"\n\n"].concat();
                read(id, &[&event]);
                let mut tap = dialect(id).tap(true, 200);
                tap.see(&Bytes::from(event));
                tap.finish();
                let _ = dialect(id).decode_request(text);
                let _ = dialect(id).decode_response(text);
                dialect(id).decode_error(http::StatusCode::BAD_GATEWAY, text);
            }
        }
    }

    #[test]
    fn the_scanner_finds_what_the_parser_finds(value in value(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        prop_assert_eq!(json::is_object(text.as_bytes()), value.is_object());
        for field in json::fields(text.as_bytes()).into_iter().flatten() {
            let key: String = serde_json::from_str(&text[field.key.start - 1..=field.key.end]).unwrap();
            let found: Value = serde_json::from_str(&text[field.value]).unwrap();
            prop_assert_eq!(&found, &value[&key]);
        }
        prop_assert_eq!(json::mend(text.as_bytes()), text.as_bytes());
    }

    #[test]
    fn a_cut_document_is_mended_to_one_that_parses(value in value(), place in any::<prop::sample::Index>()) {
        let text = json!({ "value": value }).to_string();
        let part = &text.as_bytes()[..1 + place.index(text.len())];
        let mended = json::mend(part);
        prop_assert!(serde_json::from_slice::<Value>(&mended).is_ok(), "{}", String::from_utf8_lossy(&mended));
    }

    #[test]
    fn interleaved_calls_survive_to_anthropic_and_back(turn in turn(), order in prop::collection::vec(any::<prop::sample::Index>(), 1..20), places in prop::collection::vec(any::<prop::sample::Index>(), 0..5)) {
        let stream = openai_stream(&turn, &order);
        let (events, whole) = read(DialectId::OpenAiChat, &cut(&stream, &places));
        let anthropic = write(DialectId::AnthropicMessages, &events);
        sequential(&anthropic);
        let (events, crossed) = read(DialectId::AnthropicMessages, &[&anthropic]);
        let openai = write(DialectId::OpenAiChat, &events);
        let (_, back) = read(DialectId::OpenAiChat, &[&openai]);
        let text: String = turn.iter().filter_map(|said| match said { Said::Text(text) => Some(text.as_str()), Said::Call { .. } => None }).collect();
        let calls: Vec<_> = turn.iter().filter_map(|said| match said { Said::Call { name, arguments } => Some((name.clone(), arguments.clone())), Said::Text(_) => None }).collect();
        let finish = if calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls };
        let want = (text, calls, finish);
        for response in [&whole, &crossed, &back] {
            prop_assert_eq!(&essence(response), &want);
        }
    }
}
