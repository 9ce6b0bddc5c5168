//! Prompts that are made to fit, by themselves and beside Helicone's cases.

use serde_json::json;

use super::*;

fn long(words: usize) -> String {
    (0..words).map(|number| format!("word{number} ")).collect()
}

fn cut_to(body: &Value, what: TooLong, room: u64) -> (Value, u64) {
    let (api, counter) = (Api::named("openai.chat").unwrap(), Counter::of_model("gpt-4o"));
    let bytes = serde_json::to_vec(body).unwrap();
    let before = tokens(api, &counter, &bytes).unwrap();
    assert!(before > room, "{before}");
    let (bytes, after) = cut(api, &counter, &bytes, what, room, before).unwrap();
    assert!(after <= room, "{after} of {room}");
    (serde_json::from_slice(&bytes).unwrap(), after)
}

#[test]
fn truncation_keeps_every_message_and_its_beginning() {
    let body = json!({ "model": "gpt-4o", "temperature": 0.5, "messages": [
        { "role": "system", "content": long(400) }, { "role": "user", "content": [{ "type": "text", "text": long(800) },
        { "type": "image_url", "image_url": { "url": "https://example.com/x.png" } }] } ] });
    let (cut, after) = cut_to(&body, TooLong::Truncate, 2_000);
    assert!(after > 1_400, "not more than is needed goes: {after}");
    let [system, user] = [&cut["messages"][0]["content"], &cut["messages"][1]["content"][0]["text"]];
    assert!(system.as_str().unwrap().starts_with("word0 word1 ") && user.as_str().unwrap().starts_with("word0 word1 "));
    let (system, user) = (system.as_str().unwrap().len(), user.as_str().unwrap().len());
    assert!((user * 10 / system).abs_diff(20) <= 3, "each by the same part: {system} {user}");
    assert_eq!(cut["messages"][1]["content"][1], body["messages"][1]["content"][1]);
    assert_eq!(cut["temperature"], 0.5);
}

#[test]
fn middle_out_keeps_both_ends_and_the_instructions() {
    let turn = |role: &str, text: String| json!({ "role": role, "content": text });
    let body = json!({ "model": "gpt-4o", "messages": [
        turn("system", "Be kind.".to_owned()), turn("user", format!("FIRST {}", long(300))), turn("assistant", long(300)),
        turn("user", long(300)), turn("assistant", long(300)), turn("user", format!("{} LAST", long(300))) ] });
    let (cut, _) = cut_to(&body, TooLong::MiddleOut, 1_200);
    let messages = cut["messages"].as_array().unwrap();
    assert_eq!(messages[0]["content"], "Be kind.");
    assert!(messages[1]["content"].as_str().unwrap().starts_with("FIRST word0"));
    assert!(messages.last().unwrap()["content"].as_str().unwrap().ends_with("LAST"));
    assert!(messages.len() < 6, "what lies wholly in the middle goes: {}", messages.len());
}

#[test]
fn a_tool_result_is_never_taken_out_whole() {
    let body = json!({ "model": "gpt-4o", "messages": [
        { "role": "user", "content": long(300) },
        { "role": "assistant", "content": null, "tool_calls": [{ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } }] },
        { "role": "tool", "tool_call_id": "c", "content": long(600) },
        { "role": "user", "content": long(300) } ] });
    let (cut, _) = cut_to(&body, TooLong::MiddleOut, 500);
    assert_eq!(cut["messages"].as_array().unwrap().len(), 4);
}

#[test]
fn what_cannot_be_cut_is_left_as_it_is() {
    let tools: Vec<Value> =
        (0..200).map(|n| json!({ "type": "function", "function": { "name": format!("tool_number_{n}") } })).collect();
    let body = json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": "hi" }], "tools": tools });
    let (api, counter) = (Api::named("openai.chat").unwrap(), Counter::of_model("gpt-4o"));
    let bytes = serde_json::to_vec(&body).unwrap();
    let before = tokens(api, &counter, &bytes).unwrap();
    assert_eq!(cut(api, &counter, &bytes, TooLong::Truncate, 100, before), None);
}

