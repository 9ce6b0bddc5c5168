//! Answers, read and written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{EmbedRequest, families};
use crate::plain::predicted_tokens;
use crate::{Api, ApiError, fault};

/// What was embedded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embeddings {
    /// The provider's id for it.
    pub id: Option<String>,
    /// The embeddings, in the order of the texts; numbers as they were sent.
    pub vectors: Vec<Vec<Value>>,
    /// The tokens read, where the provider says.
    pub tokens: Option<u64>,
}

/// Reads an answer of one of the APIs for embeddings.
///
/// # Errors
///
/// Where the body is none: not JSON, or an error under a success's status.
pub fn decode_answer(api: &Api, body: &[u8]) -> Result<Embeddings, ApiError> {
    let unreadable = || fault::unreadable(body);
    let whole: Value = serde_json::from_slice(body).map_err(|_| unreadable())?;
    let counted;
    let (rows, tokens): (Option<Vec<&Value>>, Option<&Value>) = match api.name() {
        "gemini.embedContent" => (whole.pointer("/embedding/values").map(|values| vec![values]), used(&whole)),
        "gemini.batchEmbedContents" => {
            let rows = whole["embeddings"].as_array();
            (rows.and_then(|rows| rows.iter().map(|row| row.get("values")).collect()), used(&whole))
        }
        "cohere.embed" => {
            // Without kinds asked for, the first version answers a bare list.
            let rows = whole.pointer("/embeddings/float").unwrap_or(&whole["embeddings"]);
            (rows.as_array().map(|rows| rows.iter().collect()), whole.pointer("/meta/billed_units/input_tokens"))
        }
        "bedrock.invoke" => families::rows(&whole),
        "gemini.predict" => {
            let predictions = whole["predictions"].as_array().ok_or_else(unreadable)?;
            let rows = predictions.iter().map(|one| one.pointer("/embeddings/values")).collect();
            counted = predicted_tokens(predictions).map(Value::from);
            (rows, counted.as_ref())
        }
        "ollama.embed" => {
            let rows = whole["embeddings"].as_array().map(|rows| rows.iter().collect());
            (rows.or_else(|| whole.get("embedding").map(|row| vec![row])), whole.get("prompt_eval_count"))
        }
        _ => {
            let mut rows: Vec<(u64, &Value)> = Vec::new();
            for (at, row) in whole["data"].as_array().ok_or_else(unreadable)?.iter().enumerate() {
                let index = row["index"].as_u64().unwrap_or(at as u64);
                rows.push((index, &row["embedding"]));
            }
            rows.sort_by_key(|(index, _)| *index);
            let tokens = whole.pointer("/usage/prompt_tokens").or_else(|| whole.pointer("/usage/total_tokens"));
            (Some(rows.into_iter().map(|(_, row)| row).collect()), tokens)
        }
    };
    let vectors: Option<Vec<Vec<Value>>> = rows.ok_or_else(unreadable)?.into_iter().map(numbers).collect();
    let tokens = tokens.and_then(Value::as_f64).filter(|tokens| *tokens >= 0.0);
    Ok(Embeddings {
        id: whole["id"].as_str().map(str::to_owned),
        vectors: vectors.ok_or_else(unreadable)?,
        tokens: tokens.and_then(|tokens| format!("{tokens:.0}").parse().ok()),
    })
}

fn used(whole: &Value) -> Option<&Value> {
    whole.pointer("/usageMetadata/promptTokenCount")
}

/// The numbers of one embedding; some servers send base64 whatever they were asked for.
fn numbers(row: &Value) -> Option<Vec<Value>> {
    match row {
        Value::Array(numbers) => Some(numbers.clone()),
        Value::String(text) => {
            let bytes = STANDARD.decode(text).ok()?;
            let (words, []) = bytes.as_chunks::<4>() else { return None };
            Some(words.iter().map(|word| Value::from(f32::from_le_bytes(*word))).collect())
        }
        _ => None,
    }
}

/// As OpenAI has it: 32-bit floats, the lowest byte first.
#[allow(clippy::cast_possible_truncation, reason = "32 bits are what the format has")]
fn base64(vector: &[Value]) -> String {
    let bytes: Vec<u8> =
        vector.iter().flat_map(|number| (number.as_f64().unwrap_or(0.0) as f32).to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

/// Writes an answer for a caller of `api`. `tokens` are what was read, estimated where the provider did not say.
#[must_use]
pub fn encode_answer(api: &Api, request: &EmbedRequest, answer: &Embeddings, tokens: Option<u64>) -> Bytes {
    let row = |vector: &Vec<Value>| if request.base64 { Value::from(base64(vector)) } else { json!(vector) };
    let rows: Vec<Value> = answer.vectors.iter().map(row).collect();
    let count = answer.tokens.or(tokens);
    let body = match api.name() {
        "gemini.embedContent" => {
            let values = rows.into_iter().next().unwrap_or_else(|| json!([]));
            google(json!({"embedding": {"values": values}}), count)
        }
        "gemini.batchEmbedContents" => {
            let all: Vec<Value> = rows.into_iter().map(|values| json!({ "values": values })).collect();
            google(json!({ "embeddings": all }), count)
        }
        "cohere.embed" => {
            let kind = if request.base64 { "base64" } else { "float" };
            let mut body = json!({"id": answer.id, "embeddings": {kind: rows}, "texts": request.texts});
            body["response_type"] = json!("embeddings_by_type");
            body["meta"] = json!({"api_version": {"version": "2"}, "billed_units": {"input_tokens": count}});
            body
        }
        "bedrock.invoke" => request.family.unwrap_or_default().answer(rows, request, count),
        "gemini.predict" => {
            let each = count.map(|count| count / (rows.len() as u64).max(1));
            let one = |values| json!({"embeddings": {"values": values, "statistics": {"token_count": each, "truncated": false}}});
            json!({ "predictions": rows.into_iter().map(one).collect::<Vec<_>>() })
        }
        "ollama.embed" => json!({"model": request.model, "embeddings": rows, "prompt_eval_count": count}),
        _ => {
            let data: Vec<Value> = rows
                .into_iter()
                .enumerate()
                .map(|(index, row)| json!({"object": "embedding", "index": index, "embedding": row}))
                .collect();
            let mut body = json!({"object": "list", "data": data, "model": request.model});
            if let Some(count) = count {
                body["usage"] = json!({"prompt_tokens": count, "total_tokens": count});
            }
            body
        }
    };
    Bytes::from(body.to_string())
}

fn google(mut body: Value, count: Option<u64>) -> Value {
    if let Some(count) = count {
        body["usageMetadata"] = json!({"promptTokenCount": count, "totalTokenCount": count});
    }
    body
}
