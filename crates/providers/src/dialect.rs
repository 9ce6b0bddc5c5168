//! What a dialect is, and the table of those that are known.

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tachograph_record::{Reading, Tap};
use tachograph_reply::{ApiError, ErrorShape};

use crate::api::{Api, Kind};
use crate::chat::{ChatRequest, ChatResponse, StreamEvent};
use crate::loss::Note;
use crate::{AuthStyle, Provider, anthropic, bedrock, cohere, gemini, ollama, openai_chat, openai_responses};

/// A wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DialectId {
    /// OpenAI's chat completions.
    #[serde(rename = "openai.chat", alias = "openai")]
    OpenAiChat,
    /// OpenAI's responses.
    #[serde(rename = "openai.responses", alias = "responses")]
    OpenAiResponses,
    /// Anthropic's messages.
    #[serde(rename = "anthropic.messages", alias = "anthropic")]
    AnthropicMessages,
    /// Google's generateContent.
    #[serde(rename = "gemini.generateContent", alias = "gemini")]
    GeminiGenerateContent,
    /// Cohere's chat, version 2.
    #[serde(rename = "cohere.chat", alias = "cohere")]
    CohereChat,
    /// Ollama's own chat.
    #[serde(rename = "ollama.chat", alias = "ollama")]
    OllamaChat,
    /// Amazon Bedrock's Converse.
    #[serde(rename = "bedrock.converse", alias = "bedrock")]
    BedrockConverse,
}

/// A wire format's two directions. Bytes in, values out: nothing here does IO, waits or knows of a clock.
pub trait Dialect: Send + Sync {
    /// Which one it is.
    fn id(&self) -> DialectId;

    /// Its name in records: `openai.chat`.
    fn name(&self) -> &'static str;

    /// How its clients read errors.
    fn error_shape(&self) -> ErrorShape;

    /// The media type of its streams.
    fn stream_type(&self) -> &'static str {
        "text/event-stream"
    }

    /// Reads a request.
    ///
    /// # Errors
    ///
    /// A 400 that names the field at fault.
    fn decode_request(&self, body: &[u8]) -> Result<ChatRequest, ApiError>;

    /// Writes a request for a model at a provider; an empty model is not named in the body. `max_output_default` is the limit of output tokens to ask for where
    /// the dialect must name one and the caller did not.
    ///
    /// # Errors
    ///
    /// A 400 where the request asks for what the dialect cannot say and leaving it out would change the answer's shape.
    fn encode_request(
        &self,
        request: &ChatRequest,
        model: &str,
        provider: &Provider,
        max_output_default: u64,
    ) -> Result<Encoded, ApiError>;

    /// Reads a whole answer.
    ///
    /// # Errors
    ///
    /// Where the body is none: not JSON, or an error under a success's status.
    fn decode_response(&self, body: &[u8]) -> Result<ChatResponse, ApiError>;

    /// Writes a whole answer.
    fn encode_response(&self, response: &ChatResponse, to: &Answering) -> Bytes;

    /// A reader of one stream.
    fn reader(&self) -> Box<dyn StreamReader>;

    /// A writer of one stream. `include_usage` is whether the caller asked for usage at the end of it.
    fn writer(&self, to: &Answering, include_usage: bool) -> Box<dyn StreamWriter>;

    /// Reads an error's body, in whatever shape it is: this dialect's, another's, HTML, nothing.
    fn decode_error(&self, status: StatusCode, body: &[u8]) -> ApiError {
        crate::fault::decode_error(status, body)
    }

    /// An observer of one answer that passes untouched.
    fn tap(&self, stream: bool, status: u16) -> Box<dyn Tap>;
}

/// Reads one stream: the provider's bytes in, events out.
pub trait StreamReader: Send {
    /// Takes the next bytes, cut anywhere, and appends the events that are now known.
    fn push(&mut self, bytes: &[u8], out: &mut Vec<StreamEvent>);

    /// No more bytes will come. Appends what was held back, and [`StreamEvent::End`] if the stream reached its end; if
    /// it did not, and carried no error, it was cut short.
    fn finish(&mut self, out: &mut Vec<StreamEvent>);

    /// What the stream said about itself: what the dialect's tap reads from the same bytes.
    fn reading(&mut self) -> Reading;
}

/// Writes one stream: events in, bytes for the client out.
pub trait StreamWriter: Send {
    /// Takes the next event and appends what the client is to be sent for it, which may be nothing yet.
    fn write(&mut self, event: &StreamEvent, out: &mut BytesMut);

    /// The stream was cut or failed: appends a last error event, and no terminator, so that no client takes the stream
    /// for finished. Nothing is written after it.
    fn fail(&mut self, error: &ApiError, out: &mut BytesMut);
}

/// To whom an answer is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answering {
    /// The answer's id, where the provider gave none.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// The model, as the caller asked for it.
    pub model: String,
}

/// A request written in a dialect.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The body.
    pub body: Bytes,
    /// What the dialect could not say, or only nearly.
    pub notes: Vec<Note>,
}

/// What providers of a dialect do unless their row says otherwise.
pub(crate) struct Conventions {
    pub(crate) chat_path: &'static str,
    pub(crate) stream_path: Option<&'static str>,
    pub(crate) auth: fn() -> AuthStyle,
    pub(crate) headers: &'static [(&'static str, &'static str)],
}

