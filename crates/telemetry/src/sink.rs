//! Where records go.

use std::sync::Arc;

use tachograph_record::LogRecord;

/// Takes a record when its call is over. It is called on the request's own path, so it must return at once: hand the
/// record over to a bounded queue, and name what happens when that is full.
pub trait RecordSink: Send + Sync + 'static {
    /// Takes the record.
    fn accept(&self, record: LogRecord);
}

impl<S: RecordSink + ?Sized> RecordSink for Arc<S> {
    fn accept(&self, record: LogRecord) {
        (**self).accept(record);
    }
}
