//! Cohere's chat, version 2.
//!
//! Messages and tools are written as OpenAI's; the plan before a call (`tool_plan`) stands in a field of its own, thinking
//! is a part of the content, citations stand beside it. What is read and what is billed are counted apart. Version 1 is
//! only read, never written ([`v1`]).

mod decode;
mod encode;
mod reader;
mod response;
pub(crate) mod v1;
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
pub(crate) struct CohereChat;

impl Dialect for CohereChat {
    fn id(&self) -> DialectId {
        DialectId::CohereChat
    }

    fn name(&self) -> &'static str {
        "cohere.chat"
    }

    fn error_shape(&self) -> ErrorShape {
        ErrorShape::Cohere
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
        Box::new(DialectTap::<watch::CohereWatch>::new(stream, status))
    }
}

/// Reasons to stop, of both versions.
const FINISH: &[(&str, FinishReason)] = &[
    ("COMPLETE", FinishReason::Stop),
    ("STOP_SEQUENCE", FinishReason::Stop),
    ("MAX_TOKENS", FinishReason::Length),
    ("ERROR_LIMIT", FinishReason::Length),
    ("TOOL_CALL", FinishReason::ToolCalls),
    ("ERROR_TOXIC", FinishReason::ContentFilter),
    ("ERROR", FinishReason::Error),
    ("TIMEOUT", FinishReason::Error),
    ("USER_CANCEL", FinishReason::Other),
];

pub(crate) fn finish_reason(word: &str) -> FinishReason {
    FINISH.iter().find(|(known, _)| *known == word).map_or(FinishReason::Other, |&(_, reason)| reason)
}

/// The word a client is told.
const fn finish_word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::Other => "COMPLETE",
        FinishReason::Length => "MAX_TOKENS",
        FinishReason::ToolCalls => "TOOL_CALL",
        FinishReason::ContentFilter => "ERROR_TOXIC",
        FinishReason::Error => "ERROR",
    }
}
