//! AWS event streams: binary frames with checksums, split incrementally, and written.
//!
//! A frame is a prelude (its length, its headers' length, their CRC32), headers, a payload and a CRC32 of all before.
//! Bytes may come cut anywhere. A frame whose checksum does not fit ends what can be read: nothing behind it is trusted.
//! The format is Amazon's `application/vnd.amazon.eventstream`; the frames themselves are read by its own library.

use std::borrow::Cow;
use std::fmt;

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder, write_message_to};
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::{Buf, BytesMut};
use serde_json::{Value, json};

use crate::sse::Event;

/// The longest frame that is waited for, in bytes; Amazon's own limit is 16 MiB of payload.
const LONGEST: usize = 24 << 20;
/// The name of an event that stands for an exception or an error of the stream.
pub(crate) const EXCEPTION: &[u8] = b"exception";

/// Splits a stream of frames into events.
#[derive(Default)]
pub(crate) struct Frames {
    decoder: MessageFrameDecoder,
    held: BytesMut,
    broken: bool,
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames").field("held", &self.held.len()).field("broken", &self.broken).finish()
    }
}

impl Frames {
    /// Takes the next bytes and tells each event that is whole: its type and its payload. An exception is told as an event
    /// of that name, with what it says as `{"error":{"type","message"}}`.
    pub(crate) fn push(&mut self, bytes: &[u8], mut found: impl FnMut(Event<'_>)) {
        if self.broken {
            return;
        }
        let mut fresh = bytes;
        if self.held.is_empty() {
            // Frames that came whole are read where they lie.
            while let Some(message) = self.next(&mut fresh) {
                tell(&message, &mut found);
            }
            self.held.extend_from_slice(fresh);
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(bytes);
            while let Some(message) = self.next(&mut held) {
                tell(&message, &mut found);
            }
            self.held = held;
        }
        self.broken |= self.held.len() > LONGEST;
        if self.broken {
            self.held.clear();
        }
    }

    fn next(&mut self, bytes: &mut impl Buf) -> Option<Message> {
        match self.decoder.decode_frame(bytes) {
            Ok(DecodedFrame::Complete(message)) => Some(message),
            Ok(DecodedFrame::Incomplete) => None,
            Err(_) => {
                self.broken = true;
                None
            }
        }
    }
}

fn tell(message: &Message, found: &mut impl FnMut(Event<'_>)) {
    let header = |name: &str| {
        let value = message.headers().iter().find(|header| header.name().as_str() == name)?.value();
        value.as_string().ok().map(|text| text.as_str())
    };
    let payload = &message.payload()[..];
    let (kind, said) = match header(":message-type") {
        Some("exception") => (header(":exception-type"), None),
        Some("error") => (header(":error-code"), header(":error-message")),
        _ => {
            let name = header(":event-type").unwrap_or_default();
            return found(Event { name: name.as_bytes(), data: Cow::Borrowed(payload) });
        }
    };
    let told = serde_json::from_slice::<Value>(payload).unwrap_or_default();
    let told = told.get("message").or_else(|| told.get("Message")).and_then(Value::as_str);
    let said = said.or(told).map_or_else(|| String::from_utf8_lossy(payload), Cow::Borrowed);
    let fault = json!({ "error": { "type": kind.unwrap_or("unknownException"), "message": said } }).to_string();
    found(Event { name: EXCEPTION, data: fault.into_bytes().into() });
}

/// Appends an event of this type.
pub(crate) fn write(name: &str, payload: &Value, out: &mut BytesMut) {
    let header = |name: &'static str, value: String| Header::new(name, HeaderValue::String(value.into()));
    let message = Message::new(payload.to_string().into_bytes())
        .add_header(header(":event-type", name.to_owned()))
        .add_header(header(":content-type", "application/json".to_owned()))
        .add_header(header(":message-type", "event".to_owned()));
    // It can only fail on a payload of more than 4 GiB.
    let _ = write_message_to(&message, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<(String, Value)> {
        let (mut frames, mut seen) = (Frames::default(), Vec::new());
        for piece in pieces {
            frames.push(piece, |event| {
                let name = String::from_utf8(event.name.to_vec()).unwrap();
                seen.push((name, serde_json::from_slice(&event.data).unwrap()));
            });
        }
        seen
    }

    fn two() -> BytesMut {
        let mut bytes = BytesMut::new();
        write("messageStart", &json!({"role": "assistant"}), &mut bytes);
        write("contentBlockDelta", &json!({"delta": {"text": "Grüße 🚚"}}), &mut bytes);
        bytes
    }

    #[test]
    fn frames_are_read_however_they_are_cut() {
        let bytes = two();
        let want = events(&[&bytes]);
        assert_eq!(want[1], ("contentBlockDelta".to_owned(), json!({"delta": {"text": "Grüße 🚚"}})));
        for at in 0..bytes.len() {
            assert_eq!(events(&[&bytes[..at], &bytes[at..]]), want, "cut at {at}");
        }
        assert_eq!(events(&bytes.chunks(1).collect::<Vec<_>>()), want);
    }

    #[test]
    fn nothing_behind_a_wrong_checksum_is_read() {
        let bytes = two();
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x40;
            assert!(events(&[&wrong]).len() < 2, "a changed byte at {at} went unnoticed");
        }
    }

    #[test]
    fn exceptions_and_errors_are_told_alike() {
        let header = |name: &'static str, value: &'static str| Header::new(name, HeaderValue::String(value.into()));
        let exception = Message::new(&br#"{"message":"Too many tokens"}"#[..])
            .add_header(header(":exception-type", "throttlingException"))
            .add_header(header(":message-type", "exception"));
        let error = Message::new(&b""[..])
            .add_header(header(":error-code", "InternalError"))
            .add_header(header(":error-message", "broken"))
            .add_header(header(":message-type", "error"));
        let mut bytes = BytesMut::new();
        write_message_to(&exception, &mut bytes).unwrap();
        write_message_to(&error, &mut bytes).unwrap();
        let told = |kind, said| ("exception".to_owned(), json!({"error": {"type": kind, "message": said}}));
        assert_eq!(
            events(&[&bytes]),
            [told("throttlingException", "Too many tokens"), told("InternalError", "broken")]
        );
    }
}
