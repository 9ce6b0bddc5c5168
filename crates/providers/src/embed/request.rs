//! Requests, read and written.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Family;
use crate::loss::{Action, Note};
use crate::object::{Object, wrong};
use crate::{Api, ApiError};

/// What is to be embedded, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbedRequest {
    /// The model, as the caller wrote it.
    pub model: String,
    /// The texts, in order.
    pub texts: Vec<String>,
    /// How many dimensions are wanted.
    pub dimensions: Option<u64>,
    /// What the embeddings are for, in Cohere's words (`search_document`, `search_query`, `classification`, `clustering`).
    pub purpose: Option<String>,
    /// Whether the caller wants base64 instead of numbers.
    pub base64: bool,
    /// In whose words it came, where it came through Bedrock's InvokeModel.
    pub family: Option<Family>,
    /// What could not be carried over.
    pub notes: Vec<Note>,
}

/// Google's words for purposes, and Cohere's.
const PURPOSES: &[(&str, &str)] = &[
    ("RETRIEVAL_DOCUMENT", "search_document"),
    ("RETRIEVAL_QUERY", "search_query"),
    ("CLASSIFICATION", "classification"),
    ("CLUSTERING", "clustering"),
];

/// Reads a request of one of the APIs for embeddings. `model` is what the path names, where it does.
///
/// # Errors
///
/// A 400 that names the field at fault, or what only its own provider understands (tokens instead of texts, pictures).
pub fn decode_request(api: &Api, body: &[u8], model: Option<&str>) -> Result<EmbedRequest, ApiError> {
    let mut fields = Object::parse(body)?;
    let mut request = EmbedRequest::default();
    let named = fields.string("model")?;
    request.model = model.map(str::to_owned).or(named).unwrap_or_default();
    match api.name() {
        "gemini.embedContent" => google(fields, "", &mut request)?,
        "gemini.batchEmbedContents" => {
            let items = fields.array("requests")?.ok_or_else(|| fields.missing("requests"))?;
            for (at, item) in items.into_iter().enumerate() {
                let path = format!("requests[{at}]");
                google(Object::of(item, path.clone())?, &path, &mut request)?;
            }
        }
        "gemini.predict" => {
            for instance in fields.array("instances")?.ok_or_else(|| fields.missing("instances"))? {
                let text = instance.get("content").and_then(Value::as_str).map(str::to_owned);
                request.texts.push(text.ok_or_else(|| wrong("instances", "objects with a text in `content`"))?);
                let task = instance.get("task_type").and_then(Value::as_str);
                request.purpose = request.purpose.or_else(|| task.and_then(purpose));
            }
            let parameters = fields.take("parameters").unwrap_or_default();
            request.dimensions = parameters["outputDimensionality"].as_u64();
            left(fields.rest(), &mut request);
        }
        "bedrock.invoke" => {
            let family = Family::of_body(body).unwrap_or_default();
            request.family = Some(family);
            match family {
                Family::Cohere => cohere(fields, &mut request)?,
                Family::Titan | Family::Nova => {
                    family.read(&mut fields, &mut request)?;
                    left(fields.rest(), &mut request);
                }
            }
        }
        "cohere.embed" => cohere(fields, &mut request)?,
        _ => openai(fields, &mut request)?,
    }
    if request.texts.is_empty() {
        return Err(ApiError::invalid("missing_parameter", "There is no text to embed.").with_param("input"));
    }
    Ok(request)
}

/// OpenAI's, and Ollama's, whose fields go by the same names.
fn openai(mut fields: Object, request: &mut EmbedRequest) -> Result<(), ApiError> {
    const WHAT: &str = "a text or an array of texts; tokens mean something to their own model only";
    request.texts = match fields.take("input") {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(items)) => texts(items, "input", WHAT)?,
        Some(_) => return Err(fields.wrong("input", WHAT)),
        None => return Err(fields.missing("input")),
    };
    request.dimensions = fields.count("dimensions")?;
    request.purpose = fields.string("input_type")?;
    request.base64 = match fields.string("encoding_format")?.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(fields.wrong("encoding_format", "float or base64")),
    };
    left(fields.rest(), request);
    Ok(())
}

fn cohere(mut fields: Object, request: &mut EmbedRequest) -> Result<(), ApiError> {
    if let Some(texts_given) = fields.array("texts")? {
        request.texts = texts(texts_given, "texts", "an array of texts")?;
    }
    for (at, input) in fields.array("inputs")?.unwrap_or_default().into_iter().enumerate() {
        let parts = input.get("content").and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |part: &Value| part.get("text")?.as_str().map(str::to_owned);
        let said: Option<Vec<String>> = parts.iter().map(text).collect();
        let said = said.filter(|said| !said.is_empty());
        let what = "of text only; the provider asked takes no pictures";
        request.texts.push(said.ok_or_else(|| wrong(&format!("inputs[{at}].content"), what))?.join("\n"));
    }
    request.purpose = fields.string("input_type")?;
    request.dimensions = fields.count("output_dimension")?;
    let kinds = fields.array("embedding_types")?.unwrap_or_default();
    request.base64 = kinds.iter().any(|kind| kind == "base64");
    if kinds.iter().any(|kind| kind != "float" && kind != "base64") {
        return Err(wrong("embedding_types", "float or base64; the provider asked gives no other"));
    }
    left(fields.rest(), request);
    Ok(())
}

