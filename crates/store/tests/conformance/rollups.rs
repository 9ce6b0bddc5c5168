//! Rollups stand in for rows: the same answers, whatever was folded when, and whatever changed since.

use std::collections::HashMap;
use std::sync::Arc;

use tachograph_record::{CostState, LogRecord, OrgId, RecordId, Timestamp};
use tachograph_store::{
    Breakdown, Condition, Every, Expiry, Fact, Field, Filter, Mark, MarkKind, Marked, Measure, NewCost, Predicate,
    Repricing, Row, Spread, Store, Test, Totals,
};

use crate::backend::with_each;
use crate::sample::{Dice, ODD, full, plain};
use crate::trees::{Sample, condition, groups, tree};

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// The start of some day (UTC).
const START: i64 = 20_300 * DAY;

/// A moment in three and a half days, most of them in a few hours.
fn moment(dice: &mut Dice) -> i64 {
    let spread = dice.below((3 * DAY + DAY / 2) as u64) as i64;
    let crowded = (dice.below(3) as i64) * DAY + 9 * HOUR + dice.below((2 * HOUR) as u64) as i64;
    START + if dice.below(3) == 0 { spread } else { crowded }
}

fn records(dice: &mut Dice, org: OrgId, count: usize) -> Vec<LogRecord> {
    (0..count)
        .map(|_| {
            let mut record = full(dice, org);
            record.timing.received_at = Timestamp::from_micros(moment(dice));
            record
        })
        .collect()
}

async fn append(store: &Arc<dyn Store>, held: &mut Sample, records: &[LogRecord]) {
    for batch in records.chunks(37) {
        assert_eq!(store.append(batch).await.unwrap(), batch.len());
        assert_eq!(store.append(batch).await.unwrap(), 0, "what is there adds nothing");
    }
    held.rows.extend(records.iter().map(Row::from));
}

/// Folds all there is to fold at a moment.
async fn roll_up(store: &Arc<dyn Store>, now: i64) {
    for _ in 0..1_000 {
        if store.roll_up(Timestamp::from_micros(now)).await.unwrap() == 0 {
            return;
        }
    }
    panic!("there is no end to it");
}

async fn verify(store: &Arc<dyn Store>, org: OrgId) -> u64 {
    let mut cells = 0;
    for day in 0..4 {
        let done = store.verify_rollups(org, Timestamp::from_micros(START + day * DAY)).await.unwrap();
        assert_eq!(done.differences, []);
        cells += done.cells;
    }
    cells
}

const TOLD: [Fact; 20] = [
    Fact::Provider,
    Fact::Model,
    Fact::RequestedModel,
    Fact::Key,
    Fact::Api,
    Fact::Outcome,
    Fact::Failed,
    Fact::Status,
    Fact::StatusClass,
    Fact::ErrorKind,
    Fact::ErrorCode,
    Fact::Cache,
    Fact::CostState,
    Fact::Stream,
    Fact::Origin,
    Fact::Step,
    Fact::User,
    Fact::SessionName,
    Fact::Prompt,
    Fact::PromptVersion,
];

