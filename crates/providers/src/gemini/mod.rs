//! Google's generateContent, of AI Studio and of Vertex AI.
//!
//! The model and whether to stream stand in the path. Calls have no ids, answers of tools only names; that a call was made
//! is said by no reason to stop. Proofs of thinking hang on the parts that follow it. Streams are server-sent events with
//! CRLF or one JSON array, each event a whole answer with what is new, and have no last event but the one with a reason
//! to stop. Field names may be written in two ways; they are read as `camelCase` and written so.

mod content;
mod decode;
mod encode;
mod reader;
mod response;
mod schema;
mod watch;
mod writer;

use bytes::Bytes;
use tachograph_record::{FinishReason, Tap};
use tachograph_reply::{ApiError, ErrorShape};

use crate::chat::{ChatRequest, ChatResponse};
use crate::tap::DialectTap;
use crate::{Answering, Dialect, DialectId, Encoded, Provider, StreamReader, StreamWriter};

/// The dialect.
#[derive(Debug)]
pub(crate) struct GeminiGenerateContent;

impl Dialect for GeminiGenerateContent {
    fn id(&self) -> DialectId {
        DialectId::GeminiGenerateContent
    }

    fn name(&self) -> &'static str {
        "gemini.generateContent"
    }

    fn error_shape(&self) -> ErrorShape {
        ErrorShape::Gemini
    }

    fn decode_request(&self, body: &[u8]) -> Result<ChatRequest, ApiError> {
        decode::request(body)
    }

    fn encode_request(
        &self,
        request: &ChatRequest,
        model: &str,
        provider: &Provider,
        _max_output_default: u64,
    ) -> Result<Encoded, ApiError> {
        encode::request(request, model, provider)
    }

    fn decode_response(&self, body: &[u8]) -> Result<ChatResponse, ApiError> {
        response::decode(body)
    }

    fn encode_response(&self, response: &ChatResponse, to: &Answering) -> Bytes {
        response::encode(response, to)
    }

    fn reader(&self) -> Box<dyn StreamReader> {
        Box::<reader::Reader>::default()
    }

    fn writer(&self, to: &Answering, _include_usage: bool) -> Box<dyn StreamWriter> {
        Box::new(writer::Writer::new(to.clone()))
    }

    fn tap(&self, stream: bool, status: u16) -> Box<dyn Tap> {
        Box::new(DialectTap::<watch::GeminiWatch>::new(stream, status))
    }
}

/// Reasons to stop; some clients ask for the numbers of the enum instead of its words.
const FINISH: &[(&str, &str, FinishReason)] = &[
    ("STOP", "1", FinishReason::Stop),
    ("MAX_TOKENS", "2", FinishReason::Length),
    ("SAFETY", "3", FinishReason::ContentFilter),
    ("RECITATION", "4", FinishReason::ContentFilter),
    ("OTHER", "5", FinishReason::Other),
    ("BLOCKLIST", "6", FinishReason::ContentFilter),
    ("PROHIBITED_CONTENT", "7", FinishReason::ContentFilter),
    ("SPII", "8", FinishReason::ContentFilter),
    ("MALFORMED_FUNCTION_CALL", "9", FinishReason::Error),
    ("MODEL_ARMOR", "10", FinishReason::ContentFilter),
    ("IMAGE_SAFETY", "11", FinishReason::ContentFilter),
    ("IMAGE_PROHIBITED_CONTENT", "12", FinishReason::ContentFilter),
    ("IMAGE_RECITATION", "13", FinishReason::ContentFilter),
    ("IMAGE_OTHER", "14", FinishReason::Other),
    ("UNEXPECTED_TOOL_CALL", "15", FinishReason::Error),
    ("NO_IMAGE", "16", FinishReason::Other),
    ("LANGUAGE", "", FinishReason::ContentFilter),
    ("TOO_MANY_TOOL_CALLS", "", FinishReason::Error),
    ("MISSING_THOUGHT_SIGNATURE", "", FinishReason::Error),
];

fn finish_reason(word: &str, called: bool) -> FinishReason {
    let known = FINISH.iter().find(|(known, number, _)| *known == word || *number == word && !word.is_empty());
    let reason = known.map_or(FinishReason::Other, |row| row.2);
    if called && reason == FinishReason::Stop { FinishReason::ToolCalls } else { reason }
}

/// The word a client is told.
const fn finish_word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::ToolCalls => "STOP",
        FinishReason::Length => "MAX_TOKENS",
        FinishReason::ContentFilter => "SAFETY",
        FinishReason::Error | FinishReason::Other => "OTHER",
    }
}
