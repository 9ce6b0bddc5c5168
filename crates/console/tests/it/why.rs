//! Why the bill moved, as asked over HTTP: a planted cause is named first, and parts add up.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::Value;
use tachograph_record::{
    Cost, CostLine, CostState, KeyId, Leaf, LogRecord, Money, PromptRef, SessionRef, Usage, UsageReading,
};
use tachograph_store::Store;
use uuid::Uuid;

use crate::desk::{Desk, call, desk_over};

const DAY: i64 = 86_400_000_000;
const CALLS: i64 = 400;
/// USD per million tokens, in atto-dollars per token.
const INPUT_PRICE: i128 = 2_000_000_000_000;
const OUTPUT_PRICE: i128 = 8_000_000_000_000;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn line(meter: &str, tokens: u64, price: i128) -> CostLine {
    let amount = Money::from_atto(i128::from(tokens) * price);
    CostLine {
        meter: meter.to_owned(),
        quantity: tokens.to_string(),
        price: "1".into(),
        per: 1_000_000,
        amount,
        exact: true,
    }
}

/// Who and what for, and how many tokens: what a plant changes.
struct Call {
    user: u64,
    prompt: u64,
    version: &'static str,
    team: u64,
    session: u64,
    key: u128,
    input: u64,
    output: u64,
}

impl Call {
    fn rolled(dice: &mut Dice) -> Self {
        Self {
            user: dice.below(20),
            prompt: dice.below(8),
            version: "v1",
            team: dice.below(6),
            session: dice.below(5),
            key: u128::from(dice.below(4)),
            input: 500 + dice.below(1_000),
            output: 50 + dice.below(200),
        }
    }

    fn at(&self, received_at: i64) -> LogRecord {
        let mut record = call(received_at);
        record.provider_model = Some("gpt-4o".into());
        record.asked.key = Some(KeyId::from(Uuid::from_u128(self.key)));
        let about = &mut record.asked.attribution;
        about.user = Some(format!("user-{}", self.user));
        about.prompt = Some(PromptRef { id: format!("prompt-{}", self.prompt), version: Some(self.version.into()) });
        about.session = Some(SessionRef {
            id: format!("s-{received_at}"),
            path: None,
            name: Some(format!("flow-{}", self.session)),
        });
        about.set_property("Team", format!("team-{}", self.team));
        record.reading.usage =
            UsageReading::Known(Usage::reported([(Leaf::INPUT, self.input), (Leaf::OUTPUT, self.output)]));
        let lines =
            vec![line("input_tokens", self.input, INPUT_PRICE), line("output_tokens", self.output, OUTPUT_PRICE)];
        record.cost = CostState::Priced(Box::new(Cost {
            total: lines.iter().map(|line| line.amount).sum(),
            lines,
            provider: "openai".into(),
            model: "gpt-4o".into(),
            matched_by: "exact id".into(),
            price_version: "1".into(),
            estimated: false,
            warnings: Vec::new(),
        }));
        record
    }
}

/// A day of calls, and the day after, whose calls the plant has changed.
fn two_days(seed: u64, plant: impl Fn(&mut Call)) -> Vec<LogRecord> {
    let mut dice = Dice(seed);
    (0..2 * CALLS)
        .map(|n| {
            let mut call = Call::rolled(&mut dice);
            if n >= CALLS {
                plant(&mut call);
            }
            call.at(n * DAY / CALLS)
        })
        .collect()
}

async fn why(records: &[LogRecord]) -> Value {
    let store = tachograph_store::open("sqlite::memory:", "nowhere".as_ref()).await.unwrap();
    store.migrate().await.unwrap();
    store.append(records).await.unwrap();
    let desk: Desk = desk_over(store as Arc<dyn Store>);
    let (status, told) = desk.json(&format!("/api/why?from={DAY}&until={}", 2 * DAY)).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    told
}

fn usd(amount: &Value) -> Money {
    amount.as_str().unwrap().parse().unwrap()
}

fn sum_of(parts: &Value) -> Money {
    parts.as_array().unwrap().iter().map(|part| usd(&part["amount"])).sum()
}

fn difference(of: &Value, [before, after]: [&str; 2]) -> i128 {
    usd(&of[after]).atto() - usd(&of[before]).atto()
}

type Plant = fn(&mut Call);

#[tokio::test]
async fn the_planted_cause_of_a_change_is_named_first() {
    let plants: [(&str, &str, Plant); 7] = [
        ("user", "user-7", |call| {
            if call.user == 7 {
                call.input *= 12
            }
        }),
        ("user", "user-3", |call| {
            if call.user == 3 {
                call.output *= 15
            }
        }),
        ("prompt", "prompt-2@v2", |call| {
            if call.prompt == 2 {
                (call.version, call.input) = ("v2", call.input * 9)
            }
        }),
        ("session_name", "flow-4", |call| {
            if call.session == 4 {
                call.output *= 8
            }
        }),
        ("prop.Team", "team-1", |call| {
            if call.team == 1 {
                call.input *= 8
            }
        }),
        ("key", "00000000-0000-0000-0000-000000000002", |call| {
            if call.key == 2 {
                call.input *= 6
            }
        }),
        // What became cheaper is named where the bill fell.
        ("session_name", "flow-0", |call| {
            if call.session == 0 {
                (call.input, call.output) = (1, 1)
            }
        }),
    ];
    for seed in 1..=3 {
        for (field, value, plant) in plants {
            let told = why(&two_days(seed, plant)).await;
            let cause = &told["cause"];
            assert_eq!(
                (cause["field"].as_str(), cause["value"].as_str()),
                (Some(field), Some(value)),
                "{seed}: {cause}"
            );
            assert_eq!(sum_of(&told["parts"]), usd(&told["change"]));
            assert_eq!(
                usd(&told["change"]).atto(),
                usd(&told["after"]["bill"]).atto() - usd(&told["before"]["bill"]).atto()
            );
            assert_eq!(sum_of(&cause["parts"]).atto(), difference(cause, ["before", "after"]));
            let other = told["parts"].as_array().unwrap().iter().find(|part| part["part"] == "other").unwrap();
            assert_eq!(usd(&other["amount"]), Money::ZERO, "tokens explain it all");
        }
    }
}

#[tokio::test]
async fn who_stood_still_while_all_grew_is_not_the_cause() {
    let told = why(&two_days(5, |call| {
        if call.key != 1 {
            (call.input, call.output) = (call.input * 9, call.output * 9);
        }
    }))
    .await;
    let cause = &told["cause"];
    assert_ne!(cause["value"], "00000000-0000-0000-0000-000000000001", "{cause}");
    assert!(difference(cause, ["before", "after"]) > 0, "{cause}");
}
