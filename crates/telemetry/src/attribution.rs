//! What a call is for, as headers tell it: `Helicone-*`, mirrored as `Tachograph-*`. A gateway reads them of the calls
//! that pass, a logger of those it is told of.

use http::header::HeaderMap;
use http::{HeaderName, HeaderValue};
use tachograph_record::{Attribution, PromptRef, SessionRef};

/// What our headers told.
#[derive(Default)]
pub struct Told {
    /// Who caused the call and what for.
    pub attribution: Attribution,
    /// Whether the request's body is not to be kept.
    pub omit_request: bool,
    /// Whether the answer's body is not to be kept.
    pub omit_response: bool,
}

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The rest of a header's name behind `helicone-` or `tachograph-`.
fn ours(name: &HeaderName) -> Option<&str> {
    let name = name.as_str();
    name.strip_prefix("helicone-").or_else(|| name.strip_prefix("tachograph-"))
}

/// Reads our headers in one pass and takes all of them out: none reaches a provider.
pub fn take(headers: &mut HeaderMap) -> Told {
    let mut told = Told::default();
    let mut found = Vec::new();
    let (mut session, mut prompt) = (SessionRef::default(), PromptRef::default());
    for (name, value) in &*headers {
        let Some(rest) = ours(name) else { continue };
        found.push(name.clone());
        match rest {
            "user-id" => told.attribution.user = Some(text(value)),
            "session-id" => session.id = text(value),
            "session-path" => session.path = Some(text(value)),
            "session-name" => session.name = Some(text(value)),
            "prompt-id" => prompt.id = text(value),
            "prompt-version" => prompt.version = Some(text(value)),
            "omit-request" => told.omit_request = value == "true",
            "omit-response" => told.omit_response = value == "true",
            _ => {
                if let Some(property) = rest.strip_prefix("property-").filter(|property| !property.is_empty()) {
                    told.attribution.set_property(property, text(value));
                }
            }
        }
    }
    for name in found {
        headers.remove(name);
    }
    told.attribution.session = (!session.id.is_empty()).then_some(session);
    told.attribution.prompt = (!prompt.id.is_empty()).then_some(prompt);
    told
}

/// A header's value as text: UTF-8, else Latin-1, which HTTP once said headers are. Nothing is lost either way.
fn text(value: &HeaderValue) -> String {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().map(|&byte| char::from(byte)).collect(),
    }
}

/// The trace and span id of a W3C `traceparent` header.
#[must_use]
pub fn traceparent(headers: &HeaderMap) -> Option<(String, String)> {
    let mut parts = headers.get(TRACEPARENT)?.to_str().ok()?.split('-');
    let (_version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let is_id = |id: &str, len: usize| {
        id.len() == len && id.bytes().all(|b| b.is_ascii_hexdigit()) && id.bytes().any(|b| b != b'0')
    };
    (is_id(trace, 32) && is_id(span, 16)).then(|| (trace.to_ascii_lowercase(), span.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap()))
            .collect()
    }

    #[test]
    fn ours_are_read_and_taken_out_and_others_stay() {
        let mut sent = headers(&[
            ("helicone-user-id", b"u1"),
            ("helicone-session-id", b"s"),
            ("tachograph-session-path", b"/a/b"),
            ("helicone-property-team", b"blue"),
            ("tachograph-property-city", "Köln".as_bytes()),
            ("helicone-property-latin", b"K\xf6ln"),
            ("helicone-property-", b"nameless"),
            ("helicone-omit-response", b"true"),
            ("helicone-omit-request", b"TRUE"),
            ("helicone-not-known", b"x"),
            ("x-mine", b"stays"),
        ]);
        let told = take(&mut sent);
        assert_eq!(sent.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-mine"]);
        assert_eq!(told.attribution.user.as_deref(), Some("u1"));
        let session = told.attribution.session.unwrap();
        assert_eq!((session.id.as_str(), session.path.as_deref()), ("s", Some("/a/b")));
        let mut properties = told.attribution.properties;
        properties.sort();
        let expected = [("city", "Köln"), ("latin", "Köln"), ("team", "blue")];
        assert_eq!(properties, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(told.omit_response && !told.omit_request, "only the exact text true counts");
    }

    #[test]
    fn only_a_well_formed_traceparent_counts() {
        let trace = |value: &[u8]| traceparent(&headers(&[("traceparent", value)]));
        let good = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(trace(good), Some(("0af7651916cd43dd8448eb211c80319c".to_owned(), "b7ad6b7169203331".to_owned())));
        for bad in
            [&b""[..], b"00", b"00-00000000000000000000000000000000-b7ad6b7169203331-01", b"00-xyz-b7ad6b7169203331-01"]
        {
            assert_eq!(trace(bad), None);
        }
    }
}
