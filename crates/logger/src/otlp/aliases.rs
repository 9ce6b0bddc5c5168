//! The table of what attributes mean, as `data/otel_aliases.toml` says.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use serde::Deserialize;
use tachograph_record::Step;

/// The whole table.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Aliases {
    kind: Vec<KindRule>,
    presence: Presence,
    pub(super) fields: Fields,
    pub(super) first_token: Vec<FirstToken>,
    pub(super) first_token_events: Names,
    pub(super) usage: UsageKeys,
    pub(super) input: Said,
    pub(super) output: Said,
    pub(super) parameters: Bag,
    pub(super) properties: Bag,
    pub(super) providers: BTreeMap<String, String>,
    /// Every attribute that some line names; made once.
    #[serde(skip)]
    known: HashSet<String>,
}

type Keys = Vec<String>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct KindRule {
    key: String,
    #[serde(default)]
    model: Keys,
    #[serde(default)]
    tool: Keys,
    #[serde(default)]
    vector_db: Keys,
    #[serde(default)]
    data: Keys,
    #[serde(default)]
    span: Keys,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Presence {
    tool: Keys,
    model: Keys,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    pub(super) name: Keys,
    pub(super) provider: Keys,
    pub(super) request_model: Keys,
    pub(super) response_model: Keys,
    pub(super) user: Keys,
    pub(super) session: Keys,
    pub(super) session_path: Keys,
    pub(super) session_name: Keys,
    pub(super) prompt: Keys,
    pub(super) prompt_version: Keys,
    pub(super) finish_reason: Keys,
    pub(super) stream: Keys,
    pub(super) status: Keys,
    pub(super) error_type: Keys,
    pub(super) error_message: Keys,
    pub(super) service_tier: Keys,
    pub(super) service: Keys,
    pub(super) environment: Keys,
}

/// An attribute that tells when the first token came.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FirstToken {
    pub(super) key: String,
    #[serde(rename = "as")]
    pub(super) reading: TimeReading,
}

/// How a time is written.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TimeReading {
    /// Seconds since the span's start.
    Seconds,
    /// Milliseconds since the span's start.
    Milliseconds,
    /// A moment, as in ISO 8601.
    Moment,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Names {
    pub(super) names: Keys,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UsageKeys {
    pub(super) input: Keys,
    pub(super) output: Keys,
    pub(super) total: Keys,
    pub(super) cache_read: Keys,
    pub(super) cache_write: Keys,
    pub(super) cache_write_5m: Keys,
    pub(super) cache_write_1h: Keys,
    pub(super) reasoning: Keys,
    pub(super) input_audio: Keys,
    pub(super) output_audio: Keys,
    pub(super) input_image: Keys,
    pub(super) output_image: Keys,
    pub(super) cost: Keys,
    pub(super) details: Keys,
    pub(super) cost_details: Keys,
}

/// Where one side of a conversation stands.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    pub(super) messages: Keys,
    pub(super) flat: Keys,
    pub(super) system: Keys,
    pub(super) raw: Keys,
    pub(super) tools: Keys,
    pub(super) flat_tools: Keys,
    pub(super) events: Keys,
    pub(super) event_lists: Vec<(String, String)>,
    #[serde(default)]
    pub(super) text: Keys,
    #[serde(default)]
    pub(super) reasoning: Keys,
    #[serde(default)]
    pub(super) tool_calls: Keys,
}

/// Attributes of any name.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bag {
    pub(super) prefixes: Keys,
    pub(super) json: Keys,
    #[serde(default)]
    pub(super) tags: Keys,
}

