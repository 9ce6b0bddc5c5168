//! A recorded call as a conversation, for people to read.

use serde::Serialize;

use crate::api::{Api, Kind};
use crate::chat::{Assembler, ChatRequest, ChatResponse};
use crate::dialect::dialect;
use crate::json;
use crate::plain::shown;
use crate::told::as_event_stream;
use crate::{DialectId, StreamEvent};

/// What was asked and answered, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Conversation {
    /// The request; nothing where it is of no known dialect or cannot be read.
    pub request: Option<ChatRequest>,
    /// The answer; nothing where there was none or it cannot be read.
    pub response: Option<ChatResponse>,
    /// The error inside a stream, or of a body that is one.
    pub error: Option<String>,
    /// Whether a body was cut off and only its beginning is shown.
    pub truncated: bool,
}

/// Reads a recorded request and its answer. `api` is the record's (`openai.chat`); bodies may be cut off anywhere, then
/// what is there is shown.
#[must_use]
pub fn conversation(api: &str, stream: bool, request: &[u8], response: &[u8]) -> Conversation {
    let Some(api) = Api::named(api) else { return Conversation::default() };
    let told = as_event_stream(response);
    let response = told.as_deref().unwrap_or(response);
    let id = match &api.kind {
        Kind::Chat => api.family(),
        Kind::Plain(plain) => return shown(api, plain, request, response),
    };
    let mut read = Conversation::default();
    let whole = json::mend(request);
    read.truncated = whole != request;
    read.request = dialect(id).decode_request(&whole).ok();
    read_answer(id, stream, response, &mut read);
    read
}

/// Reads an answer of a dialect, a document or a stream.
pub(crate) fn read_answer(id: DialectId, stream: bool, response: &[u8], read: &mut Conversation) {
    let begins = response.trim_ascii_start().first();
    let is_document = matches!(begins, Some(b'{' | b'[')) || !stream && begins != Some(&b'd') && begins != Some(&b'e');
    // Lines of JSON begin as a document does.
    let is_lines = stream && dialect(id).stream_type() == "application/x-ndjson";
    if is_document && !is_lines {
        document(id, response, read);
    } else if begins.is_some() {
        streamed(id, response, read);
    }
}

fn document(id: DialectId, response: &[u8], read: &mut Conversation) {
    let whole = json::mend(response);
    read.truncated |= whole != response;
    match dialect(id).decode_response(&whole) {
        Ok(response) => read.response = Some(response),
        Err(error) if !response.is_empty() => read.error = Some(error.message().to_owned()),
        Err(_) => {}
    }
}

fn streamed(id: DialectId, response: &[u8], read: &mut Conversation) {
    let mut reader = dialect(id).reader();
    let mut events = Vec::new();
    reader.push(response, &mut events);
    reader.finish(&mut events);
    let mut assembler = Assembler::new(id);
    for event in &events {
        assembler.push(event);
        if let StreamEvent::Error(error) = event {
            read.error = Some(error.message().to_owned());
        }
    }
    let reading = reader.reading();
    read.truncated |= !reading.ended && read.error.is_none();
    let mut response = assembler.into_response();
    response.usage = reading.usage;
    response.service_tier = reading.service_tier;
    response.provider_cost = reading.provider_cost;
    read.response = Some(response);
}
