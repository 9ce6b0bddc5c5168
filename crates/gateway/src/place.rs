//! Where a provider is: its base URL with the named parts filled in, for the provider itself and for each variant of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use tachograph_providers::{AuthStyle, Provider, template};
use tachograph_reply::{ApiError, ErrorKind};

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
    /// Nowhere yet: this part of its URL is not set.
    Unset(String),
    /// Inside this process.
    Demo,
}

impl Place {
    pub(crate) fn of(base: &str, parts: &Parts) -> Option<Self> {
        let base = match template::fill(base, |name| parts.get(name)) {
            Ok(base) => base,
            Err(missing) => return Some(Self::Unset(missing)),
        };
        let base: Uri = base.parse().ok()?;
        Some(Self::Http {
            scheme: base.scheme()?.clone(),
            authority: base.authority()?.clone(),
            path: base.path().trim_end_matches('/').to_owned(),
        })
    }

    pub(crate) fn uri(&self, path_and_query: &str) -> Option<Uri> {
        let Self::Http { scheme, authority, .. } = self else { return None };
        let path: PathAndQuery = path_and_query.parse().ok()?;
        Uri::builder().scheme(scheme.clone()).authority(authority.clone()).path_and_query(path).build().ok()
    }
}

/// The named parts of a provider's URLs, as they are set here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts(pub(crate) BTreeMap<String, String>);

impl Parts {
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut parts = self.clone();
        parts.0.insert(name.to_owned(), value.to_owned());
        parts
    }
}

/// What to say of a part that is not set.
pub(crate) fn not_set(provider: &Provider, part: &str) -> ApiError {
    let name = &provider.name;
    let variable = provider.parts.get(part).and_then(|part| part.env.first());
    let or = variable.map_or_else(String::new, |variable| format!(" or the variable {variable}"));
    let message = format!("{name} needs its {part}: set providers.{name}.{part}{or} and start the gateway anew.");
    ApiError::new(ErrorKind::InvalidRequest, "provider_not_configured", message)
}

/// The region that a proxied path names, and the path as the provider knows it: Helicone's `/v1/<region>/model/…` for
/// Bedrock, Google's `/locations/<region>/`.
pub(crate) fn region_in<'a>(provider: &Provider, path: &'a str) -> (Option<&'a str>, &'a str) {
    let named = |rest: &'a str| rest.split(['/', '?']).next().filter(|name| !name.is_empty());
    match provider.auth {
        AuthStyle::Aws { .. } => {
            let region = path.strip_prefix("/v1/").and_then(named).filter(|name| is_region(name));
            let rest = region.map_or(path, |region| &path["/v1/".len() + region.len()..]);
            (region, rest)
        }
        AuthStyle::Google => (path.split_once("/locations/").and_then(|(_, rest)| named(rest)), path),
        AuthStyle::Bearer | AuthStyle::Header(_) | AuthStyle::None => (None, path),
    }
}

/// `us-east-1`, `ap-southeast-2`: letters, and a number at the end.
fn is_region(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    parts.len() >= 3
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
        && parts.last().is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A provider or a variant of it, and where that is.
pub(crate) struct Setting {
    pub(crate) provider: Arc<Provider>,
    pub(crate) place: Place,
}

#[cfg(test)]
mod tests {
    use tachograph_providers::Registry;

    use super::*;

    #[test]
    fn paths_name_regions_in_two_ways() {
        let provider = |name: &str| Registry::builtin().get(name).unwrap().clone();
        for (name, path, region, rest) in [
            ("bedrock", "/v1/us-west-2/model/m/converse", Some("us-west-2"), "/model/m/converse"),
            ("bedrock", "/model/m/converse", None, "/model/m/converse"),
            ("bedrock", "/v1/x/model/m", None, "/v1/x/model/m"),
            ("vertex", "/v1/projects/p/locations/global/x", Some("global"), "/v1/projects/p/locations/global/x"),
            ("openai", "/v1/us-west-2/x", None, "/v1/us-west-2/x"),
        ] {
            assert_eq!(region_in(&provider(name), path), (region, rest), "{name} {path}");
        }
    }
}
