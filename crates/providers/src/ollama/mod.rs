//! Ollama's own chat.
//!
//! Content is one string with pictures beside it, arguments are objects, parameters stand in `options`, and a stream is a
//! line of JSON for each piece, of which the last is `done` and says what was used. That a call was made is said by no
//! reason to stop.

mod decode;
mod encode;
mod reader;
mod response;
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
pub(crate) struct OllamaChat;

impl Dialect for OllamaChat {
    fn id(&self) -> DialectId {
        DialectId::OllamaChat
    }

    fn name(&self) -> &'static str {
        "ollama.chat"
    }

    fn error_shape(&self) -> ErrorShape {
        ErrorShape::Ollama
    }

    fn stream_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn decode_request(&self, body: &[u8]) -> Result<ChatRequest, ApiError> {
        decode::request(body)
    }

    fn encode_request(
        &self,
        request: &ChatRequest,
        model: &str,
        _provider: &Provider,
        _max_output_default: u64,
    ) -> Result<Encoded, ApiError> {
        encode::request(request, model)
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
        Box::new(DialectTap::<watch::OllamaWatch>::new(stream, status))
    }
}

/// A tap of `/api/generate`, whose answers differ from the chat's in where the text stands only.
pub(crate) fn generate_tap(stream: bool, status: u16) -> Box<dyn Tap> {
    Box::new(DialectTap::<watch::OllamaWatch>::new(stream, status))
}

fn finish_reason(word: &str, called: bool) -> FinishReason {
    match word {
        "stop" if called => FinishReason::ToolCalls,
        "stop" => FinishReason::Stop,
        "length" => FinishReason::Length,
        "tool_calls" => FinishReason::ToolCalls,
        "content_filter" => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    }
}

/// The word a client is told; Ollama has few.
const fn finish_word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
        _ => "stop",
    }
}
