//! Calls as spans.
//!
//! A call that passed the gateway is a server's span with a client's span below it for each attempt at a provider: what
//! the model did stands on the attempt. A call that had none (served by the cache, refused), one that a client told of, and
//! a step that is no call of a model is one span. Ids are made from the call's id, so a call that is exported twice is the
//! same span.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, status::StatusCode};
use serde_json::Value;
use tachograph_record::{Attempt, LogRecord, Origin, Outcome, Step, Usage};
use tachograph_telemetry::ExportOptions;

use super::said::{Said, said};
use super::words::{Word, Words, operation};
use super::{attribute, text};

/// Flags of a span that was sampled.
const SAMPLED: u32 = 1;

/// The spans of these calls.
pub(super) fn export(
    records: &[LogRecord],
    options: &ExportOptions,
    resource: Resource,
    scope: InstrumentationScope,
) -> ExportTraceServiceRequest {
    let spans =
        records.iter().flat_map(|record| Call { record, options, words: Words(options.conventions) }.spans()).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }],
    }
}

struct Call<'a> {
    record: &'a LogRecord,
    options: &'a ExportOptions,
    words: Words,
}

impl Call<'_> {
    fn spans(&self) -> Vec<Span> {
        let record = self.record;
        let attempts = &record.attempts;
        let mut own = self.own();
        if attempts.is_empty() {
            if record.asked.step == Step::Model {
                self.model(&mut own, None, None, true);
            }
            return vec![own];
        }
        let parent = own.span_id.clone();
        let below =
            attempts.iter().enumerate().map(|(at, attempt)| self.attempt(at, attempt, &parent)).collect::<Vec<_>>();
        std::iter::once(own).chain(below).collect()
    }

    /// The call itself, as its caller saw it.
    fn own(&self) -> Span {
        let (record, asked) = (self.record, &self.record.asked);
        let (name, kind) = match (asked.step, asked.origin) {
            (Step::Model, Origin::Gateway) => (format!("{} {}", asked.method, asked.path), SpanKind::Server),
            (Step::Model, _) => (self.model_name(), SpanKind::Client),
            (Step::Tool, _) => {
                (format!("execute_tool {}", asked.name.as_deref().unwrap_or("tool")), SpanKind::Internal)
            }
            (step, _) => (asked.name.clone().unwrap_or_else(|| step.code().to_owned()), SpanKind::Internal),
        };
        let mut attributes = vec![
            text("tachograph.id", record.id.to_string()),
            text("tachograph.origin", asked.origin.code()),
            text("tachograph.step", asked.step.code()),
            text("tachograph.outcome", record.outcome.code()),
        ];
        if asked.origin == Origin::Gateway {
            attributes.push(text("http.request.method", asked.method.as_ref()));
            attributes.push(text("url.path", asked.path.as_str()));
        }
        if let Some(status) = record.status {
            attributes.push(int("http.response.status_code", status));
        }
        if let Some(cost) = record.cost.total() {
            attributes.push(text("tachograph.cost_usd", cost.to_string()));
        }
        if let Some(cache) = &record.control.cache {
            attributes.push(text("tachograph.cache", cache.status.code()));
        }
        if asked.step == Step::Tool {
            self.words.put(&mut attributes, Word::Operation, string("execute_tool"));
            if let Some(tool) = &asked.name {
                self.words.put(&mut attributes, Word::ToolName, string(tool));
            }
        }
        self.attribution(&mut attributes);
        if let Some(error) = &record.error {
            attributes.push(text("error.type", error.kind.as_str()));
        }
        let message = record.error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
        let start = record.timing.received_at.micros();
        Span {
            trace_id: self.trace_id(),
            span_id: self.span_id(),
            parent_span_id: asked.parent_span_id.as_deref().and_then(|id| hex::decode(id).ok()).unwrap_or_default(),
            name,
            kind: kind.into(),
            start_time_unix_nano: nanos(start, 0),
            end_time_unix_nano: nanos(start, record.timing.end_us),
            attributes,
            flags: SAMPLED,
            status: Some(status(record.outcome, message)),
            ..Span::default()
        }
    }

    /// One try at a provider. The last is the one whose answer was passed on.
    fn attempt(&self, at: usize, attempt: &Attempt, parent: &[u8]) -> Span {
        let record = self.record;
        let serves = at + 1 == record.attempts.len();
        let mut id = self.record.id.span_id();
        // Different from the call's own and from each other's.
        id[0] = id[0].wrapping_add(u8::try_from(at + 1).unwrap_or(u8::MAX));
        let start = record.timing.received_at.micros();
        let end = attempt.end_us.unwrap_or(record.timing.end_us).max(attempt.sent_us);
        let mut span = Span {
            trace_id: self.trace_id(),
            span_id: id.to_vec(),
            parent_span_id: parent.to_vec(),
            kind: SpanKind::Client.into(),
            start_time_unix_nano: nanos(start, attempt.sent_us),
            end_time_unix_nano: nanos(start, end),
            flags: SAMPLED,
            ..Span::default()
        };
        self.model(&mut span, Some(attempt), attempt.usage.as_ref(), serves);
        span
    }

    /// What a model was asked and did.
    fn model(&self, span: &mut Span, attempt: Option<&Attempt>, abandoned: Option<&Usage>, serves: bool) {
        let (record, words) = (self.record, self.words);
        let attributes = &mut span.attributes;
        words.put(attributes, Word::Operation, string(operation(&record.asked.api)));
        let provider = attempt.map(|attempt| &*attempt.provider).or(record.provider.as_deref());
        if let Some(provider) = provider {
            words.put(attributes, Word::Provider, string(words.provider(provider)));
        }
        let requested = attempt.and_then(|attempt| attempt.model.as_ref()).or(record.asked.model.as_ref());
        if let Some(model) = requested {
            words.put(attributes, Word::RequestModel, string(model));
        }
        if record.asked.stream {
            words.put(attributes, Word::Stream, any_value::Value::BoolValue(true));
        }
        self.parameters(attributes);
        if let Some(attempt) = attempt {
            span.name = self.model_name();
            attributes.extend(attempt.status.map(|status| int("http.response.status_code", status)));
            let failed = attempt.error.as_ref().map(|error| error.kind.clone());
            let failed =
                failed.or_else(|| attempt.status.filter(|status| *status >= 400).map(|status| status.to_string()));
            let broken = (serves && !matches!(record.outcome, Outcome::Complete | Outcome::ClientGone)).then(|| {
                record.error.as_ref().map_or_else(|| record.outcome.code().to_owned(), |error| error.kind.clone())
            });
            if let Some(kind) = failed.or(broken) {
                attributes.push(text("error.type", kind));
                let told = attempt.error.as_ref().or(record.error.as_ref());
                let message = told.map(|error| error.message.clone()).unwrap_or_default();
                span.status = Some(Status { message, code: StatusCode::Error.into() });
            }
        }
        if !serves {
            usage(words, &mut span.attributes, abandoned);
            return;
        }
        self.answer(span, attempt);
    }

    /// What was answered, on the span of who answered.
    fn answer(&self, span: &mut Span, attempt: Option<&Attempt>) {
        let (record, words) = (self.record, self.words);
        let attributes = &mut span.attributes;
        if let Some(model) = &record.reading.model {
            words.put(attributes, Word::ResponseModel, string(model));
        }
        if let Some(finish) =
            record.reading.native_finish_reason.as_deref().or(record.reading.finish_reason.map(|f| f.code()))
        {
            let values = vec![AnyValue { value: Some(string(finish)) }];
            words.put(attributes, Word::FinishReasons, any_value::Value::ArrayValue(ArrayValue { values }));
        }
        let sent = attempt.map_or(0, |attempt| attempt.sent_us);
        if let Some(first) = record.timing.first_token_us.and_then(|first| first.checked_sub(sent)) {
            words.put(attributes, Word::FirstChunk, any_value::Value::DoubleValue(super::measures::seconds(first)));
        }
        // What the cache served, or another row counts, was used elsewhere.
        let counts = record.control.counted_by.is_none()
            && record.control.cache.as_ref().is_none_or(|cache| !cache.status.served());
        usage(words, attributes, record.reading.usage.known().filter(|_| counts));
        if self.options.content {
            self.content(span);
        }
    }

    fn content(&self, span: &mut Span) {
        let Said { system, input, output, tools } = said(self.record);
        if self.words.says_in_events() {
            let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
            span.events = events(system, input, start).into_iter().chain(choices(output, end)).collect();
            return;
        }
        let sides = [
            (Word::SystemInstructions, system),
            (Word::InputMessages, input),
            (Word::OutputMessages, output),
            (Word::ToolDefinitions, tools),
        ];
        for (word, said) in sides {
            if let Some(said) = said {
                self.words.put(&mut span.attributes, word, string(&said.to_string()));
            }
        }
    }

    /// Parameters of the request that the conventions know by OpenAI's names.
    fn parameters(&self, attributes: &mut Vec<KeyValue>) {
        const KNOWN: [(&str, &str); 9] = [
            ("temperature", "temperature"),
            ("top_p", "top_p"),
            ("top_k", "top_k"),
            ("max_tokens", "max_tokens"),
            ("max_completion_tokens", "max_tokens"),
            ("max_output_tokens", "max_tokens"),
            ("frequency_penalty", "frequency_penalty"),
            ("presence_penalty", "presence_penalty"),
            ("seed", "seed"),
        ];
        for (name, value) in self.record.asked.parameters.to_json() {
            let Some((_, known)) = KNOWN.iter().find(|(ours, _)| *ours == name) else { continue };
            let value = match value {
                Value::Number(number) => match number.as_i64() {
                    Some(int) => any_value::Value::IntValue(int),
                    None => any_value::Value::DoubleValue(number.as_f64().unwrap_or_default()),
                },
                _ => continue,
            };
            attributes.push(attribute(&format!("gen_ai.request.{known}"), value));
        }
    }

    fn attribution(&self, attributes: &mut Vec<KeyValue>) {
        let told = &self.record.asked.attribution;
        if let Some(user) = &told.user {
            attributes.push(text("user.id", user.as_str()));
        }
        if let Some(session) = &told.session {
            attributes.push(text("session.id", session.id.as_str()));
            self.words.put(attributes, Word::Conversation, string(&session.id));
            attributes.extend(session.path.as_ref().map(|path| text("tachograph.session.path", path.as_str())));
            attributes.extend(session.name.as_ref().map(|name| text("tachograph.session.name", name.as_str())));
        }
        if let Some(prompt) = &told.prompt {
            self.words.put(attributes, Word::PromptName, string(&prompt.id));
            if let Some(version) = &prompt.version {
                self.words.put(attributes, Word::PromptVersion, string(version));
            }
        }
        for (name, value) in &told.properties {
            attributes.push(text(&format!("tachograph.property.{name}"), value.as_str()));
        }
    }

    fn model_name(&self) -> String {
        let model = self.record.model().or(self.record.asked.model.as_deref()).unwrap_or_default();
        format!("{} {model}", operation(&self.record.asked.api)).trim_end().to_owned()
    }

    fn trace_id(&self) -> Vec<u8> {
        let told = self.record.asked.trace_id.as_deref().and_then(|id| hex::decode(id).ok());
        told.unwrap_or_else(|| self.record.id.uuid().as_bytes().to_vec())
    }

    fn span_id(&self) -> Vec<u8> {
        let told = self.record.asked.span_id.as_deref().and_then(|id| hex::decode(id).ok());
        told.unwrap_or_else(|| self.record.id.span_id().to_vec())
    }
}

