//! Every interleaving of a few calls on one ledger, by loom: no two have the same money, and nothing stays reserved.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "the ledger's source stands here with another lock"
)]

mod sync {
    pub(crate) use loom::sync::Mutex;
}
#[path = "../src/ledger.rs"]
mod ledger;

use loom::sync::Arc;
use loom::thread;

use ledger::{Ledger, Slots, Want};

fn want(key: &str, limit: i128) -> Want {
    Want { key: key.into(), limit, slots: Slots { now: 0, oldest: 0 }, holds: true, ends_s: i64::MAX }
}

/// Every interleaving with up to three switches where none was needed, which is where such faults show.
fn model(what: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(what);
}

/// Calls that count in both budgets: each reserves 3, and costs 1, 3 or nothing.
#[test]
fn no_interleaving_overshoots_and_none_leaks() {
    model(|| {
        let ledger = Arc::new(Ledger::new(2, false));
        let wants = || [want("organisation", 5), want("user", 4)];
        let calls: Vec<_> = [1, 3]
            .into_iter()
            .map(|cost| {
                let ledger = ledger.clone();
                thread::spawn(move || {
                    let wants = wants();
                    let let_in = ledger.reserve(&wants, 3, 0).is_ok();
                    let standing = ledger.standing(&wants[1]);
                    assert!(standing.spent + standing.reserved <= wants[1].limit, "{standing:?}");
                    if let_in {
                        for want in &wants {
                            ledger.settle(want, 3, cost);
                        }
                    }
                    if let_in { cost } else { 0 }
                })
            })
            .collect();
        let spent: i128 = calls.into_iter().map(|call| call.join().unwrap()).sum();
        for want in wants() {
            let standing = ledger.standing(&want);
            assert_eq!((standing.spent, standing.reserved), (spent, 0));
            assert!(spent <= want.limit && spent > 0, "one call always gets in");
        }
    });
}

/// A call that is cancelled while another wants its money: that one gets in or not, but the ledger ends even.
#[test]
fn what_is_given_back_is_there_for_the_next() {
    model(|| {
        let ledger = Arc::new(Ledger::new(1, false));
        assert!(ledger.reserve(&[want("k", 2)], 2, 0).is_ok());
        let other = {
            let ledger = ledger.clone();
            thread::spawn(move || ledger.reserve(&[want("k", 2)], 2, 0).is_ok())
        };
        ledger.settle(&want("k", 2), 2, 0);
        let got_in = other.join().unwrap();
        let reserved = ledger.standing(&want("k", 2)).reserved;
        assert_eq!(reserved, if got_in { 2 } else { 0 });
        assert_eq!(ledger.reserve(&[want("k", 2)], 2, 0).is_ok(), !got_in);
    });
}

/// Two calls that name their budgets in another order do not wait for each other for ever.
#[test]
fn the_order_of_scopes_does_not_matter() {
    model(|| {
        let ledger = Arc::new(Ledger::new(8, false));
        let one = {
            let ledger = ledger.clone();
            thread::spawn(move || ledger.reserve(&[want("a", 9), want("b", 9)], 1, 0).is_ok())
        };
        assert!(ledger.reserve(&[want("b", 9), want("a", 9)], 1, 0).is_ok());
        assert!(one.join().unwrap());
        assert_eq!(ledger.standing(&want("a", 9)).reserved, 2);
    });
}
