//! Translations as files: what goes in, and beside it what has to come out.
//!
//! `tests/golden/requests/*.json` are requests for a provider of the other dialect; `answers/*.json` are answers as a
//! provider sends them. After a change that is meant, run with `UPDATE_GOLDEN=1` and read the difference.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking, in its helpers too")]

use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use tachograph_providers::usage::totals;
use tachograph_providers::{Answering, DialectId, Registry, StreamEvent, dialect, dialect_of_api};
use tachograph_record::{Reading, UsageReading};

/// Runs `make` on every file of a folder and compares what it makes with the file's `want`.
fn golden(folder: &str, make: impl Fn(&Value) -> Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 8);
    for file in files {
        let mut case: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let got = make(&case);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            case["want"] = got;
            std::fs::write(&file, serde_json::to_string_pretty(&case).unwrap() + "\n").unwrap();
        } else {
            // As text: the order of keys is part of what is promised.
            let text = |value: &Value| serde_json::to_string_pretty(value).unwrap();
            assert_eq!(text(&got), text(&case["want"]), "{}: {}", file.display(), case["why"]);
        }
    }
}

fn from(case: &Value) -> DialectId {
    dialect_of_api(case["from"].as_str().unwrap()).unwrap()
}

#[test]
fn requests() {
    golden("requests", |case| {
        let provider = Registry::builtin().get(case["provider"].as_str().unwrap()).unwrap();
        let request = dialect(from(case)).decode_request(case["request"].to_string().as_bytes()).unwrap();
        let (model, most) = (case["model"].as_str().unwrap(), case["max_output_default"].as_u64().unwrap());
        // To the provider's own dialect, unless the case names another that it speaks too.
        let to = case["to"].as_str().map_or(provider.dialect, |name| dialect_of_api(name).unwrap());
        match dialect(to).encode_request(&request, model, provider, most) {
            Ok(encoded) => {
                json!({"body": serde_json::from_slice::<Value>(&encoded.body).unwrap(), "notes": encoded.notes})
            }
            Err(error) => {
                json!({"status": error.status().as_u16(), "param": error.param(), "message": error.message()})
            }
        }
    });
}

fn reading(reading: &Reading) -> Value {
    let usage = match &reading.usage {
        UsageReading::Known(usage) => {
            let totals = totals(usage).tokens.into_iter().filter(|(_, count)| *count > 0);
            json!({"source": usage.source, "totals": totals.map(|(name, count)| (name.to_owned(), Value::from(count))).collect::<Value>()})
        }
        UsageReading::Absent => Value::Null,
        UsageReading::Invalid(why) => json!(why),
    };
    json!({
        "model": reading.model,
        "usage": usage,
        "finish_reason": reading.finish_reason,
        "native_finish_reason": reading.native_finish_reason,
        "service_tier": reading.service_tier,
        "error": reading.error,
        "ended": reading.ended,
    })
}

#[test]
fn answers() {
    let to = Answering { id: "id-1".to_owned(), created: 1_795_000_000, model: "asked".to_owned() };
    golden("answers", |case| {
        let body = Bytes::from(case["body"].as_str().unwrap().to_owned());
        let stream = case["stream"].as_bool().unwrap();
        let (id, codec) = (from(case), dialect(from(case)));
        // To the dialect the case names, else to the one that most others are asked to translate to.
        let usual = if id == DialectId::OpenAiChat { DialectId::AnthropicMessages } else { DialectId::OpenAiChat };
        let other = dialect(case["to"].as_str().map_or(usual, |name| dialect_of_api(name).unwrap()));
        let mut tap = codec.tap(stream, 200);
        let content = tap.see(&body);
        let tapped = tap.finish();
        if !stream {
            let response = codec.decode_response(&body).unwrap();
            let crossed: Value = serde_json::from_slice(&other.encode_response(&response, &to)).unwrap();
            return json!({"content": content, "reading": reading(&tapped), "crossed": crossed});
        }
        let mut reader = codec.reader();
        let (mut events, mut crossed) = (Vec::new(), BytesMut::new());
        reader.push(&body, &mut events);
        reader.finish(&mut events);
        let read = reader.reading();
        assert_eq!(read, tapped);
        let mut writer = other.writer(&to, true);
        events.iter().for_each(|event| writer.write(event, &mut crossed));
        if !matches!(events.last(), Some(StreamEvent::End | StreamEvent::Error(_))) {
            let cut =
                tachograph_reply::ApiError::new(tachograph_reply::ErrorKind::Upstream, "stream_cut", "It was cut.");
            writer.fail(&cut, &mut crossed);
        }
        let lines: Vec<_> = std::str::from_utf8(&crossed).unwrap().split('\n').collect();
        json!({"content": content, "reading": reading(&tapped), "crossed": lines})
    });
}
