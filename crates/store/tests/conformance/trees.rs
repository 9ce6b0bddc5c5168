//! Filter trees, orders and groups: what each database answers is what comes out over plain rows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tachograph_record::{CacheStatus, OrgId, RecordId, Timestamp};
use tachograph_store::{
    Breakdown, Comparison, Condition, Every, Fact, Field, Filter, Group, Groups, Kind, Mark, MarkKind, Marked, Marks,
    Measure, Number, Order, Pattern, Predicate, Row, Search, Seen, Sketch, Spread, Store, Test, Totals,
};

use crate::backend::with_each;
use crate::oracle;
use crate::sample::{Dice, ODD};
use crate::search::filled;

/// Rows with marks on some of them, and on one that is not there.
pub(crate) struct Sample {
    pub(crate) org: OrgId,
    pub(crate) rows: Vec<Row>,
    pub(crate) marks: HashMap<RecordId, Marks>,
}

impl Sample {
    async fn fill(store: &Arc<dyn Store>, seed: u64) -> Self {
        let (org, rows) = filled(store, seed).await;
        let mut dice = Dice(seed ^ 0xFF);
        let mut marks: HashMap<RecordId, Marks> = HashMap::new();
        let mut put = Vec::new();
        let ids: Vec<RecordId> = rows.iter().filter(|row| row.org == org).map(|row| row.id).collect();
        for _ in 0..300 {
            let id = *dice.pick(&ids);
            let kind = *dice.pick(&MarkKind::ALL);
            let name = match kind {
                MarkKind::Score => (*dice.pick(&["quality", "it's"])).to_owned(),
                _ => (*dice.pick(&ODD)).to_owned(),
            };
            let text = matches!(kind, MarkKind::Note | MarkKind::Property).then(|| (*dice.pick(&ODD)).to_owned());
            let micro = (kind == MarkKind::Score).then(|| dice.below(4) as i64 * 500_000 - 500_000);
            let at = Timestamp::from_micros(dice.below(100) as i64);
            let mark = Mark { on: Marked::Request(id), kind, name, text, micro, at, key: None };
            marks.entry(id).or_default().add(mark.clone());
            put.push(mark);
        }
        store.put_marks(org, &put).await.unwrap();
        // Another tenant's marks on the same ids are none of ours.
        let foreign: Vec<Mark> = put.iter().take(50).cloned().map(|mark| Mark { micro: Some(9), ..mark }).collect();
        store.put_marks(OrgId::generate(), &foreign).await.unwrap();
        Self { org, rows, marks }
    }

    fn picked(&self, filter: &Filter) -> Vec<&Row> {
        let none = Marks::default();
        let mut picked: Vec<&Row> = self
            .rows
            .iter()
            .filter(|row| row.org == self.org)
            .filter(|row| filter.picks(Seen { row, marks: self.marks.get(&row.id).unwrap_or(&none) }))
            .collect();
        picked.sort_by_key(|row| std::cmp::Reverse(oracle::cursor(row)));
        picked
    }
}

fn field(dice: &mut Dice) -> Field {
    match dice.below(5) {
        0 => Field::Property((*dice.pick(&ODD)).into()),
        1 => Field::Score((*dice.pick(&["quality", "it's"])).into()),
        _ => Field::Fact(*dice.pick(Fact::ALL)),
    }
}

