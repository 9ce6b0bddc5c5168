//! Searching: every filter, every way through the pages.

use std::sync::Arc;

use tachograph_record::{LogRecord, OrgId, Outcome, Timestamp};
use tachograph_store::{Comparison, Cursor, Fact, Field, Filter, Number, Predicate, Row, Search, Store};

use crate::backend::with_each;
use crate::oracle;
use crate::sample::{Dice, ODD, full, plain};

fn all(org: OrgId) -> Search {
    Search::new(org, Filter::default())
}

/// Two organisations with calls of everything.
pub(crate) async fn filled(store: &Arc<dyn Store>, seed: u64) -> (OrgId, Vec<Row>) {
    let (org, other) = (OrgId::generate(), OrgId::generate());
    let mut dice = Dice(seed);
    let records: Vec<LogRecord> = (0..600).map(|at| full(&mut dice, if at % 3 == 0 { other } else { org })).collect();
    store.append(&records).await.unwrap();
    (org, records.iter().map(Row::from).collect())
}

/// Each field alone with every value it takes in the rows, and one that none has.
fn single_filters(rows: &[Row]) -> Vec<Filter> {
    let mut filters = vec![Filter::default()];
    let mut add = |change: &dyn Fn(&mut Filter)| {
        let mut filter = Filter::default();
        change(&mut filter);
        filters.push(filter);
    };
    for at in rows.iter().map(|row| row.timing.received_at).chain([Timestamp::from_micros(0)]) {
        add(&|filter| filter.from = Some(at));
        add(&|filter| filter.until = Some(at));
    }
    let mut narrow = |only: Predicate| filters.push(Filter::from(only));
    for text in ODD.into_iter().chain(["gpt-4o", "gpt-4o-2024-11-20", "claude", "openai", "my\0own", "PLAIN", "nobody"])
    {
        for fact in [Fact::Model, Fact::RequestedModel, Fact::Provider, Fact::User, Fact::Session] {
            narrow(Predicate::is(fact, text));
        }
    }
    for outcome in Outcome::ALL {
        narrow(Predicate::is(Fact::Outcome, outcome.code()));
    }
    for status in [200, 404, 429, 599, i64::from(u16::MAX), 0] {
        narrow(Predicate::number(Fact::Status, Comparison::Equal, Number::Int(status)));
    }
    filters.sort_by_key(|filter| format!("{filter:?}"));
    filters.dedup();
    filters
}

#[tokio::test]
async fn every_filter_picks_what_it_says() {
    with_each(async |backend, store| {
        let (org, rows) = filled(&store, 11).await;
        let filters = single_filters(&rows);
        let mut picking = 0;
        for filter in filters {
            let search = Search { filter, ..all(org) };
            let page = store.search(&search).await.unwrap();
            assert_eq!(page, oracle::page(&search, &rows), "{}: {search:?}", backend.name);
            picking += usize::from(!page.rows.is_empty());
            let totals = store.totals(org, &search.filter).await.unwrap();
            assert_eq!(totals, oracle::totals(org, &search.filter, &rows), "{}: {search:?}", backend.name);
        }
        assert!(picking > 100, "only {picking} filters picked anything");
    })
    .await;
}

/// Every name with every value: quotes, patterns, escapes, no zero, and never a name for a value.
#[tokio::test]
async fn a_property_is_matched_exactly() {
    with_each(async |backend, store| {
        let (org, rows) = filled(&store, 12).await;
        let mut picking = 0;
        for name in ODD {
            for value in ODD {
                let filter = Filter::from(Predicate::is(Field::Property(name.into()), value));
                let search = Search { filter, ..all(org) };
                let page = store.search(&search).await.unwrap();
                assert_eq!(page, oracle::page(&search, &rows), "{}: {name:?} = {value:?}", backend.name);
                picking += usize::from(!page.rows.is_empty());
            }
        }
        assert!(picking > 100, "only {picking} properties picked anything");
    })
    .await;
}

