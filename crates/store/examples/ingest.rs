//! Rows a second, CPU and bytes a row of a store, and how long questions take over them:
//! `cargo run --release -p tachograph-store --example ingest -- URL [ROWS] [DAYS] [bodies]`.
//!
//! Rows are those of calls as the gateway writes them: usage, an itemised cost, an attempt, parameters, a user, a session
//! and three properties, spread over days up to now. It leaves them in the store, so give it one of its own.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tachograph_record::{
    Asked, Attempt, Attribution, Body, Control, Cost, CostLine, CostState, KeyId, Leaf, LogRecord, Money, OrgId,
    Outcome, Parameters, Reading, RecordId, RecordedError, SessionRef, Timestamp, Timing, Usage, UsageReading,
};
use tachograph_store::{Breakdown, Every, Fact, Field, Filter, Predicate, Search, Spread, Store, open};

const BATCH: usize = 1_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("give the URL of an empty store")?;
    let rows: usize = arguments.next().map_or(Ok(50_000), |rows| rows.parse())?;
    let days: i64 = arguments.next().map_or(Ok(30), |days| days.parse())?;
    let bodies = arguments.next().is_some();
    let store = open(&url, &std::env::temp_dir()).await?;
    store.migrate().await?;
    let (mut wall, mut cpu, mut done) = (0.0, 0.0, 0);
    let now = Timestamp::now().micros();
    let step = days * 86_400_000_000 / i64::try_from(rows.max(1))?;
    let mut last = RecordId::generate();
    while done < rows {
        let moment = |at: usize| now - step * i64::try_from(rows - at).unwrap_or(0);
        let batch: Vec<_> = (done..(done + BATCH).min(rows)).map(|at| call(at, moment(at), bodies)).collect();
        last = batch.last().map_or(last, |record| record.id);
        let (began, used) = (Instant::now(), cpu_seconds()?);
        store.append(&batch).await?;
        wall += began.elapsed().as_secs_f64();
        cpu += cpu_seconds()? - used;
        done += batch.len();
        if done % 200_000 == 0 {
            // As a logger does beside it.
            while store.roll_up(Timestamp::from_micros(moment(done))).await? > 0 {}
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
    let count = rows.max(1) as f64;
    let mut out = std::io::stdout();
    let (rate, each) = (count / wall, cpu / count * 1e6);
    writeln!(out, "{rows} rows: {rate:.0} rows/s, {each:.1} µs of this process's CPU a row")?;
    let began = Instant::now();
    while store.roll_up(Timestamp::now()).await? > 0 {}
    writeln!(out, "the rest of the rollups: {:.1} s", began.elapsed().as_secs_f64())?;
    ask(&*store, now, last).await?;
    store.close().await?;
    Ok(())
}

/// Asks what pages ask, three times each, and tells the middle one.
async fn ask(store: &dyn Store, now: i64, last: RecordId) -> Result<(), Box<dyn std::error::Error>> {
    const DAY: i64 = 86_400_000_000;
    let since = |days: i64| Filter { from: Some(Timestamp::from_micros(now - days * DAY)), ..Filter::default() };
    let every = |micros: i64| Some(Every { micros, offset: 0 });
    let whole = |days: i64| Breakdown::whole(OrgId::HOME, since(days));
    let by = |fact: Fact, days: i64| Breakdown { by: vec![fact.into()], limit: 50, ..whole(days) };
    let spreads = || vec![Spread::Latency, Spread::FirstToken];
    let of_model = |days: i64| since(days).and(Predicate::is(Fact::Model, "claude-haiku-4-5"));
    let property = Field::Property("env".into());
    let of_property = since(1).and(Predicate::present(property.clone()));
    let questions = [
        ("sums and percentiles of 24 h", Breakdown { spreads: spreads(), ..whole(1) }),
        ("sums and percentiles of 30 days", Breakdown { spreads: spreads(), ..whole(30) }),
        ("series of 24 h by 15 min and model", Breakdown { every: every(900_000_000), ..by(Fact::Model, 1) }),
        (
            "series of 30 days by 6 h and model",
            Breakdown { every: every(DAY / 4), limit: 20_000, ..by(Fact::Model, 30) },
        ),
        (
            "the same with percentiles",
            Breakdown { every: every(DAY / 4), spreads: spreads(), limit: 20_000, ..by(Fact::Model, 30) },
        ),
        ("users of 24 h", by(Fact::User, 1)),
        ("users of 30 days", by(Fact::User, 30)),
        ("users of 24 h of one model", Breakdown { filter: of_model(1), ..by(Fact::User, 1) }),
        ("keys of 30 days", by(Fact::Key, 30)),
        ("errors of 30 days of one model", Breakdown { filter: of_model(30), ..by(Fact::ErrorKind, 30) }),
        ("a property of 24 h", Breakdown { by: vec![property], filter: of_property, ..whole(1) }),
        (
            "calls of one user in 24 h",
            Breakdown { filter: since(1).and(Predicate::is(Fact::User, "user-7")), ..whole(1) },
        ),
    ];
    let mut out = std::io::stdout();
    let middle = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().unwrap_or_default() * 1e3
    };
    for (name, asked) in questions {
        let (mut times, mut groups) = (Vec::new(), 0);
        for _ in 0..3 {
            let began = Instant::now();
            groups = store.groups(&asked).await?.groups.len();
            times.push(began.elapsed().as_secs_f64());
        }
        writeln!(out, "{:8.1} ms  {name} ({groups} groups)", middle(times))?;
    }
    let mut search = Search::new(OrgId::HOME, Filter::default());
    search.limit = 50;
    let (mut latest, mut one) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let began = Instant::now();
        store.search(&search).await?;
        latest.push(began.elapsed().as_secs_f64());
        let began = Instant::now();
        store.fetch(OrgId::HOME, last).await?;
        one.push(began.elapsed().as_secs_f64());
    }
    writeln!(out, "{:8.1} ms  the latest 50\n{:8.1} ms  one by its id", middle(latest), middle(one))?;
    Ok(())
}

