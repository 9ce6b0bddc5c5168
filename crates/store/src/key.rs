//! API keys as rows.

use serde::Serialize;
use tachograph_record::{KeyId, OrgId, Timestamp};

use crate::StoreError;

/// One API key: its hash and what may be shown of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyRow {
    /// The key's id.
    pub id: KeyId,
    /// The organisation it belongs to.
    pub org: OrgId,
    /// A name for people.
    pub name: String,
    /// SHA-256 of the key.
    #[serde(skip)]
    pub hash: [u8; 32],
    /// The key's last four characters, to tell keys apart.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl KeyRow {
    pub(crate) fn taken() -> StoreError {
        StoreError::Failed("a key of this id or with this hash is there already".into())
    }
}