fn google(mut fields: Object, path: &str, request: &mut EmbedRequest) -> Result<(), ApiError> {
    let named = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let content = fields.take("content").ok_or_else(|| fields.missing("content"))?;
    let parts = content.get("parts").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |part: &Value| part.get("text")?.as_str().map(str::to_owned);
    let said: Option<Vec<String>> = parts.iter().map(text).collect();
    let Some(said) = said.filter(|said| !said.is_empty()) else {
        return Err(wrong(&named("content.parts"), "texts; the provider asked takes nothing else"));
    };
    request.texts.push(said.join("\n"));
    let dimensions = match fields.count("outputDimensionality")? {
        Some(dimensions) => Some(dimensions),
        None => fields.count("output_dimensionality")?,
    };
    request.dimensions = request.dimensions.or(dimensions);
    let task = match fields.string("taskType")? {
        Some(task) => Some(task),
        None => fields.string("task_type")?,
    };
    if let Some(task) = task {
        match purpose(&task) {
            Some(purpose) => request.purpose = Some(purpose),
            None => drop_field("taskType", request),
        }
    }
    let mut rest = fields.rest();
    // The path names it already.
    rest.shift_remove("model");
    left(rest, request);
    Ok(())
}

/// Google's word for a purpose in Cohere's.
fn purpose(task: &str) -> Option<String> {
    PURPOSES.iter().find(|(word, _)| *word == task).map(|(_, purpose)| (*purpose).to_owned())
}

fn texts(items: Vec<Value>, path: &str, what: &str) -> Result<Vec<String>, ApiError> {
    let text = |item: Value| match item {
        Value::String(text) => Ok(text),
        _ => Err(wrong(path, what)),
    };
    items.into_iter().map(text).collect()
}

/// Notes what has no place anywhere else.
fn left(rest: Map<String, Value>, request: &mut EmbedRequest) {
    let said = rest.iter().filter(|(name, value)| !value.is_null() && !["model", "stream"].contains(&name.as_str()));
    said.for_each(|(name, _)| drop_field(name, request));
}

fn drop_field(name: &str, request: &mut EmbedRequest) {
    if !request.notes.iter().any(|note| note.feature == name) {
        let how = "has no counterpart there and was left out".to_owned();
        request.notes.push(Note { feature: name.to_owned(), action: Action::Dropped, how });
    }
}

/// Writes a request for a model. Numbers are asked for; whoever wants base64 is given it made from them.
///
/// # Errors
///
/// A 400 where the model takes one text a call, and more are to be embedded.
pub fn encode_request(api: &Api, request: &EmbedRequest, model: &str) -> Result<Bytes, ApiError> {
    let task = || {
        let purpose = request.purpose.as_deref();
        PURPOSES.iter().find(|(_, word)| Some(*word) == purpose).map(|(task, _)| Value::from(*task))
    };
    let mut body = match api.name() {
        "gemini.batchEmbedContents" => {
            let one = |text: &String| {
                let mut one = json!({"model": format!("models/{model}"), "content": {"parts": [{"text": text}]}});
                put(&mut one, "outputDimensionality", request.dimensions.map(Value::from));
                put(&mut one, "taskType", task());
                one
            };
            let all: Vec<Value> = request.texts.iter().map(one).collect();
            return Ok(Bytes::from(json!({ "requests": all }).to_string()));
        }
        "gemini.predict" => {
            let one = |text: &String| {
                let mut one = json!({ "content": text });
                put(&mut one, "task_type", task());
                one
            };
            let mut body = json!({ "instances": request.texts.iter().map(one).collect::<Vec<_>>() });
            put(&mut body, "parameters", request.dimensions.map(|wanted| json!({ "outputDimensionality": wanted })));
            return Ok(Bytes::from(body.to_string()));
        }
        "bedrock.invoke" => {
            let family = Family::of_model(model).unwrap_or_default();
            return family.write(request, model).map(|body| Bytes::from(body.to_string()));
        }
        "cohere.embed" => {
            // Cohere's newer models want to be told; most of what is embedded is to be found again.
            let purpose = request.purpose.as_deref().unwrap_or("search_document");
            let mut body =
                json!({"model": model, "texts": request.texts, "input_type": purpose, "embedding_types": ["float"]});
            put(&mut body, "output_dimension", request.dimensions.map(Value::from));
            return Ok(Bytes::from(body.to_string()));
        }
        "openai.embeddings" => json!({"model": model, "input": request.texts, "encoding_format": "float"}),
        _ => json!({"model": model, "input": request.texts}),
    };
    put(&mut body, "dimensions", request.dimensions.map(Value::from));
    Ok(Bytes::from(body.to_string()))
}

pub(super) fn put(body: &mut Value, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        body[name] = value;
    }
}
