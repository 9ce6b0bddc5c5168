//! The batch writer.

use std::sync::Arc;
use std::time::Duration;

use tachograph_record::LogRecord;
use tachograph_store::{Store, StoreError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::intake::{Gauges, Intake, Limits, weight};

/// A batch waits so long for company: short enough that the console shows a call at once.
const GATHER: Duration = Duration::from_millis(20);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A batch the store refused so often, though it can be reached, holds a row that it will never take.
const REFUSALS: u64 = 5;

/// Writes records to a store in batches, in a task of its own.
pub struct Logger {
    intake: Intake,
    finish: watch::Sender<bool>,
    task: JoinSet<()>,
}

impl Logger {
    /// Starts the writer.
    #[must_use]
    pub fn start(store: Arc<dyn Store>, limits: Limits) -> Self {
        let (intake, records) = Intake::new(&limits);
        let (finish, finishing) = watch::channel(false);
        let writer = Writer { store, records, gauges: intake.gauges().clone(), batch: limits.batch.max(1), finishing };
        let mut task = JoinSet::new();
        task.spawn(writer.run());
        Self { intake, finish, task }
    }

    /// Where records go in.
    #[must_use]
    pub fn intake(&self) -> Intake {
        self.intake.clone()
    }

    /// Stores what is queued, within a deadline. Returns how many records could not be stored.
    pub async fn finish(&mut self, deadline: Duration) -> usize {
        // The writer may be gone already; then there is nobody left to tell.
        let _ = self.finish.send(true);
        if tokio::time::timeout(deadline, self.task.join_next()).await.is_err() {
            self.task.abort_all();
        }
        self.intake.gauges().queued()
    }
}

struct Writer {
    store: Arc<dyn Store>,
    records: mpsc::Receiver<LogRecord>,
    gauges: Arc<Gauges>,
    batch: usize,
    finishing: watch::Receiver<bool>,
}

impl Writer {
    async fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            let first = tokio::select! {
                biased;
                first = self.records.recv() => first,
                _ = self.finishing.wait_for(|finishing| *finishing) => self.records.try_recv().ok(),
            };
            let Some(first) = first else { return };
            batch.push(first);
            if !*self.finishing.borrow() {
                tokio::time::sleep(GATHER).await;
            }
            while batch.len() < self.batch
                && let Ok(record) = self.records.try_recv()
            {
                batch.push(record);
            }
            let (records, bytes) = (batch.len(), batch.iter().map(weight).sum());
            self.write(&batch).await;
            batch.clear();
            self.gauges.left(records, bytes);
        }
    }

    /// Writes a batch, however long it takes. A store that cannot be reached is tried again without end; one that refuses
    /// the batch for good is given its halves, until the row that it will not take stands alone.
    async fn write(&self, batch: &[LogRecord]) {
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let mut pause = FIRST_PAUSE;
            loop {
                let error = match self.store.append(part).await {
                    Ok(_new) => {
                        self.gauges.wrote(part.len());
                        break;
                    }
                    Err(error) => error,
                };
                let failures = self.gauges.failed();
                tracing::warn!(%error, failures, records = part.len(), "a batch was not stored; trying again");
                if matches!(error, StoreError::Failed(_)) && failures >= REFUSALS {
                    self.divide(part, &mut parts);
                    break;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    fn divide<'a>(&self, part: &'a [LogRecord], parts: &mut Vec<&'a [LogRecord]>) {
        self.gauges.wrote(0);
        match part {
            [] => {}
            [refused] => {
                self.gauges.lost(1);
                tracing::error!(id = %refused.id, "the store refuses this record for good; it is lost");
            }
            many => {
                let (first, second) = many.split_at(many.len() / 2);
                parts.extend([second, first]);
            }
        }
    }
}
