//! The word that the program is about to stop.

use std::sync::Arc;

use tokio::sync::watch;

/// Tells the console that the program is about to stop: live feeds end, which else would hold their connections open.
#[derive(Clone, Debug)]
pub struct Closing(Arc<watch::Sender<bool>>);

impl Default for Closing {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Closing {
    /// Ends all live feeds, those that are opened later at once.
    pub fn close(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn closed(self) {
        // The sender is held here, so waiting ends only with the word.
        drop(self.0.subscribe().wait_for(|closing| *closing).await);
    }
}
