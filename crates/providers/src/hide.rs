//! Asking for usage on a caller's behalf, and hiding that it was asked for.
//!
//! OpenAI's streams tell usage only to those who ask. A gateway that wants it for its record asks, and then takes out of
//! the stream what asking put in: one last chunk, and `"usage":null` in all others. What the client gets is, byte for
//! byte, what it would have got without the gateway.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use crate::json;
use crate::sse::{Boundaries, data_range};

const ASK: &[u8] = br#"{"include_usage":true}"#;

/// `body` with `stream_options.include_usage` set, by adding to the object it has or giving it one. `None` where it
/// already asks, or says something about it that cannot be added to: then nothing needs hiding either.
#[must_use]
pub fn ask_for_usage(body: &Bytes) -> Option<Bytes> {
    let Some(options) = json::last(body, "stream_options") else { return json::set(body, "stream_options", ASK) };
    let text = body.slice(options.clone());
    match &text[..] {
        b"null" => Some(json::splice(body, options, ASK)),
        [b'{', ..] => {
            let asked = json::last(&text, "include_usage").is_some_and(|value| &text[value] == b"true");
            let asking = if asked { None } else { json::set(&text, "include_usage", b"true") };
            asking.map(|asking| json::splice(body, options, &asking))
        }
        _ => None,
    }
}

/// Takes usage that the client did not ask for out of a stream.
///
/// Whole events are judged; only an incomplete last one is held back. An event whose `choices` is `[]` and whose `usage`
/// is an object is dropped, a member `"usage":null` is cut out with its comma, every other byte passes, and a piece of
/// which nothing is cut passes as the same [`Bytes`].
#[derive(Debug, Default)]
pub struct HideUsage {
    boundaries: Boundaries,
    /// The beginning of an event whose end has not come yet.
    held: BytesMut,
    /// Whether the last event was dropped.
    dropped: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Keep,
    Drop,
    Cut(Range<usize>),
}

impl HideUsage {
    /// Takes the next piece and gives out what the client may have of it.
    pub fn push(&mut self, piece: &Bytes, mut out: impl FnMut(Bytes)) {
        let mut start = 0;
        // Events of this piece that pass untouched are given out as one slice of it.
        let mut run = 0..0;
        let give = |run: &mut Range<usize>, out: &mut dyn FnMut(Bytes)| {
            if run.start < run.end {
                out(piece.slice(run.clone()));
            }
            *run = 0..0;
        };
        // The other half of a CRLF whose event was judged with the last piece: it goes the way of its event.
        if self.held.is_empty() && self.boundaries.after_cr() && piece.first() == Some(&b'\n') {
            self.boundaries.next(&piece[..1], 0);
            start = 1;
            run = if self.dropped { 0..0 } else { 0..1 };
        }
        while let Some(end) = self.boundaries.next(piece, start) {
            let event = if self.held.is_empty() {
                piece.slice(start..end)
            } else {
                self.held.extend_from_slice(&piece[start..end]);
                self.held.split().freeze()
            };
            let borrowed = event.len() == end - start;
            let verdict = judge(&event);
            self.dropped = verdict == Verdict::Drop;
            match verdict {
                Verdict::Keep if borrowed => {
                    if run.start == run.end {
                        run.start = start;
                    }
                    run.end = end;
                }
                verdict => {
                    give(&mut run, &mut out);
                    match verdict {
                        Verdict::Keep => out(event),
                        Verdict::Drop => {}
                        Verdict::Cut(range) => {
                            out(event.slice(..range.start));
                            out(event.slice(range.end..));
                        }
                    }
                }
            }
            start = end;
        }
        give(&mut run, &mut out);
        self.held.extend_from_slice(&piece[start..]);
    }

    /// No more pieces will come: gives out what was held back, judged as the last event.
    pub fn finish(&mut self, mut out: impl FnMut(Bytes)) {
        let event = self.held.split().freeze();
        match judge(&event) {
            Verdict::Drop => {}
            Verdict::Cut(range) => {
                out(event.slice(..range.start));
                out(event.slice(range.end..));
            }
            Verdict::Keep if event.is_empty() => {}
            Verdict::Keep => out(event),
        }
    }
}

