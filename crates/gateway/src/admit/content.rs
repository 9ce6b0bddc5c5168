//! One parse: a look at the top level of the body, nothing copied.

use std::ops::Range;

use bytes::Bytes;
use serde::de::IgnoredAny;
use tachograph_providers::json;
use tachograph_record::Parameters;
use tachograph_reply::ApiError;

use super::Route;
use crate::call::Way;

/// Fields that are the conversation itself, not parameters of it.
const CONVERSATION: [&[u8]; 8] =
    [b"messages", b"system", b"tools", b"input", b"prompt", b"contents", b"instructions", b"functions"];
/// A parameter longer than this (bytes) is content by another name.
const LONGEST_PARAMETER: usize = 1024;

/// What a body's top level says.
#[derive(Default)]
pub(super) struct Content {
    pub(super) is_object: bool,
    pub(super) model: Option<String>,
    pub(super) model_span: Option<Range<usize>>,
    pub(super) stream: bool,
    pub(super) user: Option<String>,
    pub(super) parameters: Parameters,
}

/// Looks at the top level of a JSON body. Bodies that are no JSON objects (audio, forms, nothing) say nothing.
pub(super) fn look(body: &Bytes, route: Option<&Route>) -> Content {
    let mut content = Content::default();
    let Some(fields) = json::fields(body) else { return content };
    content.is_object = true;
    for field in fields {
        let value = &body[field.value.clone()];
        match &body[field.key.clone()] {
            b"model" => {
                content.model = text(value);
                content.model_span = content.model.is_some().then(|| field.value.clone());
            }
            b"stream" => content.stream = value == b"true",
            b"user" => content.user = text(value),
            b"metadata"
                if content.user.is_none() && route.is_some_and(|route| route.api().starts_with("anthropic.")) =>
            {
                content.user = user_of_metadata(value);
            }
            key if CONVERSATION.contains(&key) => {}
            _ if value.len() <= LONGEST_PARAMETER => {
                content.parameters.push(body.slice(field.key), body.slice(field.value));
            }
            _ => {}
        }
    }
    content
}

fn text(value: &[u8]) -> Option<String> {
    serde_json::from_slice(value).ok()
}

fn user_of_metadata(value: &[u8]) -> Option<String> {
    json::fields(value)?
        .find(|field| &value[field.key.clone()] == b"user_id")
        .and_then(|field| text(&value[field.value]))
}

impl Content {
    /// Whether the AI gateway can work with this body. A proxied body is the provider's to judge.
    pub(super) fn check(&self, route: &Route, body: &[u8]) -> Result<(), ApiError> {
        if route.way != Way::Gateway {
            return Ok(());
        }
        if let Err(error) = serde_json::from_slice::<IgnoredAny>(body) {
            return Err(ApiError::invalid("invalid_json", format!("The request's body is not valid JSON: {error}.")));
        }
        if !self.is_object {
            return Err(ApiError::invalid("invalid_json", "The request's body is JSON, but not an object."));
        }
        if self.model.is_none() {
            let message = "The request names no model; set `model` to a name such as \"openai/gpt-4o-mini\".";
            return Err(ApiError::invalid("missing_model", message).with_param("model"));
        }
        Ok(())
    }
}
