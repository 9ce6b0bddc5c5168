//! Anthropic's messages.
//!
//! Content is blocks in order, tool input is an object and no text, usage counts cached input beside the fresh, and a
//! stream's blocks come strictly one after the other.

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

pub(crate) use watch::AnthropicWatch;

/// The dialect.
#[derive(Debug)]
pub(crate) struct AnthropicMessages;

impl Dialect for AnthropicMessages {
    fn id(&self) -> DialectId {
        DialectId::AnthropicMessages
    }

    fn name(&self) -> &'static str {
        "anthropic.messages"
    }

    fn error_shape(&self) -> ErrorShape {
        ErrorShape::Anthropic
    }

    fn decode_request(&self, body: &[u8]) -> Result<ChatRequest, ApiError> {
        decode::request(body)
    }

    fn encode_request(
        &self,
        request: &ChatRequest,
        model: &str,
        provider: &Provider,
        max_output_default: u64,
    ) -> Result<Encoded, ApiError> {
        encode::request(request, model, provider, max_output_default)
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
        Box::new(DialectTap::<watch::AnthropicWatch>::new(stream, status))
    }
}

/// Stop reasons in OpenAI's words. `pause_turn` has none: the client is to call again.
const FINISH: &[(&str, FinishReason)] = &[
    ("end_turn", FinishReason::Stop),
    ("stop_sequence", FinishReason::Stop),
    ("max_tokens", FinishReason::Length),
    ("model_context_window_exceeded", FinishReason::Length),
    ("tool_use", FinishReason::ToolCalls),
    ("refusal", FinishReason::ContentFilter),
];

pub(crate) fn finish_reason(word: &str) -> FinishReason {
    FINISH.iter().find(|(known, _)| *known == word).map_or(FinishReason::Other, |&(_, reason)| reason)
}

/// The stop reason a client is told.
fn stop_reason(reason: FinishReason, stop_sequence: Option<&str>, native: Option<&str>) -> &'static str {
    let own = FINISH.iter().chain(&[("pause_turn", FinishReason::Other)]);
    match (reason, stop_sequence) {
        (FinishReason::Stop, Some(_)) => "stop_sequence",
        (FinishReason::Stop, None) => "end_turn",
        (FinishReason::Length, _) => "max_tokens",
        (FinishReason::ToolCalls, _) => "tool_use",
        (FinishReason::ContentFilter, _) => "refusal",
        (FinishReason::Error | FinishReason::Other, _) => {
            own.map(|&(word, _)| word).find(|word| Some(*word) == native).unwrap_or("end_turn")
        }
    }
}
