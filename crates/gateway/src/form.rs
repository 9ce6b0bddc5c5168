//! A form's small fields, found as its bytes pass: between its delimiters (RFC 2046 §5.1.1, RFC 7578), never inside a file.

use std::ops::Range;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use memchr::memmem;

/// A part's headers are looked at up to this length, and its value too, in bytes: what is longer is a file's.
const LONGEST: usize = 4 << 10;

/// Reads a form piece by piece.
pub(crate) struct Form {
    /// `--` and the boundary.
    delimiter: Vec<u8>,
    state: State,
    /// What is not yet decided upon.
    buffer: Vec<u8>,
    /// Where the buffer begins in the body.
    offset: u64,
}

enum State {
    /// Looking for a delimiter.
    Between,
    /// In a part's headers.
    Head,
    /// In the value of a field of this name.
    Value(String),
}

/// A field that is no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// Its name.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: Vec<u8>,
    /// Where the value stands in the body.
    pub(crate) at: Range<u64>,
}

impl Form {
    /// A reader of a body with these headers, if it is a form.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let (kind, parameters) = text.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let boundary = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
        })?;
        let delimiter = [b"--", boundary.as_bytes()].concat();
        (!boundary.is_empty()).then_some(Self { delimiter, state: State::Between, buffer: Vec::new(), offset: 0 })
    }

    /// Reads the next piece; `found` is given the fields that end in it.
    pub(crate) fn push(&mut self, piece: &[u8], mut found: impl FnMut(Field)) {
        self.buffer.extend_from_slice(piece);
        while self.step(&mut found) {}
    }

    /// One step; whether there may be another with what is there.
    fn step(&mut self, found: &mut impl FnMut(Field)) -> bool {
        match std::mem::replace(&mut self.state, State::Between) {
            State::Between => {
                let Some(at) = memmem::find(&self.buffer, &self.delimiter) else {
                    // A delimiter may have begun.
                    self.skip(self.buffer.len().saturating_sub(self.delimiter.len() - 1));
                    return false;
                };
                self.skip(at + self.delimiter.len());
                self.state = State::Head;
                true
            }
            State::Head => match memmem::find(&self.buffer, b"\r\n\r\n") {
                Some(end) => {
                    let name = (end <= LONGEST).then(|| name_of(&self.buffer[..end])).flatten();
                    self.skip(end + 4);
                    self.state = name.map_or(State::Between, State::Value);
                    true
                }
                None => self.wait_in(State::Head),
            },
            State::Value(name) => {
                let end = [b"\r\n", &self.delimiter[..]].concat();
                match memmem::find(&self.buffer, &end) {
                    Some(end) => {
                        let value = self.buffer[..end].to_vec();
                        found(Field { name, value, at: self.offset..self.offset + end as u64 });
                        self.skip(end);
                        true
                    }
                    None => self.wait_in(State::Value(name)),
                }
            }
        }
    }

    /// More is needed, unless there is too much already.
    fn wait_in(&mut self, state: State) -> bool {
        if self.buffer.len() > LONGEST {
            return true;
        }
        self.state = state;
        false
    }

    fn skip(&mut self, bytes: usize) {
        self.buffer.drain(..bytes);
        self.offset += bytes as u64;
    }
}

/// The name of a part that is no file.
fn name_of(head: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(head).ok()?;
    let disposition = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let parameter = |wanted: &str| {
        disposition.split(';').skip(1).find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    if parameter("filename").is_some() || parameter("filename*").is_some() { None } else { parameter("name") }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const BODY: &[u8] = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n\
        RIFF\r\nform-data; name=\"model\"\r\n\r\nnot-this\r\n--\r\n--b\r\ncontent-disposition: form-data; name=model\r\n\r\nwhisper-1\r\n\
        --b\r\nContent-Type: text/plain\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\n\r\n--b--\r\n";

    fn form() -> Form {
        let value = HeaderValue::from_static("multipart/form-data; charset=utf-8; boundary=\"b\"");
        Form::of(&[(CONTENT_TYPE, value)].into_iter().collect()).unwrap()
    }

    fn fields(pieces: &[&[u8]]) -> Vec<(String, Vec<u8>, Range<u64>)> {
        let (mut form, mut fields) = (form(), Vec::new());
        for piece in pieces {
            form.push(piece, |field| fields.push((field.name, field.value, field.at)));
        }
        fields
    }

    #[test]
    fn fields_are_found_behind_a_file_and_not_in_it() {
        let found = fields(&[BODY]);
        let names: Vec<_> = found.iter().map(|(name, value, _)| (name.as_str(), &value[..])).collect();
        assert_eq!(names, [("model", &b"whisper-1"[..]), ("stream", b"")]);
        let at = found[0].2.clone();
        assert_eq!(&BODY[at.start as usize..at.end as usize], b"whisper-1");
        assert!(Form::of(&HeaderMap::new()).is_none());
    }

    #[test]
    fn what_is_longer_than_any_field_is_passed_over_and_not_kept() {
        let mut form = form();
        let mut found = 0;
        for piece in
            [&b"--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\n"[..], &[b'x'; 100_000], &[b'y'; 100_000]]
        {
            form.push(piece, |_| found += 1);
            assert!(form.buffer.len() <= LONGEST);
        }
        form.push(b"\r\n--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b--", |_| found += 1);
        assert_eq!(found, 1);
    }

    #[test]
    fn cuts_change_nothing() {
        let whole = fields(&[BODY]);
        for first in 0..BODY.len() {
            for second in (first..BODY.len()).step_by(7) {
                assert_eq!(fields(&[&BODY[..first], &BODY[first..second], &BODY[second..]]), whole, "{first} {second}");
            }
        }
        assert_eq!(fields(&BODY.chunks(1).collect::<Vec<_>>()), whole);
    }
}
