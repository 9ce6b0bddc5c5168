//! How long rows and bodies are kept.

use std::sync::Arc;
use std::time::Duration;

use tachograph_record::Timestamp;
use tachograph_store::{Expired, Expiry, Store, StoreError};

/// Between two looks at what is too old.
const EVERY: Duration = Duration::from_secs(15 * 60);
/// Between two batches, in which new rows are written.
const PAUSE: Duration = Duration::from_millis(20);

/// How long rows and bodies are kept; absent, for ever. Several processes may see to one store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Rows, with their bodies and all that was put beside them.
    pub rows: Option<Duration>,
    /// Bodies.
    pub bodies: Option<Duration>,
}

impl Retention {
    /// What is too old at a moment.
    #[must_use]
    pub fn expiry(self, now: Timestamp) -> Expiry {
        let before = |kept: Duration| {
            let kept = i64::try_from(kept.as_micros()).unwrap_or(i64::MAX);
            Timestamp::from_micros(now.micros().saturating_sub(kept))
        };
        Expiry { rows: self.rows.map(before), bodies: self.bodies.map(before) }
    }

    /// Lets go of all that is too old at a moment.
    ///
    /// # Errors
    /// What the store says. What went before that is gone; the next sweep goes on.
    pub async fn sweep(self, store: &dyn Store, now: Timestamp) -> Result<Expired, StoreError> {
        let expiry = self.expiry(now);
        let mut all = Expired::default();
        loop {
            let gone = store.expire(&expiry).await?;
            all.rows += gone.rows;
            all.bodies += gone.bodies;
            all.chunks += gone.chunks;
            if gone.is_nothing() {
                return Ok(all);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sweeps again and again; without an end where anything has one, and never where all is kept.
    pub async fn run(self, store: Arc<dyn Store>) {
        if self == Self::default() {
            return;
        }
        loop {
            match self.sweep(&*store, Timestamp::now()).await {
                Ok(gone) if gone.is_nothing() => {}
                Ok(gone) => {
                    tracing::info!(rows = gone.rows, bodies = gone.bodies, "let go of what was kept long enough")
                }
                Err(error) => tracing::warn!(%error, "what is too old could not be let go of; trying again later"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_ever_is_never_too_old() {
        let now = Timestamp::from_micros(10_000_000);
        let kept = Retention { rows: None, bodies: Some(Duration::from_secs(4)) };
        assert_eq!(kept.expiry(now), Expiry { rows: None, bodies: Some(Timestamp::from_micros(6_000_000)) });
        let longest = Retention { rows: Some(Duration::MAX), bodies: None };
        assert!(longest.expiry(now).rows.unwrap() < Timestamp::from_micros(-i64::MAX / 2));
    }
}
