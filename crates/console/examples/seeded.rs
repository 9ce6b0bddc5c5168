//! The console over a store in memory that is filled with made-up calls, for working on its pages:
//!
//! ```text
//! cargo run -p tachograph-console --example seeded -- [address] [rows] [ms between new calls, 0 for none]
//! ```
//!
//! Prints a login link; the key `demo` opens it as well. In debug builds the assets are read from disk at each request.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for working on the pages: it may fail and speak")]

#[path = "../tests/support/memory_store.rs"]
mod memory_store;

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use memory_store::MemoryStore;
use serde_json::{Value, json};
use tachograph_console::{Closing, ConsoleOptions, KeyCheck, LoginTokens, router};
use tachograph_record::{
    Asked, Attempt, Attribution, Body, CacheTtl, Control, Cost, CostLine, CostState, FinishReason, KeyId, Leaf,
    LogRecord, Meter, Money, OrgId, Outcome, Parameters, PromptRef, Reading, RecordId, RecordedError, SessionRef,
    Timestamp, Timing, Usage, UsageReading,
};
use tachograph_store::Store;

struct DemoKey(KeyId);

impl KeyCheck for DemoKey {
    fn verify(&self, key: &str) -> Option<(OrgId, KeyId)> {
        (key == "demo").then_some((OrgId::HOME, self.0))
    }

