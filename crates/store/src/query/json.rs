//! Filters as JSON.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value, json};

use super::value::{self, write_decimal};
use super::{BadQuery, Comparison, Condition, Field, Kind, Number, Pattern, Predicate, Test};

const OPERATORS: &str = "eq, ne, in, lt, lte, gt, gte, contains, like, exists";

impl Predicate {
    /// Reads a filter from JSON.
    ///
    /// # Errors
    /// Says what makes no sense.
    pub fn from_json(json: &Value) -> Result<Self, BadQuery> {
        let read = read(json, 0)?;
        read.check()?;
        Ok(read)
    }

    /// The filter as JSON, as [`from_json`](Self::from_json) reads it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::All => json!({}),
            Self::And(parts) => json!({ "and": parts.iter().map(Self::to_json).collect::<Vec<_>>() }),
            Self::Or(parts) => json!({ "or": parts.iter().map(Self::to_json).collect::<Vec<_>>() }),
            Self::Not(inner) => json!({ "not": inner.to_json() }),
            Self::Is(condition) => condition.to_json(),
        }
    }
}

fn read(json: &Value, depth: usize) -> Result<Predicate, BadQuery> {
    if depth > 64 {
        return Err(BadQuery("the filter is nested too deep".into()));
    }
    let object = match json {
        Value::Object(object) => object,
        Value::String(all) if all == "all" => return Ok(Predicate::All),
        _ => return Err(BadQuery(format!("a filter is an object, not {}", shortened(json)))),
    };
    if object.is_empty() {
        return Ok(Predicate::All);
    }
    if object.contains_key("field") {
        return condition(object);
    }
    let mut members = object.iter();
    let (Some((name, inner)), None) = (members.next(), members.next()) else {
        return Err(BadQuery("a filter has one of `and`, `or`, `not`, or else `field`, `op` and `value`".into()));
    };
    let list = |inner: &Value| -> Result<Vec<Predicate>, BadQuery> {
        let parts = inner.as_array().ok_or_else(|| BadQuery(format!("`{name}` holds a list of filters")))?;
        parts.iter().map(|part| read(part, depth + 1)).collect()
    };
    match name.as_str() {
        "and" => Ok(Predicate::And(list(inner)?)),
        "or" => Ok(Predicate::Or(list(inner)?)),
        "not" => Ok(Predicate::Not(Box::new(read(inner, depth + 1)?))),
        _ => Err(BadQuery(format!("`{name}` is none of `and`, `or`, `not`, `field`"))),
    }
}

fn condition(object: &Map<String, Value>) -> Result<Predicate, BadQuery> {
    if let Some(other) = object.keys().find(|name| !matches!(name.as_str(), "field" | "op" | "value")) {
        return Err(BadQuery(format!("`{other}` is none of `field`, `op`, `value`")));
    }
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let field: Field = text("field").ok_or_else(|| BadQuery("`field` is a text".into()))?.parse()?;
    let operator = match object.get("op") {
        None => "eq",
        Some(_) => text("op").ok_or_else(|| BadQuery(format!("`op` is one of {OPERATORS}")))?,
    };
    let value = object.get("value").unwrap_or(&Value::Null);
    build(field, operator, value)
}

/// A condition from its parts; shared with others who write filters their own way.
pub(super) fn build(field: Field, operator: &str, value: &Value) -> Result<Predicate, BadQuery> {
    let is = |field: Field, test: Test| Predicate::Is(Condition { field, test });
    let comparison = match operator {
        "exists" => {
            let wanted = !matches!(value, Value::Bool(false));
            let present = Predicate::present(field);
            return Ok(if wanted { present } else { present.negated() });
        }
        "eq" if value.is_null() => return Ok(Predicate::present(field).negated()),
        "ne" if value.is_null() => return Ok(Predicate::present(field)),
        "eq" => return Ok(is(field.clone(), value::equals(&field, &scalar(value)?, 1)?)),
        "ne" => return Ok(is(field.clone(), value::equals(&field, &scalar(value)?, 1)?).negated()),
        "in" => return list(field, value),
        "contains" => return Ok(is(field, Test::Like(Pattern::containing(&scalar(value)?)?))),
        "like" => return Ok(is(field, Test::Like(Pattern::glob(&scalar(value)?, true)?))),
        "lt" => Comparison::Less,
        "lte" => Comparison::AtMost,
        "gt" => Comparison::More,
        "gte" => Comparison::AtLeast,
        other => return Err(BadQuery(format!("`{other}` is none of the operators {OPERATORS}"))),
    };
    let number = value::number(&field, &scalar(value)?, 1)?;
    Ok(is(field, Test::Number(comparison, number)))
}