fn judge(event: &[u8]) -> Verdict {
    if memmem::find(event, b"usage").is_none() {
        return Verdict::Keep;
    }
    let Some(datum) = data_range(event) else { return Verdict::Keep };
    let data = &event[datum.clone()];
    let Some(mut fields) = json::fields(data) else { return Verdict::Keep };
    let (mut usage, mut no_choices, mut before) = (None, false, None);
    for field in fields.by_ref() {
        if field.is(data, "choices") {
            no_choices = json::elements(&data[field.value.clone()]).next().is_none();
        } else if field.is(data, "usage") {
            usage = Some((field.clone(), before));
        }
        before = Some(field.value.end);
    }
    // An event that is not whole is not ours to judge.
    let (Some(_), Some((usage, before))) = (fields.end(), usage) else { return Verdict::Keep };
    match data.get(usage.value.start) {
        Some(b'{') if no_choices => Verdict::Drop,
        Some(b'n') => {
            // With the comma before it, or, as the first member, the one behind it and what space follows.
            let (start, end) = match before {
                Some(end_of_last) => (end_of_last, usage.value.end),
                None => (usage.key.start - 1, after_comma(data, usage.value.end)),
            };
            Verdict::Cut(datum.start + start..datum.start + end)
        }
        _ => Verdict::Keep,
    }
}

fn after_comma(data: &[u8], end: usize) -> usize {
    let is_space = |byte: &u8| byte.is_ascii_whitespace();
    let at = end + data[end..].iter().take_while(|byte| is_space(byte)).count();
    if data.get(at) != Some(&b',') {
        return end;
    }
    at + 1 + data[at + 1..].iter().take_while(|byte| is_space(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(pieces: &[&[u8]]) -> String {
        let mut bytes = Vec::new();
        let mut hide = HideUsage::default();
        for piece in pieces {
            hide.push(&Bytes::copy_from_slice(piece), |out| bytes.extend_from_slice(&out));
        }
        hide.finish(|out| bytes.extend_from_slice(&out));
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_asking_put_in_is_taken_out_at_every_split() {
        let stream = concat!(
            ": \"usage\":null\r\n\r\n",
            "data: {\"id\":\"1\",\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\":null\"}}],\"usage\":null}\r\n\r\n",
            "data: {\"usage\": null, \"choices\": [{\"usage\":null}]}\n\n",
            "data: {\"choices\":[],\"prompt_filter_results\":[]}\r\r",
            "data: {\"choices\":[{}],\"usage\":{\"prompt_tokens\":1}}\n\n",
            "data: {\"choices\":[ ],\"usage\":{\"prompt_tokens\":1}}\r\n\r\n",
            "data: [DONE]\n\n",
        );
        let want = concat!(
            ": \"usage\":null\r\n\r\n",
            "data: {\"id\":\"1\",\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\":null\"}}]}\r\n\r\n",
            "data: {\"choices\": [{\"usage\":null}]}\n\n",
            "data: {\"choices\":[],\"prompt_filter_results\":[]}\r\r",
            "data: {\"choices\":[{}],\"usage\":{\"prompt_tokens\":1}}\n\n",
            "data: [DONE]\n\n",
        );
        let bytes = stream.as_bytes();
        for at in 0..=bytes.len() {
            assert_eq!(hidden(&[&bytes[..at], &bytes[at..]]), want, "split at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(hidden(&single), want);
    }

    #[test]
    fn an_untouched_piece_passes_as_itself() {
        let piece = Bytes::from_static(b"data: {\"choices\":[{}]}\n\ndata: {\"choices\":[{}]}\n\n");
        let mut out = Vec::new();
        HideUsage::default().push(&piece, |bytes| out.push(bytes));
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].as_ptr(), piece.as_ptr());
    }

    #[test]
    fn a_stream_cut_in_an_event_passes_as_it_is() {
        assert_eq!(
            hidden(&[b"data: {\"choices\":[],\"usage\":{\"a\":1}"]),
            "data: {\"choices\":[],\"usage\":{\"a\":1}"
        );
    }

    #[test]
    fn asking() {
        let ask = |body: &'static str| ask_for_usage(&Bytes::from_static(body.as_bytes()));
        assert_eq!(ask(r#"{"stream":true}"#).unwrap(), r#"{"stream":true,"stream_options":{"include_usage":true}}"#);
        assert_eq!(ask(r#"{"stream_options":null}"#).unwrap(), r#"{"stream_options":{"include_usage":true}}"#);
        assert_eq!(
            ask(r#"{"stream_options":{"a":1},"b":2}"#).unwrap(),
            r#"{"stream_options":{"a":1,"include_usage":true},"b":2}"#
        );
        assert_eq!(
            ask(r#"{"stream_options":{"include_usage":false}}"#).unwrap(),
            r#"{"stream_options":{"include_usage":true}}"#
        );
        assert_eq!(ask(r#"{"stream_options":{"include_usage":true}}"#), None);
        assert_eq!(ask(r#"{"stream_options":3}"#), None);
        assert_eq!(ask("[]"), None);
    }
}
