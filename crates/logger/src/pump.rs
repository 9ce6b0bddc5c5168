//! From the spool to its destination, in order, each record at least once and in the end exactly once: what was delivered
//! when a process died is delivered again, and the store knows it by its id.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tachograph_record::{LogRecord, Origin, RecordId, Timestamp};
use tachograph_spool::{Block, Position, Reader, Spool, SpoolError};
use tokio::sync::watch;

use crate::destination::{Destination, Progress, Undelivered};
use crate::entry::{self, Told};
use crate::gauges::Gauges;
use crate::joining::Joining;

/// A batch waits so long for company: short enough that the console shows a call at once.
const GATHER: Duration = Duration::from_millis(20);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A batch refused so often, though its destination can be reached, holds a record that it will never take.
const REFUSALS: u64 = 5;
/// How long nothing may come until it looks around.
const IDLE: Duration = Duration::from_secs(30);
/// How often it is told how far the record is complete.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Records of one batch, and bytes of their entries.
const BATCH: usize = 1_000;
const BATCH_BYTES: usize = 16 << 20;
/// While calls come faster than this many within one gathering, they go first: after a batch the pump rests
/// [`REST`] times as long as it worked, until it is [`BEHIND`] behind.
const BUSY: usize = 200;
const REST: u32 = 3;
const BEHIND: Duration = Duration::from_secs(10);

/// A call that was under way when its entry was written.
struct Open {
    sequence: u64,
    position: Position,
    /// Kept for calls of processes that have ended, which will be needed.
    record: Option<LogRecord>,
}

pub(crate) struct Pump {
    pub(crate) spool: Spool,
    pub(crate) destination: Arc<dyn Destination>,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) finishing: watch::Receiver<bool>,
    /// Where records go that the destination refuses.
    pub(crate) aside: PathBuf,
    open: HashMap<RecordId, Open>,
    /// Calls of which a piece is still to come.
    joining: Joining,
    /// Records that were held in the spool and are whole by now.
    found: Vec<LogRecord>,
    /// The last sign of life of the processes before this one, µs since the epoch.
    last_alive: i64,
    recovered: bool,
    progress_told: Instant,
    progress: Option<(u64, i64)>,
}

impl Pump {
    pub(crate) fn new(
        spool: Spool,
        destination: Arc<dyn Destination>,
        gauges: Arc<Gauges>,
        finishing: watch::Receiver<bool>,
        aside: PathBuf,
    ) -> Self {
        Self {
            spool,
            destination,
            gauges,
            finishing,
            aside,
            open: HashMap::new(),
            joining: Joining::default(),
            found: Vec::new(),
            last_alive: 0,
            recovered: false,
            progress_told: Instant::now(),
            progress: None,
        }
    }

    /// Runs until it is told to finish and nothing is left.
    pub(crate) async fn run(mut self, mut reader: Reader) {
        match reader.held() {
            Ok(held) => {
                let found: Vec<LogRecord> = held.into_iter().filter_map(|block| self.take(block)).collect();
                self.found = found;
            }
            Err(error) => tracing::error!(%error, "the calls that were under way cannot be read"),
        }
        loop {
            let finishing = *self.finishing.borrow();
            if self.recovered && reader.is_at_the_end() {
                self.let_go(&mut reader, finishing).await;
                self.tell_progress(true).await;
                if finishing {
                    break;
                }
                let mut told = self.finishing.clone();
                // What is complete moves on although nothing comes.
                let idle = self.joining.next().map_or(IDLE, |next| next.clamp(GATHER, IDLE));
                tokio::select! {
                    () = reader.appended() => {}
                    _ = told.wait_for(|finishing| *finishing) => continue,
                    () = tokio::time::sleep(idle) => continue,
                }
                tokio::time::sleep(GATHER).await;
            }
            let read = tokio::task::spawn_blocking(move || {
                let blocks = reader.read(BATCH, BATCH_BYTES);
                (reader, blocks)
            });
            let Ok((given_back, blocks)) = read.await else {
                tracing::error!("reading the spool ended early; records stay on disk until the next start");
                return;
            };
            reader = given_back;
            match blocks {
                Ok(blocks) => {
                    let began = Instant::now();
                    let count = blocks.len();
                    let written_at = blocks.last().map(|block| block.written_at);
                    self.process(&mut reader, blocks).await;
                    self.let_calls_go_first(count, began.elapsed(), written_at).await;
                }
                Err(error) => {
                    tracing::error!(%error, "the spool cannot be read; trying again");
                    tokio::time::sleep(LONGEST_PAUSE).await;
                }
            }
        }
        if let Err(error) = reader.save() {
            tracing::warn!(%error, "the spool's cursor could not be saved; some records are read again");
        }
    }

