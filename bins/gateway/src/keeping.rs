//! How this process keeps records.

use std::sync::Arc;

use tachograph_gateway::commands::CommandError;
use tachograph_gateway::config::{Config, Secret};
use tachograph_logger::{Destination, Logger, ToLogger, ToStore};
use tachograph_spool::SpoolError;
use tachograph_store::Store;

/// Opens the spool and begins to deliver what is in it: to the logger that is configured, else to the store.
pub(crate) fn start(config: &Config, store: Arc<dyn Store>) -> Result<Logger, CommandError> {
    let destination: Arc<dyn Destination> = match &config.logger.url {
        Some(url) => {
            let key = config.logger.key.as_ref().map_or("", Secret::expose);
            Arc::new(ToLogger::new(url, key).map_err(|error| CommandError::Usage(error.to_string()))?)
        }
        None => Arc::new(ToStore::new(store)),
    };
    let options = config.spool.options(&config.data_dir);
    Logger::start(options, destination).map_err(|error| match error {
        SpoolError::Io(error) => CommandError::Io(error),
        error @ SpoolError::InUse(_) => CommandError::Unavailable(error.to_string()),
    })
}
