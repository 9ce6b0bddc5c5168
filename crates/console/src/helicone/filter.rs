//! Helicone's filters: trees of leaves, and the expressions of its newer pages. Both become our own tree.

use serde_json::{Map, Value, json};
use tachograph_record::OrgId;
use tachograph_store::{BadQuery, Comparison, Condition, Fact, Field, Number, Pattern, Predicate, Test};

type Read = Result<Predicate, BadQuery>;

fn bad(message: impl Into<String>) -> BadQuery {
    BadQuery(message.into())
}

/// An expression (`{type, …}`), as text or JSON, as a tree of leaves. What is a tree already stays.
pub(crate) fn to_node(expression: &Value) -> Result<Value, BadQuery> {
    match expression {
        Value::Null => Ok(json!({})),
        Value::String(text) if text == "all" => Ok(expression.clone()),
        Value::String(text) => {
            let read = serde_json::from_str(text).map_err(|_| bad(format!("Invalid filter JSON string: {text}")))?;
            to_node(&read)
        }
        Value::Object(object) if object.contains_key("type") => node_of(object, 0),
        other => Ok(other.clone()),
    }
}

fn node_of(object: &Map<String, Value>, depth: usize) -> Result<Value, BadQuery> {
    if depth > 64 {
        return Err(bad("the filter is nested too deep"));
    }
    match object["type"].as_str() {
        Some("all") => Ok(json!({})),
        Some("condition") => condition_node(object),
        Some(joint @ ("and" | "or")) => {
            let parts =
                object.get("expressions").and_then(Value::as_array).ok_or_else(|| bad("`expressions` is a list"))?;
            let mut nodes = Vec::new();
            for part in parts {
                let part = part.as_object().filter(|part| part.contains_key("type"));
                nodes.push(node_of(part.ok_or_else(|| bad("an expression has a `type`"))?, depth + 1)?);
            }
            let joined =
                nodes.into_iter().reduce(|left, right| json!({ "left": left, "operator": joint, "right": right }));
            Ok(joined.unwrap_or_else(|| json!({})))
        }
        _ => Err(bad("`type` is one of all, condition, and, or")),
    }
}

/// The newer pages' operators in the words of the tree.
const OPERATORS: [(&str, &str); 10] = [
    ("eq", "equals"),
    ("is", "equals"),
    ("neq", "not-equals"),
    ("gt", "gt"),
    ("gte", "gte"),
    ("lt", "lt"),
    ("lte", "lte"),
    ("like", "like"),
    ("ilike", "ilike"),
    ("contains", "contains"),
];

fn condition_node(object: &Map<String, Value>) -> Result<Value, BadQuery> {
    let field = object.get("field").ok_or_else(|| bad("a condition has a `field`"))?;
    let column = field["column"].as_str().ok_or_else(|| bad("`field.column` is a text"))?;
    let table = field["table"].as_str().unwrap_or("request_response_rmt");
    let operator = object.get("operator").and_then(Value::as_str).unwrap_or_default();
    let known = OPERATORS.iter().find(|(name, _)| *name == operator).map_or(operator, |(_, node)| node);
    let leaf = json!({ known: object.get("value").cloned().unwrap_or_default() });
    let leaf = match field["key"].as_str() {
        Some(key) if field["valueMode"] == "key" => json!({ known: key }),
        Some(key) => json!({ key: leaf }),
        None => leaf,
    };
    Ok(json!({ table: { column: leaf } }))
}

/// Reads a filter in either form.
pub(crate) fn read(filter: &Value, org: OrgId) -> Read {
    let read = node(&to_node(filter)?, org, 0)?;
    read.check()?;
    Ok(read)
}

fn node(json: &Value, org: OrgId, depth: usize) -> Read {
    if depth > 64 {
        return Err(bad("the filter is nested too deep"));
    }
    let object = match json {
        Value::Null => return Ok(Predicate::All),
        Value::String(all) if all == "all" => return Ok(Predicate::All),
        Value::Object(object) if object.is_empty() => return Ok(Predicate::All),
        Value::Object(object) => object,
        _ => return Err(bad("a filter is \"all\", a leaf, or {left, operator, right}")),
    };
    if let (Some(left), Some(right)) = (object.get("left"), object.get("right")) {
        let parts = vec![node(left, org, depth + 1)?, node(right, org, depth + 1)?];
        return match object.get("operator").and_then(Value::as_str) {
            Some("and") => Ok(Predicate::And(parts)),
            Some("or") => Ok(Predicate::Or(parts)),
            _ => Err(bad("`operator` between `left` and `right` is \"and\" or \"or\"")),
        };
    }
    let mut all = Predicate::All;
    for (table, columns) in object {
        let columns = columns.as_object().ok_or_else(|| bad(format!("`{table}` holds columns")))?;
        for (column, asked) in columns {
            all = all.and(leaf(table, column, asked, org)?);
        }
    }
    Ok(all)
}

