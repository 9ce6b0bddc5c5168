//! What every program of ours does around its work: open the store, listen, keep keys fresh, stop when told.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tachograph_store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::KeyRing;
use crate::commands::CommandError;
use crate::config::Config;

/// A key made or revoked by another process counts after at most this long.
const KEYS_RELOAD: Duration = Duration::from_secs(2);

/// Opens the configured store and brings its schema up to date.
///
/// # Errors
/// Where the data directory cannot be made, or the store cannot be reached or refuses.
pub async fn open_store(config: &Config) -> Result<Arc<dyn Store>, CommandError> {
    make_private_dir(&config.data_dir)?;
    let store = tachograph_store::open(config.store.url.expose(), &config.data_dir).await?;
    store.migrate().await?;
    Ok(store)
}

/// Bodies and keys' hashes live here: for its owner alone.
fn make_private_dir(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Listens there.
///
/// # Errors
/// Where the address is taken or not ours.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, CommandError> {
    let bound = TcpListener::bind(address).await;
    bound
        .map_err(|error| CommandError::Io(io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))))
}

/// Reads the keys anew again and again, for ever.
pub async fn reload_keys(keys: Arc<KeyRing>, store: Arc<dyn Store>) {
    loop {
        tokio::time::sleep(KEYS_RELOAD).await;
        if let Err(error) = keys.reload(&*store).await {
            tracing::warn!(%error, "API keys could not be read anew; those known stay valid");
        }
    }
}

/// Resolves when the process is asked to stop.
pub async fn stop_signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
