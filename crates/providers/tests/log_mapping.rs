//! Helicone's own tests of how a logged call is shown: every text that Helicone shows of a request or an answer is shown
//! here too, by the same role and in the same order, from the call as it was logged. Where ours differs on purpose, the case
//! stands in [`DIFFERENT`] with the reason, and has to differ.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking, in its helpers too")]

mod support;

use serde_json::Value;
use tachograph_providers::chat::{Block, Role};
use tachograph_providers::conversation;

/// What a mapper of Helicone's reads, by its name.
const APIS: &[(&str, &str)] = &[
    ("anthropicChatMapper.toInternal", "anthropic.messages"),
    ("mapAnthropicRequest", "anthropic.messages"),
    ("mapGeminiPro", "gemini.generateContent"),
    ("googleChatMapper.toInternal", "gemini.generateContent"),
    ("mapGeminiRequestV2", "gemini.generateContent"),
    ("mapOpenAIRequest", "openai.chat"),
    ("mapOpenAIResponse", "openai.responses"),
];

/// Mappers that show no conversation, and where what they show stands here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("anthropicChatMapper.toExternal", "from Helicone's own form to Anthropic's: that form does not exist here"),
    ("mapOpenAIAssistant", "runs of assistants hold no conversation; their document is shown as it stands"),
    ("getMapperType", "which mapper reads a call: here that is the record's API, by its path"),
    ("getRequestText", "a text of any value, for a preview"),
    ("getResponseText", "a text of any value, for a preview"),
    ("mapTool", "a tool's step is shown as it was logged"),
    ("mapVectorDB", "a look-up is shown as it was logged"),
    ("mapDalleRequest", "pictures: the console shows them from the document"),
    ("mapBlackForestLabsImage", "pictures: the console shows them from the document"),
    ("mapOpenAIEmbedding", "an embedding is shown from the document"),
];

/// The end of a case's name, and why ours is another.
const DIFFERENT: &[(&str, &str)] = &[
    ("streamed responses with undefined values", "the text holds the word four times, and a record is not edited"),
    ("stringified JSON content in message", "`choices` are no answer of Anthropic's API; the document is shown"),
    ("parse JSON string content in user messages", "a literal of Python inside a string is a text"),
    ("consolidated response with item.content structure", WRAPPED),
    ("complete function calling workflow", "a function call without `call_id` is refused by the Responses API itself"),
    ("preserve model information correctly", WRAPPED),
    ("in concatenatedMessages for Rendered view", WRAPPED),
];
const WRAPPED: &str = "an answer inside `item` is none of the Responses API; the document is shown";

#[derive(Debug, PartialEq)]
struct Shown {
    role: String,
    text: String,
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

fn of_blocks(role: &str, blocks: &[Block], all: &mut Vec<Shown>) {
    for block in blocks {
        let (role, text) = match block {
            Block::Text(text) | Block::Refusal(text) => (role, text.text.clone()),
            Block::ToolCall(call) => (role, call.name.clone()),
            Block::ToolResult(result) => {
                of_blocks("tool", &result.content, all);
                continue;
            }
            _ => continue,
        };
        all.push(Shown { role: role.to_owned(), text });
    }
}

fn ours(api: &str, request: &Value, response: &Value) -> Vec<Shown> {
    let bytes = |value: &Value| if value.is_null() { Vec::new() } else { value.to_string().into_bytes() };
    let read = conversation(api, false, &bytes(request), &bytes(response));
    let mut all = Vec::new();
    if let Some(request) = &read.request {
        if let Some(system) = &request.system {
            of_blocks("system", &system.blocks, &mut all);
        }
        for message in &request.messages {
            of_blocks(role(message.role), &message.content.blocks, &mut all);
        }
    }
    for choice in read.response.iter().flat_map(|response| &response.choices) {
        of_blocks("assistant", &choice.content, &mut all);
    }
    if let Some(error) = read.error {
        all.push(Shown { role: "error".to_owned(), text: error });
    }
    all
}

/// The texts of Helicone's messages, in their order.
fn theirs(messages: &Value, all: &mut Vec<Shown>) {
    for message in messages.as_array().into_iter().flatten() {
        let role = match message["role"].as_str().unwrap_or("user") {
            "model" => "assistant",
            "function" => "tool",
            "developer" => "system",
            other => other,
        };
        if message["contentArray"].is_array() {
            theirs(&message["contentArray"], all);
        } else if let Some(text) = message["content"].as_str().filter(|text| !text.trim().is_empty()) {
            all.push(Shown { role: role.to_owned(), text: text.to_owned() });
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            all.push(Shown { role: role.to_owned(), text: call["name"].as_str().unwrap_or_default().to_owned() });
        }
    }
}

/// The first of theirs that is not among ours, in order. A text of theirs may be several of ours put together.
fn missing<'a>(theirs: &'a [Shown], ours: &[Shown]) -> Option<&'a Shown> {
    let mut rest = ours.iter();
    theirs.iter().find(|wanted| {
        !rest.any(|held| held.role == wanted.role && !held.text.is_empty() && wanted.text.contains(held.text.trim()))
    })
}

#[test]
fn what_helicone_shows_of_a_logged_call_is_shown_here() {
    let Some(folder) = support::data("helicone-cases") else { return };
    let text = std::fs::read_to_string(folder.join("log_mapping.json")).unwrap();
    let cases: Value = serde_json::from_str(&text).unwrap();
    let (mut held, mut wrong, mut different) = (0, Vec::new(), Vec::new());
    for case in cases["cases"].as_array().unwrap() {
        let (name, mapper) = (case["test"].as_str().unwrap(), case["fn"].as_str().unwrap());
        let Some((_, api)) = APIS.iter().find(|(known, _)| *known == mapper) else {
            assert!(ELSEWHERE.iter().any(|(known, _)| *known == mapper), "nothing is said of {mapper}: {name}");
            continue;
        };
        let asked = &case["args"][0];
        let (request, response) = if asked.get("request").is_some() {
            (&asked["request"], &asked["response"])
        } else {
            (asked, &Value::Null)
        };
        let mut wanted = Vec::new();
        let result = &case["result"];
        if result["schema"].is_object() {
            theirs(&result["schema"]["request"]["messages"], &mut wanted);
            theirs(&result["schema"]["response"]["messages"], &mut wanted);
        } else {
            theirs(&result["messages"], &mut wanted);
        }
        let ours = ours(api, request, response);
        let fault =
            missing(&wanted, &ours).map(|fault| format!("{mapper} {name}: {fault:?} is not among {ours:#?}\n{asked}"));
        let excused = DIFFERENT.iter().find(|(end, _)| name.ends_with(end));
        match (fault, excused) {
            (None, None) => held += 1,
            (Some(_), Some((end, _))) => different.push(*end),
            (Some(fault), None) => wrong.push(fault),
            (None, Some((end, _))) => wrong.push(format!("{end} does not differ")),
        }
    }
    assert!(wrong.is_empty(), "{held} hold, {} do not:\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(held > 20, "{held}");
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), DIFFERENT.len(), "every difference is one");
}
