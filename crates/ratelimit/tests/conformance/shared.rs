//! What several limiters that share do.

use proptest::prelude::*;
use tachograph_ratelimit::backend::{AccountStep, BucketStep, InProcess, Step};
use tachograph_ratelimit::{Denial, Rules, Shape, Spent};
use tachograph_record::Money;

use crate::backends::{Hands, NOON, raw, shared};
use crate::limits::{admit, budgets, usd, user};

fn cost(text: &str) -> Spent {
    Spent { cost: usd(text), counts: true, ..Spent::default() }
}

#[tokio::test]
async fn hard_case_30_two_gateways_have_one_budget_and_one_bucket() {
    for way in shared() {
        let hands = Hands::at(NOON);
        let mut rules = budgets(&[r#"{"amount":"1","period":"day"}"#]);
        rules.policies = vec!["1000;w=3600".parse().unwrap()];
        let (one, two) = (way.limiter(rules.clone(), &hands), way.limiter(rules, &hands));
        let mut let_in = 0;
        for turn in 0..200 {
            let limiter = if turn % 2 == 0 { &one } else { &two };
            if let Ok(admitted) = admit(limiter, user("alice"), "0.02").await {
                admitted.reservation.settle(cost("0.01"));
                let_in += 1;
            }
            one.tend().await;
            two.tend().await;
        }
        assert!((95..=100).contains(&let_in), "{}: {let_in} calls of a cent on a dollar", way.name);

        let rules = Rules { policies: vec!["40;w=3600;s=user".parse().unwrap()], ..Rules::default() };
        let (one, two) = (way.limiter(rules.clone(), &hands), way.limiter(rules, &hands));
        let mut let_in = 0;
        for turn in 0..100 {
            let limiter = if turn % 2 == 0 { &one } else { &two };
            if let Ok(admitted) = admit(limiter, user("bob"), "0").await {
                admitted.reservation.settle(cost("0"));
                let_in += 1;
            }
        }
        assert_eq!(let_in, 40, "{}", way.name);
    }
}

#[tokio::test]
async fn what_a_dead_process_held_is_free_when_its_lease_ends_and_what_it_spent_stays() {
    for way in shared() {
        let hands = Hands::at(NOON);
        let rules = budgets(&[r#"{"amount":"1","period":"day"}"#]);
        let (dies, lives) = (way.limiter(rules.clone(), &hands), way.limiter(rules, &hands));
        admit(&dies, user("alice"), "0.1").await.unwrap().reservation.settle(cost("0.1"));
        dies.tend().await;
        // Killed in the middle of a call: nobody ever settles it.
        std::mem::forget(admit(&dies, user("alice"), "0.8").await.unwrap());
        let Err(Denial::Exceeded { spent, reserved, .. }) = admit(&lives, user("bob"), "0.5").await else {
            panic!("{}", way.name)
        };
        assert!(spent == usd("0.1") && reserved >= usd("0.8"), "{}: {spent} {reserved}", way.name);
        hands.forward(29_000);
        assert!(admit(&lives, user("bob"), "0.5").await.is_err(), "{}: the lease holds", way.name);
        hands.forward(2_000);
        admit(&lives, user("bob"), "0.9").await.unwrap().reservation.settle(cost("0.9"));
        lives.tend().await;
        let account = &lives.snapshot("acme", 9).accounts[0];
        assert_eq!((account.spent, account.reserved), (usd("1"), Money::ZERO), "{}", way.name);
    }
}

#[tokio::test]
async fn a_living_process_keeps_what_its_long_call_needs() {
    for way in shared() {
        let hands = Hands::at(NOON);
        let rules = budgets(&[r#"{"amount":"1","period":"day"}"#]);
        let (long, other) = (way.limiter(rules.clone(), &hands), way.limiter(rules, &hands));
        let call = admit(&long, user("alice"), "0.8").await.unwrap();
        for _ in 0..10 {
            hands.forward(15_000);
            long.tend().await;
            assert!(admit(&other, user("bob"), "0.5").await.is_err(), "{}", way.name);
        }
        call.reservation.settle(cost("0.2"));
        long.finish().await;
        admit(&other, user("bob"), "0.8").await.unwrap().reservation.settle(cost("0.8"));
    }
}

fn bucket_steps() -> impl Strategy<Value = Step> {
    let bucket = (0..3_usize, 1..50_i64, 60..4_000_i64, -2..5_i64, 0..3_000_000_i64).prop_map(
        |(key, capacity, window_s, draw, owe)| BucketStep {
            key: format!("tb:{key}"),
            shape: Shape { capacity: capacity * 1_000_000 - 7, window_ms: window_s * 1_000 },
            draw: draw * 1_000_000,
            owe,
        },
    );
    let account =
        (0..2_usize, 0..3_i64, 0..40_u64, 0..3_000_i128, 0..3_000_i128).prop_map(|(key, slot, seq, total, want)| {
            // Amounts that carry from atto-dollars into micro-dollars.
            let money = |n: i128| Money::from_atto(n * 999_999_999_999_999 + n);
            AccountStep {
                key: format!("b:{key}"),
                limit: money(4_000),
                slot,
                oldest: slot - 1,
                expires_s: 4_000_000_000,
                seq,
                total: money(total),
                want: money(want),
            }
        });
    (0..3_usize, 0..3_000_i64, prop::collection::vec(bucket, 0..2), prop::collection::vec(account, 0..3)).prop_map(
        |(holder, at, mut buckets, mut accounts)| {
            // A message names each bucket and account once.
            buckets.dedup_by(|a, b| a.key == b.key);
            accounts.dedup_by(|a, b| a.key == b.key);
            Step { holder: format!("h{holder}"), lease_ms: 30_000, now: Some(NOON + at * 10), buckets, accounts }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// The plain functions say what is right; the script and the rows say the same, to the last digit.
    #[test]
    fn all_backends_answer_alike(steps in prop::collection::vec(bucket_steps(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for (name, backend) in raw() {
                let oracle = InProcess::default();
                let mut clock = NOON;
                for step in &steps {
                    // Each some time after the one before.
                    clock += step.now.unwrap_or_default() - NOON;
                    let step = &Step { now: Some(clock), ..step.clone() };
                    let told = backend.step(step).await.unwrap();
                    prop_assert_eq!(&told, &oracle.answer(step), "{}: {:?}", name, step);
                }
            }
            Ok(())
        })?;
    }
}
