//! Restating costs: all or nothing, exactly, on record.

use tachograph_record::{CostState, Money, OrgId, RecordId, Timestamp};
use tachograph_store::{
    Breakdown, Comparison, Fact, Filter, FormerCost, NewCost, Number, Predicate, Repricing, Row, Spread, Store,
};

use crate::backend::with_each;
use crate::sample::{Dice, ODD, full, plain, priced};

fn audit(org: OrgId, at: i64, rows: u64) -> Repricing {
    Repricing {
        id: RecordId::generate().uuid(),
        org,
        at: Timestamp::from_micros(at),
        author: ODD[at as usize % ODD.len()].into(),
        from: Timestamp::from_micros(i64::MIN),
        until: Timestamp::from_micros(i64::MAX),
        price_version: "0f".into(),
        rows,
        before: "-0.000000000000000001".parse().unwrap(),
        after: "170000000000000000000.5".parse().unwrap(),
    }
}

fn cost_of(amount: &str) -> CostState {
    priced(OrgId::HOME, 1, amount.parse().unwrap()).cost
}

#[tokio::test]
async fn a_restated_row_has_its_new_cost_and_nothing_else_changes() {
    with_each(async |backend, store| {
        let (org, other) = (OrgId::generate(), OrgId::generate());
        let mut dice = Dice(21);
        let mut records: Vec<_> = (0..60).map(|_| full(&mut dice, org)).collect();
        records.push(plain(org, 5));
        let mut theirs = plain(other, 5);
        theirs.id = records[0].id;
        store.append(&records).await.unwrap();
        store.append(std::slice::from_ref(&theirs)).await.unwrap();

        let states = [
            cost_of("0.000000000000000001"),
            cost_of("99999999999.5"),
            CostState::UnknownModel,
            CostState::NoUsage,
            CostState::InvalidUsage { why: ODD[17].into() },
        ];
        let costs: Vec<NewCost> = records
            .iter()
            .zip(states.iter().cycle())
            .map(|(record, cost)| NewCost { id: record.id, cost: cost.clone() })
            .chain([NewCost { id: RecordId::generate(), cost: CostState::NoUsage }])
            .collect();
        let entry = audit(org, 1, 61);
        assert_eq!(store.reprice(&entry, &costs).await.unwrap(), 61, "{}: one is not there", backend.name);
        for (record, new) in records.iter().zip(&costs) {
            let expected = Row { cost: new.cost.clone(), ..Row::from(record) };
            assert_eq!(store.fetch(org, record.id).await.unwrap().unwrap().row, expected);
        }
        let sum: Money = costs.iter().filter_map(|new| new.cost.total()).sum();
        assert_eq!(store.totals(org, &Filter::default()).await.unwrap().cost, sum);
        assert_eq!(store.fetch(other, theirs.id).await.unwrap().unwrap().row, Row::from(&theirs), "another's row");
        assert_eq!(store.repricings(org).await.unwrap(), [entry]);
        assert_eq!(store.repricings(other).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn restatements_are_listed_in_their_order_and_none_is_half_done() {
    with_each(async |backend, store| {
        let org = OrgId::generate();
        let record = priced(org, 1, Money::from_atto(7));
        store.append(std::slice::from_ref(&record)).await.unwrap();
        let cost = |amount| [NewCost { id: record.id, cost: cost_of(amount) }];
        let (second, first) = (audit(org, 9, 1), audit(org, 3, 1));
        store.reprice(&second, &cost("2")).await.unwrap();
        store.reprice(&first, &cost("1")).await.unwrap();
        assert_eq!(store.repricings(org).await.unwrap(), [first.clone(), second]);

        // The same entry again would overwrite what the row cost before it; nothing of it is done.
        assert!(store.reprice(&first, &cost("3")).await.is_err(), "{}", backend.name);
        assert_eq!(store.totals(org, &Filter::default()).await.unwrap().cost, "1".parse().unwrap());
        assert_eq!(store.repricings(org).await.unwrap().len(), 2);
    })
    .await;
}

/// What rows of three times add up to: as known at a moment, by the sum and by the groups.
async fn known(store: &dyn Store, org: OrgId, at: i64, filter: Filter) -> (String, u64, u64) {
    let asked = Breakdown { as_known: Some(Timestamp::from_micros(at)), ..Breakdown::whole(org, filter) };
    let whole = store.groups(&asked).await.unwrap().groups.remove(0).totals;
    let by = Breakdown { by: vec![Fact::Model.into()], spreads: vec![Spread::NanoCost], ..asked };
    let groups = store.groups(&by).await.unwrap().groups;
    let parts: Money = groups.iter().map(|group| group.totals.cost).sum();
    assert_eq!(parts, whole.cost);
    let counted: u64 = groups.iter().map(|group| group.spreads[0].count()).sum();
    assert_eq!(counted + whole.unpriced, whole.requests);
    (whole.cost.to_string(), whole.requests, whole.unpriced)
}

#[tokio::test]
async fn a_report_is_as_known_then_or_as_true_now() {
    with_each(async |backend, store| {
        let org = OrgId::generate();
        let rows = [(10, "5"), (20, "7"), (120, "1")].map(|(at, cost)| priced(org, at, cost.parse().unwrap()));
        store.append(&rows).await.unwrap();
        let new = |at: usize, cost: CostState| NewCost { id: rows[at].id, cost };
        store.reprice(&audit(org, 100, 1), &[new(0, cost_of("6"))]).await.unwrap();
        let again = [new(0, cost_of("8")), new(1, CostState::UnknownModel), new(2, cost_of("2"))];
        let second = audit(org, 200, 3);
        store.reprice(&second, &again).await.unwrap();

        for (at, sum, rows, unpriced) in [
            (10, "0", 0, 0),
            (15, "5", 1, 0),
            (50, "12", 2, 0),
            (99, "12", 2, 0),
            (100, "13", 2, 0),
            (150, "14", 3, 0),
            (199, "14", 3, 0),
            (200, "10", 3, 1),
            (900, "10", 3, 1),
        ] {
            let told = known(&*store, org, at, Filter::default()).await;
            assert_eq!(told, (sum.to_owned(), rows, unpriced), "{}: as known at {at}", backend.name);
        }
        let now = store.totals(org, &Filter::default()).await.unwrap();
        assert_eq!((now.cost, now.unpriced), ("10".parse().unwrap(), 1), "{}: as true now", backend.name);

        // Which rows are dear is asked of the same moment as what they cost.
        let dear = Predicate::number(Fact::Cost, Comparison::More, Number::Money("6".parse().unwrap()));
        let dear = |at| known(&*store, org, at, Filter { only: dear.clone(), ..Filter::default() });
        assert_eq!((dear(50).await.0, dear(250).await.0), ("7".to_owned(), "8".to_owned()));
        assert_eq!(known(&*store, OrgId::generate(), 900, Filter::default()).await.1, 0, "another's rows");

        let former = store.former_costs(org, rows[0].id).await.unwrap();
        let told: Vec<_> = former.iter().map(|held| (held.until.micros(), held.total)).collect();
        assert_eq!(told, [(100, "5".parse().ok()), (200, "6".parse().ok())], "{}", backend.name);
        let last = FormerCost {
            repricing: second.id,
            until: second.at,
            author: second.author.clone(),
            price_version: "0f".into(),
            state: "priced".into(),
            total: "1".parse().ok(),
        };
        assert_eq!(store.former_costs(org, rows[2].id).await.unwrap(), [last]);
        assert_eq!(store.former_costs(org, RecordId::generate()).await.unwrap(), []);
    })
    .await;
}