    async fn process(&mut self, reader: &mut Reader, blocks: Vec<Block>) {
        let complete_to = blocks.last().map(|block| block.written_at);
        let mut records = std::mem::take(&mut self.found);
        records.reserve(blocks.len());
        for block in blocks {
            records.extend(self.take(block));
        }
        if !self.recovered && reader.next_sequence() >= self.spool.first_of_run() {
            self.recovered = true;
            records.extend(self.interrupted());
        }
        records.extend(self.joining.due(false));
        self.deliver(&records).await;
        self.acknowledge(reader);
        if let Some(at) = complete_to {
            self.gauges.complete(at);
            self.complete(reader, at);
        }
        self.tell_progress(false).await;
    }

    /// Delivers what has waited long enough for the rest of it.
    async fn let_go(&mut self, reader: &mut Reader, all: bool) {
        let due = self.joining.due(all);
        if !due.is_empty() {
            self.deliver(&due).await;
            self.acknowledge(reader);
            self.complete(reader, Timestamp::now().micros());
        }
    }

    fn acknowledge(&self, reader: &mut Reader) {
        let held = self.open.values().map(|open| open.position).chain(self.joining.positions()).collect();
        if let Err(error) = reader.acknowledge(held) {
            tracing::warn!(%error, "the spool's cursor could not be saved; some records are read again");
        }
    }

    /// Every record before the first that waits has been delivered.
    fn complete(&mut self, reader: &Reader, at: i64) {
        let next = self.joining.lowest().unwrap_or(u64::MAX).min(reader.next_sequence());
        self.progress = Some((next.saturating_sub(1), at));
    }

    /// The record of an entry, if it is one of a call that is over.
    fn take(&mut self, block: Block) -> Option<LogRecord> {
        let Block { sequence, written_at, position, entry } = block;
        let of_the_past = sequence < self.spool.first_of_run();
        if of_the_past {
            self.last_alive = self.last_alive.max(written_at);
        }
        match entry::read(entry.clone()) {
            Ok(Told::Opened(record)) => {
                let id = record.id;
                let record = of_the_past.then_some(record);
                self.open.insert(id, Open { sequence, position, record });
                None
            }
            Ok(Told::Closed(mut record)) => {
                self.open.remove(&record.id);
                // A call within a trace has a place there, by which exports tell of it too.
                let asked = &mut record.asked;
                if asked.origin == Origin::Gateway && asked.trace_id.is_some() && asked.span_id.is_none() {
                    asked.span_id = Some(hex::encode(record.id.span_id()));
                }
                self.joining.take(record, sequence, position)
            }
            Err(error) => {
                tracing::error!(%error, sequence, "an entry of the spool is no record; it is put aside");
                self.gauges.cannot_read();
                self.put_aside(&format!("{sequence}.entry"), &entry);
                None
            }
        }
    }

    /// The calls that were under way when the processes before this one died.
    fn interrupted(&mut self) -> Vec<LogRecord> {
        let first = self.spool.first_of_run();
        let past: Vec<RecordId> =
            self.open.iter().filter(|(_, open)| open.sequence < first).map(|(&id, _)| id).collect();
        let mut records: Vec<LogRecord> = past.iter().filter_map(|id| self.open.remove(id)?.record).collect();
        for record in &mut records {
            let lived = self.last_alive - record.timing.received_at.micros();
            record.timing.end_us = record.timing.end_us.max(u64::try_from(lived).unwrap_or(0));
        }
        if !records.is_empty() {
            tracing::warn!(calls = records.len(), "these calls were under way when the process before this one died");
        }
        self.gauges.interrupt(records.len());
        records
    }

