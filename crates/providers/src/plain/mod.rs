//! APIs that are not conversations: passed as they are, and read by one watch that a row of a table tells where to look.

mod predict;
mod shown;
mod watch;

use tachograph_record::{FinishReason, Tap};

use crate::api::{Api, Kind};
use crate::bedrock::{ASKED, invoke_tap, invoked};
use crate::chat::Choice;
use crate::openai_chat::completions_tap;
use crate::tap::DialectTap;
use crate::usage::ApiShape;
use crate::{DialectId, anthropic};

pub(crate) use predict::tokens as predicted_tokens;
pub(crate) use shown::shown;
use watch::PlainWatch;

/// What a provider's reasons to stop mean.
type Meaning = fn(&str) -> FinishReason;
/// Makes a tap for an answer that is a stream or not, and has this status.
type MakeTap = fn(bool, u16) -> Box<dyn Tap>;
/// Finds what an answer said.
type ShowOwn = fn(&[u8]) -> Option<Choice>;

/// Where things stand in one API's bodies.
#[derive(Debug)]
pub(crate) struct Plain {
    /// The shape of its usage object.
    shape: ApiShape,
    /// Where the usage object stands; the first that is there counts, and an empty name is the body itself.
    usage: &'static [&'static str],
    /// The member of which each element is one image made, where nothing else says how much was used.
    images: Option<&'static str>,
    /// Members of a stream's events that are content.
    content: &'static [&'static str],
    /// The member that says why the model stopped, and what its words mean.
    finish: Option<(&'static str, Meaning)>,
    /// Whether answers are bytes of sound, which are not looked at.
    sound: bool,
    /// A reader of its own, where it has more to it than this.
    own_tap: Option<MakeTap>,
    /// What was said, where it takes more than names of members to find.
    own_shown: Option<ShowOwn>,
    pub(crate) asks_for_usage: bool,
    pub(crate) only_counts: bool,
    /// Whether it is no request with an answer but a session over a WebSocket.
    pub(crate) session: bool,
    /// Where what was asked stands in the request: texts, or lists of texts or messages.
    asked: &'static [&'static str],
    /// Where the text stands in the answer.
    said: &'static [&'static str],
}

const NOTHING: Plain = Plain {
    shape: ApiShape::OpenAiChat,
    usage: &["usage"],
    images: None,
    content: &[],
    finish: None,
    sound: false,
    own_tap: None,
    own_shown: None,
    asks_for_usage: false,
    only_counts: false,
    session: false,
    asked: &["input"],
    said: &[],
};

const INVOKE: Plain = Plain { own_tap: Some(invoke_tap), own_shown: Some(invoked), asked: ASKED, ..NOTHING };

