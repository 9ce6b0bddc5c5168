//! Every recorded exchange of an API that is no conversation, read exactly.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking, in its helpers too")]

mod support;

use bytes::Bytes;
use serde_json::Value;
use support::{Recording, check, cuts, each, plain_recordings, singles, tapped};
use tachograph_providers::chat::Block;
use tachograph_providers::{Api, conversation};
use tachograph_record::{Reading, Unit, UsageReading};

fn tap(recording: &Recording) -> Box<dyn tachograph_record::Tap> {
    recording.api.tap_with(recording.stream, recording.status, &recording.headers)
}

#[test]
fn taps_read_every_recording_however_it_is_cut() {
    each(plain_recordings(), |recording| {
        let body = &recording.response;
        let (whole, _) = tapped(tap(recording), [body.clone()]);
        // What the expectations are silent about was not looked at.
        let expected = &recording.expected;
        let mut looked_at = whole.clone();
        if expected["usage_raw"].is_null() && expected["input_tokens"].is_null() {
            looked_at.usage = UsageReading::Absent;
        }
        looked_at.model = looked_at.model.filter(|_| expected["model"].is_string());
        check(recording, &looked_at, "whole");
        assert_eq!(tapped(tap(recording), singles(body)).0, whole, "{} byte by byte", recording.name);
        for cut in cuts(body.len()) {
            let pieces = [body.slice(..cut), body.slice(cut..)];
            assert_eq!(tapped(tap(recording), pieces).0, whole, "{} cut at {cut}", recording.name);
        }
    });
}

#[test]
fn recorded_paths_are_named() {
    for recording in plain_recordings() {
        let api = Api::of_path(&recording.path).map(Api::name);
        assert_eq!(api, Some(recording.api.name()), "{}: {}", recording.name, recording.path);
    }
}

#[test]
fn conversations_show_what_was_asked_and_said() {
    for recording in plain_recordings().iter().filter(|recording| recording.request.is_object()) {
        let request = recording.request.to_string();
        let shown =
            |response: &[u8]| conversation(recording.api.name(), recording.stream, request.as_bytes(), response);
        let whole = shown(&recording.response);
        assert!(whole.request.is_some(), "{}", recording.name);
        if let Some(text) = recording.expected["text"].as_str().filter(|text| !text.is_empty()) {
            let shown = whole.response.as_ref().map(|response| response.choices[0].text());
            assert_eq!(shown.as_deref(), Some(text), "{}", recording.name);
        }
        if recording.api.name() == "openai.images" && recording.status < 400 {
            let content = &whole.response.as_ref().unwrap().choices[0].content;
            assert!(matches!(&content[..], [Block::Media(_), ..]), "{}", recording.name);
        }
        for cut in cuts(recording.response.len()).step_by(53) {
            serde_json::to_string(&shown(&recording.response[..cut])).unwrap();
        }
    }
}

fn read(api: &str, stream: bool, body: &'static str) -> Reading {
    tapped(Api::named(api).unwrap().tap(stream, 200), [Bytes::from_static(body.as_bytes())]).0
}

fn units(reading: &Reading) -> Vec<(Unit, String)> {
    let UsageReading::Known(usage) = &reading.usage else { return Vec::new() };
    usage.units().iter().map(|(unit, quantity)| (*unit, quantity.to_string())).collect()
}

