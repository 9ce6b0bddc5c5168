//! API keys.

use tachograph_record::Timestamp;

use super::{Column, Source, Table, Value};
use crate::{KeyRow, StoreError};

pub(crate) const KEYS: Table<KeyRow> = Table {
    name: "keys",
    columns: &[
        Column { name: "id", value: Value::Id(|key| Some(key.id.uuid())) },
        Column { name: "org_id", value: Value::Id(|key| Some(key.org.uuid())) },
        Column { name: "name", value: Value::Text(|key| Some(&key.name)) },
        Column { name: "hash", value: Value::Bytes(|key| &key.hash) },
        Column { name: "hint", value: Value::Text(|key| Some(&key.hint)) },
        Column { name: "created_at", value: Value::Int(|key| Some(key.created_at.micros())) },
        Column { name: "revoked_at", value: Value::Int(|key| key.revoked_at.map(Timestamp::micros)) },
    ],
    also_read: &[],
    weight: |key| 64 + key.name.len() + key.hint.len(),
};

pub(crate) fn read_key(source: &impl Source) -> Result<KeyRow, StoreError> {
    let hash = source.bytes("hash")?.unwrap_or_default();
    Ok(KeyRow {
        id: source.some_id("id")?.into(),
        org: source.some_id("org_id")?.into(),
        name: source.some_text("name")?,
        hash: hash.try_into().map_err(|_| StoreError::unreadable("a key's hash", "it is not 32 bytes long"))?,
        hint: source.some_text("hint")?,
        created_at: Timestamp::from_micros(source.some_int("created_at")?),
        revoked_at: source.int("revoked_at")?.map(Timestamp::from_micros),
    })
}
