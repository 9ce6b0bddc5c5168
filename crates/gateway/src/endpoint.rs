//! Providers as they are set up here: a row of the registry, a base URL and keys.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::header::HOST;
use http::{HeaderMap, HeaderName, Uri};
use tachograph_providers::{Api, AuthStyle, DialectId, Provider, Registry, Variant};
use tachograph_record::OrgId;
use tachograph_reply::{ApiError, ErrorKind};
use tachograph_routing::{Clock, fits};

use crate::config::{AllowedTarget, Environment, ProviderConfig, Secret};
use crate::credential::{Credential, Credentials};
use crate::demo;
use crate::place::{Parts, Place, Setting, not_set, region_in};
use crate::vault::Version;

/// One provider as it is set up here.
pub struct Endpoint {
    /// What is known of the provider.
    pub provider: Arc<Provider>,
    /// Where it is.
    pub place: Place,
    /// Variants of it that may hold here, with where they are.
    variants: Vec<Setting>,
    parts: Parts,
    documented_path: String,
    /// It is the provider itself, at its documented address.
    at_home: bool,
    /// A caller named its URL.
    is_target: bool,
    /// Only public addresses are connected to.
    public_only: bool,
    credentials: Credentials,
    /// Keys out of the vault, each for its organisation's calls.
    vaulted: ArcSwap<Vaulted>,
    clock: Clock,
    models: Vec<String>,
    /// What models are called there, where that is not their name.
    deployments: BTreeMap<String, String>,
}

/// Keys out of the vault.
#[derive(Default)]
struct Vaulted {
    /// Which.
    versions: Vec<Version>,
    keys: HashMap<OrgId, Credentials>,
}

impl Endpoint {
    fn new(provider: Arc<Provider>, config: &ProviderConfig, environment: Environment<'_>) -> Option<Self> {
        let credentials = Credentials::of(&provider, config, environment);
        let mut parts = Parts::default();
        for (name, part) in &provider.parts {
            let from_environment = || part.env.iter().find_map(|name| environment(name));
            let of_credentials = || credentials.project().filter(|_| name == "project");
            let value = config.part(name).map(str::to_owned).or_else(from_environment);
            parts.0.extend(
                value.or_else(of_credentials).or_else(|| part.default.clone()).map(|value| (name.clone(), value)),
            );
        }
        let configured =
            config.base_url.clone().or_else(|| provider.base_env.iter().find_map(|name| environment(name)));
        let place_of = |base: &str| Place::of(configured.as_deref().unwrap_or(base), &parts);
        let variants = provider.variants.iter().map(Variant::provider);
        let variants = variants
            .filter_map(|variant| Some(Setting { place: place_of(&variant.base_url)?, provider: variant.clone() }));
        let documented = tachograph_providers::template::fill(&provider.base_url, |name| {
            Some(parts.get(name).unwrap_or_else(|| "unset".to_owned()))
        });
        let documented: Uri = documented.ok()?.parse().ok()?;
        Some(Self {
            documented_path: documented.path().trim_end_matches('/').to_owned(),
            at_home: configured.is_none(),
            is_target: false,
            public_only: false,
            place: place_of(&provider.base_url)?,
            variants: variants.collect(),
            credentials,
            vaulted: ArcSwap::default(),
            clock: Clock::start(),
            models: config.models.clone(),
            deployments: config.deployments.clone(),
            parts,
            provider,
        })
    }

    /// The provider as it is for this model.
    pub(crate) fn provider_for(&self, model: &str) -> &Arc<Provider> {
        self.provider.variant(model, |part| self.parts.has(part)).unwrap_or(&self.provider)
    }

    fn place_of(&self, provider: &Arc<Provider>) -> &Place {
        let variant = self.variants.iter().find(|variant| Arc::ptr_eq(&variant.provider, provider));
        variant.map_or(&self.place, |variant| &variant.place)
    }

    /// What a model is called there.
    pub(crate) fn deployment_of<'a>(&'a self, model: &'a str) -> &'a str {
        self.deployments.get(model).map_or(model, String::as_str)
    }

    /// The model that is called so there, where the configuration says so.
    pub(crate) fn model_deployed_as(&self, name: &str) -> Option<&str> {
        self.deployments.iter().find(|(_, deployment)| *deployment == name).map(|(model, _)| model.as_str())
    }

