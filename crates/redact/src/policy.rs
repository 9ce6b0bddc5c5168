//! What is kept of whom.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Rule;

/// What of calls is kept: the part of `logging` that is about privacy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Privacy {
    /// What is taken out of every record.
    pub redact: Vec<Rule>,
    /// The percentage of calls whose bodies are kept; of failed calls they always are. All, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_bodies: Option<u8>,
    /// What holds for some calls beyond that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Policy>,
}

/// What holds for the calls of a key, a user, or with properties: all that is named must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The key's id, as `gateway keys list` shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Properties and their values; `*` is any value. Letters' case of names does not matter.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Whether bodies are kept.
    pub bodies: BodyChoice,
    /// The percentage of calls whose bodies are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_bodies: Option<u8>,
    /// What is taken out of these calls' records too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<Rule>,
}

/// Whether bodies are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyChoice {
    /// As everywhere.
    #[default]
    Full,
    /// Neither the request's nor the answer's.
    None,
}
