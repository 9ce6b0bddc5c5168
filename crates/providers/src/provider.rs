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
    /// The chat API's path, appended to the base and the prefix; `{model}` in it stands for the model, which the body then
    /// does not name.
    pub chat_path: String,
    /// The chat API's path for streams, where it is another.
    pub stream_path: Option<String>,
    /// What stands between the base and the usual path of an API; paths that are named in `paths` go without.
    pub prefix: String,
    /// A query for every path.
    pub query: Option<String>,
    /// Named parts of its URLs (`{region}`), by name: what each can be taken from.
    pub parts: BTreeMap<String, Part>,
    /// Fields that go into a chat's body where it does not have them.
    pub body: serde_json::Map<String, serde_json::Value>,
    /// What is different for some models, or where some part of its URLs is set or is not.
    pub variants: Vec<Variant>,
    /// Paths of other APIs it has, by their names in records, appended to the base. A chat API that stands here needs no
    /// translation; any other only has to stand here where its path is not the usual one.
    pub paths: BTreeMap<String, String>,
    /// How its key is sent.
    pub auth: AuthStyle,
    /// Headers added where the caller sent none of that name.
    pub headers: Vec<(String, String)>,
    /// Environment variables its key is taken from, the first that is set.
    pub env: Vec<String>,
    /// Environment variables its base URL is taken from, the first that is set.
    pub base_env: Vec<String>,
    /// First labels of a Host that mean it (`oai.example.com`).
    pub host_labels: Vec<String>,
    /// Public hosts it is at besides that of its base, in which `{part}` stands for one label.
    pub hosts: Vec<String>,
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
        let is_own = |own: &str| !own.contains('{') && (behind_base == own || path == own);
        if is_own(&self.chat_path) {
            return Some(Api::of_dialect(self.dialect));
        }
        Api::of_path(path)
    }

    /// The model that a path of this provider names, and whether a stream is asked for, where that says so and not the
    /// body: Azure's deployments, what Google serves of others.
    #[must_use]
    pub fn model_in(&self, path: &str) -> Option<(String, Option<bool>)> {
        let predicted = || {
            let (model, verb) = path.split_once("/models/")?.1.rsplit_once(':')?;
            verb.ends_with("awPredict").then(|| (model.to_owned(), Some(verb == "streamRawPredict")))
        };
        let deployed = || {
            let (name, _api) = path.split_once("/deployments/")?.1.split_once('/')?;
            (!name.is_empty()).then(|| (name.to_owned(), None))
        };
        let deploys = self.variants.iter().any(|variant| variant.provider.prefix.contains("/deployments/"));
        if deploys { deployed() } else { (self.auth == AuthStyle::Google).then(predicted)? }
    }

    /// The path and query of an API, appended to the base, or nothing where the provider does not have it. `usual` is the
    /// path of most providers that have it. Named parts are not filled in yet.
    #[must_use]
    pub fn path_of(&self, api: &Api, usual: &str, stream: bool) -> Option<String> {
        let path = match (self.paths.get(api.name()), api.dialect()) {
            (Some(path), _) => path.clone(),
            // Of Google's APIs each has a path that differs in its last word, and the caller has chosen.
            (None, _) if usual.contains("{model}:") => {
                let (own, _) = self.chat_path.split_once("{model}")?;
                let (_, chosen) = usual.split_once("{model}")?;
                (api.family() == self.dialect).then(|| format!("{own}{{model}}{chosen}"))?
            }
            // Bedrock's too, and they have the model's name in the middle.
            (None, _) if usual.contains("{model%}") => (api.family() == self.dialect).then(|| usual.to_owned())?,
            (None, Some(dialect)) => return (dialect == self.dialect).then(|| self.path_of_chat(stream)),
            (None, None) => (api.family() == self.dialect).then(|| format!("{}{usual}", self.prefix))?,
        };
        Some(self.with_query(path))
    }

    /// The path and query of its chat API, for a stream or not. Named parts are not filled in yet.
    #[must_use]
    pub fn path_of_chat(&self, stream: bool) -> String {
        let path = self.stream_path.as_ref().filter(|_| stream).unwrap_or(&self.chat_path);
        self.with_query(format!("{}{path}", self.prefix))
    }

    /// Whether the model is named in the path of its chat API and not in the body.
    #[must_use]
    pub fn names_model_in_path(&self) -> bool {
        self.chat_path.contains("{model")
    }

    /// The provider as it is for this model: a variant of it, or itself. `has` tells whether a named part is set.
    #[must_use]
    pub fn variant(&self, model: &str, has: impl Fn(&str) -> bool) -> Option<&Arc<Self>> {
        let fits = |variant: &&Variant| {
            (variant.models.is_empty() || variant.models.iter().any(|pattern| matches(pattern, model)))
                && variant.with.iter().all(|part| has(part))
                && !variant.without.iter().any(|part| has(part))
        };
        self.variants.iter().find(fits).map(|variant| &variant.provider)
    }

    fn with_query(&self, path: String) -> String {
        match &self.query {
            None => path,
            Some(query) => format!("{path}{}{query}", if path.contains('?') { '&' } else { '?' }),
        }
    }

    /// The path of the documented base.
    fn base_path(&self) -> &str {
        let behind_scheme = self.base_url.split_once("://").map_or(&*self.base_url, |(_, rest)| rest);
        behind_scheme.find('/').map_or("", |at| &behind_scheme[at..])
    }
}

