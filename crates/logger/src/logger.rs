//! The logger of one process.

use std::sync::Arc;
use std::time::Duration;

use tachograph_spool::{Options, Spool, SpoolError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::destination::Destination;
use crate::gauges::Gauges;
use crate::intake::Intake;
use crate::opens::Opens;
use crate::pump::{self, Pump};

/// Takes records into a spool and delivers them, in tasks of its own.
pub struct Logger {
    intake: Intake,
    spool: Spool,
    finish: watch::Sender<bool>,
    pump: JoinSet<()>,
    _opens: JoinSet<()>,
}

impl Logger {
    /// Opens the spool, with what the last process left in it, and begins to deliver.
    ///
    /// # Errors
    /// Where the spool cannot be opened.
    pub fn start(options: Options, destination: Arc<dyn Destination>) -> Result<Self, SpoolError> {
        let (spool, reader, aside) = pump::open(options)?;
        let gauges = Arc::new(Gauges::new(spool.clone()));
        let (finish, finishing) = watch::channel(false);
        let (mut pump, mut writing) = (JoinSet::new(), JoinSet::new());
        pump.spawn(Pump::new(spool.clone(), destination, gauges.clone(), finishing, aside).run(reader));
        let opens = Arc::<Opens>::default();
        let (watched, into) = (opens.clone(), spool.clone());
        writing.spawn(async move { watched.run(&into).await });
        let intake = Intake::new(spool.clone(), opens, gauges);
        Ok(Self { intake, spool, finish, pump, _opens: writing })
    }

    /// Where records go in.
    #[must_use]
    pub fn intake(&self) -> Intake {
        self.intake.clone()
    }

    /// Delivers what is there, within a deadline, and closes the spool. Returns how many entries stay in it, to be delivered
    /// after the next start.
    pub async fn finish(&mut self, deadline: Duration) -> u64 {
        // The pump may be gone already; then there is nobody left to tell.
        let _ = self.finish.send(true);
        if tokio::time::timeout(deadline, self.pump.join_next()).await.is_err() {
            self.pump.shutdown().await;
        }
        let left = self.intake.gauges().queued();
        let spool = self.spool.clone();
        if tokio::task::spawn_blocking(move || spool.close()).await.is_err() {
            tracing::error!("the spool could not be closed");
        }
        left
    }
}
