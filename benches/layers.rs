//! What each layer of control costs a call, in user space: the cache's key and a hit, a limit, a budget, a route, a guard.

#![allow(
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark that cannot start may panic; its macros write undocumented items"
)]

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tachograph_cache::{Cache, CacheLayer, Neighbours, Plan, Subject, Tenant, Usual, Wish};
use tachograph_guard::Injection;
use tachograph_ratelimit::{Ask, Budget, Limiter, Rules, Spent};
use tachograph_record::Money;
use tachograph_routing::{Choice, Lanes, Strategy, order};
use tower::{Layer, ServiceExt, service_fn};

fn request_of(bytes: usize) -> Bytes {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(bytes / 45);
    Bytes::from(format!(
        r#"{{"model":"gpt-4o-mini","stream":true,"temperature":0.2,"messages":[{{"role":"user","content":"{text}"}}],"user":"u"}}"#
    ))
}

fn plan(request: &Request<Bytes>) -> Result<Option<Plan>, tachograph_reply::ApiError> {
    let wish = Wish::of(request.headers(), Usual { enabled: true, ..Usual::default() })?;
    let tenant = Tenant::new(b"acme");
    let (seed, ignore, body) = (wish.seed.as_deref(), &*wish.ignore, request.body());
    let key = Subject { tenant, route: &["POST", "/"], headers: Vec::new(), seed, ignore, body }.key();
    Ok(Some(Plan::new(wish, tenant, key.served_by("here"), key.fingerprint())))
}

fn cache(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut group = c.benchmark_group("cache");
    for size in [1 << 10, 32 << 10] {
        let body = request_of(size);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(format!("key of {} KiB", size >> 10), |b| {
            let request = Request::new(body.clone());
            b.iter(|| plan(black_box(&request)));
        });
        let service = CacheLayer::new(Cache::in_memory(64 << 20), plan).layer(service_fn(async |_: Request<Bytes>| {
            Ok::<_, Infallible>(Response::new(Full::new(request_of(1 << 10))))
        }));
        let ask = async |request| {
            let answered: Result<_, Infallible> = service.clone().oneshot(request).await;
            let Ok(response) = answered;
            response.into_body().collect().await.map(|body| body.to_bytes().len()).ok()
        };
        runtime.block_on(ask(Request::new(body.clone())));
        group.bench_function(format!("hit of {} KiB", size >> 10), |b| {
            b.iter_batched(
                || Request::new(body.clone()),
                |request| runtime.block_on(ask(request)),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
    let held = Neighbours::new(1_000);
    let direction = |seed: usize| -> Vec<f32> {
        (0..1_536_usize)
            .map(|part| f32::from(u16::try_from((part * 31 + seed * 17) % 251).unwrap_or(0)) - 125.0)
            .collect()
    };
    let key = Subject { tenant: Tenant::new(b"a"), route: &[], headers: vec![], seed: None, ignore: &[], body: b"" };
    let key = key.key().served_by("m");
    for seed in 0..1_000 {
        held.remember(key, &direction(seed), key, std::time::Duration::from_secs(3_600));
    }
    let wanted = direction(77);
    c.bench_function("nearest of 1,000 questions, 1,536 dimensions", |b| {
        b.iter(|| held.nearest(key, black_box(&wanted), 0.95));
    });
}

fn limits(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let policy = || vec!["1000000000;w=60;s=user".parse().expect("a policy")];
    let budget: Budget = serde_json::from_str(r#"{"scope":{"user":"*"},"amount":"9e8","period":"month"}"#)
        .or_else(|_| serde_json::from_str(r#"{"scope":{"user":"*"},"amount":"900000000","period":"month"}"#))
        .expect("a budget");
    let budgets = vec![Arc::new(budget)];
    let rules = [
        ("a policy", Rules { policies: policy(), ..Rules::default() }),
        ("a budget", Rules { budgets: budgets.clone(), ..Rules::default() }),
        ("a policy and a budget", Rules { policies: policy(), budgets, ..Rules::default() }),
    ];
    let mut group = c.benchmark_group("admit and settle one call");
    for (name, rules) in rules {
        let limiter = Limiter::in_memory(rules);
        group.bench_function(name, |b| {
            b.iter(|| {
                runtime.block_on(async {
                    let subject = tachograph_ratelimit::Subject {
                        org: "acme",
                        key: Some("k"),
                        user: Some("alice"),
                        model: Some("gpt-4o-mini"),
                        properties: &[],
                    };
                    let worst = Money::from_atto(1_000_000_000_000);
                    let ask = Ask { subject, policies: &[], worst, downgraded: false, budgets_only: false };
                    if let Ok(admitted) = limiter.admit(ask).await {
                        admitted.reservation.settle(Spent { cost: worst, tokens: 10, counts: true, unpriced: false });
                    }
                });
            });
        });
    }
}

fn routing(c: &mut Criterion) {
    let lanes = Lanes::default();
    let choices: Vec<Choice> = (0..5_u32)
        .map(|n| Choice { lane: lanes.get(&format!("provider{n}/model")), weight: n + 1, price: Some(f64::from(n)) })
        .collect();
    let mut group = c.benchmark_group("order five targets");
    for (name, strategy, sticky) in [
        ("priority", Strategy::Priority, None),
        ("weighted", Strategy::Weighted, None),
        ("least busy", Strategy::LeastBusy, None),
        ("latency", Strategy::Latency, None),
        ("sticky", Strategy::Weighted, Some(7)),
    ] {
        let mut random = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                random += 1;
                order(strategy, black_box(&choices), sticky, random, 1_000_000)
            });
        });
    }
    group.finish();
    let lane = lanes.get("one/target");
    c.bench_function("pass a breaker and tell it", |b| {
        b.iter(|| lane.enter(black_box(1_000_000)).map(|permit| permit.succeeded(1_000_001)));
    });
}

fn guards(c: &mut Criterion) {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(23);
    let mut group = c.benchmark_group("guard");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("phrases of injections in 1 KiB", |b| b.iter(|| Injection.tries(black_box(&text))));
}

criterion_group!(benches, cache, limits, routing, guards);
criterion_main!(benches);
