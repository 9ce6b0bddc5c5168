//! What is told of budgets, and what is remembered of those who never spent anything.

use tachograph_ratelimit::{Limiter, LimiterOptions, Spent, What};
use tachograph_record::Money;
use tokio::sync::mpsc::channel;

use crate::backends::{Hands, NOON, all};
use crate::limits::{admit, budgets, usd, user};

fn cost(text: &str) -> Spent {
    Spent { cost: usd(text), counts: true, ..Spent::default() }
}

#[tokio::test]
async fn a_threshold_is_told_once_in_a_period_with_what_is_spent() {
    let hands = Hands::at(NOON);
    let rules = budgets(&[r#"{"name":"b","scope":{"user":"*"},"amount":"1","period":"day","thresholds":[50,80,100]}"#]);
    let (sender, mut told) = channel(64);
    let events: Option<Box<dyn tachograph_ratelimit::EventSink>> = Some(Box::new(sender));
    let limiter = Limiter::new(LimiterOptions { rules, shared: None, events, clock: Some(hands.clock()) });
    let mut spend = async |who: &str, amount: &str| {
        admit(&limiter, user(who), amount).await.unwrap().reservation.settle(cost(amount));
        let mut seen = Vec::new();
        while let Ok(event) = told.try_recv() {
            assert_eq!((event.org.as_str(), event.budget.as_str(), event.amount), ("acme", "b", usd("1")));
            assert_eq!(event.scope, format!("user:{who}"));
            seen.push((event.what, event.spent.to_string()));
        }
        seen
    };
    assert_eq!(spend("alice", "0.4").await, []);
    assert_eq!(spend("alice", "0.1").await, [(What::Threshold(50), "0.5".to_owned())]);
    assert_eq!(spend("alice", "0.01").await, [], "once");
    let both = [(What::Threshold(80), "1".to_owned()), (What::Threshold(100), "1".to_owned())];
    assert_eq!(spend("alice", "0.49").await, both, "two at once");
    assert_eq!(spend("bob", "0.6").await, [(What::Threshold(50), "0.6".to_owned())], "his share is another");
    hands.forward(86_400_000);
    assert_eq!(spend("alice", "0.5").await, [(What::Threshold(50), "0.5".to_owned())], "the next day");
    assert!(admit(&limiter, user("alice"), "0.6").await.is_err());
    let refused = told.try_recv().unwrap();
    assert_eq!((refused.what, refused.resets_s - (NOON / 1_000 + 86_400)), (What::Blocked, 43_200));
    assert_eq!(limiter.counts().thresholds, 5);
}

#[tokio::test]
async fn an_event_that_nobody_has_room_for_is_counted_and_holds_nothing_up() {
    let (sender, _told) = channel(1);
    let rules = budgets(&[r#"{"amount":"1","period":"day","thresholds":[10,20,30]}"#]);
    let limiter = Limiter::new(LimiterOptions { rules, events: Some(Box::new(sender)), ..LimiterOptions::default() });
    admit(&limiter, user("alice"), "0.5").await.unwrap().reservation.settle(cost("0.5"));
    assert_eq!((limiter.counts().thresholds, limiter.counts().events_dropped), (3, 2));
}

#[tokio::test]
async fn what_costs_more_than_was_reserved_counts_as_it_is_and_is_told() {
    for way in all() {
        let limiter = way.limiter(budgets(&[r#"{"amount":"1","period":"day"}"#]), &Hands::at(NOON));
        // A provider that uses more than it was asked for at most.
        admit(&limiter, user("alice"), "0.3").await.unwrap().reservation.settle(cost("0.9"));
        assert_eq!(limiter.counts().overruns, 1, "{}", way.name);
        limiter.tend().await;
        assert!(admit(&limiter, user("bob"), "0.2").await.is_err(), "{}: nothing of it is forgiven", way.name);
        admit(&limiter, user("bob"), "0.1").await.unwrap().reservation.settle(cost("0.1"));
        limiter.tend().await;
        let account = &limiter.snapshot("acme", 9).accounts[0];
        assert_eq!((account.spent, account.reserved), (usd("1"), Money::ZERO), "{}", way.name);
    }
}

#[tokio::test]
async fn made_up_users_who_spend_nothing_are_not_remembered() {
    let hands = Hands::at(NOON);
    let rules = budgets(&[r#"{"scope":{"user":"*"},"amount":"1","period":"month"}"#]);
    let limiter = Limiter::new(LimiterOptions { rules, clock: Some(hands.clock()), ..LimiterOptions::default() });
    for number in 0..5_000 {
        let name = format!("user-{number}");
        match number % 3 {
            0 => assert!(admit(&limiter, user(&name), "2").await.is_err()),
            1 => drop(admit(&limiter, user(&name), "0.5").await.unwrap()),
            _ => admit(&limiter, user(&name), "0.5").await.unwrap().reservation.settle(Spent::default()),
        }
    }
    admit(&limiter, user("payer"), "0.5").await.unwrap().reservation.settle(cost("0.5"));
    let held = admit(&limiter, user("busy"), "0.5").await.unwrap();
    hands.forward(5_000);
    limiter.tend().await;
    let accounts = limiter.snapshot("acme", 10_000).accounts;
    let scopes: Vec<&str> = accounts.iter().map(|account| account.scope.as_str()).collect();
    assert_eq!(scopes.len(), 2, "{scopes:?}");
    assert!(scopes.contains(&"user:payer") && scopes.contains(&"user:busy"), "{scopes:?}");
    held.reservation.settle(cost("0.5"));
}
