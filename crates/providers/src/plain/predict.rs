//! Vertex's `:predict`, by which embeddings and pictures are made there: what it used stands with each prediction.

use serde_json::{Value, json};
use tachograph_record::{Reading, Tap};

use crate::sse::Event;
use crate::tap::{DialectTap, Watch};
use crate::usage::{self, ApiShape};

/// The tap of `:predict`.
pub(crate) fn predict_tap(stream: bool, status: u16) -> Box<dyn Tap> {
    Box::new(DialectTap::<PredictWatch>::new(stream, status))
}

#[derive(Debug, Default)]
struct PredictWatch {
    tokens: Option<u64>,
    pictures: usize,
}

impl Watch for PredictWatch {
    fn event(&mut self, _event: &Event<'_>) -> bool {
        false
    }

    fn document(&mut self, body: &[u8]) {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let predictions = body["predictions"].as_array().map(Vec::as_slice).unwrap_or_default();
        self.tokens = tokens(predictions);
        self.pictures = predictions.iter().filter(|one| one["bytesBase64Encoded"].is_string()).count();
    }

    fn reading(&mut self) -> Reading {
        let usage = match (self.tokens, self.pictures) {
            (Some(tokens), _) => {
                usage::reading(ApiShape::GeminiGenerateContent, &json!({ "promptTokenCount": tokens }))
            }
            (None, 0) => return Reading::default(),
            (None, pictures) => usage::reading(ApiShape::OpenAiImages, &json!({ "n": pictures })),
        };
        Reading { usage, ..Reading::default() }
    }
}

/// The tokens that all predictions together were made of, where they say so.
pub(crate) fn tokens(predictions: &[Value]) -> Option<u64> {
    let counts: Option<Vec<u64>> =
        predictions.iter().map(|one| one.pointer("/embeddings/statistics/token_count")?.as_u64()).collect();
    counts.filter(|counts| !counts.is_empty()).map(|counts| counts.iter().sum())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tachograph_record::UsageReading;

    use super::*;

    fn read(body: &str) -> Reading {
        let mut tap = predict_tap(false, 200);
        tap.see(&Bytes::from(body.to_owned()));
        tap.finish()
    }

    #[test]
    fn tokens_of_texts_and_pictures_are_counted() {
        let texts = r#"{"predictions":[{"embeddings":{"values":[0.5],"statistics":{"token_count":4,"truncated":false}}},
            {"embeddings":{"values":[0.1],"statistics":{"token_count":3}}}],"metadata":{"billableCharacterCount":30}}"#;
        let UsageReading::Known(usage) = read(texts).usage else { panic!() };
        assert_eq!((usage.input_total(), usage.output_total()), (7, 0));
        let pictures = r#"{"predictions":[{"mimeType":"image/png","bytesBase64Encoded":"aGk="},{"bytesBase64Encoded":"aGk="},{"raiFilteredReason":"x"}]}"#;
        let UsageReading::Known(usage) = read(pictures).usage else { panic!() };
        assert_eq!(usage.units().iter().map(|(_, count)| count.micro()).sum::<u64>(), 2_000_000);
        assert_eq!(read(r#"{"predictions":[{"classes":[]}]}"#).usage, UsageReading::Absent);
    }
}