/// By the conventions the input contains what a cache was asked for or given, the output what was thought.
fn usage(words: Words, attributes: &mut Vec<KeyValue>, usage: Option<&Usage>) {
    let Some(usage) = usage else { return };
    let counts = [
        (Word::Input, usage.input_total(), true),
        (Word::Output, usage.output_total(), true),
        (Word::CacheRead, usage.cache_read_total(), false),
        (Word::CacheWrite, usage.cache_write_total(), false),
        (Word::Reasoning, usage.reasoning_total(), false),
    ];
    for (word, count, always) in counts {
        if always || count > 0 {
            words.put(attributes, word, any_value::Value::IntValue(i64::try_from(count).unwrap_or(i64::MAX)));
        }
    }
}

fn status(outcome: Outcome, message: String) -> Status {
    match outcome {
        Outcome::Complete => Status { message: String::new(), code: StatusCode::Unset.into() },
        _ => Status { message, code: StatusCode::Error.into() },
    }
}

/// Messages as events of their own, as 1.36 has them.
fn events(system: Option<Value>, input: Option<Value>, at: u64) -> Vec<Event> {
    let instructions = system.map(|parts| serde_json::json!({ "role": "system", "parts": parts }));
    let messages = input.and_then(|input| input.as_array().cloned()).unwrap_or_default();
    let all = instructions.into_iter().chain(messages);
    all.map(|message| {
        let role = message["role"].as_str().unwrap_or("user").to_owned();
        let attributes = vec![text("content", texts(&message["parts"]))];
        Event { time_unix_nano: at, name: format!("gen_ai.{role}.message"), attributes, ..Event::default() }
    })
    .collect()
}

