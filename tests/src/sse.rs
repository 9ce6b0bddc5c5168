//! Event streams, cut apart with no more knowledge than that a blank line ends an event.

use serde_json::Value;

/// The events with their line ends, every byte of the stream in exactly one of them.
#[must_use]
pub fn events(stream: &[u8]) -> Vec<&[u8]> {
    let mut events = Vec::new();
    let (mut start, mut at, mut line_is_empty) = (0, 0, true);
    while at < stream.len() {
        let line_end = match &stream[at..] {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => 0,
        };
        if line_end == 0 {
            line_is_empty = false;
            at += 1;
            continue;
        }
        at += line_end;
        if line_is_empty {
            events.push(&stream[start..at]);
            start = at;
        }
        line_is_empty = true;
    }
    if start < stream.len() {
        events.push(&stream[start..]);
    }
    events
}

/// An event's data as JSON; none where it has none, or other data such as `[DONE]`.
#[must_use]
pub fn data(event: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(event).ok()?;
    let lines: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|rest| rest.strip_prefix(' ').unwrap_or(rest))
        .collect();
    serde_json::from_str(&lines.join("\n")).ok()
}

/// What a client who did not ask for usage gets of a stream whose provider was asked for it: no usage-only chunk.
#[must_use]
pub fn without_usage_chunk(stream: &[u8]) -> Vec<u8> {
    let is_usage_only = |event: &&[u8]| {
        data(event)
            .is_some_and(|chunk| chunk["choices"].as_array().is_some_and(Vec::is_empty) && chunk["usage"].is_object())
    };
    events(stream).into_iter().filter(|event| !is_usage_only(event)).collect::<Vec<_>>().concat()
}