/// A named part of a provider's URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Part {
    /// Environment variables it is taken from, the first that is set.
    pub env: Vec<String>,
    /// What it is where nobody says.
    pub default: Option<String>,
}

/// What is different about a provider for some models, or in some set-ups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    models: Vec<String>,
    with: Vec<String>,
    without: Vec<String>,
    provider: Arc<Provider>,
}

impl Variant {
    /// The provider as it is then.
    #[must_use]
    pub fn provider(&self) -> &Arc<Provider> {
        &self.provider
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
    /// Amazon's signature, version 4, over the whole request; or a bearer key of Bedrock's.
    Aws {
        /// The service that is signed for.
        service: String,
    },
    /// A token of Google's in `Authorization`, made from a service account where no token is given; a key in
    /// `x-goog-api-key`.
    Google,
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
    stream_path: Option<String>,
    #[serde(default)]
    prefix: String,
    query: Option<String>,
    #[serde(default)]
    parts: BTreeMap<String, Part>,
    #[serde(default)]
    body: serde_json::Map<String, serde_json::Value>,
    #[serde(default, rename = "variant")]
    variants: Vec<VariantRow>,
    #[serde(default)]
    paths: BTreeMap<String, String>,
    #[serde(default)]
    auth: Option<AuthStyle>,
    #[serde(default)]
    headers: Option<Vec<(String, String)>>,
    #[serde(default)]
    env: Vec<String>,
    #[serde(default)]
    base_env: Vec<String>,
    #[serde(default)]
    host_labels: Vec<String>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    quirks: Quirks,
}

/// A variant as written down: when it holds, and what is different then.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VariantRow {
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    with: Vec<String>,
    #[serde(default)]
    without: Vec<String>,
    base_url: Option<String>,
    dialect: Option<DialectId>,
    chat_path: Option<String>,
    stream_path: Option<String>,
    prefix: Option<String>,
    query: Option<String>,
    #[serde(default)]
    body: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    paths: BTreeMap<String, String>,
    auth: Option<AuthStyle>,
    quirks: Option<Quirks>,
}

impl VariantRow {
    /// The provider with what is different. Another dialect begins with that dialect's usual ways.
    fn of(self, whole: &Provider) -> Variant {
        let mut own = whole.clone();
        own.variants = Vec::new();
        if let Some(dialect) = self.dialect.filter(|dialect| *dialect != own.dialect) {
            let usual = crate::dialect::conventions(dialect);
            (own.dialect, own.chat_path, own.query) = (dialect, usual.chat_path.to_owned(), None);
            (own.stream_path, own.paths) = (usual.stream_path.map(str::to_owned), BTreeMap::new());
            own.headers = pairs(usual.headers);
            own.quirks = Quirks::default();
        }
        own.base_url = self.base_url.unwrap_or(own.base_url);
        own.chat_path = self.chat_path.unwrap_or(own.chat_path);
        own.stream_path = self.stream_path.or(own.stream_path);
        own.prefix = self.prefix.unwrap_or(own.prefix);
        own.query = self.query.or(own.query);
        own.body.extend(self.body);
        own.paths.extend(self.paths);
        own.auth = self.auth.unwrap_or(own.auth);
        own.quirks = self.quirks.unwrap_or(own.quirks);
        Variant { models: self.models, with: self.with, without: self.without, provider: Arc::new(own) }
    }
}

fn pairs(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl From<Row> for Provider {
    fn from(row: Row) -> Self {
        let usual = crate::dialect::conventions(row.dialect);
        let mut provider = Self {
            name: row.name.into(),
            aliases: row.aliases,
            base_url: row.base_url.trim_end_matches('/').to_owned(),
            dialect: row.dialect,
            stream_path: row.stream_path.or_else(|| {
                let usual = usual.stream_path.filter(|_| row.chat_path.is_none());
                usual.map(str::to_owned)
            }),
            chat_path: row.chat_path.unwrap_or_else(|| usual.chat_path.to_owned()),
            prefix: row.prefix,
            query: row.query,
            parts: row.parts,
            body: row.body,
            variants: Vec::new(),
            paths: row.paths,
            auth: row.auth.unwrap_or_else(|| (usual.auth)()),
            headers: row.headers.unwrap_or_else(|| pairs(usual.headers)),
            env: row.env,
            base_env: row.base_env,
            host_labels: row.host_labels,
            hosts: row.hosts,
            quirks: row.quirks,
        };
        provider.variants = row.variants.into_iter().map(|variant| variant.of(&provider)).collect();
        provider
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
