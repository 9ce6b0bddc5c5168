//! Rows added up in groups.

use tachograph_record::{OrgId, Timestamp};

use super::{BadQuery, Field, Sketch, Totals};
use crate::Filter;

/// Rows added up by fields, by time, or both.
#[derive(Clone, Debug, PartialEq)]
pub struct Breakdown {
    /// The tenant.
    pub org: OrgId,
    /// Which rows.
    pub filter: Filter,
    /// One group for each combination of these fields' values; rows without a value are a group too. At most four.
    pub by: Vec<Field>,
    /// And one for each span of time.
    pub every: Option<Every>,
    /// Percentiles of these, too.
    pub spreads: Vec<Spread>,
    /// The greatest of this first; then in the order of their values. With `every`, time goes before.
    pub order: Measure,
    /// The least first instead.
    pub ascending: bool,
    /// At most so many groups.
    pub limit: u32,
    /// Leaving out so many of the first.
    pub skip: u32,
    /// As it was known at this moment: the rows received before it, at what they were said to cost then. Otherwise every
    /// row is taken at what it is said to cost now, restated or not.
    pub as_known: Option<Timestamp>,
}

/// Spans of time of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every {
    /// The length, in µs; more than nothing.
    pub micros: i64,
    /// How much local time is ahead of UTC, in µs: spans start at whole multiples of the length in local time.
    pub offset: i64,
}

/// What has a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spread {
    /// µs until the call was over.
    Latency,
    /// µs until the first content.
    FirstToken,
    /// Input tokens.
    InputTokens,
    /// Output tokens.
    OutputTokens,
    /// Output tokens per 1,000 seconds of generation.
    MilliTokensPerSecond,
    /// The cost in nano-dollars.
    NanoCost,
}

impl Spread {
    /// All of them, with their public names.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Latency, "latency_us"),
        (Self::FirstToken, "ttft_us"),
        (Self::InputTokens, "input_tokens"),
        (Self::OutputTokens, "output_tokens"),
        (Self::MilliTokensPerSecond, "tokens_per_second"),
        (Self::NanoCost, "cost"),
    ];
}

/// What groups are ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Rows.
    #[default]
    Requests,
    /// Known costs, to the nano-dollar.
    Cost,
    /// Rows that went wrong.
    Errors,
    /// Input and output tokens.
    Tokens,
    /// Mean latency.
    Latency,
    /// When the last row was received.
    LastAt,
    /// When the first row was received.
    FirstAt,
}

impl Measure {
    /// All of them, with their public names.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Requests, "requests"),
        (Self::Cost, "cost"),
        (Self::Errors, "errors"),
        (Self::Tokens, "tokens"),
        (Self::Latency, "latency"),
        (Self::LastAt, "last_at"),
        (Self::FirstAt, "first_at"),
    ];
}

/// Groups of one answer at most.
const MOST_GROUPS: u32 = 20_000;

impl Breakdown {
    /// All rows that a filter picks, in one group.
    #[must_use]
    pub fn whole(org: OrgId, filter: Filter) -> Self {
        Self {
            org,
            filter,
            by: Vec::new(),
            every: None,
            spreads: Vec::new(),
            order: Measure::default(),
            ascending: false,
            limit: MOST_GROUPS,
            skip: 0,
            as_known: None,
        }
    }

    /// Whether it may be asked.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check(&self) -> Result<(), BadQuery> {
        self.filter.check()?;
        if let Some(field) = self.by.iter().find(|field| !field.can_group()) {
            return Err(BadQuery(format!("rows cannot be grouped by `{field}`")));
        }
        if self.by.len() > 4 {
            return Err(BadQuery("rows are grouped by at most four fields at once".into()));
        }
        if self.every.is_some_and(|every| every.micros <= 0) {
            return Err(BadQuery("a span of time has a length".into()));
        }
        Ok(())
    }

    /// The number of groups that are asked for at most.
    #[must_use]
    pub(crate) fn most(&self) -> u32 {
        self.limit.clamp(1, MOST_GROUPS)
    }
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The values of the fields, in their order, as text; none where rows have none.
    pub keys: Vec<Option<String>>,
    /// The start of the span of time.
    pub at: Option<Timestamp>,
    /// The sums.
    pub totals: Totals,
    /// The percentiles that were asked for, in their order.
    pub spreads: Vec<Sketch>,
}

/// Groups, and whether there are more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// The groups.
    pub groups: Vec<Group>,
    /// Whether the limit cut some off.
    pub more: bool,
}