/// A question as pages ask them: few fields, mostly of one cube, a period, a step.
fn question(dice: &mut Dice, held: &Sample) -> Breakdown {
    let subject = match dice.below(6) {
        0 => Field::Property((*dice.pick(&ODD)).into()),
        1 => Fact::User.into(),
        _ => (*dice.pick(&TOLD)).into(),
    };
    let also: Field = (*dice.pick(&[Fact::Provider, Fact::Model, Fact::Outcome, Fact::Failed])).into();
    let mut only = match &subject {
        Field::Property(_) => Predicate::present(subject.clone()),
        _ => Predicate::All,
    };
    for _ in 0..dice.below(3) {
        let more = condition(dice, &held.rows);
        if let Predicate::Is(Condition { field, test }) = &more {
            let told = *field == subject || *field == also || TOLD.iter().any(|fact| *field == Field::Fact(*fact));
            if told && !matches!(test, Test::Like(_)) {
                only = only.and(if dice.below(4) == 0 { more.negated() } else { more });
            }
        }
    }
    if dice.below(8) == 0 {
        only = only.and(tree(dice, &held.rows, 2));
    }
    let rounded = |dice: &mut Dice| {
        let at = moment(dice);
        let unit = *dice.pick(&[1, MINUTE, HOUR, DAY]);
        Timestamp::from_micros(at - at.rem_euclid(unit))
    };
    let from = (dice.below(3) > 0).then(|| rounded(dice));
    let until = (dice.below(2) == 0).then(|| rounded(dice));
    let every = (dice.below(2) == 0).then(|| Every {
        micros: *dice.pick(&[7 * 1_000_000, MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY]),
        offset: *dice.pick(&[0, 60, -120, 30, 330, 45, -1440]) * MINUTE,
    });
    let by = match dice.below(4) {
        0 => vec![],
        1 => vec![subject, also],
        _ => vec![subject],
    };
    Breakdown {
        by,
        every,
        spreads: [Spread::Latency, Spread::FirstToken, Spread::MilliTokensPerSecond][..dice.below(4) as usize].to_vec(),
        order: *dice.pick(&[Measure::Requests, Measure::Errors, Measure::LastAt, Measure::FirstAt]),
        ascending: dice.below(2) == 0,
        limit: [3, 1_000][dice.below(2) as usize],
        skip: dice.below(3) as u32,
        ..Breakdown::whole(held.org, Filter { from, until, only })
    }
}

async fn ask(store: &Arc<dyn Store>, held: &Sample, dice: &mut Dice, when: &str) {
    for _ in 0..60 {
        let asked = question(dice, held);
        asked.check().unwrap();
        assert_eq!(store.groups(&asked).await.unwrap(), groups(held, &asked), "{when}: {asked:?}");
    }
    let names = store.property_names(held.org, &Filter::default(), 1_000).await.unwrap();
    let mut expected: HashMap<&str, u64> = HashMap::new();
    for (name, _) in held.rows.iter().flat_map(|row| &row.attribution.properties) {
        *expected.entry(name).or_default() += 1;
    }
    assert_eq!(
        names.iter().map(|(name, count)| (name.as_str(), *count)).collect::<HashMap<_, _>>(),
        expected,
        "{when}"
    );
}

#[tokio::test]
async fn rollups_answer_as_rows_do_through_all_that_happens() {
    with_each(async |backend, store| {
        let name = backend.name;
        let mut held = Sample { org: OrgId::generate(), rows: Vec::new(), marks: HashMap::new() };
        let mut dice = Dice(31);
        let first = records(&mut dice, held.org, 300);
        append(&store, &mut held, &first).await;
        // Another tenant's rows are in none of our sums.
        store.append(&records(&mut Dice(5), OrgId::generate(), 50)).await.unwrap();
        ask(&store, &held, &mut dice, &format!("{name}, nothing folded")).await;
        roll_up(&store, START + 2 * DAY + 5 * MINUTE).await;
        ask(&store, &held, &mut dice, &format!("{name}, two days folded")).await;
        let late = records(&mut dice, held.org, 150);
        append(&store, &mut held, &late).await;
        ask(&store, &held, &mut dice, &format!("{name}, late ones")).await;
        roll_up(&store, START + 3 * DAY + 18 * HOUR).await;
        ask(&store, &held, &mut dice, &format!("{name}, all folded")).await;
        assert!(verify(&store, held.org).await > 500);

        reprice(&store, &mut held, &mut dice).await;
        ask(&store, &held, &mut dice, &format!("{name}, restated")).await;
        verify(&store, held.org).await;
        roll_up(&store, START + 3 * DAY + 18 * HOUR).await;
        ask(&store, &held, &mut dice, &format!("{name}, restated and folded")).await;
        verify(&store, held.org).await;

        let before = Timestamp::from_micros(START + DAY + 9 * HOUR + 30 * MINUTE);
        while !store.expire(&Expiry { rows: Some(before), bodies: None }).await.unwrap().is_nothing() {}
        held.rows.retain(|row| row.timing.received_at >= before);
        ask(&store, &held, &mut dice, &format!("{name}, old ones gone")).await;
        verify(&store, held.org).await;
        roll_up(&store, START + 4 * DAY + 10 * MINUTE).await;
        ask(&store, &held, &mut dice, &format!("{name}, old ones gone and folded")).await;
        verify(&store, held.org).await;

        // Facts and minutes are let go of; hours and days stay.
        roll_up(&store, START + 30 * DAY).await;
        ask(&store, &held, &mut dice, &format!("{name}, facts gone")).await;
        verify(&store, held.org).await;
        let late = records(&mut dice, held.org, 40);
        append(&store, &mut held, &late).await;
        ask(&store, &held, &mut dice, &format!("{name}, very late ones")).await;
        roll_up(&store, START + 30 * DAY).await;
        ask(&store, &held, &mut dice, &format!("{name}, very late ones folded")).await;
        verify(&store, held.org).await;
    })
    .await;
}

