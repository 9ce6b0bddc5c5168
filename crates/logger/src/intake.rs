//! Where records go in: on the request's own path, into the spool.

use std::sync::Arc;

use tachograph_record::LogRecord;
use tachograph_spool::Spool;
use tachograph_telemetry::{Receipt, RecordSink, Trip};

use crate::entry;
use crate::gauges::Gauges;
use crate::opens::Opens;

/// Takes records into the spool; cheap to clone. The receipt it gives says when a record survives the death of the process.
#[derive(Clone)]
pub struct Intake {
    spool: Spool,
    opens: Arc<Opens>,
    gauges: Arc<Gauges>,
}

impl Intake {
    pub(crate) fn new(spool: Spool, opens: Arc<Opens>, gauges: Arc<Gauges>) -> Self {
        Self { spool, opens, gauges }
    }

    /// What becomes of the records.
    #[must_use]
    pub fn gauges(&self) -> &Arc<Gauges> {
        &self.gauges
    }
}

impl RecordSink for Intake {
    fn begun(&self, trip: &Trip) {
        self.opens.push(trip);
    }

    fn accept(&self, record: LogRecord) -> Receipt {
        let Some(entry) = entry::closed(&record) else {
            self.gauges.lose();
            return Receipt::kept();
        };
        let ticket = self.spool.append(entry);
        if ticket.is_kept() { Receipt::kept() } else { Receipt::when(ticket) }
    }
}
