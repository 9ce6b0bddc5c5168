//! What rows can be asked about: one table of fields, from which the filter tree, the query language, the SQL and the
//! console's lists all read.

use std::fmt;
use std::str::FromStr;

use super::BadQuery;

/// Something that rows can be filtered, grouped and sorted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// What every row has a place for.
    Fact(Fact),
    /// A property by its name, as it stands now: what was added later counts.
    Property(String),
    /// A score by its name.
    Score(String),
}

impl From<Fact> for Field {
    fn from(fact: Fact) -> Self {
        Self::Fact(fact)
    }
}

/// What the values of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, compared byte by byte; patterns may fold ASCII case.
    Text,
    /// One of few words; otherwise like text.
    Word,
    /// A whole number.
    Int,
    /// A moment, in µs since the epoch.
    Time,
    /// A span, in µs.
    Span,
    /// An amount in USD.
    Money,
    /// A fraction.
    Rate,
    /// Yes or no.
    Flag,
    /// A UUID.
    Id,
    /// A decimal with up to six digits behind the point.
    Decimal,
    /// Many texts at once: any of them may fit.
    Texts,
    /// A body's text, which is found by reading bodies and not by the store alone.
    Body,
}

macro_rules! facts {
    ($($(#[$doc:meta])* $fact:ident, $name:literal, $kind:ident;)*) => {
        /// A fact of a row.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Fact { $($(#[$doc])* $fact,)* }

        impl Fact {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$fact,)*];

            /// The fact's public name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$fact => $name,)* }
            }

            /// What its values are.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$fact => Kind::$kind,)* }
            }
        }
    };
}

facts! {
    /// The row's id.
    Id, "id", Id;
    /// When the call was received.
    Time, "time", Time;
    /// The key that called.
    Key, "key", Id;
    /// Which way the row came.
    Origin, "origin", Word;
    /// What kind of work it is.
    Step, "step", Word;
    /// What the caller calls the step.
    Name, "name", Text;
    /// The API.
    Api, "api", Word;
    /// The request's method.
    Method, "method", Word;
    /// The request's path.
    Path, "path", Text;
    /// The model that did the work.
    Model, "model", Text;
    /// The model that was asked for.
    RequestedModel, "requested_model", Text;
    /// The provider.
    Provider, "provider", Text;
    /// Whether a stream was asked for.
    Stream, "stream", Flag;
    /// The HTTP status.
    Status, "status", Int;
    /// The HTTP status' class: `2xx`, `4xx`.
    StatusClass, "status_class", Word;
    /// How it ended.
    Outcome, "outcome", Word;
    /// Whether it went wrong: refused, failed, cut short or interrupted.
    Failed, "failed", Flag;
    /// What kind of error.
    ErrorKind, "error", Text;
    /// The provider's code for it.
    ErrorCode, "error_code", Text;
    /// The error's words.
    ErrorMessage, "error_message", Text;
    /// The user.
    User, "user", Text;
    /// The session.
    Session, "session", Text;
    /// The place in the session's tree.
    SessionPath, "session_path", Text;
    /// What kind of session.
    SessionName, "session_name", Text;
    /// The prompt.
    Prompt, "prompt", Text;
    /// Its version.
    PromptVersion, "prompt_version", Text;
    /// Until the call was over.
    Latency, "latency_us", Span;
    /// Until the first content.
    FirstToken, "ttft_us", Span;
    /// Until the first byte.
    FirstByte, "first_byte_us", Span;
    /// All input tokens, cached ones included.
    InputTokens, "input_tokens", Int;
    /// Input tokens read from a provider's cache.
    CacheReadTokens, "cache_read_tokens", Int;
    /// Input tokens written to a provider's cache.
    CacheWriteTokens, "cache_write_tokens", Int;
    /// All output tokens, reasoning included.
    OutputTokens, "output_tokens", Int;
    /// Output tokens spent on reasoning.
    ReasoningTokens, "reasoning_tokens", Int;
    /// Input and output tokens.
    TotalTokens, "tokens", Int;
    /// Output tokens per second of generation: from the first token, or from the start where there is none, to the end.
    TokensPerSecond, "tokens_per_second", Rate;
    /// What it cost.
    Cost, "cost", Money;
    /// Whether that is known.
    CostState, "cost_state", Word;
    /// What our own cache said.
    Cache, "cache", Word;
    /// How many tries there were.
    Attempts, "attempts", Int;
    /// Why the model stopped, in OpenAI's words.
    FinishReason, "finish_reason", Word;
    /// The service tier.
    ServiceTier, "service_tier", Word;
    /// W3C trace id.
    Trace, "trace", Text;
    /// W3C span id.
    Span, "span", Text;
    /// W3C span id of the parent.
    ParentSpan, "parent_span", Text;
    /// Tags that were put on the request.
    Tag, "tag", Texts;
    /// The text of the request and of the answer, and the error's words.
    Text, "text", Body;
}

