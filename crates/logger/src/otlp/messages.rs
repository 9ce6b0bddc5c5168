//! What was said, in whatever form a span tells it, as messages of OpenAI's chat format: the one form that all readers here
//! can show. Whatever is not understood is kept as it stands.

use serde_json::{Map, Value, json};

use super::aliases::Said;
use super::attributes::{Attributes, parsed, shown};

/// An event of a span.
pub(super) struct Event {
    pub(super) name: String,
    pub(super) at_nano: u64,
    pub(super) attributes: Attributes,
}

/// The messages of one side, in OpenAI's chat format.
pub(super) fn messages(said: &Said, attributes: &Attributes, events: &[Event]) -> Option<Vec<Value>> {
    let listed = || said.messages.iter().find_map(|key| list(&parsed(attributes.get(key)?)?));
    let flat = || said.flat.iter().find_map(|prefix| list(&attributes.unflattened(prefix)?));
    let in_event = || said.event_lists.iter().find_map(|(name, key)| of_event(events, name, key));
    let by_event = || {
        let each = events.iter().filter(|event| said.events.contains(&event.name));
        let all: Vec<Value> = each.flat_map(|event| message(&event_body(event))).collect();
        (!all.is_empty()).then_some(all)
    };
    let found = listed().or_else(flat).or_else(in_event).or_else(by_event).or_else(|| told(said, attributes));
    let system: Vec<Value> = attributes.first(&said.system).map(system).into_iter().collect();
    match found {
        Some(found) => Some(system.into_iter().chain(found).collect()),
        None => (!system.is_empty()).then_some(system),
    }
}

/// One side where it is no list of messages, as it stands.
pub(super) fn raw(said: &Said, attributes: &Attributes) -> Option<Value> {
    said.raw.iter().find_map(|key| attributes.get(key).cloned().or_else(|| attributes.unflattened(key)))
}

/// The tools that were offered, in OpenAI's form.
pub(super) fn tools(said: &Said, attributes: &Attributes) -> Option<Value> {
    let listed = said.tools.iter().find_map(|key| parsed(attributes.get(key)?));
    let flat = || said.flat_tools.iter().find_map(|prefix| attributes.unflattened(prefix));
    let tools = listed.or_else(flat)?;
    let all: Vec<Value> = tools.as_array()?.iter().map(tool).collect();
    (!all.is_empty()).then_some(Value::Array(all))
}

fn tool(told: &Value) -> Value {
    let told = parsed(told).unwrap_or_else(|| told.clone());
    // OpenInference puts the whole of it into one text.
    if let Some(schema) = told.pointer("/tool/json_schema").and_then(parsed) {
        return tool(&schema);
    }
    match told {
        Value::Object(ref members) if members.contains_key("function") => told,
        Value::Object(mut members) => {
            members.remove("type");
            for (from, to) in
                [("input_schema", "parameters"), ("inputSchema", "parameters"), ("json_schema", "parameters")]
            {
                if let Some(schema) = members.remove(from) {
                    members.insert(to.to_owned(), parsed(&schema).unwrap_or(schema));
                }
            }
            json!({ "type": "function", "function": members })
        }
        other => other,
    }
}

fn of_event(events: &[Event], name: &str, key: &str) -> Option<Vec<Value>> {
    let event = events.iter().find(|event| event.name == name)?;
    let value = event.attributes.get(key)?;
    list(&parsed(value).unwrap_or_else(|| json!([{ "content": value }])))
}

/// What an event that is one message says: as attributes, or as the text of one; its role is in its name.
fn event_body(event: &Event) -> Value {
    let mut body = event.attributes.get("gen_ai.event.content").and_then(parsed).unwrap_or_else(|| {
        Value::Object(
            event
                .attributes
                .iter()
                .map(|(key, value)| (key.to_owned(), parsed(value).unwrap_or_else(|| value.clone())))
                .collect(),
        )
    });
    let role = event.name.strip_prefix("gen_ai.").and_then(|rest| rest.strip_suffix(".message"));
    if let (Some(role), Value::Object(members)) = (role, &mut body) {
        members.entry("role").or_insert_with(|| role.into());
    }
    body
}

/// An answer that is told in parts of its own.
fn told(said: &Said, attributes: &Attributes) -> Option<Vec<Value>> {
    let text = attributes.text(&said.text);
    let reasoning = attributes.text(&said.reasoning);
    let calls = attributes.first(&said.tool_calls).and_then(parsed);
    if text.is_none() && reasoning.is_none() && calls.is_none() {
        return None;
    }
    Some(message(&json!({ "role": "assistant", "content": text, "reasoning_content": reasoning, "tool_calls": calls })))
}

