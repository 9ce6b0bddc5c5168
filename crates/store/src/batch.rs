//! A batch made ready before any lock is taken.

use std::collections::HashSet;
use std::sync::Arc;

use tachograph_record::LogRecord;
use uuid::Uuid;

use crate::StoreError;
use crate::chunks::{ChunkKey, Seen};
use crate::packing::{PackedBody, PackedChunk, pack, unpacked_bodies};
use crate::rollup::FactBlocks;
use crate::tables::Entry;

/// Rows and their bodies.
pub(crate) struct Batch {
    pub(crate) entries: Vec<Entry>,
    pub(crate) bodies: Vec<PackedBody>,
    /// What bodies refer to. It may be there already, and may be there without them.
    pub(crate) chunks: Vec<PackedChunk>,
}

impl Batch {
    /// Of records with one id the first counts. Rows are in the order of their ids, so that two batches that share rows,
    /// written at the same time, wait for each other and never in a circle.
    pub(crate) async fn prepare(records: &[LogRecord], seen: &Arc<Seen>) -> Result<Self, StoreError> {
        let mut ids = HashSet::with_capacity(records.len());
        let mut records: Vec<&LogRecord> =
            records.iter().filter(|record| ids.insert((record.asked.org, record.id))).collect();
        records.sort_by_key(|record| (record.asked.org, record.id));
        let entries = records.iter().map(|record| Entry::new(record)).collect::<Result<_, _>>()?;
        let (bodies, chunks) = pack(unpacked_bodies(records.into_iter()), seen).await?;
        Ok(Self { entries, bodies, chunks })
    }

    /// The places of the chunks, to be remembered once they are written.
    pub(crate) fn chunk_keys(&self) -> Vec<ChunkKey> {
        self.chunks.iter().map(|chunk| chunk.key).collect()
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
