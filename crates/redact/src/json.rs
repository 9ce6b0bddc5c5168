//! JSON as it stands, token by token: so that a body cut off in the middle is cleaned like a whole one, and whatever no rule
//! touches stays byte for byte.

use serde_json::Value;

use crate::rule::{PlaceRule, Step, TextRule, clean};

/// How often a text that is JSON itself (a tool call's arguments) is looked into.
const DEEPEST: usize = 4;

/// The text without what the rules find in its strings, members' names and numbers; `None` where they find nothing.
pub(crate) fn cleaned(rules: &[TextRule], text: &str, depth: usize, found: &mut impl FnMut(&str)) -> Option<String> {
    let (bytes, mut at, mut out, mut changed) = (text.as_bytes(), 0, String::new(), false);
    while at < bytes.len() {
        let begin = memchr::memchr(b'"', &bytes[at..]).map_or(bytes.len(), |quote| at + quote);
        changed |= outside(rules, &text[at..begin], &mut out, found);
        if begin == bytes.len() {
            break;
        }
        let (end, closed) = string_end(bytes, begin + 1);
        let raw = &text[begin + 1..end];
        match string(rules, raw, depth, found) {
            Some(new) => {
                changed = true;
                out.push_str(&new);
            }
            None => {
                out.push('"');
                out.push_str(raw);
                if closed {
                    out.push('"');
                }
            }
        }
        at = end + usize::from(closed);
    }
    changed.then_some(out)
}

/// The end of a string's inside, and whether a quote closes it.
pub(crate) fn string_end(bytes: &[u8], mut at: usize) -> (usize, bool) {
    while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[at.min(bytes.len())..]) {
        at += found;
        if bytes[at] == b'"' {
            return (at, true);
        }
        at += 2;
    }
    (bytes.len(), false)
}

/// A string's inside, as it stands; with quotes again where something was found.
fn string(rules: &[TextRule], raw: &str, depth: usize, found: &mut impl FnMut(&str)) -> Option<String> {
    let plain: String = if raw.contains('\\') { unescape(raw) } else { raw.to_owned() };
    let inner = plain.trim_start().starts_with(['{', '[']) && depth < DEEPEST;
    let new = match inner.then(|| cleaned(rules, &plain, depth + 1, found)).flatten() {
        Some(new) => clean(rules, &new, found).into_owned(),
        None => match clean(rules, &plain, found) {
            std::borrow::Cow::Borrowed(_) => return None,
            std::borrow::Cow::Owned(new) => new,
        },
    };
    Some(Value::String(new).to_string())
}

/// A string's inside without its escapes; one that is cut off or none of JSON's stays as it is.
fn unescape(raw: &str) -> String {
    if let Ok(plain) = serde_json::from_str(&format!("\"{raw}\"")) {
        return plain;
    }
    // Cut off inside an escape, most likely: what stands before it can be read.
    for cut in 1..=12 {
        let Some(end) = raw.len().checked_sub(cut).filter(|end| raw.is_char_boundary(*end)) else { continue };
        if let Ok(plain) = serde_json::from_str::<String>(&format!("\"{}\"", &raw[..end])) {
            return plain;
        }
    }
    raw.to_owned()
}

/// What stands between strings: numbers and words. What is found there becomes a string.
fn outside(rules: &[TextRule], text: &str, out: &mut String, found: &mut impl FnMut(&str)) -> bool {
    let is_part = |c: char| !matches!(c, '{' | '}' | '[' | ']' | ',' | ':' | ' ' | '\n' | '\r' | '\t');
    let (mut changed, mut rest) = (false, text);
    while let Some(begin) = rest.find(is_part) {
        let len = rest[begin..].find(|c| !is_part(c)).unwrap_or(rest.len() - begin);
        let word = &rest[begin..begin + len];
        out.push_str(&rest[..begin]);
        match clean(rules, word, found) {
            std::borrow::Cow::Borrowed(same) => out.push_str(same),
            std::borrow::Cow::Owned(new) => {
                changed = true;
                out.push_str(&Value::String(new).to_string());
            }
        }
        rest = &rest[begin + len..];
    }
    out.push_str(rest);
    changed
}

/// Puts the rule's text in the place of every value that stands where it says. Returns how many.
pub(crate) fn replace(rule: &PlaceRule, value: &mut Value) -> usize {
    at(&rule.path, value, &rule.replace)
}

fn at(path: &[Step], value: &mut Value, new: &str) -> usize {
    let Some((step, rest)) = path.split_first() else {
        *value = Value::String(new.to_owned());
        return 1;
    };
    match (step, value) {
        (Step::Levels, value) => {
            let mut count = at(rest, value, new);
            for inner in children(value) {
                count += at(path, inner, new);
            }
            count
        }
        (Step::Any, value) => children(value).into_iter().map(|inner| at(rest, inner, new)).sum(),
        (Step::Name(name), Value::Object(members)) => members.get_mut(name).map_or(0, |inner| at(rest, inner, new)),
        (Step::Name(name), Value::Array(items)) => {
            let index = name.parse::<usize>().ok();
            index.and_then(|index| items.get_mut(index)).map_or(0, |inner| at(rest, inner, new))
        }
        _ => 0,
    }
}

fn children(value: &mut Value) -> Vec<&mut Value> {
    match value {
        Value::Object(members) => members.values_mut().collect(),
        Value::Array(items) => items.iter_mut().collect(),
        _ => Vec::new(),
    }
}
