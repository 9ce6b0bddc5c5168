//! OpenAI's responses.
//!
//! What is said is a flat list of items: a message, a call, its output and reasoning are items alike. Read, each is a
//! message of its own, so that it can be written back as it was; targets that know turns join them. Streams name every
//! item, part and delta, and end with the whole answer again.

mod content;
mod decode;
mod encode;
mod item;
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
pub(crate) struct OpenAiResponses;

impl Dialect for OpenAiResponses {
    fn id(&self) -> DialectId {
        DialectId::OpenAiResponses
    }

    fn name(&self) -> &'static str {
        "openai.responses"
    }

    fn error_shape(&self) -> ErrorShape {
        ErrorShape::OpenAi
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
        Box::new(DialectTap::<watch::ResponsesWatch>::new(stream, status))
    }
}

/// What an answer's status, or the reason it is incomplete, means. That a call was made is said nowhere but by the call.
const FINISH: &[(&str, FinishReason)] = &[
    ("completed", FinishReason::Stop),
    ("max_output_tokens", FinishReason::Length),
    ("max_tokens", FinishReason::Length),
    ("content_filter", FinishReason::ContentFilter),
    ("failed", FinishReason::Error),
    ("cancelled", FinishReason::Error),
];

fn finish_reason(word: &str, called: bool) -> FinishReason {
    let reason = FINISH.iter().find(|(known, _)| *known == word).map_or(FinishReason::Other, |&(_, reason)| reason);
    if called && reason == FinishReason::Stop { FinishReason::ToolCalls } else { reason }
}

/// Kinds of items that are calls the client has to make.
const CLIENT_CALLS: [&str; 2] = ["function_call", "custom_tool_call"];