/// The messages of a list, or of an object that holds one.
fn list(value: &Value) -> Option<Vec<Value>> {
    const HOLDERS: [&str; 4] = ["messages", "choices", "input", "generations"];
    let items = match value {
        Value::Array(items) => items.clone(),
        Value::Object(members) => {
            if let Some(held) = HOLDERS.iter().find_map(|name| members.get(*name)?.as_array()) {
                let system = members.get("system").filter(|text| text.is_string()).map(system);
                return Some(system.into_iter().chain(held.iter().flat_map(message)).collect());
            }
            if let Some(prompt) = members.get("prompt").and_then(Value::as_str) {
                let system = members.get("system").filter(|text| text.is_string()).map(system);
                return Some(system.into_iter().chain([json!({ "role": "user", "content": prompt })]).collect());
            }
            if !members.contains_key("role") && !members.contains_key("content") {
                return None;
            }
            vec![value.clone()]
        }
        _ => return None,
    };
    let is_message = |item: &Value| {
        item.as_object().is_some_and(|members| {
            ["role", "content", "parts", "message", "tool_calls"].iter().any(|name| members.contains_key(*name))
        })
    };
    items.iter().any(is_message).then(|| items.iter().flat_map(message).collect())
}

fn system(value: &Value) -> Value {
    let content = match parsed(value) {
        Some(Value::Array(parts)) => {
            let texts: Vec<String> = parts.iter().map(part_text).collect();
            Value::String(texts.join("\n"))
        }
        Some(other) => Value::String(part_text(&other)),
        None => Value::String(shown(value)),
    };
    json!({ "role": "system", "content": content })
}

fn part_text(part: &Value) -> String {
    part.get("content").or_else(|| part.get("text")).map_or_else(|| shown(part), shown)
}

/// One message in OpenAI's form; the results of several tools in one message are one message each.
fn message(told: &Value) -> Vec<Value> {
    let Some(told) = told.as_object() else {
        return if told.is_null() { Vec::new() } else { vec![json!({ "role": "user", "content": told })] };
    };
    // OpenInference and choices put it one level down.
    if let Some(inner) = told.get("message").and_then(Value::as_object) {
        let mut inner = inner.clone();
        for name in ["finish_reason", "index"] {
            if let Some(value) = told.get(name) {
                inner.insert(name.to_owned(), value.clone());
            }
        }
        return message(&Value::Object(inner));
    }
    let mut writing = Writing::of(told);
    if let Some(Value::Array(parts)) =
        told.get("parts").or_else(|| told.get("contents")).map(|p| parsed(p).unwrap_or_else(|| p.clone()))
    {
        parts.iter().for_each(|part| writing.part(part));
    } else {
        match told.get("content").map(|content| parsed_parts(content).unwrap_or_else(|| content.clone())) {
            Some(Value::Array(parts)) => parts.iter().for_each(|part| writing.part(part)),
            Some(Value::Null) | None => {}
            Some(Value::Object(part)) => writing.part(&Value::Object(part)),
            Some(content) => writing.content.push(json!({ "type": "text", "text": shown(&content) })),
        }
    }
    if let Some(calls) = told.get("tool_calls").or_else(|| told.get("toolCalls")).and_then(parsed) {
        calls.as_array().into_iter().flatten().for_each(|call| writing.call(call));
    }
    if let Some(call) = told.get("function_call").filter(|call| call.is_object()) {
        writing.call(call);
    }
    writing.finish()
}

/// A text that is a list of parts in JSON; other lists in texts are what somebody said.
fn parsed_parts(content: &Value) -> Option<Value> {
    let parts = parsed(content)?;
    let typed = |part: &Value| part.get("type").is_some() || part.get("message_content").is_some();
    parts.as_array().is_some_and(|parts| parts.iter().all(typed) && !parts.is_empty()).then_some(parts)
}

/// A message that is being written.
struct Writing {
    role: String,
    rest: Map<String, Value>,
    content: Vec<Value>,
    reasoning: Vec<String>,
    calls: Vec<Value>,
    results: Vec<Value>,
}

