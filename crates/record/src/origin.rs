//! Where a record comes from, and what kind of step it is of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which way a call came to be on record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It passed through a gateway, which measured it.
    #[default]
    Gateway,
    /// A client told of it afterwards, over one of the logging routes.
    Logged,
    /// A span of a trace told of it (OTLP).
    Span,
}

/// What kind of work a record is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A call of a model.
    #[default]
    Model,
    /// A call of a tool.
    Tool,
    /// A look-up in a vector database.
    VectorDb,
    /// Another look-up or change of data.
    Data,
    /// A span that holds others: an agent, a chain, a workflow, a task.
    Span,
}

/// A text that names no origin or step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCode(pub(crate) &'static str);

impl fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not one of {}", self.0)
    }
}

impl std::error::Error for UnknownCode {}

impl Origin {
    /// All origins.
    pub const ALL: [Self; 3] = [Self::Gateway, Self::Logged, Self::Span];

    /// The origin's stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Logged => "logged",
            Self::Span => "span",
        }
    }
}

impl FromStr for Origin {
    type Err = UnknownCode;

    fn from_str(code: &str) -> Result<Self, UnknownCode> {
        Self::ALL.into_iter().find(|origin| origin.code() == code).ok_or(UnknownCode("gateway, logged, span"))
    }
}

impl Step {
    /// All kinds of steps.
    pub const ALL: [Self; 5] = [Self::Model, Self::Tool, Self::VectorDb, Self::Data, Self::Span];

    /// The kind's stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Tool => "tool",
            Self::VectorDb => "vector_db",
            Self::Data => "data",
            Self::Span => "span",
        }
    }
}

impl FromStr for Step {
    type Err = UnknownCode;

    fn from_str(code: &str) -> Result<Self, UnknownCode> {
        Self::ALL.into_iter().find(|step| step.code() == code).ok_or(UnknownCode("model, tool, vector_db, data, span"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_back() {
        assert!(Origin::ALL.iter().all(|&origin| origin.code().parse() == Ok(origin)));
        assert!(Step::ALL.iter().all(|&step| step.code().parse() == Ok(step)));
        assert_eq!("llm".parse::<Step>().unwrap_err().to_string(), "not one of model, tool, vector_db, data, span");
    }
}