/// Other names that people know fields by.
const ALIASES: [(&str, Fact); 22] = [
    ("at", Fact::Time),
    ("created_at", Fact::Time),
    ("user_id", Fact::User),
    ("session_id", Fact::Session),
    ("path_in_session", Fact::SessionPath),
    ("prompt_id", Fact::Prompt),
    ("version", Fact::PromptVersion),
    ("latency", Fact::Latency),
    ("duration", Fact::Latency),
    ("ttft", Fact::FirstToken),
    ("first_byte", Fact::FirstByte),
    ("input", Fact::InputTokens),
    ("output", Fact::OutputTokens),
    ("cached", Fact::CacheReadTokens),
    ("reasoning", Fact::ReasoningTokens),
    ("total_tokens", Fact::TotalTokens),
    ("tps", Fact::TokensPerSecond),
    ("error_kind", Fact::ErrorKind),
    ("finish", Fact::FinishReason),
    ("trace_id", Fact::Trace),
    ("span_id", Fact::Span),
    ("tags", Fact::Tag),
];

impl Fact {
    /// Whether rows have at most one value of it, which can be told as text: what rows may be grouped by.
    #[must_use]
    pub const fn can_group(self) -> bool {
        matches!(self.kind(), Kind::Text | Kind::Word | Kind::Flag)
            || matches!(self, Self::Key | Self::Status | Self::Attempts)
    }

    /// Whether rows can be put into its order.
    #[must_use]
    pub const fn can_sort(self) -> bool {
        !matches!(self.kind(), Kind::Texts | Kind::Body | Kind::Id)
    }
}

impl Field {
    /// What its values are.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Fact(fact) => fact.kind(),
            Self::Property(_) => Kind::Text,
            Self::Score(_) => Kind::Decimal,
        }
    }

    /// Whether rows may be grouped by it.
    #[must_use]
    pub fn can_group(&self) -> bool {
        match self {
            Self::Fact(fact) => fact.can_group(),
            Self::Property(_) => true,
            Self::Score(_) => false,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fact(fact) => f.write_str(fact.name()),
            Self::Property(name) => write!(f, "prop.{name}"),
            Self::Score(name) => write!(f, "score.{name}"),
        }
    }
}

impl FromStr for Field {
    type Err = BadQuery;

    fn from_str(text: &str) -> Result<Self, BadQuery> {
        for (prefix, make) in
            [("prop.", Self::Property as fn(String) -> Self), ("property.", Self::Property), ("score.", Self::Score)]
        {
            if let Some(name) = text.strip_prefix(prefix) {
                return Ok(make(name.to_owned()));
            }
        }
        let known = Fact::ALL.iter().find(|fact| fact.name() == text).copied();
        let known = known.or_else(|| ALIASES.iter().find(|(alias, _)| *alias == text).map(|&(_, fact)| fact));
        known.map(Self::Fact).ok_or_else(|| {
            let names: Vec<_> = Fact::ALL.iter().map(|fact| fact.name()).collect();
            BadQuery(format!("`{text}` is no field; fields are {}, prop.<name>, score.<name>", names.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_stand_once() {
        for fact in Fact::ALL {
            assert_eq!(fact.name().parse(), Ok(Field::Fact(*fact)));
            assert!(!ALIASES.iter().any(|(alias, _)| *alias == fact.name()), "{}", fact.name());
        }
        for field in [Field::Property("a.b c".into()), Field::Score("x".into())] {
            assert_eq!(field.to_string().parse(), Ok(field));
        }
        assert!("modle".parse::<Field>().unwrap_err().to_string().contains("model"));
    }
}
