//! Connections: accepted, served, drained.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::Service;

/// How long a client may take for a request's head. Slower than this is an attack or a dead line.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// After a failed accept (out of file descriptors, mostly) wait for some to close instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until `shutdown` resolves, then lets those under way finish for at most `drain`.
///
/// # Errors
/// Only where the listener itself fails for good.
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    shutdown: impl Future<Output = ()>,
    drain: Duration,
) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).pipeline_flush(false);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(20));
    let (graceful, mut connections) = (GracefulShutdown::new(), JoinSet::new());
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_ended) = connections.join_next() => continue,
            () = &mut shutdown => break,
        };
        let Ok((socket, _peer)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Small frames leave at once: with Nagle's algorithm a token can wait 40 ms for the client's acknowledgement.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "a client left before it was served");
            continue;
        }
        let service = TowerToHyperService::new(service.clone());
        let serving = builder.serve_connection_with_upgrades(TokioIo::new(socket), service);
        let serving = graceful.watch(serving.into_owned());
        connections.spawn(async move {
            if let Err(error) = serving.await {
                tracing::debug!(error, "a connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(seconds = drain.as_secs(), "connections were still busy at the end of the drain; they are cut");
    }
    // Cutting what is left closes its records, which can then still be stored.
    connections.shutdown().await;
    Ok(())
}
