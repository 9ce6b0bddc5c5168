//! Families of models for embeddings behind Bedrock's InvokeModel, each with words of its own.

use serde_json::{Value, json};

use super::EmbedRequest;
use super::request::put;
use crate::ApiError;
use crate::object::{Object, wrong};

/// Whose words a body of InvokeModel is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// `{"inputText": …}`: one text, one embedding.
    #[default]
    Titan,
    /// `{"texts": […], "input_type": …}`
    Cohere,
    /// `{"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": …}`
    Nova,
}

/// A part of a model's id, and the family of such models.
const MODELS: &[(&str, Family)] =
    &[("titan-embed", Family::Titan), ("cohere.embed", Family::Cohere), ("multimodal-embeddings", Family::Nova)];

impl Family {
    /// The family of a model by its id, if it makes embeddings.
    #[must_use]
    pub fn of_model(model: &str) -> Option<Self> {
        MODELS.iter().find(|(part, _)| model.contains(part)).map(|(_, family)| *family)
    }

    /// The family whose words a body is in, if they ask for embeddings.
    #[must_use]
    pub fn of_body(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let has = |name: &str| body.get(name).is_some();
        match () {
            () if has("singleEmbeddingParams") => Some(Self::Nova),
            () if has("texts") || (has("inputs") && has("input_type")) => Some(Self::Cohere),
            () if has("inputText") && !has("textGenerationConfig") => Some(Self::Titan),
            () => None,
        }
    }

    /// The member of the body in which the text stands, for what is wrong with it.
    const fn text(self) -> &'static str {
        match self {
            Self::Titan => "inputText",
            Self::Cohere => "texts",
            Self::Nova => "singleEmbeddingParams.text.value",
        }
    }

    /// Reads what is neither Cohere's nor in nobody's words.
    pub(super) fn read(self, fields: &mut Object, request: &mut EmbedRequest) -> Result<(), ApiError> {
        let text = match self {
            Self::Titan => {
                request.dimensions = fields.count("dimensions")?;
                // All embeddings of others come normalised, or nearly.
                fields.take("normalize");
                fields.string("inputText")?
            }
            Self::Cohere | Self::Nova => {
                fields.take("taskType");
                let params = fields.take("singleEmbeddingParams").unwrap_or_default();
                request.dimensions = params["embeddingDimension"].as_u64();
                params.pointer("/text/value").and_then(Value::as_str).map(str::to_owned)
            }
        };
        request.texts.push(text.ok_or_else(|| wrong(self.text(), "a text; the provider asked takes no pictures"))?);
        Ok(())
    }

    /// Writes a request.
    ///
    /// # Errors
    /// A 400 where more texts are to be embedded than a model of this family takes.
    pub(super) fn write(self, request: &EmbedRequest, model: &str) -> Result<Value, ApiError> {
        if self == Self::Cohere {
            let purpose = request.purpose.as_deref().unwrap_or("search_document");
            let mut body = json!({"texts": request.texts, "input_type": purpose, "embedding_types": ["float"]});
            put(&mut body, "output_dimension", request.dimensions.map(Value::from));
            return Ok(body);
        }
        let [text] = &request.texts[..] else {
            let message = format!("{model} embeds one text a call; send each in a call of its own.");
            return Err(ApiError::invalid("unsupported_parameter", message).with_param("input"));
        };
        Ok(match self {
            Self::Nova => {
                let mut params =
                    json!({"embeddingPurpose": "GENERIC_INDEX", "text": {"truncationMode": "END", "value": text}});
                put(&mut params, "embeddingDimension", request.dimensions.map(Value::from));
                json!({"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params})
            }
            _ => {
                let mut body = json!({ "inputText": text });
                put(&mut body, "dimensions", request.dimensions.map(Value::from));
                body
            }
        })
    }

    /// Writes an answer for a caller of this family's words.
    pub(super) fn answer(self, rows: Vec<Value>, request: &EmbedRequest, count: Option<u64>) -> Value {
        match self {
            Self::Titan => json!({"embedding": rows.into_iter().next(), "inputTextTokenCount": count}),
            Self::Cohere => {
                json!({"embeddings": {"float": rows}, "response_type": "embeddings_by_type", "texts": request.texts})
            }
            Self::Nova => {
                let one = |row| json!({"embeddingType": "TEXT", "embedding": row});
                json!({ "embeddings": rows.into_iter().map(one).collect::<Vec<_>>() })
            }
        }
    }
}

/// The embeddings in an answer of any family, and the tokens, where they stand in it.
pub(super) fn rows(whole: &Value) -> (Option<Vec<&Value>>, Option<&Value>) {
    let rows = match (whole.get("embedding"), whole.pointer("/embeddings/float"), &whole["embeddings"]) {
        (Some(one), ..) => Some(vec![one]),
        (_, Some(Value::Array(rows)), _) => Some(rows.iter().collect()),
        // Nova's are objects, Cohere's without kinds asked for bare lists.
        (_, _, Value::Array(rows)) => Some(rows.iter().map(|row| row.get("embedding").unwrap_or(row)).collect()),
        _ => None,
    };
    (rows, whole.get("inputTextTokenCount"))
}
