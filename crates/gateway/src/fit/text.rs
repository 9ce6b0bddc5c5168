//! The texts of a request's body, in whichever dialect, and how they are made shorter.

use serde_json::Value;

/// What stands where something was left out.
const GAP: &str = "…";

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the instructions, which middle-out keeps.
    System,
    /// In the conversation.
    Turn,
}

/// The texts of a body in their order. Pictures, tool definitions and what else is no text stay out.
pub(super) fn texts(body: &mut Value) -> Vec<(Place, &mut String)> {
    let mut found = Vec::new();
    for (name, value) in body.as_object_mut().into_iter().flatten() {
        match name.as_str() {
            "messages" | "input" | "contents" => turns(value, &mut found),
            "prompt" => collect(value, Place::Turn, &mut found),
            "system" | "instructions" | "systemInstruction" | "system_instruction" => {
                collect(value, Place::System, &mut found);
            }
            _ => {}
        }
    }
    // Instructions first, wherever their field stands.
    found.sort_by_key(|(place, _)| *place == Place::Turn);
    found
}

fn turns<'a>(value: &'a mut Value, found: &mut Vec<(Place, &'a mut String)>) {
    match value {
        Value::String(text) => found.push((Place::Turn, text)),
        Value::Array(turns) => {
            for turn in turns {
                let is_system = matches!(turn.get("role").and_then(Value::as_str), Some("system" | "developer"));
                collect(turn, if is_system { Place::System } else { Place::Turn }, found);
            }
        }
        _ => {}
    }
}

fn collect<'a>(value: &'a mut Value, place: Place, found: &mut Vec<(Place, &'a mut String)>) {
    match value {
        Value::String(text) => found.push((place, text)),
        Value::Array(parts) => parts.iter_mut().for_each(|part| collect(part, place, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                if matches!(name.as_str(), "content" | "parts" | "text" | "output") {
                    collect(value, place, found);
                }
            }
        }
        _ => {}
    }
}

