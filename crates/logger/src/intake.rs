//! The bounded hand-off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tachograph_record::LogRecord;
use tachograph_telemetry::{Receipt, RecordSink};
use tokio::sync::mpsc;

/// What happens to a record when the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It is dropped, counted, and said in the log. No request waits.
    #[default]
    DropNewest,
}

/// How much the queue holds, and how rows are gathered.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Records in the queue at most.
    pub records: usize,
    /// Bytes of bodies in the queue at most.
    pub bytes: usize,
    /// Rows of one batch at most.
    pub batch: usize,
    /// What happens when the queue is full.
    pub when_full: WhenFull,
}

impl Default for Limits {
    fn default() -> Self {
        Self { records: 65_536, bytes: 512 << 20, batch: 1_000, when_full: WhenFull::DropNewest }
    }
}

/// What the queue is doing.
#[derive(Debug, Default)]
pub struct Gauges {
    queued_bytes: AtomicUsize,
    queued: AtomicUsize,
    dropped: AtomicU64,
    stored: AtomicU64,
    failing: AtomicU64,
}

impl Gauges {
    /// Records waiting to be stored.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Records lost because the queue was full or the store refused them for good.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Records stored.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// How often in a row the store has refused the batch that is being written; 0 when all is well.
    #[must_use]
    pub fn failures_in_a_row(&self) -> u64 {
        self.failing.load(Ordering::Relaxed)
    }

    pub(crate) fn left(&self, records: usize, bytes: usize) {
        self.queued.fetch_sub(records, Ordering::Relaxed);
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn wrote(&self, records: usize) {
        self.stored.fetch_add(records as u64, Ordering::Relaxed);
        self.failing.store(0, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failing.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn lost(&self, records: usize) -> u64 {
        self.dropped.fetch_add(records as u64, Ordering::Relaxed) + records as u64
    }
}

/// Takes records; cheap to clone.
#[derive(Clone)]
pub struct Intake {
    queue: mpsc::Sender<LogRecord>,
    gauges: Arc<Gauges>,
    most_bytes: usize,
}

impl Intake {
    pub(crate) fn new(limits: &Limits) -> (Self, mpsc::Receiver<LogRecord>) {
        let (queue, records) = mpsc::channel(limits.records.max(1));
        (Self { queue, gauges: Arc::default(), most_bytes: limits.bytes }, records)
    }

    /// What the queue is doing.
    #[must_use]
    pub fn gauges(&self) -> &Arc<Gauges> {
        &self.gauges
    }

    fn drop_newest(&self) {
        let dropped = self.gauges.lost(1);
        // Powers of two: the log says that and how much is lost, and does not drown in it.
        if dropped.is_power_of_two() {
            tracing::error!(dropped, "the queue of records is full; records are being lost");
        }
    }
}

/// The memory that a record's bodies hold.
pub(crate) fn weight(record: &LogRecord) -> usize {
    const ROW: usize = 1024;
    ROW + record.asked.body.kept() + record.response.kept()
}

impl RecordSink for Intake {
    fn accept(&self, record: LogRecord) -> Receipt {
        let bytes = weight(&record);
        let held = self.gauges.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.gauges.queued.fetch_add(1, Ordering::Relaxed);
        if held + bytes > self.most_bytes || self.queue.try_send(record).is_err() {
            self.gauges.left(1, bytes);
            self.drop_newest();
        }
        Receipt::kept()
    }
}
