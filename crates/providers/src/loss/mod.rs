//! What is lost in translation: a table.
//!
//! One row says what becomes of a feature of one dialect in another. Encoders take their verdicts from here and nowhere
//! else, so documents, warnings and tests can be made from the same rows.

mod bedrock;
mod cohere;
mod ollama;
mod table;

use std::sync::LazyLock;

use serde::Serialize;
use serde_json::Value;
use tachograph_reply::ApiError;

use crate::DialectId;

/// What a translated request could not say, or only nearly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The feature, by its name in the caller's dialect.
    pub feature: String,
    /// What became of it.
    pub action: Action,
    /// How, or why.
    pub how: String,
}

impl std::fmt::Display for Note {
    /// As it stands on a record: `seed dropped: has no counterpart there and was left out`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.feature, self.action.code(), self.how)
    }
}

impl Action {
    /// Its word, in headers and on records.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Approximated => "approximated",
        }
    }
}

/// What became of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It was left out.
    Dropped,
    /// It was said differently.
    Approximated,
}

/// What becomes of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is carried over whole.
    Lossless,
    /// It is said differently, and noted.
    Approximated,
    /// It is left out, and noted.
    Dropped,
    /// The request is refused with a 400: left out, the answer would not be what was asked for.
    Refused,
}

/// Makes a field and its value of a value.
type Becomes = fn(&Value) -> Option<(&'static str, Value)>;

/// What becomes of one feature of `from` in `to`.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// The caller's dialect.
    pub from: DialectId,
    /// The provider's.
    pub to: DialectId,
    /// The feature, by its name in the caller's dialect: a field of the request, or a feature of messages.
    pub feature: &'static str,
    /// What becomes of it.
    pub verdict: Verdict,
    /// How, or why, or what to do instead.
    pub how: &'static str,
    /// Values that ask for nothing and may be left out in silence.
    harmless: fn(&Value) -> bool,
    /// The field and value it becomes, for fields that are carried over as they are.
    becomes: Option<Becomes>,
}

/// The table: one line for each feature and pair of dialects that is not carried over whole as it stands.
pub fn losses() -> impl Iterator<Item = &'static Loss> {
    static DERIVED: LazyLock<Vec<Loss>> = LazyLock::new(|| bedrock::rows(&written().copied().collect::<Vec<_>>()));
    written().chain(DERIVED.iter())
}

fn written() -> impl Iterator<Item = &'static Loss> {
    table::LOSSES.iter().chain(cohere::LOSSES).chain(ollama::LOSSES)
}

/// Takes verdicts from the table for one request and gathers its notes.
#[derive(Debug)]
pub(crate) struct Ledger {
    from: DialectId,
    to: DialectId,
    notes: Vec<Note>,
}

impl Ledger {
    pub(crate) fn new(from: DialectId, to: DialectId) -> Self {
        Self { from, to, notes: Vec::new() }
    }

    /// Whether both sides speak one dialect, so that nothing is lost.
    pub(crate) fn is_native(&self) -> bool {
        self.from == self.to
    }

    pub(crate) fn into_notes(self) -> Vec<Note> {
        self.notes
    }

    fn row(&self, feature: &str) -> Option<&'static Loss> {
        losses().find(|loss| loss.from == self.from && loss.to == self.to && loss.feature == feature)
    }

    /// Notes what the table says of a feature, once.
    pub(crate) fn note(&mut self, feature: &str) {
        let (action, how) = match self.row(feature) {
            Some(loss) if loss.verdict == Verdict::Approximated => (Action::Approximated, loss.how),
            Some(loss) => (Action::Dropped, loss.how),
            None => (Action::Dropped, "is not known there and was left out"),
        };
        if !self.notes.iter().any(|note| note.feature == feature) {
            self.notes.push(Note { feature: feature.to_owned(), action, how: how.to_owned() });
        }
    }

    /// Whether a feature is left out, rather than refused or said differently.
    pub(crate) fn drops(&self, feature: &str) -> bool {
        self.row(feature).is_some_and(|loss| loss.verdict == Verdict::Dropped)
    }

    /// The refusal of a feature, at a place in the request.
    pub(crate) fn refusal(&self, feature: &str, param: impl Into<String>) -> ApiError {
        let how = self.row(feature).map_or("this cannot be said in the provider's API", |loss| loss.how);
        let param = param.into();
        ApiError::invalid("unsupported_parameter", format!("{param}: {how}.")).with_param(param)
    }

    /// Carries a field that this crate has no type for to the other dialect, as the table says.
    ///
    /// # Errors
    ///
    /// If the table refuses it.
    pub(crate) fn carry(&mut self, field: &str, value: &Value) -> Result<Option<(&'static str, Value)>, ApiError> {
        let Some(loss) = self.row(field) else {
            if !value.is_null() {
                self.note(field);
            }
            return Ok(None);
        };
        if value.is_null() || (loss.harmless)(value) {
            return Ok(None);
        }
        match (loss.verdict, loss.becomes) {
            (Verdict::Refused, _) => Err(self.refusal(field, field)),
            (Verdict::Lossless, Some(becomes)) => Ok(becomes(value)),
            (_, becomes) => {
                self.note(field);
                Ok(becomes.and_then(|becomes| becomes(value)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_has_one_row_for_a_pair() {
        for (at, loss) in losses().enumerate() {
            let same = |other: &Loss| (other.from, other.to, other.feature) == (loss.from, loss.to, loss.feature);
            assert!(!losses().skip(at + 1).any(same), "{:?} to {:?}: {}", loss.from, loss.to, loss.feature);
            assert_ne!(loss.from, loss.to);
            assert!(!loss.how.is_empty());
        }
    }
}
