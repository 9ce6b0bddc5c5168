//! Streams as clients tell of them afterwards: not as the event stream that came, but as a list of its chunks.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The event stream that a told body stands for, where it is one: JSON objects one a line, or one object whose
/// `streamed_data` lists the chunks. `None` for everything else: a document, or an event stream as it is.
#[must_use]
pub fn as_event_stream(body: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(body).ok()?.trim();
    if !text.starts_with('{') {
        return None;
    }
    listed(text).or_else(|| lines(text))
}

fn lines(text: &str) -> Option<Vec<u8>> {
    let mut events = Vec::new();
    let mut count = 0;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if !line.starts_with('{') {
            return None;
        }
        push(&mut events, line)?;
        count += 1;
    }
    (count > 1).then_some(events)
}

fn listed(text: &str) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Streamed<'a> {
        #[serde(borrow)]
        streamed_data: Vec<&'a RawValue>,
    }
    // The name is looked for first: nearly no body has it, and to parse them all is dear.
    if !text.contains("\"streamed_data\"") {
        return None;
    }
    let streamed: Streamed<'_> = serde_json::from_str(text).ok()?;
    let mut events = Vec::new();
    for chunk in streamed.streamed_data {
        match serde_json::from_str::<String>(chunk.get()) {
            // A chunk as it came: one event or several.
            Ok(raw) if raw.starts_with("data:") || raw.starts_with("event:") => {
                events.extend_from_slice(raw.trim_end().as_bytes());
                events.extend_from_slice(b"\n\n");
            }
            Ok(raw) => push(&mut events, raw.trim())?,
            Err(_) => push(&mut events, chunk.get())?,
        }
    }
    (!events.is_empty()).then_some(events)
}

/// Adds one chunk. `None` where it is no object.
fn push(events: &mut Vec<u8>, chunk: &str) -> Option<()> {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(borrow, default, rename = "type")]
        kind: Option<&'a RawValue>,
    }
    let typed: Typed<'_> = serde_json::from_str(chunk).ok()?;
    // Dialects whose events have names repeat them as their type.
    if let Some(kind) = typed.kind.and_then(|kind| serde_json::from_str::<String>(kind.get()).ok())
        && !kind.contains(['\n', '\r'])
    {
        events.extend_from_slice(format!("event: {kind}\n").as_bytes());
    }
    events.extend_from_slice(b"data: ");
    // A chunk printed over several lines stays one event.
    events.extend(chunk.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    events.extend_from_slice(b"\n\n");
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> Option<String> {
        as_event_stream(body.as_bytes()).map(|events| String::from_utf8(events).unwrap())
    }

    #[test]
    fn chunks_become_events() {
        let want = "data: {\"a\":1}\n\nevent: x\ndata: {\"type\":\"x\"}\n\n";
        assert_eq!(told("{\"a\":1}\n\n{\"type\":\"x\"}\n").as_deref(), Some(want));
        assert_eq!(told("{\"streamed_data\":[{\"a\":1},{\"type\":\"x\"}]}").as_deref(), Some(want));
        assert_eq!(told(r#"{"streamed_data":["data: {\"a\":1}\n\n"]}"#).as_deref(), Some("data: {\"a\":1}\n\n"));
        assert_eq!(told("{\"streamed_data\":[{\n\"a\":1}]}").as_deref(), Some("data: { \"a\":1}\n\n"));
    }

    #[test]
    fn all_else_stays_what_it_is() {
        for body in
            ["", "{}", "{\n  \"a\": 1\n}", "data: {\"a\":1}\n\n", "[{}]", "{\"a\":1}\nline", "{\"streamed_data\":[1]}"]
        {
            assert_eq!(told(body), None, "{body}");
        }
    }
}
