//! The APIs that are known: what a path is called on the record, and how its answers are read.
//!
//! A chat API has a [`Dialect`](crate::Dialect) and can be translated. All others are passed as they are and only read:
//! a row of the table in [`plain`](crate::plain) says where their usage, text and errors stand.
//!
//! ```
//! use bytes::Bytes;
//! use tachograph_providers::Api;
//! use tachograph_record::UsageReading;
//!
//! let api = Api::of_path("/openai/v1/embeddings").unwrap();
//! assert_eq!((api.name(), api.dialect()), ("openai.embeddings", None));
//! let mut tap = api.tap(false, 200);
//! tap.see(&Bytes::from_static(br#"{"model":"m","data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}"#));
//! let UsageReading::Known(usage) = tap.finish().usage else { panic!() };
//! assert_eq!(usage.input_total(), 8);
//! ```

use http::HeaderMap;
use tachograph_record::Tap;
use tachograph_reply::ErrorShape;

use crate::dialect::CHAT_APIS;
use crate::plain::{PLAIN_APIS, Plain};
use crate::{DialectId, dialect};

/// An API: a wire format and an operation.
#[derive(Debug)]
pub struct Api {
    /// Its name in records.
    pub(crate) name: &'static str,
    /// How paths that speak it end.
    pub(crate) ends: &'static [&'static str],
    /// Whose clients call it.
    pub(crate) family: DialectId,
    /// How it is read.
    pub(crate) kind: Kind,
}

/// How an API is read.
#[derive(Debug)]
pub(crate) enum Kind {
    /// As a conversation, by the dialect of its family.
    Chat,
    /// As its row says.
    Plain(Plain),
}

impl Api {
    /// The API that a path speaks, if its bodies are understood: `…/chat/completions`, `…/messages`. A query and a slash
    /// at the end do not matter; the `/v1` that most begin with may be missing.
    #[must_use]
    pub fn of_path(path: &str) -> Option<&'static Self> {
        let path = path.split(['?', '#']).next().unwrap_or(path).trim_end_matches('/');
        if path.ends_with(":rawPredict") || path.ends_with(":streamRawPredict") {
            // What Google serves of others speaks their makers' formats.
            let anthropics = path.contains("/publishers/anthropic/");
            return Some(Self::of_dialect(if anthropics {
                DialectId::AnthropicMessages
            } else {
                DialectId::OpenAiChat
            }));
        }
        all().find(|api| api.ends.iter().any(|end| path.ends_with(end) || end.strip_prefix("/v1") == Some(path)))
    }

    /// The API that a gateway of all providers serves at a path, with or without the leading `/v1`, and the path to add to
    /// the base of a provider that has it.
    #[must_use]
    pub fn at_gateway(path: &str) -> Option<(&'static Self, &'static str)> {
        let bare = |path| str::strip_prefix(path, "/v1").unwrap_or(path);
        all().find_map(|api| api.ends.iter().find(|end| bare(end) == bare(path)).map(|end| (api, *end)))
    }

    /// The API of Google's that a gateway of all providers serves at a path, the path of it behind a provider's base, and
    /// the model: everything between `models/` and the last colon, slashes included.
    #[must_use]
    pub fn of_google(path: &str) -> Option<(&'static Self, &'static str, &str)> {
        let (_version, named) = path.split_once("/models/")?;
        let (model, method) = named.rsplit_once(':')?;
        let (_, usual) = GOOGLE_PATHS.iter().find(|(known, _)| *known == method)?;
        let api = all().find(|api| api.ends.iter().any(|end| end.strip_prefix(':') == Some(method)))?;
        (!model.is_empty()).then_some((api, *usual, model))
    }

    /// The API whose path names the model, the path of it behind a provider's base, and the model: Google's, Amazon's
    /// (`/model/<id>/converse`).
    #[must_use]
    pub fn with_model_in_path(path: &str) -> Option<(&'static Self, &'static str, &str)> {
        let amazons = || {
            let (_, named) = path.split_once("/model/")?;
            let (model, verb) = named.rsplit_once('/')?;
            let (_, usual) = AMAZON_PATHS.iter().find(|(known, _)| *known == verb)?;
            let api = all().find(|api| api.ends.iter().any(|end| end.strip_prefix('/') == Some(verb)))?;
            (!model.is_empty()).then_some((api, *usual, model))
        };
        Self::of_google(path).or_else(amazons)
    }

    /// The API of this name, as in records (`openai.chat`).
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        all().find(|api| api.name == name)
    }

    /// The chat API of a dialect.
    #[must_use]
    pub fn of_dialect(id: DialectId) -> &'static Self {
        CHAT_APIS.iter().find(|api| api.family == id).unwrap_or(&CHAT_APIS[0])
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        all()
    }

    /// Its name in records: `openai.chat`, `openai.embeddings`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The dialect that translates it, if it is a conversation.
    #[must_use]
    pub fn dialect(&self) -> Option<DialectId> {
        matches!(self.kind, Kind::Chat).then_some(self.family)
    }

    /// The chat dialect of those who call it: a provider that speaks it can be expected to have this API too.
    #[must_use]
    pub fn family(&self) -> DialectId {
        self.family
    }

    /// How its clients read errors.
    #[must_use]
    pub fn error_shape(&self) -> ErrorShape {
        dialect(self.family).error_shape()
    }

    /// Whether its streams tell usage only to those who ask with `stream_options`.
    #[must_use]
    pub fn asks_for_usage(&self) -> bool {
        match &self.kind {
            Kind::Chat => self.family == DialectId::OpenAiChat,
            Kind::Plain(plain) => plain.asks_for_usage,
        }
    }

    /// Whether it streams to those who say nothing of streams.
    #[must_use]
    pub fn streams_unasked(&self) -> bool {
        self.family == DialectId::OllamaChat && self.name != "ollama.embed"
    }

    /// Whether it only counts and uses nothing itself: its usage is no reason to be charged.
    #[must_use]
    pub fn only_counts(&self) -> bool {
        matches!(&self.kind, Kind::Plain(plain) if plain.only_counts)
    }

    /// Whether it is no request with an answer but a session over a WebSocket.
    #[must_use]
    pub fn is_session(&self) -> bool {
        matches!(&self.kind, Kind::Plain(plain) if plain.session)
    }

    /// An observer of one answer that passes untouched, which also reads what the answer's headers say: Bedrock's kinds of
    /// errors and counts of tokens stand there.
    #[must_use]
    pub fn tap_with(&'static self, stream: bool, status: u16, headers: &HeaderMap) -> Box<dyn Tap> {
        let tap = self.tap(stream, status);
        if self.family == DialectId::BedrockConverse { crate::bedrock::with_head(tap, headers) } else { tap }
    }

    /// An observer of one answer that passes untouched. `stream` is whether it comes as an event stream.
    #[must_use]
    pub fn tap(&'static self, stream: bool, status: u16) -> Box<dyn Tap> {
        match &self.kind {
            Kind::Chat => dialect(self.family).tap(stream, status),
            Kind::Plain(plain) => plain.tap(stream, status),
        }
    }
}

