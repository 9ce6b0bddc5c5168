//! The providers that are known, by any of their names.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use crate::Provider;

/// The known providers. Cloning is cheap enough for a configuration's reload: rows are shared.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    providers: Vec<Arc<Provider>>,
    names: HashMap<String, usize>,
    host_labels: HashMap<String, usize>,
}

impl Registry {
    /// The providers that come with this crate.
    #[must_use]
    pub fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Registry> = LazyLock::new(|| {
            // The file is part of the program; a test reads it, so it cannot be wrong where this runs.
            Registry::from_toml(include_str!("providers.toml")).unwrap_or_default()
        });
        &BUILTIN
    }

    /// The providers of a text in the form of `providers.toml`.
    ///
    /// # Errors
    ///
    /// If it is not in that form, or leaves a field out that must be given.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            provider: Vec<Provider>,
        }
        let file: File = toml::from_str(text)?;
        let mut registry = Self::default();
        for provider in file.provider {
            registry.insert(provider);
        }
        Ok(registry)
    }

    /// The provider of this name or alias; letters' case does not matter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Provider>> {
        let at = self.names.get(name).or_else(|| self.names.get(&name.to_ascii_lowercase()))?;
        self.providers.get(*at)
    }

    /// The provider that the first label of a Host means.
    #[must_use]
    pub fn by_host_label(&self, label: &str) -> Option<&Arc<Provider>> {
        let at = self.host_labels.get(label).or_else(|| self.host_labels.get(&label.to_ascii_lowercase()))?;
        self.providers.get(*at)
    }

    /// Adds a provider, or replaces the one of the same name. A name or label that another had now means this one.
    pub fn insert(&mut self, provider: Provider) {
        let at = match self.providers.iter().position(|held| held.name == provider.name) {
            Some(at) => at,
            None => self.providers.len(),
        };
        let names = std::iter::once(provider.name.as_ref()).chain(provider.aliases.iter().map(String::as_str));
        self.names.extend(names.map(|name| (name.to_ascii_lowercase(), at)));
        self.host_labels.extend(provider.host_labels.iter().map(|label| (label.to_ascii_lowercase(), at)));
        match self.providers.get_mut(at) {
            Some(held) => *held = Arc::new(provider),
            None => self.providers.push(Arc::new(provider)),
        }
    }

    /// All of them, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AuthStyle, DialectId};

    #[test]
    fn the_built_in_file_is_sound() {
        let registry = Registry::from_toml(include_str!("providers.toml")).unwrap();
        assert!(registry.iter().count() >= 60);
        let mut names: Vec<_> =
            registry.iter().flat_map(|p| p.aliases.iter().cloned().chain([p.name.to_string()])).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "a name that means two providers");
        for provider in registry.iter() {
            assert!(provider.base_url.starts_with("http"), "{}", provider.name);
            assert!(provider.chat_path.starts_with('/'), "{}", provider.name);
            assert!(!provider.env.is_empty() || provider.auth == AuthStyle::None, "{}", provider.name);
        }
    }

    #[test]
    fn names_aliases_and_hosts() {
        let registry = Registry::builtin();
        for (name, want) in [
            ("oai", "openai"),
            ("OpenAI", "openai"),
            ("x", "xai"),
            ("anthropic", "anthropic"),
            ("google-ai-studio", "gemini"),
        ] {
            assert_eq!(registry.get(name).unwrap().name.as_ref(), want);
        }
        assert_eq!(registry.by_host_label("oai").unwrap().name.as_ref(), "openai");
        assert!(registry.get("nobody").is_none());
        let mut own = registry.clone();
        let mut provider = Provider::clone(own.get("openai").unwrap());
        provider.base_url = "http://127.0.0.1:1".to_owned();
        own.insert(provider);
        assert_eq!(own.get("oai").unwrap().base_url, "http://127.0.0.1:1");
        assert_eq!(own.iter().count(), registry.iter().count());
        assert_eq!(registry.get("anthropic").unwrap().dialect, DialectId::AnthropicMessages);
    }
}
