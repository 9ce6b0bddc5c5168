//! How far each gateway's record is complete.

use serde::Serialize;
use tachograph_record::Timestamp;
use uuid::Uuid;

/// One gateway: every entry that it numbered up to `number` is in the store, so its record is complete up to `at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct GatewayProgress {
    /// The gateway, by its spool's id.
    pub gateway: Uuid,
    /// The highest number below which there is no gap.
    pub number: u64,
    /// The moment up to which every record is there.
    pub at: Timestamp,
    /// Entries that were damaged or refused and put aside.
    pub quarantined: u64,
    /// When the gateway last told so.
    pub seen_at: Timestamp,
}