    /// The provider's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.provider.name
    }

    /// Whether it can be called with a key of our own, whoever calls.
    #[must_use]
    pub fn has_key(&self) -> bool {
        !self.credentials.is_empty() || !self.vaulted.load().keys.is_empty()
    }

    /// Whether it can be called with a key of our own for this organisation.
    #[must_use]
    pub fn has_key_for(&self, org: OrgId) -> bool {
        !self.credentials.is_empty() || self.vaulted.load().keys.contains_key(&org)
    }

    /// The refusal of a request that the provider would only refuse for want of a key: it says where one goes. Nothing,
    /// where the provider needs none.
    #[must_use]
    pub fn missing_key(&self) -> Option<ApiError> {
        if !self.at_home || self.provider.env.is_empty() || self.provider.auth == AuthStyle::None {
            return None;
        }
        let (name, variable) = (self.name(), self.provider.env.first().map_or("", String::as_str));
        let more = match self.provider.auth {
            AuthStyle::Aws { .. } => {
                ", providers.bedrock.access_key_id with secret_access_key, or AWS_ACCESS_KEY_ID with its secret"
            }
            AuthStyle::Google => {
                ", a service account in providers.vertex.service_account or GOOGLE_APPLICATION_CREDENTIALS"
            }
            AuthStyle::Bearer | AuthStyle::Header(_) | AuthStyle::None => "",
        };
        Some(ApiError::unauthorized(
            "no_provider_key",
            format!(
                "There is no key for {name} here: set {variable} or providers.{name}.api_keys{more} and start the gateway anew, keep one with `gateway keys provider add {name}`, or \
                 send a key of your own, with the gateway's key in Helicone-Auth."
            ),
        ))
    }

    /// The header that a key goes in.
    #[must_use]
    pub fn key_header(&self) -> HeaderName {
        match &self.provider.auth {
            AuthStyle::Header(name) => HeaderName::try_from(name.as_str()).unwrap_or(http::header::AUTHORIZATION),
            _ => http::header::AUTHORIZATION,
        }
    }

    /// The credential whose turn it is; those that are benched sit out.
    pub(crate) fn credential(&self, org: OrgId) -> Option<Arc<Credential>> {
        self.with_credentials(org, |credentials| credentials.next(self.clock.now()).cloned())
    }

    /// What an organisation keeps itself goes before what the gateway has for all; but whose the gateway is, its
    /// configuration goes before its vault.
    fn with_credentials<T>(&self, org: OrgId, of: impl FnOnce(&Credentials) -> T) -> T {
        let vaulted = self.vaulted.load();
        match vaulted.keys.get(&org) {
            Some(own) if org != OrgId::HOME || self.credentials.is_empty() => of(own),
            _ => of(&self.credentials),
        }
    }

    /// Takes these keys out of the vault, unless it has them already: turns and benches stay then.
    pub(crate) fn take_vaulted(&self, versions: Vec<Version>, keys: HashMap<OrgId, Vec<Secret>>) {
        if self.vaulted.load().versions != versions {
            let keys = keys.into_iter().map(|(org, keys)| (org, Credentials::of_keys(&self.provider, &keys)));
            let keys = keys.filter(|(_, credentials)| !credentials.is_empty()).collect();
            self.vaulted.store(Arc::new(Vaulted { versions, keys }));
        }
    }

    /// Benches a credential for so long. Returns whether another one is left.
    #[must_use]
    pub fn bench(&self, org: OrgId, number: u32, span: Duration) -> bool {
        self.with_credentials(org, |credentials| credentials.turns().bench(number, span, self.clock.now()))
    }

    /// How many credentials there are for calls of the gateway's own organisation, and how many of them are benched.
    #[must_use]
    pub fn keys_status(&self) -> (usize, usize) {
        self.with_credentials(OrgId::HOME, |credentials| credentials.turns().status(self.clock.now()))
    }

    /// The model names it is configured to serve, patterns among them.
    #[must_use]
    pub fn models(&self) -> &[String] {
        &self.models
    }

    /// What requests are signed for, and where, if they are signed at all.
    pub(crate) fn signing(&self, region_in_path: Option<&str>) -> Option<(String, String)> {
        let AuthStyle::Aws { service } = &self.provider.auth else { return None };
        let region = region_in_path.map(str::to_owned).or_else(|| self.parts.get("region"));
        Some((region.unwrap_or_else(|| "us-east-1".to_owned()), service.clone()))
    }

    /// Whether this is the provider whose own API that is, so that a caller's key in its place is one of its keys.
    #[must_use]
    pub fn is_home_of(&self, api: Option<&Api>) -> bool {
        api.is_some_and(|api| home(api.family()) == &**self.name())
    }

    /// Whether it serves a model under this bare name.
    #[must_use]
    pub fn serves(&self, model: &str) -> bool {
        self.models.iter().any(|pattern| fits(pattern, model).is_some())
    }

    /// The URL of one of the provider's own paths, which is appended to its base, with its named parts filled in.
    ///
    /// # Errors
    /// Where it makes no URL, or a part of it is not set.
    pub(crate) fn own_uri(&self, provider: &Arc<Provider>, own_path: &str, model: &str) -> Result<Uri, ApiError> {
        let place = self.place_of(provider);
        let path = match place {
            Place::Http { path, .. } => path,
            Place::Unset(part) => return Err(not_set(provider, part)),
            Place::Demo => return Ok(Uri::from_static("/chat/completions")),
        };
        let part = |name: &str| if name == "model" { Some(model.to_owned()) } else { self.parts.get(name) };
        let own_path = tachograph_providers::template::fill(own_path, part).map_err(|part| not_set(provider, &part))?;
        place.uri(&format!("{path}{own_path}")).ok_or_else(no_url)
    }

    /// This path behind the provider's base, as a client of its proxy writes it.
    pub(crate) fn path_behind_base(&self, path: &str) -> String {
        format!("{}{path}", self.documented_path)
    }

    /// The URL of a proxied path: one that begins with the path of the documented base has that part replaced by the
    /// configured base; any other is appended to its origin. So the same client path works whatever the base is. A region
    /// that the path names is the one that is asked, unless a base is configured.
    ///
    /// # Errors
    /// Where it makes no URL, or a part of it is not set.
    pub(crate) fn proxied_uri(&self, path_and_query: &str) -> Result<Uri, ApiError> {
        let (region, path_and_query) = region_in(&self.provider, path_and_query);
        let regional = region
            .filter(|_| self.at_home)
            .and_then(|region| Place::of(&self.provider.base_url, &self.parts.with("region", region)));
        let place = regional.as_ref().unwrap_or(&self.place);
        let base = match place {
            Place::Http { path, .. } => path,
            Place::Unset(part) => return Err(not_set(&self.provider, part)),
            Place::Demo => return Ok(Uri::from_static("/chat/completions")),
        };
        let behind_base = path_and_query.strip_prefix(self.documented_path.as_str());
        match behind_base.filter(|rest| rest.is_empty() || rest.starts_with(['/', '?'])) {
            Some(rest) => place.uri(&format!("{base}{rest}")),
            None => place.uri(path_and_query),
        }
        .ok_or_else(no_url)
    }
}

