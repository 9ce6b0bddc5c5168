//! What goes on the record of an answer, found by scanning.

use std::collections::HashSet;

use serde_json::Value;
use tachograph_record::{FinishReason, Quantity, Reading, RecordedError, Unit, UsageReading};

use super::finish_reason;
use super::response::{blocked, word};
use crate::fault::Fault;
use crate::json;
use crate::sse::Event;
use crate::tap::Watch;
use crate::usage::{self, ApiShape};

/// Watches one answer.
#[derive(Debug, Default)]
pub(super) struct GeminiWatch {
    content: bool,
    called: bool,
    model: Option<String>,
    finish: Option<String>,
    blocked: bool,
    /// Bits of the candidates that began and that finished.
    begun: u128,
    finished: u128,
    /// The last usage object, as JSON.
    usage: Vec<u8>,
    /// Searches that an answer is grounded on, and whether it is grounded on maps.
    searches: u64,
    maps: bool,
    error: Option<RecordedError>,
}

impl GeminiWatch {
    /// Whether the stream got as far as it goes: every answer that began has a reason to stop, or the prompt was blocked.
    pub(super) fn ended(&self) -> bool {
        self.error.is_none() && (self.blocked || self.begun != 0 && self.begun == self.finished)
    }

    pub(super) fn called(&self) -> bool {
        self.called
    }

    /// Usage so far: each event restates it.
    pub(super) fn usage(&self) -> UsageReading {
        let mut reading = usage::told(ApiShape::GeminiGenerateContent, &self.usage).usage;
        if let UsageReading::Known(usage) = &mut reading {
            for (unit, count) in [(Unit::WebSearches, self.searches), (Unit::MapsGroundings, self.maps.into())] {
                Quantity::whole(count).into_iter().for_each(|count| usage.add_unit(unit, count));
            }
        }
        reading
    }

    fn piece(&mut self, body: &[u8]) {
        for field in json::fields(body).into_iter().flatten() {
            let value = &body[field.value.clone()];
            match &body[field.key.clone()] {
                b"candidates" => json::elements(value).for_each(|span| self.candidate(&value[span])),
                b"usageMetadata" if value.starts_with(b"{") => self.usage = value.to_vec(),
                b"modelVersion" if value.len() > 2 => self.model = Some(json::string(value).into_owned()),
                b"promptFeedback" => {
                    let feedback = serde_json::from_slice::<Value>(value).unwrap_or_default();
                    if let Some(reason) = blocked(Some(&feedback)) {
                        self.blocked = true;
                        self.finish.get_or_insert(reason);
                    }
                }
                b"error" if value.starts_with(b"{") || value.starts_with(b"\"") => self.fault(body),
                _ => {}
            }
        }
    }

    fn candidate(&mut self, candidate: &[u8]) {
        let (mut index, mut finish) = (0, None);
        for field in json::fields(candidate).into_iter().flatten() {
            let value = &candidate[field.value.clone()];
            match &candidate[field.key.clone()] {
                b"index" => index = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(0),
                b"finishReason" => {
                    finish = serde_json::from_slice(value).ok().as_ref().and_then(|value| word(Some(value)))
                }
                b"groundingMetadata" => self.grounding(value),
                b"content" => {
                    let parts = json::last(value, "parts").map(|span| &value[span]).unwrap_or_default();
                    json::elements(parts).for_each(|span| self.part(&parts[span]));
                }
                _ => {}
            }
        }
        let bit = 1_u128 << u32::min(index, 127);
        self.begun |= bit;
        if let Some(finish) = finish {
            self.finished |= bit;
            if index == 0 {
                self.finish = Some(finish);
            }
        }
    }

    fn grounding(&mut self, metadata: &[u8]) {
        let member = |name: &str| json::last(metadata, name).map(|span| &metadata[span]);
        let queries = member("webSearchQueries").map_or(0, |queries| {
            let unique: HashSet<&[u8]> = json::elements(queries).map(|span| &queries[span]).collect();
            unique.len() as u64
        });
        // Each event restates what was searched so far.
        self.searches = self.searches.max(queries);
        let chunks = member("groundingChunks").unwrap_or_default();
        self.maps |= json::elements(chunks).any(|span| json::last(&chunks[span], "maps").is_some());
    }

    fn part(&mut self, part: &[u8]) {
        for field in json::fields(part).into_iter().flatten() {
            match &part[field.key.clone()] {
                b"text" => self.content |= field.value.len() > 2,
                b"functionCall" => (self.content, self.called) = (true, true),
                b"inlineData" | b"executableCode" | b"codeExecutionResult" | b"toolCall" => self.content = true,
                _ => {}
            }
        }
    }

    fn fault(&mut self, text: &[u8]) {
        let value = serde_json::from_slice::<Value>(text).unwrap_or_default();
        self.error = self.error.take().or_else(|| Fault::of_value(&value).map(|fault| fault.recorded(None)));
    }
}

impl Watch for GeminiWatch {
    const STREAMS_ARRAYS: bool = true;

    fn event(&mut self, event: &Event<'_>) -> bool {
        self.piece(&event.data);
        self.content
    }

    fn document(&mut self, body: &[u8]) {
        self.piece(body);
    }

    fn reading(&mut self) -> Reading {
        let tier = json::text_of(&self.usage, "serviceTier").map(|tier| tier.into_owned());
        let ended = self.ended();
        let finish = |word: &str| match (self.blocked, finish_reason(word, self.called)) {
            (true, _) => FinishReason::ContentFilter,
            (false, reason) => reason,
        };
        Reading {
            usage: self.usage(),
            finish_reason: self.finish.as_deref().map(finish),
            model: self.model.take(),
            native_finish_reason: self.finish.take(),
            service_tier: tier,
            provider_cost: None,
            error: self.error.take(),
            ended,
        }
    }
}
