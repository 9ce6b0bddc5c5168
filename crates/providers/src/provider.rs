//! What a provider is: a row of data.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Api, DialectId};

/// A provider. The built-in ones stand in `providers.toml`; a user's configuration brings more of the same form, of
/// which only `base_url` and `dialect` must be given.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Row")]
pub struct Provider {
    /// Its name, in paths, configuration, records and model prefixes alike.
    pub name: Arc<str>,
    /// Other names it answers to.
    pub aliases: Vec<String>,
    /// The documented base, without a slash at its end.
    pub base_url: String,
    /// The dialect its chat API speaks.
    pub dialect: DialectId,
    /// The chat API's path, appended to the base.
    pub chat_path: String,
    /// Paths of other APIs it has, by their names in records, appended to the base. A chat API that stands here needs no
    /// translation; any other only has to stand here where its path is not the usual one.
    pub paths: BTreeMap<String, String>,
    /// How its key is sent.
    pub auth: AuthStyle,
    /// Headers added where the caller sent none of that name.
    pub headers: Vec<(String, String)>,
    /// Environment variables its key is taken from, the first that is set.
    pub env: Vec<String>,
    /// First labels of a Host that mean it (`oai.example.com`).
    pub host_labels: Vec<String>,
    /// Where it differs from others of its dialect.
    pub quirks: Quirks,
}

impl Provider {
    /// The API that a path of this provider speaks, if its bodies are understood: its own chat path, whatever that is, or
    /// one that ends as those of a known API do. The path may begin with that of the documented base, or not.
    #[must_use]
    pub fn api_of(&self, path: &str) -> Option<&'static Api> {
        let path = path.split(['?', '#']).next().unwrap_or(path).trim_end_matches('/');
        let behind_base = path.strip_prefix(self.base_path()).unwrap_or(path);
        if behind_base == self.chat_path || path == self.chat_path {
            return Some(Api::of_dialect(self.dialect));
        }
        Api::of_path(path)
    }

    /// The path of an API, appended to the base, or nothing where the provider does not have it. `usual` is the path of
    /// most providers that have it.
    #[must_use]
    pub fn path_of<'a>(&'a self, api: &Api, usual: &'a str) -> Option<&'a str> {
        match (self.paths.get(api.name()), api.dialect()) {
            (Some(path), _) => Some(path),
            // Of Google's chat API there are two paths, and the caller has chosen.
            (None, Some(dialect)) if usual.contains("{model}") => (dialect == self.dialect).then_some(usual),
            (None, Some(dialect)) => (dialect == self.dialect).then_some(&self.chat_path),
            (None, None) => (api.family() == self.dialect).then_some(usual),
        }
    }

    /// The path of the documented base.
    fn base_path(&self) -> &str {
        let behind_scheme = self.base_url.split_once("://").map_or(&*self.base_url, |(_, rest)| rest);
        behind_scheme.find('/').map_or("", |at| &behind_scheme[at..])
    }
}

/// How a provider's key is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthStyle {
    /// `Authorization: Bearer <key>`
    #[default]
    Bearer,
    /// The bare key in this header.
    Header(String),
    /// There is none.
    None,
}

/// Where a provider differs from others of its dialect. Defaults are what most servers do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// How to have usage in streams.
    pub stream_usage: StreamUsage,
    /// The name of the limit of output tokens.
    pub max_tokens_field: MaxTokensField,
    /// Whether it knows the `developer` role; else `system` is sent.
    pub developer_role: bool,
    /// The field in which reasoning of earlier turns is sent back; where there is none it is left out, because
    /// providers refuse fields they do not know.
    pub thinking_replay: ThinkingReplay,
    /// Whether it takes `cache_control` marks in OpenAI's format.
    pub cache_control: bool,
    /// Models (with `*` for anything) that think up to a budget of tokens; all others are told an effort and decide
    /// themselves. Of Anthropic's and Google's dialects only.
    pub budget_models: Vec<String>,
    /// Models (with `*` for anything) that refuse calls of earlier turns without their proof. Of Google's dialect only.
    pub signing_models: Vec<String>,
}

impl Quirks {
    /// Whether this model thinks up to a budget instead of as it sees fit.
    #[must_use]
    pub fn thinks_to_a_budget(&self, model: &str) -> bool {
        self.budget_models.iter().any(|pattern| matches(pattern, model))
    }