/// A condition near what a row has, so that it is true of some and false of others.
pub(crate) fn condition(dice: &mut Dice, rows: &[Row]) -> Predicate {
    let field = field(dice);
    let like = dice.pick(rows).clone();
    let value = field.key_of(Seen { row: &like, marks: &Marks::default() });
    let text = value.unwrap_or_else(|| (*dice.pick(&ODD)).to_owned());
    let comparison = *dice.pick(&Comparison::ALL);
    let test = match field.kind() {
        Kind::Body => return Predicate::All,
        _ if dice.below(6) == 0 => Test::Present,
        Kind::Text | Kind::Word | Kind::Texts => match dice.below(3) {
            0 => Test::OneOf(vec![text, (*dice.pick(&ODD)).to_owned()]),
            1 => Test::OneOf(vec![text]),
            _ => Test::Like(pattern(dice, &text)),
        },
        Kind::Id => Test::Ids(vec![like.id.uuid(), like.key.map_or(like.id.uuid(), |key| key.uuid())]),
        Kind::Flag => Test::Flag(dice.below(2) == 0),
        Kind::Int => Test::Number(comparison, Number::Int(text.parse().unwrap_or(1 << dice.below(40)))),
        Kind::Span => Test::Number(comparison, Number::Int(like.timing.end_us as i64)),
        Kind::Time => Test::Number(comparison, Number::Int(like.timing.received_at.micros())),
        Kind::Decimal => Test::Number(comparison, Number::Int(dice.below(4) as i64 * 500_000 - 500_000)),
        Kind::Money => {
            let amount = like.cost.total().filter(|amount| amount.to_columns().is_some()).unwrap_or_default();
            Test::Number(comparison, Number::Money(amount))
        }
        Kind::Rate => Test::Number(comparison, Number::Real(dice.below(1_000_000) as f64 / 7.0)),
    };
    Predicate::Is(Condition { field, test })
}

fn pattern(dice: &mut Dice, text: &str) -> Pattern {
    let fold = dice.below(2) == 0;
    let characters: Vec<char> = text.chars().collect();
    let cut = dice.below(characters.len() as u64 + 1) as usize;
    let escaped = |part: &[char]| -> String {
        part.iter().flat_map(|&one| matches!(one, '*' | '?' | '\\').then_some('\\').into_iter().chain([one])).collect()
    };
    let (before, behind) = (escaped(&characters[..cut]), escaped(&characters[cut..]));
    let glob = match dice.below(4) {
        0 => format!("{before}*"),
        1 => format!("*{behind}"),
        2 => format!("{before}*{}", escaped(&characters[(cut + 1).min(characters.len())..])),
        _ => return Pattern::containing(&characters[..cut].iter().collect::<String>()).unwrap(),
    };
    Pattern::glob(&glob, fold).unwrap()
}

pub(crate) fn tree(dice: &mut Dice, rows: &[Row], depth: u32) -> Predicate {
    let parts = |dice: &mut Dice| (0..dice.below(4)).map(|_| tree(dice, rows, depth + 1)).collect();
    match dice.below(if depth > 3 { 1 } else { 5 }) {
        1 => Predicate::And(parts(dice)),
        2 => Predicate::Or(parts(dice)),
        3 => Predicate::Not(Box::new(tree(dice, rows, depth + 1))),
        _ => condition(dice, rows),
    }
}

#[tokio::test]
async fn random_trees_pick_the_same_rows_everywhere() {
    with_each(async |backend, store| {
        let held = Sample::fill(&store, 21).await;
        let mut dice = Dice(2121);
        let (mut some, mut all) = (0, 0);
        for _ in 0..600 {
            let only = tree(&mut dice, &held.rows, 0);
            only.check().unwrap();
            assert_eq!(Predicate::from_json(&only.to_json()).map(|read| read.to_json()), Ok(only.to_json()));
            let filter = Filter::from(only);
            let expected = held.picked(&filter);
            let page = store.search(&Search::new(held.org, filter.clone())).await.unwrap();
            let ids = |rows: &[Row]| rows.iter().map(|row| row.id).collect::<Vec<_>>();
            let wanted: Vec<RecordId> = expected.iter().map(|row| row.id).collect();
            assert_eq!(ids(&page.rows), wanted, "{}: {}", backend.name, filter.only.to_json());
            some += usize::from(!wanted.is_empty() && wanted.len() < 400);
            all += 1;
            let totals = store.totals(held.org, &filter).await.unwrap();
            assert_eq!(totals, Totals::of(expected), "{}: {}", backend.name, filter.only.to_json());
        }
        assert!(some * 2 > all, "only {some} of {all} trees told rows apart");
    })
    .await;
}

