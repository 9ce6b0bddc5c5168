//! Embeddings across dialects: one canonical request and answer, as for chats.
//!
//! ```
//! use tachograph_providers::{Api, Registry, embed};
//!
//! let (asked, gemini) = (Api::named("openai.embeddings").unwrap(), Registry::builtin().get("gemini").unwrap());
//! let body = br#"{"model":"m","input":["a","b"],"dimensions":2}"#;
//! let target = embed::target(asked, body, gemini, "gemini-embedding-001").unwrap();
//! let request = embed::decode_request(asked, body, None).unwrap();
//! let sent = embed::encode_request(target.api, &request, "gemini-embedding-001").unwrap();
//! assert_eq!(target.path, "/v1beta/models/{model}:batchEmbedContents");
//! let answer = embed::decode_answer(target.api, br#"{"embeddings":[{"values":[0.5,1]},{"values":[0.25,0]}]}"#).unwrap();
//! let body: serde_json::Value = serde_json::from_slice(&embed::encode_answer(asked, &request, &answer, Some(2))).unwrap();
//! assert_eq!(body["data"][1]["embedding"][0], 0.25);
//! # let _ = sent;
//! ```

mod answer;
mod families;
mod request;

pub use answer::{Embeddings, decode_answer, encode_answer};
pub use families::Family;
pub use request::{EmbedRequest, decode_request, encode_request};

use crate::{Api, DialectId, Provider};

/// Where embeddings of a provider are to be had.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The API that it has for them.
    pub api: &'static Api,
    /// Its path behind the provider's base; `{model}` stands for the model.
    pub path: &'static str,
}

/// The API for embeddings of each dialect. Where there are two, the one that takes several texts.
const TARGETS: &[(DialectId, &str, &str)] = &[
    (DialectId::OpenAiChat, "openai.embeddings", "/embeddings"),
    (DialectId::OpenAiResponses, "openai.embeddings", "/embeddings"),
    (DialectId::GeminiGenerateContent, "gemini.batchEmbedContents", "/v1beta/models/{model}:batchEmbedContents"),
    (DialectId::CohereChat, "cohere.embed", "/v2/embed"),
    (DialectId::OllamaChat, "ollama.embed", "/api/embed"),
    (DialectId::BedrockConverse, "bedrock.invoke", "/model/{model%}/invoke"),
];

/// The APIs that are for embeddings, however they ask for them.
const APIS: [&str; 6] = [
    "openai.embeddings",
    "gemini.embedContent",
    "gemini.batchEmbedContents",
    "gemini.predict",
    "cohere.embed",
    "ollama.embed",
];
/// What makes embeddings by models of some families, and other things by others.
const INVOKE: &str = "bedrock.invoke";
/// Google's cloud has the older API for them.
const PREDICT: &str = "gemini.predict";

/// How a provider is asked for what a caller of `api` wants with this body, if that is embeddings and the provider has
/// them in this model. The provider's own path for the API goes before the one that is told here.
#[must_use]
pub fn target(api: &Api, body: &[u8], provider: &Provider, model: &str) -> Option<Target> {
    let asks = APIS.contains(&api.name()) || (api.name() == INVOKE && Family::of_body(body).is_some());
    if !asks {
        return None;
    }
    let (_, name, path) = TARGETS.iter().find(|(dialect, ..)| *dialect == provider.dialect)?;
    if *name == INVOKE && Family::of_model(model).is_none() {
        return None;
    }
    let name = if provider.paths.contains_key(PREDICT) { PREDICT } else { name };
    Some(Target { api: Api::named(name)?, path })
}
