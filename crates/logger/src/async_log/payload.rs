//! What a client tells: its form, and Helicone's rules and messages for it.

use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::moment::{self, Moment};

/// One logged call as it was told.
#[derive(Debug)]
pub(super) struct Payload<'a> {
    pub(super) request: ProviderRequest<'a>,
    pub(super) response: ProviderResponse<'a>,
    pub(super) timing: Option<Timing>,
    pub(super) provider: Option<String>,
}

/// What was sent to the provider.
#[derive(Debug)]
pub(super) struct ProviderRequest<'a> {
    /// `custom-model-nopath`, or the URL that was called.
    pub(super) url: String,
    /// The body, as it stood.
    pub(super) json: &'a RawValue,
    /// Headers of ours.
    pub(super) meta: Vec<(String, String)>,
}

/// What the provider answered.
#[derive(Debug)]
pub(super) struct ProviderResponse<'a> {
    /// The body, as it stood; empty where there is a text.
    pub(super) json: &'a RawValue,
    /// The body of a stream, or of what is no JSON.
    pub(super) text: Option<String>,
    /// The status; below 0 where the client gave up.
    pub(super) status: f64,
    /// What the client says it cost, in USD.
    pub(super) cost: Option<f64>,
}

/// When it happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    pub(super) start: Moment,
    pub(super) end: Moment,
    /// ms.
    pub(super) first_token_ms: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    #[serde(borrow, default)]
    provider_request: Option<&'a RawValue>,
    #[serde(borrow, default)]
    provider_response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    timing: Option<&'a RawValue>,
    #[serde(default)]
    provider: Value,
}

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(default)]
    url: Value,
    #[serde(borrow, default, deserialize_with = "present")]
    json: Option<&'a RawValue>,
    #[serde(default)]
    meta: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    json: Option<&'a RawValue>,
    #[serde(default)]
    text_body: Value,
    #[serde(default)]
    status: Value,
    #[serde(default)]
    headers: Value,
    #[serde(default)]
    cost: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Times {
    #[serde(default)]
    start_time: Value,
    #[serde(default)]
    end_time: Value,
    #[serde(default)]
    time_to_first_token: Value,
}

/// A member that is there, null too; absence is what the default says.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

impl<'a> Payload<'a> {
    /// Reads and checks it. The error is Helicone's message for the first fault, where Helicone has one.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, String> {
        let whole: Whole<'a> = serde_json::from_slice(body).map_err(|why| no_json("The body", &why))?;
        let (Some(request), Some(response)) = (whole.provider_request, whole.provider_response) else {
            return Err("One of the required fields is missing, providerRequest, providerResponse, or timing".into());
        };
        Ok(Self {
            request: ProviderRequest::read(request)?,
            response: ProviderResponse::read(response)?,
            timing: whole.timing.map(Timing::read).transpose()?,
            provider: whole.provider.as_str().filter(|name| !name.is_empty()).map(Into::into),
        })
    }
}

impl<'a> ProviderRequest<'a> {
    fn read(raw: &'a RawValue) -> Result<Self, String> {
        let asked: Asked<'a> = serde_json::from_str(raw.get()).map_err(|why| no_json("providerRequest", &why))?;
        let Value::String(url) = asked.url else {
            return Err("Invalid providerRequest: 'url' should be a string".into());
        };
        let json = asked.json.ok_or("Invalid providerRequest: 'json' is undefined")?;
        // To the language of the rule, null is an object.
        let meta = match asked.meta {
            Value::Object(members) => {
                members.into_iter().filter_map(|(name, value)| Some((name, scalar(value)?))).collect()
            }
            Value::Array(_) => Vec::new(),
            Value::Null if raw_has(raw, "meta") => Vec::new(),
            _ => return Err("Invalid providerRequest: 'meta' should be an object".into()),
        };
        Ok(Self { url, json, meta })
    }
}

impl<'a> ProviderResponse<'a> {
    fn read(raw: &'a RawValue) -> Result<Self, String> {
        let answered: Answered<'a> =
            serde_json::from_str(raw.get()).map_err(|why| no_json("providerResponse", &why))?;
        let json = answered.json.ok_or("Invalid providerResponse: 'json' is undefined")?;
        let status = answered.status.as_f64().ok_or("Invalid providerResponse: 'status' should be a number")?;
        let is_object = matches!(answered.headers, Value::Object(_) | Value::Array(_))
            || answered.headers.is_null() && raw_has(raw, "headers");
        if !is_object {
            return Err("Invalid providerResponse: 'headers' should be an object".into());
        }
        let text = match answered.text_body {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => None,
        };
        Ok(Self { json, text, status, cost: answered.cost.as_f64() })
    }
}

impl Timing {
    fn read(raw: &RawValue) -> Result<Self, String> {
        let times: Times = serde_json::from_str(raw.get()).map_err(|why| no_json("timing", &why))?;
        let start = moment::read(&times.start_time).map_err(|why| format!("Invalid timing: 'startTime' {why}"))?;
        let end = moment::read(&times.end_time).map_err(|why| format!("Invalid timing: 'endTime' {why}"))?;
        if start < Moment::ZERO || end < Moment::ZERO {
            return Err("Invalid timing: startTime and endTime cannot be negative".into());
        }
        if start > end && end != Moment::ZERO {
            return Err("startTime cannot be greater than endTime".into());
        }
        let first_token_ms = times.time_to_first_token.as_f64().filter(|ms| ms.is_finite() && *ms > 0.0);
        Ok(Self { start, end: end.max(start), first_token_ms })
    }
}

/// Whether an object has a member of this name, even if that is null.
fn raw_has(raw: &RawValue, name: &str) -> bool {
    serde_json::from_str::<serde_json::Map<String, Value>>(raw.get()).is_ok_and(|members| members.contains_key(name))
}

fn scalar(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Null | Value::Object(_) | Value::Array(_) => None,
        other => Some(other.to_string()),
    }
}

fn no_json(what: &str, why: &dyn fmt::Display) -> String {
    format!("{what} is not of the form {{providerRequest, providerResponse, timing?, provider?}}: {why}")
}
