//! The filter tree.

use std::fmt;

use tachograph_record::Money;
use uuid::Uuid;

use super::{Fact, Field, Kind, Pattern};

/// A query that makes no sense, with words that say what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadQuery(pub String);

impl fmt::Display for BadQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadQuery {}

/// Which rows. Logic is of two values: a condition on what a row does not have is false, and its negation true.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Predicate {
    /// Every row.
    #[default]
    All,
    /// Rows that each of these picks.
    And(Vec<Self>),
    /// Rows that at least one of these picks.
    Or(Vec<Self>),
    /// Rows that this does not pick.
    Not(Box<Self>),
    /// Rows of which this holds.
    Is(Condition),
}

/// A field and what is asked of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The field.
    pub field: Field,
    /// The question.
    pub test: Test,
}

/// What can be asked of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// Whether there is a value.
    Present,
    /// Whether the text is one of these.
    OneOf(Vec<String>),
    /// Whether the text fits.
    Like(Pattern),
    /// Whether the id is one of these.
    Ids(Vec<Uuid>),
    /// Whether it is so.
    Flag(bool),
    /// How the number compares.
    Number(Comparison, Number),
}

/// An amount to compare with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A count, a moment or a span in µs, or millionths of a score.
    Int(i64),
    /// USD.
    Money(Money),
    /// A fraction.
    Real(f64),
}

/// How numbers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The same.
    Equal,
    /// Less.
    Less,
    /// Less or the same.
    AtMost,
    /// More.
    More,
    /// More or the same.
    AtLeast,
}

impl Comparison {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Equal, Self::Less, Self::AtMost, Self::More, Self::AtLeast];

    /// As SQL writes it.
    pub(crate) const fn sql(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }

    /// Whether this is how one compares with the other.
    pub fn holds<T: PartialOrd>(self, one: &T, other: &T) -> bool {
        match self {
            Self::Equal => one == other,
            Self::Less => one < other,
            Self::AtMost => one <= other,
            Self::More => one > other,
            Self::AtLeast => one >= other,
        }
    }
}

/// Nodes of one tree at most, and how deep they may lie: statements stay within what both databases take.
const MOST_NODES: usize = 1_000;
const DEEPEST: usize = 32;
/// Values of one list at most.
pub(crate) const MOST_VALUES: usize = 5_000;

impl Predicate {
    /// Rows whose text is this one.
    pub fn is(field: impl Into<Field>, value: impl Into<String>) -> Self {
        Self::Is(Condition { field: field.into(), test: Test::OneOf(vec![value.into()]) })
    }

    /// Rows whose number compares so.
    pub fn number(field: impl Into<Field>, comparison: Comparison, number: Number) -> Self {
        Self::Is(Condition { field: field.into(), test: Test::Number(comparison, number) })
    }

    /// Rows that have a value of this.
    pub fn present(field: impl Into<Field>) -> Self {
        Self::Is(Condition { field: field.into(), test: Test::Present })
    }

    /// Rows that both pick.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, other) | (other, Self::All) => other,
            (Self::And(mut all), Self::And(more)) => {
                all.extend(more);
                Self::And(all)
            }
            (Self::And(mut all), other) => {
                all.push(other);
                Self::And(all)
            }
            (one, Self::And(mut all)) => {
                all.insert(0, one);
                Self::And(all)
            }
            (one, other) => Self::And(vec![one, other]),
        }
    }

    /// Rows that it does not pick.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// Whether it may be asked: tests fit their fields, and the tree is not too large.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn check(&self) -> Result<(), BadQuery> {
        let mut nodes = 0;
        self.check_node(0, &mut nodes)
    }

    fn check_node(&self, depth: usize, nodes: &mut usize) -> Result<(), BadQuery> {
        *nodes += 1;
        if depth > DEEPEST || *nodes > MOST_NODES {
            return Err(BadQuery(format!(
                "a filter has at most {MOST_NODES} conditions, nested at most {DEEPEST} deep; narrow it in another way"
            )));
        }
        match self {
            Self::All => Ok(()),
            Self::And(parts) | Self::Or(parts) => parts.iter().try_for_each(|part| part.check_node(depth + 1, nodes)),
            Self::Not(inner) => inner.check_node(depth + 1, nodes),
            Self::Is(condition) => condition.check(),
        }
    }

    /// All conditions in it.
    pub fn conditions(&self) -> Vec<&Condition> {
        match self {
            Self::All => Vec::new(),
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::conditions).collect(),
            Self::Not(inner) => inner.conditions(),
            Self::Is(condition) => vec![condition],
        }
    }

    /// The same tree with each condition replaced.
    #[must_use]
    pub fn map(self, change: &mut impl FnMut(Condition) -> Self) -> Self {
        match self {
            Self::All => Self::All,
            Self::And(parts) => Self::And(parts.into_iter().map(|part| part.map(change)).collect()),
            Self::Or(parts) => Self::Or(parts.into_iter().map(|part| part.map(change)).collect()),
            Self::Not(inner) => Self::Not(Box::new(inner.map(change))),
            Self::Is(condition) => change(condition),
        }
    }
}

impl Condition {
    fn check(&self) -> Result<(), BadQuery> {
        let Self { field, test } = self;
        let kind = field.kind();
        let fits = match test {
            Test::Present => kind != Kind::Body,
            Test::OneOf(_) => matches!(kind, Kind::Text | Kind::Word | Kind::Texts),
            Test::Like(_) => matches!(kind, Kind::Text | Kind::Word | Kind::Texts | Kind::Body),
            Test::Ids(_) => kind == Kind::Id,
            Test::Flag(_) => kind == Kind::Flag,
            Test::Number(_, Number::Int(_)) => {
                matches!(kind, Kind::Int | Kind::Time | Kind::Span | Kind::Decimal)
            }
            Test::Number(_, Number::Money(amount)) => kind == Kind::Money && amount.to_columns().is_some(),
            Test::Number(_, Number::Real(real)) => kind == Kind::Rate && real.is_finite(),
        };
        if !fits {
            return Err(BadQuery(format!("`{field}` cannot be asked that: {}", asked_of(kind))));
        }
        let values = match test {
            Test::OneOf(texts) => texts.len(),
            Test::Ids(ids) => ids.len(),
            _ => 0,
        };
        if values > MOST_VALUES {
            return Err(BadQuery(format!("a list has at most {MOST_VALUES} values")));
        }
        Ok(())
    }

    /// Whether it is about bodies, which the store does not look into by itself.
    #[must_use]
    pub fn is_about_bodies(&self) -> bool {
        self.field == Field::Fact(Fact::Text)
    }
}

/// What may be asked of a kind, in words.
pub(crate) fn asked_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Word | Kind::Texts => "it is text: eq, ne, in, contains, like, exists",
        Kind::Int => "it is a whole number: eq, ne, in, lt, lte, gt, gte, exists",
        Kind::Time => "it is a moment: eq, ne, lt, lte, gt, gte with µs since 1970 or 2026-11-24T10:00:00Z",
        Kind::Span => "it is a span in µs: eq, ne, lt, lte, gt, gte, exists",
        Kind::Money => "it is USD up to 9.2e9 with up to 18 digits behind the point: eq, ne, lt, lte, gt, gte, exists",
        Kind::Rate => "it is a fraction: eq, ne, lt, lte, gt, gte, exists",
        Kind::Flag => "it is true or false: eq, ne, exists",
        Kind::Id => "it is a UUID: eq, ne, in, exists",
        Kind::Decimal => "it is a decimal with up to six digits behind the point: eq, ne, lt, lte, gt, gte, exists",
        Kind::Body => "it is searched: contains",
    }
}
