//! The meter in your own axum server: one record of every call, with tokens and exact cost.
//!
//!     cargo run -p tachograph-examples --example embed_axum
//!     curl -s localhost:3000/v1/chat/completions -d '{"model":"gpt-4o-mini"}'
//!
//! The handler stands for whatever answers in your service: a model in process, or a call to a provider. All it tells the
//! meter is which tap reads its answer.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::post;
use tachograph_pricing::{Catalog, PriceContext};
use tachograph_providers::{DialectId, dialect};
use tachograph_record::LogRecord;
use tachograph_telemetry::{MeterLayer, Receipt, RecordSink, Served};

/// Prints one line for each call. In production this hands the record to a queue, and the receipt tells when it is kept.
#[derive(Clone)]
struct Print;

impl RecordSink for Print {
    fn accept(&self, record: LogRecord) -> Receipt {
        let model = record.model().unwrap_or_default();
        let context = PriceContext::at(record.timing.received_at);
        let cost = Catalog::embedded().cost("openai", model, &record.reading.usage, &context);
        let cost = cost.total().map_or_else(|| cost.code().to_owned(), |total| format!("{total} USD"));
        println!("{} {} {model} {cost} in {} µs", record.asked.path, record.outcome, record.timing.end_us);
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
async fn main() -> std::io::Result<()> {
    let app = Router::new().route("/v1/chat/completions", post(answer)).layer(MeterLayer::new(Print));
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await
}
