//! What Bedrock says in an answer's headers and not in its body: the kind of an error, and InvokeModel's usage.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value};
use tachograph_record::{Reading, Tap, UsageReading};
use tachograph_reply::ApiError;

use crate::usage::{self, ApiShape};

/// The kind of an error, with a URL of no interest behind a colon.
const ERROR_TYPE: &str = "x-amzn-errortype";
/// Counts of tokens, and what Converse calls them.
const COUNTS: &[(&str, &str)] = &[
    ("x-amzn-bedrock-input-token-count", "inputTokens"),
    ("x-amzn-bedrock-output-token-count", "outputTokens"),
    ("x-amzn-bedrock-cache-read-input-token-count", "cacheReadInputTokens"),
    ("x-amzn-bedrock-cache-write-input-token-count", "cacheWriteInputTokens"),
];

fn error_type(headers: &HeaderMap) -> Option<&str> {
    let told = headers.get(ERROR_TYPE)?.to_str().ok()?;
    told.split(':').next().map(str::trim).filter(|kind| !kind.is_empty())
}

fn counted(headers: &HeaderMap) -> UsageReading {
    let count = |&(header, name): &(&str, &str)| {
        let text = headers.get(header)?.to_str().ok()?;
        let number = text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from);
        Some((name.to_owned(), number))
    };
    let usage: Map<String, Value> = COUNTS.iter().filter_map(count).collect();
    usage::reading(ApiShape::BedrockConverse, &Value::Object(usage))
}

/// An error with the kind that the answer's headers name.
pub(crate) fn named_by_head(error: ApiError, headers: &HeaderMap) -> ApiError {
    match error_type(headers) {
        Some(kind) if error.native_kind().is_none() => error.with_native_kind(kind.to_owned()),
        _ => error,
    }
}

/// A tap that also reads the answer's headers, where they say something.
pub(crate) fn with_head(tap: Box<dyn Tap>, headers: &HeaderMap) -> Box<dyn Tap> {
    let (kind, usage) = (error_type(headers).map(str::to_owned), counted(headers));
    if kind.is_none() && usage == UsageReading::Absent {
        return tap;
    }
    Box::new(Headed { tap, kind, usage })
}

struct Headed {
    tap: Box<dyn Tap>,
    kind: Option<String>,
    usage: UsageReading,
}

impl Tap for Headed {
    fn see(&mut self, piece: &Bytes) -> bool {
        self.tap.see(piece)
    }

    fn finish(&mut self) -> Reading {
        let mut reading = self.tap.finish();
        if let (Some(error), Some(kind)) = (&mut reading.error, self.kind.take())
            && error.kind.starts_with("http_")
        {
            error.kind = kind;
        }
        if reading.usage == UsageReading::Absent && reading.error.is_none() {
            reading.usage = std::mem::take(&mut self.usage);
        }
        reading
    }
}
