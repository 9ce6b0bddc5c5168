//! Finding things in JSON text without building values from it.
//!
//! A gateway that passes a body on needs two or three of its top-level fields and must not disturb the others. So this
//! module walks the top level of an object and says *where* keys and values stand; editing a body is replacing a range.
//!
//! ```
//! use bytes::Bytes;
//! use tachograph_providers::json;
//!
//! let body = Bytes::from_static(br#"{"model":"fast","messages":[{"role":"user","content":"\"model\""}]}"#);
//! let model = json::last(&body, "model").unwrap();
//! assert_eq!(&body[model.clone()], br#""fast""#);
//! let edited = json::splice(&body, model, br#""gpt-4o""#);
//! assert!(edited.starts_with(br#"{"model":"gpt-4o","messages""#));
//! ```
//!
//! Nothing more is checked than what is needed to tell where values end, nothing recurses, and nothing panics on any
//! input: text that is no JSON yields fewer fields.

use std::borrow::Cow;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

/// Where a member of an object stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The key, without its quotes, as written (escapes and all).
    pub key: Range<usize>,
    /// The value, with the quotes of a string.
    pub value: Range<usize>,
}

impl Field {
    /// Whether the member has this name. Escapes in the key are undone, so that a key written as `"mod\u0065l"` is
    /// not overlooked here and seen by the provider.
    #[must_use]
    pub fn is(&self, text: &[u8], name: &str) -> bool {
        let key = &text[self.key.clone()];
        key == name.as_bytes()
            || (key.contains(&b'\\') && unescape(&text[self.key.start - 1..self.key.end + 1]) == name)
    }
}

/// The members of an object's top level, in order. See [`fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    text: &'a [u8],
    at: usize,
    started: bool,
    /// Where the object ended (just past its brace), once the walk got there.
    end: Option<usize>,
}

impl Fields<'_> {
    /// Where the object ended, just past its closing brace; `None` before the walk got there, or where it never does.
    #[must_use]
    pub fn end(&self) -> Option<usize> {
        self.end
    }

    fn step(&mut self) -> Option<Field> {
        let text = self.text;
        let mut at = skip_space(text, self.at);
        if self.started {
            match text.get(at)? {
                b',' => at = skip_space(text, at + 1),
                b'}' => {
                    self.end = Some(at + 1);
                    return None;
                }
                _ => return None,
            }
        } else {
            self.started = true;
            if text.get(at) == Some(&b'}') {
                self.end = Some(at + 1);
                return None;
            }
        }
        if text.get(at) != Some(&b'"') {
            return None;
        }
        let key_end = string_end(text, at)?;
        let colon = skip_space(text, key_end);
        if text.get(colon) != Some(&b':') {
            return None;
        }
        let start = skip_space(text, colon + 1);
        let end = value_end(text, start)?;
        self.at = end;
        Some(Field { key: at + 1..key_end - 1, value: start..end })
    }
}

impl Iterator for Fields<'_> {
    type Item = Field;

    fn next(&mut self) -> Option<Field> {
        if self.end.is_some() {
            return None;
        }
        let field = self.step();
        if field.is_none() {
            // The walk stays where it stopped: nothing comes after a fault.
            self.text = &self.text[..0];
        }
        field
    }
}

/// The members of the object that `text` is, up to its end or the first fault; `None` where it is no object.
#[must_use]
pub fn fields(text: &[u8]) -> Option<Fields<'_>> {
    let at = skip_space(text, 0);
    (text.get(at) == Some(&b'{')).then_some(Fields { text, at: at + 1, started: false, end: None })
}

/// The value of the last member of this name: where a key stands twice, parsers take the last.
#[must_use]
pub fn last(text: &[u8], name: &str) -> Option<Range<usize>> {
    fields(text)?.filter(|field| field.is(text, name)).last().map(|field| field.value)
}

/// Whether `text` is one whole object with nothing behind it.
#[must_use]
pub fn is_object(text: &[u8]) -> bool {
    let Some(mut fields) = fields(text) else { return false };
    while fields.next().is_some() {}
    fields.end().is_some_and(|end| skip_space(text, end) == text.len())
}

/// The elements of the array that `text` is, up to its end or the first fault.
pub fn elements(text: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let start = skip_space(text, 0);
    let mut at = (text.get(start) == Some(&b'[')).then_some(start + 1);
    std::iter::from_fn(move || {
        let mut from = skip_space(text, at?);
        if text.get(from) == Some(&b',') {
            from = skip_space(text, from + 1);
        }
        if matches!(text.get(from), None | Some(b']')) {
            at = None;
            return None;
        }
        at = value_end(text, from);
        at.map(|end| from..end)
    })
}