/// Each field alone, asked everything that can be asked of it.
#[tokio::test]
async fn every_field_answers_alike() {
    with_each(async |backend, store| {
        let held = Sample::fill(&store, 22).await;
        let mut dice = Dice(2222);
        let mut fields: HashMap<String, usize> = HashMap::new();
        for _ in 0..2_000 {
            let Predicate::Is(condition) = condition(&mut dice, &held.rows) else { continue };
            let name = condition.field.to_string();
            let filter = Filter::from(Predicate::Is(condition));
            let expected = held.picked(&filter);
            let totals = store.totals(held.org, &filter).await.unwrap();
            assert_eq!(totals.requests, expected.len() as u64, "{}: {}", backend.name, filter.only.to_json());
            *fields.entry(name).or_default() += usize::from(!expected.is_empty());
        }
        let silent: Vec<_> = Fact::ALL
            .iter()
            .filter(|fact| fact.kind() != Kind::Body && fields.get(fact.name()).is_none_or(|picked| *picked == 0))
            .collect();
        assert!(silent.is_empty(), "{}: {silent:?} never picked anything", backend.name);
    })
    .await;
}

/// The value a row is sorted by, in a form that sorts as the databases do.
#[derive(Clone, PartialEq, PartialOrd, Debug)]
enum Sorted {
    Text(Vec<u8>),
    Int(i128),
    Real(f64),
}

fn sorted(field: &Field, seen: Seen<'_>) -> Option<Sorted> {
    let Field::Fact(fact) = field else {
        return match field {
            Field::Score(name) => seen.marks.score(name).map(|micro| Sorted::Int(micro.into())),
            _ => field.key_of(seen).map(|text| Sorted::Text(stored(&text))),
        };
    };
    let row = seen.row;
    let count = |count: Option<u64>| count.map(|count| Sorted::Int(count.min(i64::MAX as u64).into()));
    match fact {
        Fact::Time => Some(Sorted::Int(row.timing.received_at.micros().into())),
        Fact::Latency => count(Some(row.timing.end_us)),
        Fact::FirstToken => count(row.timing.first_token_us),
        Fact::OutputTokens => count(row.usage.as_ref().map(|usage| usage.output_total())),
        Fact::Status => row.status.map(|status| Sorted::Int(status.into())),
        Fact::Cost => row.cost.total().map(|total| Sorted::Int(total.to_columns().unwrap().0.into())),
        Fact::TokensPerSecond => tachograph_store::query::output_rate(row)
            .map(|(tokens, span)| Sorted::Real(tokens as f64 * 1_000_000.0 / span as f64)),
        _ => field.key_of(seen).map(|text| Sorted::Text(stored(&text))),
    }
}

fn stored(text: &str) -> Vec<u8> {
    text.replace('\u{1A}', "\u{1A}1").replace('\0', "\u{1A}0").into_bytes()
}

#[tokio::test]
async fn orders_page_through_every_row_once() {
    with_each(async |backend, store| {
        let held = Sample::fill(&store, 23).await;
        let fields = [
            Fact::Time,
            Fact::Latency,
            Fact::FirstToken,
            Fact::OutputTokens,
            Fact::Status,
            Fact::Cost,
            Fact::TokensPerSecond,
            Fact::Model,
            Fact::User,
            Fact::Outcome,
        ];
        let fields = fields.into_iter().map(Field::Fact);
        let fields = fields.chain([Field::Property("plain".into()), Field::Score("quality".into())]);
        let none = Marks::default();
        for by in fields {
            for descending in [false, true] {
                let mut expected: Vec<(Option<Sorted>, &Row)> = held
                    .picked(&Filter::default())
                    .into_iter()
                    .map(|row| (sorted(&by, Seen { row, marks: held.marks.get(&row.id).unwrap_or(&none) }), row))
                    .collect();
                expected.sort_by(|(one, _), (other, _)| match (one, other) {
                    (None, None) => std::cmp::Ordering::Equal,
                    (None, Some(_)) => std::cmp::Ordering::Greater,
                    (Some(_), None) => std::cmp::Ordering::Less,
                    (Some(one), Some(other)) if descending => other.partial_cmp(one).unwrap(),
                    (Some(one), Some(other)) => one.partial_cmp(other).unwrap(),
                });
                let order = Some(Order { by: by.clone(), descending });
                let mut search = Search { order, limit: 61, ..Search::new(held.org, Filter::default()) };
                let mut seen = Vec::new();
                loop {
                    let page = store.search(&search).await.unwrap();
                    seen.extend(page.rows.into_iter().map(|row| row.id));
                    search.before = page.next;
                    if page.next.is_none() {
                        break;
                    }
                }
                let expected: Vec<RecordId> = expected.iter().map(|(_, row)| row.id).collect();
                assert_eq!(seen, expected, "{}: by {by}, descending {descending}", backend.name);
                search.before = None;
                search.skip = 100;
                let skipped = store.search(&search).await.unwrap();
                assert_eq!(skipped.rows[0].id, expected[100], "{}: by {by}", backend.name);
            }
        }
    })
    .await;
}