fn choices(output: Option<Value>, at: u64) -> Vec<Event> {
    let choices = output.and_then(|output| output.as_array().cloned()).unwrap_or_default();
    let event = |(index, choice): (usize, Value)| {
        let message = serde_json::json!({ "role": "assistant", "content": texts(&choice["parts"]) });
        let mut attributes =
            vec![int("index", u16::try_from(index).unwrap_or(u16::MAX)), text("message", message.to_string())];
        attributes.extend(choice["finish_reason"].as_str().map(|reason| text("finish_reason", reason)));
        Event { time_unix_nano: at, name: "gen_ai.choice".to_owned(), attributes, ..Event::default() }
    };
    choices.into_iter().enumerate().map(event).collect()
}

/// The text of parts; other parts as they are.
fn texts(parts: &Value) -> String {
    let parts = parts.as_array().map(Vec::as_slice).unwrap_or_default();
    let shown = |part: &Value| match part["type"].as_str() {
        Some("text") => part["content"].as_str().unwrap_or_default().to_owned(),
        _ => part.to_string(),
    };
    parts.iter().map(shown).collect::<Vec<_>>().join("\n")
}

fn nanos(start_us: i64, after_us: u64) -> u64 {
    u64::try_from(start_us).unwrap_or(0).saturating_add(after_us).saturating_mul(1_000)
}

fn string(text: &str) -> any_value::Value {
    any_value::Value::StringValue(text.to_owned())
}

fn int(key: &str, value: u16) -> KeyValue {
    attribute(key, any_value::Value::IntValue(value.into()))
}
