//! What is configured of a provider.

use std::collections::BTreeMap;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use tachograph_providers::DialectId;

use super::Secret;

/// One provider: what is absent stands as in the built-in row of that name.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderConfig {
    /// The wire format of its chat; needed for a provider that is not built in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialect: Option<DialectId>,
    /// Stands in for the documented base URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Keys to call it with; absent, those of its usual environment variable.
    pub api_keys: Vec<KeyConfig>,
    /// Model names it serves under their bare name; `*` stands for any characters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// The region in its URLs (Bedrock, Vertex).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The project in its URLs (Vertex).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The account in its URLs (Snowflake, Cloudflare).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The resource in its URLs (Azure), or the workspace's host (Databricks).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The version of the API in its URLs (Azure).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// What models are called there, by their names (Azure's deployments).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub deployments: BTreeMap<String, String>,
    /// Amazon's access key, for signing requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<Secret>,
    /// The secret that belongs to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<Secret>,
    /// The token of a session, where the two are of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_token: Option<Secret>,
    /// Google's credentials: a file's path, or its JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<Secret>,
}

impl ProviderConfig {
    /// What of it must appear nowhere.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let keys = self.api_keys.iter().map(|key| &key.key);
        keys.chain(&self.secret_access_key).chain(&self.session_token)
    }

    /// A named part of its URLs.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<&str> {
        let part = match name {
            "region" => &self.region,
            "project" => &self.project,
            "account" => &self.account,
            "resource" => &self.resource,
            "api_version" => &self.api_version,
            _ => &None,
        };
        part.as_deref().filter(|part| !part.is_empty())
    }
}

/// A key to call a provider with: the key alone, or with a name and a weight.
#[derive(Clone, Deserialize)]
#[serde(from = "WrittenKey")]
pub struct KeyConfig {
    /// The key.
    pub key: Secret,
    /// Its share of the calls, beside the other keys'.
    pub weight: u32,
    /// What people call it.
    pub name: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenKey {
    Bare(Secret),
    Full(FullKey),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FullKey {
    key: Secret,
    #[serde(default = "one")]
    weight: u32,
    #[serde(default)]
    name: Option<String>,
}

const fn one() -> u32 {
    1
}

impl From<WrittenKey> for KeyConfig {
    fn from(written: WrittenKey) -> Self {
        match written {
            WrittenKey::Bare(key) => Self { key, weight: 1, name: None },
            WrittenKey::Full(FullKey { key, weight, name }) => Self { key, weight, name },
        }
    }
}

impl From<&str> for KeyConfig {
    fn from(key: &str) -> Self {
        Self { key: Secret::from(key), weight: 1, name: None }
    }
}

impl Serialize for KeyConfig {
    /// Hidden; a name and a weight are shown where they were given.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.weight == 1 && self.name.is_none() {
            return self.key.serialize(serializer);
        }
        let mut written = serializer.serialize_struct("KeyConfig", 3)?;
        written.serialize_field("key", &self.key)?;
        written.serialize_field("weight", &self.weight)?;
        written.serialize_field("name", &self.name)?;
        written.end()
    }
}
