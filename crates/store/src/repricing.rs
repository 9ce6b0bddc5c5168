//! History that was restated: what a row's cost is said to be now, who said so, and what it was before.

use serde::Serialize;
use tachograph_record::{CostState, Money, OrgId, RecordId, Timestamp};
use uuid::Uuid;

/// A row's new cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCost {
    /// The row.
    pub id: RecordId,
    /// What it costs now.
    pub cost: CostState,
}

/// The audit entry of one restatement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repricing {
    /// Its id.
    pub id: Uuid,
    /// The organisation whose rows it changed.
    pub org: OrgId,
    /// When it was done.
    pub at: Timestamp,
    /// Who did it, in their own words.
    pub author: String,
    /// Rows received at or after this were looked at.
    pub from: Timestamp,
    /// And before this.
    pub until: Timestamp,
    /// The version of the prices that hold now.
    pub price_version: String,
    /// How many rows were changed.
    pub rows: u64,
    /// What those rows cost before; an unknown cost counts as nothing.
    pub before: Money,
    /// What they cost now.
    pub after: Money,
}

/// What a row was said to cost until it was restated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FormerCost {
    /// The restatement that ended it.
    pub repricing: Uuid,
    /// When that was.
    pub until: Timestamp,
    /// Who restated it.
    pub author: String,
    /// The version of the prices that it was restated by.
    pub price_version: String,
    /// What the cost was: `priced`, `unknown_model`, `no_usage`, `invalid_usage`.
    pub state: String,
    /// How much, where it was known.
    pub total: Option<Money>,
}