/// What the string token at `token` (with its quotes) says; other tokens are returned as they stand.
#[must_use]
pub fn string<'a>(token: &'a [u8]) -> Cow<'a, str> {
    match token {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => String::from_utf8_lossy(inner),
        [b'"', ..] => Cow::Owned(unescape(token)),
        _ => String::from_utf8_lossy(token),
    }
}

/// The string of the last member of this name, if it is a string and not empty.
#[must_use]
pub fn text_of<'a>(text: &'a [u8], name: &str) -> Option<Cow<'a, str>> {
    let token = &text[last(text, name)?];
    (token.first() == Some(&b'"') && token.len() > 2).then(|| string(token))
}

/// `body` with a range replaced.
#[must_use]
pub fn splice(body: &Bytes, span: Range<usize>, replacement: &[u8]) -> Bytes {
    let mut edited = BytesMut::with_capacity(body.len() - span.len() + replacement.len());
    edited.extend_from_slice(&body[..span.start]);
    edited.extend_from_slice(replacement);
    edited.extend_from_slice(&body[span.end..]);
    edited.freeze()
}

/// The object without its members of this name; as it was, where there are none or it is no object.
#[must_use]
pub fn without(body: &Bytes, name: &str) -> Bytes {
    let Some(found) = fields(body) else { return body.clone() };
    // From the member before's end to this one's; of the first, to the next one's beginning.
    let members: Vec<(bool, Range<usize>)> =
        found.map(|field| (field.is(body, name), field.key.start - 1..field.value.end)).collect();
    if !members.iter().any(|(named, _)| *named) {
        return body.clone();
    }
    let kept: Vec<&[u8]> = members.iter().filter(|(named, _)| !named).map(|(_, span)| &body[span.clone()]).collect();
    let mut out = Vec::with_capacity(body.len());
    out.push(b'{');
    out.extend_from_slice(&kept.join(&b','));
    out.push(b'}');
    out.into()
}

/// `body` with its member of this name set to a JSON text: replaced where it stands, else added at the end. `None`
/// where `body` is no whole object.
#[must_use]
pub fn set(body: &Bytes, name: &str, value: &[u8]) -> Option<Bytes> {
    if let Some(span) = last(body, name) {
        return Some(splice(body, span, value));
    }
    let mut walk = fields(body)?;
    let mut empty = true;
    while walk.next().is_some() {
        empty = false;
    }
    let brace = walk.end()? - 1;
    let comma = if empty { "" } else { "," };
    let member = [comma.as_bytes(), b"\"", name.as_bytes(), b"\":", value].concat();
    Some(splice(body, brace..brace, &member))
}

/// A text cut off anywhere, closed so that it parses: an unfinished string is closed, an unfinished key or scalar is
/// dropped, open brackets are shut. Whole texts come back as they are.
#[must_use]
pub fn mend(text: &[u8]) -> Cow<'_, [u8]> {
    let mut open: Vec<u8> = Vec::new();
    // The last place at which shutting the open brackets gives JSON, and how many were open there.
    let (mut safe, mut depth) = (0, 0);
    let mut after_colon = false;
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' => match string_end(text, at) {
                Some(end) => {
                    let is_key = open.last() == Some(&b'}') && !after_colon;
                    after_colon = false;
                    at = end;
                    if !is_key {
                        (safe, depth) = (at, open.len());
                    }
                    continue;
                }
                None if after_colon || open.last() == Some(&b']') => return Cow::Owned(close_string(text, at, &open)),
                None => break,
            },
            b'{' => {
                open.push(b'}');
                after_colon = false;
                (safe, depth) = (at + 1, open.len());
            }
            b'[' => {
                open.push(b']');
                after_colon = false;
                (safe, depth) = (at + 1, open.len());
            }
            b'}' | b']' => {
                open.pop();
                (safe, depth) = (at + 1, open.len());
            }
            b':' => after_colon = true,
            b',' | b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => {
                let end = scalar_end(text, at);
                if end == text.len() {
                    break;
                }
                after_colon = false;
                (safe, depth) = (end, open.len());
                at = end;
                continue;
            }
        }
        at += 1;
    }
    if open.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut mended = text[..safe].to_vec();
    mended.extend(open[..depth.min(open.len())].iter().rev());
    Cow::Owned(mended)
}

/// Closes the string that starts at `from` and never ends, and everything around it.
fn close_string(text: &[u8], from: usize, open: &[u8]) -> Vec<u8> {
    let tail = &text[from + 1..];
    let mut end = 0;
    while end < tail.len() {
        let step = match tail[end] {
            b'\\' if tail.get(end + 1) == Some(&b'u') => 6,
            b'\\' => 2,
            byte => utf8_len(byte),
        };
        if end + step > tail.len() {
            break;
        }
        end += step;
    }
    let mut closed = text[..from + 1 + end].to_vec();
    closed.push(b'"');
    closed.extend(open.iter().rev());
    closed
}

