//! A span's attributes as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use serde_json::{Map, Number, Value};

use super::aliases::behind;

/// How deep values are followed: deeper ones are nobody's attributes.
const DEEPEST: usize = 32;
/// The highest index of a flat list that is read.
const MOST: usize = 10_000;

/// Attributes by name, in the order they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes(Map<String, Value>);

impl Attributes {
    pub(super) fn read(attributes: &[KeyValue]) -> Self {
        Self(attributes.iter().map(|pair| (pair.key.clone(), json(pair.value.as_ref(), 0))).collect())
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !is_nothing(value))
    }

    /// The first of these that is there.
    pub(super) fn first(&self, keys: &[String]) -> Option<&Value> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// The first of these that is there, as text.
    pub(super) fn text(&self, keys: &[String]) -> Option<String> {
        self.first(keys).map(shown)
    }

    /// The first of these that is there and a whole number, or a text of one.
    pub(super) fn count(&self, keys: &[String]) -> Option<i64> {
        keys.iter().find_map(|key| whole(self.get(key)?))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().filter(|(_, value)| !is_nothing(value)).map(|(key, value)| (key.as_str(), value))
    }

    /// The list whose elements stand flat, as `<prefix>.0.role`, `<prefix>.0.tool_calls.1.name`, ….
    pub(super) fn unflattened(&self, prefix: &str) -> Option<Value> {
        let mut whole = Value::Null;
        for (key, value) in self.iter() {
            if let Some(rest) = behind(key, prefix) {
                put(&mut whole, rest, value.clone(), 0);
            }
        }
        (!whole.is_null()).then_some(whole)
    }
}

/// Puts a value at a path; numbers are places in a list.
fn put(into: &mut Value, path: &str, value: Value, depth: usize) {
    if depth > DEEPEST {
        return;
    }
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    let place = match head.parse::<usize>() {
        Ok(index) if index <= MOST => {
            if into.is_null() {
                *into = Value::Array(Vec::new());
            }
            let Value::Array(items) = into else { return };
            if items.len() <= index {
                items.resize(index + 1, Value::Null);
            }
            &mut items[index]
        }
        Ok(_) => return,
        Err(_) => {
            if into.is_null() {
                *into = Value::Object(Map::new());
            }
            let Value::Object(members) = into else { return };
            members.entry(head).or_insert(Value::Null)
        }
    };
    match rest {
        Some(rest) => put(place, rest, value, depth + 1),
        None => *place = value,
    }
}

fn json(value: Option<&AnyValue>, depth: usize) -> Value {
    use any_value::Value as Any;
    let Some(value) = value.and_then(|value| value.value.as_ref()).filter(|_| depth < DEEPEST) else {
        return Value::Null;
    };
    match value {
        Any::StringValue(text) => Value::String(text.clone()),
        Any::BoolValue(flag) => Value::Bool(*flag),
        Any::IntValue(int) => Value::from(*int),
        Any::DoubleValue(float) => Number::from_f64(*float).map_or(Value::Null, Value::Number),
        Any::ArrayValue(array) => array.values.iter().map(|item| json(Some(item), depth + 1)).collect(),
        Any::KvlistValue(list) => {
            list.values.iter().map(|pair| (pair.key.clone(), json(pair.value.as_ref(), depth + 1))).collect()
        }
        Any::BytesValue(bytes) => Value::String(STANDARD.encode(bytes)),
        _ => Value::Null,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// A value as text: a text is itself, a list of one is that one.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.len() == 1 => shown(&items[0]),
        other => other.to_string(),
    }
}

/// A whole number; some exporters write them as floats or texts.
#[expect(clippy::cast_possible_truncation, reason = "within what a float counts exactly")]
pub(super) fn whole(value: &Value) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() <= EXACT).map(|f| f as i64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A value that is JSON, or a text of JSON.
pub(super) fn parsed(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) if text.trim_start().starts_with(['{', '[']) => serde_json::from_str(text).ok(),
        Value::Object(_) | Value::Array(_) => Some(value.clone()),
        _ => None,
    }
}
