//! The conversation of a call in one form, whatever API it was made through.

use serde_json::Value;
use tachograph_store::StoredRecord;

/// The messages and the answer, where the API is understood and the bodies were kept.
pub(crate) fn of(record: &StoredRecord) -> Option<Value> {
    let _ = record;
    None
}