impl Writing {
    fn of(told: &Map<String, Value>) -> Self {
        let role = match told.get("role").and_then(Value::as_str).unwrap_or("assistant") {
            "human" | "user" => "user",
            "ai" | "model" | "assistant" => "assistant",
            other => other,
        };
        let names = ["name", "tool_call_id", "finish_reason", "index", "refusal"];
        let mut rest: Map<String, Value> =
            names.iter().filter_map(|name| Some(((*name).to_owned(), told.get(*name)?.clone()))).collect();
        if role == "tool"
            && let Some(id) = told.get("id").filter(|_| !rest.contains_key("tool_call_id"))
        {
            rest.insert("tool_call_id".to_owned(), id.clone());
        }
        let reasoning = ["reasoning_content", "reasoning"]
            .iter()
            .filter_map(|name| Some(told.get(*name)?.as_str()?.to_owned()))
            .collect();
        Self { role: role.to_owned(), rest, content: Vec::new(), reasoning, calls: Vec::new(), results: Vec::new() }
    }

    fn part(&mut self, part: &Value) {
        // OpenInference puts it one level down.
        let part = part.get("message_content").unwrap_or(part);
        let text = || part.get("text").or_else(|| part.get("content")).map(shown);
        match part.get("type").and_then(Value::as_str).unwrap_or("text") {
            "text" | "input_text" | "output_text" | "text_delta" if text().is_some() => {
                self.content.push(json!({ "type": "text", "text": text() }));
            }
            "reasoning" | "thinking" => {
                self.reasoning.extend(text().or_else(|| part.get("thinking").map(shown)));
            }
            "tool_call" | "tool-call" | "tool_use" | "function_call" => self.call(part),
            "tool_call_response" | "tool-result" | "tool_result" => {
                let result = ["response", "result", "output", "content"].iter().find_map(|name| part.get(*name));
                let id = ["id", "toolCallId", "tool_use_id", "tool_call_id"].iter().find_map(|name| part.get(*name));
                self.results.push(json!({ "role": "tool", "tool_call_id": id, "content": result.map(shown) }));
            }
            "blob" => {
                let mime = part.get("mime_type").and_then(Value::as_str).unwrap_or("application/octet-stream");
                let data = part.get("content").or_else(|| part.get("data")).map(shown).unwrap_or_default();
                self.content
                    .push(json!({ "type": "image_url", "image_url": { "url": format!("data:{mime};base64,{data}") } }));
            }
            "uri" => self.content.push(json!({ "type": "image_url", "image_url": { "url": part.get("uri") } })),
            "image" if part.pointer("/image/image/url").is_some() => {
                self.content
                    .push(json!({ "type": "image_url", "image_url": { "url": part.pointer("/image/image/url") } }));
            }
            _ => self.content.push(part.clone()),
        }
    }

    fn call(&mut self, call: &Value) {
        // OpenInference puts it one level down.
        let call = call.get("tool_call").unwrap_or(call);
        let inner = call.get("function").unwrap_or(call);
        let first = |value: &Value, names: &[&str]| names.iter().find_map(|name| value.get(*name).cloned());
        let arguments = first(inner, &["arguments", "input", "args"]).map(|arguments| shown(&arguments));
        self.calls.push(json!({
            "id": first(call, &["id", "toolCallId", "call_id"]),
            "type": "function",
            "function": {
                "name": first(inner, &["name", "toolName"]),
                "arguments": arguments.unwrap_or_else(|| "{}".to_owned()),
            },
        }));
    }

    fn finish(mut self) -> Vec<Value> {
        let only_results = self.content.is_empty() && self.calls.is_empty() && self.reasoning.is_empty();
        if only_results && !self.results.is_empty() {
            return self.results;
        }
        let mut message = Map::new();
        message.insert("role".to_owned(), self.role.into());
        let texts: Option<Vec<&str>> =
            self.content.iter().map(|part| part.get("text").filter(|_| part["type"] == "text")?.as_str()).collect();
        let content = match texts {
            Some(texts) if texts.is_empty() => Value::Null,
            // One text is a text, as most write it.
            Some(texts) => Value::String(texts.join("")),
            None => Value::Array(std::mem::take(&mut self.content)),
        };
        message.insert("content".to_owned(), content);
        if !self.reasoning.is_empty() {
            message.insert("reasoning_content".to_owned(), self.reasoning.join("").into());
        }
        if !self.calls.is_empty() {
            message.insert("tool_calls".to_owned(), self.calls.into());
        }
        message.extend(self.rest);
        let mut all = self.results;
        all.push(Value::Object(message));
        all
    }
}