fn measured(spread: Spread, row: &Row) -> Option<i64> {
    let count = |count: u64| count.min(i64::MAX as u64) as i64;
    match spread {
        Spread::Latency => Some(count(row.timing.end_us)),
        Spread::FirstToken => row.timing.first_token_us.map(count),
        Spread::InputTokens => row.usage.as_ref().map(|usage| count(usage.input_total())),
        Spread::OutputTokens => row.usage.as_ref().map(|usage| count(usage.output_total())),
        Spread::MilliTokensPerSecond => {
            let (tokens, span) = tachograph_store::query::output_rate(row)?;
            (tokens <= 9_000_000_000).then(|| (tokens * 1_000_000_000 / span) as i64)
        }
        Spread::NanoCost => row.cost.total()?.to_columns().map(|(nano, _)| nano.max(0)),
    }
}

/// Groups worked out over plain rows, in the order that is asked for.
pub(crate) fn groups(held: &Sample, asked: &Breakdown) -> Groups {
    type Key = (Option<i64>, Vec<Option<String>>);
    let none = Marks::default();
    let mut by_key: BTreeMap<Key, Vec<&Row>> = BTreeMap::new();
    for row in held.picked(&asked.filter) {
        let seen = Seen { row, marks: held.marks.get(&row.id).unwrap_or(&none) };
        let at = asked.every.map(|every| {
            let local = row.timing.received_at.micros() + every.offset;
            row.timing.received_at.micros() - local.rem_euclid(every.micros)
        });
        by_key.entry((at, asked.by.iter().map(|field| field.key_of(seen)).collect())).or_default().push(row);
    }
    if asked.by.is_empty() && asked.every.is_none() {
        by_key.entry((None, Vec::new())).or_default();
    }
    let mut groups: Vec<(f64, Group)> = by_key
        .into_iter()
        .map(|((at, keys), rows)| {
            let totals = Totals::of(rows.iter().copied());
            let sketch = |spread: &Spread| {
                let mut sketch = Sketch::default();
                rows.iter().filter_map(|row| measured(*spread, row)).for_each(|value| sketch.add(value));
                sketch
            };
            let spreads = asked.spreads.iter().map(sketch).collect();
            (measure(asked.order, &totals, &rows), Group { keys, at: at.map(Timestamp::from_micros), totals, spreads })
        })
        .collect();
    let key = |keys: &[Option<String>]| -> Vec<(bool, Vec<u8>)> {
        keys.iter().map(|key| (key.is_none(), key.as_deref().map(stored).unwrap_or_default())).collect()
    };
    groups.sort_by(|(one, a), (other, b)| {
        let by_measure = if asked.ascending { one.total_cmp(other) } else { other.total_cmp(one) };
        a.at.cmp(&b.at).then(by_measure).then_with(|| key(&a.keys).cmp(&key(&b.keys)))
    });
    let picked: Vec<Group> = groups.into_iter().map(|(_, group)| group).skip(asked.skip as usize).collect();
    let more = picked.len() > asked.limit as usize;
    Groups { groups: picked.into_iter().take(asked.limit as usize).collect(), more }
}