#[test]
fn what_is_not_counted_in_tokens_is_counted_all_the_same() {
    let images = read("openai.images", false, r#"{"created":1,"data":[{"url":"https://a"},{"url":"https://b"}]}"#);
    assert_eq!(units(&images), [(Unit::Images, "2".to_owned())]);
    let counted =
        read("openai.images", false, r#"{"data":[{"b64_json":"AA=="}],"usage":{"input_tokens":5,"output_tokens":9}}"#);
    assert_eq!(units(&counted), []);
    assert_eq!(counted.usage.known().unwrap().output_total(), 9);
    let heard = read("openai.audio.transcriptions", false, r#"{"text":"hi","duration":8.47,"language":"english"}"#);
    assert_eq!(units(&heard), [(Unit::InputSeconds, "8.47".to_owned())]);
    let ranked = read("cohere.rerank", false, r#"{"results":[],"meta":{"billed_units":{"search_units":1}}}"#);
    assert_eq!(units(&ranked), [(Unit::RerankSearches, "1".to_owned())]);
    assert_eq!(read("openai.audio.transcriptions", false, "just text").usage, UsageReading::Absent);
}

#[test]
fn streams_of_plain_apis_end_with_their_last_event() {
    let spoken = concat!(
        "data: {\"type\":\"speech.audio.delta\",\"audio\":\"AAAA\"}\n\n",
        "data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":4,\"output_tokens\":30,\"total_tokens\":34}}\n\n",
    );
    let reading = read("openai.audio.speech", true, spoken);
    assert!(reading.ended);
    assert_eq!(reading.usage.known().unwrap().output_total(), 30);
    let cut = read("openai.audio.speech", true, "data: {\"type\":\"speech.audio.delta\",\"audio\":\"AAAA\"}\n\n");
    assert!(!cut.ended);
    let drawn = concat!(
        "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AA\"}\n\n",
        "data: {\"type\":\"image_generation.completed\",\"b64_json\":\"AAAA\",\"usage\":{\"input_tokens\":4,\"output_tokens\":272}}\n\n",
    );
    assert_eq!(read("openai.images", true, drawn).usage.known().unwrap().output_total(), 272);
    let shown = conversation("openai.images", true, br#"{"prompt":"a cat"}"#, drawn.as_bytes());
    assert_eq!(shown.response.unwrap().choices[0].content.len(), 1);
    let value = serde_json::to_value(shown.request.unwrap()).unwrap();
    assert_eq!(value["messages"][0]["content"][0]["text"], Value::from("a cat"));
}

/// The provider's own tools are counted from the answer where its usage object does not tell of them.
#[test]
fn runs_of_the_providers_own_tools_are_on_the_record() {
    let reading = |api: &str, stream: bool, body: &str| {
        tapped(Api::named(api).unwrap().tap(stream, 200), [Bytes::copy_from_slice(body.as_bytes())]).0
    };
    let some = |count: u64| count.to_string();
    let output = r#"[{"type":"web_search_call","status":"completed","action":{"type":"search","query":"a"}},
        {"type":"web_search_call","status":"completed","action":{"type":"open_page","url":"https://a.example"}},
        {"type":"web_search_call","status":"failed","action":{"type":"search","query":"b"}},
        {"type":"web_search_call","status":"completed"},{"type":"file_search_call","status":"completed"},
        {"type":"message","content":[]}]"#;
    let usage = r#"{"input_tokens":9,"output_tokens":4,"total_tokens":13}"#;
    let whole = format!(r#"{{"status":"completed","output":{output},"usage":{usage}}}"#);
    let found = reading("openai.responses", false, &whole);
    assert_eq!(units(&found), [(Unit::WebSearches, some(2)), (Unit::FileSearches, some(1))]);
    // A stream tells each item, and all of them again at its end: they are counted once.
    let item = r#"{"type":"web_search_call","status":"completed","action":{"type":"search"}}"#;
    let stream = |output: &str| {
        let output = output.replace('\n', " ");
        format!(
            "data: {{\"type\":\"response.output_item.done\",\"item\":{item}}}\n\n\
             data: {{\"type\":\"response.completed\",\"response\":{{\"status\":\"completed\",\"output\":{output},\"usage\":{usage}}}}}\n\n"
        )
    };
    assert_eq!(
        units(&reading("openai.responses", true, &stream(&format!("[{item}]")))),
        [(Unit::WebSearches, some(1))]
    );
    assert_eq!(units(&reading("openai.responses", true, &stream("[]"))), [(Unit::WebSearches, some(1))]);
    // xAI counts them itself.
    let told = r#"{"input_tokens":9,"output_tokens":4,"server_side_tool_usage_details":{"web_search_calls":5,"x_search_calls":3,
        "code_interpreter_calls":0,"document_search_calls":1}}"#;
    let found =
        reading("openai.responses", false, &format!(r#"{{"status":"completed","output":{output},"usage":{told}}}"#));
    let want = [Unit::WebSearches, Unit::FileSearches, Unit::XSearches, Unit::AttachmentSearches];
    assert_eq!(units(&found), want.into_iter().zip([5, 1, 3, 1].map(some)).collect::<Vec<_>>());

    let gemini = r#"{"candidates":[{"index":0,"content":{"parts":[{"text":"x"}]},"finishReason":"STOP","groundingMetadata":
        {"webSearchQueries":["a","b","a"],"groundingChunks":[{"web":{"uri":"u"}},{"maps":{"uri":"m"}}]}}],
        "usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4,"totalTokenCount":13}}"#;
    let found = reading("gemini.generateContent", false, gemini);
    assert_eq!(units(&found), [(Unit::WebSearches, some(2)), (Unit::MapsGroundings, some(1))]);
}
