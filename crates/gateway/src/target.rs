//! Calls to a URL that the caller names, in Helicone's headers: who that is, and whether it may be reached.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue};
use tachograph_providers::{DialectId, Registry};
use tachograph_reply::{ApiError, ErrorKind};

use crate::config::{AllowedTarget, Origin};
use crate::endpoint::{Endpoint, Endpoints};
use crate::place::Place;

/// The headers that name a target, the first before the others.
const HEADERS: [HeaderName; 4] = [
    HeaderName::from_static("helicone-openai-api-base"),
    HeaderName::from_static("tachograph-openai-api-base"),
    HeaderName::from_static("helicone-target-url"),
    HeaderName::from_static("tachograph-target-url"),
];

/// The headers that list targets.
const LISTS: [HeaderName; 2] =
    [HeaderName::from_static("helicone-fallbacks"), HeaderName::from_static("tachograph-fallbacks")];

/// Whether a request names the URL that it is meant for, or a list of them.
#[must_use]
pub fn names_target(headers: &HeaderMap) -> bool {
    HEADERS.iter().chain(&LISTS).any(|name| headers.contains_key(name))
}

/// The URL that a request names.
pub(crate) fn named(headers: &HeaderMap) -> Option<HeaderValue> {
    HEADERS.iter().find_map(|name| headers.get(name).cloned())
}

impl Endpoints {
    /// Lets callers name these targets too.
    #[must_use]
    pub fn allowing(mut self, targets: &[AllowedTarget]) -> Self {
        self.allowed = targets.to_vec();
        self
    }

    /// The endpoint at the URL that a caller named. A provider's own keys go to where that provider is set up and nowhere
    /// else: a host that only looks like one of its hosts may be anybody's.
    ///
    /// # Errors
    /// Where it is no URL, or none that may be reached.
    pub(crate) fn target(&self, named: &HeaderValue, dialect: DialectId) -> Result<Arc<Endpoint>, ApiError> {
        let text = named.to_str().unwrap_or_default().trim();
        if text.is_empty() {
            let message = "Missing target base url: set Helicone-Target-Url to the provider's URL, such as https://api.openai.com.";
            return Err(ApiError::invalid("missing_target_url", message));
        }
        let origin: Origin = text.parse().map_err(|why| {
            let message = format!(
                "Helicone-Target-Url is no URL to send a call to: {why}. Write one such as https://api.openai.com."
            );
            ApiError::invalid("invalid_target_url", message)
        })?;
        if let Some(own) = self.all().find(|endpoint| endpoint.is_set_up_at(&origin)) {
            return Ok(own.clone());
        }
        let known = Registry::builtin().by_host(&origin.host);
        let listed = self.allowed.iter().any(|allowed| *allowed == AllowedTarget::Origin(origin.clone()));
        let public =
            origin.tls && !origin.is_address() && (self.is_below(&origin) || (known.is_some() && origin.port == 443));
        if !listed && !public {
            return Err(not_allowed(&origin));
        }
        let (provider, parts) = match known {
            Some((provider, parts)) => (provider.clone(), parts),
            None => {
                (Endpoint::row_of(&origin.to_string(), dialect).ok_or_else(|| not_allowed(&origin))?, BTreeMap::new())
            }
        };
        Endpoint::at_target(provider, &origin.to_string(), parts, !listed)
            .map(Arc::new)
            .ok_or_else(|| not_allowed(&origin))
    }

    fn is_below(&self, origin: &Origin) -> bool {
        self.allowed.iter().any(|allowed| match allowed {
            AllowedTarget::Below(domain) => {
                origin.host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            AllowedTarget::Origin(_) => false,
        })
    }
}

impl Endpoint {
    /// Whether it is set up at this origin: by the configuration, or at its documented public address.
    fn is_set_up_at(&self, origin: &Origin) -> bool {
        let Place::Http { scheme, authority, .. } = &self.place else { return false };
        let tls = *scheme == Scheme::HTTPS;
        (tls || !self.is_at_home()) && format!("{scheme}://{authority}").parse().as_ref() == Ok(origin)
    }
}

fn not_allowed(origin: &Origin) -> ApiError {
    let message = format!(
        "{origin} is no public https host of a known provider; add \"{origin}\" to upstream.allow_targets in the configuration to let callers reach it."
    );
    ApiError::new(ErrorKind::Permission, "target_not_allowed", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProviderConfig;

    fn endpoints() -> Endpoints {
        let of = |base: &str| ProviderConfig {
            base_url: Some(base.to_owned()),
            dialect: Some(DialectId::OpenAiChat),
            api_keys: vec!["ours".into()],
            ..ProviderConfig::default()
        };
        let configured = [
            ("mine".to_owned(), of("http://10.0.0.9:8000/v1")),
            ("azure".to_owned(), of("https://mine.openai.azure.com")),
        ];
        let allowed = ["http://127.0.0.1:9", "*.example.com"].map(|text| text.parse().unwrap());
        Endpoints::new(&configured.into(), &|_| None).allowing(&allowed)
    }

    fn target(url: &str) -> Result<Arc<Endpoint>, &'static str> {
        let found = endpoints().target(&HeaderValue::try_from(url).unwrap(), DialectId::OpenAiChat);
        found.map_err(|error| match error.kind() {
            ErrorKind::Permission => "refused",
            _ => "invalid",
        })
    }

    #[test]
    fn known_hosts_and_what_is_configured_may_be_reached() {
        for (url, name, has_key, public_only) in [
            ("https://api.anthropic.com/v1", "anthropic", false, false),
            ("https://mine.openai.azure.com", "azure", true, false),
            ("https://others.openai.azure.com:443/", "azure", false, true),
            ("http://10.0.0.9:8000", "mine", true, false),
            ("http://127.0.0.1:9/v1", "http://127.0.0.1:9", false, false),
            ("https://llm.example.com:8443", "https://llm.example.com:8443", false, true),
        ] {
            let endpoint = target(url).unwrap_or_else(|why| panic!("{url}: {why}"));
            assert_eq!(
                (&**endpoint.name(), endpoint.has_key(), endpoint.public_only()),
                (name, has_key, public_only),
                "{url}"
            );
        }
    }

    #[test]
    fn everything_else_is_refused_however_it_is_written() {
        for url in [
            "http://localhost:8787",
            "http://127.0.0.1:10",
            "https://127.0.0.1:9",
            "http://127.1:9",
            "http://2130706433:9",
            "http://0x7f000001:9",
            "http://0177.0.0.1:9",
            "http://[::ffff:127.0.0.1]:9",
            "http://127.0.0.1.:10",
            "http://169.254.169.254/latest/meta-data",
            "http://metadata.google.internal",
            "http://127.0.0.1:11434",
            "http://api.openai.com",
            "https://api.openai.com:8443",
            "https://api.openai.com.evil.example",
            "https://example.com",
            "http://llm.example.com",
            "https://.example.com",
            "https://evilexample.com",
            "https://x.unset.example",
        ] {
            assert_eq!(target(url).err(), Some("refused"), "{url}");
        }
        for url in [
            "",
            "api.openai.com",
            "https://api.openai.com@127.0.0.1",
            "https://api.openai.com#@127.0.0.1:9",
            "file:///etc/passwd",
        ] {
            let found = target(url);
            assert!(found.err() == Some("invalid") || url.contains('#'), "{url}");
        }
    }
}
