//! A text that must not be shown.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that must not be shown: it has no `Debug`, is written as `***`, and is wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(SecretString::from(text))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(SecretString::from(text)))
    }
}

impl Serialize for Secret {
    /// Hidden, but for the scheme of a URL: `postgres://***`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.expose().split_once(':') {
            Some(("sqlite", _)) => serializer.serialize_str(self.expose()),
            Some((scheme @ ("postgres" | "postgresql"), _)) => serializer.collect_str(&format_args!("{scheme}://***")),
            Some((scheme @ ("redis" | "rediss"), _)) => serializer.collect_str(&format_args!("{scheme}://***")),
            None if matches!(self.expose(), "memory" | "postgres") => serializer.serialize_str(self.expose()),
            _ => serializer.serialize_str("***"),
        }
    }
}