fn measure(measure: Measure, totals: &Totals, rows: &[&Row]) -> f64 {
    let halves = |values: Vec<i64>| -> (i64, i64) {
        (values.iter().map(|value| value >> 32).sum(), values.iter().map(|value| value & 0xFFFF_FFFF).sum())
    };
    let count = |count: u64| count.min(i64::MAX as u64) as i64;
    let tokens = |which: fn(&tachograph_record::Usage) -> u64| {
        halves(rows.iter().filter_map(|row| row.usage.as_ref()).map(|usage| count(which(usage))).collect())
    };
    match measure {
        Measure::Requests => totals.requests as f64,
        Measure::Errors => totals.errors as f64,
        Measure::Cost => {
            let nano = |row: &&Row| row.cost.total()?.to_columns().map(|(nano, _)| nano);
            let (high, low) = halves(rows.iter().filter_map(nano).collect());
            high as f64 * 4_294_967_296.0 + low as f64
        }
        Measure::Tokens => {
            let (input, output) =
                (tokens(tachograph_record::Usage::input_total), tokens(tachograph_record::Usage::output_total));
            (input.0 as f64 + output.0 as f64) * 4_294_967_296.0 + (input.1 as f64 + output.1 as f64)
        }
        Measure::Latency => {
            let (high, low) = halves(rows.iter().map(|row| count(row.timing.end_us)).collect());
            (high as f64 * 4_294_967_296.0 + low as f64) / rows.len() as f64
        }
        Measure::LastAt => totals.last_at.map_or(0.0, |at| at.micros() as f64),
        Measure::FirstAt => totals.first_at.map_or(0.0, |at| at.micros() as f64),
    }
}

#[tokio::test]
async fn groups_add_up_alike_everywhere() {
    with_each(async |backend, store| {
        let held = Sample::fill(&store, 24).await;
        let groupable: Vec<Field> = Fact::ALL
            .iter()
            .copied()
            .filter(|fact| fact.can_group())
            .map(Field::Fact)
            .chain([Field::Property("plain".into()), Field::Property("it's".into())])
            .collect();
        let mut dice = Dice(2424);
        for round in 0..groupable.len() * 4 {
            let by: Vec<Field> = match round % 4 {
                0 => vec![groupable[round / 4].clone()],
                _ => (0..dice.below(4)).map(|_| dice.pick(&groupable).clone()).collect(),
            };
            let only = if round % 3 == 0 { Predicate::All } else { tree(&mut dice, &held.rows, 2) };
            let every = (dice.below(3) == 0).then(|| Every { micros: 7, offset: dice.below(9) as i64 - 4 });
            let spreads = if round % 5 == 0 { Spread::ALL.map(|(spread, _)| spread).to_vec() } else { Vec::new() };
            let asked = Breakdown {
                by,
                every,
                spreads,
                order: dice.pick(&Measure::ALL).0,
                ascending: dice.below(2) == 0,
                limit: [3, 1_000][dice.below(2) as usize],
                skip: dice.below(3) as u32,
                ..Breakdown::whole(held.org, Filter::from(only))
            };
            asked.check().unwrap();
            let answered = store.groups(&asked).await.unwrap();
            assert_eq!(answered, groups(&held, &asked), "{}: {asked:?}", backend.name);
        }
    })
    .await;
}

#[tokio::test]
async fn groups_are_merged_to_the_whole() {
    with_each(async |_, store| {
        let held = Sample::fill(&store, 25).await;
        for field in [Fact::Model, Fact::User, Fact::Status] {
            let asked = Breakdown { by: vec![field.into()], ..Breakdown::whole(held.org, Filter::default()) };
            let groups = store.groups(&asked).await.unwrap();
            let sum = groups.groups.iter().try_fold(Totals::default(), |sum, group| sum.merged(&group.totals)).unwrap();
            assert_eq!(sum, store.totals(held.org, &Filter::default()).await.unwrap());
        }
    })
    .await;
}

