//! Taking typed fields out of a JSON object, with errors that say where.

use serde_json::{Map, Number, Value};
use tachograph_reply::ApiError;

/// An object being read. What is taken is gone from it; what stays (unknown fields, nulls) is the rest.
#[derive(Debug)]
pub(crate) struct Object {
    map: Map<String, Value>,
    path: String,
}

type Read<T> = Result<T, ApiError>;

impl Object {
    /// The object that a request's body is.
    pub(crate) fn parse(body: &[u8]) -> Read<Self> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => Ok(Self { map, path: String::new() }),
            Ok(_) => Err(ApiError::invalid("invalid_json", "The request's body must be a JSON object.")),
            Err(fault) => {
                let (line, column) = (fault.line(), fault.column());
                let message = format!("The request's body is not JSON: fault at line {line}, column {column}.");
                Err(ApiError::invalid("invalid_json", message))
            }
        }
    }

    /// The object that stands at `path`.
    pub(crate) fn of(value: Value, path: impl Into<String>) -> Read<Self> {
        let path = path.into();
        match value {
            Value::Object(map) => Ok(Self { map, path }),
            _ => Err(wrong(&path, "an object")),
        }
    }

    pub(crate) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key)
    }

    /// Puts back what was taken.
    pub(crate) fn put(&mut self, key: &str, value: Value) {
        self.map.insert(key.to_owned(), value);
    }

    /// What was not taken.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.map
    }

    pub(crate) fn missing(&self, key: &str) -> ApiError {
        let path = self.path(key);
        ApiError::invalid("missing_parameter", format!("{path} is missing.")).with_param(path)
    }

    pub(crate) fn wrong(&self, key: &str, what: &str) -> ApiError {
        wrong(&self.path(key), what)
    }

    /// A field unless it is absent or null; null stays.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        if self.map.get(key)?.is_null() {
            return None;
        }
        // The order of what stays is kept.
        self.map.shift_remove(key)
    }

    fn typed<T>(&mut self, key: &str, what: &str, read: impl FnOnce(Value) -> Option<T>) -> Read<Option<T>> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| self.wrong(key, what)),
        }
    }

    pub(crate) fn string(&mut self, key: &str) -> Read<Option<String>> {
        self.typed(key, "a string", |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })
    }

    pub(crate) fn boolean(&mut self, key: &str) -> Read<Option<bool>> {
        self.typed(key, "true or false", |value| value.as_bool())
    }

    pub(crate) fn count(&mut self, key: &str) -> Read<Option<u64>> {
        self.typed(key, "a whole number that is not negative", |value| value.as_u64())
    }

    pub(crate) fn number(&mut self, key: &str) -> Read<Option<Number>> {
        self.typed(key, "a number", |value| match value {
            Value::Number(number) => Some(number),
            _ => None,
        })
    }

    pub(crate) fn array(&mut self, key: &str) -> Read<Option<Vec<Value>>> {
        self.typed(key, "an array", |value| match value {
            Value::Array(items) => Some(items),
            _ => None,
        })
    }

    pub(crate) fn object(&mut self, key: &str) -> Read<Option<Self>> {
        let path = self.path(key);
        self.take(key).map(|value| Self::of(value, path)).transpose()
    }
}

/// The complaint that a field is not what it must be.
pub(crate) fn wrong(path: &str, what: &str) -> ApiError {
    ApiError::invalid("invalid_type", format!("{path} must be {what}.")).with_param(path)
}

/// `value` as a string that is not empty.
pub(crate) fn text(value: Option<&Value>) -> Option<&str> {
    value?.as_str().filter(|text| !text.is_empty())
}
