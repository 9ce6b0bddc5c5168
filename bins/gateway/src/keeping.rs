//! How this process keeps records.

use std::sync::Arc;

use axum::response::{IntoResponse, Json, Response};
use tachograph_gateway::commands::CommandError;
use tachograph_gateway::config::Config;
use tachograph_logger::{Destination, Gauges, Logger, ToStore};
use tachograph_spool::SpoolError;
use tachograph_store::Store;

/// Opens the spool and begins to deliver what is in it.
pub(crate) fn start(config: &Config, store: Arc<dyn Store>) -> Result<Logger, CommandError> {
    let destination: Arc<dyn Destination> = Arc::new(ToStore::new(store));
    let options = config.spool.options(&config.data_dir);
    Logger::start(options, destination).map_err(|error| match error {
        SpoolError::Io(error) => CommandError::Io(error),
        error @ SpoolError::InUse(_) => CommandError::Unavailable(error.to_string()),
    })
}

/// `/readyz`: the state of record keeping. A gateway that can serve is ready, whatever the state of its store: taking it
/// out of service would make an outage of the store one of the calls.
pub(crate) fn readiness(gauges: &Gauges) -> Response {
    let health = gauges.health();
    let store = if health.store_failures_in_a_row == 0 { "ok" } else { "not_taking_records" };
    let spool = if health.spool_full { "full" } else { "ok" };
    Json(serde_json::json!({ "ready": true, "store": store, "spool": spool, "records": health })).into_response()
}