const fn openai(name: &'static str, ends: &'static [&'static str], plain: Plain) -> Api {
    Api { name, ends, family: DialectId::OpenAiChat, kind: Kind::Plain(plain) }
}

const fn anthropic(name: &'static str, ends: &'static [&'static str], plain: Plain) -> Api {
    Api { name, ends, family: DialectId::AnthropicMessages, kind: Kind::Plain(plain) }
}

const fn cohere(name: &'static str, ends: &'static [&'static str], plain: Plain) -> Api {
    Api { name, ends, family: DialectId::CohereChat, kind: Kind::Plain(plain) }
}

const fn ollama(name: &'static str, ends: &'static [&'static str], plain: Plain) -> Api {
    Api { name, ends, family: DialectId::OllamaChat, kind: Kind::Plain(plain) }
}

const fn google(name: &'static str, ends: &'static [&'static str], plain: Plain) -> Api {
    Api { name, ends, family: DialectId::GeminiGenerateContent, kind: Kind::Plain(plain) }
}

/// The table.
pub(crate) static PLAIN_APIS: &[Api] = &[
    openai(
        "openai.completions",
        &["/completions"],
        Plain { own_tap: Some(completions_tap), asks_for_usage: true, asked: &["prompt"], ..NOTHING },
    ),
    openai("openai.embeddings", &["/embeddings"], Plain { shape: ApiShape::OpenAiEmbeddings, ..NOTHING }),
    openai("openai.realtime", &["/realtime"], Plain { own_tap: Some(crate::realtime::tap), session: true, ..NOTHING }),
    openai("openai.moderations", &["/moderations"], NOTHING),
    openai(
        "openai.images",
        &["/images/generations", "/images/edits", "/images/variations"],
        Plain {
            shape: ApiShape::OpenAiImages,
            images: Some("data"),
            content: &["b64_json"],
            asked: &["prompt", "image"],
            said: &["data"],
            ..NOTHING
        },
    ),
    openai(
        "openai.audio.transcriptions",
        &["/audio/transcriptions"],
        // Older models state the sound's duration beside the text instead of usage.
        Plain {
            shape: ApiShape::OpenAiTranscription,
            usage: &["usage", ""],
            content: &["delta", "text"],
            said: &["text"],
            ..NOTHING
        },
    ),
    openai(
        "openai.audio.translations",
        &["/audio/translations"],
        Plain { shape: ApiShape::OpenAiTranscription, usage: &["usage", ""], said: &["text"], ..NOTHING },
    ),
    openai(
        "openai.audio.speech",
        &["/audio/speech"],
        Plain { shape: ApiShape::OpenAiSpeech, content: &["audio", "delta"], sound: true, ..NOTHING },
    ),
    ollama(
        "ollama.generate",
        &["/api/generate"],
        Plain { own_tap: Some(crate::ollama::generate_tap), asked: &["system", "prompt"], ..NOTHING },
    ),
    ollama("ollama.embed", &["/api/embed"], Plain { shape: ApiShape::Ollama, usage: &[""], ..NOTHING }),
    openai(
        "cohere.rerank",
        &["/v2/rerank", "/rerank"],
        Plain { shape: ApiShape::Rerank, usage: &["meta", "usage"], asked: &["query", "documents"], ..NOTHING },
    ),
    cohere(
        "cohere.embed",
        &["/v2/embed", "/embed"],
        Plain { shape: ApiShape::CohereEmbed, usage: &["meta"], asked: &["texts", "inputs"], ..NOTHING },
    ),
    cohere(
        "cohere.chat.v1",
        &["/v1/chat"],
        Plain {
            own_tap: Some(crate::cohere::v1::tap),
            content: &["text"],
            asked: &["chat_history", "message"],
            said: &["text"],
            ..NOTHING
        },
    ),
    anthropic(
        "anthropic.count_tokens",
        &["/v1/messages/count_tokens"],
        Plain {
            shape: ApiShape::AnthropicMessages,
            usage: &[""],
            only_counts: true,
            asked: &["system", "messages"],
            ..NOTHING
        },
    ),
    anthropic(
        "anthropic.complete",
        &["/v1/complete"],
        Plain {
            content: &["completion"],
            finish: Some(("stop_reason", anthropic::finish_reason)),
            asked: &["prompt"],
            said: &["completion"],
            ..NOTHING
        },
    ),
    google(
        "gemini.countTokens",
        &[":countTokens"],
        Plain {
            shape: ApiShape::GeminiGenerateContent,
            usage: &[""],
            only_counts: true,
            asked: &["contents"],
            ..NOTHING
        },
    ),
    google(
        "gemini.embedContent",
        &[":embedContent"],
        Plain { shape: ApiShape::GeminiGenerateContent, usage: &["usageMetadata"], asked: &["content"], ..NOTHING },
    ),
    google(
        "gemini.batchEmbedContents",
        &[":batchEmbedContents"],
        Plain { shape: ApiShape::GeminiGenerateContent, usage: &["usageMetadata"], asked: &["requests"], ..NOTHING },
    ),
    google(
        "gemini.predict",
        &[":predict"],
        Plain { own_tap: Some(predict::predict_tap), asked: &["instances"], said: &["predictions"], ..NOTHING },
    ),
    bedrock("bedrock.invoke", &["/invoke"], INVOKE),
    bedrock("bedrock.invoke-stream", &["/invoke-with-response-stream"], INVOKE),
    bedrock(
        "bedrock.count-tokens",
        &["/count-tokens"],
        Plain { shape: ApiShape::BedrockConverse, usage: &[""], only_counts: true, asked: &["input"], ..NOTHING },
    ),
];

const fn bedrock(name: &'static str, ends: &'static [&'static str], plain: Plain) -> Api {
    Api { name, ends, family: DialectId::BedrockConverse, kind: Kind::Plain(plain) }
}

impl Plain {
    pub(crate) fn tap(&'static self, stream: bool, status: u16) -> Box<dyn Tap> {
        match self.own_tap {
            Some(tap) => tap(stream, status),
            None if self.sound && !stream && status < 400 => crate::opaque_tap(),
            None => Box::new(DialectTap::with(PlainWatch::new(self), stream, status)),
        }
    }
}
