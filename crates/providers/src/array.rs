//! The elements of a JSON array that arrives in arbitrary pieces: Gemini's way to stream without server-sent events.
//!
//! ```
//! use tachograph_providers::array::Elements;
//!
//! let mut seen = Vec::new();
//! let mut elements = Elements::default();
//! for piece in ["[{\"a\":\"]", "}\"}\n,", "{}", "]"] {
//!     elements.push(piece.as_bytes(), |element| seen.push(element.to_vec()));
//! }
//! assert_eq!(seen, [&b"{\"a\":\"]}\"}"[..], b"{}"]);
//! ```

/// The greatest size of an element in bytes: pictures come as single elements of some megabytes.
const MAX_ELEMENT: usize = crate::sse::MAX_EVENT;

/// Cuts an array of objects into its elements. What stands between them is not looked at; an element that is too large
/// is skipped.
#[derive(Clone, Debug, Default)]
pub struct Elements {
    /// The beginning of an element whose end has not come yet.
    held: Vec<u8>,
    depth: usize,
    in_string: bool,
    escaped: bool,
    skipping: bool,
}

impl Elements {
    /// Takes the next bytes and hands over every element that is now whole.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
        // Where in `bytes` the element under way began, or goes on.
        let mut start = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            if self.depth == 0 {
                if byte == b'{' {
                    self.depth = 1;
                    start = at;
                }
                continue;
            }
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth -= 1,
                _ => {}
            }
            if self.depth > 0 {
                continue;
            }
            if self.skipping {
                self.skipping = false;
            } else if self.held.is_empty() {
                each(&bytes[start..=at]);
            } else {
                self.held.extend_from_slice(&bytes[start..=at]);
                each(&self.held);
            }
            self.held.clear();
        }
        if self.depth > 0 {
            let rest = &bytes[start..];
            if self.skipping || self.held.len() + rest.len() > MAX_ELEMENT {
                self.skipping = true;
                self.held = Vec::new();
            } else {
                self.held.extend_from_slice(rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_do_not_depend_on_where_bytes_are_cut() {
        let text = "[ {\"a\":[{\"b\":\"\\\"}\\\\\"}]}\r\n,\r\n{\"ü\":\"[{\"},{}\n]".as_bytes();
        let read = |pieces: &[&[u8]]| {
            let (mut seen, mut elements) = (Vec::new(), Elements::default());
            pieces.iter().for_each(|piece| elements.push(piece, |element| seen.push(element.to_vec())));
            seen
        };
        let want = read(&[text]);
        assert_eq!(want.len(), 3);
        for first in 0..=text.len() {
            for second in first..=text.len() {
                assert_eq!(read(&[&text[..first], &text[first..second], &text[second..]]), want);
            }
        }
    }
}
