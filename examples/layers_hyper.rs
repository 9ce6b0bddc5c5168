//! The same three layers in a plain hyper server, without any framework.
//!
//!     cargo run -p tachograph-examples --example layers_hyper
//!     curl -si localhost:3000/ -H 'x-user: alice' -H 'Helicone-Cache-Enabled: true' -d '{"model":"m"}'
//!
//! An address to listen on may be given as an argument.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tachograph_cache::{Cache, CacheLayer, Plan, Subject, Tenant, Usual, Wish};
use tachograph_ratelimit::{Caller, Limiter, RateLimitLayer, Rules};
use tachograph_record::LogRecord;
use tachograph_reply::ApiError;
use tachograph_telemetry::{MeterLayer, Receipt, RecordSink};
use tokio::task::JoinSet;
use tower::{ServiceBuilder, ServiceExt};

/// The largest body that is taken, in bytes.
const LARGEST: usize = 1 << 20;

/// Prints one line for each call.
#[derive(Clone)]
struct Print;

impl RecordSink for Print {
    fn accept(&self, record: LogRecord) -> Receipt {
        println!("{} {} in {} µs", record.asked.path, record.outcome, record.timing.end_us);
        Receipt::kept()
    }
}

fn caller(request: &Request<Bytes>) -> Option<Caller> {
    let user = request.headers().get("x-user")?.to_str().ok()?;
    Some(Caller::of("acme").user(user).policies_of(request))
}

fn plan(request: &Request<Bytes>) -> Result<Option<Plan>, ApiError> {
    let wish = Wish::of(request.headers(), Usual::default())?;
    let tenant = Tenant::new(b"acme");
    let route = [request.method().as_str(), request.uri().path()];
    let (seed, ignore, body) = (wish.seed.as_deref(), &*wish.ignore, request.body());
    let key = Subject { tenant, route: &route, headers: Vec::new(), seed, ignore, body }.key();
    Ok((!wish.is_empty()).then(|| Plan::new(wish, tenant, key.served_by("here"), key.fingerprint())))
}

async fn answer(_request: Request<Bytes>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"{\"hello\":\"world\"}"))))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rules = Rules { policies: vec!["10;w=60;s=user".parse()?], ..Rules::default() };
    let service = ServiceBuilder::new()
        .layer(MeterLayer::new(Print))
        .layer(RateLimitLayer::new(Limiter::in_memory(rules), caller))
        .layer(CacheLayer::new(Cache::in_memory(64 << 20), plan))
        .service(tower::service_fn(answer));
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await?;
        while connections.try_join_next().is_some() {}
        let service = service.clone();
        // The layers look at whole bodies, so each is read first.
        let whole = service_fn(move |request: Request<Incoming>| {
            let service = service.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = Limited::new(body, LARGEST).collect().await.map_err(|error| error.to_string())?;
                let answered = service.oneshot(Request::from_parts(head, body.to_bytes())).await;
                Ok::<_, String>(answered.unwrap_or_else(|never| match never {}))
            }
        });
        connections.spawn(async move {
            // How a connection ends is its client's business.
            let _ended = http1::Builder::new().serve_connection(TokioIo::new(socket), whole).await;
        });
    }
}
