//! Tokens that nobody reported: of a stream that ended without usage, and of a request that was not sent yet.
//!
//! What is counted here is marked as estimated wherever it goes. A provider's own numbers are never replaced.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tachograph_providers::chat::{Block, ChatRequest, ChatResponse, Content, MediaSource, Tool, ToolFunction};
use tachograph_providers::{Conversation, conversation};
use tachograph_record::{Body, BodyState, Direction, Leaf, LogRecord, Usage, UsageReading, UsageSource};
use tachograph_tokens::{Counter, PER_MESSAGE, PER_PROMPT};

/// What a picture or a page usually comes to. Providers count between 85 and some thousand, by size and detail.
pub(crate) const PER_MEDIUM: u64 = 800;

/// The tokens of a prompt, by how well they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// Of text, tools and what stands around them.
    pub(crate) text: u64,
    /// Pictures, sounds and documents whose tokens the text does not tell.
    pub(crate) media: u64,
}

impl Prompt {
    /// All tokens.
    pub(crate) const fn tokens(self) -> u64 {
        self.text.saturating_add(self.media.saturating_mul(PER_MEDIUM))
    }
}

/// The tokens of a request's prompt.
pub(crate) fn prompt(counter: &Counter, request: &ChatRequest) -> Prompt {
    let mut sum = Sum::of(counter);
    if let Some(Content { blocks, .. }) = &request.system {
        sum.prompt.text += PER_MESSAGE;
        sum.blocks(blocks);
    }
    for message in &request.messages {
        sum.prompt.text += PER_MESSAGE;
        sum.blocks(&message.content.blocks);
    }
    if let Some(tools) = request.tools.as_ref().filter(|tools| !tools.is_empty()) {
        sum.prompt.text += counter.tools_preamble();
        tools.iter().for_each(|tool| sum.tool(tool));
    }
    sum.prompt.text += PER_PROMPT;
    sum.prompt
}

/// The tokens of an answer: those the caller sees, and those of the reasoning.
pub(crate) fn answer(counter: &Counter, response: &ChatResponse) -> (u64, u64) {
    let (mut visible, mut reasoning) = (Sum::of(counter), Sum::of(counter));
    for block in response.choices.iter().flat_map(|choice| &choice.content) {
        let sum = if matches!(block, Block::Thinking(_)) { &mut reasoning } else { &mut visible };
        sum.blocks(std::slice::from_ref(block));
    }
    (visible.prompt.tokens(), reasoning.prompt.tokens())
}

struct Sum<'a> {
    counter: &'a Counter,
    prompt: Prompt,
}

impl<'a> Sum<'a> {
    fn of(counter: &'a Counter) -> Self {
        Self { counter, prompt: Prompt::default() }
    }

    fn text(&mut self, text: &str) {
        self.prompt.text = self.prompt.text.saturating_add(self.counter.count(text));
    }

    fn blocks(&mut self, blocks: &[Block]) {
        for block in blocks {
            match block {
                Block::Text(text) | Block::Refusal(text) => self.text(&text.text),
                Block::Thinking(thinking) => self.text(&thinking.text),
                Block::ToolCall(call) => {
                    self.prompt.text += PER_MESSAGE;
                    self.text(&call.name);
                    self.text(&call.arguments);
                }
                Block::ToolResult(result) => {
                    self.prompt.text += PER_MESSAGE;
                    self.blocks(&result.content);
                }
                Block::Media(media) => match &media.source {
                    MediaSource::Text { data, .. } => self.text(data),
                    _ => self.prompt.media += 1,
                },
                Block::Opaque(block) => self.text(&block.json.to_string()),
            }
        }
    }

    fn tool(&mut self, tool: &Tool) {
        match tool {
            Tool::Function(function) => {
                let ToolFunction { name, description, parameters, .. } = &**function;
                self.prompt.text += 2 * PER_MESSAGE;
                self.text(name);
                self.text(description.as_deref().unwrap_or_default());
                self.text(&parameters.as_ref().map(ToString::to_string).unwrap_or_default());
            }
            // The provider's own tool: what it puts into the prompt is not told.
            Tool::Opaque(tool) => self.text(&tool.json.to_string()),
        }
    }
}

/// Whether a call was served as a stream that ended without saying what it used, or broke off before it said all. Tells
/// from what the record has at hand; of bodies that are not kept at all nothing can be known.
pub(crate) fn is_wanted(record: &LogRecord) -> bool {
    let reading = &record.reading;
    let served = record.status.is_some_and(|status| (200..300).contains(&status)) && reading.error.is_none();
    let is_open = match &reading.usage {
        UsageReading::Absent => true,
        UsageReading::Known(_) => !reading.ended,
        UsageReading::Invalid(_) => false,
    };
    let is_kept = matches!(record.asked.body.state(), BodyState::Whole | BodyState::Truncated);
    record.asked.stream && served && is_open && is_kept
}

/// The record with what it most likely used. A text that cannot be counted costs its estimate, never the record.
pub(crate) fn completed(mut record: LogRecord) -> LogRecord {
    let counted = catch_unwind(AssertUnwindSafe(|| usage(&record)));
    if counted.is_err() {
        tracing::error!(id = %record.id, "the tokens of this call could not be counted");
    }
    if let Some(usage) = counted.ok().flatten() {
        record.reading.usage = UsageReading::Known(usage);
    }
    record
}

