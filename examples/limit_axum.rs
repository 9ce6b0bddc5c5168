//! Rate limits in your own axum server: ten calls a minute for each user, and whatever policy a client sends itself.
//!
//!     cargo run -p tachograph-examples --example limit_axum
//!     for n in $(seq 11); do curl -si localhost:3000/ -H 'x-user: alice' | head -1; done
//!     curl -si localhost:3000/ -H 'x-user: bob' -H 'Helicone-RateLimit-Policy: 1;w=60;s=user'

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use axum::Router;
use axum::extract::Request;
use axum::routing::get;
use tachograph_ratelimit::{Caller, Limiter, RateLimitLayer, Rules};

/// Whose share a request takes; none, for requests that nothing limits.
fn caller(request: &Request) -> Option<Caller> {
    let user = request.headers().get("x-user")?.to_str().ok()?;
    Some(Caller::of("acme").user(user).policies_of(request))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rules = Rules { policies: vec!["10;w=60;s=user".parse()?], ..Rules::default() };
    let limits = RateLimitLayer::new(Limiter::in_memory(rules), caller);
    let app = Router::new().route("/", get(async || "hello")).layer(limits);
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
