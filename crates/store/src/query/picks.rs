//! Whether a row in memory is one that a filter picks, as the databases would decide.

use uuid::Uuid;

use super::totals::{failed, failed_code, output_rate};
use super::{Comparison, Condition, Fact, Field, Number, Predicate, Test};
use crate::Row;
use crate::marks::Marks;
use crate::row::clamped;

/// A row and what was put beside it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The row.
    pub row: &'a Row,
    /// Tags, scores and properties that came later.
    pub marks: &'a Marks,
}

/// A value of a row.
enum Held<'a> {
    Text(&'a str),
    Owned(String),
    Int(i64),
    Money(tachograph_record::Money),
    Real(f64),
    Flag(bool),
    Id(Uuid),
}

impl Predicate {
    /// Whether it picks the row. Conditions on bodies pick nothing here; they are turned into ids before.
    #[must_use]
    pub fn picks(&self, seen: Seen<'_>) -> bool {
        match self {
            Self::All => true,
            Self::And(parts) => parts.iter().all(|part| part.picks(seen)),
            Self::Or(parts) => parts.iter().any(|part| part.picks(seen)),
            Self::Not(inner) => !inner.picks(seen),
            Self::Is(condition) => condition.holds(seen),
        }
    }
}

impl Condition {
    fn holds(&self, seen: Seen<'_>) -> bool {
        if self.field == Field::Fact(Fact::Tag) {
            return seen.marks.tags.iter().any(|tag| self.test.holds(&Held::Text(tag)));
        }
        value(&self.field, seen).is_some_and(|held| self.test.holds(&held))
    }
}

impl Test {
    fn holds(&self, held: &Held<'_>) -> bool {
        let text = match held {
            Held::Text(text) => Some(*text),
            Held::Owned(text) => Some(text.as_str()),
            _ => None,
        };
        match (self, held) {
            (Self::Present, _) => true,
            (Self::OneOf(texts), _) => text.is_some_and(|text| texts.iter().any(|wanted| wanted == text)),
            (Self::Like(pattern), _) => text.is_some_and(|text| pattern.fits(text)),
            (Self::Ids(ids), Held::Id(id)) => ids.contains(id),
            (Self::Flag(wanted), Held::Flag(flag)) => wanted == flag,
            (Self::Number(comparison, number), held) => holds(*comparison, held, number),
            _ => false,
        }
    }
}

fn holds(comparison: Comparison, held: &Held<'_>, number: &Number) -> bool {
    match (held, number) {
        (Held::Int(held), Number::Int(wanted)) => comparison.holds(held, wanted),
        (Held::Money(held), Number::Money(wanted)) => comparison.holds(held, wanted),
        (Held::Real(held), Number::Real(wanted)) => comparison.holds(held, wanted),
        _ => false,
    }
}

fn int(count: u64) -> i64 {
    clamped(count).cast_signed()
}