#[tokio::test]
async fn filters_narrow_together() {
    with_each(async |backend, store| {
        let (org, rows) = filled(&store, 13).await;
        let mut dice = Dice(99);
        let mut picking = 0;
        for _ in 0..200 {
            // Some of the fields as one row has them, and cursors and limits as they fall.
            let like = dice.pick(&rows).clone();
            let told = &like.attribution;
            let mut keep = |odds: u64| dice.below(odds) == 0;
            let session = told.session.as_ref().map(|session| session.id.clone());
            let texts = [
                (Fact::Model, like.model.clone()),
                (Fact::Provider, like.provider.clone()),
                (Fact::User, told.user.clone()),
                (Fact::Session, session),
                (Fact::Outcome, Some(like.outcome.code().to_owned())),
            ];
            let mut filter = Filter {
                from: Some(like.timing.received_at).filter(|_| keep(2)),
                until: Some(Timestamp::from_micros(like.timing.received_at.micros() + 9)).filter(|_| keep(2)),
                ..Filter::default()
            };
            for (fact, text) in texts {
                if let Some(text) = text.filter(|_| keep(3)) {
                    filter = filter.and(Predicate::is(fact, text));
                }
            }
            if let Some((name, value)) = told.properties.first().filter(|_| keep(3)) {
                filter = filter.and(Predicate::is(Field::Property(name.clone()), value.clone()));
            }
            let before = Some(oracle::cursor(dice.pick(&rows))).filter(|_| dice.below(3) == 0);
            let after = Some(oracle::cursor(dice.pick(&rows))).filter(|_| dice.below(3) == 0);
            let search = Search { before, after, limit: dice.below(20) as u32, ..Search::new(org, filter) };
            let page = store.search(&search).await.unwrap();
            assert_eq!(page, oracle::page(&search, &rows), "{}: {search:?}", backend.name);
            picking += usize::from(!page.rows.is_empty());
        }
        assert!(picking > 50, "only {picking} searches picked anything");
    })
    .await;
}

#[tokio::test]
async fn pages_hold_every_row_once_though_times_are_equal() {
    with_each(async |_, store| {
        let (org, rows) = filled(&store, 14).await;
        let newest_first = oracle::page(&all(org), &rows).rows;
        assert_eq!(newest_first.len(), 400);
        for limit in [1, 7, 100, 400] {
            let mut search = Search { limit, ..all(org) };
            let mut seen = Vec::new();
            loop {
                let page = store.search(&search).await.unwrap();
                seen.extend(page.rows);
                search.before = page.next;
                if page.next.is_none() {
                    break;
                }
            }
            assert_eq!(seen, newest_first, "limit {limit}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_live_tail_sees_what_comes_oldest_first() {
    with_each(async |_, store| {
        let org = OrgId::generate();
        let records: Vec<LogRecord> = (0..50).map(|at| plain(org, at / 4)).collect();
        let mut expected: Vec<Row> = records.iter().map(Row::from).collect();
        expected.sort_by_key(oracle::cursor);
        store.append(&records[..30]).await.unwrap();

        let start = Cursor { received_at: Timestamp::from_micros(-1), id: records[0].id };
        let mut search = Search { after: Some(start), limit: 7, ..all(org) };
        let mut seen = Vec::new();
        for _ in 0..5 {
            let page = store.search(&search).await.unwrap();
            seen.extend(page.rows);
            search.after = page.next;
            assert!(page.next.is_some());
        }
        let quiet = store.search(&search).await.unwrap();
        assert!(quiet.rows.is_empty() && quiet.next.is_none());

        store.append(&records[30..]).await.unwrap();
        search.limit = 1_000;
        seen.extend(store.search(&search).await.unwrap().rows);
        assert_eq!(seen, expected);
    })
    .await;
}

#[tokio::test]
async fn a_page_is_bounded() {
    with_each(async |_, store| {
        let org = OrgId::generate();
        let records: Vec<LogRecord> = (0..1_005).map(|at| plain(org, at)).collect();
        store.append(&records).await.unwrap();
        for (limit, rows) in [(0, 1), (1, 1), (1_000, 1_000), (1_001, 1_000), (u32::MAX, 1_000)] {
            let page = store.search(&Search { limit, ..all(org) }).await.unwrap();
            assert_eq!((page.rows.len(), page.next.is_some()), (rows, true), "limit {limit}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_organisation_sees_its_own_rows_only() {
    with_each(async |_, store| {
        let (org, rows) = filled(&store, 15).await;
        let stranger = OrgId::generate();
        assert_eq!(store.search(&all(stranger)).await.unwrap().rows, []);
        assert_eq!(store.totals(stranger, &Filter::default()).await.unwrap(), Default::default());
        let seen = store.search(&all(org)).await.unwrap().rows;
        assert!(seen.iter().all(|row| row.org == org) && seen.len() < rows.len());
    })
    .await;
}
