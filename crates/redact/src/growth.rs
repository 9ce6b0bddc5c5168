//! The texts of a stream as they grow over its events, put together without reading every event whole.
//!
//! Events of one stream are alike: the same members in the same order, and other texts in them. So an event is looked at
//! token by token, and of all events of one *shape* (what stands outside the texts, without the digits, and the members
//! that tell which of several texts an event adds to) only the first is read, to learn which text each of its strings
//! belongs to.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hasher};

use serde_json::Value;

use crate::json;
use crate::stream::{WHICH, keys};

/// Puts the texts of a stream together. What it cannot follow it says, and then every event must be read.
#[derive(Default)]
pub(crate) struct Growth {
    /// The text that each string of an event of this shape belongs to; nothing where it is no event.
    shapes: HashMap<u64, Option<Vec<usize>>, BuildHasherDefault<DefaultHasher>>,
    numbers: HashMap<String, usize>,
    texts: Vec<Text>,
}

/// One text, as it has grown so far.
#[derive(Default)]
struct Text {
    pieces: usize,
    first: String,
    /// All of it; empty while every piece is the same, which is no text that grows.
    whole: String,
}

/// An event, token by token.
struct Tokens<'a> {
    shape: u64,
    /// The insides of its strings that are values, as they stand.
    strings: Vec<&'a str>,
}

impl Growth {
    /// Takes the JSON of an event. `None` where it cannot be followed.
    pub(crate) fn push(&mut self, event: &str) -> Option<()> {
        let tokens = Tokens::read(event)?;
        let Self { shapes, numbers, texts } = self;
        let places = shapes.entry(tokens.shape).or_insert_with(|| {
            let value: Value = serde_json::from_str(event).ok()?;
            let number = |key: String| {
                let next = numbers.len();
                *numbers.entry(key).or_insert(next)
            };
            Some(keys(&value).into_iter().map(number).collect())
        });
        texts.resize_with(numbers.len(), Text::default);
        let Some(places) = places else { return Some(()) };
        if places.len() != tokens.strings.len() {
            return None;
        }
        for (&place, raw) in places.iter().zip(tokens.strings) {
            if raw.contains('\\') {
                texts[place].push(&serde_json::from_str::<String>(&format!("\"{raw}\"")).ok()?);
            } else {
                texts[place].push(raw);
            }
        }
        Some(())
    }

    /// The texts that grew.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|text| text.whole.as_str()).filter(|whole| !whole.is_empty())
    }
}

impl Text {
    fn push(&mut self, piece: &str) {
        if self.pieces == 0 {
            piece.clone_into(&mut self.first);
        } else if self.whole.is_empty() && self.first != piece {
            self.whole = self.first.repeat(self.pieces);
        }
        if self.pieces > 0 && (!self.whole.is_empty() || self.first != piece) {
            self.whole.push_str(piece);
        }
        self.pieces += 1;
    }
}

impl<'a> Tokens<'a> {
    fn read(event: &'a str) -> Option<Self> {
        let bytes = event.as_bytes();
        let mut hasher = BuildHasherDefault::<DefaultHasher>::default().build_hasher();
        let (mut at, mut tells_which, mut strings) = (0, false, Vec::new());
        loop {
            let quote = memchr::memchr(b'"', &bytes[at..]).map_or(bytes.len(), |found| at + found);
            let outside = &bytes[at..quote];
            if tells_which {
                let value = outside.trim_ascii_start().strip_prefix(b":").unwrap_or(outside).trim_ascii_start();
                // Of a list or an object that tells which, all would have to be looked at.
                if matches!(value.first(), Some(b'{' | b'[')) {
                    return None;
                }
                hasher.write(outside);
            } else {
                write_shape(outside, &mut hasher)?;
            }
            if quote == bytes.len() {
                return Some(Self { shape: hasher.finish(), strings });
            }
            let (end, closed) = json::string_end(bytes, quote + 1);
            let inside = &event[quote + 1..end];
            if !closed || inside.bytes().any(|byte| byte < b' ') {
                return None;
            }
            at = end + 1;
            let is_name = bytes[at..].trim_ascii_start().first() == Some(&b':');
            if is_name {
                if inside.contains('\\') {
                    return None;
                }
                hasher.write(inside.as_bytes());
                hasher.write_u8(1);
                tells_which = WHICH.contains(&inside);
            } else {
                if tells_which {
                    hasher.write(inside.as_bytes());
                }
                hasher.write_u8(0);
                strings.push(inside);
                tells_which = false;
            }
        }
    }
}

/// Writes what stands between strings, a mark for each run of digits. `None` where a number is of a kind that JSON's readers
/// may refuse: then it depends on its digits whether this is an event.
fn write_shape(outside: &[u8], hasher: &mut impl Hasher) -> Option<()> {
    const LONGEST: usize = 17;
    let mut rest = outside;
    while let Some(start) = rest.iter().position(u8::is_ascii_digit) {
        let len = rest[start..].iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len() - start);
        let (run, behind) = rest[start..].split_at(len);
        if len > LONGEST || matches!(behind.first(), Some(b'e' | b'E')) {
            return None;
        }
        hasher.write(&rest[..start]);
        hasher.write_u8(if len > 1 && run[0] == b'0' { b'0' } else { b'#' });
        rest = behind;
    }
    hasher.write(rest);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(events: &[&str]) -> Option<Vec<String>> {
        let mut growth = Growth::default();
        events.iter().try_for_each(|event| growth.push(event))?;
        Some(growth.texts().map(str::to_owned).collect())
    }

    #[test]
    fn texts_are_put_together_over_events_of_several_shapes() {
        let events = [
            r#"{"id":"x","n":1,"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
            r#"{"id":"x","n":2,"choices":[{"index":0,"delta":{"content":"sk-\n"}}]}"#,
            r#"{"id":"x","n":3,"choices":[{"index":1,"delta":{"content":"other"}}]}"#,
            r#"{"id":"x","n":44,"choices":[{"index":0,"delta":{"content":"abc"}}]}"#,
            r#"{"id":"x","n":5,"choices":[{"index":0,"delta":{"content":"abc"},"finish_reason":"stop"}]}"#,
        ];
        assert_eq!(grown(&events).unwrap(), ["sk-\nabcabc"], "what is the same everywhere does not grow");
    }

    #[test]
    fn what_cannot_be_followed_is_told() {
        for event in [
            r#"{"a":"not closed"#,
            r#"{"type":{"x":1},"a":"b"}"#,
            r#"{"\u0069ndex":0,"a":"b"}"#,
            r#"{"a":1e999,"b":"c"}"#,
            r#"{"a":"b","a":"c"}"#,
            "{\"a\":\"\u{1}\"}",
        ] {
            assert!(grown(&[event]).is_none(), "{event}");
        }
        assert!(grown(&[r#"{"a":}"#, "[DONE]"]).unwrap().is_empty(), "no event has no texts");
    }
}
