//! What a limiter does, whatever keeps its limits.

use std::sync::Arc;

use tachograph_ratelimit::{Admission, Ask, Budget, Denial, Limiter, Past, Policy, Rules, Spent, Subject};
use tachograph_record::{Money, Timestamp};

use crate::backends::{Hands, NOON, all};

pub(crate) fn usd(text: &str) -> Money {
    text.parse().unwrap()
}

pub(crate) fn budgets(json: &[&str]) -> Rules {
    let budgets = json.iter().map(|json| Arc::new(serde_json::from_str::<Budget>(json).unwrap())).collect();
    Rules { budgets, ..Rules::default() }
}

fn policies(texts: &[&str]) -> Rules {
    Rules { policies: texts.iter().map(|text| text.parse().unwrap()).collect(), ..Rules::default() }
}

pub(crate) fn user(name: &str) -> Subject<'_> {
    Subject { org: "acme", user: Some(name), model: Some("m"), ..Subject::default() }
}

pub(crate) async fn admit(limiter: &Limiter, subject: Subject<'_>, worst: &str) -> Result<Admission, Denial> {
    let ask = Ask { subject, policies: &[], worst: usd(worst), downgraded: false, budgets_only: false };
    limiter.admit(ask).await.map_err(|denial| *denial)
}

fn cost(text: &str) -> Spent {
    Spent { cost: usd(text), counts: true, ..Spent::default() }
}

#[tokio::test]
async fn a_quota_of_calls_is_used_up_and_fills_again() {
    for way in all() {
        let hands = Hands::at(NOON);
        let limiter = way.limiter(policies(&["3;w=60;s=user", "100;w=3600"]), &hands);
        for turn in 0..3 {
            let admitted = admit(&limiter, user("alice"), "0").await.unwrap();
            assert_eq!(admitted.quota.as_ref().unwrap().remaining, 2 - turn, "{}", way.name);
            admitted.reservation.settle(cost("0"));
        }
        let Err(Denial::Limited { quota, verdicts }) = admit(&limiter, user("alice"), "0").await else {
            panic!("{}", way.name)
        };
        assert_eq!(
            (quota.policy.as_str(), quota.remaining, quota.retry_s, quota.reset_s),
            ("3;w=60;s=user", 0, Some(20), 60)
        );
        assert_eq!(verdicts.iter().map(|verdict| verdict.verdict).collect::<Vec<_>>(), ["denied", "allowed"]);
        assert!(admit(&limiter, user("bob"), "0").await.is_ok(), "{}: his bucket is another", way.name);
        hands.forward(20_000);
        admit(&limiter, user("alice"), "0").await.unwrap().reservation.settle(cost("0"));
        assert!(admit(&limiter, user("alice"), "0").await.is_err(), "{}", way.name);
        // Those without a user are not limited by what is for users.
        assert!(admit(&limiter, Subject { org: "acme", ..Subject::default() }, "0").await.is_ok());
    }
}

