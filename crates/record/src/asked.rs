//! What a call asked for, and on whose account.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::{Binary, Body, DecodeError, Input, KeyId, OrgId, Origin, Step};

/// What a call asked for: known as soon as its head and body were read, whoever serves it later.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// Which way it came to be on record.
    pub origin: Origin,
    /// What kind of work it is.
    pub step: Step,
    /// What the caller calls this step: a tool's name, a span's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The tenant; [`OrgId::HOME`] where no valid key came with the call.
    pub org: OrgId,
    /// The key that called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// The API as a wire format and an operation: `openai.chat`, `anthropic.messages`; `other` where it is not understood.
    pub api: Cow<'static, str>,
    /// The request's method.
    pub method: Cow<'static, str>,
    /// The request's path, without its query and without a key that stood in it.
    pub path: String,
    /// The model as the caller wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// The other top-level fields of the request, but for the conversation itself.
    #[serde(skip)]
    pub parameters: Parameters,
    /// Who caused it and what for.
    pub attribution: Attribution,
    /// The request's body as it came.
    #[serde(skip)]
    pub body: Body,
    /// W3C trace id of the caller, 32 hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// This step's own W3C span id, 16 hex digits, where it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// W3C span id of the caller, 16 hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<String>,
}

impl Default for Asked {
    /// A model call that nothing is known of yet.
    fn default() -> Self {
        Self {
            origin: Origin::default(),
            step: Step::default(),
            name: None,
            org: OrgId::HOME,
            key: None,
            api: "other".into(),
            method: "POST".into(),
            path: String::new(),
            model: None,
            stream: false,
            parameters: Parameters::default(),
            attribution: Attribution::default(),
            body: Body::default(),
            trace_id: None,
            span_id: None,
            parent_span_id: None,
        }
    }
}

/// Top-level fields of a request (`temperature`, `max_tokens`, `seed`, …) with their values as they stood in the JSON.
/// The slices share the request's buffer, so nothing is copied while the call is under way.
#[derive(Clone, Debug, Default)]
pub struct Parameters(SmallVec<[(Bytes, Bytes); 4]>);

impl Parameters {
    /// Adds a field: its name without quotes, its value as JSON text.
    pub fn push(&mut self, name: Bytes, value: Bytes) {
        self.0.push((name, value));
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields in their order: names without quotes, values as JSON text.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &(Bytes, Bytes)> {
        self.0.iter()
    }

    /// The fields as one JSON object; fields whose value is no JSON are left out.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        let field = |(name, value): &(Bytes, Bytes)| {
            let name: String = serde_json::from_slice(&[b"\"", &name[..], b"\""].concat()).ok()?;
            Some((name, serde_json::from_slice(value).ok()?))
        };
        self.0.iter().filter_map(field).collect()
    }
}

impl Binary for Parameters {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        Binary::read(from).map(Self)
    }
}

/// Who caused a call and what it belongs to, as told by headers and the body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attribution {
    /// The end user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The session that the call is a step of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionRef>,
    /// The prompt that it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<PromptRef>,
    /// Free properties, in the order they came; a name stands once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<(String, String)>,
}

impl Attribution {
    /// Sets a property; the last value of a name counts.
    pub fn set_property(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.properties.iter_mut().find(|(held, _)| *held == name) {
            Some((_, held)) => *held = value,
            None => self.properties.push((name, value)),
        }
    }
}

/// A step's place in a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRef {
    /// Calls with the same id are one session.
    pub id: String,
    /// Where in the session's tree: `/plan/search`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What kind of session it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A prompt and its version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptRef {
    /// The prompt's id.
    pub id: String,
    /// Its version, where one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}
