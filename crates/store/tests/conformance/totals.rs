//! Sums are exact, whatever is summed.

use tachograph_record::{CostState, Leaf, LogRecord, Money, OrgId, Usage, UsageReading};
use tachograph_store::{Comparison, Fact, Filter, Number, Predicate, StoreError, Totals};

use crate::backend::with_each;
use crate::sample::{Dice, plain, priced};

#[tokio::test]
async fn nothing_sums_to_nothing() {
    with_each(async |_, store| {
        assert_eq!(store.totals(OrgId::generate(), &Filter::default()).await.unwrap(), Totals::default());
    })
    .await;
}

#[tokio::test]
async fn thousands_of_amounts_sum_to_the_last_digit() {
    with_each(async |backend, store| {
        for seed in 1..4 {
            let org = OrgId::generate();
            let mut dice = Dice(seed);
            let amounts: Vec<Money> = (0..3_000).map(|_| dice.money()).collect();
            let records: Vec<LogRecord> = amounts.iter().map(|&amount| priced(org, 1, amount)).collect();
            assert!(amounts.iter().any(|amount| amount.atto() % 1_000_000_000 != 0));
            store.append(&records).await.unwrap();
            let totals = store.totals(org, &Filter::default()).await.unwrap();
            assert_eq!(totals.cost, amounts.into_iter().sum(), "{} seed {seed}", backend.name);
            assert_eq!(totals.requests, 3_000);
        }
    })
    .await;
}

/// How many rows the next test adds up, where not 100,000.
const ROWS: &str = "TACHOGRAPH_TEST_ROWS";

/// Amounts as small calls have, some rounded lines, some large ones: as many as a busy day has rows.
#[tokio::test]
async fn hard_case_26_the_sum_of_very_many_random_rows_is_exact() {
    let rows: usize = std::env::var(ROWS).map_or(100_000, |rows| rows.parse().unwrap());
    with_each(async |backend, store| {
        let org = OrgId::generate();
        let mut dice = Dice(26);
        let mut expected = Money::ZERO;
        for start in (0..rows).step_by(5_000) {
            let amounts: Vec<Money> = (start..rows.min(start + 5_000)).map(|_| dice.money()).collect();
            let records: Vec<LogRecord> = amounts.iter().map(|&amount| priced(org, 1, amount)).collect();
            assert_eq!(store.append(&records).await.unwrap(), records.len());
            expected = amounts.into_iter().fold(expected, |sum, amount| sum.checked_add(amount).unwrap());
        }
        let totals = store.totals(org, &Filter::default()).await.unwrap();
        assert_eq!((totals.requests, totals.cost), (rows as u64, expected), "{}", backend.name);
    })
    .await;
}

/// The nano-dollars of these rows do not sum within 64 bits, nor do their tokens.
#[tokio::test]
async fn sums_beyond_64_bits_are_exact() {
    with_each(async |_, store| {
        let org = OrgId::generate();
        let most = Money::from_columns(i128::from(i64::MAX), 999_999_999).unwrap();
        let least = Money::from_columns(i128::from(i64::MIN), 1).unwrap();
        let amounts = [most, most, most, least, most];
        let mut records: Vec<LogRecord> = amounts.iter().map(|&amount| priced(org, 1, amount)).collect();
        for (record, output) in records.iter_mut().zip([1_u64 << 62, 1 << 62, 1 << 62, 5, 0]) {
            let usage = Usage::reported([(Leaf::OUTPUT, output), (Leaf::INPUT, i64::MAX as u64)]);
            record.reading.usage = UsageReading::Known(usage);
        }
        store.append(&records).await.unwrap();
        let totals = store.totals(org, &Filter::default()).await.unwrap();
        assert_eq!(totals.cost, amounts.into_iter().sum());
        assert_eq!(totals.output_tokens, 3 * (1 << 62) + 5);
        assert_eq!(totals.input_tokens, u64::MAX, "ends there");
    })
    .await;
}

/// An amount that does not fit two columns is summed all the same.
#[tokio::test]
async fn amounts_too_large_for_columns_are_exact() {
    with_each(async |_, store| {
        let org = OrgId::generate();
        let amounts: Vec<Money> =
            ["170000000000000000000.000000000000000001", "-99999999999.5", "12345678901.000000000000000009", "0.1"]
                .map(|amount| amount.parse().unwrap())
                .into();
        let records: Vec<LogRecord> = amounts.iter().map(|&amount| priced(org, 1, amount)).collect();
        store.append(&records).await.unwrap();
        let totals = store.totals(org, &Filter::default()).await.unwrap();
        assert_eq!(totals.cost, amounts.iter().copied().sum());

        let mut twice = priced(org, 1, amounts[0]);
        twice.status = Some(200);
        store.append(&[twice]).await.unwrap();
        let beyond = store.totals(org, &Filter::default()).await;
        assert!(matches!(beyond, Err(StoreError::Failed(_))), "an error, not a wrong figure: {beyond:?}");
        // Not even on the way: what is beyond the range in between comes back into it.
        store.append(&[priced(org, 1, Money::from_atto(-amounts[0].atto()))]).await.unwrap();
        let back = store.totals(org, &Filter::default()).await.unwrap();
        assert_eq!(back.cost, amounts.iter().copied().sum());
        let within = Filter::from(Predicate::number(Fact::Status, Comparison::Equal, Number::Int(200)));
        assert_eq!(store.totals(org, &within).await.unwrap().cost, amounts[0]);
    })
    .await;
}

#[tokio::test]
async fn unknown_costs_are_counted_and_not_taken_for_nothing() {
    with_each(async |_, store| {
        let org = OrgId::generate();
        let states = [
            CostState::UnknownModel,
            CostState::UnknownModel,
            CostState::InvalidUsage { why: "more cached than read".into() },
            CostState::NoUsage,
        ];
        let mut records: Vec<LogRecord> = states.into_iter().map(|cost| LogRecord { cost, ..plain(org, 1) }).collect();
        records.push(priced(org, 1, Money::from_atto(7)));
        store.append(&records).await.unwrap();
        let totals = store.totals(org, &Filter::default()).await.unwrap();
        assert_eq!((totals.requests, totals.unpriced, totals.cost), (5, 3, Money::from_atto(7)));
    })
    .await;
}
