//! OpenAI's chat completions, and what the many that speak it have made of it.
//!
//! Reasoning stands in one of five fields, tool calls come without ids or indices, content is sometimes a list, usage
//! lies in four places. The readers take all of it; the writers send what OpenAI's own clients read, with reasoning and
//! its signatures in the extension fields that others use (`reasoning_content`, `thinking_blocks`).

mod content;
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

pub(crate) use content::{address, arguments};
pub(crate) use response::{call_id, openai_tier};
pub(crate) use watch::OpenAiWatch;

/// The dialect.
#[derive(Debug)]
pub(crate) struct OpenAiChat;

impl Dialect for OpenAiChat {
    fn id(&self) -> DialectId {
        DialectId::OpenAiChat
    }

    fn name(&self) -> &'static str {
        "openai.chat"
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

    fn writer(&self, to: &Answering, include_usage: bool) -> Box<dyn StreamWriter> {
        Box::new(writer::Writer::new(to.clone(), include_usage))
    }

    fn tap(&self, stream: bool, status: u16) -> Box<dyn Tap> {
        Box::new(DialectTap::<watch::OpenAiWatch>::new(stream, status))
    }
}

/// A tap of the completions API, whose answers differ from the chat API's in where the text stands only.
pub(crate) fn completions_tap(stream: bool, status: u16) -> Box<dyn Tap> {
    Box::new(DialectTap::<watch::OpenAiWatch>::new(stream, status))
}

/// Finish reasons that are in use, in OpenAI's words.
const FINISH: &[(&str, FinishReason)] = &[
    ("stop", FinishReason::Stop),
    ("length", FinishReason::Length),
    ("tool_calls", FinishReason::ToolCalls),
    ("function_call", FinishReason::ToolCalls),
    ("content_filter", FinishReason::ContentFilter),
    ("error", FinishReason::Error),
    // Compatible servers let their models' own words through.
    ("eos", FinishReason::Stop),
    ("end_turn", FinishReason::Stop),
    ("stop_sequence", FinishReason::Stop),
    ("tool_use", FinishReason::ToolCalls),
    ("max_tokens", FinishReason::Length),
    ("model_length", FinishReason::Length),
    ("sensitive", FinishReason::ContentFilter),
    ("insufficient_system_resource", FinishReason::Error),
    ("network_error", FinishReason::Error),
];

fn finish_reason(word: &str) -> FinishReason {
    FINISH.iter().find(|(known, _)| *known == word).map_or(FinishReason::Other, |&(_, reason)| reason)
}

/// The word a client is told; OpenAI has none for the last two.
const fn finish_word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Other | FinishReason::Error => "stop",
        reason => reason.code(),
    }
}
