//! A store in memory that answers as the real ones do, with switches for trouble.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tachograph_record::{KeyId, LogRecord, OrgId, RecordId, Timestamp};
use tachograph_store::{
    Breakdown, Cursor, Filter, Group, Groups, KeyRow, Marks, Page, Row, Search, Seen, Store, StoreError, StoreFuture,
    StoredRecord, Totals,
};

#[derive(Default)]
pub(crate) struct MemoryStore {
    held: Mutex<Vec<StoredRecord>>,
    /// Answers every question with "unreachable" while set.
    pub(crate) unreachable: AtomicBool,
    /// Questions for rows so far.
    pub(crate) searches: AtomicUsize,
}

fn cursor(row: &Row) -> Cursor {
    Cursor { received_at: row.timing.received_at, id: row.id }
}

fn picks(filter: &Filter, row: &Row) -> bool {
    filter.picks(Seen { row, marks: &Marks::default() })
}

impl MemoryStore {
    fn rows(&self, org: OrgId, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        if self.unreachable.load(Ordering::Relaxed) {
            return Err(StoreError::Unreachable("db.internal refused".into()));
        }
        let held = self.held.lock().unwrap();
        let mut rows: Vec<_> =
            held.iter().map(|record| &record.row).filter(|row| row.org == org && picks(filter, row)).cloned().collect();
        rows.sort_by_key(cursor);
        Ok(rows)
    }

    fn page(&self, search: &Search) -> Result<Page, StoreError> {
        self.searches.fetch_add(1, Ordering::Relaxed);
        let mut rows = self.rows(search.org, &search.filter)?;
        rows.retain(|row| {
            search.before.is_none_or(|before| cursor(row) < before)
                && search.after.is_none_or(|after| cursor(row) > after)
        });
        if search.after.is_none() {
            rows.reverse();
        }
        // Behind a live tail newer rows may always come.
        let more = search.after.is_some() || rows.len() > search.limit as usize;
        rows.truncate(search.limit as usize);
        let next = rows.last().filter(|_| more).map(cursor);
        Ok(Page { rows, next })
    }

    fn sums(&self, org: OrgId, filter: &Filter) -> Result<Totals, StoreError> {
        Ok(Totals::of(&self.rows(org, filter)?))
    }
}

impl Store for MemoryStore {
    fn migrate(&self) -> StoreFuture<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn append<'a>(&'a self, batch: &'a [LogRecord]) -> StoreFuture<'a, usize> {
        Box::pin(async move {
            let mut held = self.held.lock().unwrap();
            let before = held.len();
            for record in batch {
                if held.iter().all(|other| (other.row.org, other.row.id) != (record.asked.org, record.id)) {
                    held.push(StoredRecord::from(record));
                }
            }
            Ok(held.len() - before)
        })
    }

    fn search<'a>(&'a self, search: &'a Search) -> StoreFuture<'a, Page> {
        Box::pin(async { self.page(search) })
    }

    fn fetch(&self, org: OrgId, id: RecordId) -> StoreFuture<'_, Option<StoredRecord>> {
        Box::pin(async move {
            let held = self.held.lock().unwrap();
            Ok(held.iter().find(|record| record.row.org == org && record.row.id == id).cloned())
        })
    }

    /// Sums over all rows alone; groups are asked of a real store.
    fn groups<'a>(&'a self, asked: &'a Breakdown) -> StoreFuture<'a, Groups> {
        Box::pin(async move {
            assert!(asked.by.is_empty() && asked.every.is_none());
            let totals = self.sums(asked.org, &asked.filter)?;
            let spreads = vec![Default::default(); asked.spreads.len()];
            Ok(Groups { groups: vec![Group { keys: Vec::new(), at: None, totals, spreads }], more: false })
        })
    }

    fn insert_key<'a>(&'a self, _: &'a KeyRow) -> StoreFuture<'a, ()> {
        Box::pin(async { Err(StoreError::Failed("this store holds no keys".into())) })
    }

    fn keys(&self) -> StoreFuture<'_, Vec<KeyRow>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn revoke_key(&self, _: KeyId, _: Timestamp) -> StoreFuture<'_, bool> {
        Box::pin(async { Ok(false) })
    }

    fn close(&self) -> StoreFuture<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}