fn list(field: Field, value: &Value) -> Result<Predicate, BadQuery> {
    let values = value.as_array().ok_or_else(|| BadQuery("`in` wants a list as its value".into()))?;
    let tests = values.iter().map(|value| value::equals(&field, &scalar(value)?, 1)).collect::<Result<Vec<_>, _>>()?;
    let (mut texts, mut ids, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for test in tests {
        match test {
            Test::OneOf(more) => texts.extend(more),
            Test::Ids(more) => ids.extend(more),
            other => others.push(Predicate::Is(Condition { field: field.clone(), test: other })),
        }
    }
    Ok(match field.kind() {
        Kind::Text | Kind::Word | Kind::Texts => Predicate::Is(Condition { field, test: Test::OneOf(texts) }),
        Kind::Id => Predicate::Is(Condition { field, test: Test::Ids(ids) }),
        _ => Predicate::Or(others),
    })
}

/// A value as text: numbers as they are written.
fn scalar(value: &Value) -> Result<String, BadQuery> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(plain_number(number)),
        Value::Bool(flag) => Ok(flag.to_string()),
        other => Err(BadQuery(format!("`value` is a text, a number or true or false, not {}", shortened(other)))),
    }
}

/// A JSON number without an exponent, where it has one.
fn plain_number(number: &serde_json::Number) -> String {
    let text = number.to_string();
    match number.as_f64() {
        Some(real) if text.contains(['e', 'E']) => format!("{real}"),
        _ => text,
    }
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    text.chars().take(60).collect()
}

impl Condition {
    fn to_json(&self) -> Value {
        let Self { field, test } = self;
        let (name, kind) = (field.to_string(), field.kind());
        match test {
            Test::Present => json!({ "field": name, "op": "exists", "value": true }),
            Test::OneOf(texts) => match texts.as_slice() {
                [one] => json!({ "field": name, "op": "eq", "value": one }),
                _ => json!({ "field": name, "op": "in", "value": texts }),
            },
            Test::Like(pattern) if kind == Kind::Body || (pattern.fold && pattern.needle().is_some()) => {
                let needle = pattern.needle().map(|needle| crate::text::restored(needle.to_owned()));
                json!({ "field": name, "op": "contains", "value": needle.unwrap_or_default() })
            }
            Test::Like(pattern) => json!({ "field": name, "op": "like", "value": pattern.to_string() }),
            Test::Ids(ids) => json!({ "field": name, "op": "in", "value": ids }),
            Test::Flag(flag) => json!({ "field": name, "op": "eq", "value": flag }),
            Test::Number(comparison, number) => {
                let operator = match comparison {
                    Comparison::Equal => "eq",
                    Comparison::Less => "lt",
                    Comparison::AtMost => "lte",
                    Comparison::More => "gt",
                    Comparison::AtLeast => "gte",
                };
                let value = match number {
                    Number::Int(micro) if kind == Kind::Decimal => json!(write_decimal(*micro)),
                    Number::Int(int) => json!(int),
                    Number::Money(amount) => json!(amount.to_string()),
                    Number::Real(real) => json!(real),
                };
                json!({ "field": name, "op": operator, "value": value })
            }
        }
    }
}

impl Serialize for Predicate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Predicate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(&Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Predicate {
    /// A condition from the name of a field, of an operator and a value.
    ///
    /// # Errors
    /// Where they do not go together.
    pub fn condition(field: Field, operator: &str, value: &Value) -> Result<Self, BadQuery> {
        let built = build(field, operator, value)?;
        built.check()?;
        Ok(built)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_writes_and_refuses() {
        for json in [
            json!({}),
            json!({ "field": "model", "op": "eq", "value": "gpt-4o" }),
            json!({ "and": [{ "field": "status", "op": "gte", "value": 400 }, { "not": { "field": "stream", "op": "eq", "value": true } }] }),
            json!({ "or": [{ "field": "cost", "op": "gt", "value": "0.01" }, { "field": "prop.team", "op": "in", "value": ["a", "b"] }] }),
            json!({ "field": "score.quality", "op": "gt", "value": "0.8" }),
            json!({ "field": "model", "op": "like", "value": "gpt-4o*" }),
            json!({ "field": "tokens_per_second", "op": "lt", "value": 12.5 }),
            json!({ "field": "text", "op": "contains", "value": "refund" }),
            json!({ "field": "user", "op": "exists", "value": true }),
        ] {
            assert_eq!(Predicate::from_json(&json).unwrap().to_json(), json);
        }
        for (json, word) in [
            (json!([]), "an object"),
            (json!({ "field": "modle" }), "no field"),
            (json!({ "field": "model", "op": "gt", "value": 3 }), "eq, ne"),
            (json!({ "field": "status", "op": "eq", "value": "high" }), "whole number"),
            (json!({ "xor": [] }), "none of"),
            (json!({ "field": "model", "op": "eq", "value": [1] }), "`value`"),
            (json!({ "field": "cost", "op": "gt", "value": "1e99" }), "USD"),
        ] {
            let refused = Predicate::from_json(&json).unwrap_err().to_string();
            assert!(refused.contains(word), "{json}: {refused}");
        }
    }
}
