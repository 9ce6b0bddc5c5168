//! Audit entries of restatements.

use tachograph_record::{Money, Timestamp};

use super::{Column, Source, Table, Value};
use crate::StoreError;
use crate::repricing::Repricing;
use crate::row::clamped;

/// An entry with its amounts as decimals, which no column of numbers holds exactly in every database.
pub(crate) struct RepricingEntry {
    repricing: Repricing,
    before: String,
    after: String,
}

impl RepricingEntry {
    pub(crate) fn new(repricing: &Repricing) -> Self {
        let (before, after) = (repricing.before.to_string(), repricing.after.to_string());
        Self { repricing: repricing.clone(), before, after }
    }
}

pub(crate) const REPRICINGS: Table<RepricingEntry> = Table {
    name: "repricings",
    columns: &[
        Column { name: "id", value: Value::Id(|e| Some(e.repricing.id)) },
        Column { name: "org_id", value: Value::Id(|e| Some(e.repricing.org.uuid())) },
        Column { name: "made_at", value: Value::Int(|e| Some(e.repricing.at.micros())) },
        Column { name: "author", value: Value::Text(|e| Some(&e.repricing.author)) },
        Column { name: "from_at", value: Value::Int(|e| Some(e.repricing.from.micros())) },
        Column { name: "until_at", value: Value::Int(|e| Some(e.repricing.until.micros())) },
        Column { name: "price_version", value: Value::Text(|e| Some(&e.repricing.price_version)) },
        Column { name: "row_count", value: Value::Int(|e| Some(clamped(e.repricing.rows).cast_signed())) },
        Column { name: "cost_before", value: Value::Text(|e| Some(&e.before)) },
        Column { name: "cost_after", value: Value::Text(|e| Some(&e.after)) },
    ],
    also_read: &[],
    weight: |e| 256 + e.repricing.author.len(),
};

pub(crate) fn read_repricing(source: &impl Source) -> Result<Repricing, StoreError> {
    let money = |column: &str| -> Result<Money, StoreError> {
        source.some_text(column)?.parse().map_err(|why| StoreError::unreadable(column, why))
    };
    Ok(Repricing {
        id: source.some_id("id")?,
        org: source.some_id("org_id")?.into(),
        at: Timestamp::from_micros(source.some_int("made_at")?),
        author: source.some_text("author")?,
        from: Timestamp::from_micros(source.some_int("from_at")?),
        until: Timestamp::from_micros(source.some_int("until_at")?),
        price_version: source.some_text("price_version")?,
        rows: source.some_count("row_count")?,
        before: money("cost_before")?,
        after: money("cost_after")?,
    })
}