/// User and system time of this process, from Linux's `/proc`.
fn cpu_seconds() -> Result<f64, Box<dyn std::error::Error>> {
    let mut total = 0.0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let told = std::fs::read_to_string(task?.path().join("schedstat"))?;
        total += told.split_ascii_whitespace().next().unwrap_or("0").parse::<f64>()? / 1e9;
    }
    Ok(total)
}

/// A UUIDv7 of that moment.
fn id_of(received_at: i64, mixed: u64) -> RecordId {
    let millis = u128::from(received_at.unsigned_abs() / 1_000);
    let rest = u128::from(mixed) | (u128::from(received_at.unsigned_abs() % 1_000) << 44);
    uuid::Uuid::from_u128((millis << 80) | (0x7 << 76) | (0x2 << 62) | (rest & ((1 << 62) - 1))).into()
}

fn call(at: usize, received_at: i64, bodies: bool) -> LogRecord {
    let number = u64::try_from(at).unwrap_or(0);
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let (input, output) = (mixed % 9_000, mixed % 700);
    const MODELS: [(&str, &str, &str); 5] = [
        ("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
        ("openai", "gpt-4o", "gpt-4o-2024-11-20"),
        ("anthropic", "claude-haiku-4-5", "claude-haiku-4-5"),
        ("gemini", "gemini-2.5-flash", "gemini-2.5-flash"),
        ("openai", "o3", "o3-2025-04-16"),
    ];
    let (provider, asked_model, model) = MODELS[at * 7 % 11 % 5];
    let failed = mixed % 50 == 0;
    let mut parameters = Parameters::default();
    parameters.push(Bytes::from_static(b"temperature"), Bytes::from_static(b"0.7"));
    parameters.push(Bytes::from_static(b"max_tokens"), Bytes::from_static(b"1024"));
    let line = |meter: &str, count: u64, price: &str, atto: u64| CostLine {
        meter: meter.to_owned(),
        quantity: count.to_string(),
        price: price.to_owned(),
        per: 1_000_000,
        amount: Money::from_atto(i128::from(count * atto)),
        exact: true,
    };
    let lines = vec![
        line("input_tokens", input, "0.15", 150_000_000_000),
        line("output_tokens", output, "0.6", 600_000_000_000),
    ];
    let total = lines.iter().map(|line| line.amount).sum();
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(20);
    let body = |side: &str| match bodies {
        true => Body::capture(&Bytes::from(format!("{{\"{side}\":\"{mixed} {text}\"}}")), 4 << 20),
        false => Body::default(),
    };
    LogRecord {
        id: id_of(received_at, mixed),
        asked: Asked {
            org: OrgId::HOME,
            key: Some(KeyId::from(uuid::Uuid::from_u128(u128::from(mixed % 20)))),
            api: "openai.chat".into(),
            path: "/v1/chat/completions".into(),
            model: Some(format!("{provider}/{asked_model}")),
            stream: true,
            parameters,
            attribution: Attribution {
                user: Some(format!("user-{}", mixed % 5_000)),
                session: Some(SessionRef {
                    id: format!("session-{}", mixed % 50_000),
                    path: Some("/agent/plan".into()),
                    name: Some("agent".into()),
                }),
                properties: vec![
                    ("app".into(), "bench".into()),
                    ("env".into(), "prod".into()),
                    ("feature".into(), format!("f{}", mixed % 3_000)),
                ],
                ..Attribution::default()
            },
            body: body("request"),
            ..Asked::default()
        },
        provider: Some(Arc::from(provider)),
        provider_model: Some(asked_model.into()),
        attempts: vec![Attempt {
            provider: "openai".into(),
            model: Some("gpt-4o-mini".into()),
            sent_us: 90,
            head_us: Some(200_000 + mixed % 90_000),
            first_token_us: Some(300_000 + mixed % 90_000),
            status: Some(200),
            ..Attempt::default()
        }],
        status: Some(if failed { 529 } else { 200 }),
        outcome: if failed { Outcome::UpstreamFailed } else { Outcome::Complete },
        error: failed.then(|| RecordedError { kind: "overloaded".into(), code: None, message: "Overloaded".into() }),
        timing: Timing {
            received_at: Timestamp::from_micros(received_at),
            upstream_sent_us: Some(90),
            first_byte_us: Some(200_000 + mixed % 90_000),
            first_token_us: Some(300_000 + mixed % 90_000),
            end_us: 700_000 + mixed % 900_000,
        },
        reading: Reading {
            model: Some(model.into()),
            usage: UsageReading::Known(Usage::reported([(Leaf::INPUT, input), (Leaf::OUTPUT, output)])),
            ..Reading::default()
        },
        cost: CostState::Priced(Box::new(Cost {
            total,
            lines,
            provider: "openai".into(),
            model: "gpt-4o-mini".into(),
            matched_by: "exact".into(),
            price_version: "2026-11-20".into(),
            estimated: false,
            warnings: Vec::new(),
        })),
        control: Control::default(),
        response: body("response"),
    }
}
