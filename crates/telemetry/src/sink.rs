//! Where records go.

use std::sync::Arc;

use tachograph_record::LogRecord;

use crate::{Receipt, Trip};

/// Takes a record when its call is over. It is called on the request's own path, so it must return at once: hand the
/// record over to a bounded queue, and name what happens when that is full.
pub trait RecordSink: Send + Sync + 'static {
    /// A call has begun. A sink that wants to know of calls under way keeps the trip and asks it later
    /// ([`Trip::while_open`]).
    fn begun(&self, trip: &Trip) {
        let _ = trip;
    }

    /// Takes the record. The end of the call's answer waits for the receipt, and nothing else does.
    fn accept(&self, record: LogRecord) -> Receipt;
}

impl<S: RecordSink + ?Sized> RecordSink for Arc<S> {
    fn begun(&self, trip: &Trip) {
        (**self).begun(trip);
    }

    fn accept(&self, record: LogRecord) -> Receipt {
        (**self).accept(record)
    }
}
