//! One parse: a look at the top level of the body, nothing copied.

use std::ops::Range;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::IgnoredAny;
use tachograph_providers::{Api, json};
use tachograph_record::Parameters;
use tachograph_reply::ApiError;

use super::Route;
use crate::call::Way;
use crate::form::Form;

/// Fields that are the conversation itself, not parameters of it.
const CONVERSATION: [&[u8]; 8] =
    [b"messages", b"system", b"tools", b"input", b"prompt", b"contents", b"instructions", b"functions"];
/// A parameter longer than this (bytes) is content by another name.
const LONGEST_PARAMETER: usize = 1024;

/// What a body's top level says.
#[derive(Default)]
pub(super) struct Content {
    pub(super) is_object: bool,
    pub(super) is_form: bool,
    pub(super) model: Option<String>,
    pub(super) model_span: Option<Range<usize>>,
    pub(super) stream: bool,
    pub(super) user: Option<String>,
    pub(super) parameters: Parameters,
}

/// Looks at the top level of a JSON body, or at the fields of a form that say as much; more of the form may follow. Other
/// bodies (audio, nothing) say nothing.
pub(super) fn look(body: &Bytes, headers: &HeaderMap, form: Option<&mut Form>, route: Option<&Route>) -> Content {
    let mut content = Content::default();
    if is_form(headers) {
        content.is_form = true;
        let Some(form) = form else { return content };
        form.push(body, |field| match &*field.name {
            "model" if content.model.is_none() && !field.value.is_empty() => {
                content.model = String::from_utf8(field.value).ok();
                let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
                content.model_span = content.model.is_some().then(|| place(field.at.start)..place(field.at.end));
            }
            "stream" => content.stream = field.value == b"true",
            _ => {}
        });
        return content;
    }
    let Some(fields) = json::fields(body) else { return content };
    content.is_object = true;
    // Ollama's own API streams unless told not to.
    content.stream = route.and_then(|route| route.api).is_some_and(Api::streams_unasked);
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

fn is_form(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"multipart/form-data"))
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
        if !matches!(route.way, Way::Gateway(..)) {
            return Ok(());
        }
        if route.api.is_some_and(Api::is_session) {
            let message = "The query names no model; add one, such as ?model=gpt-realtime.";
            let missing = || ApiError::invalid("missing_model", message).with_param("model");
            return self.model.as_ref().map(|_| ()).ok_or_else(missing);
        }
        if self.is_form && self.model.is_none() {
            let message = "The form names no model; set its field `model` to a name such as \"openai/whisper-1\".";
            return Err(ApiError::invalid("missing_model", message).with_param("model"));
        }
        if self.is_form {
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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_forms_fields_are_found_before_or_behind_its_file() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=b"));
        let part =
            |head: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n");
        let body = [
            part("name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav", "RIFF\r\n\0"),
            part("name=\"model\"", "openai/whisper-1"),
            part("name=\"stream\"", "true"),
            "--b--\r\n".to_owned(),
        ];
        let body = Bytes::from(body.concat());
        let content = look(&body, &headers, Form::of(&headers).as_mut(), None);
        assert_eq!(content.model.as_deref(), Some("openai/whisper-1"));
        assert_eq!(&body[content.model_span.clone().unwrap()], b"openai/whisper-1");
        assert!(content.stream && content.is_form);
        assert!(look(&Bytes::from_static(b"--b--"), &headers, Form::of(&headers).as_mut(), None).model.is_none());
    }
}
