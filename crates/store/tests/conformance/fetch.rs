//! What is read back is what was appended.

use bytes::Bytes;
use tachograph_record::{
    Body, BodyState, Leaf, LogRecord, Money, OrgId, Parameters, Quantity, RecordId, RecordedError, SessionRef, Unit,
    Usage, UsageReading,
};
use tachograph_store::{Filter, Row, Search, StoredRecord};

use crate::backend::with_each;
use crate::sample::{Dice, ODD, full, plain, priced};

#[tokio::test]
async fn everything_comes_back() {
    with_each(async |backend, store| {
        let org = OrgId::generate();
        let mut dice = Dice(42);
        let records: Vec<LogRecord> = (0..400).map(|_| full(&mut dice, org)).collect();
        assert_eq!(store.append(&records).await.unwrap(), 400);
        for record in &records {
            let fetched = store.fetch(org, record.id).await.unwrap();
            assert_eq!(fetched, Some(StoredRecord::from(record)), "{}", backend.name);
        }
    })
    .await;
}

#[tokio::test]
async fn bodies_of_every_state() {
    with_each(async |_, store| {
        let org = OrgId::generate();
        let large: Bytes = "a 2 MB answer, ".repeat(140_000).into();
        let noise: Bytes = (0..2 << 20).scan(Dice(3), |dice, _| Some(dice.roll() as u8)).collect::<Vec<_>>().into();
        let text = Bytes::from_static(b"{\"text\":\"zero \0 and \xFF\xFE, no UTF-8\"}");
        let mut omitted = Body::omitted();
        omitted.push(&text, 100);
        let mut pieces = Body::default();
        for piece in text.chunks(5) {
            pieces.push(&Bytes::copy_from_slice(piece), usize::MAX);
        }
        let cases = [
            (Body::default(), BodyState::Empty, 0),
            (Body::capture(&text, usize::MAX), BodyState::Whole, text.len()),
            (pieces, BodyState::Whole, text.len()),
            (Body::capture(&text, 9), BodyState::Truncated, 9),
            (Body::capture(&text, 0), BodyState::Truncated, 0),
            (omitted, BodyState::Omitted, 0),
            (Body::capture(&large, usize::MAX), BodyState::Whole, large.len()),
            (Body::capture(&large, 1 << 20), BodyState::Truncated, 1 << 20),
            (Body::capture(&noise, usize::MAX), BodyState::Whole, noise.len()),
        ];
        for (body, state, kept) in cases {
            let mut record = plain(org, 1);
            record.asked.body = body.clone();
            record.response = body;
            store.append(std::slice::from_ref(&record)).await.unwrap();
            let fetched = store.fetch(org, record.id).await.unwrap().unwrap();
            assert_eq!(fetched, StoredRecord::from(&record));
            assert_eq!((fetched.row.request_body.state, fetched.request.len()), (state, kept));
            assert_eq!(fetched.row.response_body.len, record.response.len());
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_or_not_ones_own_is_absent() {
    with_each(async |_, store| {
        let record = plain(OrgId::generate(), 1);
        store.append(std::slice::from_ref(&record)).await.unwrap();
        assert!(store.fetch(record.asked.org, record.id).await.unwrap().is_some());
        assert_eq!(store.fetch(record.asked.org, RecordId::generate()).await.unwrap(), None);
        assert_eq!(store.fetch(OrgId::generate(), record.id).await.unwrap(), None);
        assert_eq!(store.fetch(OrgId::HOME, record.id).await.unwrap(), None);
    })
    .await;
}

/// Counts and clocks beyond a column's range do not lose the row: usage stays exact, clocks end at `i64::MAX`.
#[tokio::test]
async fn extreme_values_come_back() {
    with_each(async |_, store| {
        let org = OrgId::generate();
        let mut usage = Usage::reported([(Leaf::INPUT, u64::MAX), (Leaf::CACHE_READ, 1), (Leaf::OUTPUT, u64::MAX)]);
        usage.add_unit(Unit::Pages, Quantity::from_micro(u64::MAX));
        let mut first = priced(org, i64::MIN, Money::from_atto(i128::MAX));
        first.reading.usage = UsageReading::Known(usage.clone());
        first.reading.provider_cost = Some(Money::from_atto(-i128::MAX));
        first.timing.end_us = u64::MAX;
        first.timing.first_byte_us = Some(u64::MAX);
        let last = priced(org, i64::MAX, Money::from_atto(-1));
        store.append(&[first.clone(), last.clone()]).await.unwrap();

        let fetched = store.fetch(org, first.id).await.unwrap().unwrap();
        assert_eq!(fetched, StoredRecord::from(&first));
        assert_eq!(fetched.row.usage, Some(usage));
        assert_eq!(fetched.row.timing.end_us, i64::MAX as u64);
        let search = Search::new(org, Filter::default());
        assert_eq!(store.search(&search).await.unwrap().rows, [Row::from(&last), Row::from(&first)]);
        let totals = store.totals(org, &Filter::default()).await.unwrap();
        assert_eq!(totals.cost, Money::from_atto(i128::MAX - 1));
        assert_eq!((totals.input_tokens, totals.output_tokens), (i64::MAX as u64, i64::MAX as u64));
    })
    .await;
}

#[tokio::test]
async fn odd_and_long_texts_come_back_from_every_field() {
    with_each(async |_, store| {
        let org = OrgId::generate();
        // Longer than an index entry may be, and not to be shortened by compression.
        let long: String = (0..20_000).scan(Dice(5), |dice, _| char::from_u32(33 + dice.below(90) as u32)).collect();
        for text in ODD.iter().map(|text| (*text).to_owned()).chain([long]) {
            let mut record = plain(org, 1);
            let some = || Some(text.clone());
            record.asked.api = text.clone().into();
            record.asked.method = text.clone().into();
            record.asked.path = text.clone();
            record.asked.model = some();
            record.asked.attribution.user = some();
            record.asked.attribution.session = Some(SessionRef { id: text.clone(), path: some(), name: some() });
            record.asked.attribution.set_property(text.clone(), text.clone());
            record.asked.trace_id = some();
            record.asked.parent_span_id = some();
            record.provider = Some(text.as_str().into());
            record.reading.model = some();
            record.reading.service_tier = some();
            record.error = Some(RecordedError { kind: text.clone(), code: some(), message: text.clone() });
            store.append(std::slice::from_ref(&record)).await.unwrap();
            assert_eq!(store.fetch(org, record.id).await.unwrap(), Some(StoredRecord::from(&record)));
        }
    })
    .await;
}

#[tokio::test]
async fn parameters_as_deep_as_a_request_may_be_come_back() {
    with_each(async |_, store| {
        let org = OrgId::generate();
        let mut record = plain(org, 1);
        let mut parameters = Parameters::default();
        let deep = format!("{}{}", "[".repeat(127), "]".repeat(127));
        parameters.push(Bytes::from_static(b"tools"), deep.into());
        record.asked.parameters = parameters;
        assert_eq!(Row::from(&record).parameters.len(), 1, "the record itself can read it");
        store.append(std::slice::from_ref(&record)).await.unwrap();
        assert_eq!(store.fetch(org, record.id).await.unwrap(), Some(StoredRecord::from(&record)));
    })
    .await;
}

#[tokio::test]
async fn properties_keep_their_order_and_stand_once() {
    with_each(async |_, store| {
        let org = OrgId::generate();
        let mut record = plain(org, 1);
        let told = [("zeta", "1"), ("a", "2"), ("longer name", "3"), ("zeta", "4")];
        record.asked.attribution.properties = told.map(|(name, value)| (name.into(), value.into())).into();
        store.append(std::slice::from_ref(&record)).await.unwrap();
        let row = store.fetch(org, record.id).await.unwrap().unwrap().row;
        let expected = [("zeta", "4"), ("a", "2"), ("longer name", "3")];
        assert_eq!(row.attribution.properties, expected.map(|(name, value)| (name.into(), value.into())));
    })
    .await;
}
