//! Names of fields and schemas, which Google writes in two ways each.

use serde_json::{Map, Value};

/// Fields whose values are the user's own words.
const OPAQUE: &[&str] = &[
    "args",
    "response",
    "parameters",
    "parametersJsonSchema",
    "responseSchema",
    "responseJsonSchema",
    "labels",
    "partialArgs",
];

/// Writes the names of all fields in `camelCase`, but for those that are the user's.
pub(super) fn camelize(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(camelize),
        Value::Object(fields) => {
            let renamed: Map<String, Value> = std::mem::take(fields)
                .into_iter()
                .map(|(name, mut value)| {
                    let name = camel(name);
                    if !OPAQUE.contains(&name.as_str()) {
                        camelize(&mut value);
                    }
                    (name, value)
                })
                .collect();
            *fields = renamed;
        }
        _ => {}
    }
}

fn camel(name: String) -> String {
    if !name.contains('_') {
        return name;
    }
    let mut words = name.split('_').filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut joined, word| {
        let mut letters = word.chars();
        joined.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        joined.push_str(letters.as_str());
        joined
    })
}

/// A schema in Google's dialect of OpenAPI as JSON Schema: types in small letters, `nullable` as a type.
pub(super) fn json_schema(schema: &Value) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    let mut written = Map::new();
    let mut nullable = false;
    for (name, value) in fields {
        let name = camel(name.clone());
        match (name.as_str(), value) {
            ("type", Value::String(kind)) => {
                written.insert(name, Value::from(kind.to_ascii_lowercase()));
            }
            ("nullable", _) => nullable = value == true,
            ("propertyOrdering", _) => {}
            ("properties", Value::Object(properties)) => {
                let inner = properties.iter().map(|(name, schema)| (name.clone(), json_schema(schema)));
                written.insert(name, Value::Object(inner.collect()));
            }
            ("items", _) => drop(written.insert(name, json_schema(value))),
            ("anyOf", Value::Array(options)) => {
                written.insert(name, options.iter().map(json_schema).collect());
            }
            _ => drop(written.insert(name, value.clone())),
        }
    }
    if let (true, Some(kind)) = (nullable, written.get("type").cloned()) {
        written.insert("type".to_owned(), Value::Array(vec![kind, Value::from("null")]));
    }
    Value::Object(written)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_written_one_way_and_the_users_are_left_alone() {
        let mut value =
            json!({"system_instruction": {"parts": [{"function_call": {"name": "a_b", "args": {"c_d": 1}}}]}});
        camelize(&mut value);
        assert_eq!(
            value,
            json!({"systemInstruction": {"parts": [{"functionCall": {"name": "a_b", "args": {"c_d": 1}}}]}})
        );
    }

    #[test]
    fn schemas() {
        let native = json!({"type": "OBJECT", "properties": {"my_name": {"type": "STRING", "nullable": true}},
            "propertyOrdering": ["my_name"], "required": ["my_name"]});
        let want =
            json!({"type": "object", "properties": {"my_name": {"type": ["string", "null"]}}, "required": ["my_name"]});
        assert_eq!(json_schema(&native), want);
    }
}
