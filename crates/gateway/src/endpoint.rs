//! Providers as they are set up here: a row of the registry, a base URL and keys.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use tachograph_providers::{Api, AuthStyle, DialectId, Provider, Registry};
use tachograph_reply::{ApiError, ErrorKind};

use crate::admit::PROVIDER_KEY_HEADERS;
use crate::config::{Environment, ProviderConfig, Secret};
use crate::demo;

/// One provider as it is set up here.
pub struct Endpoint {
    /// What is known of the provider.
    pub provider: Arc<Provider>,
    /// Where it is.
    pub place: Place,
    documented_path: String,
    /// It is the provider itself, and that serves nobody without a key.
    needs_key: bool,
    keys: Vec<HeaderValue>,
    next_key: AtomicUsize,
    models: Vec<String>,
}

/// Where a provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Behind a URL.
    Http {
        /// `http` or `https`.
        scheme: Scheme,
        /// Host and port.
        authority: Authority,
        /// The base's path, without a trailing slash.
        path: String,
    },
    /// Inside this process.
    Demo,
}

impl Endpoint {
    fn new(provider: Arc<Provider>, config: &ProviderConfig, environment: Environment<'_>) -> Option<Self> {
        let base: Uri = config.base_url.as_deref().unwrap_or(&provider.base_url).parse().ok()?;
        let documented: Uri = provider.base_url.parse().ok()?;
        let place = Place::Http {
            scheme: base.scheme()?.clone(),
            authority: base.authority()?.clone(),
            path: base.path().trim_end_matches('/').to_owned(),
        };
        let from_environment =
            || provider.env.iter().find_map(|name| environment(name)).map(|key| Secret::from(key.as_str()));
        let secrets =
            if config.api_keys.is_empty() { from_environment().into_iter().collect() } else { config.api_keys.clone() };
        let keys = secrets.iter().filter_map(|secret| header_value(&provider.auth, secret)).collect();
        Some(Self {
            documented_path: documented.path().trim_end_matches('/').to_owned(),
            needs_key: config.base_url.is_none() && !provider.env.is_empty() && provider.auth != AuthStyle::None,
            place,
            keys,
            next_key: AtomicUsize::new(0),
            models: config.models.clone(),
            provider,
        })
    }

    /// The provider's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.provider.name
    }

    /// Whether it can be called with a key of our own.
    #[must_use]
    pub fn has_key(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Refuses a request that the provider would only refuse for want of a key, and says where one goes.
    ///
    /// # Errors
    /// Where there is no key in the request and the provider needs one.
    pub fn require_key(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), ApiError> {
        let in_query = uri.query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("key=")));
        if !self.needs_key || in_query || PROVIDER_KEY_HEADERS.iter().any(|name| headers.contains_key(name)) {
            return Ok(());
        }
        let (name, variable) = (self.name(), self.provider.env.first().map_or("", String::as_str));
        Err(ApiError::unauthorized(
            "no_provider_key",
            format!(
                "There is no key for {name} here: set {variable} or providers.{name}.api_keys and start the gateway anew, or send \
                 a key of your own, with the gateway's key in Helicone-Auth."
            ),
        ))
    }

    /// The header that a key goes in.
    #[must_use]
    pub fn key_header(&self) -> HeaderName {
        match &self.provider.auth {
            AuthStyle::Bearer | AuthStyle::Aws { .. } | AuthStyle::Google | AuthStyle::None => {
                http::header::AUTHORIZATION
            }
            AuthStyle::Header(name) => HeaderName::try_from(name.as_str()).unwrap_or(http::header::AUTHORIZATION),
        }
    }

    /// The configured key whose turn it is, as that header's value.
    #[must_use]
    pub fn key(&self) -> Option<&HeaderValue> {
        match &self.keys[..] {
            [] => None,
            [only] => Some(only),
            keys => Some(&keys[self.next_key.fetch_add(1, Ordering::Relaxed) % keys.len()]),
        }
    }

    /// Whether this is the provider whose own API that is, so that a caller's key in its place is one of its keys.
    #[must_use]
    pub fn is_home_of(&self, api: Option<&Api>) -> bool {
        api.is_some_and(|api| home(api.family()) == &**self.name())
    }

    /// Whether it serves a model under this bare name.
    #[must_use]
    pub fn serves(&self, model: &str) -> bool {
        self.models.iter().any(|pattern| matches(pattern, model))
    }

    /// The URL of one of the provider's own paths, which is appended to its base.
    ///
    /// # Errors
    /// Where it makes no URL.
    pub fn own_uri(&self, own_path: &str) -> Result<Uri, ApiError> {
        let Place::Http { path, .. } = &self.place else { return Ok(Uri::from_static("/chat/completions")) };
        self.uri(&format!("{path}{own_path}"))
    }

    /// The URL of a proxied path: one that begins with the path of the documented base has that part replaced by the
    /// configured base; any other is appended to its origin. So the same client path works whatever the base is.
    ///
    /// # Errors
    /// Where it makes no URL.
    pub fn proxied_uri(&self, path_and_query: &str) -> Result<Uri, ApiError> {
        let Place::Http { path: base, .. } = &self.place else { return Ok(Uri::from_static("/chat/completions")) };
        let behind_base = path_and_query.strip_prefix(self.documented_path.as_str());
        match behind_base.filter(|rest| rest.is_empty() || rest.starts_with(['/', '?'])) {
            Some(rest) => self.uri(&format!("{base}{rest}")),
            None => self.uri(path_and_query),
        }
    }

    fn uri(&self, path_and_query: &str) -> Result<Uri, ApiError> {
        let Place::Http { scheme, authority, .. } = &self.place else { return Ok(Uri::from_static("/")) };
        let path_and_query: Result<PathAndQuery, _> = path_and_query.parse();
        let parts = path_and_query.ok().map(|path| (scheme.clone(), authority.clone(), path));
        let uri = parts.and_then(|(scheme, authority, path)| {
            Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build().ok()
        });
        uri.ok_or_else(|| {
            ApiError::new(ErrorKind::InvalidRequest, "invalid_path", "The path makes no URL of the provider's.")
        })
    }
}