/// A text without what says nothing: comments of HTML, runs of white space, spaces before points and commas.
pub(super) fn normalised(text: &str) -> String {
    let mut rest = text;
    let mut plain = String::with_capacity(text.len());
    while let Some((before, comment)) = rest.split_once("<!--") {
        plain.push_str(before);
        plain.push(' ');
        match comment.split_once("-->") {
            Some((_, after)) => rest = after,
            None => {
                // What does not end is no comment.
                plain.push_str("<!--");
                rest = comment;
            }
        }
    }
    plain.push_str(rest);
    let mut out = String::with_capacity(plain.len());
    for word in plain.split_whitespace() {
        let joins = word.starts_with(['.', ',', '!', '?', ';', ':']) && word.len() == 1;
        if !out.is_empty() && !joins {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// The beginning of a text, `keep` of its `of` parts, cut between words where one ends nearby.
pub(super) fn beginning(text: &str, keep: u64, of: u64) -> &str {
    let end = between_words(text, share(text, keep, of));
    text[..end].trim_end()
}

/// A text without its middle: of `of` parts, the first and the last of what is kept.
pub(super) fn ends(text: &str, first: u64, last: u64, of: u64) -> String {
    if first.saturating_add(last) >= of {
        return text.to_owned();
    }
    let head = beginning(text, first, of);
    let from = text.ceil_char_boundary(text.len() - share(text, last, of));
    // What is kept at the beginning does not stand at the end again.
    let from = between_words(text, from).max(head.len());
    format!("{head}{}{GAP}{}{}", space(head), space(&text[from..]), text[from..].trim_start())
}

fn space(beside: &str) -> &'static str {
    if beside.is_empty() { "" } else { " " }
}

/// So many bytes of a text, as nearly as characters let.
fn share(text: &str, keep: u64, of: u64) -> usize {
    let bytes = u128::from(keep) * (text.len() as u128) / u128::from(of.max(1));
    text.floor_char_boundary(usize::try_from(bytes).unwrap_or(usize::MAX).min(text.len()))
}

/// The end of a word at or a little before this place.
fn between_words(text: &str, at: usize) -> usize {
    const NEARBY: usize = 32;
    if at >= text.len() || text[at..].starts_with(char::is_whitespace) {
        return at;
    }
    let from = text.floor_char_boundary(at.saturating_sub(NEARBY));
    text[from..at].rfind(char::is_whitespace).map_or(at, |space| from + space)
}

/// Takes out messages that have nothing left to say, where nothing else depends on them.
pub(super) fn without_empty_turns(body: &mut Value) {
    for name in ["messages", "input", "contents"] {
        let Some(turns) = body.get_mut(name).and_then(Value::as_array_mut) else { continue };
        if turns.len() > 1 {
            turns.retain(|turn| !is_empty(turn));
        }
    }
}

fn is_empty(turn: &Value) -> bool {
    let says = ["content", "parts"].iter().find_map(|name| turn.get(*name));
    let is_plain = turn.get("tool_calls").is_none() && turn.get("tool_call_id").is_none();
    is_plain
        && match says {
            Some(Value::String(text)) => text.is_empty(),
            Some(Value::Array(parts)) => {
                let is_nothing = |part: &Value| part.get("text").and_then(Value::as_str) == Some("");
                !parts.is_empty() && parts.iter().all(is_nothing)
            }
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_found_in_every_dialect_and_pictures_are_not() {
        for (mut body, found) in [
            (
                json!({ "messages": [{ "role": "system", "content": "s" }, { "role": "user", "content": [{ "type": "text", "text": "a" }, { "type": "image_url", "image_url": { "url": "data:x" } }] }] }),
                vec!["s", "a"],
            ),
            (
                json!({ "messages": [{ "role": "user", "content": "a" }], "system": [{ "type": "text", "text": "s" }] }),
                vec!["s", "a"],
            ),
            (json!({ "input": "a", "instructions": "s" }), vec!["s", "a"]),
            (
                json!({ "input": [{ "role": "user", "content": [{ "type": "input_text", "text": "a" }] }, { "type": "function_call_output", "call_id": "c", "output": "b" }] }),
                vec!["a", "b"],
            ),
            (
                json!({ "contents": [{ "role": "user", "parts": [{ "text": "a" }, { "inlineData": { "data": "x" } }] }], "systemInstruction": { "parts": [{ "text": "s" }] } }),
                vec!["s", "a"],
            ),
            (json!({ "prompt": "a" }), vec!["a"]),
            (json!({ "messages": "?", "tools": [{ "text": "no" }] }), vec!["?"]),
            (json!([]), vec![]),
        ] {
            let texts: Vec<String> = texts(&mut body).into_iter().map(|(_, text)| text.clone()).collect();
            assert_eq!(texts, found, "{body}");
        }
    }

    #[test]
    fn what_says_nothing_goes() {
        for (text, plain) in [
            ("hello    world", "hello world"),
            ("Hello <!-- this is a comment --> world", "Hello world"),
            ("Hello ,  world .  How  are   you ?", "Hello, world. How are you?"),
            ("", ""),
            ("a <!-- open", "a <!-- open"),
            ("x <!----> y", "x y"),
        ] {
            assert_eq!(normalised(text), plain);
        }
    }

    #[test]
    fn cuts_stand_between_words() {
        assert_eq!(beginning("alpha beta gamma", 1, 2), "alpha");
        assert_eq!(ends("alpha beta gamma delta", 1, 1, 4), "alpha … delta");
        assert_eq!(ends("short", 1, 3, 4), "short");
        assert_eq!(ends("alpha beta", 0, 0, 4), "…");
    }

    proptest! {
        #[test]
        fn no_cut_breaks_a_character_or_makes_a_text_longer(text in "\\PC{0,200}", first in 0..9_u64, last in 0..9_u64) {
            let cut = ends(&text, first, last, 16);
            prop_assert!(cut.len() <= text.len() + " … ".len());
            prop_assert!(text.starts_with(beginning(&text, first, 16)));
            let _ = normalised(&text);
        }
    }
}
