//! Whose host that is: hosts of providers as templates, in which a named part stands for one label.
//!
//! ```
//! use tachograph_providers::Registry;
//!
//! let (provider, parts) = Registry::builtin().by_host("bedrock-runtime.eu-west-1.amazonaws.com").unwrap();
//! assert_eq!((&*provider.name, parts["region"].as_str()), ("bedrock", "eu-west-1"));
//! assert!(Registry::builtin().by_host("api.openai.com.evil.example").is_none());
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Provider, Registry};

/// What a host says of the named parts of a provider's URLs.
pub type HostParts = BTreeMap<String, String>;

impl Provider {
    /// The hosts it is known to be at, as templates: that of its base, those of its variants, and further ones of its row.
    fn host_templates(&self) -> impl Iterator<Item = &str> {
        let bases = std::iter::once(&self.base_url).chain(self.variants.iter().map(|known| &known.provider().base_url));
        // What is served in the clear is on somebody's own machine.
        let of_bases = bases.filter_map(|base| base.strip_prefix("https://")?.split('/').next());
        of_bases.chain(self.hosts.iter().map(String::as_str))
    }

    /// The parts of its URLs that this host names, if it is one of its hosts.
    #[must_use]
    pub fn parts_of_host(&self, host: &str) -> Option<HostParts> {
        self.host_templates().find_map(|template| fits(template, host))
    }
}

impl Registry {
    /// The provider that is at a public host, and the parts of its URLs that the host names. Letters' case and one dot at
    /// the end do not matter.
    #[must_use]
    pub fn by_host(&self, host: &str) -> Option<(&Arc<Provider>, HostParts)> {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        self.iter().find_map(|provider| Some((provider, provider.parts_of_host(&host)?)))
    }
}

/// Matches a host against a template. A part stands for the letters, digits and dashes of one label, so that nothing of
/// another domain fits; a template that is nothing but a part fits nothing.
fn fits(template: &str, host: &str) -> Option<HostParts> {
    if template.ends_with('}') {
        return None;
    }
    let mut parts = HostParts::new();
    fill(template, host, &mut parts).then_some(parts)
}

fn fill(template: &str, host: &str, parts: &mut HostParts) -> bool {
    let Some((before, behind)) = template.split_once('{') else { return template == host };
    let (Some(host), Some((named, rest))) = (host.strip_prefix(before), behind.split_once('}')) else { return false };
    let name = named.trim_end_matches('-');
    // `{region-}` is nothing at all where the region is `global`.
    if named.ends_with('-') && fill(rest, host, parts) {
        parts.insert(name.to_owned(), "global".to_owned());
        return true;
    }
    let longest = host.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'-').count();
    (1..=longest).rev().any(|end| {
        let behind = if named.ends_with('-') { host[end..].strip_prefix('-') } else { Some(&host[end..]) };
        let found = behind.is_some_and(|behind| fill(rest, behind, parts));
        if found {
            parts.insert(name.to_owned(), host[..end].to_owned());
        }
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(host: &str) -> Option<(String, Vec<(String, String)>)> {
        let (provider, parts) = Registry::builtin().by_host(host)?;
        Some((provider.name.to_string(), parts.into_iter().collect()))
    }

    #[test]
    fn a_host_means_a_provider_and_names_parts() {
        let plain = |name: &str| Some((name.to_owned(), Vec::new()));
        let with =
            |name: &str, part: &str, value: &str| Some((name.to_owned(), vec![(part.to_owned(), value.to_owned())]));
        assert_eq!(of("API.OpenAI.com."), plain("openai"));
        assert_eq!(of("my-azure.openai.azure.com"), with("azure", "resource", "my-azure"));
        assert_eq!(of("aiplatform.googleapis.com"), with("vertex", "region", "global"));
        assert_eq!(of("us-east5-aiplatform.googleapis.com"), with("vertex", "region", "us-east5"));
        assert_eq!(of("adb-1.2.azuredatabricks.net").map(|(name, _)| name), Some("databricks".to_owned()));
    }

    #[test]
    fn what_only_looks_like_a_host_of_a_provider_is_none() {
        for host in [
            "",
            "127.0.0.1",
            "localhost",
            "api.openai.com.evil.example",
            "evil-api.openai.com",
            "a.b.openai.azure.com",
            "evil.example/.openai.azure.com",
            ".openai.azure.com",
            "x.openai.azure.com..",
            "openai.azure.com",
            "169.254.169.254",
            "evilaiplatform.googleapis.com",
        ] {
            assert_eq!(of(host), None, "{host}");
        }
    }
}