/// One dialect: everything another module needs to know of it stands in its line of [`TABLE`].
struct Row {
    id: DialectId,
    dialect: &'static dyn Dialect,
    conventions: Conventions,
}

static TABLE: &[Row] = &[
    Row {
        id: DialectId::OpenAiChat,
        dialect: &openai_chat::OpenAiChat,
        conventions: Conventions {
            chat_path: "/chat/completions",
            stream_path: None,
            auth: || AuthStyle::Bearer,
            headers: &[],
        },
    },
    Row {
        id: DialectId::OpenAiResponses,
        dialect: &openai_responses::OpenAiResponses,
        conventions: Conventions {
            chat_path: "/responses",
            stream_path: None,
            auth: || AuthStyle::Bearer,
            headers: &[],
        },
    },
    Row {
        id: DialectId::AnthropicMessages,
        dialect: &anthropic::AnthropicMessages,
        conventions: Conventions {
            chat_path: "/v1/messages",
            stream_path: None,
            auth: || AuthStyle::Header("x-api-key".to_owned()),
            headers: &[("anthropic-version", "2023-06-01")],
        },
    },
    Row {
        id: DialectId::GeminiGenerateContent,
        dialect: &gemini::GeminiGenerateContent,
        conventions: Conventions {
            chat_path: "/v1beta/models/{model}:generateContent",
            stream_path: Some("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            auth: || AuthStyle::Header("x-goog-api-key".to_owned()),
            headers: &[],
        },
    },
    Row {
        id: DialectId::CohereChat,
        dialect: &cohere::CohereChat,
        conventions: Conventions { chat_path: "/v2/chat", stream_path: None, auth: || AuthStyle::Bearer, headers: &[] },
    },
    Row {
        id: DialectId::OllamaChat,
        dialect: &ollama::OllamaChat,
        conventions: Conventions {
            chat_path: "/api/chat",
            stream_path: None,
            auth: || AuthStyle::Bearer,
            headers: &[],
        },
    },
    Row {
        id: DialectId::BedrockConverse,
        dialect: &bedrock::BedrockConverse,
        conventions: Conventions {
            chat_path: "/model/{model%}/converse",
            stream_path: Some("/model/{model%}/converse-stream"),
            auth: || AuthStyle::Aws { service: "bedrock".to_owned() },
            headers: &[],
        },
    },
];

/// The chat APIs: one of each dialect, first, and where a stream is called by another path, that.
pub(crate) static CHAT_APIS: &[Api] = &[
    Api { name: "openai.chat", ends: &["/chat/completions"], family: DialectId::OpenAiChat, kind: Kind::Chat },
    Api { name: "openai.responses", ends: &["/responses"], family: DialectId::OpenAiResponses, kind: Kind::Chat },
    Api { name: "anthropic.messages", ends: &["/v1/messages"], family: DialectId::AnthropicMessages, kind: Kind::Chat },
    Api {
        name: "gemini.generateContent",
        ends: &[":generateContent", ":streamGenerateContent"],
        family: DialectId::GeminiGenerateContent,
        kind: Kind::Chat,
    },
    Api { name: "cohere.chat", ends: &["/v2/chat"], family: DialectId::CohereChat, kind: Kind::Chat },
    Api { name: "ollama.chat", ends: &["/api/chat"], family: DialectId::OllamaChat, kind: Kind::Chat },
    Api { name: "bedrock.converse", ends: &["/converse"], family: DialectId::BedrockConverse, kind: Kind::Chat },
    Api {
        name: "bedrock.converse-stream",
        ends: &["/converse-stream"],
        family: DialectId::BedrockConverse,
        kind: Kind::Chat,
    },
];

fn row(id: DialectId) -> &'static Row {
    TABLE.iter().find(|row| row.id == id).unwrap_or(&TABLE[0])
}

pub(crate) fn conventions(id: DialectId) -> &'static Conventions {
    &row(id).conventions
}

/// The dialect of this id.
#[must_use]
pub fn dialect(id: DialectId) -> &'static dyn Dialect {
    row(id).dialect
}

/// The dialect of this name, as in records (`openai.chat`).
#[must_use]
pub fn dialect_of_api(api: &str) -> Option<DialectId> {
    Api::named(api).and_then(Api::dialect)
}

impl DialectId {
    /// All dialects.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.id)
    }

    /// Its name in records: `openai.chat`.
    #[must_use]
    pub fn name(self) -> &'static str {
        dialect(self).name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_has_its_line() {
        for id in DialectId::all() {
            assert_eq!(dialect(id).id(), id);
            assert_eq!(dialect_of_api(id.name()), Some(id));
            assert_eq!(serde_json::to_value(id).unwrap(), id.name());
            assert_eq!(Api::of_path(conventions(id).chat_path).and_then(Api::dialect), Some(id));
            assert_eq!(Api::of_dialect(id).name(), id.name());
        }
        assert_eq!(serde_json::from_str::<DialectId>("\"openai\"").unwrap(), DialectId::OpenAiChat);
        assert_eq!(serde_json::from_str::<DialectId>("\"anthropic\"").unwrap(), DialectId::AnthropicMessages);
    }
}
