//! What is done to every record before it goes anywhere.

use std::sync::Arc;

use tachograph_record::LogRecord;

use crate::{Receipt, RecordSink, Trip};

/// Changes a record before it is handed on: takes out of it what must not be kept.
pub trait RecordEdit: Send + Sync + 'static {
    /// Changes the record.
    fn edit(&self, record: &mut LogRecord);
}

/// A sink that has each record edited first, closed ones and those that are shown of calls under way.
#[derive(Clone)]
pub struct Edited<S> {
    inner: S,
    edit: Arc<dyn RecordEdit>,
}

impl<S> Edited<S> {
    /// Edits, then hands on to `inner`.
    #[must_use]
    pub fn new(inner: S, edit: Arc<dyn RecordEdit>) -> Self {
        Self { inner, edit }
    }
}

impl<S: RecordSink> RecordSink for Edited<S> {
    fn begun(&self, trip: &Trip) {
        trip.edit_with(self.edit.clone());
        self.inner.begun(trip);
    }

    fn accept(&self, mut record: LogRecord) -> Receipt {
        self.edit.edit(&mut record);
        self.inner.accept(record)
    }
}
