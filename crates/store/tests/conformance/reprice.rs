//! Restating costs: all or nothing, exactly, on record.

use tachograph_record::{CostState, Money, OrgId, RecordId, Timestamp};
use tachograph_store::{Filter, NewCost, Repricing, Row};

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