fn no_url() -> ApiError {
    ApiError::new(ErrorKind::InvalidRequest, "invalid_path", "The path makes no URL of the provider's.")
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

/// All providers that are set up here, by every name they go by.
pub struct Endpoints {
    by_name: HashMap<String, Arc<Endpoint>>,
    by_host_label: HashMap<String, Arc<Endpoint>>,
    with_models: Vec<Arc<Endpoint>>,
    /// Where callers may send a call by URL besides.
    pub(crate) allowed: Vec<AllowedTarget>,
}

impl Endpoints {
    /// The built-in providers, as the configuration changes and adds to them, with keys from it or the environment.
    #[must_use]
    pub fn new(configured: &BTreeMap<String, ProviderConfig>, environment: Environment<'_>) -> Self {
        let mut endpoints = Self {
            by_name: HashMap::new(),
            by_host_label: HashMap::new(),
            with_models: Vec::new(),
            allowed: Vec::new(),
        };
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
        self.all_serving(model).next()
    }

    /// All providers that are configured to serve this model under its bare name.
    pub fn all_serving(&self, model: &str) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.with_models.iter().filter(move |endpoint| endpoint.serves(model))
    }

    /// All providers, each once, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.by_name.iter().filter(|(name, endpoint)| ***name == **endpoint.name()).map(|(_, endpoint)| endpoint)
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
    /// A provider at the URL that a caller named: without keys of ours, and its paths appended to the origin.
    pub(crate) fn at_target(
        provider: Arc<Provider>,
        origin: &str,
        parts: BTreeMap<String, String>,
        public_only: bool,
    ) -> Option<Self> {
        Some(Self {
            place: Place::of(origin, &Parts::default())?,
            variants: Vec::new(),
            parts: Parts(parts),
            documented_path: String::new(),
            at_home: false,
            is_target: true,
            public_only,
            credentials: Credentials::default(),
            vaulted: ArcSwap::default(),
            clock: Clock::start(),
            models: Vec::new(),
            deployments: BTreeMap::new(),
            provider,
        })
    }

    /// A row for somebody of whom only this is known.
    pub(crate) fn row_of(origin: &str, dialect: DialectId) -> Option<Arc<Provider>> {
        custom(origin, dialect, origin).map(Arc::new)
    }

    /// What is kept of how it is doing goes under this name: the provider's, or the URL that a caller named.
    pub(crate) fn lane(&self) -> Arc<str> {
        match &self.place {
            Place::Http { scheme, authority, .. } if self.is_target => format!("{scheme}://{authority}").into(),
            _ => self.name().clone(),
        }
    }

    /// Whether it is the provider itself, at its documented address.
    pub(crate) fn is_at_home(&self) -> bool {
        self.at_home
    }

    /// Whether only public addresses may be connected to.
    pub(crate) fn public_only(&self) -> bool {
        self.public_only
    }

    /// A provider inside this process, which needs no URL and no key.
    pub(crate) fn in_process(name: &str, dialect: DialectId, models: Vec<String>) -> Option<Self> {
        Some(Self {
            provider: Arc::new(custom(name, dialect, "http://in-process.invalid")?),
            place: Place::Demo,
            variants: Vec::new(),
            parts: Parts::default(),
            documented_path: String::new(),
            at_home: false,
            is_target: false,
            public_only: false,
            credentials: Credentials::default(),
            vaulted: ArcSwap::default(),
            clock: Clock::start(),
            models,
            deployments: BTreeMap::new(),
        })
    }
}

#[cfg(test)]
mod tests;
