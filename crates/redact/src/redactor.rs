//! Rules, run over a record.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use tachograph_record::{Asked, Body, BodyState, LogRecord, Origin, Outcome, Parameters, RecordedError};

use crate::filter::Filter;
use crate::rule::{PatternRule, PlaceRule, TextRule, clean};
use crate::{BadRule, BodyChoice, Policy, Privacy, Rule, json, stream};

/// Takes out of records what rules find.
#[derive(Clone, Debug)]
pub struct Redactor {
    always: Rules,
    /// For what providers say in errors: keys that they repeat.
    errors: Rules,
    sample: Option<u8>,
    policies: Vec<(Policy, Rules)>,
}

/// What our own keys begin with.
const OWN_KEY: &str = "sk-tachograph-";

/// What was found, by rule.
type Found = BTreeMap<String, u32>;

#[derive(Clone, Debug, Default)]
struct Rules {
    texts: Vec<TextRule>,
    places: Vec<PlaceRule>,
    filter: Filter,
}

impl Redactor {
    /// From the configuration, and from secrets that are known as they are: they are taken out whatever the rules say. One
    /// of fewer than 8 characters is none.
    ///
    /// # Errors
    /// All rules that cannot be run.
    pub fn new<'a>(privacy: &Privacy, known: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<BadRule>> {
        let mut faults = Vec::new();
        let mut always = Rules::read(&privacy.redact, &mut faults);
        let known = known.into_iter().filter(|secret| secret.len() >= 8).map(TextRule::exact);
        always.texts.splice(0..0, known);
        // Our own keys are known by their form alone: here there are only their hashes.
        let ours = PatternRule {
            pattern: format!(r"\b{OWN_KEY}[0-9a-f]{{48}}\b"),
            replace: Some("[secret]".to_owned()),
            name: Some("own_key".to_owned()),
        };
        always.texts.extend(TextRule::pattern_with(&ours, OWN_KEY).ok());
        always.filter = Filter::of(&always.texts);
        let errors = Rules::read(&[Rule::Builtin("secrets".to_owned())], &mut faults);
        let policies: Vec<_> =
            privacy.policies.iter().map(|policy| (policy.clone(), Rules::read(&policy.redact, &mut faults))).collect();
        let samples = privacy.policies.iter().filter_map(|policy| policy.sample_bodies).chain(privacy.sample_bodies);
        faults.extend(samples.filter(|percent| *percent > 100).map(BadRule::Percentage));
        if faults.is_empty() {
            Ok(Self { always, errors, sample: privacy.sample_bodies, policies })
        } else {
            Err(faults)
        }
    }

    /// Takes out of a record what must not be kept, and says on it what that was.
    pub fn record(&self, record: &mut LogRecord) {
        let fitting: Vec<&(Policy, Rules)> =
            self.policies.iter().filter(|(policy, _)| fits(policy, &record.asked)).collect();
        let percents = fitting.iter().filter_map(|(policy, _)| policy.sample_bodies).chain(self.sample);
        let percent = percents.min().unwrap_or(100);
        let never = fitting.iter().any(|(policy, _)| policy.bodies == BodyChoice::None);
        if never || (record.outcome == Outcome::Complete && share(record) >= percent) {
            record.asked.body.omit();
            record.response.omit();
            // What was said may come apart from a span.
            record.control.bodies_withheld = record.asked.origin == Origin::Span;
        }
        let mut found = Found::new();
        for rules in std::iter::once(&self.always).chain(fitting.iter().map(|(_, rules)| rules)) {
            rules.record(record, &mut found);
        }
        if record.error.is_some() || record.status.is_some_and(|status| status >= 400) {
            self.errors.errors(record, &mut found);
            self.errors.body(&mut record.response, &mut found);
        }
        for (rule, count) in found {
            record.control.redacted.push((rule, count));
        }
    }

    /// Takes out of what was asked what must not be kept.
    pub fn asked(&self, asked: &mut Asked) {
        self.always.asked(asked, &mut Found::new());
    }
}

/// A record's place from 0 to 99, by its id, or that of the record it is a part of: the same wherever it is looked at.
fn share(record: &LogRecord) -> u8 {
    // The last bytes of an id are random whatever its version.
    let bytes = record.control.part_of.unwrap_or(record.id).uuid().into_bytes();
    let random = u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
    u8::try_from(random % 100).unwrap_or(0)
}

fn fits(policy: &Policy, asked: &Asked) -> bool {
    let told = &asked.attribution;
    let key = policy.key.as_ref().is_none_or(|wanted| asked.key.is_some_and(|key| key.to_string() == *wanted));
    let user = policy.user.is_none() || policy.user == told.user;
    let properties = policy.properties.iter().all(|(name, wanted)| {
        let held = told.properties.iter().find(|(held, _)| held.eq_ignore_ascii_case(name));
        held.is_some_and(|(_, value)| wanted == "*" || wanted == value)
    });
    key && user && properties
}

