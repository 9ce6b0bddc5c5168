//! All three layers in your own axum server: the meter, rate limits, and a cache that answers what was asked before.
//!
//!     cargo run -p tachograph-examples --example layers_axum
//!     curl -si localhost:3000/v1/chat/completions -H 'x-user: alice' -H 'Helicone-Cache-Enabled: true' -d '{"model":"m"}'
//!
//! The second time the answer says `helicone-cache: HIT`; after ten calls of one user in a minute it is a 429. Each call
//! is one line on standard output, however it was answered. An address to listen on may be given as an argument.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tachograph_cache::{Cache, CacheLayer, Plan, Subject, Tenant, Usual, Wish};
use tachograph_providers::{DialectId, dialect};
use tachograph_ratelimit::{Caller, Limiter, RateLimitLayer, Rules};
use tachograph_record::LogRecord;
use tachograph_reply::ApiError;
use tachograph_telemetry::{MeterLayer, Receipt, RecordSink, Served};

/// The largest body that is taken, in bytes.
const LARGEST: usize = 1 << 20;

/// A request's body, read once for all who look at it.
#[derive(Clone)]
struct Whole(Bytes);

async fn read(request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, LARGEST).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    head.extensions.insert(Whole(bytes.clone()));
    next.run(Request::from_parts(head, Body::from(bytes))).await
}

/// Whose share a request takes, by your own authentication.
fn caller(request: &Request) -> Option<Caller> {
    let user = request.headers().get("x-user")?.to_str().ok()?;
    Some(Caller::of("acme").user(user).policies_of(request))
}

/// What is to be done for a request, and what makes it the request that it is.
fn plan(request: &Request) -> Result<Option<Plan>, ApiError> {
    let wish = Wish::of(request.headers(), Usual::default())?;
    let Some(Whole(body)) = request.extensions().get::<Whole>() else { return Ok(None) };
    let tenant = Tenant::new(b"acme");
    let route = [request.method().as_str(), request.uri().path()];
    let (seed, ignore) = (wish.seed.as_deref(), &*wish.ignore);
    let key = Subject { tenant, route: &route, headers: Vec::new(), seed, ignore, body }.key();
    Ok((!wish.is_empty()).then(|| Plan::new(wish, tenant, key.served_by("here"), key.fingerprint())))
}

/// Prints one line for each call; in production it hands the record to a queue.
#[derive(Clone)]
struct Print;

impl RecordSink for Print {
    fn accept(&self, record: LogRecord) -> Receipt {
        let status = record.status.unwrap_or_default();
        println!("{} {status} {} in {} µs", record.asked.path, record.outcome, record.timing.end_us);
        Receipt::kept()
    }
}

async fn answer() -> Response {
    const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1760000000,"model":"gpt-4o-mini",
        "choices":[{"index":0,"message":{"role":"assistant","content":"Hello."},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":500,"completion_tokens":300,"total_tokens":800}}"#;
    let mut response = Response::new(Body::from(ANSWER));
    let tap = dialect(DialectId::OpenAiChat).tap(false, 200);
    response.extensions_mut().insert(Served::default().with_tap(tap));
    response
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rules = Rules { policies: vec!["10;w=60;s=user".parse()?], ..Rules::default() };
    let app = Router::new()
        .route("/v1/chat/completions", post(answer))
        // Innermost first: axum's last layer is the outermost.
        .layer(CacheLayer::new(Cache::in_memory(64 << 20), plan))
        .layer(RateLimitLayer::new(Limiter::in_memory(rules), caller))
        .layer(MeterLayer::new(Print))
        .layer(from_fn(read));
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
