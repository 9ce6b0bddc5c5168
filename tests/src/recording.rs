//! Recorded traffic, where it is there: `TACHOGRAPH_SHARED`, or `../shared` beside the repository.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use base64::Engine;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use crate::Reply;

/// One exchange with a provider.
#[derive(Clone, Debug, Deserialize)]
pub struct Recording {
    /// Its stable name.
    pub id: String,
    /// Who answered.
    pub provider: String,
    /// The wire format.
    pub dialect: String,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// What was asked.
    pub request: Asked,
    /// What was answered.
    pub response: Answered,
    expected: Value,
}

/// The request of a recording.
#[derive(Clone, Debug, Deserialize)]
pub struct Asked {
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub path: String,
    /// Its body, as `body_encoding` says.
    pub body: Value,
    /// `json`, `utf8`, `base64` or `none`.
    pub body_encoding: String,
}

/// The answer of a recording.
#[derive(Clone, Debug, Deserialize)]
pub struct Answered {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: std::collections::BTreeMap<String, String>,
    /// Its body, as `body_encoding` says.
    pub body: String,
    /// `utf8` or `base64`.
    pub body_encoding: String,
}

/// What a reader gets out of an answer; absent where the provider did not say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Expected {
    /// The model as answered.
    pub model: Option<String>,
    /// Every token read.
    pub input_tokens: Option<u64>,
    /// Of these, read from a cache.
    pub cached_input_tokens: Option<u64>,
    /// Of these, written to a cache.
    pub cache_write_tokens: Option<u64>,
    /// Every token written.
    pub output_tokens: Option<u64>,
    /// Of these, for reasoning.
    pub reasoning_tokens: Option<u64>,
    /// In OpenAI's words.
    pub finish_reason: Option<String>,
    /// All text of the first choice.
    pub text: Option<String>,
    /// Calls of the client's tools.
    pub tool_calls: Option<Vec<ToolCall>>,
    /// Kinds of tools that the provider ran itself.
    pub server_tools: Option<Vec<String>>,
    /// The error's type.
    pub error_type: Option<String>,
}

/// A call of a client's tool.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ToolCall {
    /// The call's id.
    pub id: Option<String>,
    /// The tool's name.
    pub name: String,
    /// Parsed; the raw text where it is no JSON.
    pub arguments: Value,
}

impl Recording {
    /// What a reader gets out of the answer.
    #[must_use]
    pub fn expected(&self) -> Expected {
        serde_json::from_value(self.expected.clone()).unwrap_or_else(|error| panic!("{}: {error}", self.id))
    }

    /// Whether the answer's usage was looked at when the expectations were made.
    #[must_use]
    pub fn tells_usage(&self) -> bool {
        !self.expected["usage_raw"].is_null() || !self.expected["input_tokens"].is_null()
    }

    /// The request's body as bytes.
    #[must_use]
    pub fn request_body(&self) -> Option<Bytes> {
        match self.request.body_encoding.as_str() {
            "json" => Some(self.request.body.to_string().into()),
            "utf8" => self.request.body.as_str().map(|text| text.to_owned().into()),
            "none" => Some(Bytes::new()),
            "base64" => self.request.body.as_str().map(unwrapped),
            _ => None,
        }
    }

    /// The answer's body as bytes.
    #[must_use]
    pub fn response_body(&self) -> Option<Bytes> {
        match self.response.body_encoding.as_str() {
            "utf8" => Some(Bytes::from(self.response.body.clone())),
            "base64" => Some(unwrapped(&self.response.body)),
            _ => None,
        }
    }

    /// The answer as an upstream gives it.
    #[must_use]
    pub fn reply(&self) -> Reply {
        let headers = self.headers_of_the_message();
        let body = self.response_body().unwrap_or_default();
        if self.stream && self.response.status == 200 {
            Reply::chunked(self.response.status, &headers, [body])
        } else {
            Reply::document(self.response.status, &headers, body)
        }
    }

    /// The answer in chunks of `size` bytes.
    #[must_use]
    pub fn reply_in_pieces_of(&self, size: usize) -> Reply {
        let whole = self.reply();
        if whole.chunked {
            return whole.in_pieces_of(size);
        }
        Reply::chunked(self.response.status, &self.headers_of_the_message(), whole.pieces).in_pieces_of(size)
    }

    /// The answer's headers, without those that say how it was sent.
    fn headers_of_the_message(&self) -> Vec<(&str, &str)> {
        const OF_THE_CONNECTION: [&str; 4] = ["transfer-encoding", "content-length", "content-encoding", "connection"];
        let all = self.response.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        all.filter(|(name, _)| !OF_THE_CONNECTION.contains(name)).collect()
    }

    /// Whether the request asked for usage at the stream's end.
    #[must_use]
    pub fn asks_for_usage(&self) -> bool {
        self.request.body["stream_options"]["include_usage"] == true
    }
}

fn unwrapped(text: &str) -> Bytes {
    base64::engine::general_purpose::STANDARD.decode(text).unwrap().into()
}

/// The recordings whose dialect passes `wanted`, by id. None where there are no recordings on this machine, which is said
/// once, and fails under `CI=true`.
#[must_use]
pub fn recordings(wanted: impl Fn(&str) -> bool) -> Option<Vec<Arc<Recording>>> {
    let Some(traffic) = folder().map(|shared| shared.join("traffic")).filter(|path| path.is_dir()) else {
        static ONCE: Once = Once::new();
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI=true asks for the recorded traffic");
        ONCE.call_once(|| eprintln!("skipped: no recorded traffic (set TACHOGRAPH_SHARED, or put it at ../shared)"));
        return None;
    };
    let mut found = Vec::new();
    for api in folders(&traffic) {
        for provider in folders(&api) {
            for file in files(&provider) {
                let text = std::fs::read_to_string(&file).unwrap();
                // Only what is wanted is parsed: there is a lot of the rest.
                if dialect_of(&text).is_some_and(&wanted) {
                    let recording: Recording = serde_json::from_str(&text)
                        .unwrap_or_else(|error| panic!("{} is no recording: {error}", file.display()));
                    found.push(Arc::new(recording));
                }
            }
        }
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    Some(found)
}

fn dialect_of(text: &str) -> Option<&str> {
    text.split_once("\"dialect\":")?.1.split('"').nth(1)
}

fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("TACHOGRAPH_SHARED").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(|above| above.join("shared"));
    named.or_else(beside)
}

fn folders(path: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
}

fn files(path: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
}