#[tokio::test]
async fn what_is_refused_by_one_limit_takes_nothing_from_another() {
    for way in all() {
        let hands = Hands::at(NOON);
        let mut rules = policies(&["5;w=60"]);
        rules.budgets = budgets(&[r#"{"scope":{"user":"*"},"amount":"1","period":"day"}"#]).budgets;
        let limiter = way.limiter(rules, &hands);
        for _ in 0..20 {
            assert!(
                matches!(admit(&limiter, user("alice"), "1.01").await, Err(Denial::Exceeded { .. })),
                "{}",
                way.name
            );
        }
        for _ in 0..5 {
            admit(&limiter, user("alice"), "0.1").await.unwrap().reservation.settle(cost("0"));
        }
        assert!(matches!(admit(&limiter, user("alice"), "0.1").await, Err(Denial::Limited { .. })), "{}", way.name);
        let account = &limiter.snapshot("acme", 9).accounts[0];
        assert_eq!((account.spent, account.reserved), (Money::ZERO, Money::ZERO), "{}", way.name);
    }
}

#[tokio::test]
async fn calls_that_do_not_count_take_no_quota() {
    for way in all() {
        let limiter = way.limiter(policies(&["1;w=3600"]), &Hands::at(NOON));
        for _ in 0..10 {
            // From a cache, or left before it was sent.
            let admitted = admit(&limiter, user("alice"), "0").await.unwrap();
            drop(admitted.reservation);
        }
        admit(&limiter, user("alice"), "0").await.unwrap().reservation.settle(cost("0"));
        assert!(admit(&limiter, user("alice"), "0").await.is_err(), "{}", way.name);
    }
}

#[tokio::test]
async fn cents_and_tokens_go_into_debt_after_the_call() {
    for way in all() {
        let hands = Hands::at(NOON);
        let limiter = way.limiter(policies(&["10;w=60;u=cents", "1000;w=600;u=tokens"]), &hands);
        let admitted = admit(&limiter, user("alice"), "0").await.unwrap();
        admitted.reservation.settle(Spent { cost: usd("0.25"), tokens: 900, counts: true, unpriced: false });
        limiter.tend().await;
        let Err(Denial::Limited { quota, .. }) = admit(&limiter, user("alice"), "0").await else {
            panic!("{}", way.name)
        };
        assert_eq!(
            (quota.policy.as_str(), quota.remaining, quota.reset_s),
            ("10;w=60;u=cents", 0, 150),
            "{}",
            way.name
        );
        hands.forward(90_001);
        admit(&limiter, user("alice"), "0").await.unwrap().reservation.settle(Spent {
            tokens: 5_000,
            counts: true,
            ..Spent::default()
        });
        limiter.tend().await;
        let Err(Denial::Limited { quota, .. }) = admit(&limiter, user("alice"), "0").await else {
            panic!("{}", way.name)
        };
        assert_eq!(quota.policy, "1000;w=600;u=tokens", "{}", way.name);
    }
}

#[tokio::test]
async fn policies_of_the_call_hold_beside_the_rules() {
    for way in all() {
        let limiter = way.limiter(policies(&["3;w=60"]), &Hands::at(NOON));
        let brought: [Policy; 2] = ["1;w=60".parse().unwrap(), "9;w=3600".parse().unwrap()];
        let ask = |policies: &'static [Policy]| Ask {
            subject: user("alice"),
            policies,
            worst: Money::ZERO,
            downgraded: false,
            budgets_only: false,
        };
        let brought: &'static [Policy] = Box::leak(Box::new(brought));
        limiter.admit(ask(brought)).await.unwrap().reservation.settle(cost("0"));
        assert!(limiter.admit(ask(brought)).await.is_err(), "{}: by what it brought", way.name);
        for _ in 0..2 {
            limiter.admit(ask(&[])).await.unwrap().reservation.settle(cost("0"));
        }
        assert!(limiter.admit(ask(&[])).await.is_err(), "{}: by the rule, which no header gets around", way.name);
    }
}

#[tokio::test]
async fn budgets_hold_for_all_scopes_at_once_and_begin_anew() {
    for way in all() {
        let hands = Hands::at(NOON);
        let rules =
            budgets(&[r#"{"scope":{"user":"*"},"amount":"1","period":"day"}"#, r#"{"amount":"1.5","period":"month"}"#]);
        let limiter = way.limiter(rules, &hands);
        admit(&limiter, user("alice"), "1").await.unwrap().reservation.settle(cost("0.9"));
        assert!(admit(&limiter, user("alice"), "0.2").await.is_err(), "{}: alice has 0.1", way.name);
        admit(&limiter, user("bob"), "0.6").await.unwrap().reservation.settle(cost("0.6"));
        let Err(Denial::Exceeded { scope, spent, .. }) = admit(&limiter, user("carol"), "0.000000000000000001").await
        else {
            panic!("{}: the organisation has nothing", way.name)
        };
        assert_eq!((scope.as_str(), spent), ("organisation", usd("1.5")), "{}", way.name);
        // December.
        hands.forward(7 * 86_400_000);
        assert!(admit(&limiter, user("alice"), "1").await.is_ok(), "{}", way.name);
    }
}

#[tokio::test]
async fn hard_case_29_zero_is_a_budget() {
    for way in all() {
        let rules = budgets(&[r#"{"scope":{"user":"alice"},"amount":"0","period":"month"}"#]);
        let limiter = way.limiter(rules, &Hands::at(NOON));
        for worst in ["0", "0.1"] {
            let Err(denial) = admit(&limiter, user("alice"), worst).await else { panic!("{}", way.name) };
            assert_eq!((denial.status().as_u16(), denial.code()), (402, "budget_exceeded"));
        }
        assert!(admit(&limiter, user("bob"), "5").await.is_ok(), "{}: it is not his", way.name);
    }
}

#[tokio::test]
async fn hard_case_28_reservations_come_back_and_say_when() {
    for way in all() {
        let limiter = way.limiter(budgets(&[r#"{"amount":"1","period":"day"}"#]), &Hands::at(NOON));
        let long = admit(&limiter, user("alice"), "0.9").await.unwrap();
        let Err(denial) = admit(&limiter, user("bob"), "0.2").await else { panic!("{}", way.name) };
        assert_eq!((denial.status().as_u16(), denial.retry_s()), (429, Some(1)), "{}: it is only reserved", way.name);
        long.reservation.settle(cost("0.001"));
        admit(&limiter, user("bob"), "0.2").await.unwrap().reservation.settle(cost("0.2"));
        // A thousand calls that fail leave nothing reserved.
        for _ in 0..1_000 {
            drop(admit(&limiter, user("bob"), "0.7").await.unwrap());
        }
        let account = &limiter.snapshot("acme", 9).accounts[0];
        assert_eq!(
            (account.spent, account.reserved, account.remaining),
            (usd("0.201"), Money::ZERO, usd("0.799")),
            "{}",
            way.name
        );
    }
}

#[tokio::test]
async fn a_rolling_window_lets_go_of_what_is_older() {
    for way in all() {
        let hands = Hands::at(NOON);
        let limiter = way.limiter(budgets(&[r#"{"amount":"1","period":"1h"}"#]), &hands);
        admit(&limiter, user("alice"), "0.6").await.unwrap().reservation.settle(cost("0.6"));
        // What is spent is told within moments, and counts from then.
        limiter.tend().await;
        hands.forward(1_800_000);
        admit(&limiter, user("alice"), "0.4").await.unwrap().reservation.settle(cost("0.4"));
        limiter.tend().await;
        hands.forward(1_790_000);
        assert!(admit(&limiter, user("alice"), "0.1").await.is_err(), "{}: still within the hour", way.name);
        hands.forward(120_000);
        admit(&limiter, user("alice"), "0.6").await.unwrap().reservation.settle(cost("0.6"));
        assert!(admit(&limiter, user("alice"), "0.1").await.is_err(), "{}: the 0.4 still count", way.name);
    }
}

#[tokio::test]
async fn hard_case_24_a_cost_that_is_not_known_counts_as_what_was_reserved() {
    for way in all() {
        let limiter = way.limiter(budgets(&[r#"{"amount":"1","period":"day"}"#]), &Hands::at(NOON));
        let admitted = admit(&limiter, user("alice"), "0.75").await.unwrap();
        admitted.reservation.settle(Spent { counts: true, unpriced: true, ..Spent::default() });
        assert!(admit(&limiter, user("alice"), "0.3").await.is_err(), "{}", way.name);
        assert_eq!(limiter.counts().unpriced, 1);
    }
}

#[tokio::test]
async fn warnings_and_other_models_let_calls_through() {
    for way in all() {
        let rules = budgets(&[
            r#"{"name":"w","scope":{"user":"warned"},"amount":"0.1","period":"day","on_exceed":"warn"}"#,
            r#"{"name":"d","scope":{"user":"cheap"},"amount":"0.1","period":"day","on_exceed":{"downgrade":"small"}}"#,
        ]);
        let limiter = way.limiter(rules, &Hands::at(NOON));
        let admitted = admit(&limiter, user("warned"), "5").await.unwrap();
        assert_eq!(admitted.verdicts[0].verdict, "warned", "{}", way.name);
        admitted.reservation.settle(cost("3"));
        let Err(Denial::Exceeded { budget, .. }) = admit(&limiter, user("cheap"), "5").await else {
            panic!("{}", way.name)
        };
        assert_eq!(budget.name(), "d");
        let ask =
            Ask { subject: user("cheap"), policies: &[], worst: usd("0.2"), downgraded: true, budgets_only: false };
        assert_eq!(limiter.admit(ask).await.unwrap().verdicts[0].verdict, "downgraded", "{}", way.name);
    }
}

#[tokio::test]
async fn what_records_tell_is_counted_once() {
    for way in all() {
        let rules = budgets(&[r#"{"scope":{"user":"*"},"amount":"1","period":"day"}"#]);
        let limiter = way.limiter(rules, &Hands::at(NOON));
        let at = |ms: i64| Timestamp::from_micros(ms * 1_000);
        let past = [
            Past { subject: user("alice"), at: at(NOON - 3_600_000), cost: usd("0.5") },
            Past { subject: user("alice"), at: at(NOON - 60_000), cost: usd("0.25") },
            Past { subject: user("alice"), at: at(NOON - 86_400_000), cost: usd("9") },
        ];
        for _ in 0..3 {
            limiter.restore(&past).await.unwrap();
        }
        assert!(admit(&limiter, user("alice"), "0.26").await.is_err(), "{}", way.name);
        admit(&limiter, user("alice"), "0.25").await.unwrap().reservation.settle(cost("0.25"));
        limiter.tend().await;
        // The record of that call is there too now; it was counted when the call ended.
        let more = Past { subject: user("alice"), at: at(NOON), cost: usd("0.25") };
        limiter.restore(&[&past[..], &[more]].concat()).await.unwrap();
        let account = &limiter.snapshot("acme", 9).accounts[0];
        assert_eq!((account.spent, account.reserved), (usd("1"), Money::ZERO), "{}", way.name);
    }
}

#[tokio::test]
async fn what_is_told_afterwards_counts() {
    for way in all() {
        let hands = Hands::at(NOON);
        let limiter = way.limiter(budgets(&[r#"{"amount":"1","period":"day"}"#]), &hands);
        limiter.charge(&user("alice"), Timestamp::from_micros(NOON * 1_000), cost("1.5"));
        limiter.tend().await;
        assert!(admit(&limiter, user("alice"), "0.1").await.is_err(), "{}", way.name);
    }
}