impl Rules {
    fn read(rules: &[Rule], faults: &mut Vec<BadRule>) -> Self {
        let mut read = Self::default();
        for rule in rules {
            let done = match rule {
                Rule::Builtin(name) => TextRule::builtin(name).map(|rule| read.texts.push(rule)),
                Rule::Pattern(pattern) => TextRule::pattern(pattern).map(|rule| read.texts.push(rule)),
                Rule::Json(place) => PlaceRule::new(place).map(|rule| read.places.push(rule)),
            };
            faults.extend(done.err());
        }
        read.filter = Filter::of(&read.texts);
        read
    }

    fn record(&self, record: &mut LogRecord, found: &mut Found) {
        if self.texts.is_empty() && self.places.is_empty() {
            return;
        }
        self.asked(&mut record.asked, found);
        self.body(&mut record.response, found);
        self.errors(record, found);
        let reading = &mut record.reading;
        for text in [
            &mut reading.model,
            &mut reading.native_finish_reason,
            &mut reading.service_tier,
            &mut record.provider_model,
        ] {
            self.optional(text, found);
        }
        record.control.notes.iter_mut().for_each(|note| self.text(note, found));
        for verdict in &mut record.control.limits {
            self.text(&mut verdict.scope, found);
        }
        for attempt in &mut record.attempts {
            self.optional(&mut attempt.model, found);
        }
    }

    fn asked(&self, asked: &mut Asked, found: &mut Found) {
        self.body(&mut asked.body, found);
        self.text(&mut asked.path, found);
        for text in [&mut asked.name, &mut asked.model, &mut asked.attribution.user] {
            self.optional(text, found);
        }
        if let Some(session) = &mut asked.attribution.session {
            self.text(&mut session.id, found);
            self.optional(&mut session.path, found);
            self.optional(&mut session.name, found);
        }
        if let Some(prompt) = &mut asked.attribution.prompt {
            self.text(&mut prompt.id, found);
            self.optional(&mut prompt.version, found);
        }
        for (name, value) in &mut asked.attribution.properties {
            self.text(name, found);
            self.text(value, found);
        }
        self.parameters(&mut asked.parameters, found);
    }

    fn parameters(&self, parameters: &mut Parameters, found: &mut Found) {
        let may_find = |part| self.filter.may_find_escaped(part);
        if self.places.is_empty() && !parameters.iter().any(|(name, value)| may_find(name) || may_find(value)) {
            return;
        }
        let mut all = Value::Object(parameters.to_json());
        let mut changed = false;
        for place in &self.places {
            let count = json::replace(place, &mut all);
            changed |= count > 0;
            (0..count).for_each(|_| note(found, &place.name));
        }
        let text = all.to_string();
        let cleaned = json::cleaned(&self.texts, &text, 0, &mut |rule| note(found, rule));
        if cleaned.is_none() && !changed {
            return;
        }
        let Ok(Value::Object(members)) = serde_json::from_str(cleaned.as_deref().unwrap_or(&text)) else {
            *parameters = Parameters::default();
            return;
        };
        *parameters = Parameters::default();
        for (name, value) in members {
            let quoted = Value::String(name).to_string();
            parameters.push(Bytes::from(quoted[1..quoted.len() - 1].to_owned()), Bytes::from(value.to_string()));
        }
    }

    fn errors(&self, record: &mut LogRecord, found: &mut Found) {
        let of_attempts = record.attempts.iter_mut().filter_map(|attempt| attempt.error.as_mut());
        for error in of_attempts.chain(record.error.as_mut()).chain(record.reading.error.as_mut()) {
            let RecordedError { kind, code, message } = error;
            self.text(kind, found);
            self.optional(code, found);
            self.text(message, found);
        }
    }

    fn optional(&self, text: &mut Option<String>, found: &mut Found) {
        if let Some(text) = text {
            self.text(text, found);
        }
    }

    fn text(&self, text: &mut String, found: &mut Found) {
        if self.filter.may_find(text.as_bytes())
            && let Cow::Owned(new) = clean(&self.texts, text, &mut |rule| note(found, rule))
        {
            *text = new;
        }
    }

    /// What is kept of a body; its length stays that of what passed.
    fn body(&self, body: &mut Body, found: &mut Found) {
        if body.kept() == 0 || (self.texts.is_empty() && self.places.is_empty()) {
            return;
        }
        let bytes = body.bytes();
        if self.places.is_empty() && !self.may_find(&bytes) {
            return;
        }
        let new = match std::str::from_utf8(&bytes) {
            Ok(text) => self.document(text, body.state(), found),
            Err(_) => Some(Some(self.binary(&bytes, found))),
        };
        match new {
            Some(Some(new)) => *body = Body::restored(Bytes::from(new), body.len(), body.state()),
            Some(None) => {}
            None => body.omit(),
        }
    }

    /// Whether a text rule may find something in a body.
    fn may_find(&self, body: &[u8]) -> bool {
        let stream = stream::is_stream(body).then(|| str::from_utf8(body).ok()).flatten();
        stream.map_or_else(|| self.filter.may_find_escaped(body), |text| stream::may_find(&self.filter, text))
    }

