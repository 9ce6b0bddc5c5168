//! Seeing to rollups: what was written with rows is folded into hours and days.

use std::sync::Arc;
use std::time::Duration;

use tachograph_record::Timestamp;
use tachograph_store::Store;

/// Between two looks at what is to be folded.
const EVERY: Duration = Duration::from_secs(20);
/// Between two rounds while there is something left, in which new rows are written.
const PAUSE: Duration = Duration::from_millis(20);

/// Folds again and again, for ever. Several processes may do so on one store.
pub async fn keep_rollups(store: Arc<dyn Store>) {
    loop {
        let wait = match store.roll_up(Timestamp::now()).await {
            Ok(0) => EVERY,
            Ok(_) => PAUSE,
            Err(error) => {
                // Sums stay right meanwhile: what is not folded is read as it was written.
                tracing::debug!(%error, "rollups could not be folded; trying again later");
                EVERY
            }
        };
        tokio::time::sleep(wait).await;
    }
}
