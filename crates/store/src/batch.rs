//! A batch made ready before any lock is taken.

use std::collections::HashSet;

use tachograph_record::LogRecord;
use uuid::Uuid;

use crate::StoreError;
use crate::packing::{PackedBody, pack, unpacked_bodies};
use crate::rollup::FactBlocks;
use crate::tables::Entry;

/// Rows and their bodies.
pub(crate) struct Batch {
    pub(crate) entries: Vec<Entry>,
    pub(crate) bodies: Vec<PackedBody>,
}

impl Batch {
    /// Of records with one id the first counts. Rows are in the order of their ids, so that two batches that share rows,
    /// written at the same time, wait for each other and never in a circle.
    pub(crate) async fn prepare(records: &[LogRecord]) -> Result<Self, StoreError> {
        let mut seen = HashSet::with_capacity(records.len());
        let mut records: Vec<&LogRecord> =
            records.iter().filter(|record| seen.insert((record.asked.org, record.id))).collect();
        records.sort_by_key(|record| (record.asked.org, record.id));
        let entries = records.iter().map(|record| Entry::new(record)).collect::<Result<_, _>>()?;
        let bodies = pack(unpacked_bodies(records.into_iter())).await?;
        Ok(Self { entries, bodies })
    }

    /// What rollups know of the rows that turned out to be new.
    pub(crate) fn facts_of(&self, is_new: impl Fn(&(Uuid, Uuid)) -> bool) -> FactBlocks {
        let mut facts = FactBlocks::default();
        for entry in self.entries.iter().filter(|entry| is_new(&entry.ids())) {
            facts.add(entry.ids().0, &entry.fact());
        }
        facts
    }

    /// The bodies of the rows that turned out to be new. A row that was there keeps the bodies it has.
    pub(crate) fn bodies_of(self, new: &[(Uuid, Uuid)]) -> Vec<PackedBody> {
        let new: HashSet<_> = new.iter().collect();
        self.bodies.into_iter().filter(|body| new.contains(&(body.org.uuid(), body.id.uuid()))).collect()
    }
}
