//! Amazon Bedrock: Converse and ConverseStream, and InvokeModel as far as it is read.
//!
//! The model and whether to stream stand in the path. Every block is an object of one member, which names its kind; marks
//! for the prompt cache are blocks of their own behind what they end. Media goes in base64 with a format instead of a
//! media type. What only some models take goes in `additionalModelRequestFields`, in each model's own words. Streams are
//! binary frames; blocks of text begin unannounced, usage comes behind the reason to stop, and errors may come as
//! exceptions. The kind of an error outside streams stands in the header `x-amzn-errortype`, not in the body.

mod content;
mod decode;
mod encode;
mod fields;
mod head;
mod invoke;
mod reader;
mod response;
mod turns;
mod watch;
mod writer;

use bytes::Bytes;
use tachograph_record::{FinishReason, Tap};
use tachograph_reply::{ApiError, ErrorShape};

use crate::chat::{ChatRequest, ChatResponse};
use crate::tap::DialectTap;
use crate::{Answering, Dialect, DialectId, Encoded, Provider, StreamReader, StreamWriter};

pub(crate) use head::{named_by_head, with_head};
pub(crate) use invoke::{ASKED, invoke_tap, invoked};

/// The dialect.
#[derive(Debug)]
pub(crate) struct BedrockConverse;

impl Dialect for BedrockConverse {
    fn id(&self) -> DialectId {
        DialectId::BedrockConverse
    }

    fn name(&self) -> &'static str {
        "bedrock.converse"
    }

    fn error_shape(&self) -> ErrorShape {
        ErrorShape::Bedrock
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

    fn writer(&self, _to: &Answering, _include_usage: bool) -> Box<dyn StreamWriter> {
        Box::<writer::Writer>::default()
    }

    fn stream_type(&self) -> &'static str {
        "application/vnd.amazon.eventstream"
    }

    fn tap(&self, stream: bool, status: u16) -> Box<dyn Tap> {
        Box::new(DialectTap::<watch::ConverseWatch>::new(stream, status))
    }
}

/// Stop reasons in OpenAI's words.
const FINISH: &[(&str, FinishReason)] = &[
    ("end_turn", FinishReason::Stop),
    ("stop_sequence", FinishReason::Stop),
    ("max_tokens", FinishReason::Length),
    ("tool_use", FinishReason::ToolCalls),
    ("content_filtered", FinishReason::ContentFilter),
    ("guardrail_intervened", FinishReason::ContentFilter),
    ("refusal", FinishReason::ContentFilter),
    ("model_context_window_exceeded", FinishReason::Length),
    ("malformed_model_output", FinishReason::Error),
    ("malformed_tool_use", FinishReason::Error),
];

fn finish_reason(word: &str) -> FinishReason {
    FINISH.iter().find(|(known, _)| *known == word).map_or(FinishReason::Other, |&(_, reason)| reason)
}

/// The stop reason a client is told.
fn stop_reason(reason: FinishReason, stop_sequence: Option<&str>) -> &'static str {
    if (reason, stop_sequence.is_some()) == (FinishReason::Stop, true) {
        return "stop_sequence";
    }
    FINISH.iter().find(|(_, known)| *known == reason).map_or("end_turn", |&(word, _)| word)
}

/// Whose model it is, which decides what may be asked of it beyond what all take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// Anthropic's.
    Claude,
    /// Amazon's Nova.
    Nova,
    /// Any other.
    Other,
}

impl Family {
    /// By the model's id, an inference profile's or an ARN of either.
    fn of(model: &str) -> Self {
        let named = |part: &str| model.contains(part);
        if named("anthropic.") || named("claude") {
            Self::Claude
        } else if named("amazon.nova") || named("nova-") {
            Self::Nova
        } else {
            Self::Other
        }
    }
}
