//! Very many calls at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tachograph_ratelimit::{Limiter, Spent};
use tachograph_record::Money;

use crate::backends::{Hands, NOON, all, shared};
use crate::limits::{admit, budgets, usd, user};

/// Numbers that look random, and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// One caller who tries until the budget is used up: calls that cost something, fail, or are left.
async fn demand(limiter: Limiter, seed: u64, spent: Arc<AtomicU64>) {
    let (mut dice, mut refused) = (Dice(seed), 0);
    while refused < 8 {
        let worst = 2_000 + dice.roll(3_000);
        let admitted =
            admit(&limiter, user("alice"), &Money::from_atto(i128::from(worst) * 1_000_000_000_000).to_string()).await;
        let Ok(admitted) = admitted else {
            refused += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        tokio::task::yield_now().await;
        match dice.roll(10) {
            // It failed, or its client left before anything was sent.
            0 | 1 => drop(admitted),
            _ => {
                let cost = dice.roll(worst + 1);
                spent.fetch_add(cost, Ordering::SeqCst);
                let cost = Money::from_atto(i128::from(cost) * 1_000_000_000_000);
                admitted.reservation.settle(Spent { cost, counts: true, ..Spent::default() });
            }
        }
    }
}

async fn run(limiters: &[Limiter], name: &str) {
    let spent = Arc::new(AtomicU64::new(0));
    let mut tending = tokio::task::JoinSet::new();
    for limiter in limiters {
        let limiter = limiter.clone();
        tending.spawn(async move { limiter.maintain().await });
    }
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..1_000 {
        callers.spawn(demand(limiters[caller % limiters.len()].clone(), caller as u64, spent.clone()));
    }
    callers.join_all().await;
    tending.shutdown().await;
    for limiter in limiters {
        limiter.finish().await;
    }
    let spent = Money::from_atto(i128::from(spent.load(Ordering::SeqCst)) * 1_000_000_000_000);
    assert!(spent <= usd("1"), "{name}: {spent} of a dollar");
    assert!(spent >= usd("0.95"), "{name}: only {spent} of a dollar, with demand enough");
    limiters[0].tend().await;
    let _ = admit(&limiters[0], user("alice"), "9").await;
    let account = &limiters[0].snapshot("acme", 1).accounts[0];
    assert_eq!((account.spent, account.reserved), (spent, Money::ZERO), "{name}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hard_case_27_a_thousand_callers_spend_a_dollar_and_no_more() {
    for way in all() {
        let rules =
            budgets(&[r#"{"amount":"1","period":"day"}"#, r#"{"scope":{"user":"*"},"amount":"2","period":"month"}"#]);
        run(&[way.limiter(rules, &Hands::at(NOON))], way.name).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hard_case_27_two_gateways_spend_a_dollar_and_no_more() {
    for way in shared() {
        let rules = budgets(&[r#"{"amount":"1","period":"day"}"#]);
        let hands = Hands::at(NOON);
        run(&[way.limiter(rules.clone(), &hands), way.limiter(rules, &hands)], way.name).await;
    }
}
