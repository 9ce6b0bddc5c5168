//! A usage object as it is read: its names and values borrowed from the text, its members in a list.
//!
//! Usage is read at the end of every call. Its objects have a dozen members, which are found faster by comparing names than
//! by hashing them, and nothing of it is kept.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node<'a> {
    /// Null, and absence.
    Null,
    /// True or false.
    Flag,
    /// A whole number that is not negative.
    Count(u64),
    /// Another number.
    Float(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Node<'a>>),
    /// An object's members, in order.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// Reads a JSON text; what is none is null.
    pub(crate) fn read(text: &'a [u8]) -> Self {
        serde_json::from_slice(text).unwrap_or(Self::Null)
    }

    /// An object's member. Where a name stands twice the last counts, as everywhere.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().rfind(|(held, _)| held == name).map(|(_, value)| value),
            _ => None,
        }
    }

    pub(crate) fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Count(count) => Some(*count),
            _ => None,
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "who asks for a float wants one")]
    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Count(count) => Some(*count as f64),
            Self::Float(float) => Some(*float),
            _ => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(entries) => Some(entries),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl<'a> From<&'a Value> for Node<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Flag,
            Value::Number(number) => match (number.as_u64(), number.as_f64()) {
                (Some(count), _) => Self::Count(count),
                (None, Some(float)) => Self::Float(float),
                (None, None) => Self::Flag,
            },
            Value::String(text) => Self::Text(text.into()),
            Value::Array(entries) => Self::List(entries.iter().map(Into::into).collect()),
            Value::Object(members) => {
                Self::Object(members.iter().map(|(name, value)| (name.into(), value.into())).collect())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Nodes;

        impl<'de> Visitor<'de> for Nodes {
            type Value = Node<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Node<'de>, E> {
                Ok(Node::Null)
            }

            fn visit_bool<E>(self, _flag: bool) -> Result<Node<'de>, E> {
                Ok(Node::Flag)
            }

            fn visit_u64<E>(self, count: u64) -> Result<Node<'de>, E> {
                Ok(Node::Count(count))
            }

            #[allow(clippy::cast_precision_loss, reason = "a negative number is refused for its sign alone")]
            fn visit_i64<E>(self, number: i64) -> Result<Node<'de>, E> {
                Ok(u64::try_from(number).map_or(Node::Float(number as f64), Node::Count))
            }

            fn visit_f64<E>(self, float: f64) -> Result<Node<'de>, E> {
                Ok(Node::Float(float))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
                Ok(Node::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
                Ok(Node::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Node<'de>, A::Error> {
                let mut list = Vec::new();
                while let Some(entry) = entries.next_element()? {
                    list.push(entry);
                }
                Ok(Node::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node<'de>, A::Error> {
                let mut object = Vec::with_capacity(8);
                while let Some(Node::Text(name)) = members.next_key()? {
                    object.push((name, members.next_value()?));
                }
                Ok(Node::Object(object))
            }
        }

        deserializer.deserialize_any(Nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_and_its_parsed_value_are_the_same() {
        for text in [
            r#"{"a":1,"b":-1,"c":1.5,"d":"x\n","e":[1,{"f":null}],"g":true,"h":{},"i":18446744073709551615,"j":1e300}"#,
            "[]",
            "null",
            "\"text\"",
            "12",
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(Node::read(text.as_bytes()), Node::from(&value), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_null_and_the_last_of_a_name_counts() {
        assert!(Node::read(b"").is_null() && Node::read(b"{\"a\":").is_null() && Node::read(b"{} x").is_null());
        assert_eq!(Node::read(br#"{"a":1,"a":2}"#).get("a").and_then(Node::as_u64), Some(2));
    }
}
