//! Budgets that are never overspent, and limits whose server freezes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tachograph_tests::{Atto, Cut, Gateway, Reply, Upstream, post};
use tokio::task::JoinSet;

use crate::postgres::Postgres;
use crate::redis::Redis;

/// Calls that are made at once.
const CALLS: u64 = 1_000;
/// How long what a dead gateway held stays held, in s.
const LEASE: u64 = 8;
const BUDGET: &str = "1";

/// Any 64 bits of a number, the same each time.
fn random(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Answers after a while, of a length that nobody knows before; one in ten fails, one in twenty breaks off.
async fn upstream() -> Upstream {
    Upstream::answering(|seen| {
        let asked = seen.json();
        let drawn = random(asked["seed"].as_u64().unwrap_or(0));
        let after = Duration::from_millis(drawn % 400);
        let most = asked["max_tokens"].as_u64().unwrap();
        let (prompt, completion) = (10 + drawn % 50, 1 + (drawn >> 8) % most);
        let usage =
            json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion });
        let answer = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o", "usage": usage,
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": "x" }, "finish_reason": "stop" }] });
        match (drawn >> 20) % 20 {
            0 | 1 => Reply::json(500, &json!({ "error": { "message": "no", "type": "server_error" } })).after(after),
            2 => Reply::json(200, &answer).in_pieces_of(40).after(after).cut_after(2, Cut::Reset),
            _ => Reply::json(200, &answer).after(after),
        }
    })
    .await
}

fn call(seed: u64, max_tokens: u64) -> http::Request<bytes::Bytes> {
    let messages = json!([{ "role": "user", "content": "How much is it?" }]);
    post(
        "/v1/chat/completions",
        &json!({ "model": "openai/gpt-4o", "seed": seed, "max_tokens": max_tokens, "messages": messages }),
    )
}

fn account(limits: &Value) -> (Atto, Atto) {
    let account = &limits["now"]["accounts"][0];
    let amount = |name: &str| account[name].as_str().map_or(Atto(0), |text| text.parse().unwrap());
    (amount("spent"), amount("reserved"))
}

/// What the rows of these gateways say was spent.
async fn spent_by_rows(gateways: &[Arc<Gateway>]) -> Atto {
    let mut sum = Atto(0);
    for gateway in gateways {
        let totals = gateway.api("/api/totals").await;
        sum = Atto(sum.0 + totals["cost"].as_str().map_or(0, |text| text.parse::<Atto>().unwrap().0));
    }
    sum
}

