//! How far the record of every gateway is complete, for health.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tachograph_store::{GatewayProgress, Store};

const EVERY: Duration = Duration::from_secs(2);

/// All gateways that a store knows, as they were a moment ago.
#[derive(Clone, Default)]
pub struct Fleet(Arc<Mutex<Vec<GatewayProgress>>>);

impl Fleet {
    /// Asks the store again and again, for ever.
    pub async fn watch(self, store: Arc<dyn Store>) {
        loop {
            match store.gateways().await {
                Ok(gateways) => *self.0.lock().unwrap_or_else(PoisonError::into_inner) = gateways,
                Err(error) => tracing::debug!(%error, "how far gateways are complete could not be read"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// What is known.
    #[must_use]
    pub fn gateways(&self) -> Vec<GatewayProgress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