fn value<'a>(field: &Field, seen: Seen<'a>) -> Option<Held<'a>> {
    let Seen { row, marks } = seen;
    let fact = match field {
        Field::Fact(fact) => *fact,
        Field::Property(name) => return marks.property(row, name).map(Held::Text),
        Field::Score(name) => return marks.score(name).map(Held::Int),
    };
    let told = &row.attribution;
    let session = told.session.as_ref();
    let prompt = told.prompt.as_ref();
    let usage = row.usage.as_ref();
    Some(match fact {
        Fact::Id => Held::Id(row.id.uuid()),
        Fact::Time => Held::Int(row.timing.received_at.micros()),
        Fact::Key => Held::Id(row.key?.uuid()),
        Fact::Origin => Held::Text(row.origin.code()),
        Fact::Step => Held::Text(row.step.code()),
        Fact::Name => Held::Text(row.name.as_deref()?),
        Fact::Api => Held::Text(&row.api),
        Fact::Method => Held::Text(&row.method),
        Fact::Path => Held::Text(&row.path),
        Fact::Model => Held::Text(row.model.as_deref()?),
        Fact::RequestedModel => Held::Text(row.requested_model.as_deref()?),
        Fact::Provider => Held::Text(row.provider.as_deref()?),
        Fact::Stream => Held::Flag(row.stream),
        Fact::Status => Held::Int(row.status?.into()),
        Fact::StatusClass => Held::Owned(format!("{}xx", row.status? / 100)),
        Fact::Outcome => Held::Text(row.outcome.code()),
        Fact::Failed => Held::Flag(failed(row.outcome)),
        Fact::ErrorKind => Held::Text(&row.error.as_ref()?.kind),
        Fact::ErrorCode => Held::Text(row.error.as_ref()?.code.as_deref()?),
        Fact::ErrorMessage => Held::Text(&row.error.as_ref()?.message),
        Fact::User => Held::Text(told.user.as_deref()?),
        Fact::Session => Held::Text(&session?.id),
        Fact::SessionPath => Held::Text(session?.path.as_deref()?),
        Fact::SessionName => Held::Text(session?.name.as_deref()?),
        Fact::Prompt => Held::Text(&prompt?.id),
        Fact::PromptVersion => Held::Text(prompt?.version.as_deref()?),
        Fact::Latency => Held::Int(int(row.timing.end_us)),
        Fact::FirstToken => Held::Int(int(row.timing.first_token_us?)),
        Fact::FirstByte => Held::Int(int(row.timing.first_byte_us?)),
        Fact::InputTokens => Held::Int(int(usage?.input_total())),
        Fact::CacheReadTokens => Held::Int(int(usage?.cache_read_total())),
        Fact::CacheWriteTokens => Held::Int(int(usage?.cache_write_total())),
        Fact::OutputTokens => Held::Int(int(usage?.output_total())),
        Fact::ReasoningTokens => Held::Int(int(usage?.reasoning_total())),
        Fact::TotalTokens => {
            let halves = |count: u64| int(count).min(i64::MAX / 2);
            Held::Int(halves(usage?.input_total()) + halves(usage?.output_total()))
        }
        Fact::TokensPerSecond => {
            let (tokens, span) = output_rate(row)?;
            #[expect(clippy::cast_precision_loss, reason = "a rate, as the databases reckon it")]
            let rate = tokens as f64 * 1_000_000.0 / span as f64;
            Held::Real(rate)
        }
        Fact::Cost => Held::Money(row.cost.total()?),
        Fact::CostState => Held::Text(row.cost.code()),
        Fact::Cache => Held::Text(row.control.cache.as_ref()?.status.code()),
        Fact::Attempts => Held::Int(i64::try_from(row.attempts.len()).unwrap_or(i64::MAX)),
        Fact::FinishReason => Held::Text(row.finish_reason.as_deref()?),
        Fact::ServiceTier => Held::Text(row.service_tier.as_deref()?),
        Fact::Trace => Held::Text(row.trace_id.as_deref()?),
        Fact::Span => Held::Text(row.span_id.as_deref()?),
        Fact::ParentSpan => Held::Text(row.parent_span_id.as_deref()?),
        Fact::Tag | Fact::Text => return None,
    })
}

/// The key of a row in a breakdown by this field.
pub(crate) fn key(field: &Field, seen: Seen<'_>) -> Option<String> {
    match value(field, seen)? {
        Held::Text(text) => Some(text.to_owned()),
        Held::Owned(text) => Some(text),
        Held::Int(int) => Some(int.to_string()),
        Held::Flag(flag) => Some(flag.to_string()),
        Held::Id(id) => Some(id.to_string()),
        Held::Money(_) | Held::Real(_) => None,
    }
}

/// Whether a condition holds of a field's value that rollups tell by a word, the one [`word_key`] is given.
pub(crate) fn word_picks(condition: &Condition, word: &str) -> bool {
    let held = match (&condition.field, condition.field.kind()) {
        (Field::Fact(Fact::Failed), _) => Held::Flag(failed_code(word)),
        (Field::Fact(Fact::StatusClass), _) => Held::Owned(status_class(word)),
        (_, super::Kind::Flag) => Held::Flag(word == "true"),
        (_, super::Kind::Int) => match word.parse() {
            Ok(int) => Held::Int(int),
            Err(_) => return false,
        },
        (_, super::Kind::Id) => match word.parse() {
            Ok(id) => Held::Id(id),
            Err(_) => return false,
        },
        _ => Held::Text(word),
    };
    condition.test.holds(&held)
}

/// The key of a field in a breakdown by a word that rollups tell: that of an outcome tells whether a row failed.
pub(crate) fn word_key<'a>(field: &Field, word: &'a str) -> std::borrow::Cow<'a, str> {
    match field {
        Field::Fact(Fact::Failed) => failed_code(word).to_string().into(),
        Field::Fact(Fact::StatusClass) => status_class(word).into(),
        _ => word.into(),
    }
}

fn status_class(status: &str) -> String {
    format!("{}xx", status.parse::<i64>().unwrap_or(0) / 100)
}

impl Field {
    /// The row's value of it as a breakdown tells it.
    #[must_use]
    pub fn key_of(&self, seen: Seen<'_>) -> Option<String> {
        key(self, seen)
    }
}