#[test]
fn names_of_handlers_in_any_case() {
    for (text, what) in [
        ("truncate", Some(TooLong::Truncate)),
        (" Middle-Out ", Some(TooLong::MiddleOut)),
        ("FALLBACK", Some(TooLong::Fallback)),
        ("middleout", None),
        ("", None),
    ] {
        assert_eq!(text.parse().ok(), what, "{text}");
    }
}

/// Helicone's own cases, where they are at hand.
#[test]
fn helicones_cases_hold_but_for_how_tokens_are_counted() {
    let Some(shared) = std::env::var_os("TACHOGRAPH_SHARED") else {
        println!("TACHOGRAPH_SHARED is not set: Helicone's cases of token limits are not compared");
        return;
    };
    let file = std::path::Path::new(&shared).join("helicone-cases/token_limit.json");
    let cases: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    for case in cases["cases"].as_array().unwrap() {
        let (argument, result) = (&case["args"][0], &case["result"]);
        match case["fn"].as_str().unwrap() {
            "truncateAndNormalizeText" => {
                assert_eq!(text::normalised(argument.as_str().unwrap_or_default()), result.as_str().unwrap(), "{case}");
            }
            // Named difference: Helicone takes a quarter of the characters, also of the JSON that tools are written in; here
            // tokens are counted with the model's vocabulary and what providers put around messages. The two are of one size.
            "estimateTokenCount" => {
                let body = serde_json::to_vec(argument).unwrap();
                let model = case["args"][1].as_str().unwrap();
                let ours = tokens(Api::named("openai.chat").unwrap(), &Counter::of_model(model), &body).unwrap();
                let theirs = result.as_u64().unwrap();
                assert!(ours <= 4 * theirs && theirs <= 2 * ours, "{ours} and {theirs}: {case}");
            }
            // A text to be read is read, whatever stands in it; what is none is nothing.
            "parseRequestPayload" => {
                let parsed = argument.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
                let fields = result.as_object().cloned();
                let theirs = fields.map(|fields| fields.into_iter().filter(|(name, _)| name != "_type").collect());
                assert_eq!(parsed, theirs.map(Value::Object), "{case}");
            }
            "extractTextFromResponsesPayload" => {
                let mut body = argument.clone();
                let ours: Vec<String> = texts(&mut body).into_iter().map(|(_, text)| text.clone()).collect();
                assert_eq!(ours.join(" "), result.as_str().unwrap(), "{case}");
            }
            "middleOutMessagesToFitLimit" | "responsesInputToMessages" => {
                let mut body = json!({ "messages": argument.get("input").unwrap_or(argument) });
                let ours: Vec<String> = texts(&mut body).into_iter().map(|(_, text)| text.clone()).collect();
                let theirs = result.as_array().unwrap();
                // Named difference: a message that alone is too long vanishes there, where here its two ends stay.
                let vanished = theirs.is_empty() && !ours.is_empty();
                assert!(
                    vanished || theirs.iter().all(|turn| ours.iter().any(|text| turn["content"] == **text)),
                    "{case}"
                );
            }
            // A chain's first model is meant; of what follows, and of headers that name a model, the way through the gateway
            // decides (`tests/e2e/token_limit.rs`).
            "getPrimaryModel" => {
                let first = argument.as_str().unwrap().split(',').next().unwrap().trim();
                assert_eq!(result, first, "{case}");
            }
            "resolvePrimaryModel" => {
                let first = argument["model"].as_str().unwrap().split(',').next().unwrap().trim();
                assert_eq!(result, first, "{case}");
            }
            "getModelTokenLimit" => {
                let book = tachograph_pricing::PriceBook::embedded();
                let provider = argument.as_str().unwrap().to_lowercase();
                let found = case["args"][1].as_str().and_then(|model| book.current().resolve(&provider, model));
                assert_eq!(found.and_then(|found| found.model.limits.context), result.as_u64(), "{case}");
            }
            // Of one model there is no other.
            "selectFallbackModel" => assert!(result.is_null() || argument.as_str().unwrap().contains(','), "{case}"),
            "extractModelCandidates" => assert_eq!(
                result,
                &json!(
                    argument
                        .as_str()
                        .map_or(vec![], |text| text.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>())
                ),
                "{case}"
            ),
            // Which API a body is of the path says, not the body.
            "isResponsesApiPayload" | "isChatCompletionsPayload" => {}
            other => panic!("nothing is known of {other}"),
        }
    }
}
