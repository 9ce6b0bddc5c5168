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
