//! Targets that a caller names for one call, the first first: Helicone's `Helicone-Fallbacks`.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};
use tachograph_providers::json;
use tachograph_reply::ApiError;

use super::caller;
use crate::call::Instead;
use crate::keys::KeyRing;

/// The header, and its twin.
const HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("helicone-fallbacks"), HeaderName::from_static("tachograph-fallbacks")];
/// More targets than this are a mistake.
const MOST: usize = 16;

/// A target, and what it is sent in place of what the caller sent.
pub(super) struct Named {
    pub(super) target: HeaderValue,
    headers: HeaderMap,
    on: Vec<Codes>,
    body: Map<String, Value>,
}

/// One entry as written down. `target-url`, `headers` and `onCodes` have to be there, as Helicone has it.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "target-url", alias = "targetUrl")]
    target: String,
    headers: Map<String, Value>,
    #[serde(rename = "onCodes", alias = "on-codes")]
    on: Vec<Codes>,
    #[serde(rename = "bodyKeyOverride", alias = "body-key-override", default)]
    body: Option<Map<String, Value>>,
}

/// Statuses after which the next target is asked.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
pub(crate) enum Codes {
    /// One.
    One(u16),
    /// All of a range, its ends among them.
    Range {
        /// The first.
        from: u16,
        /// The last.
        to: u16,
    },
}

impl Codes {
    /// Whether this status is among them.
    pub(crate) fn has(self, status: StatusCode) -> bool {
        match self {
            Self::One(code) => status == code,
            Self::Range { from, to } => (from..=to).contains(&status.as_u16()),
        }
    }
}

/// The targets that a call's header names, if it has one.
///
/// # Errors
/// Where the header cannot be read: with what is wrong. Its values are not repeated, for keys stand among them.
pub(super) fn named(headers: &HeaderMap, keys: &KeyRing) -> Result<Option<Vec<Named>>, ApiError> {
    let Some(text) = HEADERS.iter().find_map(|name| headers.get(name)) else { return Ok(None) };
    let entries: Vec<Entry> = serde_json::from_slice(text.as_bytes()).map_err(|error| {
        bad(&format!("it is no list of {{\"target-url\", \"headers\", \"onCodes\"}} (column {})", error.column()))
    })?;
    if entries.is_empty() || entries.len() > MOST {
        return Err(bad(&format!("it names {} targets; name 1 to {MOST}", entries.len())));
    }
    entries.into_iter().enumerate().map(|(at, entry)| read(at, entry, keys)).collect::<Result<_, _>>().map(Some)
}

fn read(at: usize, entry: Entry, keys: &KeyRing) -> Result<Named, ApiError> {
    let target =
        HeaderValue::try_from(entry.target).map_err(|_| bad(&format!("the target-url of entry {at} is no URL")))?;
    let mut headers = HeaderMap::with_capacity(entry.headers.len());
    for (name, value) in &entry.headers {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let (Ok(header), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::try_from(text)) else {
            return Err(bad(&format!("the headers of entry {at} have one that is none")));
        };
        value.set_sensitive(true);
        let is_ours = ["helicone-", "tachograph-"].iter().any(|prefix| header.as_str().starts_with(prefix));
        if !is_ours {
            headers.append(header, value);
        }
    }
    caller::drop_ours(&mut headers, keys);
    Ok(Named { target, headers, on: entry.on, body: entry.body.unwrap_or_default() })
}

fn bad(what: &str) -> ApiError {
    ApiError::invalid("invalid_fallbacks", format!("Helicone-Fallbacks: {what}.")).with_param("Helicone-Fallbacks")
}

impl Named {
    /// What this target is sent: its own headers, and the body with its own keys laid over it.
    ///
    /// # Errors
    /// Where keys are to be laid over what is no JSON object.
    pub(super) fn instead_of(&self, body: &Bytes) -> Result<Instead, ApiError> {
        let mut own = body.clone();
        for (key, value) in &self.body {
            own = json::set(&own, key, value.to_string().as_bytes()).ok_or_else(|| {
                let message =
                    "bodyKeyOverride in Helicone-Fallbacks needs a request's body that is a JSON object; leave it out.";
                ApiError::invalid("invalid_fallbacks", message)
            })?;
        }
        let model = json::text_of(&own, "model").map(std::borrow::Cow::into_owned);
        Ok(Instead { headers: self.headers.clone(), body: own, model, on: self.on.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &'static str) -> Result<Option<Vec<Named>>, ApiError> {
        let headers = [(HEADERS[0].clone(), HeaderValue::from_static(text))].into_iter().collect();
        named(&headers, &KeyRing::default())
    }

    #[test]
    fn a_list_is_read_and_its_bodies_are_laid_over() {
        let list = of(
            r#"[{"target-url":"https://a.example","headers":{"Authorization":"Bearer a","Helicone-Auth":"x","X":1},"onCodes":[401,{"from":500,"to":599}]},{"target-url":"https://b.example","headers":{"x-api-key":"sk-tachograph-1"},"onCodes":[],"bodyKeyOverride":{"model":"b","n":null}}]"#,
        );
        let list = list.unwrap().unwrap();
        assert_eq!((list[0].headers.len(), list[0].headers["x"].to_str().unwrap()), (2, "1"));
        assert!(list[0].headers["authorization"].is_sensitive() && list[1].headers.is_empty());
        let on = |status: u16| list[0].on.iter().any(|codes| codes.has(StatusCode::from_u16(status).unwrap()));
        assert_eq!([400, 401, 499, 500, 599].map(on), [false, true, false, true, true]);
        let body = Bytes::from_static(br#"{"model":"a","n":1, "messages":[]}"#);
        assert_eq!(list[0].instead_of(&body).unwrap().body, body);
        let own = list[1].instead_of(&body).unwrap();
        assert_eq!(
            (&own.body[..], own.model.as_deref()),
            (&br#"{"model":"b","n":null, "messages":[]}"#[..], Some("b"))
        );
        assert!(list[1].instead_of(&Bytes::from_static(b"RIFF")).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_its_keys() {
        for text in [
            "",
            "{}",
            "[]",
            r#"[{"target-url":"https://a.example","headers":{"authorization":"Bearer canary"}}]"#,
            r#"[{"headers":{"authorization":"Bearer canary"},"onCodes":[1]}]"#,
            r#"[{"target-url":"https://a.example","headers":{"no header":"canary"},"onCodes":[1]}]"#,
            r#"[{"target-url":"https://a.example","headers":{},"onCodes":["canary"]}]"#,
        ] {
            let error = of(text).err().unwrap_or_else(|| panic!("{text}"));
            assert_eq!((error.status().as_u16(), error.code()), (400, "invalid_fallbacks"));
            assert!(!error.message().contains("canary"), "{error}");
        }
        assert!(named(&HeaderMap::new(), &KeyRing::default()).unwrap().is_none());
    }
}
