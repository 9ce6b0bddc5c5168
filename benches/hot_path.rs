//! What one call costs in user space: the look at its body, the meter with its tap, hiding a usage frame, pricing.

#![allow(
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark that cannot start may panic; its macros write undocumented items"
)]

use std::convert::Infallible;
use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use tachograph_pricing::{Catalog, PriceContext};
use tachograph_providers::usage::{ApiShape, normalize};
use tachograph_providers::{DialectId, HideUsage, dialect, json};
use tachograph_record::{LogRecord, Timestamp, UsageReading};
use tachograph_telemetry::{MeterLayer, Receipt, RecordSink, Served};
use tower::{Layer, ServiceExt, service_fn};

#[derive(Clone)]
struct Nowhere;

impl RecordSink for Nowhere {
    fn accept(&self, record: LogRecord) -> Receipt {
        black_box(record);
        Receipt::kept()
    }
}

fn chunk(content: &str) -> Bytes {
    Bytes::from(format!(
        r#"data: {{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1760000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_1","choices":[{{"index":0,"delta":{{"content":"{content}"}},"logprobs":null,"finish_reason":null}}],"usage":null}}

"#
    ))
}

fn stream(pieces: usize) -> Vec<Bytes> {
    let mut events: Vec<Bytes> = (0..pieces).map(|n| chunk(&format!(" word{n}"))).collect();
    events.push(Bytes::from_static(
        b"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[],\"usage\":{\"prompt_tokens\":25,\"completion_tokens\":150,\"total_tokens\":175}}\n\ndata: [DONE]\n\n",
    ));
    events
}

fn request_of(bytes: usize) -> Bytes {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(bytes / 45);
    Bytes::from(format!(
        r#"{{"model":"gpt-4o-mini","stream":true,"temperature":0.2,"messages":[{{"role":"user","content":"{text}"}}],"user":"u"}}"#
    ))
}

fn look(c: &mut Criterion) {
    let mut group = c.benchmark_group("look at a request's top level");
    for size in [1 << 10, 32 << 10, 1 << 20] {
        let body = request_of(size);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(format!("{} KiB", size >> 10), |b| {
            b.iter(|| json::fields(black_box(&body)).map(|fields| fields.count()));
        });
    }
}

fn tap(c: &mut Criterion) {
    let events = stream(1_000);
    let mut group = c.benchmark_group("a stream of 1,000 pieces");
    group.throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("tap", |b| {
        b.iter(|| {
            let mut tap = dialect(DialectId::OpenAiChat).tap(true, 200);
            events.iter().for_each(|event| {
                black_box(tap.see(event));
            });
            tap.finish()
        });
    });
    group.bench_function("hide usage", |b| {
        b.iter(|| {
            let mut hide = HideUsage::default();
            events.iter().for_each(|event| hide.push(event, |piece| drop(black_box(piece))));
        });
    });
    group.bench_function("translate to Anthropic", |b| {
        b.iter(|| {
            let mut reader = dialect(DialectId::OpenAiChat).reader();
            let mut writer =
                dialect(DialectId::AnthropicMessages).writer(&tachograph_providers::Answering::default(), true);
            let (mut read, mut written) = (Vec::new(), bytes::BytesMut::new());
            for event in &events {
                reader.push(event, &mut read);
                read.drain(..).for_each(|event| writer.write(&event, &mut written));
                black_box(written.split());
            }
        });
    });
}

fn meter(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let service = MeterLayer::new(Nowhere).layer(service_fn(async |_request: Request<Empty<Bytes>>| {
        let mut response =
            Response::new(Full::new(Bytes::from_static(b"{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}")));
        let tap = dialect(DialectId::OpenAiChat).tap(false, 200);
        response.extensions_mut().insert(Served::default().with_tap(tap));
        Ok::<_, Infallible>(response)
    }));
    c.bench_function("meter one call", |b| {
        b.iter_batched(
            || (service.clone(), Request::new(Empty::new())),
            |(service, request)| {
                runtime.block_on(async {
                    service.oneshot(request).await.map(|response| response.into_body().collect()).ok()?.await.ok()
                })
            },
            BatchSize::SmallInput,
        );
    });
}

/// From the usage object that a provider sent to the cost: the budget is 2 µs.
fn price(c: &mut Criterion) {
    let catalog = Catalog::embedded();
    let context = PriceContext::at(Timestamp::now());
    let sent = [
        (
            "OpenAI",
            ApiShape::OpenAiChat,
            ("openai", "gpt-4o-mini-2024-07-18"),
            r#"{"prompt_tokens":1600,"completion_tokens":340,"total_tokens":1940,"prompt_tokens_details":{"cached_tokens":400,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":100,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#,
        ),
        (
            "Anthropic",
            ApiShape::AnthropicMessages,
            ("anthropic", "claude-sonnet-4-5-20250929"),
            r#"{"input_tokens":917,"cache_creation_input_tokens":300,"cache_read_input_tokens":4000,"output_tokens":814,"cache_creation":{"ephemeral_5m_input_tokens":200,"ephemeral_1h_input_tokens":100},"service_tier":"standard"}"#,
        ),
    ];
    let mut group = c.benchmark_group("normalise, match and price one call");
    for (name, shape, (provider, model), usage) in sent {
        let usage: serde_json::Value = serde_json::from_str(usage).expect("an object");
        group.bench_function(name, |b| {
            b.iter(|| {
                let usage = normalize(shape, provider, black_box(&usage)).map(UsageReading::Known);
                usage.map(|usage| catalog.cost(black_box(provider), black_box(model), &usage, &context))
            });
        });
    }
}

/// The whole built-in book as files in a folder: more than 10,000 models, for which the budget is 100 ms.
fn load(c: &mut Criterion) {
    let folder = [std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../pricing/providers"))];
    let mut group = c.benchmark_group("load the price book");
    group.sample_size(10);
    group.throughput(Throughput::Elements(Catalog::embedded().models().count() as u64));
    group.bench_function("from its files", |b| {
        b.iter(|| Catalog::of_files(black_box(&folder)).expect("the book is sound"));
    });
    group.bench_function("one overlay over the built-in book", |b| {
        let overlay = [folder[0].join("demo.toml")];
        b.iter(|| Catalog::with_overlays(black_box(&overlay)).expect("the overlay is sound"));
    });
}

criterion_group!(benches, look, tap, meter, price, load);
criterion_main!(benches);
