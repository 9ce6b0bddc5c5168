//! OpenAI's realtime sessions: the events of a WebSocket, one JSON object a line.
//!
//! A session is one call on the record. Its usage is the sum of what its responses say in `response.done`; it has ended
//! when no response is under way.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tachograph_record::{FinishReason, Reading, RecordedError, Tap, UsageReading};

use crate::usage::{self, ApiShape};

/// The `type` of the line that a session's record ends with, which says who closed it, with which code and reason.
pub const SESSION_CLOSED: &str = "tachograph.session.closed";

pub(crate) fn tap(_stream: bool, status: u16) -> Box<dyn Tap> {
    Box::new(Session { refused: status >= 400, ..Session::default() })
}

#[derive(Default)]
struct Session {
    reading: Reading,
    under_way: u32,
    content: bool,
    refused: bool,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
}

impl Tap for Session {
    fn see(&mut self, piece: &Bytes) -> bool {
        for line in piece.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            // Nearly all of a session is sound; of that nothing is parsed but the name.
            let Ok(Head { kind }) = serde_json::from_slice(line) else { continue };
            match &*kind {
                "session.created" | "session.updated" | "response.created" | "response.done" | "error"
                | SESSION_CLOSED => {
                    if let Ok(event) = serde_json::from_slice::<Value>(line) {
                        self.read(&kind, &event);
                    }
                }
                delta => self.content |= delta.starts_with("response.") && delta.ends_with(".delta"),
            }
        }
        self.content
    }

    fn finish(&mut self) -> Reading {
        Reading { ended: self.under_way == 0 && !self.refused, ..std::mem::take(&mut self.reading) }
    }
}

impl Session {
    fn read(&mut self, kind: &str, event: &Value) {
        match kind {
            "response.created" => self.under_way += 1,
            "response.done" => self.response(&event["response"]),
            "error" => self.reading.error = Some(error(&event["error"])),
            SESSION_CLOSED => self.closed(event),
            _ => {
                if let Some(model) = event["session"]["model"].as_str() {
                    self.reading.model = Some(model.to_owned());
                }
            }
        }
    }

    fn response(&mut self, response: &Value) {
        self.under_way = self.under_way.saturating_sub(1);
        let status = response["status"].as_str().unwrap_or_default();
        let calls = response["output"].as_array().into_iter().flatten().any(|item| item["type"] == "function_call");
        self.reading.finish_reason = Some(match status {
            "completed" if calls => FinishReason::ToolCalls,
            "completed" => FinishReason::Stop,
            "incomplete" if response["status_details"]["reason"] == "content_filter" => FinishReason::ContentFilter,
            "incomplete" => FinishReason::Length,
            "failed" => FinishReason::Error,
            _ => FinishReason::Other,
        });
        self.reading.native_finish_reason = Some(status.to_owned());
        // What went wrong before, the session has outlived.
        let failed = &response["status_details"]["error"];
        self.reading.error = (status == "failed").then(|| error(failed));
        self.add(usage::reading(ApiShape::OpenAiRealtime, &response["usage"]));
    }

    fn add(&mut self, told: UsageReading) {
        match (&mut self.reading.usage, told) {
            (UsageReading::Known(sum), UsageReading::Known(told)) => {
                told.leaves().iter().for_each(|&(leaf, count)| sum.add(leaf, count));
                told.units().iter().for_each(|&(unit, quantity)| sum.add_unit(unit, quantity));
            }
            (UsageReading::Invalid(_), _) | (_, UsageReading::Absent) => {}
            (held, told) => *held = told,
        }
    }

    /// A close that is no plain goodbye is an error of the one who closed, if that was the provider.
    fn closed(&mut self, event: &Value) {
        let code = event["code"].as_u64();
        let plain = code.is_none_or(|code| matches!(code, 1000 | 1001 | 1005));
        if event["by"] == "provider" && !plain && self.reading.error.is_none() {
            self.reading.error = Some(RecordedError {
                kind: "websocket_closed".to_owned(),
                code: code.map(|code| code.to_string()),
                message: event["reason"].as_str().unwrap_or_default().to_owned(),
            });
        }
    }
}

fn error(told: &Value) -> RecordedError {
    let text = |name: &str| told[name].as_str().map(str::to_owned);
    RecordedError {
        kind: text("type").unwrap_or_else(|| "error".to_owned()),
        code: text("code"),
        message: text("message").unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> (Reading, bool) {
        let mut tap = tap(true, 101);
        let content =
            lines.iter().map(|line| tap.see(&Bytes::copy_from_slice(line.as_bytes()))).fold(false, |a, b| a | b);
        (tap.finish(), content)
    }

    const DONE: &str = r#"{"type":"response.done","response":{"status":"completed","output":[{"type":"message"}],"usage":{"total_tokens":150,"input_tokens":100,"output_tokens":50,"input_token_details":{"text_tokens":20,"audio_tokens":80,"cached_tokens":30,"cached_tokens_details":{"text_tokens":10,"audio_tokens":20}},"output_token_details":{"text_tokens":10,"audio_tokens":40}}}}"#;

    #[test]
    fn a_sessions_usage_is_the_sum_of_its_responses() {
        let begun = r#"{"type":"response.created","response":{}}"#;
        let (reading, content) = read(&[
            r#"{"type":"session.created","session":{"model":"gpt-realtime"}}"#,
            begun,
            r#"{"type":"response.output_audio.delta","delta":"AAAA"}"#,
            DONE,
            begun,
            DONE,
        ]);
        assert!(content && reading.ended);
        assert_eq!((reading.model.as_deref(), reading.finish_reason), (Some("gpt-realtime"), Some(FinishReason::Stop)));
        let UsageReading::Known(usage) = reading.usage else { panic!("{:?}", reading.usage) };
        assert_eq!((usage.input_total(), usage.output_total(), usage.cache_read_total()), (200, 100, 60));
    }

    #[test]
    fn a_response_under_way_is_no_end_and_errors_are_outlived() {
        let (reading, _) = read(&[r#"{"type":"response.created"}"#, r#"{"type":"error","error":{"message":"m"}}"#]);
        assert!(!reading.ended && reading.error.is_some());
        let (reading, _) = read(&[r#"{"type":"error","error":{"message":"m"}}"#, DONE]);
        assert!(reading.error.is_none());
        let closed = r#"{"type":"tachograph.session.closed","by":"provider","code":1011,"reason":"overloaded"}"#;
        assert_eq!(read(&[closed]).0.error.unwrap().code.as_deref(), Some("1011"));
        assert!(read(&[&closed.replace("1011", "1000")]).0.error.is_none());
    }
}