const fn utf8_len(first: u8) -> usize {
    match first {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    }
}

fn unescape(token: &[u8]) -> String {
    // A lone surrogate escape is legal JSON and no legal string: it stays as written.
    let inner = || String::from_utf8_lossy(&token[1..token.len().max(2) - 1]).into_owned();
    serde_json::from_slice(token).unwrap_or_else(|_| inner())
}

fn skip_space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Where the string that starts at `at` ends, just past its quote.
fn string_end(text: &[u8], at: usize) -> Option<usize> {
    let mut from = at + 1;
    loop {
        let found = from + memchr2(b'"', b'\\', text.get(from..)?)?;
        if text[found] == b'"' {
            return Some(found + 1);
        }
        from = found + 2;
    }
}

fn scalar_end(text: &[u8], at: usize) -> usize {
    let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n' | b':' | b'"');
    text[at..].iter().position(ends).map_or(text.len(), |length| at + length)
}

/// Where the value that starts at `at` ends. Brackets are counted, not matched by kind.
fn value_end(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => string_end(text, at),
        b'{' | b'[' => {
            let (mut depth, mut at) = (0_usize, at);
            loop {
                match text.get(at)? {
                    b'"' => {
                        at = string_end(text, at)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                }
                at += 1;
            }
        }
        b',' | b'}' | b']' | b':' => None,
        // A scalar that runs to the end of the text may be cut off; only a following byte proves that it is whole.
        _ => Some(scalar_end(text, at)).filter(|&end| end < text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(&str, &str)> {
        fields(text.as_bytes()).unwrap().map(|f| (&text[f.key], &text[f.value])).collect()
    }

    #[test]
    fn walks_the_top_level_only() {
        let text = r#" { "a" : {"b":[1,{"c":"}"}]} , "d\"e": "x\\" ,"n":-1.5e3, "t":true,"z":[]} "#;
        let want =
            [("a", r#"{"b":[1,{"c":"}"}]}"#), (r#"d\"e"#, r#""x\\""#), ("n", "-1.5e3"), ("t", "true"), ("z", "[]")];
        assert_eq!(pairs(text), want);
        assert!(is_object(text.as_bytes()));
    }

    #[test]
    fn says_no_to_what_is_no_whole_object() {
        for text in
            ["", "[]", "null", "{", r#"{"a""#, r#"{"a":"#, r#"{"a":1"#, r#"{"a":1,}"#, r#"{"a":1}x"#, r#"{"a":}"#, "{]"]
        {
            assert!(!is_object(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn the_last_of_two_and_an_escaped_key_are_found() {
        let text = br#"{"model":"a","mod\u0065l":"b"}"#;
        assert_eq!(&text[last(text, "model").unwrap()], br#""b""#);
    }

    #[test]
    fn sets_members_in_place_or_at_the_end() {
        let set = |body: &'static str, value: &str| set(&Bytes::from_static(body.as_bytes()), "m", value.as_bytes());
        assert_eq!(set(r#"{"m":1,"n":2}"#, "[3]").unwrap(), r#"{"m":[3],"n":2}"#);
        assert_eq!(set(r#"{"n":2 }"#, "3").unwrap(), r#"{"n":2 ,"m":3}"#);
        assert_eq!(set("{}", "3").unwrap(), r#"{"m":3}"#);
        assert_eq!(set("{", "3"), None);
    }

    #[test]
    fn elements_of_arrays() {
        let text = br#"[ {"a":1} , [2,3], "x]" ,4]"#;
        let found: Vec<_> = elements(text).map(|span| String::from_utf8_lossy(&text[span]).into_owned()).collect();
        assert_eq!(found, [r#"{"a":1}"#, "[2,3]", r#""x]""#, "4"]);
        assert_eq!(elements(b"[]").count() + elements(b"{}").count() + elements(b"[1").count(), 0);
    }

    #[test]
    fn a_text_cut_anywhere_is_mended() {
        let text = r#"{"a":[1,{"b":"gr\u00fc\"ße"}],"c":true,"d":null,"e":{"f":[[]]}}"#.as_bytes();
        for cut in 1..=text.len() {
            let mended = mend(&text[..cut]).into_owned();
            let value: Result<serde_json::Value, _> = serde_json::from_slice(&mended);
            assert!(value.is_ok(), "{cut}: {}", String::from_utf8_lossy(&mended));
        }
        assert_eq!(mend(text), text);
    }
}