    /// The new text, if it is another; nothing at all where it cannot be known what may be kept.
    #[expect(clippy::option_option, reason = "not kept, kept as it is, kept changed")]
    fn document(&self, text: &str, state: BodyState, found: &mut Found) -> Option<Option<Vec<u8>>> {
        let mut see = |rule: &str| note(found, rule);
        if stream::is_stream(text.as_bytes()) {
            return Some(stream::cleaned(&self.texts, &self.places, text, &mut see).map(String::into_bytes));
        }
        let is_json = text.trim_start().starts_with(['{', '[', '"']);
        let mut now: Option<String> = None;
        if is_json && !self.places.is_empty() {
            match serde_json::from_str::<Value>(text) {
                Ok(mut value) => {
                    for place in &self.places {
                        let count = json::replace(place, &mut value);
                        (0..count).for_each(|_| see(&place.name));
                        if count > 0 {
                            now = Some(value.to_string());
                        }
                    }
                }
                // Cut off: what stands at a place cannot be found any more.
                Err(_) if state == BodyState::Truncated => return None,
                Err(_) => {}
            }
        }
        let looked_at = now.as_deref().unwrap_or(text);
        let cleaned = if is_json {
            json::cleaned(&self.texts, looked_at, 0, &mut see)
        } else {
            match clean(&self.texts, looked_at, &mut see) {
                Cow::Owned(new) => Some(new),
                Cow::Borrowed(_) => None,
            }
        };
        Some(cleaned.or(now).map(String::into_bytes))
    }

    /// The texts within bytes that are none as a whole: a form with files in it.
    fn binary(&self, bytes: &[u8], found: &mut Found) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            out.extend_from_slice(clean(&self.texts, chunk.valid(), &mut |rule| note(found, rule)).as_bytes());
            out.extend_from_slice(chunk.invalid());
        }
        out
    }
}

fn note(found: &mut Found, rule: &str) {
    match found.get_mut(rule) {
        Some(count) => *count = count.saturating_add(1),
        None => drop(found.insert(rule.to_owned(), 1)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    /// Pieces of which finds, near misses and hidden finds are made.
    const PIECES: &[&str] = &[
        "sk-",
        "sk",
        "-tachograph-",
        "\\u0073k-",
        "\\\\u0073k_",
        "0123456789abcdef",
        "0123456789ABCDEF",
        "AKIA",
        "\\u0041KIA",
        "://",
        ":\\/\\/",
        "user:secret@",
        "Bearer ",
        "bEARER ",
        "\\u00e9",
        "\\u2019",
        "\\n",
        "\\\"",
        "{",
        "}",
        "\\\"a\\\":",
        ",",
        "ada@example.com",
        "ada\\u0040example.com",
        "known-secret",
        "kno",
        "wn-secret/1",
        "known\\u002dsecret\\/1",
        " ",
        "é",
        "\"",
        ":",
        "12345678901",
        "eyJ",
        ".eyJ",
        "-----BEGIN PRIVATE KEY-----x-----END PRIVATE KEY-----",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn the_first_look_changes_nothing_but_the_time_it_takes(
            picked in proptest::collection::vec(0..PIECES.len(), 0..12),
            form in 0..3,
        ) {
            static BOTH: LazyLock<[Rules; 2]> = LazyLock::new(|| {
                let redact = ["secrets", "email"].map(|name| Rule::Builtin(name.to_owned())).to_vec();
                let privacy = Privacy { redact, ..Privacy::default() };
                let quick = Redactor::new(&privacy, ["known-secret/1", "12345678901"]).unwrap().always;
                [Rules { filter: Filter::open(), ..quick.clone() }, quick]
            });
            let text: String = picked.iter().map(|&at| PIECES[at]).collect();
            let text = match form {
                0 => text,
                1 => format!("{{\"content\":\"{text}\"}}"),
                // Each piece cut in two, over two texts and several shapes of events.
                _ => picked.iter().enumerate().map(|(number, &at)| {
                    let (piece, index) = (PIECES[at], at % 5 / 4);
                    let cut = piece.char_indices().nth(number % 3).map_or(piece.len(), |(cut, _)| cut);
                    let more = if number % 4 == 1 { format!(",\"n\":{number}") } else { String::new() };
                    let event = |text: &str| format!("data: {{\"c\":[{{\"index\":{index},\"text\":\"{text}\"}}]{more}}}\n\n");
                    event(&piece[..cut]) + &event(&piece[cut..])
                }).collect(),
            };
            let clean = |rules: &Rules| {
                let (mut body, mut found) = (Body::capture(&Bytes::from(text.clone()), 1 << 20), Found::new());
                rules.body(&mut body, &mut found);
                (body.bytes(), found)
            };
            prop_assert_eq!(clean(&BOTH[1]), clean(&BOTH[0]));
        }
    }
}
