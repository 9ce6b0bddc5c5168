//! Where the spool's records are delivered: a store here, or a logger elsewhere. A broker would be a third.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tachograph_record::{LogRecord, Timestamp};
use tachograph_store::{GatewayProgress, Store, StoreError};
use uuid::Uuid;

/// A boxed future: delivery is off the hot path.
pub type Delivery<'a> = Pin<Box<dyn Future<Output = Result<(), Undelivered>> + Send + 'a>>;

/// How far a gateway's record is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The gateway, by its spool's id.
    pub gateway: Uuid,
    /// Every entry up to this number has been delivered.
    pub number: u64,
    /// And so every record that was closed up to this moment.
    pub at: Timestamp,
    /// Damaged and refused entries that were put aside so far.
    pub quarantined: u64,
}

/// Takes batches of records for good.
pub trait Destination: Send + Sync + 'static {
    /// Delivers a batch, all of it or none. It may be sent again: what is there stays as it is. Once this is done the
    /// records are let go of here.
    fn deliver<'a>(&'a self, records: &'a [LogRecord]) -> Delivery<'a>;

    /// Tells how far a gateway's record is complete.
    fn progress<'a>(&'a self, progress: &'a Progress) -> Delivery<'a>;
}

/// Why a batch was not delivered.
#[derive(Clone, Debug)]
pub enum Undelivered {
    /// Not now; the same batch may be sent again, not before so long where that was told.
    Later(String, Option<Duration>),
    /// It holds a record that will never be taken.
    Refused(String),
}

/// A store in this process.
pub struct ToStore(Arc<dyn Store>);

impl ToStore {
    /// Delivers to this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }
}

impl From<StoreError> for Undelivered {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Failed(why) => Self::Refused(why),
            error => Self::Later(error.to_string(), None),
        }
    }
}

impl Destination for ToStore {
    fn deliver<'a>(&'a self, records: &'a [LogRecord]) -> Delivery<'a> {
        Box::pin(async move {
            self.0.append(records).await?;
            Ok(())
        })
    }

    fn progress<'a>(&'a self, progress: &'a Progress) -> Delivery<'a> {
        let Progress { gateway, number, at, quarantined } = *progress;
        let row = GatewayProgress { gateway, number, at, quarantined, seen_at: Timestamp::now() };
        Box::pin(async move { Ok(self.0.record_progress(&row).await?) })
    }
}