#[tokio::test]
async fn names_of_properties_are_counted_with_those_that_came_later() {
    with_each(async |backend, store| {
        let held = Sample::fill(&store, 26).await;
        let none = Marks::default();
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for row in held.picked(&Filter::default()) {
            for (name, _) in held.marks.get(&row.id).unwrap_or(&none).properties_of(row) {
                *expected.entry(name.to_owned()).or_default() += 1;
            }
        }
        let named = store.property_names(held.org, &Filter::default(), 1_000).await.unwrap();
        assert_eq!(named.iter().cloned().collect::<BTreeMap<_, _>>(), expected, "{}", backend.name);
        assert!(named.windows(2).all(|pair| pair[0].1 >= pair[1].1));
    })
    .await;
}

#[tokio::test]
async fn marks_come_back_replace_and_go() {
    with_each(async |_, store| {
        let held = Sample::fill(&store, 27).await;
        let ids: Vec<RecordId> = held.rows.iter().map(|row| row.id).collect();
        assert_eq!(store.marks(held.org, &ids).await.unwrap(), held.marks);
        assert!(store.marks(OrgId::generate(), &ids).await.unwrap().is_empty());
        let (on, at) = (Marked::Session("it's \0 one".into()), Timestamp::from_micros(7));
        let mark = |name: &str, micro| Mark {
            on: on.clone(),
            kind: MarkKind::Score,
            name: name.into(),
            text: None,
            micro: Some(micro),
            at,
            key: None,
        };
        store.put_marks(held.org, &[mark("a", 1), mark("b", 2), mark("a", 3)]).await.unwrap();
        let marks = store.session_marks(held.org, "it's \0 one").await.unwrap();
        assert_eq!((marks.score("a"), marks.score("b")), (Some(3), Some(2)));
        assert!(store.remove_mark(held.org, &on, MarkKind::Score, "a").await.unwrap());
        assert!(!store.remove_mark(held.org, &on, MarkKind::Score, "a").await.unwrap());
        assert_eq!(store.session_marks(held.org, "it's \0 one").await.unwrap().score("a"), None);
        assert!(store.session_marks(OrgId::generate(), "it's \0 one").await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn documents_and_bodies_are_their_tenants_own() {
    use tachograph_store::Document;
    with_each(async |_, store| {
        let (org, rows) = filled(&store, 28).await;
        let id = RecordId::generate().uuid();
        let mut document = Document {
            org,
            kind: "saved_query".into(),
            id,
            at: Timestamp::from_micros(1),
            body: serde_json::json!({ "sql": "SELECT '\u{0}'" }),
        };
        store.put_document(&document).await.unwrap();
        document.body = serde_json::json!({ "sql": "SELECT 1" });
        store.put_document(&document).await.unwrap();
        assert_eq!(store.documents(org, "saved_query").await.unwrap(), [document]);
        assert!(store.documents(OrgId::generate(), "saved_query").await.unwrap().is_empty());
        assert!(store.documents(org, "webhook").await.unwrap().is_empty());
        assert!(!store.remove_document(OrgId::generate(), "saved_query", id).await.unwrap());
        assert!(store.remove_document(org, "saved_query", id).await.unwrap());

        let ids: Vec<RecordId> = rows.iter().map(|row| row.id).collect();
        let bodies = store.bodies(org, &ids).await.unwrap();
        assert!(bodies.len() > 100);
        for (id, request, response) in bodies {
            let whole = store.fetch(org, id).await.unwrap().unwrap();
            assert_eq!((whole.request, whole.response), (request, response));
        }
    })
    .await;
}

/// What our own cache saved is told by columns of its own.
#[test]
fn the_samples_hold_what_is_summed() {
    let mut dice = Dice(24);
    let rows: Vec<Row> = (0..200).map(|_| Row::from(&crate::sample::full(&mut dice, OrgId::HOME))).collect();
    let totals = Totals::of(&rows);
    assert!(totals.saved.atto() != 0 && totals.retry_cost.atto() != 0 && totals.retries > 0);
    assert!(totals.generating_us > 0 && totals.errors > 0 && totals.parts.input.atto() != 0);
    assert!(rows.iter().any(|row| row.control.cache.as_ref().is_some_and(|cache| cache.status == CacheStatus::Miss)));
}
