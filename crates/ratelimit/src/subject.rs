//! Who a call is charged to, and which bucket or account that means.

use crate::policy::{Segment, Unit};

/// Who a call is charged to. What is absent is not known, and what asks for it does not apply.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// The organisation: nothing is ever shared between two of them.
    pub org: &'a str,
    /// The API key's id.
    pub key: Option<&'a str>,
    /// The user.
    pub user: Option<&'a str>,
    /// The model that is asked for.
    pub model: Option<&'a str>,
    /// Properties: names, in any case, and values.
    pub properties: &'a [(String, String)],
}

impl<'a> Subject<'a> {
    /// The value of a property, whatever the case of its name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&'a str> {
        self.properties.iter().find(|(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whose share of a segment this is; `None` where it is not known, or is empty, and so cannot be limited.
    #[must_use]
    pub fn share(&self, segment: &Segment) -> Option<&'a str> {
        let value = match segment {
            Segment::Global => return Some(""),
            Segment::User => self.user,
            Segment::Key => self.key,
            Segment::Model => self.model,
            Segment::Property(name) => self.property(name),
        };
        value.filter(|value| !value.is_empty())
    }
}

/// The key of a bucket, as Helicone writes it: `tb:<org>:user:<id>:<unit>`. The quota is not in it, so two policies with
/// one segment and unit share a bucket.
#[must_use]
pub fn bucket_key(org: &str, segment: &Segment, share: &str, unit: Unit) -> String {
    let (org, unit) = (name(org), unit.code());
    match segment {
        Segment::Global => format!("tb:{org}:global::{unit}"),
        Segment::User => format!("tb:{org}:user:{}:{unit}", value(share)),
        Segment::Key => format!("tb:{org}:key:{}:{unit}", value(share)),
        Segment::Model => format!("tb:{org}:model:{}:{unit}", value(share)),
        Segment::Property(property) => format!("tb:{org}:prop:{}:{}:{unit}", name(property), value(share)),
    }
}

/// A value as it stands in a key: without colons and control characters, at most 256 characters of it.
#[must_use]
pub(crate) fn value(text: &str) -> String {
    let kept = text.chars().map(|c| if c == ':' { '_' } else { c }).filter(|c| !c.is_control());
    kept.collect::<String>().trim().chars().take(256).collect()
}

/// A name as it stands in a key: letters, digits, `_` and `-`, at most 128 of them.
fn name(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    text.chars().map(plain).take(128).collect()
}

/// A share as the record and people read it: `organisation`, `user:alice`, `property:team:search`.
#[must_use]
pub(crate) fn shown(segment: &Segment, share: &str) -> String {
    match segment {
        Segment::Global => "organisation".to_owned(),
        Segment::Property(name) => format!("property:{name}:{share}"),
        other => format!("{}:{share}", other.name().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_or_missing_share_cannot_be_limited() {
        let properties = [("Team".to_owned(), "a:b".to_owned()), ("empty".to_owned(), String::new())];
        let subject = Subject { org: "o", user: Some(""), properties: &properties, ..Subject::default() };
        assert_eq!(subject.share(&Segment::Global), Some(""));
        assert_eq!(subject.share(&Segment::User), None);
        assert_eq!(subject.share(&Segment::Property("empty".into())), None);
        assert_eq!(subject.share(&Segment::Property("team".into())), Some("a:b"));
        assert_eq!(bucket_key("o", &Segment::Property("team".into()), "a:b", Unit::Cents), "tb:o:prop:team:a_b:cents");
    }

    #[test]
    fn keys_are_bounded_whatever_a_caller_sends() {
        let long = "\u{1F980}:\n".repeat(10_000);
        assert_eq!(value(&long).chars().count(), 256);
        assert!(!value(&long).contains([':', '\n']));
    }
}