impl Aliases {
    /// The table that comes with this crate.
    pub(super) fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Aliases> = LazyLock::new(|| {
            // The file is part of the program; a test reads it, so it cannot be wrong where this runs.
            let read: Result<Aliases, _> = toml::from_str(TABLE);
            read.map(Aliases::with_known).unwrap_or_default()
        });
        &BUILTIN
    }

    /// The kind of step that these attributes tell, by what reads them: `get` gives a value in lower case.
    pub(super) fn step(&self, get: impl Fn(&str) -> Option<String>) -> Option<Step> {
        let by_rule = self.kind.iter().find_map(|rule| rule.step(&get(&rule.key)?));
        let any = |keys: &Keys| keys.iter().any(|key| get(key).is_some());
        by_rule
            .or_else(|| any(&self.presence.tool).then_some(Step::Tool))
            .or_else(|| any(&self.presence.model).then_some(Step::Model))
    }

    /// Whether a line of the table reads this attribute.
    pub(super) fn knows(&self, key: &str) -> bool {
        let flat = [&self.input.flat, &self.output.flat, &self.input.flat_tools];
        let bags = [&self.parameters.prefixes, &self.properties.prefixes];
        self.known.contains(key)
            || bags.into_iter().flatten().any(|prefix| key.starts_with(prefix.as_str()))
            || flat.into_iter().flatten().any(|prefix| behind(key, prefix).is_some())
    }

    /// Whether an event of this name tells what was said in a call of a model, a message at a time or all of it.
    pub(super) fn says(&self, event: &str) -> bool {
        [&self.input, &self.output].into_iter().any(|said| {
            said.events.iter().any(|name| name == event) || said.event_lists.iter().any(|(name, _)| name == event)
        })
    }

    fn with_known(mut self) -> Self {
        let (fields, usage) = (&self.fields, &self.usage);
        let mut lists: Vec<&Keys> = vec![
            &fields.name,
            &fields.provider,
            &fields.request_model,
            &fields.response_model,
            &fields.user,
            &fields.session,
            &fields.session_path,
            &fields.session_name,
            &fields.prompt,
            &fields.prompt_version,
            &fields.finish_reason,
            &fields.stream,
            &fields.status,
            &fields.error_type,
            &fields.error_message,
            &fields.service_tier,
            &fields.service,
            &fields.environment,
            &usage.input,
            &usage.output,
            &usage.total,
            &usage.cache_read,
            &usage.cache_write,
            &usage.cache_write_5m,
            &usage.cache_write_1h,
            &usage.reasoning,
            &usage.input_audio,
            &usage.output_audio,
            &usage.input_image,
            &usage.output_image,
            &usage.cost,
            &usage.details,
            &usage.cost_details,
            &self.parameters.json,
            &self.properties.json,
            &self.properties.tags,
        ];
        for said in [&self.input, &self.output] {
            lists.extend([
                &said.messages,
                &said.system,
                &said.raw,
                &said.tools,
                &said.text,
                &said.reasoning,
                &said.tool_calls,
            ]);
        }
        let mut known: HashSet<String> = lists.into_iter().flatten().cloned().collect();
        known.extend(self.kind.iter().map(|rule| rule.key.clone()));
        known.extend(self.first_token.iter().map(|rule| rule.key.clone()));
        self.known = known;
        self
    }
}

const TABLE: &str = include_str!("../../data/otel_aliases.toml");

impl KindRule {
    fn step(&self, value: &str) -> Option<Step> {
        let lists = [
            (&self.model, Step::Model),
            (&self.tool, Step::Tool),
            (&self.vector_db, Step::VectorDb),
            (&self.data, Step::Data),
            (&self.span, Step::Span),
        ];
        lists.into_iter().find(|(values, _)| values.iter().any(|held| held == value)).map(|(_, step)| step)
    }
}

/// What stands behind `<prefix>.` in a key.
pub(super) fn behind<'a>(key: &'a str, prefix: &str) -> Option<&'a str> {
    key.strip_prefix(prefix)?.strip_prefix('.').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read() {
        let table: Aliases = toml::from_str(TABLE).unwrap();
        assert!(table.kind.len() > 5 && table.usage.input.len() > 5);
        let lower = |values: &Keys| values.iter().all(|value| *value == value.to_lowercase());
        for rule in &table.kind {
            for values in [&rule.model, &rule.tool, &rule.vector_db, &rule.data, &rule.span] {
                assert!(lower(values), "{}: values are compared in lower case", rule.key);
            }
        }
        assert!(table.providers.keys().all(|name| *name == name.to_lowercase()));
        assert!(table.providers.values().all(|name| !name.is_empty() && !name.contains('.')));
    }
}