    /// Whether this model refuses calls of earlier turns without their proof.
    #[must_use]
    pub fn signs_calls(&self, model: &str) -> bool {
        self.signing_models.iter().any(|pattern| matches(pattern, model))
    }
}

/// How to have usage in streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamUsage {
    /// Ask with `stream_options.include_usage`, and hide the answer from those who did not ask.
    #[default]
    Inject,
    /// It comes unasked.
    Always,
    /// `stream_options` is refused.
    Never,
}

/// The name of the limit of output tokens in OpenAI's format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// `max_tokens`, which most compatible servers know alone.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`, which newer models demand.
    MaxCompletionTokens,
    /// Whichever the caller used.
    AsAsked,
}

/// The field in which reasoning of earlier turns is sent back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinkingReplay {
    /// None.
    #[default]
    None,
    /// `reasoning_content`
    ReasoningContent,
    /// `reasoning`
    Reasoning,
    /// `reasoning_details`, signatures and all.
    ReasoningDetails,
}

/// A provider as written down.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(default)]
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    base_url: String,
    dialect: DialectId,
    chat_path: Option<String>,
    #[serde(default)]
    paths: BTreeMap<String, String>,
    #[serde(default)]
    auth: Option<AuthStyle>,
    #[serde(default)]
    headers: Option<Vec<(String, String)>>,
    #[serde(default)]
    env: Vec<String>,
    #[serde(default)]
    host_labels: Vec<String>,
    #[serde(default)]
    quirks: Quirks,
}

impl From<Row> for Provider {
    fn from(row: Row) -> Self {
        let usual = crate::dialect::conventions(row.dialect);
        Self {
            name: row.name.into(),
            aliases: row.aliases,
            base_url: row.base_url.trim_end_matches('/').to_owned(),
            dialect: row.dialect,
            chat_path: row.chat_path.unwrap_or_else(|| usual.chat_path.to_owned()),
            paths: row.paths,
            auth: row.auth.unwrap_or_else(|| (usual.auth)()),
            headers: row.headers.unwrap_or_else(|| {
                usual.headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
            }),
            env: row.env,
            host_labels: row.host_labels,
            quirks: row.quirks,
        }
    }
}

/// Whether `text` fits a pattern in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).filter(|&at| rest.is_char_boundary(at)).any(|at| matches(tail, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, want) in [
            ("claude-3*", "claude-3-5-sonnet", true),
            ("claude-3*", "claude-opus-4", false),
            ("*-4-5*", "claude-haiku-4-5-20251001", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("ü*", "über", true),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} {text}");
        }
    }

    #[test]
    fn a_providers_own_chat_path_is_read_in_its_dialect() {
        let api = |provider: &str, path: &str| crate::Registry::builtin().get(provider)?.api_of(path).map(Api::name);
        assert_eq!(api("writer", "/v1/chat"), Some("openai.chat"));
        assert_eq!(api("writer", "/v1/chat?x=1"), Some("openai.chat"));
        assert_eq!(api("openai", "/v1/talk"), None);
        assert_eq!(api("cohere", "/v1/chat"), Some("cohere.chat.v1"));
        assert_eq!(api("ollama", "/api/chat"), Some("ollama.chat"));
        assert_eq!(api("openai", "/v1/embeddings"), Some("openai.embeddings"));
        assert_eq!(api("anthropic", "/v1/messages"), Some("anthropic.messages"));
    }

    #[test]
    fn a_custom_provider_needs_two_fields_and_may_not_misspell_any() {
        let provider: Provider = toml::from_str("base_url = 'http://127.0.0.1:8000/v1/'\ndialect = 'openai'").unwrap();
        assert_eq!(
            (provider.base_url.as_str(), provider.chat_path.as_str()),
            ("http://127.0.0.1:8000/v1", "/chat/completions")
        );
        assert_eq!((provider.auth, provider.quirks), (AuthStyle::Bearer, Quirks::default()));
        let provider: Provider = toml::from_str("base_url = 'http://proxy'\ndialect = 'anthropic'").unwrap();
        assert_eq!(provider.auth, AuthStyle::Header("x-api-key".to_owned()));
        assert_eq!(provider.headers, [("anthropic-version".to_owned(), "2023-06-01".to_owned())]);
        assert!(toml::from_str::<Provider>("base_url = 'x'\ndialect = 'openai'\nbase_ulr = 'y'").is_err());
        assert!(
            toml::from_str::<Provider>("base_url = 'x'\ndialect = 'openai'\nquirks = { developer = true }").is_err()
        );
    }
}