/// Google's methods, and their paths behind a provider's base.
const GOOGLE_PATHS: &[(&str, &str)] = &[
    ("generateContent", "/v1beta/models/{model}:generateContent"),
    ("streamGenerateContent", "/v1beta/models/{model}:streamGenerateContent"),
    ("countTokens", "/v1beta/models/{model}:countTokens"),
    ("embedContent", "/v1beta/models/{model}:embedContent"),
    ("batchEmbedContents", "/v1beta/models/{model}:batchEmbedContents"),
    ("predict", "/v1beta/models/{model}:predict"),
];

/// Amazon's operations, and their paths behind a provider's base.
const AMAZON_PATHS: &[(&str, &str)] = &[
    ("converse", "/model/{model%}/converse"),
    ("converse-stream", "/model/{model%}/converse-stream"),
    ("invoke", "/model/{model%}/invoke"),
    ("invoke-with-response-stream", "/model/{model%}/invoke-with-response-stream"),
    ("count-tokens", "/model/{model%}/count-tokens"),
];

fn all() -> impl Iterator<Item = &'static Api> {
    CHAT_APIS.iter().chain(PLAIN_APIS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (path, want) in [
            ("/openai/v1/chat/completions", Some("openai.chat")),
            ("/chat/completions", Some("openai.chat")),
            ("/v1/messages?beta=true", Some("anthropic.messages")),
            ("/v1/messages/", Some("anthropic.messages")),
            ("/messages", Some("anthropic.messages")),
            ("/v1/threads/thread_1/messages", None),
            ("/v1/messages/count_tokens", Some("anthropic.count_tokens")),
            ("/v1/messages/batches", None),
            ("/v1/complete", Some("anthropic.complete")),
            ("/v1/completions", Some("openai.completions")),
            ("/openai/deployments/d/embeddings?api-version=1", Some("openai.embeddings")),
            ("/v1/images/edits", Some("openai.images")),
            ("/v1/audio/speech", Some("openai.audio.speech")),
            ("/v1/audio/translations", Some("openai.audio.translations")),
            ("/v1/moderations", Some("openai.moderations")),
            ("/v2/rerank", Some("cohere.rerank")),
            ("/v1/models", None),
            ("/v1beta/models/gemini-2.5-pro:generateContent", Some("gemini.generateContent")),
            (
                "/v1/projects/p/locations/l/publishers/google/models/m:streamGenerateContent?alt=sse",
                Some("gemini.generateContent"),
            ),
            ("/v1beta/models/m:countTokens", Some("gemini.countTokens")),
        ] {
            assert_eq!(Api::of_path(path).map(Api::name), want, "{path}");
        }
    }

    #[test]
    fn a_gateway_serves_exact_paths_with_or_without_their_version() {
        let at = |path| Api::at_gateway(path).map(|(api, end)| (api.name(), end));
        assert_eq!(at("/v1/embeddings"), Some(("openai.embeddings", "/embeddings")));
        assert_eq!(at("/images/edits"), Some(("openai.images", "/images/edits")));
        assert_eq!(at("/messages/count_tokens"), Some(("anthropic.count_tokens", "/v1/messages/count_tokens")));
        assert_eq!(at("/x/v1/embeddings"), None);
    }

    #[test]
    fn googles_paths_name_the_model_up_to_the_last_colon() {
        let at = |path| Api::of_google(path).map(|(api, usual, model)| (api.name(), usual, model));
        let chat = "gemini.generateContent";
        let stream = "/v1beta/models/{model}:streamGenerateContent";
        assert_eq!(
            at("/v1beta/models/openai/ft:gpt-4o:x:streamGenerateContent"),
            Some((chat, stream, "openai/ft:gpt-4o:x"))
        );
        assert_eq!(at("/v1beta/models/m:unheardOf"), None);
        assert_eq!(at("/v1beta/models/m"), None);
    }

    #[test]
    fn names_are_unique_and_found() {
        for api in Api::all() {
            assert!(std::ptr::eq(Api::named(api.name()).unwrap(), api), "{}", api.name());
            for end in api.ends {
                assert_eq!(Api::of_path(end).map(Api::name), Some(api.name()), "{end}");
            }
        }
    }
}