/// A row for a provider that is not built in: its dialect's usual paths and ways.
fn custom(name: &str, dialect: DialectId, base_url: &str) -> Option<Provider> {
    serde_json::from_value(serde_json::json!({ "name": name, "dialect": dialect, "base_url": base_url })).ok()
}

/// The provider whose own dialect this is.
const fn home(dialect: DialectId) -> &'static str {
    match dialect {
        DialectId::OpenAiChat | DialectId::OpenAiResponses => "openai",
        DialectId::AnthropicMessages => "anthropic",
        DialectId::GeminiGenerateContent => "gemini",
        DialectId::CohereChat => "cohere",
        DialectId::OllamaChat => "ollama-native",
        DialectId::BedrockConverse => "bedrock",
    }
}

fn header_value(auth: &AuthStyle, secret: &Secret) -> Option<HeaderValue> {
    let text = match auth {
        AuthStyle::Bearer | AuthStyle::Aws { .. } | AuthStyle::Google => format!("Bearer {}", secret.expose()),
        AuthStyle::Header(_) | AuthStyle::None => secret.expose().to_owned(),
    };
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `llama-*` stands for every name that begins so; `*` may stand anywhere and stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// All providers that are set up here, by every name they go by.
pub struct Endpoints {
    by_name: HashMap<String, Arc<Endpoint>>,
    by_host_label: HashMap<String, Arc<Endpoint>>,
    with_models: Vec<Arc<Endpoint>>,
}

impl Endpoints {
    /// The built-in providers, as the configuration changes and adds to them, with keys from it or the environment.
    #[must_use]
    pub fn new(configured: &BTreeMap<String, ProviderConfig>, environment: Environment<'_>) -> Self {
        let mut endpoints = Self { by_name: HashMap::new(), by_host_label: HashMap::new(), with_models: Vec::new() };
        let registry = Registry::builtin();
        let nothing = ProviderConfig::default();
        for provider in registry.iter() {
            let names = std::iter::once(&*provider.name).chain(provider.aliases.iter().map(String::as_str));
            let config = names.clone().find_map(|name| configured.get(name)).unwrap_or(&nothing);
            endpoints.insert(Endpoint::new(provider.clone(), config, environment));
        }
        for (name, config) in configured.iter().filter(|(name, _)| registry.get(name).is_none()) {
            let row =
                config.dialect.zip(config.base_url.as_ref()).and_then(|(dialect, base)| custom(name, dialect, base));
            endpoints.insert(row.and_then(|row| Endpoint::new(Arc::new(row), config, environment)));
        }
        endpoints.insert(demo::endpoint());
        endpoints
    }

    fn insert(&mut self, endpoint: Option<Endpoint>) {
        let Some(endpoint) = endpoint.map(Arc::new) else { return };
        let provider = endpoint.provider.clone();
        for name in std::iter::once(provider.name.to_string()).chain(provider.aliases.iter().cloned()) {
            self.by_name.insert(name, endpoint.clone());
        }
        for label in &provider.host_labels {
            self.by_host_label.insert(label.clone(), endpoint.clone());
        }
        if !endpoint.models.is_empty() {
            self.with_models.push(endpoint);
        }
    }

    /// The provider of this name or alias.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Endpoint>> {
        self.by_name.get(name)
    }

    /// The provider that a request's host names by its first label: `oai` of `oai.example.com`.
    #[must_use]
    pub fn by_host(&self, headers: &HeaderMap, uri: &Uri) -> Option<&Arc<Endpoint>> {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).or_else(|| uri.host())?;
        let (label, _domain) = host.split_once('.')?;
        self.by_host_label.get(label)
    }

    /// The provider that is configured to serve this model under its bare name.
    #[must_use]
    pub fn serving(&self, model: &str) -> Option<&Arc<Endpoint>> {
        self.with_models.iter().find(|endpoint| endpoint.serves(model))
    }

    /// The names of the providers that can be called with a key of our own.
    #[must_use]
    pub fn with_keys(&self) -> Vec<&str> {
        let with_keys = self.by_name.values().filter(|endpoint| endpoint.has_key());
        let mut names: Vec<&str> = with_keys.map(|endpoint| &**endpoint.name()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl Endpoint {
    /// A provider inside this process, which needs no URL and no key.
    pub(crate) fn in_process(name: &str, dialect: DialectId, models: Vec<String>) -> Option<Self> {
        Some(Self {
            provider: Arc::new(custom(name, dialect, "http://in-process.invalid")?),
            place: Place::Demo,
            documented_path: String::new(),
            needs_key: false,
            keys: Vec::new(),
            next_key: AtomicUsize::new(0),
            models,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(base_url: Option<&str>) -> Endpoint {
        let config = ProviderConfig { base_url: base_url.map(str::to_owned), ..ProviderConfig::default() };
        let openai = Registry::builtin().get("openai").unwrap().clone();
        Endpoint::new(openai, &config, &|_| None).unwrap()
    }

    #[test]
    fn the_same_client_path_works_whatever_the_base_is() {
        for (base, path, expected) in [
            (None, "/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
            (Some("http://127.0.0.1:1/v1"), "/v1/chat/completions", "http://127.0.0.1:1/v1/chat/completions"),
            (Some("http://127.0.0.1:1"), "/v1/files?x=1", "http://127.0.0.1:1/files?x=1"),
            (Some("http://127.0.0.1:1/openai/"), "/v1", "http://127.0.0.1:1/openai"),
            (Some("http://127.0.0.1:1/openai"), "/v11/x", "http://127.0.0.1:1/v11/x"),
            (Some("http://127.0.0.1:1/openai"), "/other", "http://127.0.0.1:1/other"),
        ] {
            assert_eq!(endpoint(base).proxied_uri(path).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("llama-*", "llama-3-8b", true),
            ("llama-*", "a-llama-3", false),
            ("*", "anything", true),
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("*-mini", "gpt-4o-mini", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn keys_take_turns_and_are_sensitive() {
        let config = ProviderConfig { api_keys: vec!["a".into(), "b".into()], ..ProviderConfig::default() };
        let openai = Registry::builtin().get("openai").unwrap().clone();
        let endpoint = Endpoint::new(openai, &config, &|_| Some("ignored".to_owned())).unwrap();
        let turns: Vec<_> = (0..3).map(|_| endpoint.key().unwrap().clone()).collect();
        assert_eq!(turns, ["Bearer a", "Bearer b", "Bearer a"]);
        assert!(turns.iter().all(HeaderValue::is_sensitive));
    }
}