    /// Delivers a batch, however long it takes. A destination that cannot be reached is tried again without end; one that
    /// refuses the batch for good is given its halves, until the record that it will not take stands alone.
    async fn deliver(&self, batch: &[LogRecord]) {
        let mut parts = if batch.is_empty() { Vec::new() } else { vec![batch] };
        while let Some(part) = parts.pop() {
            let mut pause = FIRST_PAUSE;
            loop {
                let error = match self.destination.deliver(part).await {
                    Ok(()) => {
                        self.gauges.wrote(part.len());
                        break;
                    }
                    Err(error) => error,
                };
                let failures = self.gauges.failed();
                let after = match error {
                    Undelivered::Refused(why) if failures >= REFUSALS => {
                        tracing::warn!(why, records = part.len(), "a batch is refused");
                        self.divide(part, &mut parts);
                        break;
                    }
                    Undelivered::Refused(why) => {
                        tracing::warn!(why, failures, records = part.len(), "a batch was refused; trying again");
                        None
                    }
                    Undelivered::Later(why, after) => {
                        tracing::warn!(why, failures, records = part.len(), "a batch was not stored; trying again");
                        after
                    }
                };
                tokio::time::sleep(after.map_or(pause, |after| after.min(LONGEST_PAUSE * 12))).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    fn divide<'a>(&self, part: &'a [LogRecord], parts: &mut Vec<&'a [LogRecord]>) {
        self.gauges.wrote(0);
        match part {
            [] => {}
            [refused] => {
                self.gauges.refuse();
                tracing::error!(id = %refused.id, "this record is refused for good; it is put aside");
                self.put_aside(&format!("{}.record", refused.id), &refused.encode(0).into_bytes());
            }
            many => {
                let (first, second) = many.split_at(many.len() / 2);
                parts.extend([second, first]);
            }
        }
    }

    fn put_aside(&self, name: &str, bytes: &[u8]) {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let written = std::fs::create_dir_all(&self.aside).and_then(|()| {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600).open(self.aside.join(name))?.write_all(bytes)
        });
        if let Err(error) = written {
            tracing::error!(%error, name, "it could not even be put aside");
        }
    }

    async fn tell_progress(&mut self, now: bool) {
        let Some((number, at)) = self.progress else { return };
        if !now && self.progress_told.elapsed() < PROGRESS_EVERY {
            return;
        }
        self.progress_told = Instant::now();
        let quarantined = self.gauges.health().quarantined;
        let progress = Progress { gateway: self.spool.id(), number, at: Timestamp::from_micros(at), quarantined };
        match self.destination.progress(&progress).await {
            Ok(()) => self.progress = None,
            Err(error) => tracing::debug!(?error, "how far the record is complete could not be told; later"),
        }
    }

    /// Calls go first: a batch that was full means that they come fast, and then the pump takes a share of the machine only,
    /// until it is too far behind. What waits is on disk.
    async fn let_calls_go_first(&self, blocks: usize, worked: Duration, written_at: Option<i64>) {
        let behind = written_at.map_or(0, |at| Timestamp::now().micros() - at);
        let state = self.spool.state();
        let hurry = behind > i64::try_from(BEHIND.as_micros()).unwrap_or(i64::MAX)
            || state.full
            || *self.finishing.borrow()
            || !self.recovered;
        if blocks >= BUSY && !hurry {
            let mut told = self.finishing.clone();
            // Whether it was the pause or the end of the process that ended it, what follows is the same.
            let _ =
                tokio::time::timeout((worked * REST).min(Duration::from_secs(1)), told.wait_for(|told| *told)).await;
        }
    }
}

/// Opens a spool, or the next free one beside it where another process has it: a second process with the same data, such
/// as a command, has one of its own.
pub(crate) fn open(options: tachograph_spool::Options) -> Result<(Spool, Reader, PathBuf), SpoolError> {
    const BESIDE: usize = 64;
    let base = options.dir.clone();
    for beside in 0..BESIDE {
        let mut dir = base.clone().into_os_string();
        if beside > 0 {
            dir.push(format!("-{beside}"));
        }
        let options = tachograph_spool::Options { dir: dir.into(), ..options.clone() };
        let aside = options.dir.join("quarantine");
        match Spool::open(options) {
            Ok((spool, reader)) => return Ok((spool, reader, aside)),
            Err(SpoolError::InUse(dir)) if beside + 1 == BESIDE => return Err(SpoolError::InUse(dir)),
            Err(SpoolError::InUse(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Err(SpoolError::InUse(base))
}