    fn is_active(&self, key: KeyId) -> bool {
        key == self.0
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8790".to_owned());
    let rows: u64 = arguments.next().map_or(Ok(400), |text| text.parse())?;
    let every: u64 = arguments.next().map_or(Ok(3_000), |text| text.parse())?;

    let (store, login) = (Arc::new(MemoryStore::default()), LoginTokens::new()?);
    let now = Timestamp::now().micros();
    let records: Vec<_> =
        (0..rows).map(|n| call(n, now - (n as i64) * (97_000_000 + (n as i64 * 7919 % 61) * 900_000))).collect();
    store.append(&records).await?;

    let keys = Arc::new(DemoKey(KeyId::generate()));
    let health = Arc::new(|| json!({ "status": "ok", "queue_depth": 0, "dropped": 0 }));
    let console = router(ConsoleOptions {
        price_of: None,
        routing: None,
        limits: None,
        settings: None,
        store: store.clone(),
        keys,
        login: login.clone(),
        health,
        closing: Closing::default(),
    });
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("http://{}/login?token={}", listener.local_addr()?, login.issue());
    let feed = async {
        if every == 0 {
            return std::future::pending().await;
        }
        for n in 1_000_000.. {
            tokio::time::sleep(Duration::from_millis(every)).await;
            let record = call(n * 31, Timestamp::now().micros() - 900_000);
            store.append(std::slice::from_ref(&record)).await.ok();
        }
    };
    tokio::select! {
        served = axum::serve(listener, console) => served?,
        () = feed => {}
    }
    Ok(())
}

struct Model {
    provider: &'static str,
    name: &'static str,
    api: &'static str,
    path: &'static str,
    /// USD per million tokens: fresh input, cache read, output; none where the book has no price.
    prices: Option<[&'static str; 3]>,
}

const OPENAI: (&str, &str) = ("openai.chat", "/v1/chat/completions");
const ANTHROPIC: (&str, &str) = ("anthropic.messages", "/v1/messages");

const MODELS: [Model; 6] = [
    Model {
        provider: "openai",
        name: "gpt-4o-mini-2024-07-18",
        api: OPENAI.0,
        path: OPENAI.1,
        prices: Some(["0.15", "0.075", "0.60"]),
    },
    Model {
        provider: "anthropic",
        name: "claude-sonnet-4-5-20250929",
        api: ANTHROPIC.0,
        path: ANTHROPIC.1,
        prices: Some(["3", "0.30", "15"]),
    },
    Model {
        provider: "openai",
        name: "gpt-4o-2024-08-06",
        api: OPENAI.0,
        path: OPENAI.1,
        prices: Some(["2.50", "1.25", "10"]),
    },
    Model {
        provider: "gemini",
        name: "gemini-2.5-flash",
        api: OPENAI.0,
        path: OPENAI.1,
        prices: Some(["0.30", "0.075", "2.50"]),
    },
    Model {
        provider: "groq",
        name: "llama-3.3-70b-versatile",
        api: OPENAI.0,
        path: OPENAI.1,
        prices: Some(["0.59", "0.59", "0.79"]),
    },
    Model { provider: "my-vllm", name: "acme/finetune-7b", api: OPENAI.0, path: OPENAI.1, prices: None },
];

const USERS: [Option<&str>; 6] =
    [Some("ada@example.com"), Some("grace"), None, Some("user-4711"), Some("linus"), Some("margaret.h")];

fn call(n: u64, received_at: i64) -> LogRecord {
    // A cheap mix, so that neighbours differ and every run is the same.
    let mix = |salt: u64| (n.wrapping_add(salt)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17) % 1009;
    let model = &MODELS[[0, 1, 0, 2, 3, 1, 4, 0, 5, 1][(mix(1) % 10) as usize]];
    let outcome = match mix(2) % 40 {
        0 | 1 => Outcome::UpstreamFailed,
        2 => Outcome::Refused,
        3 => Outcome::ClientGone,
        4 => Outcome::CutShort,
        _ => Outcome::Complete,
    };
    let served = matches!(outcome, Outcome::Complete | Outcome::ClientGone | Outcome::CutShort);
    let stream = mix(3) % 3 != 0;
    let (fresh, cached, out) = (40 + mix(4) * 3, if mix(5) % 3 == 0 { 1024 + mix(6) * 8 } else { 0 }, 5 + mix(7));
    let reasoning = if model.provider == "anthropic" { 64 } else { 0 };
    let mut usage = Usage::reported([
        (Leaf::INPUT, fresh),
        (Leaf::CACHE_READ, cached),
        (Leaf::OUTPUT, out),
        (Leaf::REASONING, reasoning),
    ]);
    if model.provider == "anthropic" && mix(8) % 4 == 0 {
        usage.add(Leaf::cache_write(CacheTtl::FiveMinutes), 512);
    }
    let (request, response) = bodies(model, n, usage.input_total(), usage.output_total());
    let sent = 180 + mix(9) % 400;
    let first = sent + 120_000 + mix(10) * 700;
    let end = if served { first + 20_000 + out * 9_000 } else { sent + 80_000 };
    let retried = mix(11) % 17 == 0;
    let (status, error) = match outcome {
        Outcome::UpstreamFailed => {
            (Some(529), Some(("overloaded_error", "The service is overloaded. Try again shortly.")))
        }
        Outcome::Refused => {
            (Some(429), Some(("rate_limited", "Policy `1000;w=3600;s=user` is used up; 312 s to wait.")))
        }
        Outcome::ClientGone => (Some(200), None),
        Outcome::CutShort => {
            (Some(200), Some(("incomplete_stream", "The provider closed the connection before the end of the answer.")))
        }
        _ => (Some(200), None),
    };
    let error = error.map(|(kind, message)| RecordedError { kind: kind.into(), code: None, message: message.into() });
    let mut attempts = Vec::new();
    if retried && outcome != Outcome::Refused {
        let overloaded = RecordedError { kind: "overloaded_error".into(), code: None, message: "Overloaded".into() };
        attempts.push(Attempt {
            provider: "anthropic".into(),
            model: Some("claude-haiku-4-5".into()),
            sent_us: sent,
            head_us: Some(sent + 60_000),
            status: Some(529),
            error: Some(overloaded),
            ..Attempt::default()
        });
    }
    if outcome != Outcome::Refused {
        let offset = if retried { 65_000 } else { 0 };
        attempts.push(Attempt {
            provider: model.provider.into(),
            model: Some(model.name.into()),
            sent_us: sent + offset,
            head_us: Some(first - 2_000),
            status,
            error: error.clone(),
            ..Attempt::default()
        });
    }
    let mut attribution =
        Attribution { user: USERS[(mix(12) % 6) as usize].map(str::to_owned), ..Attribution::default() };
    if mix(13) % 3 == 0 {
        attribution.session = Some(SessionRef {
            id: format!("session-{}", mix(14) % 12),
            path: Some("/plan/search".into()),
            name: Some("support agent".into()),
        });
    }
    if mix(15) % 4 == 0 {
        attribution.prompt = Some(PromptRef { id: "triage".into(), version: Some("v7".into()) });
    }
    attribution.set_property("Team", ["search", "support", "billing"][(mix(16) % 3) as usize]);
    attribution.set_property("Environment", if mix(17) % 5 == 0 { "staging" } else { "production" });
    let mut parameters = Parameters::default();
    for (name, value) in [("temperature", "0.2"), ("max_tokens", "1024"), ("response_format", r#"{"type":"text"}"#)] {
        parameters.push(Bytes::from_static(name.as_bytes()), Bytes::from_static(value.as_bytes()));
    }
    let capture = |body: &Bytes| Body::capture(body, 1 << 20);
    let cost = if served { priced(model, &usage) } else { CostState::NoUsage };
    LogRecord {
        id: RecordId::generate(),
        asked: Asked {
            key: Some(KeyId::generate()),
            api: Cow::Borrowed(model.api),
            path: model.path.to_owned(),
            model: Some(model.name.to_owned()),
            stream,
            parameters,
            attribution,
            body: capture(&request),
            trace_id: (mix(18) % 2 == 0).then(|| "4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
            ..Asked::default()
        },
        provider: (outcome != Outcome::Refused).then(|| model.provider.into()),
        provider_model: Some(model.name.to_owned()),
        attempts,
        status,
        outcome,
        error,
        timing: Timing {
            received_at: Timestamp::from_micros(received_at),
            upstream_sent_us: (outcome != Outcome::Refused).then_some(sent),
            first_byte_us: served.then_some(if stream { first - 4_000 } else { end - 300 }),
            first_token_us: (served && stream).then_some(first),
            end_us: if outcome == Outcome::Refused { 96 } else { end },
        },
        reading: Reading {
            usage: if served { UsageReading::Known(usage) } else { UsageReading::Absent },
            finish_reason: served.then_some(FinishReason::Stop),
            service_tier: (model.provider == "openai").then(|| "default".to_owned()),
            ended: outcome == Outcome::Complete,
            ..Reading::default()
        },
        cost,
        control: Control::default(),
        response: if served {
            capture(&response)
        } else {
            capture(&Bytes::from_static(
                br#"{"error":{"type":"overloaded_error","message":"The service is overloaded. Try again shortly."}}"#,
            ))
        },
    }
}

fn priced(model: &Model, usage: &Usage) -> CostState {
    let Some([input, read, output]) = model.prices else { return CostState::UnknownModel };
    let lines = usage.leaves().iter().filter_map(|&(leaf, count)| {
        let meter = Meter::Tokens(leaf).name();
        let price = match meter {
            "cache_read_tokens" => read,
            _ if meter.starts_with("output") => output,
            _ => input,
        };
        let amount = price.parse::<Money>().ok()?.checked_mul(count)?.checked_div_exact(1_000_000)?;
        Some(CostLine {
            meter: meter.into(),
            quantity: count.to_string(),
            price: price.into(),
            per: 1_000_000,
            amount,
            exact: true,
        })
    });
    let lines: Vec<_> = lines.collect();
    CostState::Priced(Box::new(Cost {
        total: lines.iter().map(|line| line.amount).sum(),
        lines,
        provider: model.provider.into(),
        model: model.name.split("-20").next().unwrap_or(model.name).into(),
        matched_by: "exact id".into(),
        price_version: "9f3c1a2b77de".into(),
        estimated: false,
        warnings: Vec::new(),
    }))
}

fn bodies(model: &Model, n: u64, input: u64, output: u64) -> (Bytes, Bytes) {
    const SYSTEM: &str = "You are the support agent of a shop for model trains. Answer in one short paragraph. Look orders up before you speak about them.";
    let question = [
        "Where is my order 7731?",
        "Which track gauge fits the *Big Boy* set?",
        "Sum up this thread in two lines:\n\n- delivery was late\n- the box was wet\n- the engine runs fine",
    ][(n % 3) as usize];
    let pixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mNk+M9Qz0AEYBxVSF+FABJADveWkH6oAAAAAElFTkSuQmCC";
    let (request, response): (Value, Value) = if model.api == ANTHROPIC.0 {
        (
            json!({ "model": model.name, "max_tokens": 1024, "temperature": 0.2, "system": SYSTEM, "messages": [
                { "role": "user", "content": question },
                { "role": "assistant", "content": [
                    { "type": "text", "text": "Let me look." },
                    { "type": "tool_use", "id": "toolu_01", "name": "find_order", "input": { "order": 7731, "include": ["status", "carrier"] } } ] },
                { "role": "user", "content": [
                    { "type": "tool_result", "tool_use_id": "toolu_01", "content": "{\"status\":\"in transit\",\"carrier\":\"Rail Post\",\"eta\":\"tomorrow\"}" } ] } ] }),
            json!({ "id": "msg_01", "type": "message", "role": "assistant", "model": model.name, "stop_reason": "end_turn", "content": [
                { "type": "thinking", "thinking": "The order is with Rail Post and due tomorrow. Keep it short.", "signature": "c2ln" },
                { "type": "text", "text": "Your order 7731 is with Rail Post and should be with you **tomorrow**." } ],
                "usage": { "input_tokens": input, "output_tokens": output } }),
        )
    } else {
        (
            json!({ "model": model.name, "temperature": 0.2, "max_tokens": 1024, "messages": [
                { "role": "system", "content": SYSTEM },
                { "role": "user", "content": [ { "type": "text", "text": question }, { "type": "image_url", "image_url": { "url": pixel } } ] } ] }),
            json!({ "id": "chatcmpl-1", "object": "chat.completion", "model": model.name, "choices": [
                { "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": "The *Big Boy* runs on H0 (16.5 mm).\n\nShall I show you a starter set?" } } ],
                "usage": { "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output } }),
        )
    };
    (Bytes::from(request.to_string()), Bytes::from(response.to_string()))
}