/// What such a stream most likely used. Of one that broke off after its first event told the input (Anthropic's do), the
/// output alone. Of a body whose end was not kept, as much as its length tells.
fn usage(record: &LogRecord) -> Option<Usage> {
    let told = match &record.reading.usage {
        UsageReading::Known(told) => Some(told),
        UsageReading::Absent | UsageReading::Invalid(_) => None,
    };
    let asked = &record.asked;
    let Conversation { request, response, .. } =
        conversation(&asked.api, asked.stream, &asked.body.bytes(), &record.response.bytes());
    let counter = Counter::of_model(record.model().unwrap_or_default());
    let (visible, reasoning) = response.map(|response| answer(&counter, &response)).unwrap_or_default();
    let (visible, reasoning) = (grown(visible, &record.response), grown(reasoning, &record.response));
    let mut usage = Usage::new(UsageSource::Estimated);
    match told {
        Some(told) if told.output_total() >= visible.saturating_add(reasoning) => return None,
        Some(told) => {
            let input = told.leaves().iter().filter(|(leaf, _)| leaf.direction == Direction::Input);
            input.for_each(|&(leaf, count)| usage.add(leaf, count));
            told.units().iter().for_each(|&(unit, quantity)| usage.add_unit(unit, quantity));
        }
        None => usage.add(Leaf::INPUT, grown(prompt(&counter, &request?).tokens(), &asked.body)),
    }
    usage.add(Leaf::OUTPUT, visible);
    usage.add(Leaf::REASONING, reasoning);
    Some(usage)
}

/// As if the part of the body that was not kept went on like the rest.
fn grown(tokens: u64, body: &Body) -> u64 {
    let kept = body.kept() as u128;
    if body.state() != BodyState::Truncated || kept == 0 {
        return tokens;
    }
    u64::try_from(u128::from(tokens) * u128::from(body.len()) / kept).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use serde_json::Value;

    use super::*;

    fn recordings() -> Vec<PathBuf> {
        let shared = std::env::var_os("TACHOGRAPH_SHARED")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
        let mut folders = vec![shared.join("traffic")];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|ending| ending == "json") {
                    files.push(path);
                }
            }
        }
        files
    }

    /// Of one recorded call: the percentage that the provider reported of what is estimated, for the prompt and for the
    /// answer, where only text went either way.
    fn measured(file: &Path) -> Option<(Counter, u64, u64)> {
        let all: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let dialect = all["dialect"].as_str()?;
        let request = match &all["request"]["body"] {
            Value::String(text) => text.clone(),
            body => body.to_string(),
        };
        let response = all["response"]["body"].as_str().unwrap_or_default();
        let read = conversation(dialect, all["stream"] == true, request.as_bytes(), response.as_bytes());
        let (request, response) = (read.request?, read.response?);
        let reported = response.usage.known()?;
        let counter = Counter::of_model(response.model.as_deref().or(request.model.as_deref())?);
        let (asked, (visible, reasoning)) = (prompt(&counter, &request), answer(&counter, &response));
        let is_text = request.tools.is_none() && asked.media == 0 && reported.reasoning_total() == 0 && reasoning == 0;
        let percent = |reported: u64, estimated: u64| reported * 100 / estimated;
        (is_text && visible > 10).then(|| {
            (counter, percent(reported.input_total(), asked.tokens()), percent(reported.output_total(), visible))
        })
    }

    fn median(percents: impl Iterator<Item = u64>) -> u64 {
        let mut sorted: Vec<u64> = percents.collect();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    }

    #[test]
    #[allow(clippy::print_stderr, reason = "a skipped test says so")]
    fn recorded_calls_are_estimated_near_what_their_providers_reported() {
        let files = recordings();
        if files.is_empty() {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "the recordings must be there under CI");
            return eprintln!("skipped: no ../shared/traffic beside the checkout");
        }
        let mut by_family: BTreeMap<String, (Counter, Vec<(u64, u64)>)> = BTreeMap::new();
        for (counter, input, output) in files.iter().filter_map(|file| measured(file)) {
            let held = by_family.entry(format!("{counter:?}")).or_insert((counter, Vec::new()));
            held.1.push((input, output));
        }
        let mut checked = 0;
        for (counter, calls) in by_family.values().filter(|(_, calls)| calls.len() >= 20) {
            let (input, output) = (median(calls.iter().map(|call| call.0)), median(calls.iter().map(|call| call.1)));
            // What a provider puts around messages is counted nearly even where the text is counted exactly.
            assert!(input.abs_diff(100) <= counter.spread_percent().max(10), "{counter:?}: {input} % of the prompt");
            assert!(output.abs_diff(100) <= 5, "{counter:?}: {output} % of the answer");
            checked += calls.len();
        }
        assert!(checked > 100, "only {checked} calls");
    }

    #[test]
    fn tools_and_media_count() {
        let of = |body: &str| {
            let request = tachograph_providers::dialect(tachograph_providers::DialectId::OpenAiChat)
                .decode_request(body.as_bytes())
                .unwrap();
            prompt(&Counter::of_model("gpt-4o"), &request)
        };
        let plain = of(r#"{"model":"m","messages":[{"role":"user","content":"Hello world"}]}"#);
        assert_eq!(plain, Prompt { text: 2 + PER_MESSAGE + PER_PROMPT, media: 0 });
        let seen = of(r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"Hello world"},
            {"type":"image_url","image_url":{"url":"https://example.com/x.png"}}]}]}"#);
        assert_eq!(seen, Prompt { media: 1, ..plain });
        let armed =
            of(r#"{"model":"m","messages":[{"role":"user","content":"Hello world"}],"tools":[{"type":"function",
            "function":{"name":"look_up","description":"Looks a word up.","parameters":{"type":"object"}}}]}"#);
        assert!(armed.text > plain.text + 10, "{armed:?}");
    }
}
