//! What people and programs put beside a request or a session after it was recorded: scores, tags, notes, properties.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use tachograph_record::{KeyId, RecordId, Timestamp};

use crate::Row;

/// What a mark is put on. The row need not be there yet: feedback may be faster than the record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Marked {
    /// One request.
    Request(RecordId),
    /// All of a session, by its id.
    Session(String),
}

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MarkKind {
    /// A number under a name; feedback is one.
    Score,
    /// A word; its name is the word.
    Tag,
    /// A text; its name is an id.
    Note,
    /// A property; it stands before one of the same name that the caller sent.
    Property,
}

impl MarkKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Score, Self::Tag, Self::Note, Self::Property];

    /// Its stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Tag => "tag",
            Self::Note => "note",
            Self::Property => "property",
        }
    }
}

impl fmt::Display for MarkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for MarkKind {
    type Err = &'static str;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.code() == code).ok_or("not one of score, tag, note, property")
    }
}

/// One mark. A mark of the same kind and name on the same thing takes the place of the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What it is put on.
    pub on: Marked,
    /// What it says.
    pub kind: MarkKind,
    /// Its name; at most [`Mark::LONGEST_NAME`] bytes.
    pub name: String,
    /// A note's or a property's text.
    pub text: Option<String>,
    /// A score in millionths.
    pub micro: Option<i64>,
    /// When it was put there.
    pub at: Timestamp,
    /// Whose key did it.
    pub key: Option<KeyId>,
}

impl Mark {
    /// Bytes of a name at most: names are indexed.
    pub const LONGEST_NAME: usize = 512;
    /// The name of the score that feedback is: 1 for good, 0 for bad.
    pub const FEEDBACK: &'static str = "helicone-score-feedback";
}

/// A note on a request or session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Its id.
    pub id: String,
    /// What it says.
    pub text: String,
    /// When it was written.
    pub at: Timestamp,
}

/// All marks of one request or session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Marks {
    /// Scores in millionths, by name.
    pub scores: BTreeMap<String, i64>,
    /// Tags.
    pub tags: Vec<String>,
    /// Notes, oldest first.
    pub notes: Vec<Note>,
    /// Properties that were added, by name.
    pub properties: BTreeMap<String, String>,
    /// When feedback was given.
    pub feedback_at: Option<Timestamp>,
}

impl Marks {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds one.
    pub fn add(&mut self, mark: Mark) {
        let Mark { kind, name, text, micro, at, .. } = mark;
        match kind {
            MarkKind::Score => {
                if name == Mark::FEEDBACK {
                    self.feedback_at = Some(at);
                }
                self.scores.insert(name, micro.unwrap_or(0));
            }
            MarkKind::Tag => {
                if let Err(place) = self.tags.binary_search(&name) {
                    self.tags.insert(place, name);
                }
            }
            MarkKind::Note => {
                self.notes.retain(|note| note.id != name);
                self.notes.push(Note { id: name, text: text.unwrap_or_default(), at });
                self.notes.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
            }
            MarkKind::Property => {
                self.properties.insert(name, text.unwrap_or_default());
            }
        }
    }

    /// The row's property of this name as it stands now.
    #[must_use]
    pub fn property<'a>(&'a self, row: &'a Row, name: &str) -> Option<&'a str> {
        let sent = || row.attribution.properties.iter().find(|(held, _)| held == name);
        self.properties.get(name).map(String::as_str).or_else(|| sent().map(|(_, value)| value.as_str()))
    }

    /// All of the row's properties as they stand now: those that were sent in their order, then those that were added.
    #[must_use]
    pub fn properties_of<'a>(&'a self, row: &'a Row) -> Vec<(&'a str, &'a str)> {
        let sent = &row.attribution.properties;
        let current = sent
            .iter()
            .map(|(name, value)| (name.as_str(), self.properties.get(name).map_or(value.as_str(), String::as_str)));
        let added = self.properties.iter().filter(|(name, _)| sent.iter().all(|(held, _)| held != *name));
        current.chain(added.map(|(name, value)| (name.as_str(), value.as_str()))).collect()
    }

    /// A score in millionths.
    #[must_use]
    pub fn score(&self, name: &str) -> Option<i64> {
        self.scores.get(name).copied()
    }
}