/// A thousand calls at once, of which one in ten leaves; `kill` strikes in their midst.
async fn storm(gateways: &[Arc<Gateway>], from: u64, kill: Option<&Gateway>) -> u64 {
    let (served, killed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        let seed = from + number;
        let gateway = gateways[usize::try_from(number).unwrap() % gateways.len()].clone();
        let (served, killed, on_victim) = (served.clone(), killed.clone(), number % 2 == 0 || gateways.len() == 1);
        calls.spawn(async move {
            // What had no connection yet when its gateway was killed finds nobody.
            if on_victim && killed.load(Ordering::SeqCst) {
                return;
            }
            let sending = gateway.try_open(call(seed, 400));
            if random(seed ^ 0xabc).is_multiple_of(10) {
                let _left = tokio::time::timeout(Duration::from_millis(random(seed) % 300), sending).await;
                return;
            }
            if let Ok(open) = sending.await
                && open.status == 200
            {
                open.collect().await;
                served.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    if let Some(gateway) = kill {
        tokio::time::sleep(Duration::from_millis(2_000)).await;
        killed.store(true, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(50)).await;
        gateway.signal("KILL");
    }
    while calls.join_next().await.is_some() {}
    served.load(Ordering::SeqCst)
}

/// Asks with the smallest of calls until nothing more fits.
async fn use_up(gateways: &[Arc<Gateway>]) {
    let (mut refused, mut seed) = (0, 1_000_000);
    let until = Instant::now() + Duration::from_secs(120);
    while refused < 20 && Instant::now() < until {
        seed += 1;
        let gateway = &gateways[usize::try_from(seed).unwrap() % gateways.len()];
        let answer = gateway.send(call(seed, 60)).await;
        match answer.status.as_u16() {
            // Held by another gateway for the moment, which gives it back when it is idle.
            429 => tokio::time::sleep(Duration::from_millis(100)).await,
            402 => refused += 1,
            _ => refused = 0,
        }
    }
}

async fn run(backend: &str, how_many: usize, kills: bool) {
    let upstream = upstream().await;
    let config = format!(
        "limits: {{ backend: \"{backend}\", lease: {LEASE}s, on_unavailable: deny, timeout: 10s }}\n\
         budgets: [ {{ amount: \"{BUDGET}\", period: month }} ]\nretries: {{ max_attempts: 1 }}\nlogging: {{ bodies: none }}"
    );
    let mut gateways = Vec::new();
    for _ in 0..how_many {
        gateways.push(Arc::new(Gateway::before(&upstream).config(&config).start().await));
    }
    let victim = kills.then(|| gateways[0].clone());
    let served = storm(&gateways, 1, victim.as_deref()).await;
    drop(victim);
    if kills {
        let again = gateways[0].again();
        drop(gateways.remove(0));
        gateways.insert(0, Arc::new(again.start().await));
    }
    storm(&gateways, CALLS + 1, None).await;
    use_up(&gateways).await;
    let until = Instant::now() + Duration::from_secs(4 * LEASE);
    let (spent, reserved) = loop {
        let standing = account(&gateways[how_many - 1].api("/api/limits").await);
        if standing.1 == Atto(0) || Instant::now() > until {
            break standing;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let rows = spent_by_rows(&gateways).await;
    let budget: Atto = BUDGET.parse().unwrap();
    println!(
        "{how_many} gateways on {backend}, killed: {kills}: {served} served of the first {CALLS}; settled {spent}, by rows {rows}, reserved {reserved}"
    );
    assert!(spent <= budget && rows <= budget, "{spent} and {rows} of {budget}");
    assert_eq!(reserved, Atto(0), "nothing stays reserved");
    assert!(spent.0 * 100 >= budget.0 * 95, "{spent}: demand was enough to use it up");
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_27_a_thousand_calls_at_once_never_overspend_a_dollar() {
    run("memory", 1, false).await;
    run("memory", 1, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_27_nor_do_two_gateways_on_one_redis() {
    let Some(redis) = Redis::start() else { return };
    run(&redis.url(), 2, false).await;
    let Some(redis) = Redis::start() else { return };
    run(&redis.url(), 2, true).await;
}

/// What is frozen, and what happens to calls meanwhile as declared. With a wait of two seconds, calls that all waited
/// would not be over in time: at most a few may.
async fn frozen(what: &str, backend: &str, store: &str, declared: &str, freeze: impl Fn(bool)) {
    const AT_A_TIME: u32 = 200;
    let upstream = Upstream::answering(|_| tachograph_tests::golden::OPENAI_CHAT.reply()).await;
    let config = format!(
        "{store}\nlimits: {{ backend: \"{backend}\", timeout: 2s, on_unavailable: {declared}, policies: [ \"100000;w=3600;s=user\" ] }}\n\
             budgets: [ {{ name: {declared}, amount: \"1000\", period: month }} ]"
    );
    let gateway = Gateway::before(&upstream).config(&config).start().await;
    let seed = std::sync::atomic::AtomicU64::new(0);
    // Of the users one in four is a new one each time, for whom this gateway holds no part of any limit.
    let many = async |time: &str| {
        let (mut took, mut seen) = (Vec::new(), Vec::new());
        for _ in 0..AT_A_TIME {
            let mut request = call(seed.fetch_add(1, Ordering::SeqCst), 50);
            let user = seed.load(Ordering::SeqCst) % 40;
            let user = if user.is_multiple_of(4) { format!("{time}-{user}") } else { format!("user-{user}") };
            request.headers_mut().insert("helicone-user-id", user.parse().unwrap());
            let began = Instant::now();
            seen.push(gateway.send(request).await.status.as_u16());
            took.push(began.elapsed());
        }
        took.sort_unstable();
        (took[took.len() * 99 / 100], took.iter().sum::<Duration>(), seen)
    };
    let (before, _, seen) = many("before").await;
    assert!(seen.iter().all(|status| *status == 200));
    freeze(true);
    let (during, whole, seen) = many("during").await;
    freeze(false);
    let served = seen.iter().filter(|status| **status == 200).count();
    println!("{what} frozen, {declared}: p99 {before:?} before, {during:?} meanwhile; {served} of {AT_A_TIME} served");
    let refused = seen.iter().filter(|status| **status == 503).count();
    assert_eq!(served + refused, seen.len(), "{what}, {declared}: {seen:?}");
    assert_eq!(refused > 0, declared == "deny", "{what}, {declared}: {seen:?}");
    assert!(whole < Duration::from_secs(u64::from(AT_A_TIME)), "{what}, {declared}: calls wait for it: {whole:?}");
    // What was used meanwhile is told once it answers again.
    let by_rows =
        gateway.rows().await.iter().filter_map(|row| row["cost"]["total"].as_str()?.parse().ok()).sum::<Atto>();
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let (spent, _) = account(&gateway.api("/api/limits").await);
        let served = gateway.send(call(0, 50)).await.status == 200;
        if served && spent >= by_rows {
            break;
        }
        assert!(Instant::now() < until, "{what}, {declared}: {spent} of {by_rows} after it answers again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_31_a_frozen_redis_holds_up_no_call() {
    for declared in ["allow", "deny"] {
        let Some(redis) = Redis::start() else { return };
        frozen("Redis", &redis.url(), "", declared, |frozen| redis.freeze(frozen)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_31_a_frozen_postgres_holds_up_no_call() {
    for declared in ["allow", "deny"] {
        let Some(postgres) = Postgres::start() else { return };
        let store = format!("store: {{ url: \"{}\" }}", postgres.url());
        frozen("Postgres", "postgres", &store, declared, |frozen| postgres.freeze(frozen)).await;
    }
}
