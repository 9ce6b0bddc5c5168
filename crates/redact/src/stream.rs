//! Event streams, and JSON lines: a text grows over many events, and a rule must see it whole.

use std::collections::HashMap;

use serde_json::Value;

use crate::filter::Filter;
use crate::growth::Growth;
use crate::json;
use crate::rule::{PlaceRule, TextRule, clean, hits};

/// One line of the stream.
struct Line<'a> {
    /// What stands before the JSON (`data: `).
    before: &'a str,
    /// The rest, as it stands, without its end.
    text: &'a str,
    /// The line's end.
    end: &'a str,
    /// The JSON, where it is some.
    event: Option<Value>,
    changed: bool,
}

/// Where a text of an event stands.
struct Piece {
    line: usize,
    pointer: String,
    text: String,
}

/// Whether a body looks like an event stream or JSON lines.
pub(crate) fn is_stream(text: &[u8]) -> bool {
    let start = text.trim_ascii_start();
    let is_field = [&b"data:"[..], b"event:", b"id:", b"retry:", b":"].iter().any(|field| start.starts_with(field));
    if is_field || !start.starts_with(b"{") {
        return is_field;
    }
    let Some(end) = memchr::memchr(b'\n', start) else { return false };
    let mut lines = start[end..].split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    is_object(&start[..end]) && lines.find(|line| !line.is_empty()).is_some_and(is_object)
}

fn is_object(line: &[u8]) -> bool {
    line.starts_with(b"{") && line.trim_ascii_end().ends_with(b"}")
}

/// Whether a rule may find something in a stream: in what stands in it, or in a text as it grows over its events.
pub(crate) fn may_find(filter: &Filter, text: &str) -> bool {
    if filter.may_find_escaped(text.as_bytes()) {
        return true;
    }
    let mut growth = Growth::default();
    for line in text.split_inclusive('\n') {
        let (_, event, _) = parts(line);
        if is_event(event) && growth.push(event).is_none() {
            return true;
        }
    }
    growth.texts().any(|text| filter.may_find(text.as_bytes()))
}

/// What stands before the JSON of a line (`data: `), the rest without the line's end, and the end.
fn parts(line: &str) -> (&str, &str, &str) {
    let text = line.trim_end_matches(['\n', '\r']);
    let end = &line[text.len()..];
    let behind = text.strip_prefix("data:").map_or(0, |rest| text.len() - rest.trim_start().len());
    let (before, text) = text.split_at(behind);
    (before, text, end)
}

fn is_event(text: &str) -> bool {
    text.starts_with(['{', '['])
}

/// The stream without what the rules find; `None` where they find nothing.
pub(crate) fn cleaned(
    rules: &[TextRule],
    places: &[PlaceRule],
    text: &str,
    found: &mut impl FnMut(&str),
) -> Option<String> {
    let mut lines: Vec<Line<'_>> = text.split_inclusive('\n').map(Line::read).collect();
    for line in &mut lines {
        if let Some(event) = &mut line.event {
            for place in places {
                let count = json::replace(place, event);
                line.changed |= count > 0;
                (0..count).for_each(|_| found(&place.name));
            }
        }
    }
    grown(rules, &mut lines, found);
    let mut changed = false;
    let mut out = String::with_capacity(text.len());
    for line in &lines {
        let as_it_is = || [line.before, line.text, line.end].concat();
        let now = match &line.event {
            Some(event) if line.changed => format!("{}{event}{}", line.before, line.end),
            _ => as_it_is(),
        };
        // What is no text of an event: names of members, numbers, other fields of the stream.
        let looks = if line.event.is_some() {
            json::cleaned(rules, &now, 0, found)
        } else {
            Some(clean(rules, &now, found).into_owned())
        };
        let now = looks.unwrap_or(now);
        changed |= line.changed || now != as_it_is();
        out.push_str(&now);
    }
    changed.then_some(out)
}

impl<'a> Line<'a> {
    fn read(whole: &'a str) -> Self {
        let (before, text, end) = parts(whole);
        let event = is_event(text).then(|| serde_json::from_str(text).ok()).flatten();
        Self { before, text, end, event, changed: false }
    }
}

/// Members of an event that tell which of several texts it adds to.
pub(crate) const WHICH: [&str; 6] = ["type", "index", "output_index", "content_index", "summary_index", "item_id"];

/// Cleans every text as it grows over the events.
fn grown(rules: &[TextRule], lines: &mut [Line<'_>], found: &mut impl FnMut(&str)) {
    let mut texts: HashMap<String, Vec<Piece>> = HashMap::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(event) = &line.event else { continue };
        collect(event, &mut |key, pointer, text| {
            let piece = Piece { line: at, pointer, text: text.to_owned() };
            texts.entry(key.to_owned()).or_default().push(piece);
        });
    }
    for pieces in texts.into_values() {
        // The same in every event (an id, a model's name): no text that grows.
        if pieces.len() < 2 || pieces.iter().all(|piece| piece.text == pieces[0].text) {
            continue;
        }
        let whole: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
        let hits = hits(rules, &whole);
        if hits.is_empty() {
            continue;
        }
        hits.iter().for_each(|hit| found(hit.rule));
        let mut start = 0;
        for piece in &pieces {
            let end = start + piece.text.len();
            let mut new = String::new();
            let mut at = start;
            for hit in hits.iter().filter(|hit| hit.range.start < end && hit.range.end > start) {
                if hit.range.start >= start {
                    new.push_str(&whole[at..hit.range.start]);
                    // The piece in which it begins has what stands in its place; the others lose their part of it.
                    new.push_str(hit.replace);
                }
                at = hit.range.end.min(end);
            }
            new.push_str(&whole[at.max(start)..end]);
            start = end;
            let line = &mut lines[piece.line];
            if new != piece.text
                && let Some(place) = line.event.as_mut().and_then(|event| event.pointer_mut(&piece.pointer))
            {
                *place = Value::String(new);
                line.changed = true;
            }
        }
    }
}

/// The texts that the strings of an event belong to, in the order in which they stand there.
pub(crate) fn keys(event: &Value) -> Vec<String> {
    let mut keys = Vec::new();
    collect(event, &mut |key, _, _| keys.push(key.to_owned()));
    keys
}

/// Shows every string of an event: the key of the text that it adds to, where it stands, and itself.
fn collect(event: &Value, show: &mut impl FnMut(&str, String, &str)) {
    let which: String = WHICH.iter().filter_map(|name| Some(format!("{name}={}|", event.get(*name)?))).collect();
    collect_within(event, String::new(), &which, show);
}

/// Elements of a list are told apart by their `index`, where they have one.
fn collect_within(value: &Value, pointer: String, key: &str, show: &mut impl FnMut(&str, String, &str)) {
    match value {
        Value::String(text) => show(key, pointer, text),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                let index = item.get("index").map_or_else(|| at.to_string(), ToString::to_string);
                collect_within(item, format!("{pointer}/{at}"), &format!("{key}/{index}"), show);
            }
        }
        Value::Object(members) => {
            for (name, item) in members {
                let escaped = name.replace('~', "~0").replace('/', "~1");
                collect_within(item, format!("{pointer}/{escaped}"), &format!("{key}/{escaped}"), show);
            }
        }
        _ => {}
    }
}
