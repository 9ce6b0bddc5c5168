//! How this process keeps records.

use std::sync::Arc;

use tachograph_gateway::commands::CommandError;
use tachograph_gateway::config::{Config, Secret};
use tachograph_logger::{Destination, Exporter, Logger, ToLogger, ToStore};
use tachograph_spool::SpoolError;
use tachograph_store::Store;

/// What sends calls on to others, if that is configured.
pub(crate) fn exporter(config: &Config) -> Result<Option<Exporter>, CommandError> {
    let exporter = config.otel.options().map(Exporter::new).transpose();
    exporter.map_err(|error| CommandError::Usage(format!("otel: {error}")))
}

/// Opens the spool and begins to deliver what is in it: to the logger that is configured, else to the store, and then to
/// others.
pub(crate) fn start(
    config: &Config,
    store: Arc<dyn Store>,
    exporter: Option<&Exporter>,
) -> Result<Logger, CommandError> {
    let destination: Arc<dyn Destination> = match &config.logger.url {
        Some(url) => {
            let key = config.logger.key.as_ref().map_or("", Secret::expose);
            Arc::new(ToLogger::new(url, key).map_err(|error| CommandError::Usage(error.to_string()))?)
        }
        None => Arc::new(ToStore::new(store)),
    };
    let destination = match exporter {
        Some(exporter) => Arc::new(exporter.behind(destination)),
        None => destination,
    };
    let options = config.spool.options(&config.data_dir);
    Logger::start(options, destination).map_err(|error| match error {
        SpoolError::Io(error) => CommandError::Io(error),
        error @ SpoolError::InUse(_) => CommandError::Unavailable(error.to_string()),
    })
}