/// A column's meaning here.
enum Column {
    Fact(Fact),
    /// A number of ms of what we have in µs.
    Millis(Fact),
    /// The provider, whose name Helicone writes in capitals.
    Provider,
    Property(String),
    Score(String),
    PropertyKey,
    Cached,
    CacheEnabled,
    Body,
    Url,
    Org,
    /// What we never have.
    Nothing,
}

fn column(table: &str, name: &str) -> Result<Column, BadQuery> {
    match table {
        "request_response_rmt"
        | "request"
        | "response"
        | "request_response_search"
        | "sessions_request_response_rmt"
        | "users_view"
        | "user_metrics"
        | "feedback" => {}
        "properties" => return Ok(Column::Property(name.to_owned())),
        "values" => return Ok(Column::Property(name.to_owned())),
        other => return Err(bad(format!("the table `{other}` is not known"))),
    }
    Ok(match name {
        "latency" | "delay_ms" => Column::Millis(Fact::Latency),
        "time_to_first_token" => Column::Millis(Fact::FirstToken),
        "cost" => Column::Fact(Fact::Cost),
        "provider" => Column::Provider,
        "status" => Column::Fact(Fact::Status),
        "request_created_at"
        | "response_created_at"
        | "created_at"
        | "session_created_at"
        | "session_latest_request_created_at" => Column::Fact(Fact::Time),
        "model" | "body_model" | "response_model" => Column::Fact(Fact::Model),
        "request_model" | "model_override" => Column::Fact(Fact::RequestedModel),
        "user_id" => Column::Fact(Fact::User),
        "request_id" | "id" => Column::Fact(Fact::Id),
        "path" | "request_path" => Column::Fact(Fact::Path),
        "prompt_tokens" => Column::Fact(Fact::InputTokens),
        "completion_tokens" => Column::Fact(Fact::OutputTokens),
        "total_tokens" => Column::Fact(Fact::TotalTokens),
        "reasoning_tokens" => Column::Fact(Fact::ReasoningTokens),
        "prompt_cache_read_tokens" => Column::Fact(Fact::CacheReadTokens),
        "prompt_cache_write_tokens" => Column::Fact(Fact::CacheWriteTokens),
        "prompt_id" => Column::Fact(Fact::Prompt),
        "prompt_version" => Column::Fact(Fact::PromptVersion),
        "session_session_id" => Column::Fact(Fact::Session),
        "session_session_name" => Column::Fact(Fact::SessionName),
        "property_key" => Column::PropertyKey,
        "cached" => Column::Cached,
        "cache_enabled" => Column::CacheEnabled,
        "request_body" | "response_body" | "request_body_vector" | "response_body_vector" => Column::Body,
        "target_url" => Column::Url,
        "organization_id" => Column::Org,
        "helicone-score-feedback" | "rating" => Column::Score("helicone-score-feedback".into()),
        "country_code"
        | "node_id"
        | "job_id"
        | "threat"
        | "assets"
        | "request_referrer"
        | "proxy_key_id"
        | "is_passthrough_billing"
        | "cache_reference_id"
        | "gateway_endpoint_version" => Column::Nothing,
        other => return Err(bad(format!("the column `{other}` is not known"))),
    })
}

fn leaf(table: &str, name: &str, asked: &Value, org: OrgId) -> Read {
    let asked = asked.as_object().ok_or_else(|| bad(format!("`{name}` holds an operator and a value")))?;
    if matches!(name, "properties" | "search_properties" | "scores") {
        let mut all = Predicate::All;
        for (key, asked) in asked {
            let asked = asked.as_object().ok_or_else(|| bad(format!("`{key}` holds an operator and a value")))?;
            let column = if name == "scores" { Column::Score(key.clone()) } else { Column::Property(key.clone()) };
            all = all.and(ask(&column, asked, org)?);
        }
        return Ok(all);
    }
    ask(&column(table, name)?, asked, org)
}

