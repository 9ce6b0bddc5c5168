//! Small things that an organisation keeps beside its rows: saved queries and views, webhooks.

use serde::Serialize;
use serde_json::Value;
use tachograph_record::{OrgId, Timestamp};
use uuid::Uuid;

/// A small JSON document of one kind. What is in it is its writer's business.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Document {
    /// The tenant.
    pub org: OrgId,
    /// What kind of document: `saved_query`, `saved_view`, `webhook`.
    pub kind: String,
    /// Its id, within the tenant and kind.
    pub id: Uuid,
    /// When it was first written.
    pub at: Timestamp,
    /// What it says.
    pub body: Value,
}
