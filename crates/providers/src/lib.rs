//! Providers and the wire formats they speak: bytes in, values out.
//!
//! A *provider* is a row of data ([`Registry`], `providers.toml`): where it is, how its key is sent, which dialect it
//! speaks and what it does differently. A *dialect* is a pair of codecs ([`Dialect`]) between its bytes and the one
//! canonical conversation ([`chat`]); any dialect translates to any other through it. Nothing here does IO.
//!
//! A gateway that takes OpenAI's format and asks Anthropic:
//!
//! ```
//! use tachograph_providers::{Answering, DialectId, Registry, dialect};
//!
//! let (client, provider) = (dialect(DialectId::OpenAiChat), Registry::builtin().get("anthropic").unwrap());
//! let upstream = dialect(provider.dialect);
//! let asked = client.decode_request(br#"{"model":"fast","messages":[{"role":"user","content":"Hi"}],"seed":7}"#)?;
//! let sent = upstream.encode_request(&asked, "claude-haiku-4-5", provider, 4_096)?;
//! assert!(sent.body.starts_with(br#"{"model":"claude-haiku-4-5","#));
//! assert_eq!(sent.notes[0].feature, "seed"); // Anthropic has none: the caller is told.
//!
//! let answer = upstream.decode_response(br#"{"type":"message","content":[{"type":"text","text":"Hello"}],
//!     "stop_reason":"end_turn","usage":{"input_tokens":9,"output_tokens":2}}"#)?;
//! let to = Answering { id: "chatcmpl-1".into(), created: 1_795_000_000, model: "fast".into() };
//! let body: serde_json::Value = serde_json::from_slice(&client.encode_response(&answer, &to)).unwrap();
//! assert_eq!(body["choices"][0]["message"]["content"], "Hello");
//! assert_eq!(body["usage"]["total_tokens"], 11);
//! # Ok::<(), tachograph_reply::ApiError>(())
//! ```
//!
//! Where both sides speak one dialect nothing is translated: bytes pass, [`Api::tap`] looks at them, [`json`] edits
//! the one field that must change, and [`HideUsage`] takes out what asking for usage put in.
//!
//! To add a provider of a known dialect, add a table to `providers.toml`. To have an API read that is no conversation
//! (embeddings, images, …), add a row to the table in `plain`. To add a dialect, add a module like
//! `openai_chat`, a variant to [`DialectId`] and a line to the table in `dialect.rs`; what it cannot say goes into the
//! table in [`loss`].

mod anthropic;
mod api;
pub mod array;
mod bedrock;
pub mod chat;
mod cohere;
mod conversation;
mod dialect;
mod effort;
pub mod embed;
mod fault;
mod frames;
mod gemini;
mod hide;
mod host;
pub mod json;
pub mod loss;
mod object;
mod ollama;
mod openai_chat;
mod openai_responses;
mod plain;
mod provider;
mod realtime;
mod registry;
mod seal;
pub mod sse;
mod tap;
pub mod template;
mod told;
pub mod usage;

pub use api::Api;
pub use chat::StreamEvent;
pub use conversation::{Conversation, conversation};
pub use dialect::{Answering, Dialect, DialectId, Encoded, StreamReader, StreamWriter, dialect, dialect_of_api};
pub use fault::stream_error;
pub use hide::{HideUsage, ask_for_usage};
pub use host::HostParts;
pub use loss::{Action, Note};
pub use provider::{AuthStyle, MaxTokensField, Part, Provider, Quirks, StreamUsage, ThinkingReplay, Variant};
pub use realtime::SESSION_CLOSED;
pub use registry::Registry;
use tachograph_reply::ApiError;
pub use tap::opaque_tap;
pub use told::as_event_stream;

/// Reads the error of an answer: its body in whatever shape it is, and the kind that Bedrock names in a header.
#[must_use]
pub fn decode_error(id: DialectId, status: http::StatusCode, headers: &http::HeaderMap, body: &[u8]) -> ApiError {
    bedrock::named_by_head(dialect(id).decode_error(status, body), headers)
}