/// Only the first operator counts, as in Helicone.
fn ask(column: &Column, asked: &Map<String, Value>, org: OrgId) -> Read {
    let Some((operator, value)) = asked.iter().next() else { return Ok(Predicate::All) };
    let (operator, negated) = match operator.as_str() {
        "not-equals" => ("equals", true),
        "not-contains" => ("contains", true),
        other => (other, false),
    };
    let positive = positive(column, operator, value, org)?;
    Ok(if negated { positive.negated() } else { positive })
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn flag_of(value: &Value) -> bool {
    matches!(text_of(value).as_str(), "true" | "1")
}

fn never() -> Predicate {
    Predicate::Or(Vec::new())
}

fn positive(column: &Column, operator: &str, value: &Value, org: OrgId) -> Read {
    if operator == "in" {
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        let each = values.iter().map(|one| positive(column, "equals", one, org));
        return Ok(Predicate::Or(each.collect::<Result<_, _>>()?));
    }
    let field: Field = match column {
        Column::Fact(fact) | Column::Millis(fact) => (*fact).into(),
        Column::Provider => Fact::Provider.into(),
        Column::Property(name) => Field::Property(name.clone()),
        Column::Score(name) => Field::Score(name.clone()),
        Column::PropertyKey => return Ok(Predicate::present(Field::Property(text_of(value)))),
        Column::Cached => {
            let served = Test::OneOf(["hit", "joined", "semantic"].map(String::from).into());
            let served = Predicate::Is(Condition { field: Fact::Cache.into(), test: served });
            return Ok(if flag_of(value) { served } else { served.negated() });
        }
        Column::CacheEnabled => {
            let asked = Predicate::present(Fact::Cache);
            return Ok(if flag_of(value) { asked } else { asked.negated() });
        }
        Column::Body => {
            let needle = text_of(value);
            let test = Test::Like(Pattern::containing(needle.trim_matches('%'))?);
            return Ok(Predicate::Is(Condition { field: Fact::Text.into(), test }));
        }
        Column::Url => return url(operator, &text_of(value)),
        Column::Org => return Ok(if text_of(value) == org.to_string() { Predicate::All } else { never() }),
        Column::Nothing => {
            let empty = value.is_null() || matches!(text_of(value).as_str(), "" | "null" | "false" | "__empty__");
            let zero = text_of(value) == "00000000-0000-0000-0000-000000000000";
            return Ok(if empty || zero { Predicate::All } else { never() });
        }
    };
    if value.is_null() || matches!(value.as_str(), Some("null" | "__empty__")) {
        return Ok(Predicate::present(field).negated());
    }
    let pattern = |pattern: Pattern| Ok(Predicate::Is(Condition { field: field.clone(), test: Test::Like(pattern) }));
    let text = text_of(value);
    let is_text = matches!(field.kind(), tachograph_store::Kind::Text | tachograph_store::Kind::Word);
    match operator {
        "equals" if matches!(column, Column::Provider) => pattern(Pattern::glob(&escaped(&text), true)?),
        "like" if is_text => pattern(Pattern::like(&text, false)?),
        "ilike" if is_text => pattern(Pattern::like(&text, true)?),
        "contains" if is_text => pattern(Pattern::containing(&text)?),
        "equals" | "like" | "ilike" | "contains" => number_or(&field, column, Comparison::Equal, &text),
        "gt" => number_or(&field, column, Comparison::More, &text),
        "gte" => number_or(&field, column, Comparison::AtLeast, &text),
        "lt" => number_or(&field, column, Comparison::Less, &text),
        "lte" => number_or(&field, column, Comparison::AtMost, &text),
        other => Err(bad(format!("the operator `{other}` is not known"))),
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('*', "\\*").replace('?', "\\?")
}

fn number_or(field: &Field, column: &Column, comparison: Comparison, text: &str) -> Read {
    let operator = match comparison {
        Comparison::Equal => "eq",
        Comparison::Less => "lt",
        Comparison::AtMost => "lte",
        Comparison::More => "gt",
        Comparison::AtLeast => "gte",
    };
    match column {
        Column::Millis(_) => {
            let micros =
                tachograph_store::query::read_decimal(text).map_err(|_| bad(format!("`{text}` is no number")))?;
            // A decimal is read in millionths; of ms that is 1,000 times what µs are.
            Ok(Predicate::number(field.clone(), comparison, Number::Int(micros / 1_000)))
        }
        // Statuses below 0 are Helicone's own; -3 is a client that left.
        Column::Fact(Fact::Status) if text == "-3" && comparison == Comparison::Equal => {
            Ok(Predicate::is(Fact::Outcome, "client_gone"))
        }
        Column::Score(_) if matches!(text, "true" | "false") => {
            Predicate::condition(field.clone(), operator, &json!(u8::from(text == "true")))
        }
        _ => Predicate::condition(field.clone(), operator, &json!(text)),
    }
}

/// A URL is kept as a provider and a path. What stands behind the host is compared with the path, a host with the
/// provider's name.
fn url(operator: &str, text: &str) -> Read {
    let (rest, open) = match operator {
        "equals" => (text, false),
        _ => (text.trim_matches('%'), true),
    };
    let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
    let (host, path) = match rest.split_once('/') {
        Some((host, path)) => (host, format!("/{path}")),
        None => (rest, String::new()),
    };
    let path = path.split('?').next().unwrap_or_default().to_owned();
    let by_path = |path: &str| -> Read {
        let glob = if open { format!("*{}*", escaped(path)) } else { escaped(path) };
        let test = Test::Like(Pattern::glob(&glob, operator == "ilike" || operator == "contains")?);
        Ok(Predicate::Is(Condition { field: Fact::Path.into(), test }))
    };
    let mut all = Predicate::All;
    // `api.openai.com` → openai
    let labels: Vec<&str> = host.split('.').filter(|label| !label.is_empty()).collect();
    if labels.len() >= 2 {
        let name = Test::Like(Pattern::containing(labels[labels.len() - 2])?);
        all = all.and(Predicate::Is(Condition { field: Fact::Provider.into(), test: name }));
    } else if path.is_empty() {
        return by_path(host);
    }
    if !path.is_empty() {
        all = all.and(by_path(&path)?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Helicone's own cases, read in place where they are.
    #[test]
    fn helicones_cases_hold() {
        let Some(shared) = std::env::var_os("TACHOGRAPH_SHARED") else {
            eprintln!("skipped Helicone's filter cases: TACHOGRAPH_SHARED is not set");
            return;
        };
        let path = std::path::Path::new(&shared).join("helicone-cases/filters.json");
        let cases: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let (mut nodes, mut read_cases) = (0, 0);
        for case in cases["cases"].as_array().unwrap() {
            let (args, result) = (&case["args"], &case["result"]);
            match case["fn"].as_str().unwrap() {
                "toFilterNode" => {
                    nodes += 1;
                    match case["throws"].as_str() {
                        Some(words) => assert_eq!(to_node(&args[0]).unwrap_err().to_string(), words),
                        None => {
                            let node = to_node(&args[0]).unwrap();
                            assert_eq!(node, *result, "{}", case["test"]);
                            node_is_read(&node);
                        }
                    }
                }
                "buildFilterClickHouse" | "buildFilter" => {
                    read_cases += 1;
                    node_is_read(&args[0]["filter"]);
                }
                // What its pages build an expression with: what comes out goes over the wire, so it must be readable.
                "FilterAST.condition"
                | "FilterAST.property"
                | "FilterAST.and"
                | "FilterAST.or"
                | "FilterAST.score"
                | "FilterAST.all"
                | "FilterAST.combineFilters"
                | "FilterAST.createDefaultFilter"
                | "FilterAST.deserializeFilter" => {
                    read_cases += 1;
                    read(result, OrgId::HOME).unwrap_or_else(|bad| panic!("{}: {bad}", case["test"]));
                }
                "filterListToTree" | "filterUITreeToFilterNode" => {
                    read_cases += 1;
                    node_is_read(result);
                }
                // Explained: these are helpers inside Helicone's pages (its menus, ClickHouse placeholders and guards),
                // of which nothing reaches a server.
                "timeFilterToFilterNode"
                | "isUIFilterRow"
                | "uiFilterRowToFilterLeaf"
                | "filterUIToFilterLeafs"
                | "uiFilterRowTreeToFilterLeafArray"
                | "clickhouseParam"
                | "getPropertyFilters"
                | "FilterAST.isEmptyFilter"
                | "FilterAST.validateFilter"
                | "FilterAST.createDefaultScoreFilter"
                | "buildRequestSortClickhouse" => {}
                other => panic!("{other} is neither held nor explained"),
            }
        }
        assert!(nodes >= 10 && read_cases >= 25, "{nodes} {read_cases}");
    }

    fn node_is_read(node: &Value) {
        read(node, OrgId::HOME).unwrap_or_else(|bad| panic!("{node}: {bad}"));
    }

    #[test]
    fn leaves_mean_what_they_say() {
        let told = |node: Value| read(&node, OrgId::HOME).unwrap().to_json();
        assert_eq!(
            told(json!({ "request_response_rmt": { "latency": { "gte": 1000.5 } } })),
            json!({ "field": "latency_us", "op": "gte", "value": 1_000_500 })
        );
        assert_eq!(
            told(json!({ "request_response_rmt": { "cost": { "gt": 0.01 }, "user_id": { "equals": "null" } } })),
            json!({ "and": [{ "field": "cost", "op": "gt", "value": "0.01" }, { "not": { "field": "user", "op": "exists", "value": true } }] })
        );
        assert!(read(&json!({ "a": { "b": { "equals": 1 } } }), OrgId::HOME).is_err());
    }
}
