//! Whose calls a budget counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Subject;

/// Whose calls a budget counts, and whether each value has a budget of its own. All parts must fit at once; with none, all
/// calls of an organisation share one budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// Only this organisation, by its id; absent, each for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
    /// API keys, by their ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Selector>,
    /// Users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Selector>,
    /// Models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Selector>,
    /// Properties: a name, for each of its values; or names with the values that are meant.
    #[serde(skip_serializing_if = "Properties::is_empty")]
    pub property: Properties,
}

/// Which values of a key, user or model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Each has a budget of its own: `"*"` or `true`.
    Each,
    /// Only this one.
    One(String),
}

/// Properties by their names in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, Selector>);

impl Properties {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Scope {
    fn parts(&self) -> impl Iterator<Item = (&'static str, &Selector)> {
        [("key", &self.key), ("user", &self.user), ("model", &self.model)]
            .into_iter()
            .filter_map(|(name, selector)| Some((name, selector.as_ref()?)))
    }

    /// Whether calls of this organisation may count.
    pub(crate) fn is_open_to(&self, org: &str) -> bool {
        self.organisation.as_ref().is_none_or(|only| only.eq_ignore_ascii_case(org))
    }

    /// The values by which a call's account is told from others; `None` where the call is not meant.
    pub(super) fn values(&self, subject: &Subject<'_>) -> Option<Vec<(String, String)>> {
        if !self.is_open_to(subject.org) {
            return None;
        }
        let mut values = Vec::new();
        for (name, selector) in self.parts() {
            let value = match name {
                "key" => subject.key,
                "user" => subject.user,
                _ => subject.model,
            };
            values.push((name.to_owned(), selector.pick(value)?));
        }
        for (name, selector) in &self.property.0 {
            values.push((format!("property:{name}"), selector.pick(subject.property(name))?));
        }
        Some(values)
    }

    /// As people read it.
    pub(super) fn shown(&self) -> String {
        let each = |name: &str, selector: &Selector| match selector {
            Selector::Each => format!("each {name}"),
            Selector::One(value) => format!("{name} {value}"),
        };
        let parts = self.parts().map(|(name, selector)| each(name, selector));
        let properties = self.property.0.iter().map(|(name, selector)| each(name, selector));
        let all: Vec<String> = parts.chain(properties).collect();
        if all.is_empty() { "the organisation".to_owned() } else { all.join(" and ") }
    }

    /// The same for the same scope, and for no other.
    pub(super) fn identity(&self) -> String {
        let part = |name: &str, selector: &Selector| match selector {
            Selector::Each => format!("{name}=*"),
            Selector::One(value) => format!("{name}='{}'", crate::subject::value(value)),
        };
        let parts = self.parts().map(|(name, selector)| part(name, selector));
        let properties = self.property.0.iter().map(|(name, selector)| part(&format!("property.{name}"), selector));
        parts.chain(properties).collect::<Vec<_>>().join("&")
    }
}

impl Selector {
    fn pick(&self, value: Option<&str>) -> Option<String> {
        let value = value.filter(|value| !value.is_empty())?;
        match self {
            Self::Each => Some(value.to_owned()),
            Self::One(one) => (one == value).then(|| value.to_owned()),
        }
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Each => serializer.serialize_str("*"),
            Self::One(value) => serializer.serialize_str(value),
        }
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a value, or \"*\" for each value by itself")]
        enum Written {
            Flag(bool),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Flag(true) => Ok(Self::Each),
            Written::Text(text) if text == "*" => Ok(Self::Each),
            Written::Text(text) if !text.is_empty() => Ok(Self::One(text)),
            _ => Err(de::Error::custom("a value, or \"*\" for each value by itself")),
        }
    }
}

impl Serialize for Properties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a property's name, or names with values")]
        enum Written {
            Name(String),
            Names(Vec<String>),
            Values(BTreeMap<String, Selector>),
        }
        let each = |names: Vec<String>| names.into_iter().map(|name| (name, Selector::Each)).collect();
        let written: BTreeMap<String, Selector> = match Written::deserialize(deserializer)? {
            Written::Name(name) => each(vec![name]),
            Written::Names(names) => each(names),
            Written::Values(values) => values,
        };
        if written.keys().any(String::is_empty) {
            return Err(de::Error::custom("a property without a name"));
        }
        Ok(Self(written.into_iter().map(|(name, selector)| (name.to_ascii_lowercase(), selector)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(json: &str) -> Scope {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_name_alone_means_each_value_and_all_parts_must_fit() {
        let properties = [("department".to_owned(), "search".to_owned()), ("Stage".to_owned(), "prod".to_owned())];
        let subject =
            Subject { org: "o", user: Some("alice"), model: Some("gpt-4o"), properties: &properties, key: None };
        let values = |json: &str| {
            let values = scope(json).values(&subject)?;
            Some(values.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(","))
        };
        for (json, expected) in [
            ("{}", Some("")),
            (r#"{"property":"Department"}"#, Some("property:department=search")),
            (r#"{"property":["Department","stage"]}"#, Some("property:department=search,property:stage=prod")),
            (r#"{"property":{"Department":"search"},"user":"*"}"#, Some("user=alice,property:department=search")),
            (r#"{"property":{"Department":"ads"}}"#, None),
            (r#"{"property":"city"}"#, None),
            (r#"{"user":true,"model":"gpt-4o"}"#, Some("user=alice,model=gpt-4o")),
            (r#"{"key":"*"}"#, None),
            (r#"{"organisation":"O"}"#, Some("")),
            (r#"{"organisation":"p"}"#, None),
        ] {
            assert_eq!(values(json).as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for json in [r#"{"team":"x"}"#, r#"{"user":""}"#, r#"{"user":false}"#, r#"{"user":7}"#, r#"{"property":""}"#] {
            assert!(serde_json::from_str::<Scope>(json).is_err(), "{json}");
        }
        assert_ne!(scope(r#"{"user":"*"}"#).identity(), scope(r#"{"user":"x"}"#).identity());
    }
}