/// Gives some rows other costs, some of another kind.
async fn reprice(store: &Arc<dyn Store>, held: &mut Sample, dice: &mut Dice) {
    let mut costs = Vec::new();
    for row in &held.rows {
        if dice.below(9) != 0 {
            continue;
        }
        let like = full(dice, held.org);
        costs.push(NewCost { id: row.id, cost: like.cost });
    }
    let repricing = Repricing {
        id: RecordId::generate().uuid(),
        org: held.org,
        at: Timestamp::now(),
        author: "a test".into(),
        from: Timestamp::from_micros(START),
        until: Timestamp::from_micros(START + 4 * DAY),
        price_version: "1".into(),
        rows: costs.len() as u64,
        before: Default::default(),
        after: Default::default(),
    };
    assert_eq!(store.reprice(&repricing, &costs).await.unwrap(), costs.len());
    assert!(costs.iter().any(|new| matches!(new.cost, CostState::Priced(_))));
    for new in costs {
        let row = held.rows.iter_mut().find(|row| row.id == new.id).unwrap();
        row.cost = new.cost;
    }
}

#[tokio::test]
async fn questions_that_rollups_tell_read_no_rows() {
    with_each(async |backend, store| {
        if !backend.lasts() {
            return;
        }
        let mut held = Sample { org: OrgId::generate(), rows: Vec::new(), marks: HashMap::new() };
        let mut dice = Dice(32);
        let all = records(&mut dice, held.org, 200);
        append(&store, &mut held, &all).await;
        roll_up(&store, START + 4 * DAY + 5 * MINUTE).await;
        backend.tamper("DELETE FROM requests", "DELETE FROM requests").await;
        let whole = Filter::default();
        assert_eq!(store.totals(held.org, &whole).await.unwrap(), Totals::of(&held.rows));
        for by in [Fact::Model, Fact::User, Fact::Key, Fact::Prompt, Fact::SessionName, Fact::ErrorKind, Fact::Cache] {
            let period = Filter {
                from: Some(Timestamp::from_micros(START + 7 * HOUR + 12 * MINUTE + 345)),
                until: Some(Timestamp::from_micros(START + 2 * DAY + 9 * HOUR + 45 * MINUTE + 6_789)),
                only: Predicate::All,
            };
            let every = Some(Every { micros: 6 * HOUR, offset: 0 });
            let asked = Breakdown {
                by: vec![by.into()],
                every,
                spreads: vec![Spread::Latency],
                ..Breakdown::whole(held.org, period)
            };
            assert_eq!(store.groups(&asked).await.unwrap(), groups(&held, &asked), "{}: {by:?}", backend.name);
        }
        // And the comparison says what is missing.
        let mut differences = Vec::new();
        for day in 0..4 {
            let day = Timestamp::from_micros(START + day * DAY);
            differences.extend(store.verify_rollups(held.org, day).await.unwrap().differences);
        }
        let missing = differences.iter().find(|one| one.cube == "calls" && one.field == "requests").unwrap();
        assert_eq!((missing.rows.as_str(), missing.org), ("0", held.org));
    })
    .await;
}

