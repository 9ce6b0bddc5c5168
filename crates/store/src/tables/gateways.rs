//! Gateways, and how far the record of each is complete.

use tachograph_record::Timestamp;

use super::{Column, Source, Table, Value};
use crate::row::clamped;
use crate::{GatewayProgress, StoreError};

pub(crate) const GATEWAYS: Table<GatewayProgress> = Table {
    name: "gateways",
    columns: &[
        Column { name: "gateway_id", value: Value::Id(|row| Some(row.gateway)) },
        Column { name: "complete_number", value: Value::Int(|row| Some(clamped(row.number).cast_signed())) },
        Column { name: "complete_at", value: Value::Int(|row| Some(row.at.micros())) },
        Column { name: "quarantined", value: Value::Int(|row| Some(clamped(row.quarantined).cast_signed())) },
        Column { name: "seen_at", value: Value::Int(|row| Some(row.seen_at.micros())) },
    ],
    also_read: &[],
    weight: |_| 64,
};

pub(crate) fn read_progress(source: &impl Source) -> Result<GatewayProgress, StoreError> {
    Ok(GatewayProgress {
        gateway: source.some_id("gateway_id")?,
        number: source.some_count("complete_number")?,
        at: Timestamp::from_micros(source.some_int("complete_at")?),
        quarantined: source.some_count("quarantined")?,
        seen_at: Timestamp::from_micros(source.some_int("seen_at")?),
    })
}
