//! Rows a second, CPU and bytes a row of a store: `cargo run --release -p tachograph-store --example ingest -- URL [ROWS] [bodies]`.
//!
//! Rows are those of calls as the gateway writes them: usage, an itemised cost, an attempt, parameters, a user, a session
//! and three properties. It leaves them in the store, so give it one of its own.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tachograph_record::{
    Asked, Attempt, Attribution, Body, Control, Cost, CostLine, CostState, KeyId, Leaf, LogRecord, Money, OrgId,
    Outcome, Parameters, Reading, RecordId, SessionRef, Timestamp, Timing, Usage, UsageReading,
};
use tachograph_store::open;

const BATCH: usize = 1_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("give the URL of an empty store")?;
    let rows: usize = arguments.next().map_or(Ok(50_000), |rows| rows.parse())?;
    let bodies = arguments.next().is_some();
    let store = open(&url, &std::env::temp_dir()).await?;
    store.migrate().await?;
    let (mut wall, mut cpu, mut done) = (0.0, 0.0, 0);
    while done < rows {
        let batch: Vec<_> = (done..(done + BATCH).min(rows)).map(|at| call(at, bodies)).collect();
        let (began, used) = (Instant::now(), cpu_seconds()?);
        store.append(&batch).await?;
        wall += began.elapsed().as_secs_f64();
        cpu += cpu_seconds()? - used;
        done += batch.len();
    }
    store.close().await?;
    #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
    let count = rows as f64;
    writeln!(
        std::io::stdout(),
        "{rows} rows: {:.0} rows/s, {:.1} µs of this process's CPU a row",
        count / wall,
        cpu / count * 1e6
    )?;
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

fn call(at: usize, bodies: bool) -> LogRecord {
    let number = u64::try_from(at).unwrap_or(0);
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let (input, output) = (mixed % 9_000, mixed % 700);
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
        id: RecordId::generate(),
        asked: Asked {
            org: OrgId::HOME,
            key: Some(KeyId::from(uuid::Uuid::from_u128(u128::from(mixed % 20)))),
            api: "openai.chat".into(),
            path: "/v1/chat/completions".into(),
            model: Some("openai/gpt-4o-mini".into()),
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
        provider: Some(Arc::from("openai")),
        provider_model: Some("gpt-4o-mini".into()),
        attempts: vec![Attempt {
            provider: "openai".into(),
            model: Some("gpt-4o-mini".into()),
            sent_us: 90,
            head_us: Some(200_000 + mixed % 90_000),
            first_token_us: Some(300_000 + mixed % 90_000),
            status: Some(200),
            ..Attempt::default()
        }],
        status: Some(200),
        outcome: Outcome::Complete,
        error: None,
        timing: Timing {
            received_at: Timestamp::now(),
            upstream_sent_us: Some(90),
            first_byte_us: Some(200_000 + mixed % 90_000),
            first_token_us: Some(300_000 + mixed % 90_000),
            end_us: 700_000 + mixed % 900_000,
        },
        reading: Reading {
            model: Some("gpt-4o-mini-2024-07-18".into()),
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
