//! What rows are told apart by: the dimensions, and the cubes that rollups are kept in.

use crate::query::{Condition, Fact, Field, Predicate, Test};

/// A dimension of a fact, in the order of its values there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Dim {
    Provider,
    Model,
    RequestedModel,
    Key,
    Api,
    Outcome,
    Status,
    Error,
    ErrorCode,
    Cache,
    CostState,
    Stream,
    Origin,
    Step,
    User,
    SessionName,
    Prompt,
    PromptVersion,
}

/// How many there are.
pub(crate) const DIMS: usize = Dim::PromptVersion as usize + 1;

/// The place of a property's name and value behind the dimensions.
pub(super) const PROPERTY_NAME: usize = DIMS;
pub(super) const PROPERTY_VALUE: usize = DIMS + 1;
/// All places.
pub(super) const PLACES: usize = DIMS + 2;

impl Dim {
    /// The dimension that tells a fact: itself, or what it follows from.
    const fn of(fact: Fact) -> Option<Self> {
        Some(match fact {
            Fact::Provider => Self::Provider,
            Fact::Model => Self::Model,
            Fact::RequestedModel => Self::RequestedModel,
            Fact::Key => Self::Key,
            Fact::Api => Self::Api,
            Fact::Outcome | Fact::Failed => Self::Outcome,
            Fact::Status | Fact::StatusClass => Self::Status,
            Fact::ErrorKind => Self::Error,
            Fact::ErrorCode => Self::ErrorCode,
            Fact::Cache => Self::Cache,
            Fact::CostState => Self::CostState,
            Fact::Stream => Self::Stream,
            Fact::Origin => Self::Origin,
            Fact::Step => Self::Step,
            Fact::User => Self::User,
            Fact::SessionName => Self::SessionName,
            Fact::Prompt => Self::Prompt,
            Fact::PromptVersion => Self::PromptVersion,
            _ => return None,
        })
    }
}

/// The place that tells a field, if any does.
pub(super) fn place(field: &Field) -> Option<usize> {
    match field {
        Field::Fact(fact) => Dim::of(*fact).map(|dim| dim as usize),
        Field::Property(_) => Some(PROPERTY_VALUE),
        Field::Score(_) => None,
    }
}

/// Facts, of which cubes are made; each is one row.
pub(crate) const FACTS: i32 = 0;

/// Rows added up by some places. The first `subject` of them may take many values: where they take too many in a block,
/// the block tells them no more.
pub(crate) struct Cube {
    pub(crate) number: i32,
    pub(crate) name: &'static str,
    pub(super) places: &'static [usize],
    pub(super) subject: usize,
    /// Whether it is kept by the minute, too.
    pub(super) by_minute: bool,
}

macro_rules! places {
    ($($dim:ident),*) => { &[$(Dim::$dim as usize),*] };
}

/// The cubes, the smallest that tells a question first.
pub(crate) const CUBES: [Cube; 6] = [
    Cube {
        number: 1,
        name: "calls",
        places: places![
            RequestedModel,
            ErrorCode,
            Model,
            Error,
            Provider,
            Api,
            Outcome,
            Status,
            Cache,
            CostState,
            Stream,
            Origin,
            Step
        ],
        subject: 4,
        by_minute: true,
    },
    Cube { number: 2, name: "users", places: places![User, Model, Provider, Outcome], subject: 2, by_minute: false },
    Cube {
        number: 3,
        name: "prompts",
        places: places![Prompt, PromptVersion, Model, Provider, Outcome],
        subject: 3,
        by_minute: false,
    },
    Cube {
        number: 4,
        name: "session_names",
        places: places![SessionName, Model, Provider, Outcome],
        subject: 2,
        by_minute: false,
    },
    Cube {
        number: 5,
        name: "properties",
        places: &[PROPERTY_VALUE, Dim::Model as usize, PROPERTY_NAME, Dim::Provider as usize, Dim::Outcome as usize],
        subject: 2,
        by_minute: false,
    },
    Cube {
        number: 6,
        name: "keys",
        places: places![
            Key,
            RequestedModel,
            ErrorCode,
            Model,
            Error,
            Provider,
            Api,
            Outcome,
            Status,
            Cache,
            CostState,
            Stream
        ],
        subject: 5,
        by_minute: false,
    },
];

impl Cube {
    pub(super) fn of_number(number: i32) -> Option<&'static Self> {
        CUBES.iter().find(|cube| cube.number == number)
    }

    pub(super) fn is_of_properties(&self) -> bool {
        self.places.contains(&PROPERTY_NAME)
    }

    /// The smallest cube that tells all these places.
    pub(super) fn telling(places: &[usize]) -> Option<&'static Self> {
        CUBES.iter().find(|cube| {
            // Of properties there are only those that a row has, each by itself.
            cube.is_of_properties() == places.contains(&PROPERTY_VALUE)
                && places.iter().all(|place| cube.places.contains(place))
        })
    }
}

/// Places that a question is about, and the property, if it is about one; nothing where facts do not tell it.
pub(super) fn places_of(only: &Predicate, by: &[Field]) -> Option<(Vec<usize>, Option<String>)> {
    let mut places = Vec::new();
    let mut property: Option<&String> = None;
    for field in only.conditions().into_iter().map(|condition| &condition.field).chain(by) {
        let place = place(field)?;
        if let Field::Property(name) = field {
            if property.is_some_and(|held| held != name) {
                return None;
            }
            property = Some(name);
        }
        if !places.contains(&place) {
            places.push(place);
        }
    }
    Some((places, property.cloned()))
}

/// Whether a filter picks only rows that have the property.
pub(super) fn wants_property(only: &Predicate, name: &str) -> bool {
    match only {
        Predicate::Is(Condition { field: Field::Property(held), test }) => {
            held == name && !matches!(test, Test::OneOf(values) if values.is_empty())
        }
        Predicate::And(parts) => parts.iter().any(|part| wants_property(part, name)),
        _ => false,
    }
}