#[tokio::test]
async fn properties_that_came_later_count_in_rollups_too() {
    with_each(async |_, store| {
        let mut held = Sample { org: OrgId::generate(), rows: Vec::new(), marks: HashMap::new() };
        let mut records = Vec::new();
        for at in 0..10 {
            let mut record = plain(held.org, START + at * HOUR);
            record.asked.attribution.set_property("team", if at % 2 == 0 { "red" } else { "blue" });
            records.push(record);
        }
        append(&store, &mut held, &records).await;
        roll_up(&store, START + 2 * DAY).await;
        let asked = |value: &str| Filter::from(Predicate::is(Field::Property("team".into()), value));
        assert_eq!(store.totals(held.org, &asked("red")).await.unwrap().requests, 5);
        let mark = Mark {
            on: Marked::Request(records[1].id),
            kind: MarkKind::Property,
            name: "team".into(),
            text: Some("red".into()),
            micro: None,
            at: Timestamp::from_micros(1),
            key: None,
        };
        store.put_marks(held.org, &[mark]).await.unwrap();
        assert_eq!(store.totals(held.org, &asked("red")).await.unwrap().requests, 6);
    })
    .await;
}

/// More values than a rollup tells apart are asked of rows, and sums without them still are not.
#[tokio::test]
async fn what_takes_too_many_values_is_asked_of_rows() {
    with_each(async |backend, store| {
        if backend.name == "SQLite in memory" {
            return;
        }
        let mut held = Sample { org: OrgId::generate(), rows: Vec::new(), marks: HashMap::new() };
        let mut records = Vec::new();
        for at in 0..6_000 {
            let mut record = plain(held.org, START + at * 400_000);
            record.asked.attribution.set_property("request", format!("{at}"));
            record.asked.attribution.set_property("env", if at % 3 == 0 { "test" } else { "prod" });
            records.push(record);
        }
        assert_eq!(store.append(&records).await.unwrap(), records.len());
        held.rows.extend(records.iter().map(Row::from));
        roll_up(&store, START + 2 * DAY).await;
        verify(&store, held.org).await;
        for (name, value) in [("request", "4711"), ("env", "prod")] {
            let field = Field::Property(name.into());
            for only in [Predicate::is(field.clone(), value), Predicate::present(field.clone())] {
                let asked = Breakdown { by: vec![field.clone()], limit: 20, ..Breakdown::whole(held.org, only.into()) };
                assert_eq!(store.groups(&asked).await.unwrap(), groups(&held, &asked));
            }
        }
        let names = store.property_names(held.org, &Filter::default(), 10).await.unwrap();
        assert_eq!(names, [("env".to_owned(), 6_000), ("request".to_owned(), 6_000)]);
    })
    .await;
}

/// Two loggers write into one store while a third folds.
#[tokio::test(flavor = "multi_thread")]
async fn writers_and_folders_at_once_lose_and_double_nothing() {
    with_each(async |backend, store| {
        if !backend.lasts() {
            return;
        }
        let org = OrgId::generate();
        let all: Vec<LogRecord> = records(&mut Dice(33), org, 600);
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..2 {
            let (store, all) = (backend.open().await, all.clone());
            tasks.spawn(async move {
                // Both send everything, each in its own order, as two would that share a spool's end.
                let mut batches: Vec<&[LogRecord]> = all.chunks(23).collect();
                if writer == 1 {
                    batches.reverse();
                }
                let mut new = 0;
                for batch in batches {
                    new += store.append(batch).await.unwrap();
                }
                store.close().await.unwrap();
                new
            });
        }
        let folder = backend.open().await;
        let mut new = 0;
        while let Some(done) = tokio::select! {
            done = tasks.join_next() => done,
            () = tokio::time::sleep(std::time::Duration::from_millis(5)) => Some(Ok(usize::MAX)),
        } {
            match done.unwrap() {
                // Another transaction may have come first; the next round does it.
                usize::MAX => drop(folder.roll_up(Timestamp::from_micros(START + 2 * DAY + 12 * HOUR)).await),
                of_one => new += of_one,
            }
        }
        assert_eq!(new, all.len());
        roll_up(&folder, START + 5 * DAY).await;
        folder.close().await.unwrap();
        let rows: Vec<Row> = all.iter().map(Row::from).collect();
        assert_eq!(store.totals(org, &Filter::default()).await.unwrap(), Totals::of(&rows), "{}", backend.name);
        verify(&store, org).await;
    })
    .await;
}
